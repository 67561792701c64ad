"""Remote tickets that are with a vendor come back on the day of their follow-up: an internal note there, and the status of work going on.

Each part is claimed in the store before it is sent, so that two collectors, or one that was killed, never say it twice; what surely was
not sent is tried again at the next poll. Never imports an adapter.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from backends.contract import Actor, Change
from backends.errors import AuthFailed, BackendError, RateLimited, Unreachable
from backends.store.contract import Record
from backends.threads import in_thread
from backends.tickets.model import Phase, Ticket
from backends.tickets.sidecar_store import Json, SideStore
from backends.tickets.sidecar_verbs import working
from backends.tickets.workflow import Statuses

BY = Actor("deskside", "deskside", "technician")
DEADLINE = 10.0
_UNSENT = (Unreachable, RateLimited, AuthFailed)
"""Nothing was changed on the server, and it may go another time."""


async def wake(inner: Any, name: str, side: SideStore, at: datetime) -> int:
    """Bring back what is due; how many tickets were brought back or tried again."""
    records = await in_thread(DEADLINE, side.waking, at)
    for record in records:
        await _wake(inner, name, side, record, at)
    return len(records)


async def _wake(inner: Any, name: str, side: SideStore, record: Record, at: datetime) -> None:
    ident = str(record.doc["id"])
    if record.doc["wake_at"] != "begun":
        await in_thread(DEADLINE, side.edit, ident, lambda doc: _begin(doc, at))
    for part in ("status", "note"):
        mine = await in_thread(DEADLINE, _claim, side, ident, part)
        if mine is None:
            continue
        try:
            await (_status(inner, name, ident) if part == "status" else _note(inner, name, ident, mine))
        except _UNSENT:
            await in_thread(DEADLINE, side.edit, ident, lambda doc, part=part: {**doc, "waking": [*doc.get("waking", ()), part], "wake_at": "begun"})  # type: ignore[misc]
        except BackendError:
            continue  # refused, or nobody knows: it is not said twice


def _begin(doc: Json, at: datetime) -> Json | None:
    """The waking is an event of its own; two who begin it at once begin it once."""
    until = doc.get("wake_at")
    if until in (None, "", "begun"):
        return None
    from backends.tickets.events import iso

    reason = str(doc.get("pending_reason") or "")
    event = {"type": "woke_up", "set": {}, "was": {}, "at": iso(at), "actor": BY.login, "via": "schedule", "seq": len(doc["events"]) + 1, "op_id": f"wake-{until}",
             "body": f"back from waiting{': ' + reason if reason else ''}"}  # fmt: skip
    return {**doc, "events": [*doc["events"], event], "wake_at": "begun", "waking": ["status", "note"], "woken": until}


def _claim(side: SideStore, ident: str, part: str) -> Json | None:
    """The document, if this part was still to be done and is now ours; the last part ends the waking."""
    found: list[Json] = []

    def take(doc: Json) -> Json | None:
        found.clear()
        left = list(doc.get("waking", ()))
        if part not in left:
            return None
        left.remove(part)
        found.append(doc)
        return {**doc, "waking": left, "wake_at": "begun" if left else None}

    side.edit(ident, take)
    return found[0] if found else None


async def _status(inner: Any, name: str, ident: str) -> None:
    ticket: Ticket = await inner.ticket(ident)
    if ticket.row.phase is not Phase.PAUSED or not hasattr(inner, "plan_status"):
        return
    words = await inner.vocabulary()
    word = working(Statuses(dict(words.statuses)))
    if word and (not ticket.offered or word in ticket.offered):
        plan = await inner.plan(Change("tickets", name, "status", ticket.row.id, values={"status": word, "reason": "the day of the follow-up"}), BY)
        await inner.apply(plan, BY, f"wake-{ident}-status")


async def _note(inner: Any, name: str, ident: str, doc: Json) -> None:
    if not hasattr(inner, "plan_note"):
        return
    reason = str(doc.get("pending_reason") or "")
    body = f"Back from waiting{': ' + reason if reason else ''}. The follow-up was due {doc.get('woken')}."
    plan = await inner.plan(Change("tickets", name, "note", ident, values={"body": body}), BY)
    await inner.apply(plan, BY, f"wake-{ident}-{doc.get('woken')}-note")
