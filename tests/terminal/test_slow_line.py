"""A slow line: the terminal's answers pace the frames, so that what is shown is never far behind what was typed."""

from __future__ import annotations

import os
import re
import select
import time
from collections.abc import Callable

from tests.terminal.harness import Terminal

Console = Callable[..., Terminal]
BYTES_A_SECOND = 8_000
"""64 kbit/s."""


class SlowLine:
    """Reads a terminal's bytes into a buffer at once, as sshd does, and shows them to it at the speed of the line."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.queue = bytearray()
        self.longest = 0

    def run(self, seconds: float) -> None:
        until, last = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < until:
            ready, _, _ = select.select([self._terminal.master], [], [], 0.01)
            if ready:
                self.queue += os.read(self._terminal.master, 65_536)
                self.longest = max(self.longest, len(self.queue))
            at = time.monotonic()
            part = int((at - last) * BYTES_A_SECOND)
            if part and self.queue:
                self._terminal._take(bytes(self.queue[:part]))
                del self.queue[:part]
            if part:
                last = at


def test_pages_turned_in_a_hurry_do_not_pile_up(console: Console) -> None:
    terminal = console()
    terminal.wait_for("T-")
    terminal.settle(1.2)
    terminal.send("f")
    terminal.settle(0.8)
    line = SlowLine(terminal)
    for place in range(40):
        terminal.send("\x1b[6~" if place % 2 == 0 else "\x1b[5~")
        line.run(0.1)
    terminal.send(":theme light\r")
    started = time.monotonic()
    while line.queue or time.monotonic() - started < 1.0:
        line.run(0.2)
        assert time.monotonic() - started < 20
    assert line.longest <= 40_000, f"{line.longest} bytes were waiting for the line"
    assert len(re.findall(rb"\x1b\[6n", bytes(terminal.raw))) < 60


def test_a_terminal_that_never_answers_is_served_all_the_same(console: Console, monkeypatch: object) -> None:
    import tests.terminal.harness as harness

    before = harness.ANSWERS
    harness.ANSWERS = tuple(item for item in before if b"6n" not in item[0].pattern)  # type: ignore[assignment]
    try:
        terminal = console()
        terminal.wait_for("Accounts 150", timeout=30)
        for _ in range(5):
            terminal.send("\t")
            terminal.settle(0.3)
        terminal.send("?")
        terminal.wait_for("Keys", timeout=20)
    finally:
        harness.ANSWERS = before
