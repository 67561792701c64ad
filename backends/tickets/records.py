"""Stored tickets as the model's records. Never imports an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.store.contract import Record
from backends.text import clean
from backends.tickets.events import moment
from backends.tickets.model import Approval, Attachment, Person, Phase, Referral, Ticket, TicketRow
from backends.tickets.numbers import spoken
from backends.tickets.workflow import Statuses

ROW_FIELDS = (
    "number", "subject", "status", "phase", "priority", "queue", "requester", "login", "assignee", "team", "location", "created_at",
    "updated_at", "due_at", "kind", "department",
)  # fmt: skip


def row(backend: str, record: Record) -> TicketRow:
    """A line of a list."""
    doc = record.doc
    return TicketRow(
        backend=backend, id=record.id, number=spoken(int(doc["number"])), subject=clean(doc["subject"]), status=clean(doc["status"]),
        phase=Phase(doc["phase"]), priority=int(doc["priority"]), queue=clean(doc.get("queue", "")),
        requester=clean(doc.get("requester") or doc.get("login", "")), assignee=clean(doc.get("assignee", "")), team=clean(doc.get("team", "")),
        location=clean(doc.get("location", "")), created_at=moment(doc.get("created_at")), updated_at=moment(doc.get("updated_at")),
        due_at=moment(doc.get("due_at")), version=str(record.rev),
    )  # fmt: skip


def person(doc: Mapping[str, Any]) -> Person:
    """The requester, as stored flat in the ticket."""
    return Person(*(clean(str(doc.get(name, ""))) for name in ("requester", "email", "phone", "login", "location", "department")))


def ticket(backend: str, record: Record, statuses: Statuses) -> Ticket:
    """The whole ticket."""
    doc = record.doc
    return Ticket(
        row=row(backend, record), kind=clean(doc.get("kind", "incident")), body=clean(doc.get("body", ""), one_line=False),
        category=clean(doc.get("category", "")), requester=person(doc), origin=clean(doc.get("origin", "console")),
        watchers=tuple(Person(email=clean(address)) for address in doc.get("watchers", ())),
        impact=int(doc.get("impact", 3)), urgency=int(doc.get("urgency", 3)), pending_reason=clean(doc.get("pending_reason") or ""),
        pending_until=moment(doc.get("pending_until")), resolution=clean(doc.get("resolution") or "", one_line=False),
        tags=tuple(clean(tag) for tag in doc.get("tags", ())), time_spent=int(doc.get("time_spent", 0)),
        first_response_at=moment(doc.get("first_response_at")), resolved_at=moment(doc.get("resolved_at")), closed_at=moment(doc.get("closed_at")),
        reopened=int(doc.get("reopened", 0)), offered=statuses.offered(doc["status"], Phase(doc["phase"])), refs=tuple(doc.get("refs", ())),
        fields=dict(doc.get("fields", {})), priority_reason=clean(doc.get("priority_reason") or ""), estimate=int(doc.get("estimate", 0)),
        checklist=tuple((clean(text), bool(done)) for text, done in doc.get("checklist", ())), dedupe_key=clean(doc.get("dedupe_key", "")),
        followers=tuple(clean(login) for login in doc.get("followers", ())), mentioned=tuple(clean(login) for login in doc.get("mentioned", ())),
        attachments=tuple(map(_attachment, doc.get("attachments", ()))),
        referrals=tuple(map(_referral, doc.get("referrals", ()))), approvals=tuple(map(_approval, doc.get("approvals", ()))),
    )  # fmt: skip


def _attachment(doc: Mapping[str, Any]) -> Attachment:
    return Attachment(str(doc["sha256"]), clean(str(doc["name"])), int(doc.get("size", 0)), clean(str(doc.get("mime", ""))), str(doc["sha256"]))


def _referral(doc: Mapping[str, Any]) -> Referral:
    promised, follow_up = moment(doc.get("promised")), moment(doc.get("follow_up"))
    returned = moment(doc["returned"]) if isinstance(doc.get("returned"), str) else None
    return Referral(
        clean(str(doc["vendor"])), clean(str(doc.get("contact", ""))), clean(str(doc.get("reference", ""))), moment(doc.get("at")), promised,
        follow_up, returned, open=not doc.get("returned"),
    )  # fmt: skip


def _approval(doc: Mapping[str, Any]) -> Approval:
    return Approval(
        str(doc["id"]), clean(str(doc["what"])), clean(str(doc["by"])), moment(doc.get("asked")), str(doc.get("decision", "")), clean(str(doc.get("document", ""))),
        moment(doc.get("at")),
    )  # fmt: skip


def kept(doc: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a ticket that a sidecar document holds, by the names of the model's fields."""
    until = doc.get("wake_at")
    return {
        "refs": tuple(doc.get("refs", ())), "checklist": tuple((clean(text), bool(done)) for text, done in doc.get("checklist", ())),
        "approvals": tuple(map(_approval, doc.get("approvals", ()))), "followers": tuple(clean(login) for login in doc.get("followers", ())),
        "referrals": tuple(map(_referral, doc.get("referrals", ()))), "pending_reason": clean(doc.get("pending_reason") or ""),
        "pending_until": moment(until) if until and until != "begun" else None,
    }  # fmt: skip
