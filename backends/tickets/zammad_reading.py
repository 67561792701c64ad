"""Answers of Zammad as the model's records. Pure; everything is cleaned here. Never imports an adapter.

Bodies are HTML unless their content type says otherwise. Entries of the history that belong to an article (a reply that closes) are
shown with it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.contract import now
from backends.errors import Damaged
from backends.text import clean
from backends.tickets import desk_notes
from backends.tickets.html_text import html_text
from backends.tickets.model import Attachment, Event, FieldChange, Person, Phase, SlaTarget, Ticket, TicketLink, TicketRow

TYPES: Mapping[str, Phase] = {
    "new": Phase.NEW, "open": Phase.ACTIVE, "pending reminder": Phase.PAUSED, "pending action": Phase.PAUSED, "closed": Phase.RESOLVED,
    "merged": Phase.CLOSED, "removed": Phase.CLOSED,
}  # fmt: skip
"""What a state type means: closed is resolved here, as an answer of the requester opens it again."""
TYPE_IDS = {1: "new", 2: "open", 3: "pending reminder", 4: "pending action", 5: "closed", 6: "merged", 7: "removed"}
USUAL: Mapping[str, Phase] = {"new": Phase.NEW, "open": Phase.ACTIVE, "pending reminder": Phase.PAUSED, "pending close": Phase.PAUSED, "closed": Phase.RESOLVED,
                              "merged": Phase.CLOSED, "removed": Phase.CLOSED}  # fmt: skip
_FIELDS = {"title": "subject", "state": "status", "owner": "assignee", "group": "queue", "priority": "priority", "pending_time": "pending_until", "customer": "requester"}
_TOGETHER = timedelta(seconds=2)
_KNOWN = frozenset({
    "id", "number", "title", "group_id", "group", "state_id", "state", "priority_id", "priority", "owner_id", "owner", "customer_id", "customer", "organization_id",
    "organization", "note", "preferences", "article_count", "article_ids", "time_unit", "created_at", "updated_at", "created_by_id", "updated_by_id", "created_by",
    "updated_by", "pending_time", "close_at", "create_article_type", "create_article_type_id", "create_article_sender", "create_article_sender_id", "type",
    "ticket_time_accounting", "ticket_time_accounting_ids", "checklist_id", "last_close_at", "last_owner_update_at", "referencing_checklist_ids",
})  # fmt: skip


def moment(text: Any) -> datetime | None:
    """A time of Zammad; None for none or nonsense."""
    try:
        at = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def line(value: Any, limit: int = 500) -> str:
    """A one-line text, cleaned."""
    return clean("" if value is None else str(value), limit=limit)


def number_of(value: Any) -> int:
    """A whole number, 0 for anything else."""
    return int(value) if isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"\d{1,15}", value)) else 0


def login(value: Any) -> str:
    """A login; nobody is "-"."""
    text = line(value, 200)
    return "" if text == "-" else text


def row(backend: str, item: Mapping[str, Any], phases: Mapping[str, Phase], levels: Mapping[str, int]) -> TicketRow:
    """A line of a list. Damaged when it has no number."""
    number, state = line(item.get("number"), 40), line(item.get("state"), 100)
    if not number or not number_of(item.get("id")):
        raise Damaged("Zammad's answer has a ticket without a number")
    phase = phases.get(state, Phase.ACTIVE)
    running = phase in (Phase.NEW, Phase.ACTIVE)
    return TicketRow(
        backend=backend, id=number, number=f"#{number}", subject=line(item.get("title")), status=state, phase=phase, priority=levels.get(line(item.get("priority")), 3),
        queue=line(item.get("group"), 200), requester=login(item.get("customer")), assignee="" if item.get("owner_id") == 1 else login(item.get("owner")),
        created_at=moment(item.get("created_at")), updated_at=moment(item.get("updated_at")), due_at=moment(item.get("escalation_at")) if running else None,
        version=line(item.get("updated_at"), 60),
    )  # fmt: skip


def person(doc: Mapping[str, Any]) -> Person:
    """A user."""
    name = f"{line(doc.get('firstname'), 100)} {line(doc.get('lastname'), 100)}".strip()
    place = ", ".join(part for part in (line(doc.get("street"), 100), line(doc.get("city"), 100)) if part)
    return Person(
        name, line(doc.get("email"), 200), line(doc.get("phone") or doc.get("mobile"), 60), login(doc.get("login")), place, line(doc.get("department") or doc.get("organization"), 100),
    )  # fmt: skip


def body_of(article: Mapping[str, Any]) -> str:
    """The text of an article."""
    raw = str(article.get("body") or "")
    if "html" in str(article.get("content_type") or "text/html"):
        return html_text(raw)
    return clean(raw.strip("\r\n"), one_line=False)


def ticket(base: TicketRow, item: Mapping[str, Any], events: Sequence[Event], beside: Mapping[str, Any], url: str) -> Ticket:
    """The whole ticket. `beside`: requester, tags, links, followers, files, offered, minutes."""
    paused = base.phase is Phase.PAUSED
    fields = {line(key, 60): line(value, 1000) for key, value in item.items() if key not in _KNOWN and value not in (None, "", [], {}) and not str(key).endswith(_COUNTERS)}
    return Ticket(
        base, body=events[0].body if events else "", requester=beside["requester"], origin=line(item.get("create_article_type") or "zammad", 40),
        pending_reason=desk_notes.waits_for(events) if paused else "", pending_until=moment(item.get("pending_time")) if paused else None,
        resolution=desk_notes.solution(events) if base.phase is Phase.RESOLVED else "", tags=beside["tags"], fields=fields, time_spent=beside["minutes"],
        first_response_at=moment(item.get("first_response_at")), resolved_at=moment(item.get("close_at")) if base.phase is Phase.RESOLVED else None,
        offered=tuple(word for word in beside["offered"] if word != base.status), links=beside["links"], attachments=beside["files"], followers=beside["followers"],
        referrals=desk_notes.referrals(events), sla=targets(item, base.phase), url=url,
    )  # fmt: skip


_COUNTERS = ("_at", "_in_min", "_diff_in_min", "_id", "_ids")


def targets(item: Mapping[str, Any], phase: Phase) -> tuple[SlaTarget, ...]:
    """The three promises as Zammad shows them: a due time while one runs, nothing while it stands still or when it was kept."""
    out = []
    for what, due_name, met_name in (("first answer", "first_response_escalation_at", "first_response_at"), ("update", "update_escalation_at", ""),
                                     ("resolution", "close_escalation_at", "close_at")):  # fmt: skip
        due, met = moment(item.get(due_name)), moment(item.get(met_name)) if met_name else None
        minutes = item.get({"first answer": "first_response_diff_in_min", "resolution": "close_diff_in_min"}.get(what, ""))
        if due is not None:
            left = int((due - now()).total_seconds())
            out.append(SlaTarget(what, "breached" if left < 0 else "running", due, left, f"due {due:%a %Y-%m-%d %H:%M} UTC, {_span(left)}; Zammad keeps its sum"))
        elif met is not None and isinstance(minutes, int | float):
            text = f"kept with {minutes:g} min left" if minutes >= 0 else f"missed by {-minutes:g} min"
            out.append(SlaTarget(what, "met" if minutes >= 0 else "breached", None, None, text))
        elif phase is Phase.PAUSED and item.get(f"{due_name.removesuffix('escalation_at')}in_min") is not None:
            out.append(SlaTarget(what, "paused", None, None, "stands still while it waits"))
    return tuple(out)


def _span(seconds: int) -> str:
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{hours}h{minutes:02d} {'left' if seconds >= 0 else 'over'}"


def links(body: Any, phases: Mapping[str, Phase]) -> tuple[TicketLink, ...]:
    """Ties to other tickets; what they are called is in the answer's assets."""
    found = body.get("links") if isinstance(body, dict) else None
    assets = (body.get("assets") or {}).get("Ticket") or {} if isinstance(body, dict) else {}
    out = []
    for link in found if isinstance(found, list) else ():
        if not isinstance(link, dict) or link.get("link_object") != "Ticket":
            continue
        other = assets.get(str(link.get("link_object_value"))) or {}
        kind, number = line(link.get("link_type"), 20), line(other.get("number"), 40)
        out.append(TicketLink("relates" if kind == "normal" else kind, number or f"id {number_of(link.get('link_object_value'))}", f"#{number}" if number else "",
                              line(other.get("title")), line(other.get("state"), 100)))  # fmt: skip
    return tuple(out)


def files(articles: Sequence[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    """The files of all articles; the id names article and file."""
    out = []
    for place, article in enumerate(articles, 1):
        for file in article.get("attachments") or ():
            if isinstance(file, dict):
                told = file.get("preferences") or {}
                mime = line(told.get("Content-Type") or told.get("Mime-Type"), 100).split(";")[0] if isinstance(told, dict) else ""
                name = line(file.get("filename"), 200).replace("/", "_").lstrip(".") or "file"
                out.append(Attachment(f"{number_of(article.get('id'))}-{number_of(file.get('id'))}", name, number_of(file.get("size")), mime, "", place))
    return tuple(out)


def events(articles: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]], minutes: Sequence[Mapping[str, Any]], people: Mapping[int, str]) -> list[Event]:
    """The timeline, oldest first. `people`: user id -> login."""
    spent: dict[int, int] = {}
    for one in minutes:
        spent[number_of(one.get("ticket_article_id"))] = spent.get(number_of(one.get("ticket_article_id")), 0) + whole(one.get("time_unit"))
    entries: list[Event] = []
    for place, article in enumerate(articles):
        entries.append(_article(article, place == 0, spent, people))
    for group in _groups(history, people):
        _place(entries, group)
    for one in minutes:
        if not number_of(one.get("ticket_article_id")):
            at = moment(one.get("created_at")) or datetime.fromtimestamp(0, UTC)
            entries.append(Event(0, at, people.get(number_of(one.get("created_by_id")), ""), "time_logged", minutes=whole(one.get("time_unit")), via="zammad"))
    entries[1:] = sorted(entries[1:], key=lambda event: event.at)
    return [_numbered(event, place) for place, event in enumerate(entries, 1)]


def _numbered(event: Event, seq: int) -> Event:
    from dataclasses import replace

    return replace(event, seq=seq)


def whole(value: Any) -> int:
    """Minutes of a text such as "15.0"."""
    try:
        return max(0, min(1_000_000, round(float(str(value)))))
    except (ValueError, OverflowError):
        return 0


def _article(article: Mapping[str, Any], first: bool, spent: Mapping[int, int], people: Mapping[int, str]) -> Event:
    kind, internal, ident = line(article.get("type"), 40), bool(article.get("internal")), number_of(article.get("id"))
    staff = str(article.get("sender")) == "Agent"
    type_ = "created" if first else "noted" if internal or kind == "note" else "call_logged" if kind == "phone" else "replied"
    actor = login(article.get("created_by")) or people.get(number_of(article.get("created_by_id")), "") or line(article.get("from"), 200)
    via = "mail" if kind == "email" and not staff else "zammad"
    at = moment(article.get("created_at")) or datetime.fromtimestamp(0, UTC)
    return Event(0, at, actor, type_, not internal, body_of(article), (), spent.get(ident, 0), via, op_id=f"article-{ident}")


def _groups(history: Sequence[Mapping[str, Any]], people: Mapping[int, str]) -> list[Event]:
    """Changes of fields that were made together, as one entry each."""
    out: list[tuple[datetime, int, list[FieldChange]]] = []
    for entry in history:
        if entry.get("object") != "Ticket" or entry.get("type") != "updated" or str(entry.get("attribute")) not in _FIELDS:
            continue
        at, who = moment(entry.get("created_at")) or datetime.fromtimestamp(0, UTC), number_of(entry.get("created_by_id"))
        field = _FIELDS[str(entry["attribute"])]
        old, new = line(entry.get("value_from")), line(entry.get("value_to"))
        if field == "assignee":
            old, new = (people.get(number_of(entry.get(name)), said) for name, said in (("id_from", old), ("id_to", new)))
            old, new = login(old), login(new)
        change = FieldChange(field, old, new)
        if out and out[-1][1] == who and at - out[-1][0] < _TOGETHER and field not in {one.field for one in out[-1][2]}:
            out[-1][2].append(change)
        else:
            out.append((at, who, [change]))
    return [Event(0, at, people.get(who, ""), _type_of(changes, people.get(who, "")), False, "", tuple(changes), via="zammad") for at, who, changes in out]


def _type_of(changes: Sequence[FieldChange], who: str) -> str:
    by_field = {change.field: change for change in changes}
    if "assignee" in by_field:
        change = by_field["assignee"]
        return "released" if not change.new else "assigned" if change.new != who else "stolen" if change.old else "taken"
    return "status_changed" if "status" in by_field else "field_changed"


def _place(entries: list[Event], group: Event) -> None:
    """With the article it came with where it only moves the status, else by itself."""
    from dataclasses import replace

    if {change.field for change in group.changes} <= {"status", "pending_until"}:
        for place, event in enumerate(entries):
            if place and event.body and not event.changes and event.actor == group.actor and timedelta(0) <= event.at - group.at < _TOGETHER:
                entries[place] = replace(event, changes=group.changes)
                return
    entries.append(group)
