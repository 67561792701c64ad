"""Plans of the verbs on a ticket of a system that checks no versions (Zammad, GLPI): pure, from the ticket as read and the values wanted.

A plan's `set` names fields of the model with the values they shall have, `was` what they had; the adapter says the same in its own
words, refuses when `was` moved on, and reads everything back. `say` is a text to be written ("note", "reply" or "call"). Never imports
an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from backends.contract import Change, Plan, Step, now
from backends.errors import Conflict, Invalid, Refused
from backends.text import clean
from backends.tickets import desk_notes
from backends.tickets.events import iso
from backends.tickets.model import Phase, Ticket
from backends.tickets.planning import body_of, minutes_of, subject
from backends.tickets.plans_work import look_at, moment_of


@dataclass(frozen=True, slots=True)
class Ways:
    """What a system knows and can do, for its plans."""

    name: str
    statuses: Mapping[str, Phase]
    queues: Sequence[str] = ()
    categories: Sequence[str] = ()
    teams: Sequence[str] = ()
    vendors: Sequence[str] | None = None
    """Those that can be referred to; None: any name, kept as text."""
    levels: Sequence[int] = (1, 2, 3, 4)
    """Priorities it has a word for."""
    links: Sequence[str] = ()
    edits: frozenset[str] = frozenset()
    kinds: Sequence[str] = ()
    started: str = ""
    """The status that work on a new ticket gives it, "" where the system does that by itself."""
    returned: str = ""
    """The status of a ticket that came back from a vendor."""
    wakes: timedelta | None = None
    """How long it waits when no day is given, None where the system has no such day."""
    reply_effects: tuple[str, ...] = ()
    effects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Verb -> what else happens."""
    anyone: bool = True
    """Whether addresses and colleagues can be made watchers; else only oneself."""
    final: bool = False
    """Whether closed means closed."""


def planned(change: Change, ticket: Ticket, ways: Ways, summary: str, set_: Mapping[str, Any], steps: Sequence[Step] = (), **more: Any) -> Plan:
    """The plan of a verb; steps of the fields come first."""
    label = f"{ticket.row.number} {ticket.row.subject}"
    was = {name: field_of(ticket, name) for name in set_}
    facts = tuple(Step(name.replace("_", " "), _word(was[name]), _word(value)) for name, value in set_.items())
    sent: dict[str, Any] = {name: more.pop(name) for name in ("say", "text", "minutes", "files") if name in more}
    values: dict[str, Any] = {**change.values, "set": dict(set_), "was": was, **sent}
    made = Change(change.domain, change.backend, change.verb, ticket.row.id, label, values, change.version)
    effects = (*more.pop("side_effects", ()), *ways.effects.get(change.verb, ()))
    expected = {**dict(set_), **more.pop("expected", {})}
    return Plan(made, f"{summary} {label}", (*facts, *steps), side_effects=effects, version=ticket.row.version, expected=expected,
                ticket=f"tickets:{change.backend}:{ticket.row.id}", **more)  # fmt: skip


def field_of(ticket: Ticket, name: str) -> Any:
    """A field of the model as a plain value, as plans name it: "link parent 12" is whether that tie is there."""
    if name in ("subject", "queue", "status", "assignee", "priority", "team"):
        return getattr(ticket.row, name)
    if name == "merged_into":
        return ticket.row.id  # the number of a merged one leads to the one it lives on as
    if name == "pending_until":
        return iso(ticket.pending_until) if ticket.pending_until else ""
    if name == "tags":
        return sorted(ticket.tags)
    if name == "watching":
        return sorted([*ticket.followers, *(one.email for one in ticket.watchers)])
    if name == "files":
        return sorted(file.name for file in ticket.attachments)
    if name == "vendor":
        return next((one.vendor for one in reversed(ticket.referrals) if one.open), "")
    if name.startswith("field "):
        return ticket.fields.get(name[6:], "")
    if name.startswith("link "):
        _, kind, other = name.split(" ", 2)
        return any((link.kind, link.to) == (kind, other) for link in ticket.links)
    return getattr(ticket, name, None)


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None or value is False else "yes" if value is True else str(value)


def plan_of(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    """The plan of a verb on a ticket as it is now. Refused, Invalid, Conflict, Unsupported."""
    if ways.final and ticket.row.phase is Phase.CLOSED and change.verb not in ("note", "time", "unrelate", "relate"):
        raise Refused(f"{ticket.row.number} is {ticket.row.status}: open a new ticket that refers to it")
    return _PLANS[change.verb](change, ticket, me, ways)


def _undo(change: Change, ticket: Ticket, verb: str, **values: Any) -> Change:
    return Change(change.domain, change.backend, verb, ticket.row.id, values=values)


def _started(ticket: Ticket, ways: Ways) -> dict[str, Any]:
    return {"status": ways.started} if ways.started and ticket.row.phase is Phase.NEW else {}


def _take(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    holder = ticket.row.assignee
    if holder == me:
        raise Refused("you have it already")
    if holder:
        raise Conflict(f"{holder} has it", mine={"assignee": me}, theirs={"assignee": holder}, hint="Take it over with S if it is yours now.")
    return planned(change, ticket, ways, "Take", {"assignee": me, **_started(ticket, ways)}, inverse=_undo(change, ticket, "release"))


def _steal(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    holder = ticket.row.assignee
    if not holder or holder == me:
        raise Refused("you have it already" if holder else "nobody has it: take it")
    undo = _undo(change, ticket, "assign", assignee=holder)
    return planned(change, ticket, ways, f"Take over from {holder}:", {"assignee": me, **_started(ticket, ways)}, inverse=undo)


def _release(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    if not ticket.row.assignee:
        raise Refused("nobody has it")
    return planned(change, ticket, ways, "Give back", {"assignee": ""}, inverse=_undo(change, ticket, "assign", assignee=ticket.row.assignee))


def _assign(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    wanted: dict[str, Any] = {}
    if "team" in change.values:
        if not ways.teams:
            raise Invalid(fields={"team": f"{ways.name} has no teams here; its queues are their place"})
        wanted["team"] = known("team", change.values["team"], ways.teams) if change.values["team"] else ""
    if "assignee" in change.values:
        wanted["assignee"] = clean(str(change.values["assignee"]).strip())[:100]
    wanted = {name: value for name, value in wanted.items() if value != field_of(ticket, name)}
    who = str(change.values.get("assignee", change.values.get("team", ""))) or "nobody"
    if not wanted:
        raise Refused(f"{who} has it already")
    undo = _undo(change, ticket, "assign", **{name: field_of(ticket, name) for name in wanted})
    return planned(change, ticket, ways, f"Assign to {who}:", {**wanted, **(_started(ticket, ways) if wanted.get("assignee") else {})}, inverse=undo)


def known(name: str, value: Any, words: Sequence[str]) -> str:
    """The system's spelling of a word. Invalid names those there are."""
    found = next((word for word in words if word.casefold() == str(value).strip().casefold()), None)
    if found is None:
        raise Invalid(fields={name: f"{str(value)[:80]!r} is not known; there are: {', '.join(words) or 'none'}"})
    return found


def _to_status(change: Change, ticket: Ticket, ways: Ways) -> tuple[dict[str, Any], Phase]:
    """The fields of a move, and where it leads. Invalid when it is not offered."""
    wanted = next((word for word in ways.statuses if word.casefold() == str(change.values.get("status", "")).strip().casefold()), "")
    if wanted == ticket.row.status and wanted:
        raise Invalid(fields={"status": f"it is {wanted} already"})
    if wanted not in ticket.offered:
        raise Invalid(fields={"status": f"offered: {', '.join(ticket.offered) or 'none'}"})
    phase, set_ = ways.statuses[wanted], {"status": wanted}
    if phase is Phase.PAUSED and ways.wakes is not None:
        until = change.values.get("until")
        set_["pending_until"] = moment_of("until", until) if until else iso(now() + ways.wakes)
    return set_, phase


def _status(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    set_, phase = _to_status(change, ticket, ways)
    reason = str(change.values.get("reason") or "").strip()
    if phase in (Phase.PAUSED, Phase.RESOLVED) and not reason:
        raise Invalid(fields={"reason": "say what it waits for" if phase is Phase.PAUSED else "say what solved it"})
    effects: tuple[str, ...] = ()
    if phase is Phase.PAUSED and ways.wakes is None and change.values.get("until"):
        effects = (f"{ways.name} has no day for it to come back: it stays until somebody moves it",)
    if not reason:
        return planned(change, ticket, ways, f"{set_['status']}:", set_)
    text = desk_notes.waiting_note(reason) if phase is Phase.PAUSED else desk_notes.solved_note(reason) if phase is Phase.RESOLVED else reason
    told = {"pending_reason": reason} if phase is Phase.PAUSED else {"resolution": reason} if phase is Phase.RESOLVED else {}
    return planned(change, ticket, ways, f"{set_['status']}:", set_, (Step("reason", "", reason),), say="note", text=text, expected=told, side_effects=effects)


def _note(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    body = body_of(change)
    files = _files(change)
    steps = (Step("internal note", "", body), *_file_steps(files))
    return planned(change, ticket, ways, "Note on", {}, steps, say="note", text=body, minutes=minutes_of(change), files=files, expected={"body": body})


def _reply(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    body, files = body_of(change), _files(change)
    set_ = _to_status(change, ticket, ways)[0] if change.values.get("status") else _started(ticket, ways)
    cc = [clean(str(one).strip()) for one in change.values.get("cc") or ()]
    if any("@" not in one or " " in one or "," in one for one in cc):
        raise Invalid(fields={"cc": "addresses only"})
    readers = [ticket.requester.email or ticket.requester.login or ticket.requester.name, *(one.email for one in ticket.watchers), *cc]
    public = f"PUBLIC: read by {', '.join(one for one in readers if one) or 'the requester, who has no address here'}"
    return planned(change, ticket, ways, "Reply to", set_, (Step("PUBLIC reply", "", body), *_file_steps(files)), say="reply", text=body,
                   minutes=minutes_of(change), files=files, expected={"body": body}, public=public, side_effects=ways.reply_effects)  # fmt: skip


def _call(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    body, minutes = body_of(change), minutes_of(change)
    steps = (Step("call", "", body), Step("minutes", "", str(minutes)))
    return planned(change, ticket, ways, "Call on", _started(ticket, ways), steps, say="call", text=body, minutes=minutes, expected={"body": body})


def _time(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    minutes = minutes_of(change)
    if not minutes:
        raise Invalid(fields={"minutes": "how many minutes?"})
    step = Step("time spent", f"{ticket.time_spent} min", f"{ticket.time_spent + minutes} min")
    return planned(change, ticket, ways, f"{minutes} minutes on", {}, (step,), minutes=minutes, text=str(change.values.get("body") or "").strip(),
                   expected={"time_spent": ticket.time_spent + minutes})  # fmt: skip


def _edit(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    set_: dict[str, Any] = {}
    for name, value in change.values.items():
        if name == "priority_reason":
            continue
        if name not in ways.edits:
            raise Invalid(fields={name: f"{ways.name} has no such field that can be changed here"})
        if name == "fields":
            set_ |= {f"field {clean(str(key))[:60]}": clean(str(one))[:1000] for key, one in dict(value).items()}
        else:
            set_[name] = _edited(name, value, ways)
    set_ = {name: value for name, value in set_.items() if field_of(ticket, name) != value}
    if not set_:
        raise Refused("it is so already")
    undo = _undo(change, ticket, "edit", **{name: field_of(ticket, name) for name in set_ if not name.startswith("field ")})
    return planned(change, ticket, ways, "Change", set_, inverse=undo)


def _edited(name: str, value: Any, ways: Ways) -> Any:
    if name == "subject":
        return subject(value)
    if name in ("queue", "category", "kind"):
        return known(name, value, {"queue": ways.queues, "category": ways.categories, "kind": ways.kinds}[name])
    if name in ("priority", "impact", "urgency"):
        return level(name, value, ways.levels if name == "priority" else (1, 2, 3, 4))
    if name == "tags":
        return sorted({clean(str(tag))[:40] for tag in value})
    return clean(str(value))[:1000]


def level(name: str, value: Any, levels: Sequence[int]) -> int:
    """A number that the system has a word for. Invalid."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in levels:
        raise Invalid(fields={name: f"one of {', '.join(map(str, sorted(levels)))}"})
    return value


def _refer(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    vendor = clean(str(change.values.get("vendor", "")).strip())[:100]
    if not vendor:
        raise Invalid(fields={"vendor": "to whom?"})
    vendor = vendor if ways.vendors is None else known("vendor", vendor, ways.vendors)
    facts: dict[str, Any] = {"vendor": vendor, **{name: clean(str(change.values[name]).strip())[:200] for name in ("contact", "reference") if change.values.get(name)}}
    facts |= {name: moment_of(name, change.values[name]) for name in ("promised", "follow_up") if change.values.get(name)}
    paused = [word for word in ticket.offered if ways.statuses.get(word) is Phase.PAUSED]
    if not paused and ticket.row.phase is not Phase.PAUSED:
        raise Refused(f"{ways.name} offers no waiting status from {ticket.row.status}")
    status = next((word for word in paused if "vendor" in word.casefold()), paused[0] if ticket.row.phase is not Phase.PAUSED else ticket.row.status)
    set_: dict[str, Any] = {"status": status, "vendor": vendor}
    back = facts.get("follow_up") or facts.get("promised")
    if ways.wakes is not None:
        set_["pending_until"] = back or iso(now() + ways.wakes)
    effects = () if ways.wakes is not None else (f"{ways.name} does not bring it back by itself; the day is kept as text",)
    steps = [Step(name.replace("_", " "), "", str(facts[name])) for name in ("contact", "reference", "promised", "follow_up") if name in facts]
    text = desk_notes.referral_note({**facts, "body": str(change.values.get("body") or "").strip()})
    return planned(change, ticket, ways, f"Refer to {vendor}:", set_, steps, say="note", text=text, side_effects=effects)


def _return(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    vendor = str(field_of(ticket, "vendor"))
    if not vendor:
        raise Refused("it is with no vendor")
    body = body_of(change)
    set_: dict[str, Any] = {"vendor": ""}
    if ticket.row.phase is Phase.PAUSED and ways.returned:
        set_["status"] = ways.returned
    return planned(change, ticket, ways, f"Back from {vendor}:", set_, (Step("text", "", body),), say="note", text=desk_notes.return_note(vendor, body))


def _relate(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    kind, other = str(change.values.get("kind", "")), str(change.values["to"])
    if kind not in ways.links:
        raise Invalid(fields={"kind": f"{ways.name} knows: {', '.join(ways.links)}"})
    if other == ticket.row.id:
        raise Invalid(fields={"to": "it is the same ticket"})
    name, adds = f"link {kind} {other}", change.verb == "relate"
    if field_of(ticket, name) is adds:
        raise Refused("they are tied so already" if adds else "they are not tied so")
    undo = _undo(change, ticket, "unrelate" if adds else "relate", kind=kind, to=other)
    return planned(change, ticket, ways, "Tie" if adds else "Untie", {name: adds}, inverse=undo)


def _watch(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    add, gone = ([clean(str(one).strip()) for one in change.values.get(name) or ()] for name in ("add", "remove"))
    if any(not one or " " in one or len(one) > 200 for one in add):
        raise Invalid(fields={"add": "logins or addresses"})
    if not ways.anyone and {*add, *gone} - {me}:
        raise Invalid(fields={"add": f"{ways.name} lets people only watch for themselves: {me}"})
    before = list(field_of(ticket, "watching"))
    after = sorted({*before, *add} - set(gone))
    if after == before:
        raise Refused("they are told already" if add else "they are not told anyway")
    effects = tuple(f"{name} will read public replies" for name in after if "@" in name and name not in before)
    return planned(change, ticket, ways, "Who is told of", {"watching": after}, side_effects=effects)


def _files(change: Change) -> list[dict[str, Any]]:
    return [look_at(str(item.get("path", item) if isinstance(item, Mapping) else item)) for item in change.values.get("files") or ()]


def _file_steps(files: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step("file", "", f"{file['name']} ({file['size']:,} bytes)") for file in files)


def _attach(change: Change, ticket: Ticket, me: str, ways: Ways) -> Plan:
    files = _files(change)
    if not files:
        raise Invalid(fields={"files": "which file?"})
    names = sorted([*field_of(ticket, "files"), *(file["name"] for file in files)])
    text = f"Attached: {', '.join(file['name'] for file in files)}"
    return planned(change, ticket, ways, "Attach to", {}, _file_steps(files), say="note", text=text, files=files, expected={"files": names})


_PLANS: Mapping[str, Callable[[Change, Ticket, str, Ways], Plan]] = {
    "take": _take, "steal": _steal, "release": _release, "assign": _assign, "status": _status, "note": _note, "reply": _reply, "log-call": _call,
    "time": _time, "edit": _edit, "refer": _refer, "vendor-return": _return, "relate": _relate, "unrelate": _relate, "watch": _watch, "attach": _attach,
}  # fmt: skip
