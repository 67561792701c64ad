"""`deskside tickets list|search`: one list over all ticket systems, or of one; what it lacks is said on the error stream."""

from __future__ import annotations

import argparse
import dataclasses
from functools import partial
from typing import Any

from backends.errors import BackendError
from backends.tickets.model import OPEN_PHASES, TicketQuery, TicketRow
from console.cli.output import Output
from console.desk import Desk
from console.lanes import DEADLINE
from console.merging import EMPTY_TICKETS, Merged, ordering, ticket_value
from console.query_text import read_query
from console.query_words import WrongWord

_COLUMNS = (
    ("number", "TICKET"), ("priority", "P"), ("status", "STATUS"), ("due_at", "DUE"), ("assignee", "ASSIGNEE"), ("queue", "QUEUE"),
    ("requester", "REQUESTER"), ("subject", "SUBJECT"),
)  # fmt: skip
_WHERE = ("backend", "WHERE")


def asked(desk: Desk, args: argparse.Namespace, out: Output) -> TicketQuery:
    """The query of the command line; the wrong word is marked before it is raised."""
    query = TicketQuery(
        text=args.text if not args.searching else "", statuses=tuple(args.status), queues=tuple(args.queue), requester=args.requester,
        phases=() if args.closed_too or args.searching or args.status else OPEN_PHASES, overdue=args.overdue,
        assignees=(desk.actor.login,) if args.mine else tuple(args.assignee), sort=args.sort, descending=not args.ascending,
    )  # fmt: skip
    line = " ".join(part for part in (args.text if args.searching else "", args.filter) if part)
    try:
        return read_query("tickets", line, query, desk.actor.login, desk.config.timezone) if line else query
    except WrongWord as error:
        for text in error.marked():
            out.warn(text)
        raise


async def list_tickets(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A window of the list. A system that can't be reached is left out and named; when none can, that is the error."""
    query = asked(desk, args, out)
    found: dict[str, Any] = {}
    errors: list[BackendError] = []
    names: list[str | None] = [args.backend] if args.backend else [opened.name for opened in desk.backends("tickets")]
    for name in names or [None]:
        try:
            backend = await desk.backend("tickets", name)
            found[backend.name] = partial(backend.tickets, query)
        except BackendError as error:
            errors.append(error)
            if args.backend or len(desk.backends("tickets")) < 2:
                raise
            out.warn(f"{name}: left out: {error.title.lower()}: {error.text}")
    if not found:
        raise errors[0]
    merged = Merged(found, ordering(query.sort, query.descending, partial(ticket_value, query.sort), EMPTY_TICKETS), patience=DEADLINE)
    page = await merged.window(args.offset, args.limit)
    rows = [_row(line.item, out.json) for line in page.lines]
    out.rows("tickets", (*_COLUMNS[:1], _WHERE, *_COLUMNS[1:]) if len(desk.backends("tickets")) > 1 else _COLUMNS, rows, total=page.total, offset=args.offset)
    for note in page.notes:
        out.warn(note)
    if not out.json and (page.total or page.least) > args.offset + len(rows):
        out.warn(f"{len(rows)} of {page.total if page.total is not None else f'at least {page.least}'}; --offset {args.offset + len(rows)} goes on")
    return 0


def _row(row: TicketRow, plain: bool) -> dict[str, Any]:
    item = {**dataclasses.asdict(row), "phase": str(row.phase)}
    return item if plain else {**item, "priority": f"P{row.priority}"}
