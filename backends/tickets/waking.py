"""Tickets that wait until a day come back by themselves: a follow-up with a vendor, a date that was agreed. Never imports an adapter.

Each waking has one name (the ticket and its day), so that two collectors, or one that was killed, wake it once.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backends.errors import BackendError, Refused
from backends.store.contract import All, Store, Test
from backends.tickets.appending import TICKETS, append
from backends.tickets.events import iso
from backends.tickets.model import Phase
from backends.tickets.planning import House

BY = "deskside"


def wake(store: Store, house: House, at: datetime) -> int:
    """Bring back what is due; how many those were."""
    where = All((Test("phase", "eq", Phase.PAUSED.value), Test("pending_until", "le", iso(at))))
    woken = 0
    for record in store.select(TICKETS, where, limit=500):
        until = str(record.doc["pending_until"])
        working = house.statuses.of(Phase.ACTIVE)
        reason = str(record.doc.get("pending_reason") or "")
        event = {
            "type": "woke_up", "set": {"status": working[-1], "phase": Phase.ACTIVE.value}, "at": iso(at), "actor": BY, "via": "schedule",
            "body": f"back from waiting{': ' + reason if reason else ''}",
        }  # fmt: skip

        def guard(doc: Mapping[str, Any], until: str = until) -> None:
            if doc.get("phase") != Phase.PAUSED or doc.get("pending_until") != until:
                raise Refused("somebody was faster")

        try:
            append(store, record.id, event, f"wake-{record.id}-{until}", guard, house.promise)
        except BackendError:
            continue
        woken += 1
    return woken
