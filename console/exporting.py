"""Export of tickets, a page at a time: CSV as RFC 4180 has it, or one JSON object a line. Never imports textual.

Nothing but a page of the list is in memory. A ticket that enters or leaves the query while it runs may be missing, one that was
removed meanwhile is counted as gone. `progress` has `step(text, done, total)`; a job's raises when it is cancelled.
"""

from __future__ import annotations

import csv
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TextIO

from backends.errors import Invalid, NotFound
from backends.tickets.model import Event, Ticket, TicketQuery
from console.desk import Desk
from console.export_cells import COLUMNS, TIMELINE, cells, whole
from console.export_files import check_place, new_file
from console.query_text import read_query

PAGE = 200
Format = Literal["csv", "json"]
FORMATS: Mapping[str, Format] = {"csv": "csv", "json": "json"}


class Says(Protocol):
    """Where the work says how far it is."""

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        """One line; `total` 0 is not known."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported: a line of a filter ("" is everything), the backend's name (None: all of them), with or without the timeline."""

    format: Format = "csv"
    query: str = ""
    backend: str | None = None
    timeline: bool = False

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> Wanted:
        """From a job's values. Invalid."""
        name = str(spec.get("format") or "csv")
        if name not in FORMATS:
            raise Invalid(fields={"format": f"{name!r} is not known; there are: {', '.join(FORMATS)}"})
        return cls(FORMATS[name], str(spec.get("query") or ""), spec.get("backend") or None, bool(spec.get("timeline")))


@dataclass(slots=True)
class Exported:
    """How many were written, and how many were gone when their turn came."""

    count: int = 0
    gone: int = 0

    def sentence(self) -> str:
        """In words."""
        return f"{self.count:,} tickets" + (f", {self.gone:,} were gone when their turn came" if self.gone else "")


class _Csv:
    def __init__(self, file: TextIO, timeline: bool) -> None:
        self._writer = csv.writer(file, lineterminator="\r\n")
        self._writer.writerow([*COLUMNS, *([TIMELINE] if timeline else [])])

    def add(self, ticket: Ticket, events: list[Event] | None) -> None:
        self._writer.writerow(cells(ticket, events))


class _Json:
    def __init__(self, file: TextIO, timeline: bool) -> None:
        self._file = file

    def add(self, ticket: Ticket, events: list[Event] | None) -> None:
        self._file.write(json.dumps(whole(ticket, events), ensure_ascii=False, default=str) + "\n")


async def count(desk: Desk, wanted: Wanted) -> int:
    """How many tickets it will be, 0 where a system can't count."""
    found = 0
    for backend in await _backends(desk, wanted):
        found += (await backend.tickets(_query(desk, wanted), 0, 1)).total or 0
    return found


async def export(desk: Desk, wanted: Wanted, file: TextIO, progress: Says) -> Exported:
    """Write to an open text file. Raises what a backend raises; what is written by then is not a whole export."""
    writer = (_Csv if wanted.format == "csv" else _Json)(file, wanted.timeline)
    done, total = Exported(), await count(desk, wanted)
    for backend in await _backends(desk, wanted):
        async for ident in _ids(backend, _query(desk, wanted)):
            try:
                ticket = await backend.ticket(ident)
                events = list(await backend.timeline(ident)) if wanted.timeline else None
            except NotFound:
                done.gone += 1
                continue
            writer.add(ticket, events)
            done.count += 1
            if not done.count % PAGE:
                progress.step(f"{done.count:,} tickets", done.count, max(total, done.count))
    progress.step(done.sentence(), done.count, max(total, done.count))
    return done


async def export_to(desk: Desk, wanted: Wanted, path: Path, force: bool, progress: Says) -> Exported:
    """Write a file that appears when it is whole. Refused when the place is taken."""
    check_place(path, force)
    with new_file(path, force) as file:
        return await export(desk, wanted, file, progress)


async def _backends(desk: Desk, wanted: Wanted) -> list[Any]:
    names = [wanted.backend] if wanted.backend else [place.name for place in desk.backends("tickets")]
    return [await desk.backend("tickets", name) for name in names]


def _query(desk: Desk, wanted: Wanted) -> TicketQuery:
    usual = TicketQuery(sort="number", descending=False)
    query: TicketQuery = read_query("tickets", wanted.query, usual, desk.actor.login) if wanted.query else usual
    return query


async def _ids(backend: Any, query: TicketQuery) -> AsyncIterator[str]:
    offset = 0
    while True:
        page = await backend.tickets(query, offset, PAGE)
        for row in page.items:
            yield row.id
        offset += len(page.items)
        if not page.items or (page.total is not None and offset >= page.total):
            return
