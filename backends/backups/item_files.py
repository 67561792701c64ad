"""`ItemFiles`: the numbered files borg writes an archive's items into, read while it still writes and taken away one by one.

Standard library only: the process that builds an index must start quickly.
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

from backends.backups.borg_rows import Unreadable

CHUNK = 1 << 19
AHEAD = 1500
"""Files (about 128 KB each) that borg may be ahead. It holds a lock: the sooner it is done, the better."""
SHARE = 1 << 19
"""Free bytes that are wanted for each of them."""
LOOK_SECONDS = 0.05


class ItemFiles:
    """borg names each file in its output before it writes it. A file is whole when the next one is there, or borg has ended; when
    borg is too far ahead its output is not read, and it waits."""

    def __init__(self, folder: str, output: int) -> None:
        """`output`: the reading end of borg's standard output."""
        self._folder, self._output = folder, output
        self._named = 0
        self._done = 0
        self._ended = False
        free = os.statvfs(folder)
        self._ahead = max(1, min(AHEAD, free.f_bavail * free.f_frsize // SHARE))

    def parts(self) -> Iterator[bytes]:
        """What is in them, in order."""
        while True:
            ended = self._ended
            whole = self._whole()
            for path in whole:
                yield from _read(path)
                os.unlink(path)
                self._done += 1
                self._hear(0.0)
            if ended and not whole:
                return
            if not whole:
                self._hear(LOOK_SECONDS, wanted=True)

    def _whole(self) -> list[str]:
        there = {}
        ended = self._ended  # before the look: what is looked at is then all there will be
        with os.scandir(self._folder) as found:
            for one in found:
                number = one.name.partition("_")[0]
                if number.isdigit():
                    there[int(number)] = one.path
        last = self._done
        while last in there:
            last += 1
        if ended and last != self._done + len(there):
            raise Unreadable("a part of the archive's list of files is missing")
        if not ended and last == self._done + len(there):
            last -= 1
        return [there[number] for number in range(self._done, last)]

    def _hear(self, seconds: float, wanted: bool = False) -> None:
        if self._ended or (self._named - self._done > self._ahead and not wanted):
            return
        if select.select([self._output], [], [], seconds)[0]:
            heard = os.read(self._output, 1 << 16)
            self._named += heard.count(b"\n")
            self._ended = not heard


def _read(path: str) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        while part := file.read(CHUNK):
            yield part
