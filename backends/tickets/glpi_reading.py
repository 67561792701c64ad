"""Answers of GLPI as the model's records. Pure; everything is cleaned here. Never imports an adapter.

Texts of version 10 come with their entities encoded, those of 11 as they are; times come without a zone, in that of the account.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from backends.contract import now
from backends.errors import Damaged
from backends.text import clean
from backends.tickets import desk_notes
from backends.tickets.glpi_query import KINDS, PRIORITIES, STATUSES
from backends.tickets.html_text import html_text
from backends.tickets.model import (
    Approval,
    Attachment,
    Event,
    FieldChange,
    Person,
    Phase,
    Referral,
    SlaTarget,
    Ticket,
    TicketLink,
    TicketRow,
)

CALL = "Telephone call: "
SPENT = "Time spent"
LEVELS = {5: 1, 4: 2, 3: 3, 2: 4, 1: 4}
"""GLPI's impact and urgency, 5 the highest, as ours."""
SET_LEVELS = {1: 5, 2: 4, 3: 3, 4: 2}
_OPTIONS = {1: "subject", 3: "priority", 7: "category", 10: "urgency", 11: "impact", 12: "status", 14: "kind"}
_JOINED = re.compile(r"\$\$##\$\$|\$\$\$\$")
_TOGETHER = timedelta(seconds=2)
REQUESTER, ASSIGNED, OBSERVER = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Parts:
    """A ticket's rows beside it, as GLPI sent them."""

    followups: Sequence[Mapping[str, Any]] = ()
    tasks: Sequence[Mapping[str, Any]] = ()
    solutions: Sequence[Mapping[str, Any]] = ()
    users: Sequence[Mapping[str, Any]] = ()
    groups: Sequence[Mapping[str, Any]] = ()
    suppliers: Sequence[Mapping[str, Any]] = ()
    documents: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] = ()
    """(Document_Item, Document)"""
    ties: Sequence[Mapping[str, Any]] = ()
    validations: Sequence[Mapping[str, Any]] = ()
    log: Sequence[Mapping[str, Any]] = ()
    names: Mapping[str, Mapping[int, str]] | None = None
    """"groups", "suppliers", "tickets": id -> name."""


def number_of(value: Any) -> int:
    """A whole number, 0 for anything else."""
    return int(value) if (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, str) and re.fullmatch(r"-?\d{1,15}", value)) else 0


def line(value: Any, limit: int = 500) -> str:
    """A one-line text: entities as letters, cleaned."""
    return clean(html.unescape("" if value is None or value == 0 else str(value)), limit=limit).strip()


def rich(value: Any) -> str:
    """A rich text as plain text; encoded as a whole (version 10) or not (11)."""
    text = str(value or "")
    return html_text(html.unescape(text) if "<" not in text else text)


def moment(text: Any, zone: tzinfo) -> datetime | None:
    """A time without a zone; None for none, for zeros or nonsense."""
    try:
        at = datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
    return None if at is None or at.year < 1980 else at.replace(tzinfo=at.tzinfo or zone).astimezone(UTC)


def cell(value: Any) -> list[str]:
    """The values of a cell that may hold several: a list, or a text joined by marks."""
    parts = value if isinstance(value, list) else _JOINED.split(str(value)) if value not in (None, "", 0) else []
    return [line(part, 200) for part in parts if part not in (None, "")]


def level(value: Any) -> int:
    """A priority as ours."""
    number = number_of(value)
    return next((ours for ours, numbers in PRIORITIES.items() if number in numbers), 3)


def row(backend: str, item: Mapping[str, Any], options: Mapping[str, int], zone: tzinfo, people: Mapping[int, Person]) -> TicketRow:
    """A line of a list: cells by the number of their search option. Damaged when it has no number."""

    def of(name: str) -> Any:
        return item.get(str(options.get(name, -1)))

    ident = number_of(of("id"))
    if not ident:
        raise Damaged("GLPI's answer has a ticket without a number")
    status, phase = STATUSES.get(number_of(of("status")), (line(of("status"), 60) or "?", Phase.ACTIVE))
    who = [people[number_of(one)] if number_of(one) in people else Person(name=one) for one in cell(of("requester"))]
    owners = [people[number_of(one)].login if number_of(one) in people else one for one in cell(of("owner"))]
    return TicketRow(
        backend=backend, id=str(ident), number=f"#{ident}", subject=line(of("subject")), status=status, phase=phase, priority=level(of("priority")), queue=line(of("queue"), 200),
        requester=who[0].label() if who else "", assignee=owners[0] if owners else "", team=next(iter(cell(of("team"))), ""), created_at=moment(of("created"), zone),
        updated_at=moment(of("updated"), zone), due_at=moment(of("due"), zone) if phase in (Phase.NEW, Phase.ACTIVE) else None, version=line(of("updated"), 60),
    )  # fmt: skip


def person(item: Mapping[str, Any]) -> tuple[int, Person]:
    """A row of a search of users, by its options: 1 login, 2 id, 34 and 9 names, 5 addresses, 6 telephone, 3 place."""
    name = f"{line(item.get('9'), 100)} {line(item.get('34'), 100)}".strip()
    return number_of(item.get("2")), Person(name, next(iter(cell(item.get("5"))), ""), line(item.get("6"), 60), line(item.get("1"), 100), line(item.get("3"), 200))


def ticket(backend: str, item: Mapping[str, Any], parts: Parts, people: Mapping[int, Person], offered: Sequence[str], zone: tzinfo, sha1: str, url: str) -> Ticket:
    """The whole ticket; `item` has names in place of the numbers of its dropdowns."""
    ident, status = number_of(item.get("id")), number_of(item.get("status"))
    if not ident:
        raise Damaged("GLPI's answer is no ticket")
    word, phase = STATUSES.get(status, ("?", Phase.ACTIVE))
    names = parts.names or {}
    logins = [_actor(one, people) for one in parts.users if number_of(one.get("type")) == ASSIGNED]
    requesters = [_actor(one, people) for one in parts.users if number_of(one.get("type")) == REQUESTER]
    watching = [_actor(one, people) for one in parts.users if number_of(one.get("type")) == OBSERVER]
    team = next((line(names.get("groups", {}).get(number_of(one.get("groups_id")), "")) for one in parts.groups if number_of(one.get("type")) == ASSIGNED), "")
    notes = events(item, replace(parts, log=()), people, zone)
    base = TicketRow(
        backend=backend, id=str(ident), number=f"#{ident}", subject=line(item.get("name")), status=word, phase=phase, priority=level(item.get("priority")),
        queue=line(item.get("entities_id"), 200), requester=requesters[0].label() if requesters else "", assignee=logins[0].login if logins else "", team=team,
        created_at=moment(item.get("date"), zone), updated_at=moment(item.get("date_mod"), zone),
        due_at=moment(item.get("time_to_resolve"), zone) if phase in (Phase.NEW, Phase.ACTIVE) else None, version=sha1,
    )  # fmt: skip
    ended = phase in (Phase.RESOLVED, Phase.CLOSED)
    given = _referrals(parts, notes, names)
    return Ticket(
        base, kind=next((name for name, number in KINDS.items() if number == number_of(item.get("type"))), "incident"), body=rich(item.get("content")),
        category=line(item.get("itilcategories_id"), 200), requester=requesters[0] if requesters else Person(), watchers=tuple(one for one in watching if not one.login),
        origin=line(item.get("requesttypes_id"), 60) or "glpi", impact=LEVELS.get(number_of(item.get("impact")), 3), urgency=LEVELS.get(number_of(item.get("urgency")), 3),
        pending_reason=desk_notes.waits_for(notes) if phase is Phase.PAUSED else "", pending_until=next((one.follow_up_on for one in reversed(given) if one.open), None) if phase is Phase.PAUSED else None,
        resolution=rich(parts.solutions[-1].get("content")) if ended and parts.solutions else "", time_spent=number_of(item.get("actiontime")) // 60,
        fields={"also assigned": ", ".join(one.login for one in logins[1:])} if len(logins) > 1 else {}, first_response_at=_answered(notes, requesters),
        resolved_at=moment(item.get("solvedate"), zone) if ended else None, closed_at=moment(item.get("closedate"), zone) if phase is Phase.CLOSED else None,
        offered=tuple(offered), links=tuple(_tie(one, ident, names) for one in parts.ties), attachments=tuple(_file(*one) for one in parts.documents), referrals=given,
        approvals=tuple(_approval(one, people, zone) for one in parts.validations), followers=tuple(sorted(one.login for one in watching if one.login)), sla=targets(item, phase, zone), url=url,
    )  # fmt: skip


def _actor(one: Mapping[str, Any], people: Mapping[int, Person]) -> Person:
    ident = number_of(one.get("users_id"))
    return people.get(ident, Person(login=f"user {ident}")) if ident else Person(email=line(one.get("alternative_email"), 200))


def _answered(notes: Sequence[Event], requesters: Sequence[Person]) -> datetime | None:
    asking = {one.login for one in requesters}
    return next((event.at for event in notes if event.public and event.type in ("replied", "call_logged") and event.actor not in asking), None)


def _referrals(parts: Parts, notes: Sequence[Event], names: Mapping[str, Mapping[int, str]]) -> tuple[Referral, ...]:
    """Those our notes tell of, and suppliers that somebody assigned at the web interface."""
    told = desk_notes.referrals(notes)
    known = {one.vendor.casefold() for one in told}
    there = [line(names.get("suppliers", {}).get(number_of(one.get("suppliers_id")), "")) for one in parts.suppliers if number_of(one.get("type")) == ASSIGNED]
    return (*told, *(Referral(vendor) for vendor in there if vendor and vendor.casefold() not in known))


def _tie(one: Mapping[str, Any], ident: int, names: Mapping[str, Mapping[int, str]]) -> TicketLink:
    first = number_of(one.get("tickets_id_1")) == ident
    other = number_of(one.get("tickets_id_2" if first else "tickets_id_1"))
    kinds = {1: ("relates", "relates"), 2: ("duplicates", "duplicated_by"), 3: ("parent", "child"), 4: ("child", "parent")}
    kind = kinds.get(number_of(one.get("link")), ("relates", "relates"))[0 if first else 1]
    return TicketLink(kind, str(other), f"#{other}", line(names.get("tickets", {}).get(other, "")), "")


def _file(item: Mapping[str, Any], document: Mapping[str, Any]) -> Attachment:
    name = line(document.get("filename") or document.get("name"), 200).replace("/", "_").replace("\\", "_").lstrip(".") or "file"
    return Attachment(str(number_of(item.get("documents_id"))), name, 0, line(document.get("mime"), 100), "")


def _approval(one: Mapping[str, Any], people: Mapping[int, Person], zone: tzinfo) -> Approval:
    by = number_of(one.get("users_id_validate") or one.get("items_id_target"))
    decision = {3: "approved", 4: "refused"}.get(number_of(one.get("status")), "")
    what, said = rich(one.get("comment_submission")).replace("\n", " "), rich(one.get("comment_validation")).replace("\n", " ")
    return Approval(str(number_of(one.get("id"))), clean(what), people[by].login if by in people else f"user {by}", moment(one.get("submission_date"), zone), decision, clean(said),
                    moment(one.get("validation_date"), zone))  # fmt: skip


def targets(item: Mapping[str, Any], phase: Phase, zone: tzinfo) -> tuple[SlaTarget, ...]:
    """Time to own and time to resolve: GLPI moves the second on after a pause."""
    out = []
    for what, due_name, met_name in (("taken", "time_to_own", "takeintoaccountdate"), ("resolution", "time_to_resolve", "solvedate")):
        due, met = moment(item.get(due_name), zone), moment(item.get(met_name), zone)
        if due is None:
            continue
        if met is not None:
            out.append(SlaTarget(what, "met" if met <= due else "breached", None, None, "kept" if met <= due else "missed"))
        elif phase is Phase.PAUSED and what == "resolution":
            out.append(SlaTarget(what, "paused", None, None, "stands still while it waits; GLPI sets its due time anew afterwards"))
        else:
            left = int((due - now()).total_seconds())
            hours, minutes = divmod(abs(left) // 60, 60)
            out.append(SlaTarget(what, "breached" if left < 0 else "running", due, left, f"due {due:%a %Y-%m-%d %H:%M} UTC, {hours}h{minutes:02d} {'over' if left < 0 else 'left'}; GLPI keeps its sum"))
    return tuple(out)


# -- the timeline -----------------------------------------------------------------------------------------


def events(item: Mapping[str, Any], parts: Parts, people: Mapping[int, Person], zone: tzinfo) -> list[Event]:
    """Oldest first: the ticket itself, follow-ups, tasks, solutions, files, changes."""

    def who(ident: Any) -> str:
        found = people.get(number_of(ident))
        return found.label() if found and not found.login else found.login if found else ""

    start = datetime.fromtimestamp(0, UTC)
    writer = item.get("users_id_recipient")
    first = Event(1, moment(item.get("date"), zone) or start, who(writer) or line(writer, 100), "created", True, rich(item.get("content")), via="glpi")
    out: list[Event] = []
    for one in parts.followups:
        public = not number_of(one.get("is_private"))
        out.append(_said(one, who(one.get("users_id")), "replied" if public else "noted", public, zone, f"ITILFollowup-{number_of(one.get('id'))}"))
    for one in parts.solutions:
        out.append(_said(one, who(one.get("users_id")), "replied", True, zone, f"ITILSolution-{number_of(one.get('id'))}"))
    for one in parts.tasks:
        out.append(_task(one, who(one.get("users_id")), zone))
    for link, document in parts.documents:
        at = moment(link.get("date_creation") or link.get("date") or link.get("date_mod"), zone)
        out.append(Event(0, at or start, who(link.get("users_id")), "attached", False, _file(link, document).name, via="glpi"))
    for change in _changes(parts.log, people, zone):
        _place(out, change)
    out.sort(key=lambda event: event.at)
    return [replace(event, seq=place) for place, event in enumerate([first, *out], 1)]


def _said(one: Mapping[str, Any], actor: str, type_: str, public: bool, zone: tzinfo, key: str) -> Event:
    at = moment(one.get("date") or one.get("date_creation"), zone) or datetime.fromtimestamp(0, UTC)
    return Event(0, at, actor, type_, public, rich(one.get("content")), via="glpi", op_id=key)


def _task(one: Mapping[str, Any], actor: str, zone: tzinfo) -> Event:
    public, minutes = not number_of(one.get("is_private")), number_of(one.get("actiontime")) // 60
    event = _said(one, actor, "replied" if public else "noted", public, zone, f"TicketTask-{number_of(one.get('id'))}")
    if event.body.startswith(CALL):
        return replace(event, type="call_logged", body=event.body[len(CALL) :], minutes=minutes)
    if minutes and event.body in ("", SPENT):
        return replace(event, type="time_logged", body="", minutes=minutes)
    return replace(event, minutes=minutes)


def _changes(log: Sequence[Mapping[str, Any]], people: Mapping[int, Person], zone: tzinfo) -> list[Event]:
    out: list[Event] = []
    for one in log:
        option, action = number_of(one.get("id_search_option")), number_of(one.get("linked_action"))
        found = re.search(r"\((\d+)\)\s*$", str(one.get("user_name") or ""))
        actor = people[int(found.group(1))].login if found and int(found.group(1)) in people else line(one.get("user_name"), 100)
        old, new = line(one.get("old_value"), 300), line(one.get("new_value"), 300)
        if action == 0 and option in _OPTIONS:
            field = _OPTIONS[option]
            if field == "status":
                old, new = (STATUSES[number_of(word)][0] if number_of(word) in STATUSES else word for word in (old, new))
            change, type_ = FieldChange(field, old, new), "status_changed" if field == "status" else "field_changed"
        elif action in (15, 16) and option in (5, 8):
            old, new = _named(old, people), _named(new, people)
            change = FieldChange("assignee" if option == 5 else "team", old, new)
            type_ = "released" if action == 16 else "taken" if option == 5 and new == actor else "assigned"
        else:
            continue
        at = moment(one.get("date_mod"), zone) or datetime.fromtimestamp(0, UTC)
        last = out[-1] if out else None
        if last is not None and last.actor == actor and abs(at - last.at) <= _TOGETHER and _is_new_in(change, last):
            out[-1] = replace(last, changes=(*last.changes, change), type=type_ if change.field in ("assignee", "team") else last.type)
        else:
            out.append(Event(0, at, actor, type_, False, "", (change,), via="glpi"))
    return out


def _is_new_in(change: FieldChange, event: Event) -> bool:
    """Whether the entry has no change of this field yet."""
    return change.field not in {one.field for one in event.changes}


def _named(text: str, people: Mapping[int, Person]) -> str:
    found = re.search(r"\((\d+)\)\s*$", text)
    return people[int(found.group(1))].login if found and int(found.group(1)) in people else text


def _place(entries: list[Event], change: Event) -> None:
    """A move of the status with the text it came with, else an entry of its own."""
    if [one.field for one in change.changes] == ["status"]:
        for place, event in enumerate(entries):
            near = abs(event.at - change.at) <= _TOGETHER and event.actor == change.actor
            if near and not event.changes and event.type in ("replied", "noted"):
                entries[place] = replace(event, changes=change.changes)
                return
    entries.append(change)
