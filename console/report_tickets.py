"""The report on tickets: what is open and overdue, and what became of the promises. Counted as the pages go by. Never imports textual.

Open tickets are counted from lists alone. For the months each ticket is opened, as only it knows when it was resolved and which promise
was kept; a system that gives no promises has none counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from backends.contract import now
from backends.errors import BackendError, NotFound
from backends.tickets.model import OPEN_PHASES, Phase, Term, Ticket, TicketQuery, TicketRow
from console.ages import zone
from console.desk import Desk
from console.export_cells import utc
from console.exporting import Says
from console.query_text import read_query
from console.report_tables import Table

PAGE = 500
MOST = 40
"""Rows of a table; the rest is one row "others"."""
AGES = ((1, "under a day"), (7, "1 to 7 days"), (30, "7 to 30 days"), (90, "30 to 90 days"))
OLDEST = "over 90 days"
_PROMISES = {"first answer": "answer", "resolution": "resolution"}


@dataclass(slots=True)
class Tally:
    """All figures: group -> name -> measure -> number."""

    figures: dict[str, dict[str, Counter[str]]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    """Backends that could not be read to the end, with why."""
    seen: int = 0

    def add(self, group: str, name: str, *measures: str) -> None:
        """One more of each measure."""
        self.figures.setdefault(group, {}).setdefault(name, Counter()).update(measures)


async def count(desk: Desk, since: datetime, query: str, backend: str | None, progress: Says) -> Tally:
    """Count all ticket backends, or one. What can't be read is told in the tally and stops nothing else."""
    tally, at, month = Tally(), now(), zone(desk.config.timezone)
    names = [backend] if backend else [place.name for place in desk.backends("tickets")]
    base: TicketQuery = read_query("tickets", query, TicketQuery(), desk.actor.login) if query else TicketQuery()
    base = replace(base, sort="number", descending=False)
    for name in names:
        try:
            opened = await desk.backend("tickets", name)
            async for row in _rows(opened, replace(base, phases=OPEN_PHASES)):
                _open(tally, row, at)
                _said(tally, progress, "open tickets")
            async for row in _rows(opened, replace(base, terms=(*base.terms, Term("created", "after", (utc(since),))))):
                try:
                    _period(tally, await opened.ticket(row.id), lambda moment: moment.astimezone(month).strftime("%Y-%m"))
                except NotFound:
                    continue
                _said(tally, progress, "tickets of the period")
        except BackendError as error:
            tally.unread.append(f"{name}: {error.sentence()}")
    return tally


async def _rows(backend: Any, query: TicketQuery) -> AsyncIterator[TicketRow]:
    offset = 0
    while True:
        page = await backend.tickets(query, offset, PAGE)
        for row in page.items:
            yield row
        offset += len(page.items)
        if not page.items or (page.total is not None and offset >= page.total):
            return


def _said(tally: Tally, progress: Says, what: str) -> None:
    tally.seen += 1
    if not tally.seen % PAGE:
        progress.step(f"{tally.seen:,} {what}", tally.seen)


def _open(tally: Tally, row: TicketRow, at: datetime) -> None:
    measures = ["open"]
    if row.due_at is not None and row.due_at < at:
        measures.append("overdue")
    if row.phase is Phase.PAUSED:
        measures.append("waiting")
    if not row.assignee:
        measures.append("unassigned")
    for group, name in (
        ("queue", row.queue or "none"), ("technician", row.assignee or "nobody"), ("priority", f"P{row.priority}"), ("building", building(row.location)),
        ("age", age(row.created_at, at)), ("all", "all"),
    ):  # fmt: skip
        tally.add(group, name, *measures)


def _period(tally: Tally, ticket: Ticket, month: Callable[[datetime], str]) -> None:
    created = ticket.row.created_at
    if created is None:
        return
    tally.add("month", month(created), "opened")
    if ticket.resolved_at is not None:
        tally.add("month", month(ticket.resolved_at), "resolved")
    for target in ticket.sla:
        promise = _PROMISES.get(target.what)
        if promise is None or target.state not in ("met", "breached"):
            continue
        for group, name in (("month", month(created)), ("promise queue", ticket.row.queue or "none"), ("promise technician", ticket.row.assignee or "nobody")):
            tally.add(group, name, f"{promise} {target.state}")


def building(location: str) -> str:
    """The place without its room: a last word that has a digit ("Juniper High 312")."""
    first, _, last = location.strip().rpartition(" ")
    return (first if first and any(letter.isdigit() for letter in last) else location.strip()) or "unknown"


def age(created: datetime | None, at: datetime) -> str:
    """How long it has been open, in words."""
    if created is None:
        return "unknown"
    days = (at - created).total_seconds() / 86400
    return next((label for limit, label in AGES if days < limit), OLDEST)


def tables(tally: Tally) -> list[Table]:
    """The figures as tables, the most first; ages and months in their order."""
    open_ = ("open", "overdue", "waiting", "unassigned")
    ages = [label for _, label in AGES] + [OLDEST, "unknown"]
    kept = ("answer met", "answer breached", "resolution met", "resolution breached")
    found = [
        Table("All open tickets", ("", *open_), _lines(tally.figures.get("all", {}), open_)),
        Table("Open by queue", ("queue", *open_), _lines(tally.figures.get("queue", {}), open_)),
        Table("Open by technician", ("technician", *open_[:3]), _lines(tally.figures.get("technician", {}), open_[:3])),
        Table("Open by priority", ("priority", *open_), _lines(tally.figures.get("priority", {}), open_, sorted(tally.figures.get("priority", {})))),
        Table("Open by age", ("age", *open_), _lines(tally.figures.get("age", {}), open_, [label for label in ages if label in tally.figures.get("age", {})])),
        Table("Open by building", ("building", *open_[:2]), _lines(tally.figures.get("building", {}), open_[:2])),
        Table("By month", ("month", "opened", "resolved", *kept, "kept %"), _promised(tally.figures.get("month", {}), ("opened", "resolved", *kept), True)),
        Table("Promises by queue", ("queue", *kept, "kept %"), _promised(tally.figures.get("promise queue", {}), kept)),
        Table("Promises by technician", ("technician", *kept, "kept %"), _promised(tally.figures.get("promise technician", {}), kept)),
    ]
    return found


def _lines(figures: Mapping[str, Counter[str]], measures: Sequence[str], order: Sequence[str] | None = None) -> tuple[tuple[str | int, ...], ...]:
    names = list(order) if order is not None else sorted(figures, key=lambda name: (-figures[name][measures[0]], name))
    lines: list[tuple[str | int, ...]] = [(name, *(figures[name][measure] for measure in measures)) for name in names[:MOST]]
    if names[MOST:]:
        lines.append((f"others ({len(names) - MOST})", *(sum(figures[name][measure] for name in names[MOST:]) for measure in measures)))
    return tuple(lines)


def _promised(figures: Mapping[str, Counter[str]], measures: Sequence[str], in_order: bool = False) -> tuple[tuple[str | int | float | None, ...], ...]:
    names = sorted(figures) if in_order else sorted(figures, key=lambda name: (-sum(figures[name].values()), name))[:MOST]
    return tuple((name, *(figures[name][measure] for measure in measures), _kept(figures[name])) for name in names)


def _kept(counted: Counter[str]) -> float | None:
    met = counted["answer met"] + counted["resolution met"]
    whole = met + counted["answer breached"] + counted["resolution breached"]
    return 100 * met / whole if whole else None
