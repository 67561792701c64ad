"""Leaving: SIGHUP and SIGTERM end the console cleanly within a second, quitting never waits for a hung thread. Never imports textual."""

from __future__ import annotations

import os
import signal
import sys
import termios
import threading
from collections.abc import Callable
from types import FrameType

GRACE = 0.7
"""Seconds the console has for its own end; then the process ends anyway."""
RESTORE = "\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l\x1b[?25h\x1b[0m"
CODES = {signal.SIGHUP: 129, signal.SIGTERM: 143}


def _end(code: int, terminal: list[object] | None) -> None:
    """Put the terminal back without waiting for it, then end: a stalled terminal must not hold the process."""
    try:
        os.set_blocking(1, False)
        os.write(1, RESTORE.encode())
    except OSError:
        pass
    try:
        if terminal is not None:
            termios.tcsetattr(0, termios.TCSANOW, terminal)  # type: ignore[arg-type]
    except (OSError, termios.error):
        pass
    os._exit(code)


class Exits:
    """Signal handlers of a console. `ask` is called once, in the main thread, to end it the clean way."""

    def __init__(self, ask: Callable[[int], None]) -> None:
        self._ask = ask
        self.code: int | None = None
        try:
            self._terminal: list[object] | None = list(termios.tcgetattr(0))
        except (OSError, termios.error):
            self._terminal = None

    def install(self) -> None:
        """Take over both signals. A watchdog thread ends the process when the loop is blocked."""
        for number in CODES:
            signal.signal(number, self._signalled)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        if self.code is not None:
            return
        self.code = CODES[signal.Signals(number)]
        timer = threading.Timer(GRACE, _end, (self.code, self._terminal))
        timer.daemon = True
        timer.start()
        self._ask(self.code)


def leave_now(code: int) -> None:
    """End the process without joining threads: a hung server's thread would hold it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue
    os._exit(code)
