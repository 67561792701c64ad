"""What a list shows: per domain the columns, the query and how a record becomes a row. No widgets, no drawing.

A `Source` holds one list's state (view, filter, sort) and fetches windows of it from the backends of its domain. Several
backends of a domain stand in one list, merged; each row's key is its reference `domain:backend:id`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from console.ages import span
from console.desk import Desk
from widgets.columns import Column, Row

if TYPE_CHECKING:
    from backends.contract import Page
    from console.presence import Presence


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

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.view = self.first_view
        self.presence: Presence | None = None
        """Who is at which ticket now."""
        self.note = ""
        self.typed = ""
        """The filter line as it was typed."""

    @cached_property
    def query(self) -> Any:
        """What is asked for: view, filter and sort."""
        return self.first_query()

    def order(self) -> tuple[str, bool]:
        """Key of the sorted column and whether it is descending."""
        asked = self.__dict__.get("query")
        return (getattr(asked, "sort", ""), getattr(asked, "descending", False)) if asked is not None else self.first_sort

    def first_query(self) -> Any:
        """The query a list starts with."""
        raise TypeError("a source names its query")

    def row(self, item: Any, several: bool) -> Row:
        """The record as a row; `several`: more than one backend stands in this list."""
        raise TypeError("a source names its row")

    def change(self, **fields: Any) -> None:
        """Another query: filter, sort, faults."""
        self.query = dataclasses.replace(self.query, **fields)

    def backends(self) -> list[Any]:
        """The opened backends of the domain that can list."""
        return [opened.backend for opened in self.desk.backends(self.domain) if hasattr(opened.backend, self.list_method)]

    async def page(self, offset: int, limit: int) -> tuple[list[Row], int]:
        """Rows of a window and how many there are. Raises what the backend raises."""
        backends = self.backends()
        if len(backends) == 1:
            page = await self._read(backends[0], offset, limit)
            self.note = page.note
            return [self.row(item, False) for item in page.items], _total(page)
        return await self._merged(backends, offset, limit)

    async def _read(self, backend: Any, offset: int, limit: int) -> Page[Any]:
        page: Page[Any] = await getattr(backend, self.list_method)(self.query, offset, limit)
        return page

    async def _merged(self, backends: Sequence[Any], offset: int, limit: int) -> tuple[list[Row], int]:
        pages = [await self._read(backend, 0, offset + limit) for backend in backends]
        self.note = "; ".join(page.note for page in pages if page.note)
        items = [item for page in pages for item in page.items]
        items.sort(key=self._sort_key(), reverse=self.query.descending)
        return [self.row(item, True) for item in items[offset : offset + limit]], sum(_total(page) for page in pages)

    def _sort_key(self) -> Callable[[Any], Any]:
        name = self.query.sort

        def key(item: Any) -> tuple[bool, Any]:
            value = self.severity(item) if name == "severity" else getattr(item, name, None)
            missing = value is None
            return (missing != self.query.descending, 0 if missing else value if not isinstance(value, str) else value.casefold())

        return key

    def severity(self, item: Any) -> int:
        """How grave a record is, for sorting merged lists."""
        return 0

    async def position(self, key: str) -> int | None:
        """Where a row stands now, if the backend can tell: the cursor stays on its record."""
        backends = self.backends()
        if len(backends) == 1 and hasattr(backends[0], "position"):
            place: int | None = await backends[0].position(self.query, key.split(":", 2)[2])
            return place
        return None

    def subtitle(self) -> str:
        """View and filter in words, for the head of the pane."""
        parts = [self.view] if self.view else []
        if "query" not in self.__dict__:
            return " ".join(parts)
        if getattr(self.query, "faults", False):
            parts.append("faults only")
        if getattr(self.query, "overdue", False) and self.view != "overdue":
            parts.append("overdue only")
        if getattr(self.query, "terms", ()):
            from console.ticket_query import spoken_query

            parts.append(spoken_query(self.query))
        if self.query.text:
            parts.append(("!" if getattr(self.query, "inverse", False) else "/") + self.query.text)
        return " ".join(parts)


def _total(page: Page[Any]) -> int:
    return page.total if page.total is not None else page.offset + len(page.items)


def state_age(word: str, seconds: float | None) -> str:
    """A state word with its age: "DOWN 4m"."""
    return word if seconds is None else f"{word} {span(seconds)}"
