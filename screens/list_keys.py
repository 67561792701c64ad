"""What all lists share beyond moving: filter, saved views, sorts, faults only. The state lives in the pane's source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from backends.errors import BackendError

if TYPE_CHECKING:
    from screens.base import ConsoleScreen, Handler
    from screens.pane import Pane

VIEW_KEYS = "123456789abcdefghilmnop"


class ListKeys:
    """Filter, views and sorts of the pane in use."""

    def __init__(self, screen: ConsoleScreen, pane: Callable[[], Pane]) -> None:
        self._screen = screen
        self._pane = pane
        self._history: dict[str, list[str]] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {
            "list.filter": self.filter, "list.views": self.choose_view, "list.sort-next": lambda: self.sort(1),
            "list.sort-previous": lambda: self.sort(-1), "list.faults": self.faults, "list.reverse": self.reverse,
            "list.copy": self.copy,
        }  # fmt: skip

    async def filter(self) -> None:
        """Filter as one types; enter keeps it, esc brings the old one back."""
        pane = self._pane()
        before, past = pane.source.query, self._history.setdefault(pane.source.domain, [])
        typed = await self._screen.bottom.ask(
            "/", pane.source.typed, history=past, complete=await self._completer(pane), live=lambda text: self.apply(pane, text, quiet=True)
        )
        if typed is None:
            pane.source.query = before
            pane.start()
            return
        pane.source.typed = typed
        if typed and typed not in past:
            past.append(typed)
        self.apply(pane, typed, quiet=False)

    async def _completer(self, pane: Pane) -> Callable[[str], list[str]] | None:
        """For tickets: fields, and the words their system knows if it says so at once."""
        if pane.source.domain != "tickets":
            return None
        from console.query_completion import completer

        words = None
        for backend in pane.source.backends()[:1]:
            try:
                words = await asyncio.wait_for(backend.vocabulary(), 0.3)
            except (BackendError, TimeoutError):
                continue
        return completer(words, self._screen.desk.actor.login)

    def apply(self, pane: Pane, text: str, quiet: bool = False) -> None:
        """Show what matches a filter text; a mistake in it is said unless `quiet`."""
        from console.query_text import read_query

        source = pane.source
        try:
            source.query = read_query(source.domain, text, source.query, self._screen.desk.actor.login)
        except BackendError as error:
            if not quiet:
                self._screen.fail(error)
            return
        pane.start()

    def clear(self) -> None:
        """Esc on a list: the filter goes, then the marks."""
        pane = self._pane()
        flag = "faults" if hasattr(pane.source.query, "faults") else "overdue"
        if pane.source.query.text or getattr(pane.source.query, "terms", ()) or getattr(pane.source.query, flag, False):
            pane.source.typed = ""
            self.apply(pane, "", quiet=False)
            if hasattr(pane.source.query, flag):
                pane.source.change(**{flag: False})
                pane.start()
        elif pane.grid.marks:
            pane.grid.unmark()
            pane.show_head()
        self._screen.say("")

    async def choose_view(self) -> None:
        """A saved view by its digit or letter."""
        from console.views import views

        pane = self._pane()
        found = views(self._screen.desk.config, pane.source.domain, self._screen.desk.actor.login)
        if not found:
            self._screen.say(f"No saved views for {pane.source.domain}; add [views.NAME] to the configuration.", "warn")
            return
        items = [
            (VIEW_KEYS[place], str(place), view.name + ("  " + view.text if view.text else ""))
            for place, view in enumerate(found[: len(VIEW_KEYS)])
        ]
        answer = await self._screen.bottom.choose(f"{pane.source.title}: which view?", items)
        if answer is not None:
            self.show_view(pane, found[int(answer)].name)

    def show_view(self, pane: Pane, name: str) -> bool:
        """Show a saved view by its name; False when there is none."""
        from console.views import views

        for view in views(self._screen.desk.config, pane.source.domain, self._screen.desk.actor.login):
            if view.name == name:
                pane.source.query, pane.source.view, pane.source.typed = view.query, view.name, ""
                pane.start()
                return True
        return False

    def sort(self, by: int) -> None:
        """The next or the previous sort key."""
        pane = self._pane()
        query = pane.source.query
        if not hasattr(query, "sort"):
            return
        sorts = pane.source.sorts
        place = sorts.index(query.sort) if query.sort in sorts else 0
        key = sorts[(place + by) % len(sorts)]
        down = key in ("severity", "updated_at", "created_at", "last_success", "size", "number")
        pane.source.change(sort=key, descending=down)
        pane.start()
        self._screen.say(f"Sorted by {key.replace('_', ' ')}, {'descending' if down else 'ascending'}; o turns it round.")

    def reverse(self) -> None:
        """The other direction."""
        pane = self._pane()
        if hasattr(pane.source.query, "descending"):
            pane.source.change(descending=not pane.source.query.descending)
            pane.start()

    def faults(self) -> None:
        """Only what is not well, and back."""
        pane = self._pane()
        field = "faults" if hasattr(pane.source.query, "faults") else "overdue" if hasattr(pane.source.query, "overdue") else ""
        if field:
            pane.source.change(**{field: not getattr(pane.source.query, field)})
            pane.start()

    def copy(self) -> None:
        """The id of the row to the terminal's clipboard."""
        key = self._pane().grid.cursor_key
        row = self._pane().grid.window.row(self._pane().grid.cursor)
        if key and row:
            word = row.cells[0] if self._pane().source.domain == "tickets" else key.split(":", 2)[2]
            self._screen.say(self._screen.console.copy(word))
