"""`SnapshotWork`: what the browser of a snapshot does behind its list - reading, reading ahead, looking for names. No key waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from backends.backups.contract import ReadsAhead, SearchesFiles
from backends.backups.model import Entry, Found
from backends.errors import BackendError, NotFound

if TYPE_CHECKING:
    from screens.snapshot import SnapshotScreen

EVERY = 0.2
"""Seconds between two looks at what has come."""
FOUND_MOST = 20_000
AHEAD = 60
"""Directories that are read ahead in one call."""
PAUSE = 0.1
"""Who walks on at once has nothing read ahead for the place that is left."""
R = TypeVar("R")


async def meanwhile(call: Awaitable[R], show: Callable[[], None]) -> R:
    """Wait for a call, and show now and then what has come."""
    task = asyncio.ensure_future(call)
    try:
        while not (await asyncio.wait([task], timeout=EVERY))[0]:
            show()
        return await task
    finally:
        task.cancel()


class SnapshotWork:
    """One thing is read at a time: whoever goes elsewhere ends what was read for the place before."""

    def __init__(self, screen: SnapshotScreen) -> None:
        self._screen = screen
        self._entering: asyncio.Task[Any] | None = None
        self._behind: asyncio.Task[Any] | None = None
        self.partial: int | None = None
        """Entries that were read so far, while the tool reads the whole archive."""
        self.looking = False
        """Names are being looked for."""

    @property
    def backend(self) -> Any:
        """Where the snapshot is kept."""
        opened = self._screen.backend_for(None)
        return opened.backend if opened is not None else None

    @property
    def ident(self) -> str:
        """The full id, once the snapshot was found."""
        snapshot = self._screen.snapshot
        return snapshot.id if snapshot is not None else self._screen.ref.id

    @property
    def entering(self) -> bool:
        """A directory is being read that was asked for."""
        return self._entering is not None and not self._entering.done()

    def begin(self) -> None:
        """From now on only what the calling task reads is of interest."""
        mine = asyncio.current_task()
        for task in (self._entering, self._behind):
            if task is not None and task is not mine:
                task.cancel()
        self._entering, self.partial = mine, None

    def end(self) -> None:
        """Nothing is of interest any more."""
        for task in (self._entering, self._behind):
            if task is not None:
                task.cancel()
        self.partial = None

    # -- directories ------------------------------------------------------------------------------------

    def known(self, path: bytes) -> Sequence[Entry] | None:
        """A directory that was read already."""
        backend = self.backend
        return backend.known(self.ident, path) if isinstance(backend, ReadsAhead) else None

    async def read(self, path: bytes) -> Sequence[Entry]:
        """A directory; `partial` is set when more of it will come."""
        backend = self.backend
        seen = await backend.glimpse(self.ident, path) if isinstance(backend, ReadsAhead) else None
        if seen is None:
            listed: Sequence[Entry] = await backend.files(self.ident, path)
            return listed
        self.partial = None if seen.whole else seen.read
        return seen.entries

    def go_on(self, path: bytes, near: Sequence[bytes]) -> None:
        """Behind the directory that is shown: the rest of it, or what may be wanted next."""
        if self.partial is not None:
            self._behind = self._screen.flow(self._watch(path))
        elif isinstance(self.backend, ReadsAhead):
            wanted = [one for one in near if self.known(one) is None][:AHEAD]
            self._behind = self._screen.flow(self._read_ahead(wanted)) if wanted else None

    async def _read_ahead(self, paths: Sequence[bytes]) -> None:
        await asyncio.sleep(PAUSE)
        try:
            await self.backend.read_ahead(self.ident, paths, threading.Event())
        except BackendError:
            return  # said when one of them is entered

    async def _watch(self, path: bytes) -> None:
        screen = self._screen
        try:
            while self.partial is not None:
                await asyncio.sleep(EVERY)
                seen = await self.backend.glimpse(self.ident, path)
                self.partial = None if seen.whole else seen.read
                screen.more_came(seen.entries)
        except BackendError as error:
            self.partial = None
            if isinstance(error, NotFound) and await screen.guessed_wrong():
                return
            screen.show_error(error)
            raise
        screen.read_on()

    # -- names ------------------------------------------------------------------------------------------

    async def look(self, pattern: str, show: Callable[[Sequence[Found]], None]) -> bool:
        """A name through the whole snapshot, shown as it is found; True when there are more than are shown. Cancelling ends it."""
        self.begin()
        backend, found, shown = self.backend, list[Found](), 0

        def tell() -> None:
            nonlocal shown
            new, shown = found[shown:], len(found)
            show(new)

        self.looking = True
        try:
            if isinstance(backend, SearchesFiles):
                return await meanwhile(backend.search(pattern, self.ident, found.append, threading.Event(), FOUND_MOST), tell)
            found.extend(await backend.find(pattern, self.ident))
            return False
        finally:
            self.looking = False
            tell()
