"""A ticket of any system against a query, here: the same conditions as on stored tickets. For what a server can't filter itself.

Pure; never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from backends.store.matching import matcher, sort_rows
from backends.tickets.events import iso
from backends.tickets.model import Ticket, TicketQuery
from backends.tickets.query import order, where


def stored_form(ticket: Ticket) -> dict[str, Any]:
    """The ticket with the fields and forms that conditions are written for; empty ones are left out, as the store does."""
    row, person = ticket.row, ticket.requester
    digits = row.number.rpartition("-")[2].lstrip("#")
    number: Any = int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else row.number
    kept = {
        "number": number, "subject": row.subject, "status": row.status, "phase": row.phase.value, "priority": row.priority, "queue": row.queue, "assignee": row.assignee,
    }  # fmt: skip
    other = {
        "requester": person.name or row.requester, "login": person.login, "email": person.email, "team": row.team, "location": row.location or person.location,
        "kind": ticket.kind, "category": ticket.category, "origin": ticket.origin, "tags": list(ticket.tags), "fields": dict(ticket.fields), "refs": list(ticket.refs),
        "pending_reason": ticket.pending_reason, "created_at": _moment(row.created_at), "updated_at": _moment(row.updated_at), "due_at": _moment(row.due_at),
        "pending_until": _moment(ticket.pending_until), "ref_more": True if ticket.refs else None,
        "search": f"{row.number} {row.subject} {person.name or row.requester} {person.login}".lower(),
    }  # fmt: skip
    return {**kept, **{name: value for name, value in other.items() if value not in (None, "", [], {})}}


def _moment(at: datetime | None) -> str | None:
    return iso(at) if at is not None else None


def matching(query: TicketQuery, at: datetime) -> Callable[[Ticket], bool]:
    """Whether a ticket fits the query; `at` is what "overdue" is measured by."""
    fits = matcher(where(query, at))
    return lambda ticket: fits(stored_form(ticket))


def listed(tickets: Iterable[Ticket], query: TicketQuery, at: datetime) -> list[Ticket]:
    """Those that fit, in the query's order."""
    fits = matcher(where(query, at))
    forms = {ticket.row.id: (ticket, stored_form(ticket)) for ticket in tickets}
    rows = sort_rows([(ident, form) for ident, (_, form) in forms.items() if fits(form)], order(query))
    return [forms[ident][0] for ident, _ in rows]
