"""Lists of remote tickets by what is kept here (about a record, with a vendor), and due times in lists. Never imports an adapter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

from backends.contract import Page, now
from backends.errors import NotFound
from backends.store.contract import Not, Test, Where
from backends.threads import in_thread
from backends.tickets.filtering import listed
from backends.tickets.model import OPEN_PHASES, Term, Ticket, TicketQuery, TicketRow
from backends.tickets.query import about
from backends.tickets.sidecar_store import MOST, SideStore

DEADLINE = 10.0
AT_ONCE = 4
"""Tickets read from the server at once."""


def kept_here(query: TicketQuery, groups: frozenset[str]) -> tuple[list[Where], TicketQuery, str]:
    """(conditions on what is kept here, the query without them, what can't be asked and is left out, in words).

    `groups`: what the server lacks ("refs", "vendors"). Only what a ticket has can be looked for here, not what it has not.
    """
    wheres: list[Where] = [about(query.ref)] if query.ref and "refs" in groups else []
    terms: list[Term] = []
    lost: list[str] = []
    for term in query.terms:
        ours = (term.field == "ref" and "refs" in groups) or (term.field == "vendor" and "vendors" in groups)
        if not ours:
            terms.append(term)
        elif term.negated == (term.op == "none"):
            wheres.append(_condition(term))
        else:
            lost.append(term.field)
    rest = replace(query, ref="" if wheres and "refs" in groups else query.ref, terms=tuple(terms))
    return wheres, rest, f"not filtered by {' and '.join(dict.fromkeys(lost))}: that is kept here, and only what a ticket has is found by it" if lost else ""


def _condition(term: Term) -> Where:
    from backends.store.contract import AnyOf

    if term.op == "none":
        return Not(Test("refs" if term.field == "ref" else "vendor", "eq", None))
    if term.field == "ref":
        return AnyOf(tuple(about(value) for value in term.values))
    return AnyOf(tuple(Test("vendor", "has", value) for value in term.values))


async def by_kept(inner: Any, side: SideStore, wheres: list[Where], rest: TicketQuery) -> list[Ticket]:
    """The tickets themselves, read one by one from the server, filtered and sorted here. One that is gone there is left out."""
    idents = await in_thread(DEADLINE, side.about, wheres)
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(ident: str) -> Ticket | None:
        async with gate:
            try:
                ticket: Ticket = await inner.ticket(ident)
            except NotFound:
                return None
        return ticket

    found = [ticket for ticket in await asyncio.gather(*map(one, idents)) if ticket is not None]
    return listed(found, rest, now())


def page_of(found: list[Ticket], offset: int, limit: int, note: str) -> Page[TicketRow]:
    """A window of them."""
    more = f"only the first {MOST} are looked at" if len(found) >= MOST else ""
    return Page(tuple(ticket.row for ticket in found[offset : offset + limit]), offset, len(found), "; ".join(part for part in (note, more) if part))


def with_dues(page: Page[TicketRow], dues: dict[str, datetime]) -> Page[TicketRow]:
    """The page with the due times that were worked out here, where the server has none."""
    if not dues:
        return page
    items = tuple(replace(row, due_at=dues[row.id]) if row.due_at is None and row.id in dues and row.phase in OPEN_PHASES else row for row in page.items)
    return replace(page, items=items)
