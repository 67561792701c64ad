"""A ticket is the fold of its events: the stored forms of both, and the one function that carries a ticket forward.

Stored as plain JSON. An event: {ticket, seq, at, actor, type, set: {field: new}, was: {field: old}} and, where they are not
empty, public, body, minutes, via, op_id. `set` holds every field the event gives a value to. Everything derived (search text,
due time, stopped time, first answer) comes out of `fold`, never from the event. Empty values are left out of a stored ticket,
except in the fields that lists filter by. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from backends.tickets.clock import is_word, reason_of
from backends.tickets.model import Event, FieldChange, Phase
from backends.tickets.promise import Promise

Json = dict[str, Any]
KEPT = frozenset({"assignee", "queue", "priority", "phase", "status", "number", "subject"})
"""Fields that stand in a stored ticket even when empty: lists filter and sort by them."""
HIDDEN = frozenset({"phase", "ref_first", "ref_second", "ref_more"})
"""Fields of an event that say nothing to a reader."""


def iso(at: datetime) -> str:
    """A moment as stored: UTC, whole seconds, `Z`; such texts sort by time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None) -> datetime | None:
    """The inverse of `iso`; None for nothing."""
    return datetime.fromisoformat(text) if text else None


def event_id(ticket: str, seq: int) -> str:
    """The key of an event. Two writers who both want to be number 7 want the same key, and the store gives it to one of them."""
    return f"{ticket}.{seq:05d}"


USUAL = Promise()


def fold(ticket: Mapping[str, Any] | None, event: Mapping[str, Any], promise: Promise = USUAL) -> Json:
    """The ticket after one more event; `promise` gives the due time."""
    after: Json = dict(ticket or {})
    at = event["at"]
    after.update(event["set"])
    if event["seq"] == 1:
        after["created_at"] = at
    else:
        _stops(after, ticket or {}, at)
    after["events"] = event["seq"]
    after["updated_at"] = at
    if event.get("minutes"):
        after["time_spent"] = after.get("time_spent", 0) + event["minutes"]
    _mentions(after, event)
    if _is_word(event, after):
        after.setdefault("first_response_at", at)
        after["last_public_at"] = at
    _turns(after, at)
    _derive(after, promise)
    return {key: value for key, value in after.items() if key in KEPT or value not in (None, "", [], {}, 0)}


def _mentions(after: Json, event: Mapping[str, Any]) -> None:
    """Who is named in a note follows the ticket, and stands as mentioned until they do something on it themselves."""
    told = list(event.get("mentions") or ())
    if told:
        after["followers"] = list(dict.fromkeys([*after.get("followers", ()), *told]))
    after["mentioned"] = [name for name in dict.fromkeys([*after.get("mentioned", ()), *told]) if name != event.get("actor") and name in after.get("followers", ())]


def fold_all(events: Iterable[Mapping[str, Any]], promise: Promise = USUAL) -> Json:
    """The ticket its events make, in their order."""
    ticket: Json | None = None
    for event in events:
        ticket = fold(ticket, event, promise)
    return ticket or {}


def _is_word(event: Mapping[str, Any], ticket: Mapping[str, Any]) -> bool:
    """A public word of the desk: a reply or a call, not an automatic answer, not what the requester wrote."""
    origin = event["set"].get("origin")
    return is_word(str(event["type"]), bool(event.get("public")), str(event.get("via") or "ui"), str(event.get("actor", "")), origin, ticket)


def _turns(ticket: Json, at: str) -> None:
    """When it ran, waited and was over: one entry a change of phase, or of what it waits for."""
    phase = str(ticket["phase"])
    reason = reason_of(str(ticket.get("pending_reason") or ""), str(ticket.get("status") or "")) if phase == Phase.PAUSED else ""
    turns = list(ticket.get("turns") or ())
    if not turns or list(turns[-1][1:]) != [phase, reason]:
        ticket["turns"] = [*turns, [at, phase, reason]]


def _stops(after: Json, before: Mapping[str, Any], at: str) -> None:
    """What entering and leaving a phase does to the dates of resolving and closing."""
    was, now = before.get("phase"), after["phase"]
    if was == now:
        return
    if now != Phase.PAUSED:
        after["pending_reason"] = after["pending_until"] = None
    if now == Phase.RESOLVED:
        after["resolved_at"] = at
    elif was == Phase.RESOLVED and now != Phase.CLOSED:
        after["resolved_at"] = after["resolution"] = None
        after["reopened"] = after.get("reopened", 0) + 1
    if now == Phase.CLOSED:
        after["closed_at"] = at


def _derive(ticket: Json, promise: Promise) -> None:
    digits = "".join(letter for letter in str(ticket.get("phone", "")) if letter.isdigit())
    ticket["search"] = f"t-{ticket['number']} {ticket['subject']} {ticket.get('requester', '')} {ticket.get('login', '')} {digits}".strip().lower()
    due = promise.due(ticket)
    ticket["due_at"] = iso(due) if due is not None else None


def read_event(doc: Mapping[str, Any]) -> Event:
    """The stored event as the model's; the first one lists no changes, as all of it is new."""
    was = doc.get("was", {})
    changes = () if doc["seq"] == 1 else tuple(
        FieldChange(name, was.get(name), value) for name, value in doc["set"].items() if name not in HIDDEN
    )  # fmt: skip
    return Event(
        seq=doc["seq"], at=datetime.fromisoformat(doc["at"]), actor=doc["actor"], type=doc["type"], public=bool(doc.get("public")),
        body=doc.get("body", ""), changes=changes, minutes=doc.get("minutes", 0), via=doc.get("via", "ui"), op_id=doc.get("op_id", ""),
        quoted=doc.get("quoted", ""),
    )  # fmt: skip
