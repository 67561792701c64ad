"""`Pane`: a list on the desk - its head line and its grid - fed by a `Source`."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical

from backends.errors import BackendError
from screens.sources import Source
from widgets.bars import Bar
from widgets.columns import Row
from widgets.grid import Grid
from widgets.window import CHUNK

LEAVE_SECONDS = 0.3


class Pane(Vertical):
    """A list with its head. It fetches what its grid asks for and says why there is nothing to see."""

    BLANK = True
    DEFAULT_CSS = "Pane { height: 1fr; width: 1fr; }"

    def __init__(self, source: Source, id: str | None = None) -> None:
        super().__init__(id=id)
        self.source = source
        self.grid = Grid(source.shown())
        source.late = self._late
        self.head = Bar(tone="bar-dim")
        self.error: BackendError | None = None
        self._fetching: dict[int, asyncio.Task[None]] = {}
        self._follow: str | None = None
        self._work: set[asyncio.Task[None]] = set()

    def compose(self) -> ComposeResult:
        """Head, then list."""
        yield self.head
        yield self.grid

    def on_mount(self) -> None:
        """Say that it is loading; the data comes when the backends are open."""
        self.start()

    # -- the list ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Read the list from its beginning (a new filter, view or sort, or the backends are open now)."""
        self.grid.sort = self.source.order()
        if not self.source.backends():
            self._say_why_empty()
        elif not self.source.recalled:
            self._do(self._recall())
        else:
            self.source.fresh()
            self.grid.restart()
            self.show_head()

    async def _recall(self) -> None:
        """As the list was left, the cursor on its record."""
        cursor = await self.source.recall()
        if self.is_attached:
            self._follow = cursor or None
            self.start()

    def again(self) -> None:
        """The list may have changed: read what is in view again, the cursor stays on its record."""
        if not self.source.backends():
            self._say_why_empty()
        elif not self.source.recalled:
            return
        elif self.grid.window.total == 0:
            self.source.fresh()
            self.grid.restart()
        else:
            self.source.fresh()
            self._recheck()

    def _recheck(self) -> None:
        self._follow = self._follow or self.grid.cursor_key
        self.grid.recheck()

    def _late(self) -> None:
        """A backend answered after the others were shown: its rows come in, the cursor stays on its record."""
        if self.is_attached and self.source.backends():
            if self.grid.window.total == 0:
                self.grid.restart()
            else:
                self._recheck()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    # -- how it was left --------------------------------------------------------------------------------

    def remember(self) -> None:
        """Keep view, filter, sort and cursor for the next time; in a thread, and a store that can't be written is no matter here."""
        if not self.source.kept or not self.source.recalled:
            return
        state, personal = self.source.state(self.grid.cursor_key), self.source.desk.personal

        def keep() -> None:
            with contextlib.suppress(BackendError):
                personal.leave(self.source.domain, state)

        self._keeping = threading.Thread(target=keep, daemon=True)
        self._keeping.start()

    _keeping: threading.Thread | None = None

    def on_descendant_blur(self) -> None:
        """A record is opened, another pane is used."""
        if self.grid.window.total:
            self.remember()

    def on_unmount(self) -> None:
        """The console is left: how the list stands is kept, if that is quick."""
        if self.grid.window.total:
            self.remember()
            if self._keeping is not None:
                self._keeping.join(LEAVE_SECONDS)

    # -- rows -------------------------------------------------------------------------------------------

    def on_grid_need(self, event: Grid.Need) -> None:
        """Fetch a chunk, off the key path."""
        event.stop()
        old = self._fetching.get(event.number)
        if old is not None and not old.done() and event.generation == self.grid.generation:
            old.cancel()
        self._fetching[event.number] = asyncio.create_task(self._fetch(event.number, event.generation))

    async def _fetch(self, number: int, generation: int) -> None:
        try:
            rows, total = await self.source.page(number * CHUNK, CHUNK)
        except BackendError as error:
            self._failed(error, generation)
            return
        if not self.is_attached or generation != self.grid.generation:
            return
        self.error = None
        if total == 0:
            self._say_no_match()
        await self._settle(rows, number, total, generation)
        self.show_head()

    async def _settle(self, rows: list[Row], number: int, total: int, generation: int) -> None:
        key, self._follow = self._follow, None
        self.grid.fill(number, rows, total, generation)
        if key is None or self.grid.cursor_key == key:
            return
        place = self.grid.window.index(key)
        if place is None:
            try:
                place = await self.source.position(key)
            except BackendError:
                return
        if place is not None and generation == self.grid.generation:
            self.grid.go(place)

    def _failed(self, error: BackendError, generation: int) -> None:
        if not self.is_attached or generation != self.grid.generation:
            return
        self.error = error
        self.grid.say_empty(f"{error.title}: {error.text}", error.hint, "R tries again")
        self.show_head()

    # -- what it says -----------------------------------------------------------------------------------

    def show_head(self) -> None:
        """Title, count, view and filter; why the data is old on the right."""
        total = self.grid.window.total
        marks = f"  {len(self.grid.marks)} marked" if self.grid.marks else ""
        left = [
            (" " + self.source.title, "bar"),
            (f" {total:,}{'' if self.source.exact else '+'}" if total else "", "bar-dim"),
            ("  " + self.source.subtitle() + marks, "bar-dim"),
        ]
        right = []
        if self.error is not None:
            right = [(f"{self.error.title.lower()} ", "bar-bad")]
        elif self.source.notes:
            right = [(brief(self.source.notes, self.size.width - sum(map(len, (text for text, _ in left)))) + " ", "bar-warn")]
        self.head.show(left, right)

    def on_resize(self) -> None:
        """A pane that was hidden gets its room: the note in its title, too."""
        self.show_head()

    def _say_no_match(self) -> None:
        query, title, make = self.source.query, self.source.title.lower(), "n makes one, " if self.source.domain == "tickets" else ""
        if self.source.typed or query.text or getattr(query, "faults", False) or getattr(query, "overdue", False):
            self.grid.say_empty(f"No {title} match {self.source.subtitle()!r}.", "esc clears the filter, v chooses a view.")
        elif self.source.view:
            self.grid.say_empty(f"No {title} in the view {self.source.view!r}.", f"{make}v chooses another view.")
        else:
            self.grid.say_empty(f"No {title} yet.")

    def _say_why_empty(self) -> None:
        opened = self.source.desk.backends(self.source.domain)
        if not opened:
            self.grid.say_empty(
                f"No {self.source.domain} are configured.",
                f"Add a [{self.source.domain}.NAME] table to the configuration; `deskside init` writes one.",
            )
        elif all(item.error is None for item in opened):
            self.grid.say_empty("Loading ...")
        else:
            error = next(item.error for item in opened if item.error is not None)
            self.error = error
            self.grid.say_empty(f"{error.title}: {error.text}", error.hint, "R tries again")
        self.show_head()


def brief(notes: Sequence[str], room: int) -> str:
    """The first note in the room there is, and how many more; `:query` says them in full."""
    more = f" (+{len(notes) - 1})" if len(notes) > 1 else ""
    room = max(14, room - 3 - len(more))
    return (notes[0] if len(notes[0]) <= room else notes[0][: room - 3].rstrip() + "...") + more
