"""To which ticket a mail belongs: by the Message-IDs we know, by the number in its subject, through merges. Never imports an adapter."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Mapping
from typing import Any

from backends.errors import Conflict, NotFound
from backends.store.contract import Order, Record, Store, Test
from backends.tickets.appending import TICKETS, caught_up
from backends.tickets.mail_message import Mail
from backends.tickets.promise import Promise

MAIL_IDS = "mail_ids"
"""Message-IDs of both directions: {ticket, out, at, id}, under the hash of the id."""
_TAG = re.compile(r"\[T-(\d{1,12})\]", re.IGNORECASE)
DEEPEST = 50


def id_key(message_id: str) -> str:
    """The key of a Message-ID: those of the world are of any length and form."""
    return hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def remember(store: Store, message_id: str, ticket: str, at: str, *, out: bool) -> None:
    """Answers to this mail belong to the ticket. Who was first stays: another mail can't take our id over."""
    if message_id:
        with contextlib.suppress(Conflict):
            store.insert(MAIL_IDS, {"ticket": ticket, "out": out, "at": at, "id": message_id}, id=id_key(message_id))


def is_ours(store: Store, message_id: str) -> bool:
    """Whether we sent a mail with this id."""
    known = store.get(MAIL_IDS, id_key(message_id)) if message_id else None
    return known is not None and bool(known.doc.get("out"))


def ticket_of(store: Store, mail: Mail, promise: Promise) -> Record | None:
    """The ticket a mail belongs to, merges followed to their end; None for a new matter."""
    for message_id in mail.answers[:DEEPEST]:
        known = store.get(MAIL_IDS, id_key(message_id))
        if known is not None:
            found = rooted(store, str(known.doc["ticket"]), promise)
            if found is not None:
                return found
    for number in _TAG.findall(mail.subject)[:3]:
        rows = store.select(TICKETS, Test("number", "eq", int(number)), limit=1, fields=["number"])
        if rows:
            return rooted(store, rows[0].id, promise)
    return None


def rooted(store: Store, ident: str, promise: Promise) -> Record | None:
    """The ticket, or the one it lives on as."""
    for _ in range(DEEPEST):
        try:
            record = caught_up(store, ident, promise)
        except NotFound:
            return None
        merged = next((link["to"] for link in record.doc.get("links", ()) if link["kind"] == "merged_into"), "")
        if not merged:
            return record
        ident = str(merged)
    return None


def knows(doc: Mapping[str, Any], address: str) -> bool:
    """Whether an address takes part in a ticket: its requester or somebody who is told of replies."""
    people = {str(doc.get("email") or "").lower(), *(str(one).lower() for one in doc.get("watchers", ()))}
    return address in people - {""}


def thread(store: Store, ticket: str, but: str = "") -> list[str]:
    """The Message-IDs of a ticket, oldest first, without one of them."""
    found = store.select(MAIL_IDS, Test("ticket", "eq", ticket), [Order("at")])
    return [str(record.doc["id"]) for record in found if record.doc["id"] != but][-20:]
