"""What a list shows: per domain the columns, the query and how a record becomes a row. No widgets, no drawing.

A `Source` holds one list's state (view, filter, sort) and fetches windows of it from the backends of its domain. Several
backends of a domain stand in one list, merged; each row's key is its reference `domain:backend:id`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from console.ages import span
from console.desk import Desk
from widgets.columns import Column, Row

if TYPE_CHECKING:
    from backends.contract import Page
    from console.merging import Merged
    from console.presence import Presence
    from console.views import View

WHERE_DROP = 2
"""With several backends the column that says where a row lives goes before the less wanted ones."""


class Source:
    """One list. Subclasses name the domain's columns, reading method and row maker.

    The domain's records are imported when the first query is made, after the first paint.
    """

    domain: ClassVar[str]
    title: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    list_method: ClassVar[str]
    sorts: ClassVar[tuple[str, ...]]
    """Sort keys of the query, in the order `<` and `>` walk through."""
    first_sort: ClassVar[tuple[str, bool]] = ("severity", True)
    first_view: ClassVar[str] = ""
    kept: ClassVar[bool] = True
    """View, filter, sort and cursor are there again after a restart."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.view = self.first_view
        self.presence: Presence | None = None
        """Who is at which ticket now."""
        self.typed = ""
        """The filter line as it was typed."""
        self.notes: tuple[str, ...] = ()
        """What the list lacks, a sentence each."""
        self.exact = True
        """False: there may be more than the total says, as a backend can't count."""
        self.late: Callable[[], None] = lambda: None
        """Called when a backend answers after the others were shown."""
        self.recalled = not self.kept
        """How it was left last time has been looked up."""
        self.bad = False
        """Only what is not well, by its key."""
        self._view: View | None = None
        self._query: Any = None
        self._merged: Merged | None = None
        self._old: Merged | None = None
        self._asked: Any = None

    # -- what is asked for ------------------------------------------------------------------------------

    @property
    def query(self) -> Any:
        """View, filter and sort."""
        if self._query is None:
            self._query = self.first_query()
        return self._query

    @query.setter
    def query(self, query: Any) -> None:
        self._query = query

    def order(self) -> tuple[str, bool]:
        """Key of the sorted column and whether it is descending."""
        return (getattr(self._query, "sort", ""), getattr(self._query, "descending", False)) if self._query is not None else self.first_sort

    def first_query(self) -> Any:
        """The query a list starts with."""
        raise TypeError("a source names its query")

    def row(self, item: Any, several: bool) -> Row:
        """The record as a row; `several`: more than one backend stands in this list."""
        raise TypeError("a source names its row")

    def change(self, **fields: Any) -> None:
        """Another sort, faults only."""
        self.query = dataclasses.replace(self.query, **fields)

    def show(self, view: View) -> None:
        """Another view; the filter that was typed goes."""
        self._view, self.view, self.typed, self.bad = view, view.name, "", False
        self.query = view.query(self.domain, self.desk.actor.login, self.desk.config.timezone)

    def narrow(self, typed: str) -> None:
        """The view narrowed by a filter line, in the present order. WrongWord leaves it as it was."""
        from console.query_text import read_query

        login, zone = self.desk.actor.login, self.desk.config.timezone
        base = self._view.query(self.domain, login, zone) if self._view is not None else self.first_query()
        same = {name: getattr(self.query, name) for name in ("sort", "descending") if hasattr(base, name)}
        query = read_query(self.domain, typed, dataclasses.replace(base, **same), login, zone)
        self.query = dataclasses.replace(query, **{self.flag: True}) if self.bad else query
        self.typed = typed

    @property
    def flag(self) -> str:
        """The field of the query that says "only what is not well", or ""."""
        return next((name for name in ("faults", "overdue") if hasattr(self.query, name)), "")

    def turn_bad(self) -> None:
        """Only what is not well, and back."""
        if self.flag:
            self.bad = not getattr(self.query, self.flag)
            self.change(**{self.flag: self.bad})

    def line(self) -> str:
        """What is shown as one query line, for a saved view: times stay relative."""
        from console.query_words import quoted

        view, parts = self._view, list[str]()
        if view is not None:
            parts = [view.line, *(f"queue:{quoted(name)}" for name in view.exact.get("queues", ()))]
        return " ".join(part for part in (*parts, self.typed, self.flag if self.bad and self.flag not in self.typed else "") if part)

    def state(self, cursor: str | None) -> dict[str, Any]:
        """How the list stands, to be found again."""
        sort, descending = self.order()
        queue = self._view is not None and self._view.origin == "queue"
        return {"view": self.view, "queue": queue, "typed": self.typed, "sort": sort, "descending": descending, "cursor": cursor or ""}

    async def recall(self) -> str:
        """Stand as it was left; the key the cursor was on, or "". What can't be had any more is left away."""
        from backends.errors import BackendError
        from backends.threads import in_thread
        from console.views import find_view

        self.recalled = True
        try:
            state = await in_thread(3.0, self.desk.personal.left, self.domain)
            name = str(state.get("view", ""))
            view = find_view(self.desk, self.domain, name, (name,) if state.get("queue") else ()) if name else None
            if view is not None:
                self.show(view)
            if state.get("typed"):
                self.narrow(str(state["typed"]))
            if state.get("sort") in self.sorts:
                self.change(sort=state["sort"], descending=bool(state.get("descending")))
        except BackendError:
            return ""
        return str(state.get("cursor", ""))

    # -- reading ----------------------------------------------------------------------------------------

    def backends(self) -> list[Any]:
        """The opened backends of the domain that can list."""
        return [opened.backend for opened in self.desk.backends(self.domain) if hasattr(opened.backend, self.list_method)]

    @property
    def several(self) -> bool:
        """More than one backend is configured for this list."""
        return len(self.desk.backends(self.domain)) > 1

    def shown(self) -> tuple[Column, ...]:
        """The columns; with several backends each row says where it lives."""
        if not self.several:
            return self.columns
        return tuple(dataclasses.replace(column, drop=WHERE_DROP, wide=False) if column.key == "backend" else column for column in self.columns)

    def fresh(self) -> None:
        """What was read is old: the next window is read anew. Its rows stand in for those of a backend that fails."""
        if any(sign in self.typed + (self._view.line if self._view is not None else "") for sign in "<>"):
            self.narrow(self.typed)  # "due<2d" moves with the clock
        self._old, self._merged = self._merged or self._old, None

    def _listing(self) -> Merged:
        from console.merging import Merged, ordering

        backends = self.backends()
        asked = (self.query, tuple(id(backend) for backend in backends))
        same = (self.view, self.typed, self.order(), getattr(self.query, "faults", None), getattr(self.query, "overdue", None))
        if self._merged is not None and self._asked == (asked, same):
            return self._merged
        before = self._merged or self._old
        if self._asked is None or self._asked[1] != same:
            before = None
        sort, descending = self.order()
        key = ordering(sort, descending, partial(self.value, sort), self.kept_empty())
        reads = {backend.name: partial(self._read, backend, self.query) for backend in backends}
        self._asked, self._old = (asked, same), None
        self._merged = Merged(reads, key, before, lambda: self.late())
        return self._merged

    async def _read(self, backend: Any, query: Any, offset: int, limit: int) -> Page[Any]:
        page: Page[Any] = await getattr(backend, self.list_method)(query, offset, limit)
        return page

    async def page(self, offset: int, limit: int) -> tuple[list[Row], int]:
        """Rows of a window and how many there are. Raises what the backends raise when none of them has anything to show."""
        found = await self._listing().window(offset, limit)
        self.notes = (*found.notes, *self._absent())
        self.exact = found.total is not None
        total = found.total if found.total is not None else found.least + (limit if len(found.lines) == limit else 0)
        several = self.several
        return [self._stale(self.row(line.item, several)) if line.stale else self.row(line.item, several) for line in found.lines], total

    def _absent(self) -> list[str]:
        """Backends of the domain that could not be opened; with one alone the pane says it."""
        if not self.several:
            return []
        return [f"{opened.name}: left out: {opened.error.title.lower()}" for opened in self.desk.backends(self.domain) if opened.error is not None]

    def _stale(self, row: Row) -> Row:
        place = next((place for place, column in enumerate(self.columns) if column.key == "backend"), None)
        cells = row.cells if place is None else (*row.cells[:place], f"{row.cells[place]} stale", *row.cells[place + 1 :])
        return Row(row.key, cells, tuple("dim" for _ in row.cells))

    def value(self, sort: str, item: Any) -> Any:
        """What a record is sorted by; texts without regard to letter case, unless the domain's lists do otherwise."""
        found = self.severity(item) if sort == "severity" else getattr(item, sort, None)
        return found.casefold() if isinstance(found, str) else found

    def kept_empty(self) -> frozenset[str]:
        """Sort keys whose empty text is a value and not missing."""
        return frozenset()

    def severity(self, item: Any) -> int:
        """How grave a record is, for sorting merged lists."""
        return 0

    async def position(self, key: str) -> int | None:
        """Where a row stands now, if its backend can tell: the cursor stays on its record."""
        name, ident = key.split(":", 2)[1:]
        backend = next((backend for backend in self.backends() if backend.name == name and hasattr(backend, "position")), None)
        place: int | None = await backend.position(self.query, ident) if backend is not None else None
        if place is None or len(self.backends()) == 1:
            return place
        return await self._listing().position(name, place)

    # -- words ------------------------------------------------------------------------------------------

    def subtitle(self) -> str:
        """View and filter in words, for the head of the pane."""
        parts = [self.view] if self.view else []
        if self._query is None:
            return " ".join(parts)
        if getattr(self.query, "faults", False) and self.view != "faults":
            parts.append("faults only")
        if getattr(self.query, "overdue", False) and self.view != "overdue" and "overdue" not in self.typed:
            parts.append("overdue only")
        if self.typed:
            parts.append("/" + self.typed)
        return " ".join(parts)

    def about(self) -> list[str]:
        """What is asked for and what the list lacks, in full, a sentence each."""
        from console.query_text import spoken

        sort, descending = self.order()
        asked = spoken(self.domain, self.query, self.desk.config.timezone)
        lines = [f"{self.title}, {self.view or 'no view'}: {asked or 'all of them'}" + (f"; by {sort.replace('_', ' ')}, {'descending' if descending else 'ascending'}" if sort else "")]
        return [*lines, *self.notes]


def state_age(word: str, seconds: float | None) -> str:
    """A state word with its age: "DOWN 4m"."""
    return word if seconds is None else f"{word} {span(seconds)}"
