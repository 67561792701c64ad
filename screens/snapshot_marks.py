"""`SnapshotMarks`: what is marked in a snapshot, over all its folders - how much that is, counted behind the list, and what holds a mark further down."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.backups.contract import CountsFiles
from backends.backups.model import Entry, Tally
from backends.errors import BackendError
from backends.text import size
from screens.snapshot_work import meanwhile

if TYPE_CHECKING:
    from screens.snapshot import SnapshotScreen

PAUSE = 0.3
"""Whoever marks several folders has them counted in one call."""


class SnapshotMarks:
    """A folder stands for all that is in it."""

    def __init__(self, screen: SnapshotScreen) -> None:
        self._screen = screen
        self.entries: dict[str, Entry] = {}
        self.above: frozenset[bytes] = frozenset()
        """Folders that are not marked themselves and have a mark somewhere below."""
        self._outermost: list[Entry] = []
        self._tallies: dict[bytes, Tally] = {}
        self._heard = 0
        self._error = ""
        self._counting: asyncio.Task[Any] | None = None

    def set(self, marks: set[str], shown: Mapping[str, Entry]) -> bool:
        """The grid's marks as entries: those of other folders stay. True when signs of folders that are shown may have changed."""
        self.entries = {key: found for key in marks if (found := self.entries.get(key) or shown.get(key)) is not None}
        folders = {entry.path for entry in self.entries.values() if entry.kind == "dir"}
        over = {entry.path: set(parents(entry.path)) for entry in self.entries.values()}
        self._outermost = [entry for entry in self.entries.values() if not over[entry.path] & folders]
        before, self.above, self._error = self.above, frozenset(set().union(*over.values()) - folders), ""
        if self._uncounted() and (self._counting is None or self._counting.done()):
            self._counting = self._screen.flow(self._count())
        elif not self._uncounted() and self._counting is not None:
            self._counting.cancel()
            self._counting = None
        return before != self.above

    def holds(self, path: bytes) -> bool:
        """All of this folder is marked, by itself or by one above it."""
        return any(entry.path == path or entry.path in parents(path) for entry in self._outermost if entry.kind == "dir")

    def chosen(self) -> list[Entry]:
        """What is marked."""
        return list(self.entries.values())

    def words(self) -> str:
        """"3 marked: 1,204 files, 88 MiB"; "" when nothing is."""
        if not self.entries:
            return ""
        if not isinstance(self._screen.work.backend, CountsFiles):
            return f"{counted(self.chosen())} marked"
        said = f"{len(self.entries):,} marked: "
        if self._error:
            return f"{said}not counted, {self._error}"
        if self._uncounted():
            return said + (f"counting, {self._heard:,} read ..." if self._heard else "counting ...")
        tallies = [self._tallies[entry.path] for entry in self._outermost if entry.kind == "dir"]
        alone = [entry for entry in self._outermost if entry.kind != "dir"]
        files = len(alone) + sum(tally.files for tally in tallies)
        return f"{said}{files:,} {'file' if files == 1 else 'files'}, {size(sum(entry.size for entry in alone) + sum(tally.bytes for tally in tallies))}"

    def _uncounted(self) -> list[bytes]:
        return [entry.path for entry in self._outermost if entry.kind == "dir" and entry.path not in self._tallies]

    async def _count(self) -> None:
        """Until all that is marked is counted; what was counted once is known."""
        work, screen = self._screen.work, self._screen
        if not isinstance(work.backend, CountsFiles):
            return
        try:
            await asyncio.sleep(PAUSE)
            while wanted := self._uncounted():
                self._heard = 0
                found = await meanwhile(work.backend.tally(work.ident, wanted, self._hear, threading.Event()), screen.show_trail)
                self._tallies.update({path: found.get(path, Tally()) for path in wanted})
        except BackendError as error:
            self._error = error.title.lower()
        finally:
            self._heard = 0
            screen.show_trail()

    def _hear(self, read: int) -> None:
        self._heard = read


def parents(path: bytes) -> Iterator[bytes]:
    """The folders over a path, the nearest first."""
    while (path := path.rstrip(b"/").rpartition(b"/")[0]):
        yield path
    yield b"/"


def counted(entries: Sequence[Entry]) -> str:
    """"3 files (1.2 MiB) and 2 folders"."""
    folders = sum(entry.kind == "dir" for entry in entries)
    files = len(entries) - folders
    said = [f"{files} {'file' if files == 1 else 'files'} ({size(sum(entry.size for entry in entries if entry.kind != 'dir'))})"] if files else []
    said += [f"{folders} {'folder' if folders == 1 else 'folders'} with all in them"] if folders else []
    return " and ".join(said)
