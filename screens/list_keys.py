"""What all lists share beyond moving: filter, queues and saved views, sorts, faults only. The state lives in the pane's source."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from backends.errors import BackendError
from backends.threads import in_thread
from widgets.toned import Line

if TYPE_CHECKING:
    from console.views import View
    from screens.base import ConsoleScreen, Handler
    from screens.pane import Pane

DIGITS = "123456789"
LETTERS = "abcdefghilmnopqrstuvwxyz0"
FIGURES_FROM = 110
"""Columns from which the figures of queues are written out."""
TYPING_PAUSE = 0.08
"""Seconds without a key before a filter is applied: who types fast asks once, and no key waits for it."""


class ListKeys:
    """Filter, views and sorts of the pane in use."""

    def __init__(self, screen: ConsoleScreen, pane: Callable[[], Pane]) -> None:
        self._screen = screen
        self._pane = pane
        self._history: dict[str, list[str]] = {}
        self._typing: asyncio.TimerHandle | None = None

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {
            "list.filter": self.filter, "list.views": self.choose_view, "list.sort-next": lambda: self.sort(1),
            "list.sort-previous": lambda: self.sort(-1), "list.faults": self.faults, "list.reverse": self.reverse,
            "list.copy": self.copy,
        }  # fmt: skip

    # -- filter -----------------------------------------------------------------------------------------

    async def filter(self) -> None:
        """Filter as one types; enter keeps it, esc brings the old one back. A mistake is pointed at and the line stays."""
        pane = self._pane()
        before, past = (pane.source.query, pane.source.typed), self._history.setdefault(pane.source.domain, [])
        complete, text, above = await self._completer(pane), pane.source.typed, list[Line]()
        while True:
            typed = await self._screen.bottom.ask("/", text, history=past, complete=complete, live=lambda line: self._live(pane, line), above=above)
            self._stop_typing()
            if typed is None:
                pane.source.query, pane.source.typed = before
                pane.start()
                return
            try:
                pane.source.narrow(typed)
                break
            except BackendError as error:
                text, above = typed, pointed_at(error)
        if typed and typed not in past:
            past.append(typed)
        pane.start()
        pane.remember()

    def _live(self, pane: Pane, line: str) -> None:
        self._stop_typing()
        self._typing = asyncio.get_running_loop().call_later(TYPING_PAUSE, lambda: self.apply(pane, line, quiet=True))

    def _stop_typing(self) -> None:
        if self._typing is not None:
            self._typing.cancel()
            self._typing = None

    async def _completer(self, pane: Pane) -> Callable[[str], list[str]] | None:
        """For tickets: fields, and the words their systems know if they say so at once."""
        if pane.source.domain != "tickets":
            return None
        from console.query_completion import completer
        from console.vocabularies import united

        return completer(await united(pane.source.backends()), self._screen.desk.actor.login)

    def apply(self, pane: Pane, text: str, quiet: bool = False) -> bool:
        """Show what matches a filter text; a mistake in it is said unless `quiet`."""
        try:
            pane.source.narrow(text)
        except BackendError as error:
            if not quiet:
                self._screen.fail(error)
            return False
        pane.start()
        if not quiet:
            pane.remember()
        return True

    def clear(self) -> None:
        """Esc on a list: the filter goes, then the marks."""
        pane = self._pane()
        source = pane.source
        if source.typed or (source.flag and getattr(source.query, source.flag) and source.view != source.flag):
            source.bad = False
            self.apply(pane, "", quiet=False)
        elif pane.grid.marks:
            pane.grid.unmark()
            pane.show_head()
        self._screen.say("")

    # -- queues and views -------------------------------------------------------------------------------

    async def choose_view(self) -> None:
        """A saved view by its digit, a queue by its letter; queues with what is open, new and overdue in them."""
        from console.views import views

        pane = self._pane()
        found = await in_thread(5.0, views, self._screen.desk, pane.source.domain)
        queues = await self._queues(pane)
        places = [*zip(DIGITS, found, strict=False), *zip(LETTERS, [*queues, *found[len(DIGITS) :]], strict=False)]
        items = [(key, str(place), label(view)) for place, (key, view) in enumerate(places)]
        more = "  (:view NAME for the others)" if len(places) < len(found) + len(queues) else ""
        short = "  (queues: open/new/overdue)" if queues and self._screen.size.width < FIGURES_FROM else ""
        answer = await self._screen.bottom.choose(f"{pane.source.title}: which view?{short}{more}", items)
        if answer is not None:
            self.show(pane, places[int(answer)][1])

    async def _queues(self, pane: Pane) -> list[View]:
        if pane.source.domain != "tickets":
            return []
        from console.queues import queue_figures
        from console.views import queue_view

        short = self._screen.size.width < FIGURES_FROM
        return [queue_view(name, figures, short) for name, figures in (await queue_figures(pane.source.backends())).items()]

    def show(self, pane: Pane, view: View) -> None:
        """This view, from its first row."""
        pane.source.show(view)
        pane.start()
        pane.remember()

    async def show_view(self, pane: Pane, name: str) -> bool:
        """Show a view or a queue by its name; False when there is none."""
        from console.views import find_view
        from console.vocabularies import united

        desk, domain = self._screen.desk, pane.source.domain
        view = await in_thread(5.0, find_view, desk, domain, name)
        if view is None and domain == "tickets":
            words = await united(pane.source.backends())
            view = find_view(desk, domain, name, words.queues if words is not None else ())
        if view is not None:
            self.show(pane, view)
        return view is not None

    async def save(self, name: str) -> None:
        """Keep what the list shows now as a view of one's own."""
        from console.query_text import spoken

        pane, personal = self._pane(), self._screen.desk.personal
        source = pane.source
        line = source.line() if source.domain == "tickets" else spoken(source.domain, source.query)
        sort, descending = source.order()
        view = await in_thread(5.0, personal.save, source.domain, name, line, sort, descending)
        source.show(view)
        pane.start()
        pane.remember()
        self._screen.say(f"Saved as the view {view.name}: {line or 'all that is open'}; v and :view {view.name} show it.", "ok")

    async def drop(self, name: str) -> None:
        """Forget a view of one's own."""
        domain = self._pane().source.domain
        gone = await in_thread(5.0, self._screen.desk.personal.drop, domain, name.strip())
        self._screen.say(f"The view {name} is gone." if gone else f"You have saved no view {name!r}.", "ok" if gone else "warn")

    # -- order ------------------------------------------------------------------------------------------

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
        pane.remember()
        self._screen.say(f"Sorted by {key.replace('_', ' ')}, {'descending' if down else 'ascending'}; o turns it round.")

    def reverse(self) -> None:
        """The other direction."""
        pane = self._pane()
        if hasattr(pane.source.query, "descending"):
            pane.source.change(descending=not pane.source.query.descending)
            pane.start()
            pane.remember()

    def faults(self) -> None:
        """Only what is not well, and back."""
        pane = self._pane()
        if pane.source.flag:
            pane.source.turn_bad()
            pane.start()

    def copy(self) -> None:
        """The id of the row to the terminal's clipboard."""
        key = self._pane().grid.cursor_key
        row = self._pane().grid.window.row(self._pane().grid.cursor)
        if key and row:
            word = row.cells[0].rstrip("*") if self._pane().source.domain == "tickets" else key.split(":", 2)[2]
            self._screen.say(self._screen.console.copy(word))


def label(view: View) -> str:
    """A view in the chooser."""
    name = f"queue {view.name}" if view.origin == "queue" else view.name
    kind = "  (yours)" if view.origin == "yours" else "  (site)" if view.origin == "site" else ""
    return name + (f"  {view.words}" if view.words else "") + kind


def pointed_at(error: BackendError) -> list[Line]:
    """The mistake, under the line it is in."""
    from console.query_words import WrongWord

    if not isinstance(error, WrongWord):
        return [((" " + error.text, "warn"),)]
    line, carets = error.marked()
    return [((" /" + line, ""),), (("  " + carets, "bad"), ("  " + error.text, "warn"))]
