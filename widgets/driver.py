"""`ThinDriver`: sends only the cells that changed, and only the newest frame. Built on Textual's own driver (which is pinned exactly,
because private names are used here: its writer thread, its input decoder).

Textual's writer queues up to thirty frames and then stops the event loop; here `write` only updates the wanted screen, and a thread
sends the difference whenever the terminal takes it. A slow line skips frames, a stalled one holds nothing but that thread.
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


class ThinWriter(threading.Thread):
    """The thread that sends differences. It stands in for Textual's `WriterThread`."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(daemon=True, name="thin-output")
        self._file = file
        self._lock = threading.Condition()
        self._cells = Cells(*self._size())
        self._waiting = False
        self._stopping = False

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
                while not self._waiting and not self._stopping:
                    self._lock.wait()
                if not self._waiting:
                    return
                self._waiting = False
                data = self._cells.difference()
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

    def process_message(self, message: Message) -> None:
        """Count keys that come faster than a person types, cut pastes."""
        if isinstance(message, events.Key):
            at = time.monotonic()
            self._burst = self._burst + 1 if at - self._last_key < BURST_GAP else 0
            self._last_key = at
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
