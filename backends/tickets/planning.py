"""Plans of the verbs on our own tickets: pure, from the ticket as it is and the values wanted. Never imports an adapter.

A plan's `expected` holds the fields that must read so afterwards; `event` in its change's values is what will be appended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backends.contract import Actor, Change, Plan, Ref, Step
from backends.errors import Conflict, Invalid, Refused
from backends.store.contract import Record
from backends.text import clean
from backends.tickets.events import HIDDEN
from backends.tickets.model import Phase
from backends.tickets.numbers import spoken
from backends.tickets.plans_words import attached, copied, mentioned, status_back
from backends.tickets.promise import Promise
from backends.tickets.workflow import Statuses, priority_of

KINDS = ("incident", "request", "problem", "change", "task")
LONGEST_SUBJECT = 300
LONGEST_BODY = 200_000


@dataclass(frozen=True, slots=True)
class House:
    """The site's rules."""

    statuses: Statuses
    promise: Promise
    queues: tuple[str, ...]
    categories: tuple[str, ...]


def deed(type_: str, set_: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """The stored form of what will be appended; empty parts are left out."""
    return {"type": type_, "set": dict(set_ or {}), **{name: value for name, value in more.items() if value not in (None, "", 0, False)}}


def made(change: Change, record: Record, summary: str, event: dict[str, Any], **more: Any) -> Plan:
    """The plan of one event on a ticket: steps from what it sets, and what must read so afterwards."""
    label = f"{spoken(int(record.doc['number']))} {clean(record.doc['subject'])}"
    steps = tuple(
        Step(name.replace("_", " "), _word(record.doc.get(name)), _word(value))
        for name, value in event["set"].items()
        if name not in HIDDEN
    )
    planned = Change(
        change.domain,
        change.backend,
        change.verb,
        record.id,
        label,
        {**change.values, "event": event, "was": {name: record.doc.get(name) for name in event["set"]}},
        change.version,
    )
    expected = dict(event["set"])
    return Plan(
        planned, f"{summary} {label}", more.pop("steps", steps), version=change.version or str(record.rev), expected={**expected, **more.pop("expected", {})},
        ticket=f"tickets:{change.backend}:{record.id}", **more,
    )  # fmt: skip


def _word(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else "" if value is None else str(value)


def must_be_open(record: Record) -> None:
    """Refused when it has ended."""
    merged = next((link["to"] for link in record.doc.get("links", ()) if link["kind"] == "merged_into"), "")
    if merged:
        raise Refused(f"{spoken(int(record.doc['number']))} was merged: write to the ticket it lives on as", hint="J jumps there; unmerge takes it out again.")
    if record.doc["phase"] == Phase.CLOSED:
        raise Refused(f"{spoken(int(record.doc['number']))} is {record.doc['status']}: open a new ticket that refers to it")


def started(record: Record, house: House) -> dict[str, Any]:
    """Work on a new ticket makes it active."""
    if record.doc["phase"] != Phase.NEW:
        return {}
    return {"status": house.statuses.first(Phase.ACTIVE), "phase": Phase.ACTIVE.value}


def plan_take(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Refused with the holder's name when somebody has it."""
    must_be_open(record)
    holder = record.doc.get("assignee", "")
    if holder == actor.login:
        raise Refused("you have it already")
    if holder:
        raise Conflict(
            f"{holder} has it",
            mine={"assignee": actor.login},
            theirs={"assignee": holder},
            hint="Assign it to yourself with a if it is yours now.",
        )
    event = deed("taken", {"assignee": actor.login, **started(record, house)})
    return made(change, record, "Take", event, inverse=Change(change.domain, change.backend, "release", record.id))


def plan_release(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Back to the queue."""
    must_be_open(record)
    if not record.doc.get("assignee"):
        raise Refused("nobody has it")
    inverse = Change(change.domain, change.backend, "assign", record.id, values={"assignee": record.doc["assignee"]})
    return made(change, record, "Give back", deed("released", {"assignee": ""}), inverse=inverse)


def plan_assign(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """To somebody, to a team, or to nobody."""
    must_be_open(record)
    wanted: dict[str, Any] = {}
    for name in ("assignee", "team"):
        if name in change.values:
            word = str(change.values[name]).strip()
            if len(word) > 100 or clean(word) != word:
                raise Invalid(fields={name: "a login is needed" if name == "assignee" else "a team is needed"})
            if word != record.doc.get(name, ""):
                wanted[name] = word
    who = str(change.values.get("assignee", change.values.get("team", ""))).strip()
    if not wanted:
        raise Refused(f"{who or 'nobody'} has it already")
    event = deed("assigned", {**wanted, **(started(record, house) if wanted.get("assignee") else {})})
    inverse = Change(change.domain, change.backend, "assign", record.id, values={name: record.doc.get(name, "") for name in wanted})
    return made(change, record, f"Assign to {who or 'nobody'}:", event, inverse=inverse)


def plan_status(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """One of the statuses offered; a paused one needs a reason, a resolved one its resolution."""
    phase, status = Phase(record.doc["phase"]), record.doc["status"]
    wanted = house.statuses.find(str(change.values.get("status", "")))
    if wanted is None:
        raise Invalid(fields={"status": f"offered: {', '.join(house.statuses.offered(status, phase))}"})
    if wanted not in house.statuses.offered(status, phase):
        raise Invalid(fields={"status": house.statuses.refusal(status, phase, wanted)})
    after = house.statuses.phases[wanted]
    reason = str(change.values.get("reason", "")).strip()
    values: dict[str, Any] = {"status": wanted, "phase": after.value}
    if after in (Phase.PAUSED, Phase.RESOLVED) and not reason:
        raise Invalid(fields={"reason": "say what it waits for" if after is Phase.PAUSED else "say what solved it"})
    if after is Phase.PAUSED:
        values |= {"pending_reason": reason, "pending_until": _moment(change.values.get("until"))}
        values = {name: value for name, value in values.items() if value is not None}
    elif after is Phase.RESOLVED:
        values["resolution"] = reason
    type_ = "reopened" if phase is Phase.RESOLVED and after is Phase.ACTIVE else "closed" if after is Phase.CLOSED else "status_changed"
    effects = ("the clock of its target stands still",) if after is Phase.PAUSED else ()
    return made(change, record, f"{wanted}:", deed(type_, values, body=reason), side_effects=effects, inverse=status_back(change, record.doc, after))


def _moment(text: Any) -> str | None:
    if not text:
        return None
    from backends.tickets.events import iso

    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        raise Invalid(fields={"until": f"{text!r} is not a date such as 2026-11-24T09:00:00+00:00"}) from None
    return iso(at) if at.tzinfo else iso(at.astimezone())


def body_of(change: Change) -> str:
    """The text, not empty and not endless. Invalid."""
    body = str(change.values.get("body", "")).strip()
    if not body:
        raise Invalid(fields={"body": "is empty"})
    if len(body) > LONGEST_BODY:
        raise Invalid(fields={"body": f"is longer than {LONGEST_BODY:,} characters"})
    return body


def minutes_of(change: Change) -> int:
    """Whole minutes, 0 when there are none. Invalid."""
    minutes = change.values.get("minutes") or 0
    if not isinstance(minutes, int) or not 0 <= minutes <= 10_000:
        raise Invalid(fields={"minutes": "a whole number from 0 on"})
    return minutes


def plan_note(change: Change, record: Record, actor: Actor, house: House, known: Sequence[str] = ()) -> Plan:
    """Internal: it can never leave the house. Colleagues named with @ are told; `known` are those there are."""
    body = body_of(change)
    told, effects = mentioned(body, known, actor.login)
    values, files = attached(change, record)
    event = deed("noted", values, body=body, minutes=minutes_of(change), **({"mentions": told} if told else {}))
    return made(change, record, "Note on", event, steps=(Step("internal note", "", body), *files), expected={"body": body}, side_effects=effects)


def plan_reply(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Public. Names who will read it."""
    must_be_open(record)
    body = body_of(change)
    first = str(record.doc.get("email") or record.doc.get("requester") or record.doc.get("login") or "")
    copies = copied(change, record)
    readers = [clean(reader) for reader in (first, *record.doc.get("watchers", ()), *copies) if reader]
    values: dict[str, Any] = started(record, house)
    if change.values.get("status"):
        values = dict(plan_status(change, record, actor, house).change.values["event"]["set"])
    moves = tuple(Step("status", record.doc["status"], str(values["status"])) for _ in (1,) if "status" in values)
    files_field, files = attached(change, record)
    values |= files_field | ({"watchers": [*record.doc.get("watchers", ()), *copies]} if copies else {})
    event = deed("replied", values, body=body, minutes=minutes_of(change), public=True, **({"cc": copies} if copies else {}))
    return made(
        change, record, "Reply to", event, steps=(Step("PUBLIC reply", "", body), *files, *moves), expected={"body": body},
        public=f"PUBLIC: read by {', '.join(readers) or 'the requester, who has no address here'}",
    )  # fmt: skip


def plan_edit(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Only the named fields change; impact and urgency give the priority."""
    must_be_open(record)
    values = _edits(change.values, record.doc, house)
    values = {name: value for name, value in values.items() if record.doc.get(name) != value}
    if not values:
        raise Refused("it is so already")
    inverse = Change(
        change.domain,
        change.backend,
        "edit",
        record.id,
        values={name: record.doc.get(name, "") for name in values},
    )
    return made(change, record, "Change", deed("field_changed", values), inverse=inverse)


def _edits(wanted: Mapping[str, Any], doc: Mapping[str, Any], house: House) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in wanted.items():
        if name == "subject":
            out[name] = subject(value)
        elif name == "queue":
            out[name] = _known("queue", value, house.queues)
        elif name == "category":
            out[name] = _known("category", value, house.categories) if value else ""
        elif name in ("impact", "urgency", "priority"):
            out[name] = _level(name, value)
        elif name == "tags":
            out[name] = [clean(str(tag))[:40] for tag in value]
        elif name == "kind":
            out[name] = _known("kind", value, KINDS)
        elif name == "location":
            out[name] = clean(str(value).strip())[:100]
        elif name == "estimate":
            out[name] = _level("estimate", value, 100_000)
        elif name == "priority_reason":
            out[name] = clean(str(value).strip())[:300]
        elif name == "fields":
            out[name] = {**doc.get("fields", {}), **{clean(str(key))[:40]: value[key] for key in value}}
        else:
            raise Invalid(fields={name: "can't be changed here"})
    if "priority" in out and "priority_reason" not in out:
        usual = priority_of(out.get("impact", doc.get("impact", 3)), out.get("urgency", doc.get("urgency", 3)))
        out["priority_reason"] = "" if out["priority"] == usual else "set by hand"
    if "priority" not in out and ("impact" in out or "urgency" in out) and not doc.get("priority_reason"):
        out["priority"] = priority_of(out.get("impact", doc.get("impact", 3)), out.get("urgency", doc.get("urgency", 3)))
    return out


def subject(value: Any) -> str:
    """One line, not empty, not endless."""
    text = " ".join(str(value or "").split())
    if not text or len(text) > LONGEST_SUBJECT:
        raise Invalid(fields={"subject": "is empty" if not text else f"is longer than {LONGEST_SUBJECT} characters"})
    return text


def _known(name: str, value: Any, known: tuple[str, ...]) -> str:
    for word in known:
        if word.casefold() == str(value).strip().casefold():
            return word
    raise Invalid(fields={name: f"{value!r} is not known; there are: {', '.join(known)}"})


def _level(name: str, value: Any, most: int = 4) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Invalid(fields={name: f"a number from 1 to {most:,}"})
    return value


def plan_create(change: Change, actor: Actor, house: House) -> Plan:
    """A new ticket; the number is given when it is made."""
    values = change.values
    impact, urgency = _level("impact", values.get("impact", 3)), _level("urgency", values.get("urgency", 3))
    priority = _level("priority", values.get("priority", priority_of(impact, urgency)))
    person = values.get("requester") or {}
    fields: dict[str, Any] = {
        "subject": subject(values.get("subject")), "body": str(values.get("body", ""))[:LONGEST_BODY],
        "queue": _known("queue", values.get("queue") or house.queues[0], house.queues), "kind": _known("kind", values.get("kind") or "incident", KINDS),
        "status": house.statuses.first(Phase.NEW), "phase": Phase.NEW.value, "impact": impact, "urgency": urgency, "priority": priority,
        "assignee": clean(str(values.get("assignee") or ""))[:100], "origin": str(values.get("origin") or "console"),
        **{name: clean(str(values[name]))[:100] for name in ("team", "dedupe_key") if values.get(name)},
        **({"tags": [clean(str(tag))[:40] for tag in values["tags"]]} if values.get("tags") else {}),
        "requester": str(person.get("name") or person.get("login") or person.get("email") or actor.display or actor.login),
        **{name: str(person[name]) for name in ("login", "email", "phone", "location", "department") if person.get(name)},
        **({"checklist": [[clean(str(item))[:200], False] for item in values["checklist"]]} if values.get("checklist") else {}),
        **({"fields": {clean(str(key))[:40]: value for key, value in values["fields"].items()}} if values.get("fields") else {}),
        **_refs(values.get("refs") or ()),
    }  # fmt: skip
    if values.get("category"):
        fields["category"] = _known("category", values["category"], house.categories)
    event = deed("created", fields, body=fields["body"], minutes=minutes_of(change))
    shown = [name for name in ("subject", "queue", "category", "requester", "location", "priority", "assignee", "team", "tags") if fields.get(name)]
    shown += ["checklist"] if fields.get("checklist") else []
    steps = tuple(Step(name, "", _word([item[0] for item in fields[name]] if name == "checklist" else fields[name])) for name in shown) + tuple(Step("about", "", ref) for ref in fields.get("refs", ()))
    planned = Change(change.domain, change.backend, change.verb, "", f"new ticket {fields['subject']}", {**values, "event": event}, None)
    expected = {name: fields[name] for name in ("subject", "queue", "priority", "status", "requester")}
    return Plan(planned, f"New ticket {fields['subject']}", steps, expected=expected)


def _refs(refs: Any) -> dict[str, Any]:
    try:
        checked = list(dict.fromkeys(str(Ref.parse(str(ref))) for ref in refs))
    except ValueError as error:
        raise Invalid(fields={"refs": str(error)}) from None
    return refs_fields(checked)


def refs_fields(refs: list[str]) -> dict[str, Any]:
    """The first two references stand in fields of their own: only those are found by an index."""
    if not refs:
        return {"refs": []}
    return {"refs": refs, "ref_first": refs[0], "ref_second": refs[1] if len(refs) > 1 else "", "ref_more": len(refs) > 2}


def plan_link(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """About one more record."""
    refs = list(record.doc.get("refs", ()))
    wanted = _refs([change.values.get("ref", "")])["refs"]
    if wanted[0] in refs:
        raise Refused("it is linked already")
    return made(change, record, "Link", deed("linked", refs_fields([*refs, *wanted])), steps=(Step("about", "", wanted[0]),))


def plan_unlink(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """No longer about that record."""
    refs = [ref for ref in record.doc.get("refs", ()) if ref != change.values.get("ref")]
    if len(refs) == len(record.doc.get("refs", ())):
        raise Refused("it is not linked")
    fields = {"ref_first": "", "ref_second": "", "ref_more": False, **refs_fields(refs)}
    return made(change, record, "Unlink", deed("unlinked", fields), steps=(Step("about", str(change.values.get("ref")), ""),))


def plan_alerted(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """An alert that has its ticket already: one more line there instead of one more ticket."""
    body = str(change.values.get("body") or change.values.get("subject") or "").strip()[:LONGEST_BODY]
    steps = (Step("alert", "", body), Step("instead of", "", "a new ticket: this one is about the same and still open"))
    plan = made(change, record, "Add the alert to", deed("alerted", {}, body=body), steps=steps, expected={"body": body})
    return plan
