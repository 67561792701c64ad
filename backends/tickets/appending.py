"""Adding an event to a ticket: the event first, under a key only one writer gets, then the ticket as its fold.

A crash between the two leaves a ticket that lags behind its events; whoever touches it next carries it forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from backends.errors import Busy, Conflict, NotFound
from backends.store.contract import All, Order, Record, Store, Test
from backends.tickets.events import USUAL, event_id, fold
from backends.tickets.promise import Promise

TICKETS, EVENTS = "tickets", "events"
TRIES = 20
Guard = Callable[[Mapping[str, Any]], None]
"""Raises Conflict when the ticket as it is now does not allow the event any more."""


def caught_up(store: Store, ident: str, promise: Promise = USUAL) -> Record:
    """The ticket with all its events folded in. NotFound."""
    record = store.get(TICKETS, ident)
    if record is None:
        first = store.get(EVENTS, event_id(ident, 1))
        if first is None:
            raise NotFound(f"ticket {ident}")
        record = store.put(TICKETS, ident, fold(None, first.doc, promise))
    while True:
        event = store.get(EVENTS, event_id(ident, int(record.doc.get("events", 1)) + 1))
        if event is None:
            return record
        try:
            record = store.update(TICKETS, ident, fold(record.doc, event.doc, promise), rev=record.rev)
        except Conflict:
            again = store.get(TICKETS, ident)
            if again is None:
                raise NotFound(f"ticket {ident}") from None
            record = again


def append(store: Store, ident: str, event: Mapping[str, Any], op_id: str, guard: Guard, promise: Promise = USUAL) -> tuple[Record, str]:
    """One event onto a ticket; (the ticket after it, the event's key). `guard` is asked again each time somebody was faster."""
    for _ in range(TRIES):
        record = caught_up(store, ident, promise)
        known = _done(store, ident, op_id)
        if known is not None:
            return record, known
        guard(record.doc)
        seq = int(record.doc.get("events", 1)) + 1
        stored = {**event, "ticket": ident, "seq": seq, "op_id": op_id}
        stored["was"] = {name: record.doc.get(name) for name in event["set"]}
        try:
            written = store.insert(EVENTS, stored, id=event_id(ident, seq), op_id=op_id)
        except Conflict:
            continue
        return caught_up(store, ident, promise), written.id
    raise Busy(f"ticket {ident} is changed by others all the time", hint="Try again in a moment.")


def _done(store: Store, ident: str, op_id: str) -> str | None:
    """The key of the event an operation made earlier: a replay is a no-op."""
    found = store.select(EVENTS, All((Test("ticket", "eq", ident), Test("op_id", "eq", op_id))), limit=1, fields=["seq"])
    return found[0].id if found else None


def timeline(store: Store, ident: str) -> list[Mapping[str, Any]]:
    """All events of a ticket, oldest first."""
    return [record.doc for record in store.select(EVENTS, Test("ticket", "eq", ident), [Order("seq")])]
