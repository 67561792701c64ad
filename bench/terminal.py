"""The console on a real pseudo-terminal, beside an empty Textual app and beside itself with 100 tickets, interleaved."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.terminal.conftest import DESKSIDE, environment
from tests.terminal.harness import Terminal

EMPTY = "from textual.app import App\nfrom textual.widgets import Static\nclass E(App):\n    n = 0\n    def compose(self):\n        self.s = Static('EMPTY-READY'); yield self.s\n    def on_key(self, e):\n        self.n += 1; self.s.update(f'EMPTY-READY {self.n}')\nE().run()"
ROUNDS, KEYS = 3, 40


def _county(place: Path, tickets: int, devices: int) -> list[str]:
    words = ["demo", "--prepare", "--folder", str(place), "--tickets", str(tickets), "--devices", str(devices), "--people", "200"]
    subprocess.run([*DESKSIDE, *words], check=True, env=environment(place.parent), capture_output=True)
    return [*DESKSIDE, "--config", str(place / "config.toml"), "--data", str(place / "data")]


def _start(argv: list[str], home: Path, first: str) -> tuple[Terminal, float]:
    started = time.perf_counter()
    terminal = Terminal(argv, environment(home))
    until = started + 30
    while first not in terminal.text() and time.perf_counter() < until:
        terminal.read(quiet=0.002, longest=0.02)
    return terminal, (time.perf_counter() - started) * 1000


def _keys(terminal: Terminal) -> list[float]:
    out = []
    for _ in range(KEYS):
        before = len(terminal.raw)
        started = time.perf_counter()
        terminal.send("j")
        while len(terminal.raw) == before and time.perf_counter() - started < 2:
            terminal.read(quiet=0.0005, longest=0.001)
        out.append((time.perf_counter() - started) * 1000)
        terminal.read(quiet=0.03, longest=0.1)
    return out


def _memory(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """First paint, key to screen, bytes a key, memory."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        runs = {
            "empty app": ([sys.executable, "-c", EMPTY], "EMPTY-READY"), "100 tickets": (_county(home / "small", 100, 100), " Tickets"),
            "100,000 tickets": (_county(home / "big", 100_000, 5_000), " Tickets"),
        }  # fmt: skip
        paint: dict[str, list[float]] = {name: [] for name in runs}
        keys: dict[str, list[float]] = {name: [] for name in runs}
        sent: dict[str, int] = {}
        memory: dict[str, float] = {}
        for _ in range(ROUNDS):
            for name, (argv, first) in runs.items():
                terminal, took = _start(argv, home, first)
                paint[name].append(took)
                terminal.settle(2.0, 10)
                if argv[0] != sys.executable or "--config" in argv:
                    terminal.send(":tickets all\r")  # closed ones too: a hundred rows to walk through on the small desk
                    terminal.settle(1.0, 10)
                sent[name] = len(terminal.raw)
                keys[name] += _keys(terminal)
                memory[name] = _memory(terminal.pid)
                terminal.close()
    base, few = "empty app", "100 tickets"
    print(f"{'':16} {'paint ms':>9} {'ratio':>6} {'key ms':>8} {'to empty':>9} {'to 100':>7} {'start B':>8} {'MiB':>6}   (medians, {os.cpu_count()} cores)")
    for name in runs:
        shown, key = statistics.median(paint[name]), statistics.median(keys[name])
        print(
            f"{name:16} {shown:9.0f} {shown / statistics.median(paint[base]):6.2f} {key:8.2f} {key / statistics.median(keys[base]):9.2f} "
            f"{key / statistics.median(keys[few]):7.2f} {sent[name]:8,} {memory[name]:6.0f}"
        )
