"""A ticket as lines: header facts, what it is about, timeline. Public and internal are told apart by word, mark and colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.contract import now
from backends.text import amount
from backends.tickets.model import OPEN_PHASES, Event, Phase, Ticket, TicketRow
from console.ages import age, left, local, stamp
from widgets.toned import Line
from widgets.wrap import fields, heading, prose, wrap

_DEEDS = {
    "created": "opened it", "replied": "replied", "noted": "noted", "call_logged": "logged a call", "taken": "took it",
    "released": "gave it back", "assigned": "assigned it", "stolen": "took it over", "status_changed": "changed the status",
    "field_changed": "changed", "reopened": "reopened it", "closed": "closed it", "linked": "linked", "unlinked": "unlinked",
    "pending_set": "set it waiting", "woke_up": "brought it back", "vendor_referred": "referred it to a vendor", "action_run": "did",
    "vendor_returned": "took it back from the vendor", "merged_away": "merged it into another", "merged_in": "merged another into it", "split": "split it",
    "attached": "attached", "time_logged": "spent time", "approval_asked": "asked for authority", "approved": "approved", "refused": "refused",
    "watched": "changed who is told", "checked": "ticked", "alerted": "heard the alert again",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a ticket: the requester's other open ones, solved ones that sound alike, who is here now, and what was begun."""

    theirs: tuple[TicketRow, ...] = ()
    alike: tuple[TicketRow, ...] = ()
    watching: str = ""
    """Who is here too, in words ("ana writes a reply, bob looks at it")."""
    drafts: tuple[str, ...] = ()
    """Verbs that were begun here and not sent."""


def ticket_lines(ticket: Ticket, events: Sequence[Event], links: Sequence[str], timezone: str, width: int, around: Around | None = None) -> list[Line]:
    """The whole view for a width."""
    around = around or Around()
    out: list[Line] = [((f" {ticket.row.number}  ", "accent"), (ticket.row.subject, "title")), ()]
    if around.watching:
        out[-1] = ((f" {around.watching}: a conflict is shown, nothing is lost", "warn"),)
    if around.drafts:
        out.append(((f" begun and not sent: {', '.join(around.drafts)}", "accent"), ("   the same key goes on, :drafts shows all", "dim")))
    out += fields(_facts(ticket, timezone), width)
    out += _promises(ticket, width)
    out += _work(ticket, timezone, width)
    out += _others(around, width)
    if links:
        out += heading("Linked", width, "J jumps")
        out += [((" " + link, "accent"),) for link in links]
    out += heading("Timeline", width, f"{amount(len(events), 'entry', 'entries')}, newest first")
    for event in reversed(events):
        out += _event(event, timezone, width)
    return out


NARROW = 120
"""Below this many columns other tickets get a line each kind, so that the timeline is in sight."""


def _others(around: Around, width: int) -> list[Line]:
    """The requester's other tickets, and solved ones that sound alike."""
    out: list[Line] = []
    for title, short, rows in (("Open from the same person", "Also open", around.theirs), ("Solved before, by its words", "Solved alike", around.alike)):
        if rows and width < NARROW:
            row, more = rows[0], f"   and {', '.join(one.number for one in rows[1:])}" if rows[1:] else ""
            room = max(8, width - 18 - len(row.number) - len(more))
            out.append(((f" {short:13}", "dim"), (f"{row.number} ", "accent"), (row.subject if len(row.subject) <= room else row.subject[: room - 1] + "…", ""), (more, "dim")))
        elif rows:
            out += heading(title, width)
            out += [((f" {row.number} ", "accent"), (f" {row.status:12} ", "dim"), (row.subject, "")) for row in rows]
    return [(), *out] if out and width < NARROW else out


def _facts(ticket: Ticket, timezone: str) -> list[tuple[str, str, str]]:
    row, moment = ticket.row, now()
    remains = left(row.left, row.due_at, moment) if row.phase in OPEN_PHASES else ""
    late = row.due_at is not None and row.due_at < moment
    person = ticket.requester
    return [
        ("Status", f"{row.status}{_waiting(ticket, timezone)}", ""),
        ("Priority", f"P{row.priority} (impact {ticket.impact}, urgency {ticket.urgency})", "bad" if row.priority == 1 else ""),
        (
            "Due",
            f"{stamp(row.due_at, timezone)} ({f'overdue {remains}'.replace('overdue -', 'overdue ') if late else f'{remains} left'})" if remains else "",
            "bad" if late else "",
        ),
        ("Assignee", row.assignee or "nobody", "" if row.assignee else "warn"),
        ("Queue", row.queue, ""),
        ("Category", ticket.category, ""),
        ("Kind", ticket.kind, ""),
        ("Requester", person.label(), ""),
        ("Contact", "  ".join(part for part in (person.phone, person.email) if part), ""),
        ("Where", "  ".join(part for part in (person.location, person.department) if part), ""),
        ("Watchers", ", ".join(watcher.label() for watcher in ticket.watchers), ""),
        ("Followed by", ", ".join(ticket.followers), ""),
        ("Mentioned", ", ".join(ticket.mentioned), "warn"),
        ("By hand", ticket.priority_reason, ""),
        ("Opened", f"{stamp(row.created_at, timezone)} ({age(row.created_at, moment)}) by {ticket.origin}", ""),
        ("Answered", stamp(ticket.first_response_at, timezone) or "not yet", "" if ticket.first_response_at else "warn"),
        ("Resolved", stamp(ticket.resolved_at, timezone), "ok"),
        ("Resolution", ticket.resolution, ""),
        ("Time spent", f"{ticket.time_spent // 60}h{ticket.time_spent % 60:02d}" if ticket.time_spent else "", ""),
        ("Reopened", f"{ticket.reopened} times" if ticket.reopened else "", "warn"),
        ("Tags", ", ".join(ticket.tags), ""),
        ("Alert", ticket.dedupe_key, ""),
        *((name, ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value), "") for name, value in ticket.fields.items()),
    ]


_SHOWN_ABOVE = ("links", "referrals", "approvals", "checklist", "attachments", "fields")
"""Fields whose stored form says nothing to a reader; their events speak for themselves."""
_SLA_TONE = {"met": "ok", "running": "", "paused": "dim", "breached": "bad"}


def _promises(ticket: Ticket, width: int) -> list[Line]:
    if not ticket.sla:
        return []
    out = heading("Promises", width)
    moment = now()
    for target in ticket.sla:
        near = target.state == "running" and target.warn_at is not None and target.warn_at <= moment
        first, *rest = wrap(target.text, max(20, width - 24))
        out.append(((f" {target.what:13}", ""), (f"{'soon' if near else target.state:9}", "warn" if near else _SLA_TONE.get(target.state, "")), (first, "dim")))
        out += [((" " * 23 + line, "dim"),) for line in rest]
    return out


def _work(ticket: Ticket, timezone: str, width: int) -> list[Line]:
    """Vendors, ties, authority, checklist and files, where there are any."""
    out: list[Line] = []
    if ticket.referrals:
        out += heading("Vendors", width)
        for one in ticket.referrals:
            days = f"  since {stamp(one.referred_at, timezone)[:10]}" if one.referred_at else ""
            days += f"  promised {stamp(one.promised_for, timezone)[:10]}" if one.promised_for else ""
            days += f"  follow up {stamp(one.follow_up_on, timezone)[:10]}" if one.follow_up_on else ""
            out.append(((f" {one.vendor}", "accent" if one.open else "dim"), (f"  {one.reference}  {one.contact}{days}", "dim"), ("" if one.open else f"  returned {stamp(one.returned_at, timezone)[:10]}".rstrip(), "ok")))
    if ticket.links:
        children = [link for link in ticket.links if link.kind == "child"]
        ended = sum(link.phase in (Phase.RESOLVED, Phase.CLOSED) for link in children)
        out += heading("Tickets", width, f"{ended} of {len(children)} children are done" if children else "")
        out += [((f" {link.kind.replace('_', ' '):14}", "dim"), (f"{link.number or link.to} ", "accent"), (link.subject, ""), (f"  ({link.status})" if link.status else "", "dim")) for link in ticket.links]
    if ticket.approvals:
        out += heading("Authority", width)
        out += [((f" {one.decision or 'open':9}", {"approved": "ok", "refused": "bad"}.get(one.decision, "warn")), (one.what, ""), (f"  asked of {one.by} {stamp(one.asked_at, timezone)[:10]}  {stamp(one.at, timezone)[:10]}  {one.document}".rstrip(), "dim")) for one in ticket.approvals]
    if ticket.checklist:
        out += heading("Checklist", width, f"{sum(done for _, done in ticket.checklist)} of {len(ticket.checklist)}")
        out += [((f" {'[x]' if done else '[ ]'} ", "ok" if done else ""), (text, "dim" if done else "")) for text, done in ticket.checklist]
    if ticket.attachments:
        out += heading("Files", width, "d saves one")
        out += [((f" {file.name}", "accent"), (f"  {file.size:,} bytes  {file.mime}", "dim")) for file in ticket.attachments]
    return out


def _waiting(ticket: Ticket, timezone: str) -> str:
    if not ticket.pending_reason:
        return ""
    until = f" until {stamp(ticket.pending_until, timezone)}" if ticket.pending_until else ""
    return f" ({ticket.pending_reason}{until})"


def _event(event: Event, timezone: str, width: int) -> list[Line]:
    tone = "public" if event.public else "internal"
    word = "PUBLIC  " if event.public else "opened  " if event.type == "created" else "internal"
    deed = _DEEDS.get(event.type, event.type.replace("_", " "))
    spent = f"  {event.minutes} min" if event.minutes else ""
    out: list[Line] = [
        (),
        ((f" {event.seq:>2} {stamp(event.at, timezone)} ", "dim"), (f" {word} ", tone), (f" {event.actor}", "title"), (f" {deed}{spent}", "dim")),
    ]
    out += [_difference(change.field, change.old, change.new, timezone) for change in event.changes if change.field not in _SHOWN_ABOVE]
    if event.body:
        out += prose(event.body, width - 2, "", "   ┃ " if event.public else "   │ ")
    if event.quoted:
        out.append(((f"   … {len(event.quoted.splitlines())} quoted lines of what it answers; `tickets show` has them", "dim"),))
    return out


def _difference(field: str, old: object, new: object, timezone: str) -> Line:
    def word(value: object) -> str:
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        return "nothing" if value in (None, "", [], ()) else local(text, timezone)

    return ((f"   {field.replace('_', ' ')}: ", "dim"), (word(old), "dim"), (" → ", "dim"), (word(new), ""))
