"""A key's answer while a restore runs beside the same console idle, what following sends, and memory: `python -m bench.restore_keys [rounds]`.

Each round measures the ticket list idle, the same list while a restore fetches, and the screen that follows it, one after the other in one
console, so that a busy machine is busy for all. DESKSIDE_RESTIC names another restic (0.16 or newer tells its progress; 0.14 tells nothing).
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.terminal import _memory
from tests.servers.backup_programs import make_restic
from tests.terminal.conftest import DESKSIDE, environment
from tests.terminal.harness import Terminal

FILES, SIZE, KIB_A_SECOND, KEYS = 2_000, 50_000, 8_000, 25


def _site(place: Path) -> tuple[Path, list[str]]:
    """(a share of 100 MB that is gone, the console's argv)."""
    share, program = place / "srv" / "share", place / "restic-held-to-a-speed"
    share.mkdir(parents=True)
    for number in range(FILES):
        (share / f"f{number:03}").write_bytes(os.urandom(SIZE))
    (place / "secret").write_text("p")
    (place / "secret").chmod(0o600)
    make_restic(place / "repo", "p")
    own = {"PATH": os.environ["PATH"], "RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "own-cache")}
    subprocess.run(["restic", "-q", "backup", "--pack-size", "4", str(share), "--host", os.uname().nodename], env=own, check=True)
    shutil.rmtree(share)
    restic = os.environ.get("DESKSIDE_RESTIC", "restic")
    program.write_text(f'#!/bin/sh\ncase " $* " in *" restore "*) exec {restic} --limit-download {KIB_A_SECOND} "$@";; esac\nexec {restic} "$@"\n')
    program.chmod(0o755)
    (place / "c.toml").write_text(
        f'[tickets.desk]\nadapter = "embedded"\n[backups.vault]\nadapter = "restic"\nrepository = "{place}/repo"\npassword = "file:{place}/secret"\nprogram = "{program}"\n'
    )
    argv = [*DESKSIDE, "--config", str(place / "c.toml"), "--data", str(place / "data")]
    for number in range(60):
        subprocess.run([*argv, "tickets", "create", f"ticket {number}", "--yes"], env=environment(place), check=True, capture_output=True)
    return share, argv


def _keys(terminal: Terminal, *keys: str) -> list[float]:
    """Milliseconds from each key to the first byte of its answer."""
    out = []
    for number in range(KEYS):
        terminal.read(quiet=0.03, longest=0.1)
        before, started = len(terminal.raw), time.perf_counter()
        terminal.send(keys[number % len(keys)])
        while len(terminal.raw) == before and time.perf_counter() - started < 2:
            terminal.read(quiet=0.0005, longest=0.001)
        out.append((time.perf_counter() - started) * 1000)
    return out


def _typed(terminal: Terminal) -> list[float]:
    """The same for letters in the command line, which every screen has."""
    terminal.send(":")
    terminal.settle(0.3)
    out = _keys(terminal, "x")
    terminal.send("\x1b")
    terminal.settle(0.3)
    return out


def _sent(terminal: Terminal, seconds: float) -> float:
    """Bytes a second while nobody types."""
    before, until = len(terminal.raw), time.monotonic() + seconds
    while time.monotonic() < until:
        terminal.read(quiet=0.2, longest=0.5)
    return (len(terminal.raw) - before) / seconds


def main(words: list[str]) -> None:
    """Print the figures."""
    rounds = int(words[0]) if words else 3
    idle: list[float] = []
    typed: list[float] = []
    listed: list[float] = []
    followed: list[float] = []
    sent: list[float] = []
    with tempfile.TemporaryDirectory(prefix="deskside-bench-") as name:
        place = Path(name)
        share, argv = _site(place)
        terminal = Terminal(argv, environment(place), 120, 40)
        try:
            terminal.wait_for("Backups 1", 30)
            terminal.settle(1.0)
            resting = _memory(terminal.pid)
            for _ in range(rounds):
                idle += _keys(terminal, "j", "k")
                typed += _typed(terminal)
                _begin(terminal)
                sent.append(_sent(terminal, 3.0))
                followed += _typed(terminal)
                _home(terminal)
                listed += _keys(terminal, "j", "k")
                busy = _memory(terminal.pid)
                _over(terminal)
                shutil.rmtree(share)
        finally:
            terminal.close()
    pairs = (("ticket list, idle", idle, idle), ("ticket list, a restore at work", listed, idle), ("command line, idle", typed, typed), ("command line of its screen, at work", followed, typed))
    print(f"{'':34} {'key ms':>8} {'worst':>8} {'ratio':>6}   (medians of {len(idle)} keys, {os.cpu_count()} cores)")
    for label, found, base in pairs:
        print(f"{label:34} {statistics.median(found):8.2f} {max(found):8.2f} {statistics.median(found) / statistics.median(base):6.2f}")
    print(f"following sends {statistics.median(sent):,.0f} bytes a second (most {max(sent):,.0f}); memory {resting:.0f} MiB idle, {busy:.0f} MiB after following")


def _begin(terminal: Terminal) -> None:
    for keys, wanted in (
        ("3\r", "Snapshots 1"), ("\r", "f001"), ("*", "marked"), ("r", "the original place"), ("o", "replace what differs"), ("d", "or why?"), ("bench\r", "enter does it"), ("\r", "fetching"),
    ):  # fmt: skip
        terminal.send(keys)
        terminal.wait_for(wanted, 30)


def _home(terminal: Terminal) -> None:
    for _ in range(6):
        if "Backups 1" in terminal.text():
            break
        terminal.send("\x1b")
        terminal.settle(0.4)
    terminal.send("1")
    terminal.settle(0.4)


def _over(terminal: Terminal) -> None:
    terminal.send(":restores\r")
    terminal.wait_for("Restores")
    terminal.wait_gone("fetching", 60)
    terminal.wait_gone("running", 60)
    terminal.settle(2.0)
    _home(terminal)


if __name__ == "__main__":
    main(sys.argv[1:])
