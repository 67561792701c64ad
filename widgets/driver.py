"""`ThinDriver`: sends only the cells that changed, and only the newest frame. Built on Textual's own driver (which is pinned exactly,
because private names are used here: its writer thread, its input decoder).

Textual's writer queues up to thirty frames and then stops the event loop; here `write` only updates the wanted screen, and a thread
sends the difference whenever the terminal takes it. A slow line skips frames, a stalled one holds nothing but that thread.

The system and sshd buffer megabytes, so "the terminal takes it" says little: each frame ends with a question for the cursor's place,
and while two of them are unanswered nothing more is sent. What comes next is then the newest frame and not a queue of old ones.
"""

from __future__ import annotations

import codecs
import functools
import os
import threading
import time
from typing import IO, Any

from textual import events
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from widgets.cells import Cells

PASTE_LIMIT = 65_536
BURST_GAP, BURST_KEYS = 0.03, 5
STOP_SECONDS = 0.5
ANSWER_SECONDS = 0.3
"""How long leaving waits for answers that are on their way: they must not end up on the shell's prompt."""
ASK = "\x1b[6n"
IN_FLIGHT = 2
"""Frames the terminal may not have answered yet."""
NO_ANSWER = 4.0
"""Seconds after which a terminal that has never answered is not asked any more, and one that has is sent the next frame anyway."""


class ThinWriter(threading.Thread):
    """The thread that sends differences. It stands in for Textual's `WriterThread`."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(daemon=True, name="thin-output")
        self._file = file
        self._lock = threading.Condition()
        self._cells = Cells(*self._size())
        self._waiting = False
        self._stopping = False
        self._asked = 0
        self._asked_at = 0.0
        self._answers = 0
        self._asks = True

    def answered(self) -> None:
        """The terminal has shown a frame."""
        with self._lock:
            self._answers += 1
            self._asked = max(0, self._asked - 1)
            self._lock.notify()

    def _may_send(self) -> bool:
        """Fewer than two frames are on their way, or waiting for them has become pointless."""
        if not self._asks or self._asked < IN_FLIGHT or self._stopping:
            return True
        if time.monotonic() - self._asked_at < NO_ANSWER:
            return False
        if not self._answers:
            self._asks = False
        self._asked = IN_FLIGHT - 1
        return True

    def wait_for_answers(self) -> None:
        """Ask nothing more, and wait a little for what was asked already."""
        until = time.monotonic() + ANSWER_SECONDS
        with self._lock:
            asked, self._asks = self._asks, False
            while asked and self._asked and (left := until - time.monotonic()) > 0:
                self._lock.wait(left)

    def _size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._file.fileno())
        except OSError:
            return 80, 24
        return max(1, size.columns), max(1, size.lines)

    def write(self, text: str) -> None:
        """Never blocks: the wanted screen is updated, the thread is told."""
        with self._lock:
            size = self._size()
            if size != (self._cells.width, self._cells.height):
                self._cells.resize(*size)
            self._cells.feed(text)
            self._waiting = True
            self._lock.notify()

    def flush(self) -> None:
        """The thread flushes."""

    def isatty(self) -> bool:
        """It stands for a terminal."""
        return True

    def fileno(self) -> int:
        """The terminal's."""
        return self._file.fileno()

    def run(self) -> None:
        """Send differences until told to stop."""
        while True:
            with self._lock:
                while not self._stopping and not (self._waiting and self._may_send()):
                    self._lock.wait(0.5 if self._waiting else None)
                if not self._waiting:
                    return
                self._waiting = False
                data = self._cells.difference()
                if data and self._asks and not self._stopping:
                    data += ASK
                    self._asked += 1
                    self._asked_at = time.monotonic()
            if data and not self._send(data.encode("utf-8", "replace")):
                return

    def _send(self, data: bytes) -> bool:
        place = 0
        while place < len(data):
            try:
                place += os.write(self._file.fileno(), data[place : place + 4096])
            except BlockingIOError:
                time.sleep(0.005)  # the terminal was set non-blocking by another program
            except OSError:
                return False
        return True

    def stop(self) -> None:
        """Send what is left, but do not wait for a terminal that takes nothing."""
        with self._lock:
            self._stopping = True
            self._lock.notify()
        self.join(STOP_SECONDS)


class ThinDriver(LinuxDriver):
    """Textual's Linux driver with the thin writer, a tolerant input decoder, a cap on pastes and a guard against bursts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._last_key = 0.0
        self._burst = 0
        self.paste_cut = False
        """A paste was longer than the limit and was cut."""

    def start_application_mode(self) -> None:
        """With our writer and decoder in the place of Textual's."""
        linux_driver.WriterThread = ThinWriter  # type: ignore
        # One bad byte of input ends Textual's input thread; a replacement character does not.
        linux_driver.getincrementaldecoder = _tolerant  # type: ignore
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def disable_input(self) -> None:
        """Hear the answers that are still to come before nobody listens any more."""
        if isinstance(self._writer_thread, ThinWriter):
            self._writer_thread.wait_for_answers()
        super().disable_input()  # type: ignore[no-untyped-call]

    def process_message(self, message: Message) -> None:
        """Count keys that come faster than a person types, cut pastes."""
        if isinstance(message, events.Key):
            at = time.monotonic()
            self._burst = self._burst + 1 if at - self._last_key < BURST_GAP else 0
            self._last_key = at
        elif isinstance(message, events.CursorPosition):
            if isinstance(self._writer_thread, ThinWriter):
                self._writer_thread.answered()
            return
        elif isinstance(message, events.Paste) and len(message.text) > PASTE_LIMIT:
            self.paste_cut = True
            message = events.Paste(message.text[:PASTE_LIMIT])
        super().process_message(message)

    @property
    def in_burst(self) -> bool:
        """Keys come as from a paste without brackets: nothing that changes something should listen."""
        return self._burst >= BURST_KEYS


def _tolerant(encoding: str) -> Any:
    return functools.partial(codecs.getincrementaldecoder(encoding), errors="replace")
