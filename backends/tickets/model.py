"""The ticket in the field's words: frozen records, aware UTC times, stable ids. Never imports an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal


class Phase(StrEnum):
    """What code decides by; the status is the site's own word for it."""

    NEW = "new"
    ACTIVE = "active"
    PAUSED = "paused"
    RESOLVED = "resolved"
    CLOSED = "closed"


OPEN_PHASES = (Phase.NEW, Phase.ACTIVE, Phase.PAUSED)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody outside the desk: the requester, a watcher. `login` ties them to a directory account where known."""

    name: str = ""
    email: str = ""
    phone: str = ""
    login: str = ""
    location: str = ""
    department: str = ""

    def label(self) -> str:
        """The name to show: name, else login, else address."""
        return self.name or self.login or self.email or "nobody"


@dataclass(frozen=True, slots=True)
class TicketRow:
    """A line of a list: only what lists show."""

    backend: str
    id: str
    """Stable id in its system (embedded: the uid)."""
    number: str
    """What people say: "T-1042"."""
    subject: str
    status: str
    phase: Phase
    priority: int
    """1 (most urgent) to 4."""
    queue: str = ""
    requester: str = ""
    assignee: str = ""
    team: str = ""
    location: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    due_at: datetime | None = None
    """When the running target (first response or resolution) is due; None where there is none or it was met."""
    left: int | None = None
    """Open seconds of its calendar until then, negative when it is late; None where the system can't say."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of an event: before and after, as JSON values."""

    field: str
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of the timeline, append-only. `type` is one of tickets.model.EVENT_TYPES or the system's own word."""

    seq: int
    at: datetime
    actor: str
    type: str
    public: bool = False
    body: str = ""
    changes: tuple[FieldChange, ...] = ()
    minutes: int = 0
    via: str = "ui"
    op_id: str = ""
    quoted: str = ""
    """What a mail repeated of earlier ones: kept, not shown with its words."""


LinkKind = Literal["parent", "child", "blocks", "blocked_by", "relates", "duplicates", "duplicated_by", "merged_into", "merged_from"]
LINK_INVERSE: Mapping[str, str] = {
    "parent": "child", "child": "parent", "blocks": "blocked_by", "blocked_by": "blocks", "relates": "relates",
    "duplicates": "duplicated_by", "duplicated_by": "duplicates", "merged_into": "merged_from", "merged_from": "merged_into",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TicketLink:
    """A tie to another ticket of the same system: "this ticket `kind` that one" (kind "parent": that one is the parent). `to` is its id or a URL."""

    kind: str
    to: str
    number: str = ""
    subject: str = ""
    status: str = ""
    phase: str = ""
    """The other ticket's phase, "" where it is not known."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a ticket: `id` fetches it, `event` is the seq of the event it came with (0: unknown), `size` in bytes."""

    id: str
    name: str
    size: int = 0
    mime: str = ""
    sha256: str = ""
    event: int = 0


@dataclass(frozen=True, slots=True)
class Referral:
    """Work that was given to a vendor: dates are promises, `returned_at` ends it."""

    vendor: str
    contact: str = ""
    reference: str = ""
    referred_at: datetime | None = None
    promised_for: datetime | None = None
    follow_up_on: datetime | None = None
    returned_at: datetime | None = None
    open: bool = True
    """The work is still with them."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who authorised what: asked of `by`, decided "approved" or "refused" ("" while open), on which document."""

    id: str
    what: str
    by: str
    asked_at: datetime | None = None
    decision: str = ""
    document: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SlaTarget:
    """One promise as it stands: what, its state (running, paused, met, breached), when it is due, open seconds left, and the sum in words."""

    what: str
    state: str
    due_at: datetime | None = None
    left: int | None = None
    text: str = ""
    warn_at: datetime | None = None


EVENT_TYPES = (
    "created", "replied", "noted", "call_logged", "field_changed", "status_changed", "assigned", "taken", "released", "stolen",
    "pending_set", "woke_up", "vendor_referred", "vendor_followed_up", "vendor_returned", "linked", "unlinked", "merged_in",
    "merged_away", "split", "attached", "time_logged", "approval_asked", "approved", "refused", "watched", "checked", "action_run", "alerted",
    "reopened", "closed", "mail_in", "mail_suppressed", "mail_failed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ticket:
    """The whole ticket. `version` is opaque; pass it back as `Change.version` to be told of a conflict."""

    row: TicketRow
    kind: str = "incident"
    """incident, request, problem, change, task."""
    body: str = ""
    category: str = ""
    requester: Person = field(default_factory=Person)
    watchers: tuple[Person, ...] = ()
    origin: str = "console"
    impact: int = 3
    urgency: int = 3
    pending_reason: str = ""
    pending_until: datetime | None = None
    resolution: str = ""
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    time_spent: int = 0
    """Minutes."""
    first_response_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    reopened: int = 0
    offered: tuple[str, ...] = ()
    """Statuses it may go to now."""
    refs: tuple[str, ...] = ()
    """What it is about: `domain:backend:id` of devices, accounts, snapshots."""
    links: tuple[TicketLink, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    referrals: tuple[Referral, ...] = ()
    approvals: tuple[Approval, ...] = ()
    priority_reason: str = ""
    """Why the priority is not what impact and urgency give, or ""."""
    estimate: int = 0
    """Minutes."""
    checklist: tuple[tuple[str, bool], ...] = ()
    dedupe_key: str = ""
    """"device:check" of the alert it came from: later alerts are added to it while it is open."""
    followers: tuple[str, ...] = ()
    """Logins of colleagues who watch it."""
    mentioned: tuple[str, ...] = ()
    """Logins of colleagues who were named in a note and have not done anything on it since."""
    sla: tuple[SlaTarget, ...] = ()
    pending_since: datetime | None = None
    url: str = ""
    """Its page in the system's own web interface, or ""."""


SortKey = Literal["number", "subject", "status", "priority", "queue", "requester", "assignee", "created_at", "updated_at", "due_at"]


TermField = Literal[
    "text", "subject", "queue", "status", "phase", "owner", "team", "requester", "location", "priority", "kind", "category", "tag", "number",
    "ref", "vendor", "origin", "created", "updated", "due", "pending", "field", "mentioned", "follower",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Term:
    """One condition of a query; all terms must hold. `values` are "any of".

    op "is": equal, letter case aside (owner "" = nobody). "has": contains. "before"/"after": a moment as UTC ISO text, for created,
    updated, due, pending. "none": has no value. For field "field" the first value is the field's name, the others its values.
    """

    field: TermField
    op: Literal["is", "has", "before", "after", "none"]
    values: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TicketQuery:
    """Which tickets, in which order. Empty = all. Lists of words are "any of"; `text` is found in subject, requester and number."""

    text: str = ""
    inverse: bool = False
    """True: those that `text` does NOT match."""
    phases: tuple[Phase, ...] = ()
    statuses: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    """"" stands for nobody."""
    priorities: tuple[int, ...] = ()
    overdue: bool = False
    requester: str = ""
    ref: str = ""
    """Only those about this `domain:backend:id`."""
    terms: tuple[Term, ...] = ()
    """More conditions, beside the fields above."""
    sort: SortKey = "updated_at"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The site's words: queues, statuses with their phase, people who can be assigned, teams, names of custom fields."""

    queues: tuple[str, ...] = ()
    statuses: Mapping[str, Phase] = field(default_factory=dict)
    agents: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueCount:
    """Figures for the wall and the header: open, new, overdue, unassigned, and open per assignee."""

    open: int = 0
    new: int = 0
    overdue: int = 0
    unassigned: int = 0
    by_assignee: Mapping[str, int] = field(default_factory=dict)
    by_queue: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """Queue -> open, new, overdue; empty where the system can't say it cheaply."""


ScheduleState = Literal["waiting", "due", "late", "overdue", "failing", "paused", "ended"]
"""late: its moment has gone by and nothing ran (no collector). overdue: the ticket of an occurrence is open beyond its time."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A ticket that comes again and again. `values` are what each ticket is made with (as for create)."""

    id: str
    number: str
    """What people say: "S-3"."""
    subject: str
    rule: str
    """RFC 5545 text."""
    words: str
    zone: str
    state: ScheduleState = "waiting"
    text: str = ""
    """Why it is in this state, in words."""
    next_at: datetime | None = None
    last_at: datetime | None = None
    last_ticket: str = ""
    """Id of the newest ticket it made."""
    last_number: str = ""
    lead: int = 0
    """Seconds a ticket is made before its occurrence."""
    within: int = 0
    """Seconds after the occurrence until its ticket is overdue; 0: until the next occurrence."""
    made: int = 0
    by: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One moment of a schedule and what became of it."""

    schedule: str
    at: datetime
    state: Literal["coming", "making", "made", "skipped"]
    ticket: str = ""
    number: str = ""
    status: str = ""
    """The ticket's status now."""
    reason: str = ""
    """Why it was skipped."""
    by: str = ""
