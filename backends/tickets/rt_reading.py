"""Answers of Request Tracker as the model's records. Pure; everything is cleaned here, and nothing of a wrong type gets further.

Never imports an adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backends.errors import Damaged
from backends.text import clean
from backends.tickets.model import Attachment, Event, FieldChange, Person, Phase, Referral, Ticket, TicketLink, TicketRow
from backends.tickets.rt_html import readable

Item = Mapping[str, Any]
NOBODY = "Nobody"
LINKS: Mapping[str, str] = {
    "parent": "parent", "child": "child", "depends-on": "blocked_by", "depended-on-by": "blocks", "refers-to": "relates", "referred-to-by": "relates",
}  # fmt: skip
_EVENTS: Mapping[str, tuple[str, bool]] = {
    "Create": ("created", True), "Correspond": ("replied", True), "Comment": ("noted", False), "Status": ("status_changed", False),
    "Set": ("field_changed", False), "AddLink": ("linked", False), "DeleteLink": ("unlinked", False), "AddWatcher": ("watched", False),
    "DelWatcher": ("watched", False), "CustomField": ("field_changed", False), "Give": ("assigned", False), "Take": ("taken", False), "Steal": ("stolen", False),
    "Untake": ("released", False),
}  # fmt: skip
HIDDEN = frozenset({"EmailRecord", "CommentEmailRecord", "SetWatcher", "SystemError"})
"""Transactions that say nothing to a reader: mails that went out, and the second of the two that a change of owner writes."""
_SILENT_FIELDS = frozenset({"LastUpdated", "Told", "TimeWorked"})
_PEOPLE_FIELDS = frozenset({"Owner", "Requestor", "Cc", "AdminCc"})
_UNSET = "1970-01-01"


@dataclass(frozen=True, slots=True)
class Site:
    """What reading must know of this RT: its name here, statuses with their phase, lowest numbers of P1 to P3, our field -> its custom field,
    statuses that are always offered."""

    backend: str
    statuses: Mapping[str, Phase]
    levels: Sequence[int] = (80, 60, 30)
    custom: Mapping[str, str] = field(default_factory=dict)
    more: Sequence[str] = ()
    vendor: str = ""
    """The status of what a vendor has."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the numbers that a history is full of: users, queues, custom fields."""

    users: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)


def items(value: Any) -> list[Item]:
    """The records of a list, of anything else none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def moment(text: Any) -> datetime | None:
    """A time of RT; 1970 stands for none."""
    try:
        at = datetime.fromisoformat(str(text).replace(" ", "T"))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return None if at.year <= 1970 else at


def number_of(value: Any) -> int:
    """A number that RT may send as text; 0 for anything else."""
    try:
        return int(value) if isinstance(value, int | float) else int(str(value)[:30])
    except (ValueError, OverflowError):
        return 0


def word(value: Any) -> str:
    """A plain value as one clean line; "" for null and for what is no plain value."""
    return clean(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def name_of(value: Any) -> str:
    """The name of a user or queue object where it was asked for, else its id."""
    if isinstance(value, Mapping):
        return word(value.get("Name")) or word(value.get("id"))
    return word(value)


def holder(value: Any) -> str:
    """The login of an owner, "" for nobody."""
    name = name_of(value)
    return "" if name == NOBODY else name


def level(value: Any, levels: Sequence[int]) -> int:
    """RT's 0 to 100 as P1 to P4."""
    number = number_of(value)
    return next((place for place, low in enumerate(levels, 1) if number >= low), 4)


def row(site: Site, item: Item, etag: str = "") -> TicketRow:
    """A line of a list. Damaged when it has no number."""
    ident = word(item.get("id"))
    if not ident.isdigit():
        raise Damaged("RT's answer has a ticket without a number")
    status, people = word(item.get("Status")), items(item.get("Requestor"))
    return TicketRow(
        backend=site.backend, id=ident, number=f"#{ident}", subject=word(item.get("Subject")), status=status,
        phase=site.statuses.get(status, Phase.ACTIVE), priority=level(item.get("Priority"), site.levels), queue=name_of(item.get("Queue")),
        requester=person(people[0]).label() if people else "", assignee=holder(item.get("Owner")),
        created_at=moment(item.get("Created")), updated_at=moment(item.get("LastUpdated")), due_at=moment(item.get("Due")), version=etag,
    )  # fmt: skip


def person(doc: Item) -> Person:
    """A user, or the little of one that a list holds."""
    name = word(doc.get("Name")) or word(doc.get("id"))
    email = word(doc.get("EmailAddress")) or (name if "@" in name else "")
    rest = (word(doc.get(key)) for key in ("WorkPhone", "Address1", "Organization"))
    phone, location, department = rest
    return Person(word(doc.get("RealName")), email, phone, "" if name == email else name, location, department)


def custom_values(item: Item) -> dict[str, list[str]]:
    """Custom field -> its values, without the empty ones."""
    found = {word(one.get("name")): [word(value) for value in one.get("values") or () if word(value)] for one in items(item.get("CustomFields"))}
    return {name: values for name, values in found.items() if name}


def custom_names(item: Item) -> dict[str, str]:
    """Number -> name of the custom fields a ticket can have."""
    links = [link for link in items(item.get("_hyperlinks")) if link.get("ref") == "customfield"]
    return {word(one.get("id")): word(one.get("name")) for one in [*links, *items(item.get("CustomFields"))]}


def ticket(site: Site, line: TicketRow, item: Item, people: Mapping[str, Person], body: str, files: Sequence[Attachment], url: str) -> Ticket:
    """The whole ticket. `people`: RT's id of a user -> who it is."""
    fields = custom_values(item)

    def of(name: str) -> str:
        return ", ".join(fields.get(site.custom.get(name, ""), []))

    askers = members(item, "Requestor", people)
    offered = [word(link.get("to")) for link in items(item.get("_hyperlinks")) if link.get("ref") == "lifecycle"]
    over = line.phase in (Phase.RESOLVED, Phase.CLOSED)
    return Ticket(
        line, kind="", body=body, category=of("category"), requester=askers[0] if askers else Person(), origin="rt",
        watchers=tuple(members(item, "Cc", people)), followers=tuple(one.login or one.email for one in members(item, "AdminCc", people)),
        fields={name: values for name, values in fields.items() if values}, tags=tuple(fields.get(site.custom.get("tags", ""), ())),
        time_spent=number_of(item.get("TimeWorked")), estimate=number_of(item.get("TimeEstimated")),
        resolved_at=moment(item.get("Resolved")) if over else None, resolution=of("resolution"), pending_reason=of("pending_reason"),
        offered=tuple(dict.fromkeys(one for one in (*offered, *site.more) if one and one != line.status)), links=tuple(links(item)),
        attachments=tuple(files), referrals=_referral(site, line, of), url=url,
    )  # fmt: skip


def members(item: Item, role: str, people: Mapping[str, Person]) -> list[Person]:
    """The people of a role; groups are left out."""
    return [people.get(word(one.get("id"))) or person(one) for one in items(item.get(role)) if one.get("type") != "group"]


def _referral(site: Site, line: TicketRow, of: Any) -> tuple[Referral, ...]:
    if not of("vendor"):
        return ()
    days = [moment(of(name)) for name in ("promised", "follow_up")]
    away = line.status == site.vendor
    return (Referral(of("vendor"), of("contact"), of("reference"), promised_for=days[0], follow_up_on=days[1], open=away),)


def links(item: Item) -> list[TicketLink]:
    """Ties: to tickets by number, to anything else by its address."""
    out = []
    for link in items(item.get("_hyperlinks")):
        kind, ident = LINKS.get(str(link.get("ref"))), word(link.get("id"))
        if kind and link.get("type") == "ticket" and ident.isdigit():
            out.append(TicketLink(kind, ident, f"#{ident}"))
        elif kind:
            out.append(TicketLink(kind, word(link.get("_url"))))
    return out


# -- the timeline -----------------------------------------------------------------------------------------


def texts(attachments: Iterable[Item]) -> dict[str, str]:
    """Transaction -> what was written: the plain text where there is one, else the HTML as text."""
    plain: dict[str, list[str]] = {}
    rich: dict[str, list[str]] = {}
    for item in attachments:
        kind, content = str(item.get("ContentType", "")), item.get("Content")
        if isinstance(content, str) and kind.startswith("text/") and not item.get("Filename"):
            where, text = (rich, readable(content)) if kind == "text/html" else (plain, content)
            where.setdefault(word(item.get("TransactionId")), []).append(text)
    return {key: clean("\n\n".join(plain.get(key) or rich[key]).rstrip(), one_line=False) for key in {*plain, *rich}}


def numbers_in(history: Iterable[Item]) -> set[str]:
    """The numbers of users that a history speaks of."""
    found = {word(one.get(name)) for one in history if one.get("Field") in _PEOPLE_FIELDS for name in ("OldValue", "NewValue")}
    return {number for number in found if number.isdigit() and number != "0"}


def events(history: Iterable[Item], said: Mapping[str, str], names: Names) -> list[Event]:
    """The timeline, oldest first. `said`: transaction -> text."""
    out: list[Event] = []
    for item in history:
        kind = str(item.get("Type", ""))
        if kind in HIDDEN or (kind == "Set" and item.get("Field") in _SILENT_FIELDS):
            continue
        type_, public = _EVENTS.get(kind, (word(kind).lower() or "changed", False))
        out.append(_event(item, type_, public, said.get(word(item.get("id")), ""), names))
    return sorted(out, key=lambda event: event.seq)


def _event(item: Item, type_: str, public: bool, body: str, names: Names) -> Event:
    actor, name = name_of(item.get("Creator")), word(item.get("Field"))
    changes: tuple[FieldChange, ...] = ()
    if name and type_ not in ("created", "replied", "noted"):
        change = FieldChange(_field(item, name, names), *(_value(name, word(item.get(side)), names) for side in ("OldValue", "NewValue")))
        changes = (change,)
        if name == "Owner":
            type_ = "released" if not change.new else "assigned" if change.new != actor else "stolen" if change.old else "taken"
    at = moment(item.get("Created")) or datetime.fromtimestamp(0, UTC)
    return Event(number_of(item.get("id")), at, actor, type_, public, body, changes, number_of(item.get("TimeTaken")), via="rt")


def _field(item: Item, name: str, names: Names) -> str:
    if item.get("Type") == "CustomField":
        return names.fields.get(name, f"custom field {name}")
    return {"Owner": "assignee"}.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _value(name: str, value: str, names: Names) -> str:
    if name in _PEOPLE_FIELDS and value.isdigit():
        found = names.users.get(value, value)
        return "" if found == NOBODY else found
    if name == "Queue":
        return names.queues.get(value, value)
    tied = re.search(r"/ticket/(\d+)$", value)
    return f"#{tied.group(1)}" if tied else "" if value.startswith(_UNSET) else value


def files(attachments: Iterable[Item], mails: set[str]) -> list[Attachment]:
    """The named files among the attachments; those of outgoing `mails` (their transactions) repeat what is there already."""
    return [
        Attachment(word(item.get("id")), word(item.get("Filename")), number_of(item.get("ContentLength")), word(item.get("ContentType")), "", number_of(item.get("TransactionId")))
        for item in attachments if item.get("Filename") and word(item.get("TransactionId")) not in mails and word(item.get("id")).isdigit()
    ]  # fmt: skip
