"""A ticket as lines: header facts, what it is about, timeline. Public and internal are told apart by word, mark and colour."""

from __future__ import annotations

from collections.abc import Sequence

from backends.contract import now
from backends.tickets.model import OPEN_PHASES, Event, Ticket
from console.ages import age, due, stamp
from widgets.toned import Line
from widgets.wrap import fields, heading, prose

_DEEDS = {
    "created": "opened it", "replied": "replied", "noted": "noted", "call_logged": "logged a call", "taken": "took it",
    "released": "gave it back", "assigned": "assigned it", "stolen": "took it over", "status_changed": "changed the status",
    "field_changed": "changed", "reopened": "reopened it", "closed": "closed it", "linked": "linked", "unlinked": "unlinked",
    "pending_set": "set it waiting", "woke_up": "woke up", "vendor_referred": "referred it to a vendor", "action_run": "did",
}  # fmt: skip


def ticket_lines(ticket: Ticket, events: Sequence[Event], links: Sequence[str], timezone: str, width: int) -> list[Line]:
    """The whole view for a width."""
    out: list[Line] = [((f" {ticket.row.number}  ", "accent"), (ticket.row.subject, "title")), ()]
    out += fields(_facts(ticket, timezone), width)
    if links:
        out += heading("Linked", width, "J jumps")
        out += [((" " + link, "accent"),) for link in links]
    out += heading("Timeline", width, f"{len(events)} entries, newest first")
    for event in reversed(events):
        out += _event(event, timezone, width)
    return out


def _facts(ticket: Ticket, timezone: str) -> list[tuple[str, str, str]]:
    row, moment = ticket.row, now()
    left = due(row.due_at, moment) if row.phase in OPEN_PHASES else ""
    person = ticket.requester
    return [
        ("Status", f"{row.status}{_waiting(ticket, timezone)}", ""),
        ("Priority", f"P{row.priority} (impact {ticket.impact}, urgency {ticket.urgency})", "bad" if row.priority == 1 else ""),
        (
            "Due",
            f"{stamp(row.due_at, timezone)} ({'overdue ' + left[1:] if left.startswith('-') else left})" if left else "",
            "bad" if left.startswith("-") else "",
        ),
        ("Assignee", row.assignee or "nobody", "" if row.assignee else "warn"),
        ("Queue", row.queue, ""),
        ("Category", ticket.category, ""),
        ("Kind", ticket.kind, ""),
        ("Requester", person.label(), ""),
        ("Contact", "  ".join(part for part in (person.phone, person.email) if part), ""),
        ("Where", "  ".join(part for part in (person.location, person.department) if part), ""),
        ("Watchers", ", ".join(watcher.label() for watcher in ticket.watchers), ""),
        ("Opened", f"{stamp(row.created_at, timezone)} ({age(row.created_at, moment)}) by {ticket.origin}", ""),
        ("Answered", stamp(ticket.first_response_at, timezone) or "not yet", "" if ticket.first_response_at else "warn"),
        ("Resolved", stamp(ticket.resolved_at, timezone), "ok"),
        ("Resolution", ticket.resolution, ""),
        ("Time spent", f"{ticket.time_spent // 60}h{ticket.time_spent % 60:02d}" if ticket.time_spent else "", ""),
        ("Reopened", f"{ticket.reopened} times" if ticket.reopened else "", "warn"),
        ("Tags", ", ".join(ticket.tags), ""),
    ]


def _waiting(ticket: Ticket, timezone: str) -> str:
    if not ticket.pending_reason:
        return ""
    until = f" until {stamp(ticket.pending_until, timezone)}" if ticket.pending_until else ""
    return f" ({ticket.pending_reason}{until})"


def _event(event: Event, timezone: str, width: int) -> list[Line]:
    tone = "public" if event.public else "internal"
    word = "PUBLIC  " if event.public else "internal"
    deed = _DEEDS.get(event.type, event.type.replace("_", " "))
    spent = f"  {event.minutes} min" if event.minutes else ""
    out: list[Line] = [
        (),
        ((f" {stamp(event.at, timezone)} ", "dim"), (f" {word} ", tone), (f" {event.actor}", "title"), (f" {deed}{spent}", "dim")),
    ]
    out += [_difference(change.field, change.old, change.new) for change in event.changes]
    if event.body:
        out += prose(event.body, width - 2, "", "   ┃ " if event.public else "   │ ")
    return out


def _difference(field: str, old: object, new: object) -> Line:
    def word(value: object) -> str:
        return "nothing" if value in (None, "", [], ()) else str(value)

    return ((f"   {field.replace('_', ' ')}: ", "dim"), (word(old), "dim"), (" → ", "dim"), (word(new), ""))
