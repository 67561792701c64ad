"""Running a program: its secrets, its end, and whatever it may print."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from backends.backups import process
from backends.backups.process import LINE_LIMIT, Command, Lines, Running, run_program
from backends.errors import MissingTool, Refused, Unreachable
from backends.secret import Secret

WORD = "correct horse battery"


def python(script: str, **more: object) -> Command:
    return Command((sys.executable, "-c", script), **more)  # type: ignore[arg-type]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_secret_is_in_no_argv_environment_or_file() -> None:
    script = "import os, time; got = open(os.environ['PW']).read(); fd = os.read(int(os.environ['FD']), 99); print(len(got), len(fd), flush=True); time.sleep(60)"
    command = python(script, secrets={"PW": Secret(WORD), "FD": Secret("other")}, by_number=frozenset({"FD"}))
    with Running(command) as running:
        assert next(running.parts(30)) == ("out", f"{len(WORD) + 1} 6".encode())
        place = Path(f"/proc/{running.pid}")
        shown = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        assert b"PW=/dev/fd/" in shown and WORD.encode() not in shown and b"FD=other" not in shown
        assert os.readlink(place / "fd/0") == "/dev/null" and os.getsid(running.pid) == running.pid
    assert gone(running.pid)
    with pytest.raises(Refused):
        run_program(python("", secrets={"PW": Secret("x" * 40_000)}), 5)


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESTIC_PASSWORD", "BORG_PASSPHRASE", "AWS_SECRET_ACCESS_KEY", "PYTHONPATH", "LD_PRELOAD"):
        monkeypatch.setenv(name, "leak")
    shown = run_program(python("import os; print(dict(os.environ))"), 30).out.decode()
    assert "leak" not in shown and "'LC_ALL': 'C.UTF-8'" in shown and "'TZ': 'UTC'" in shown


def test_both_pipes_are_drained_and_errors_are_counted() -> None:
    script = "import sys\nfor n in range(20000): print('x' * 99); print(f'lost /file/{n}: 0x{n:08x}', file=sys.stderr)"
    ran = run_program(python(script), 60)
    assert (ran.code, len(ran.out), len(ran.errors), ran.error_count) == (0, 2_000_000, process.ERROR_LINES, 20_000)
    with Running(python(script)) as running:
        assert sum(1 for _ in running.parts(60)) == 40_000
    assert running.complaints.shapes.most_common(1)[0][1] == 20_000


def test_hostile_output_is_cleaned_and_cut() -> None:
    script = (
        "import os\n"
        "os.write(2, b'\\x1b]0;PWNED\\x07\\x1b[2Kbad \\xff line\\r\\n'); os.write(1, b'a' * 5_000_000 + b'\\nnext\\nlast without an end')\n"
    )
    with Running(python(script)) as running:
        lines = [line for stream, line in running.parts(60) if stream == "out"]
    assert [len(lines[0]), *lines[1:]] == [LINE_LIMIT, b"next", b"last without an end"]
    assert "\x1b" not in running.complaints.lines[0] and "bad \ufffd line" in running.complaints.lines[0]
    cut = Lines(b"\0")
    assert cut.feed(b"one\0tw") + cut.feed(b"o\0") + cut.feed(b"y" * (LINE_LIMIT + 5)) + cut.feed(b"yy\0z") + cut.rest() == [b"one", b"two", b"y" * LINE_LIMIT, b"z"]


def test_a_deadline_ends_a_deaf_program_and_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LADDER_SECONDS", (0.3, 0.3, 2.0))
    script = (
        "import os, signal, sys, time\nfor s in (2, 15): signal.signal(s, lambda n, f: os.write(1, b'asked %d\\n' % n))\n"
        "pid = os.fork()\nprint(os.getpid(), flush=True)\nwhile True: time.sleep(1)"
    )
    said: list[bytes] = []
    running = Running(python(script))
    with running, pytest.raises(Unreachable, match="killed, a lock may be left"):
        for _, line in running.parts(1.5):
            said.append(line)
    children = [int(line) for line in said if line.isdigit()]
    assert len(children) == 2 and b"asked 2" in said and b"asked 15" in said
    ends = time.monotonic() + 10
    while not all(gone(pid) for pid in children):
        assert time.monotonic() < ends
    assert running.code == -signal.SIGKILL


def test_a_stop_asks_in_the_tools_own_way() -> None:
    script = (
        "import os, signal, time\nsignal.signal(15, lambda n, f: (os.write(1, b'bye\\n'), os._exit(143)))\n"
        "print('up', flush=True)\nwhile True: time.sleep(1)"
    )
    stop = threading.Event()
    said: list[bytes] = []
    with Running(python(script, first_signal=signal.SIGTERM)) as running:
        for _, line in running.parts(None, stop):
            said.append(line)
            stop.set()
    assert said == [b"up", b"bye"] and running.cancelled and running.code == 143 and not running.killed


def test_retrying_is_not_waited_for() -> None:
    script = "import sys, time\nfor n in range(9): print(f'Load returned error, retrying after {n}s: refused', file=sys.stderr, flush=True)\ntime.sleep(60)"
    with pytest.raises(Unreachable, match="can't reach its repository"):
        run_program(python(script), 50)
    ran = run_program(python(script.replace("60", "0.1"), patient=True), 50)
    assert ran.code == 0 and ran.error_count == 9


def test_a_grandchild_that_keeps_the_pipe_holds_nobody() -> None:
    script = "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(20)\nelse:\n    print('done', flush=True)"
    began = time.monotonic()
    assert run_program(python(script), 60).out == b"done\n"
    assert time.monotonic() - began < 12


def test_no_program_and_leaving_early() -> None:
    with pytest.raises(MissingTool):
        run_program(Command(("/no/such/program",)), 5)
    with Running(python("while True: print('x' * 1000)")) as running:
        next(running.parts(30))
    assert gone(running.pid)


def test_a_reader_that_is_left_behind_takes_nothing_of_the_next_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipe's number would be the next pipe's, were it closed under its hands: each reader is held up just before it reads."""
    real = os.read

    def slow(descriptor: int, count: int) -> bytes:
        time.sleep(0.05)
        return real(descriptor, count)

    monkeypatch.setattr(os, "read", slow)
    for _ in range(5):
        assert run_program(Command(("sh", "-c", "yes | head -c 400000")), 10.0, limit=10).cut
        assert run_program(Command(("echo", "hello")), 10.0).out == b"hello\n"
