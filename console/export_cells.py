"""Tickets as cells of a spreadsheet and as JSON: the columns, and how a cell is kept from being a formula. Never imports textual.

The columns and their order are stable; `SCHEMA` goes up when one changes its meaning or goes away, a new one is added at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from backends.text import clean
from backends.tickets.model import Event, Ticket

SCHEMA = 1
COLUMNS = (
    "schema_version", "backend", "id", "number", "subject", "status", "phase", "priority", "impact", "urgency", "kind", "queue", "category",
    "team", "assignee", "requester", "login", "email", "phone", "location", "department", "origin", "created_at", "updated_at", "due_at",
    "first_response_at", "resolved_at", "closed_at", "pending_reason", "pending_until", "resolution", "time_spent", "estimate", "reopened",
    "tags", "watchers", "refs", "links", "attachments", "fields", "body",
)  # fmt: skip
TIMELINE = "timeline"
"""One more column, last, when the timeline is asked for."""
_FORMULA = re.compile("'*[=+\\-@\t\r\n\0＝＋－＠]")
_QUOTED = re.compile("'+[=+\\-@\t\r\n\0＝＋－＠]")


def guarded(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: an apostrophe in front of what could be one. Numbers stay numbers.

    What begins with apostrophes already gets one more, so that `unguarded` gives back exactly what was there.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def unguarded(text: str) -> str:
    """The inverse of `guarded` for texts."""
    return text[1:] if _QUOTED.match(text) else text


def utc(at: datetime | None) -> str:
    """A moment as it is written: UTC, whole seconds, "" for none."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at is not None else ""


def facts(ticket: Ticket) -> dict[str, Any]:
    """The values of `COLUMNS`, lists as lists, moments as text."""
    row, person = ticket.row, ticket.requester
    return {
        "schema_version": SCHEMA, "backend": row.backend, "id": row.id, "number": row.number, "subject": row.subject, "status": row.status,
        "phase": row.phase.value, "priority": row.priority, "impact": ticket.impact, "urgency": ticket.urgency, "kind": ticket.kind,
        "queue": row.queue, "category": ticket.category, "team": row.team, "assignee": row.assignee, "requester": person.name or row.requester,
        "login": person.login, "email": person.email, "phone": person.phone, "location": person.location or row.location,
        "department": person.department, "origin": ticket.origin, "created_at": utc(row.created_at), "updated_at": utc(row.updated_at),
        "due_at": utc(row.due_at), "first_response_at": utc(ticket.first_response_at), "resolved_at": utc(ticket.resolved_at),
        "closed_at": utc(ticket.closed_at), "pending_reason": ticket.pending_reason, "pending_until": utc(ticket.pending_until),
        "resolution": ticket.resolution, "time_spent": ticket.time_spent, "estimate": ticket.estimate, "reopened": ticket.reopened,
        "tags": list(ticket.tags), "watchers": [person.email or person.label() for person in ticket.watchers], "refs": list(ticket.refs),
        "links": [{"kind": link.kind, "to": link.to, "number": link.number} for link in ticket.links],
        "attachments": [{"name": one.name, "size": one.size, "sha256": one.sha256, "mime": one.mime, "event": one.event} for one in ticket.attachments],
        "fields": {str(name): value for name, value in ticket.fields.items()}, "body": ticket.body,
    }  # fmt: skip


def cells(ticket: Ticket, events: Sequence[Event] | None) -> list[Any]:
    """The line of a CSV file: lists with "; " between, everything cleaned and guarded."""
    found = facts(ticket)
    found["links"] = [f"{link['kind']} {link['to']}" for link in found["links"]]
    found["attachments"] = [f"{one['name']} sha256:{one['sha256']}" for one in found["attachments"]]
    found["fields"] = [f"{name}={_flat(value)}" for name, value in found["fields"].items()]
    values = [found[name] for name in COLUMNS]
    if events is not None:
        values.append("\n\n".join(map(_line, events)))
    return [guarded(_tidy(_flat(value))) for value in values]


def whole(ticket: Ticket, events: Sequence[Event] | None) -> dict[str, Any]:
    """The object of a JSON line: the columns, what has no column, and the events where they are asked for."""
    found = facts(ticket)
    found |= {
        "checklist": [{"item": item, "done": done} for item, done in ticket.checklist],
        "referrals": [_plain(asdict(one)) for one in ticket.referrals], "approvals": [_plain(asdict(one)) for one in ticket.approvals],
        "followers": list(ticket.followers), "priority_reason": ticket.priority_reason, "url": ticket.url,
    }  # fmt: skip
    if events is not None:
        found["events"] = [{**_plain(asdict(event)), "changes": [_plain(asdict(change)) for change in event.changes]} for event in events]
    cleaned: dict[str, Any] = _deep(found)
    return cleaned


def _line(event: Event) -> str:
    who = f"{utc(event.at)} {'PUBLIC' if event.public else 'internal'} {event.actor} {event.type}"
    changes = [f"{change.field}: {_flat(change.old) or 'nothing'} -> {_flat(change.new) or 'nothing'}" for change in event.changes]
    return "\n".join([who, *changes, *([event.body] if event.body else [])])


def _flat(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return "; ".join(str(_flat(item)) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_flat(item)}" for name, item in value.items())
    return value if isinstance(value, int | float) else "" if value is None else str(value)


def _tidy(value: Any) -> Any:
    return clean(value, one_line=False, limit=1_000_000) if isinstance(value, str) else value


def _plain(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: utc(value) if isinstance(value, datetime) else value for name, value in record.items()}


def _deep(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {clean(str(name)): _deep(item) for name, item in value.items()}
    if isinstance(value, str):
        return _tidy(value)
    return [_deep(item) for item in value] if isinstance(value, Iterable) else value
