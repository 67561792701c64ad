"""Plans of writes on Request Tracker. RT says 200 whether it obeyed or not, and in the user's language, so its words are never read: each plan
names what must read so afterwards, and the ticket is read again. Pure; never imports an adapter.

In the values of a planned change: `requests` (sent in their order; a later one only when the earlier took effect), `was` (what the ticket
said of what is about to change), `raw` (RT's field -> before and after in RT's own words, and our name of it, to find in its history whom we overwrote), `etag`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backends.contract import Change, Plan, Step
from backends.errors import Conflict, Invalid, Refused
from backends.text import clean
from backends.tickets.model import Person, Phase, Ticket
from backends.tickets.planning import body_of, minutes_of
from backends.tickets.rt_query import Words

Json = dict[str, Any]
NOTHING = "nothing"
"""What `overwrote` must read."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a plan is made from: the ticket, RT's own form of it, who we are there, and the site's words."""

    ticket: Ticket
    item: Mapping[str, Any]
    me: str
    words: Words
    fields: Mapping[str, str] = field(default_factory=dict)
    """Custom fields of this ticket: RT's number -> name."""
    queue_ids: Mapping[str, str] = field(default_factory=dict)
    """Name of a queue -> RT's number."""
    vendor: str = ""
    other: Ticket | None = None
    """The second ticket of a tie or merge."""

    @property
    def etag(self) -> str:
        """The version that was looked at."""
        return self.ticket.row.version


def put(body: Mapping[str, Any], path: str = "") -> Json:
    """A change of the ticket itself; RT compares its tag."""
    return {"method": "PUT", "path": path, "body": dict(body), "tagged": True}


def said(path: str, body: str, minutes: int = 0, **more: Any) -> Json:
    """Words on the ticket. RT refuses every tag here, so the ticket is looked at first."""
    content = {"Content": body, "ContentType": "text/plain", **({"TimeTaken": minutes} if minutes else {}), **more}
    return {"method": "POST", "path": path, "body": content, "tagged": False}


def planned(
    change: Change, seen: Seen, summary: str, requests: Sequence[Json], expected: Mapping[str, Any], steps: Sequence[Step],
    was: Mapping[str, Any] | None = None, raw: Mapping[str, Any] | None = None, **more: Any,
) -> Plan:  # fmt: skip
    """The plan of some requests on one ticket."""
    line = seen.ticket.row
    values = {**change.values, "requests": list(requests), "was": dict(was or {}), "raw": dict(raw or {}), "etag": seen.etag}
    made = Change(change.domain, change.backend, change.verb, line.id, f"{line.number} {line.subject}", values, change.version)
    watched = {"overwrote": NOTHING} if raw else {}
    return Plan(made, f"{summary} {made.label}", tuple(steps), version=seen.etag, expected={**expected, **watched},
                ticket=f"tickets:{change.backend}:{line.id}", **more)  # fmt: skip


def undo(change: Change, seen: Seen, verb: str, **values: Any) -> Change:
    """The change that takes it back."""
    return Change(change.domain, change.backend, verb, seen.ticket.row.id, values=values)


# -- who has it -------------------------------------------------------------------------------------------


def take(change: Change, seen: Seen) -> Plan:
    """Safe: RT gives it to one of two."""
    has = seen.ticket.row.assignee
    if has == seen.me:
        raise Refused("you have it already")
    if has:
        raise Conflict(f"{has} has it", mine={"assignee": seen.me}, theirs={"assignee": has}, hint="Take it over with S if it is yours now.")
    return planned(change, seen, "Take", [put({}, "/take")], {"assignee": seen.me}, (Step("assignee", "", seen.me),), {"assignee": ""}, inverse=undo(change, seen, "release"))


def steal(change: Change, seen: Seen) -> Plan:
    """From whoever has it; they are named."""
    has = seen.ticket.row.assignee
    if not has or has == seen.me:
        raise Refused("you have it already" if has else "nobody has it: take it")
    return planned(change, seen, f"Take over from {has}:", [put({}, "/steal")], {"assignee": seen.me}, (Step("assignee", has, seen.me),), {"assignee": has},
                   inverse=undo(change, seen, "assign", assignee=has))  # fmt: skip


def release(change: Change, seen: Seen) -> Plan:
    """Back to the queue."""
    has = seen.ticket.row.assignee
    if not has:
        raise Refused("nobody has it")
    request = put({}, "/untake") if has == seen.me else put({"Owner": "Nobody"})
    return planned(change, seen, "Give back", [request], {"assignee": ""}, (Step("assignee", has, ""),), {"assignee": has}, inverse=undo(change, seen, "assign", assignee=has))


def assign(change: Change, seen: Seen) -> Plan:
    """To somebody, or to nobody."""
    if change.values.get("team"):
        raise Invalid(fields={"team": "RT has no teams; its queues are their place"})
    who, has = str(change.values.get("assignee") or "").strip(), seen.ticket.row.assignee
    if who == has:
        raise Refused(f"{who or 'nobody'} has it already")
    if who and (clean(who) != who or who.isdigit()):
        raise Invalid(fields={"assignee": "a login is needed"})
    return planned(change, seen, f"Assign to {who or 'nobody'}:", [put({"Owner": who or "Nobody"})], {"assignee": who}, (Step("assignee", has, who),), {"assignee": has},
                   inverse=undo(change, seen, "assign", assignee=has))  # fmt: skip


# -- status -----------------------------------------------------------------------------------------------


def status_word(change: Change, seen: Seen, wanted: str) -> str:
    """RT's word for a status that may be set now. Invalid says which may."""
    offered = seen.ticket.offered
    known = next((word for word in offered if word.casefold() == wanted.casefold()), "")
    if not known:
        raise Invalid(fields={"status": f"RT offers: {', '.join(offered) or 'nothing more'}" if wanted else "which one?"})
    return known


def status(change: Change, seen: Seen) -> Plan:
    """First the status, as RT looks at the tag there; then the reason, so that it does not stay behind when RT refuses the status."""
    known = status_word(change, seen, str(change.values.get("status", "")).strip())
    reason, phase = str(change.values.get("reason", "")).strip(), seen.words.statuses.get(known, Phase.ACTIVE)
    if phase in (Phase.PAUSED, Phase.RESOLVED) and not reason:
        raise Invalid(fields={"reason": "say what it waits for" if phase is Phase.PAUSED else "say what solved it"})
    return _moved(change, seen, f"{known}:", known, reason, {"pending_reason" if phase is Phase.PAUSED else "resolution": reason} if reason else {})


def _moved(change: Change, seen: Seen, summary: str, known: str, body: str, custom: Mapping[str, str], steps: Sequence[Step] = (), effects: Sequence[str] = ()) -> Plan:
    """A change of status with what goes into custom fields, then a comment."""
    before, sent = seen.ticket.row.status, {"Status": known} if known else {}
    kept = {seen.words.fields[name]: value for name, value in custom.items() if seen.words.fields.get(name) in seen.fields.values()}
    requests = [put({**sent, **({"CustomFields": kept} if kept else {})})] if sent or kept else []
    if body:
        requests.append(said("/comment", body))
        effects = (*effects, "the reason is kept as an internal comment")
    expected = {**({"status": known} if known else {}), **({"body": body} if body else {}), **{f"field {name}": [value] for name, value in kept.items()}}
    shown = [*steps, *([Step("status", before, known)] if known else []), *([Step("internal comment", "", body)] if body else [])]
    was, raw = ({"status": before}, {"Status": [before, known, "status"]}) if known else ({}, {})
    return planned(change, seen, summary, requests, expected, shown, was, raw, side_effects=tuple(effects))


def refer(change: Change, seen: Seen) -> Plan:
    """The status of what a vendor has, the facts in custom fields where there are some, and all of it as a comment."""
    values = change.values
    vendor = clean(str(values.get("vendor", "")).strip())[:100]
    if not vendor:
        raise Invalid(fields={"vendor": "to whom?"})
    facts = {name: clean(str(values[name]).strip())[:200] for name in ("contact", "reference", "promised", "follow_up") if values.get(name)}
    facts |= {name: day(name, facts[name]) for name in ("promised", "follow_up") if name in facts}
    body = "\n".join([f"Referred to {vendor}", *(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()), *([str(values["body"]).strip()] if values.get("body") else [])])
    known = seen.vendor if seen.vendor in seen.ticket.offered else ""
    if not known and seen.ticket.row.status != seen.vendor:
        raise Invalid(fields={"status": f"{seen.vendor or 'a status for what a vendor has'} is not offered here; RT offers: {', '.join(seen.ticket.offered) or 'nothing'}"})
    effects = ["it does not come back by itself: RT has no follow-up"] if not seen.words.fields.get("follow_up") else []
    return _moved(change, seen, f"Refer to {vendor}:", known, body, {"vendor": vendor, **facts}, [Step("vendor", "", vendor), *(Step(name.replace("_", " "), "", value) for name, value in facts.items())], effects)


def day(name: str, text: str) -> str:
    """A day as RT's date fields hold it. Invalid."""
    try:
        return datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        raise Invalid(fields={name: f"{text!r} is not a day such as 2026-12-01"}) from None


def vendor_return(change: Change, seen: Seen) -> Plan:
    """Work goes on here."""
    if not seen.vendor or seen.ticket.row.status != seen.vendor:
        raise Refused("it is with no vendor")
    body = body_of(change)
    known = next((word for word in seen.ticket.offered if seen.words.statuses.get(word) is Phase.ACTIVE), "")
    if not known:
        raise Invalid(fields={"status": f"RT offers no status to work on in; it offers: {', '.join(seen.ticket.offered) or 'nothing'}"})
    who = seen.ticket.referrals[-1].vendor if seen.ticket.referrals else "the vendor"
    return _moved(change, seen, f"Back from {who}:", known, f"Back from {who}: {body}", {}, [Step("vendor", who, "returned")])


# -- words ------------------------------------------------------------------------------------------------


def note(change: Change, seen: Seen) -> Plan:
    """Internal."""
    body = body_of(change)
    return planned(change, seen, "Note on", [said("/comment", body, minutes_of(change))], {"body": body}, (Step("internal note", "", body),))


def readers_of(ticket: Ticket) -> list[str]:
    """Who RT mails a reply to, as far as we know."""
    people = [ticket.requester, *ticket.watchers]
    return [reader for reader in (one.email or one.login for one in people) if reader]


def reply(change: Change, seen: Seen) -> Plan:
    """Public. RT keeps the words also when it refuses the status that goes with them."""
    body, more, expected = body_of(change), {}, {}
    steps = [Step("PUBLIC reply", "", body)]
    was: Json = {"readers": readers_of(seen.ticket)}
    if change.values.get("status"):
        before, known = seen.ticket.row.status, status_word(change, seen, str(change.values["status"]).strip())
        more, expected, was = {"Status": known}, {"status": known}, {**was, "status": before}
        steps.append(Step("status", before, known))
    effects = ("RT keeps and sends the words also when it refuses the status",) if more else ()
    public = f"PUBLIC: RT mails it to {', '.join(was['readers']) or 'nobody: it has no requester'}"
    return planned(change, seen, "Reply to", [said("/correspond", body, minutes_of(change), **more)], {"body": body, **expected}, steps, was, public=public, side_effects=effects)


def log_call(change: Change, seen: Seen) -> Plan:
    """A call with the requester, kept as an internal comment."""
    body, minutes = f"Telephone call: {body_of(change)}", minutes_of(change)
    expected = {"body": body, **({"time spent": _time_after(seen, minutes)} if minutes else {})}
    return planned(change, seen, "Call on", [said("/comment", body, minutes)], expected, (Step("call", "", body), Step("minutes", "", str(minutes))),
                   side_effects=("RT keeps it as an internal comment: it is no answer to RT's own targets",))  # fmt: skip


def time(change: Change, seen: Seen) -> Plan:
    """Minutes, with a word about them."""
    minutes = minutes_of(change)
    if not minutes:
        raise Invalid(fields={"minutes": "how many minutes?"})
    body, spent = str(change.values.get("body") or "").strip() or f"{minutes} minutes", seen.ticket.time_spent
    steps = (Step("time spent", f"{spent} min", f"{spent + minutes} min"),)
    return planned(change, seen, f"{minutes} minutes on", [said("/comment", body, minutes)], {"body": body, "time spent": _time_after(seen, minutes)}, steps)


def _time_after(seen: Seen, minutes: int) -> str:
    """RT adds up by reading and writing, so that of two who log at once one may be lost: less than this must not be there."""
    return f"at least {seen.ticket.time_spent + minutes} min"


# -- ties, people ---------------------------------------------------------------------------------------------

LINK_NAMES: Mapping[str, str] = {"parent": "Parent", "child": "Child", "blocks": "DependedOnBy", "blocked_by": "DependsOn", "relates": "RefersTo"}
_REFS = {"refers-to": "RefersTo", "referred-to-by": "ReferredToBy"}


def relate(change: Change, seen: Seen) -> Plan:
    """A tie of a kind; RT shows it on both."""
    kind, other = _tie(change, seen)
    if any((link.kind, link.to) == (kind, other) for link in seen.ticket.links):
        raise Refused("they are tied so already")
    step = Step(kind.replace("_", " "), "", f"#{other} {seen.other.row.subject if seen.other else ''}".strip())
    return planned(change, seen, "Tie", [put({f"Add{LINK_NAMES[kind]}": int(other)})], {f"link {kind} {other}": True}, (step,), inverse=undo(change, seen, "unrelate", kind=kind, to=other))


def unrelate(change: Change, seen: Seen) -> Plan:
    """The tie goes; one that belongs together may stand in RT in either direction."""
    kind, other = _tie(change, seen)
    if not any((link.kind, link.to) == (kind, other) for link in seen.ticket.links):
        raise Refused("they are not tied so")
    links = [link for link in seen.item.get("_hyperlinks") or () if isinstance(link, Mapping) and str(link.get("id")) == other]
    names = [_REFS[str(link["ref"])] for link in links if link.get("ref") in _REFS] if kind == "relates" else [LINK_NAMES[kind]]
    body = {f"Delete{name}": int(other) for name in names}
    return planned(change, seen, "Untie", [put(body)], {f"link {kind} {other}": False}, (Step(kind.replace("_", " "), f"#{other}", ""),), inverse=undo(change, seen, "relate", kind=kind, to=other))


def _tie(change: Change, seen: Seen) -> tuple[str, str]:
    kind = str(change.values.get("kind", ""))
    if kind not in LINK_NAMES:
        raise Invalid(fields={"kind": f"RT knows {', '.join(LINK_NAMES)}"})
    other = seen.other.row.id if seen.other else ""
    if not other or other == seen.ticket.row.id:
        raise Invalid(fields={"to": "the number of another ticket"})
    return kind, other


def merge(change: Change, seen: Seen) -> Plan:
    """Its number leads to the other one afterwards."""
    other = seen.other
    if other is None or other.row.id == seen.ticket.row.id:
        raise Invalid(fields={"into": "the number of another ticket"})
    word = other.row.number
    return planned(change, seen, f"Merge into {word}:", [put({"MergeInto": int(other.row.id)})], {"lives on as": word}, (Step("lives on as", "", f"{word} {other.row.subject}"),),
                   side_effects=("RT can't undo a merge", f"what is opened as {seen.ticket.row.number} is {word} from then on"), danger=2, confirm_word=word)  # fmt: skip


def watch(change: Change, seen: Seen) -> Plan:
    """Addresses are told of replies (Cc), logins are colleagues who follow it (AdminCc). RT replaces the whole list, so the whole is sent."""
    wanted, gone = ([str(name).strip() for name in change.values.get(key) or ()] for key in ("add", "remove"))
    for name in wanted:
        if not name or len(name) > 200 or clean(name) != name or " " in name or name.isdigit():
            raise Invalid(fields={"add": f"{name!r} is neither a login nor an address"})
    body: Json = {}
    expected: Json = {}
    was: Json = {}
    steps: list[Step] = []
    for role, key, people, here in (
        ("Cc", "watchers", seen.ticket.watchers, [name for name in wanted if "@" in name]),
        ("AdminCc", "followers", _followers(seen), [name for name in wanted if "@" not in name]),
    ):  # fmt: skip
        names = [one.email if key == "watchers" and one.email else one.login or one.email for one in people]
        after = [name for name in dict.fromkeys([*names, *here]) if name not in gone]
        if after != names:
            keep = [_member(ref, one) for ref, one in _refs(seen.item, role, people) if one is None or not {one.email, one.login} & set(gone)]
            body[role] = [*keep, *(name for name in here if name not in names and name not in gone)]
            expected[key], was[key] = sorted(after), sorted(names)
            steps.append(Step("told of replies" if key == "watchers" else "followed by", ", ".join(names), ", ".join(after)))
    if not body:
        raise Refused("they are told already" if wanted else "they are not told anyway")
    effects = tuple(f"{name} will read public replies" for name in wanted if "@" in name)
    return planned(change, seen, "Who is told of", [put(body)], expected, steps, was, side_effects=effects)


def _followers(seen: Seen) -> list[Person]:
    return [Person(login=name) if "@" not in name else Person(email=name) for name in seen.ticket.followers]


def _refs(item: Mapping[str, Any], role: str, people: Sequence[Person]) -> list[tuple[Mapping[str, Any], Person | None]]:
    """RT's members of a role with who they are; groups with None."""
    out: list[tuple[Mapping[str, Any], Person | None]] = []
    known = iter(people)
    for ref in item.get(role) or ():
        if isinstance(ref, Mapping):
            out.append((ref, None if ref.get("type") == "group" else next(known, Person())))
    return out


def _member(ref: Mapping[str, Any], who: Person | None) -> str:
    """How a member is named to RT. It takes digits for the number of a group or person, so somebody whose login is a number goes by address."""
    ident = str(ref.get("id"))
    if who is None or not ident.isdigit():
        return ident
    if not who.email:
        raise Refused(f"{ident} can't be kept on the list: RT takes that login for a number", hint="Change the list in RT itself.")
    return who.email
