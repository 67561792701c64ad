"""Leaving: by key, by signal, by a dropped line, with a hung backend, with a stalled terminal."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terminal.conftest import DESKSIDE, environment
from tests.terminal.harness import Terminal

Console = Callable[..., Terminal]


def test_q_leaves_with_zero(console: Console) -> None:
    terminal = console()
    terminal.wait_for("Tickets")
    terminal.send("q")
    assert terminal.exit_code() == 0


def test_late_answers_of_a_slow_line_do_not_end_up_on_the_prompt(tmp_path: Path) -> None:
    words = " ".join(shlex.quote(word) for word in [*DESKSIDE, "--data", str(tmp_path / "data")])
    terminal = Terminal(["sh", "-c", f"{words}; echo the prompt; exec cat"], environment(tmp_path), 80, 24)
    try:
        terminal.wait_for("Tickets")
        terminal.settle(1.0)
        terminal.late = 0.2
        terminal.send("jjkk?q")
        terminal.wait_for("the prompt")
        terminal.settle(0.6)
        assert "R" not in terminal.text().split("the prompt", 1)[1]
    finally:
        terminal.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_signals_end_it_within_a_second(console: Console, number: int, code: int) -> None:
    terminal = console()
    terminal.wait_for("Accounts 150")
    started = time.monotonic()
    os.kill(terminal.pid, number)
    assert terminal.exit_code(3) == code
    assert time.monotonic() - started < 1.5


def test_a_dropped_line_ends_it(console: Console) -> None:
    terminal = console()
    terminal.wait_for("Tickets")
    terminal.hang_up()
    assert terminal.exit_code(3) == 129


def test_a_stalled_terminal_holds_nothing(console: Console) -> None:
    terminal = console()
    terminal.wait_for("Accounts 150")
    for _ in range(200):
        terminal.send("\t")  # each repaints; nobody reads
    os.kill(terminal.pid, signal.SIGTERM)
    started = time.monotonic()
    while time.monotonic() - started < 3:
        pid, status = os.waitpid(terminal.pid, os.WNOHANG)
        if pid:
            terminal._code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.02)  # the point is to not read
    assert terminal._code == 143


HUNG = """#!/bin/sh
case "$1" in version) echo "restic 0.16.0 compiled with go1.20 on linux/amd64"; exit 0;; esac
sleep 60
"""


def test_a_hung_backend_stops_no_key(tmp_path: Path) -> None:
    program, secret = tmp_path / "restic", tmp_path / "pass"
    program.write_text(HUNG)
    program.chmod(0o755)
    secret.write_text("x\n")
    secret.chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(
        f'[tickets.desk]\nadapter = "embedded"\n[backups.vault]\nadapter = "restic"\nrepository = "/nowhere"\nprogram = "{program}"\n'
        f'password = "file:{secret}"\ndeadline = "3s"\n[devices.here]\nadapter = "local"\n'
    )
    terminal = Terminal([*DESKSIDE, "--config", str(config), "--data", str(tmp_path / "d")], environment(tmp_path))
    try:
        terminal.wait_for("Devices 1")
        terminal.send("?")
        terminal.wait_for("Keys of this view", 2)
        terminal.send("\x1b")
        terminal.wait_for("Not reachable", 20)
        started = time.monotonic()
        terminal.send("q")
        assert terminal.exit_code(3) == 0
        assert time.monotonic() - started < 1.5
    finally:
        terminal.close()


def test_no_terminal_is_a_sentence_and_two(tmp_path: Path) -> None:
    import subprocess

    done = subprocess.run(DESKSIDE, env=environment(tmp_path), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "no terminal" in done.stderr


CRASH = """
import sys
sys.path.insert(0, {root!r})
import screens.help
def build(self, width):
    password = "hunter2-in-a-local"
    raise RuntimeError("broken on purpose, token=hunter2-in-a-message")
screens.help.HelpScreen.build = build
from console.__main__ import main
raise SystemExit(main())
"""


def test_a_crash_says_one_line_and_shows_no_variables(console: Console, tmp_path: Path) -> None:
    from tests.terminal.conftest import ROOT

    script = tmp_path / "crash.py"
    script.write_text(CRASH.format(root=str(ROOT)))
    terminal = Terminal([sys.executable, str(script), "--data", str(tmp_path / "d")], environment(tmp_path), 120, 40)
    try:
        terminal.wait_for("Tickets")
        terminal.settle()
        terminal.send("?")
        assert terminal.exit_code(5) == 1
        terminal.read(0.2)
        assert "ended by itself (RuntimeError)" in terminal.text() and "hunter2" not in bytes(terminal.raw).decode("utf-8", "replace")
        log = (tmp_path / "d/crash.log").read_text()
        assert "broken on purpose" in log and "hunter2" not in log
    finally:
        terminal.close()
