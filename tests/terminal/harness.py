"""A real pseudo-terminal for tests: starts a program, keeps its screen, counts its bytes, answers what terminals are asked."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence

import pyte

ANSWERS = ((re.compile(rb"\x1b\[c|\x1b\[0c"), b"\x1b[?62;22c"), (re.compile(rb"\x1b\[6n"), b"\x1b[1;1R"), (re.compile(rb"\x1b\[\?2026\$p"), b"\x1b[?2026;0$y"))


class Terminal:
    """A program on a pty of `columns` x `lines`."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], columns: int = 120, lines: int = 40) -> None:
        self.raw = bytearray()
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._code: int | None = None
        self.late = 0.0
        """Seconds after which answers arrive: the line's way there and back."""
        self._answers: list[tuple[float, bytes]] = []
        self._shown: tuple[int, str] = (-1, "")
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], list(argv), dict(environment))
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        """Another size, with the signal that tells."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        if lines and columns:
            self.screen.resize(lines, columns)
            self._shown = (-1, "")

    def send(self, keys: str | bytes) -> None:
        """Type."""
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def read(self, quiet: float = 0.25, longest: float = 5.0) -> int:
        """Take what comes until nothing came for `quiet` seconds; how many bytes that was."""
        start, until = len(self.raw), time.monotonic() + longest
        while time.monotonic() < until:
            ready, _, _ = select.select([self.master], [], [], min(quiet, 0.02) if self._answers else quiet)
            self._answer()
            if not ready:
                if self._answers:
                    continue
                break
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self._take(data)
        return len(self.raw) - start

    def _take(self, data: bytes) -> None:
        self.raw += data
        self._stream.feed(re.sub(rb"\x1b\[[<>=][0-9;]*[a-zA-Z]|\x1b\[\?[0-9;]*\$p|\x1bP[^\x1b]*\x1b\\", b"", data))
        for pattern, answer in ANSWERS:
            self._answers += [(time.monotonic() + self.late, answer) for _ in pattern.findall(data)]
        self._answer()

    def _answer(self) -> None:
        while self._answers and self._answers[0][0] <= time.monotonic():
            os.write(self.master, self._answers.pop(0)[1])

    def text(self) -> str:
        """The screen as lines; drawn anew only when something came."""
        if self._shown[0] != len(self.raw):
            self._shown = (len(self.raw), "\n".join(line.rstrip() for line in self.screen.display))
        return self._shown[1]

    def wait_for(self, wanted: str, timeout: float = 15.0) -> str:
        """Until the screen shows a text; AssertionError with the screen otherwise."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if wanted in self.text():
                return self.text()
            self.read(quiet=0.01, longest=0.05)
        raise AssertionError(f"{wanted!r} did not come; the screen is:\n{self.text()}")

    def wait_gone(self, unwanted: str, timeout: float = 10.0) -> None:
        """Until a text is no longer on the screen."""
        until = time.monotonic() + timeout
        while unwanted in self.text():
            assert time.monotonic() < until, f"{unwanted!r} stays:\n{self.text()}"
            self.read(quiet=0.01, longest=0.05)

    def settle(self, quiet: float = 0.6, longest: float = 8.0) -> None:
        """Until the program has nothing more to say."""
        self.read(quiet, longest)

    def hang_up(self) -> None:
        """The line drops."""
        os.close(self.master)
        self.master = -1

    def exit_code(self, timeout: float = 5.0) -> int:
        """How it ended: the exit code, or 128 + the signal."""
        until = time.monotonic() + timeout
        while self._code is None:
            if self.master >= 0:
                self.read(quiet=0.01, longest=0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
                self._code = 128 - self._code if self._code < 0 else self._code
            elif time.monotonic() > until:
                raise AssertionError("it does not end")
            else:
                select.select([], [], [], 0.01)
        return self._code

    def close(self) -> None:
        """End it, whatever it does."""
        if self._code is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.master >= 0:
            os.close(self.master)
            self.master = -1
