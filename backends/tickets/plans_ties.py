"""Plans of ties between our own tickets: relate, merge and its undoing, split. Pure; the other ticket is handed in.

Both sides of a tie are written: `other` in the planned values is the event for the second ticket. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backends.contract import Actor, Change, Plan, Step
from backends.errors import Invalid, Refused
from backends.store.contract import Record
from backends.tickets.model import LINK_INVERSE, Phase
from backends.tickets.numbers import spoken
from backends.tickets.planning import House, deed, made, subject
from backends.tickets.workflow import MERGED

Link = dict[str, str]


def name_of(record: Record) -> str:
    """The ticket's number as people say it."""
    return spoken(int(record.doc["number"]))


def links_of(record: Record) -> list[Link]:
    """Its ties as stored."""
    return [dict(link) for link in record.doc.get("links", ())]


def with_other(plan: Plan, other: Record, event: Mapping[str, Any]) -> Plan:
    """The plan with what happens to the second ticket."""
    from dataclasses import replace

    was = {name: other.doc.get(name) for name in event["set"]}
    return replace(plan, change=replace(plan.change, values={**plan.change.values, "other": {"id": other.id, "event": dict(event), "was": was}}))


def plan_relate(change: Change, record: Record, other: Record, actor: Actor, house: House) -> Plan:
    """A tie of a kind, shown on both."""
    kind = str(change.values.get("kind", ""))
    if kind not in LINK_INVERSE or kind.startswith("merged"):
        raise Invalid(fields={"kind": ", ".join(name for name in LINK_INVERSE if not name.startswith("merged"))})
    if other.id == record.id:
        raise Invalid(fields={"to": "it is the same ticket"})
    link, back = {"kind": kind, "to": other.id}, {"kind": LINK_INVERSE[kind], "to": record.id}
    if link in links_of(record):
        raise Refused(f"{kind.replace('_', ' ')} {name_of(other)} already")
    inverse = Change(change.domain, change.backend, "unrelate", record.id, values={"kind": kind, "to": other.id})
    event = deed("linked", {"links": [*links_of(record), link]})
    plan = made(change, record, "Tie", event, steps=(Step(kind.replace("_", " "), "", f"{name_of(other)} {other.doc['subject']}"),), inverse=inverse)
    return with_other(plan, other, deed("linked", {"links": [*(item for item in links_of(other) if item != back), back]}))


def plan_unrelate(change: Change, record: Record, other: Record, actor: Actor, house: House) -> Plan:
    """The tie goes on both sides."""
    kind = str(change.values.get("kind", ""))
    link, back = {"kind": kind, "to": other.id}, {"kind": LINK_INVERSE.get(kind, ""), "to": record.id}
    if link not in links_of(record) or kind.startswith("merged"):
        raise Refused(f"it is not tied so to {name_of(other)}")
    event = deed("unlinked", {"links": [item for item in links_of(record) if item != link]})
    plan = made(change, record, "Untie", event, steps=(Step(kind.replace("_", " "), name_of(other), ""),))
    return with_other(plan, other, deed("unlinked", {"links": [item for item in links_of(other) if item != back]}))


def plan_merge(change: Change, record: Record, other: Record, actor: Actor, house: House) -> Plan:
    """This one ends as merged and stays readable; the other carries on. No circles, nothing into itself."""
    if other.id == record.id:
        raise Invalid(fields={"into": "it is the same ticket"})
    for one in (record, other):
        if one.doc["phase"] == Phase.CLOSED:
            raise Refused(f"{name_of(one)} is {one.doc['status']}" + (f": it lives on as {merged_into(one)}" if merged_into(one) else ""))
    link, back = {"kind": "merged_into", "to": other.id}, {"kind": "merged_from", "to": record.id}
    set_ = {"status": _merged_word(house), "phase": Phase.CLOSED.value, "links": [*links_of(record), link]}
    event = deed("merged_away", set_, body=f"merged into {name_of(other)}")
    steps = (Step("status", str(record.doc["status"]), str(set_["status"])), Step("lives on as", "", f"{name_of(other)} {other.doc['subject']}"))
    effects = ("it stays readable, and says where it went", f"undone with `unmerge` as long as nothing is added to {name_of(other)}")
    plan = made(change, record, f"Merge into {name_of(other)}:", event, steps=steps, side_effects=effects, danger=2, confirm_word=name_of(other),
                inverse=Change(change.domain, change.backend, "unmerge", record.id))  # fmt: skip
    watchers = list(dict.fromkeys([*other.doc.get("watchers", ()), *(address for address in (record.doc.get("email"),) if address and address != other.doc.get("email"))]))
    text = f"{name_of(record)} {record.doc['subject']}\n\n{record.doc.get('body', '')}".strip()
    return with_other(plan, other, deed("merged_in", {"links": [*links_of(other), back], **({"watchers": watchers} if watchers else {})}, body=text))


def merged_into(record: Record) -> str:
    """Id of the ticket it was merged into, or ""."""
    return next((link["to"] for link in links_of(record) if link["kind"] == "merged_into"), "")


def _merged_word(house: House) -> str:
    closed = house.statuses.of(Phase.CLOSED)
    return MERGED if MERGED in closed else closed[0]


def plan_unmerge(change: Change, record: Record, other: Record, newest: Mapping[str, Any], own: Sequence[Mapping[str, Any]], actor: Actor, house: House) -> Plan:
    """Only while nothing was added to the other since. `newest` is the other's newest event, `own` this one's events."""
    away = next((event for event in reversed(own) if event["type"] == "merged_away"), None)
    back = {"kind": "merged_from", "to": record.id}
    if away is None or back not in links_of(other):
        raise Refused("it is not merged")
    if newest.get("type") != "merged_in" or back not in newest["set"].get("links", ()):
        raise Refused(f"{name_of(other)} has gone on since: split it by hand")
    set_ = {"status": away["was"]["status"], "phase": away["was"]["phase"], "links": [link for link in links_of(record) if link["kind"] != "merged_into"]}
    plan = made(change, record, f"Take out of {name_of(other)} again:", deed("split", set_), steps=(Step("status", str(record.doc["status"]), str(set_["status"])),))
    values = {"links": [link for link in links_of(other) if link != back], **({"watchers": newest["was"].get("watchers") or []} if "watchers" in newest["set"] else {})}
    return with_other(plan, other, deed("split", values))


def plan_split(change: Change, record: Record, events: Sequence[Mapping[str, Any]], actor: Actor, house: House) -> Plan:
    """A new ticket with the texts of some events; both say so. The new one is for the same person."""
    title = subject(change.values.get("subject"))
    wanted = {int(seq) for seq in change.values.get("seqs") or ()}
    chosen = [event for event in events if int(event["seq"]) in wanted]
    if not chosen or len(chosen) != len(wanted):
        raise Invalid(fields={"seqs": f"entries from 1 to {len(events)} of the timeline"})
    body = "\n\n".join(str(event.get("body") or event["type"].replace("_", " ")) for event in chosen)
    kept = ("queue", "category", "kind", "impact", "urgency", "priority", "requester", "login", "email", "phone", "location", "department")
    fields = {name: record.doc[name] for name in kept if record.doc.get(name)}
    new = {"subject": title, "body": body, "assignee": "", "status": house.statuses.first(Phase.NEW), "phase": Phase.NEW.value, "origin": "split",
           "links": [{"kind": "relates", "to": record.id}], **fields}  # fmt: skip
    steps = (Step("new ticket", "", title), Step("with entries", "", ", ".join(str(event["seq"]) for event in chosen)))
    plan = made(change, record, "Split", deed("split", {}, body=f"split off: {title}"), steps=steps, expected={"body": f"split off: {title}"})
    from dataclasses import replace

    return replace(plan, change=replace(plan.change, values={**plan.change.values, "new": deed("created", new, body=body)}))
