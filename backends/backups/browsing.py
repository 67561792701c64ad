"""`Browsing`: files of snapshots as a screen wants them - at once, ahead, counted, looked for, against what is live. Never imports textual.

Everything that takes long has a `stop`: set it, or cancel the call, and the tool is ended.
"""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from backends.backups.live_files import Comparison, same_host
from backends.backups.model import Content, Diff, Entry, Found, Glimpse, LiveCount, LiveDifference, Snapshot, Tally
from backends.backups.tools import BackupTool
from backends.errors import NotFound, Refused
from backends.text import clean
from backends.threads import in_thread

SLACK = 14.0
"""Seconds a thread is given beyond the tool's own deadline: the time to end it."""
FOUND_LIMIT = 20_000
KEPT_ENTRIES = 30_000
"""Of all directories that were read, for the session: about 20 MB. One larger directory is kept alone."""
R = TypeVar("R")


class Browsing(ABC):
    """The reads of `ToolBackend` that are about files."""

    tool: BackupTool
    _scan: float
    _deadline: float

    def __init__(self) -> None:
        self._directories: OrderedDict[tuple[str, bytes], Sequence[Entry]] = OrderedDict()
        self._tallies: dict[tuple[str, bytes], Tally] = {}
        self._opened: dict[str, Snapshot] = {}

    @abstractmethod
    async def snapshot(self, id: str) -> Snapshot:
        """By full or short id."""

    @abstractmethod
    async def all_snapshots(self) -> list[Snapshot]:
        """From the repository, at most a minute old."""

    async def _by(self, id: str) -> Snapshot:
        """What is in a snapshot never changes: the tool is asked once for each that is looked into."""
        found = self._opened.get(id) or await self.snapshot(id)
        self._opened[found.id] = found
        return found

    async def _stoppable(self, stop: threading.Event, call: Callable[[], R]) -> R:
        """In a thread; a cancelled call ends the tool."""
        try:
            return await in_thread(self._scan + SLACK, call)
        except asyncio.CancelledError:
            stop.set()
            raise

    # -- directories ------------------------------------------------------------------------------------

    def known(self, snapshot: str, path: bytes) -> Sequence[Entry] | None:
        """A directory that was read already, by the snapshot's full id: no process, no waiting."""
        key = (snapshot, path.rstrip(b"/") or b"/")
        if key in self._directories:
            self._directories.move_to_end(key)
        return self._directories.get(key)

    def _keep(self, snapshot: str, found: Mapping[bytes, Sequence[Entry]]) -> None:
        for path, listed in found.items():
            self._directories[snapshot, path.rstrip(b"/") or b"/"] = listed
        while len(self._directories) > 1 and sum(map(len, self._directories.values())) + len(self._directories) > KEPT_ENTRIES:
            self._directories.popitem(last=False)

    async def directories(self, snapshot: str, paths: Sequence[bytes]) -> Mapping[bytes, Sequence[Entry]]:
        """One call of the tool for all that are not known yet."""
        one = await self._by(snapshot)
        asked = {path: path.rstrip(b"/") or b"/" for path in paths}
        there = {key: listed for key in dict.fromkeys(asked.values()) if (listed := self.known(one.id, key)) is not None}
        unknown = [key for key in dict.fromkeys(asked.values()) if key not in there]
        if unknown:
            stop = threading.Event()
            found = await self._stoppable(stop, lambda: self.tool.directories(one, unknown, stop))
            self._keep(one.id, found)
            there.update(found)
        return {path: there[key] for path, key in asked.items() if key in there}

    async def read_ahead(self, snapshot: str, paths: Sequence[bytes], stop: threading.Event) -> int:
        """Directories that may be wanted next, in one call; how many are now known. What would need another call is left out."""
        one = await self._by(snapshot)
        unknown = [path for path in paths if self.known(one.id, path) is None]
        if not unknown:
            return 0
        found = await self._stoppable(stop, lambda: self.tool.directories(one, unknown, stop, True))
        size = 0
        kept: dict[bytes, Sequence[Entry]] = {}
        for path in unknown:  # the first are the likeliest: what is on screen must not be pushed out by them
            size += len(found.get(path, ()))
            if path in found and size < KEPT_ENTRIES // 2:
                kept[path] = found[path]
        self._keep(one.id, kept)
        return len(kept)

    async def files(self, snapshot: str, path: bytes = b"/") -> Sequence[Entry]:
        """Direct children."""
        found = await self.directories(snapshot, [path])
        if path not in found:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
        return found[path]

    async def glimpse(self, snapshot: str, path: bytes) -> Glimpse | None:
        """A directory while the tool reads the whole snapshot; None where the tool can look into one directory alone."""
        one = await self._by(snapshot)
        return await in_thread(self._deadline + SLACK, self.tool.glimpse, one, path)

    # -- names, counts, contents ------------------------------------------------------------------------

    async def find(self, pattern: str, snapshot: str = "") -> Sequence[Found]:
        """A shell pattern through one or all snapshots; the first 20,000."""
        out: list[Found] = []
        await self.search(pattern, snapshot, out.append, threading.Event(), FOUND_LIMIT)
        return out

    async def search(self, pattern: str, snapshot: str, tell: Callable[[Found], None], stop: threading.Event, limit: int = FOUND_LIMIT) -> bool:
        """The same, each told as it comes (in another thread). True when there are more than `limit`."""
        chosen = [await self._by(snapshot)] if snapshot else [one for one in await self.all_snapshots() if one.readable]

        def look() -> bool:
            found = self.tool.find(pattern, chosen, stop)
            for count, item in enumerate(found):
                if count >= limit:
                    stop.set()
                    return True
                tell(item)
            return False

        return await self._stoppable(stop, look)

    async def tally(self, snapshot: str, paths: Sequence[bytes], tell: Callable[[int], None], stop: threading.Event) -> Mapping[bytes, Tally]:
        """How much is in those folders, with all below. `tell` hears (in another thread) how many entries were read. Known ones cost nothing."""
        one = await self._by(snapshot)
        unknown = [path for path in paths if (one.id, path) not in self._tallies]
        if unknown:
            found = await self._stoppable(stop, lambda: self.tool.tally(one, unknown, tell, stop))
            self._tallies.update({(one.id, path): count for path, count in found.items()})
        return {path: self._tallies[one.id, path] for path in paths if (one.id, path) in self._tallies}

    async def diff(self, old: str, new: str) -> Diff:
        """From the older to the newer."""
        return await in_thread(self._scan + SLACK, self.tool.diff, await self._by(old), await self._by(new))

    async def read(self, snapshot: str, path: bytes, limit: int = 65536) -> Content:
        """The beginning of a file."""
        return await in_thread(self._scan + SLACK, self.tool.read, await self._by(snapshot), path, limit)

    async def compare_live(self, snapshot: str, path: bytes, tell: Callable[[LiveDifference], None], stop: threading.Event) -> LiveCount:
        """How what is on this host now differs from the snapshot, below a path; told (in another thread) as it is found.

        Refused where the snapshot is of another host. Nothing is written, no content is read.
        """
        one = await self._by(snapshot)
        here = os.uname().nodename
        if not same_host(one.host, here):
            raise Refused(f"the snapshot is of {one.host or 'an unknown host'}, this is {here}", hint="Compare on the host it is of, or restore into a new folder.")
        path = b"/" + path.strip(b"/")

        def compare() -> LiveCount:
            work = Comparison(path, tell, stop)
            kind = self._kind(one, path)
            if kind.kind != "dir":
                work.one(kind, path)
                return work.count()
            for folder, entries in self.tool.folders(one, path, stop):
                work.folder(folder, entries)
            return work.count()

        return await self._stoppable(stop, compare)

    def _kind(self, one: Snapshot, path: bytes) -> Entry:
        if path == b"/":
            return Entry(b"/", "/", "dir")
        parent = path.rpartition(b"/")[0] or b"/"
        listed = self.known(one.id, parent) or self.tool.directories(one, [parent]).get(parent, ())
        found = next((entry for entry in listed if entry.path == path), None)
        if found is None:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
        return found


