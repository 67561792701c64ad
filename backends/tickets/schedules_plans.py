"""Plans of the verbs on schedules: pure, from the schedule as it is and the values wanted. Never imports an adapter.

The planned values hold `doc` (what the schedule is afterwards) or `occurrence` (what is recorded); `expected` is what must read so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from backends.contract import Actor, Change, Plan, Step
from backends.errors import Invalid, Refused
from backends.options import seconds
from backends.store.contract import Record
from backends.text import clean
from backends.tickets.events import iso, moment
from backends.tickets.numbers import spoken
from backends.tickets.planning import House, plan_create
from backends.tickets.plans_work import moment_of
from backends.tickets.recurring import Rule
from backends.tickets.schedules import PREFIX, preview, read_rule, rule_of

SHOWN = 5
LONGEST_LEAD = 60 * 86400
MOST_ITEMS = 50
VERBS = ("schedule", "schedule-pause", "schedule-resume", "schedule-skip", "schedule-run", "schedule-remove")
_TICKET = ("subject", "body", "queue", "category", "kind", "priority", "impact", "urgency", "assignee", "team", "requester", "refs", "checklist", "tags")
_OWN = ("rule", "start", "zone", "lead", "within")


def event_of(values: Mapping[str, Any], backend: str, actor: Actor, house: House) -> dict[str, Any]:
    """The first event of a ticket made from a schedule's values; Invalid when they don't fit the site (any more)."""
    wanted = {"requester": {"name": actor.display or actor.login, "login": actor.login}, **values, "origin": "schedule"}
    event = dict(plan_create(Change("tickets", backend, "create", values=wanted), actor, house).change.values["event"])
    if values.get("checklist"):
        event["set"] = {**event["set"], "checklist": [[item, False] for item in values["checklist"]]}
    return {**event, "via": "schedule"}


def plan_schedule(change: Change, record: Record | None, actor: Actor, house: House, zone: str, at: datetime) -> Plan:
    """A new schedule, or other values of one; the next five dates are a step of the plan."""
    values, old = change.values, dict(record.doc) if record is not None else {}
    unknown = [name for name in values if name not in (*_TICKET, *_OWN, "reason")]
    if unknown:
        raise Invalid(fields={unknown[0]: f"is no value of a schedule; there are {', '.join((*_OWN, *_TICKET))}"})
    ticket = {**old.get("ticket", {}), **{name: values[name] for name in _TICKET if name in values}}
    ticket = {name: value for name, value in ticket.items() if value not in (None, "", [], {})}
    if "checklist" in ticket:
        ticket["checklist"] = _items(ticket["checklist"])
    event_of(ticket, change.backend, actor, house)  # says now what would fail at night
    rule = _rule(values, old, zone, at)
    doc = {
        **old, "ticket": ticket, "rule": rule.text(), "zone": rule.zone, "by": old.get("by") or actor.login,
        "lead": _span("lead", values.get("lead", old.get("lead", 0))), "within": _span("within", values.get("within", old.get("within", 0))),
    }  # fmt: skip
    if rule.text() != old.get("rule"):
        doc["since"] = iso(at)
    dates = rule.following(moment(doc["since"]) or at, SHOWN)
    if not dates:
        raise Invalid(fields={"rule": "has no date to come"})
    doc["next_at"], doc["error"] = iso(dates[0]), ""
    before = _facts(old) if old else {}
    steps = tuple(Step(name, before.get(name, ""), text) for name, text in _facts(doc).items() if text and before.get(name, "") != text)
    steps += _ahead(dates, rule)
    expected = {"ticket": ticket, "rule": doc["rule"], "lead": doc["lead"], "within": doc["within"]}
    title = f"Schedule {ticket['subject']}" if record is None else f"Change {_name(record)}"
    effects = ("a ticket is made for each date by the collector, one each",) if record is None else ()
    return _made(change, record, title, steps, expected, doc=doc, effects=effects)


def _ahead(dates: Sequence[datetime], rule: Rule) -> tuple[Step, ...]:
    """A line a date, in the zone of the rule."""
    return tuple(Step(f"date {number}", "-", preview([date], rule)) for number, date in enumerate(dates, start=1))


def _rule(values: Mapping[str, Any], old: Mapping[str, Any], zone: str, at: datetime) -> Rule:
    if not old or any(name in values for name in ("rule", "start", "zone")):
        text = values.get("rule") or old.get("rule")
        if not text:
            raise Invalid(fields={"rule": "how often? Such as: weekdays 08:00, monthly last fri 16:00, FREQ=WEEKLY;BYDAY=MO"})
        return read_rule(text, str(values.get("zone") or old.get("zone") or zone), values.get("start"), at)
    return rule_of(old)


def _facts(doc: Mapping[str, Any]) -> dict[str, str]:
    rule = rule_of(doc)
    ticket = doc["ticket"]
    facts = {name: clean(str(ticket.get(name) or ""))[:120] for name in ("subject", "body", "queue", "category", "kind", "priority", "assignee", "team")}
    facts |= {"rule": f"{rule.words()} ({rule.zone})", "checklist": "; ".join(ticket.get("checklist", ())), "about": ", ".join(ticket.get("refs", ()))}
    return facts | {name: spoken_span(int(doc.get(name, 0))) for name in ("lead", "within")}


def spoken_span(seconds_: int) -> str:
    """"3d 4h", "" for none."""
    parts = ((seconds_ // 86400, "d"), (seconds_ % 86400 // 3600, "h"), (seconds_ % 3600 // 60, "m"))
    return " ".join(f"{number}{unit}" for number, unit in parts if number)


def _span(name: str, value: Any) -> int:
    try:
        found = int(seconds(int(value) if isinstance(value, str) and value.isdigit() else value or 0))
    except ValueError as error:
        raise Invalid(fields={name: str(error)}) from None
    if not 0 <= found <= LONGEST_LEAD:
        raise Invalid(fields={name: "from 0 to 60d"})
    return found


def _items(items: Any) -> list[str]:
    found = [clean(str(item).strip())[:200] for item in items] if isinstance(items, Sequence) and not isinstance(items, str) else []
    found = [item for item in found if item]
    if not found or len(found) > MOST_ITEMS:
        raise Invalid(fields={"checklist": f"a list of 1 to {MOST_ITEMS} items"})
    return found


def plan_pause(change: Change, record: Record, actor: Actor, at: datetime) -> Plan:
    """Nothing is made until it is resumed."""
    if record.doc.get("paused"):
        raise Refused(f"{_name(record)} is paused already")
    why = clean(str(change.values.get("reason") or ""))[:300]
    doc = {**record.doc, "paused": True, "paused_why": f"by {actor.login}" + (f": {why}" if why else ""), "error": ""}
    inverse = Change(change.domain, change.backend, "schedule-resume", record.id)
    return _made(change, record, f"Pause {_name(record)}", (Step("runs", "yes", "no"),), {"paused": True}, doc=doc, inverse=inverse)


def plan_resume(change: Change, record: Record, actor: Actor, at: datetime) -> Plan:
    """From now on; what was due meanwhile is recorded as skipped."""
    if not record.doc.get("paused"):
        raise Refused(f"{_name(record)} is not paused")
    rule, since = rule_of(record.doc), moment(record.doc.get("since")) or at
    missed, coming = rule.between(since, at, 200), rule.following(at, SHOWN)
    doc = {**record.doc, "paused": False, "since": iso(max(at, since)), "next_at": iso(coming[0]) if coming else None}
    doc.pop("paused_why", None)
    skipped = [{"at": iso(one), "state": "skipped", "reason": f"paused {record.doc.get('paused_why', '')}".strip(), "by": actor.login} for one in missed]
    steps = (Step("runs", "no", "yes"), *_ahead(coming, rule))
    effects = (f"{len(missed)} occurrences of the pause are recorded as skipped",) if missed else ()
    return _made(change, record, f"Resume {_name(record)}", steps, {"paused": False}, doc=doc, effects=effects, skipped=skipped)


def plan_skip(change: Change, record: Record, actor: Actor, at: datetime) -> Plan:
    """One occurrence to come makes no ticket."""
    why = clean(str(change.values.get("reason") or "").strip())[:300]
    if not why:
        raise Invalid(fields={"reason": "why is it left out?"})
    rule, since = rule_of(record.doc), moment(record.doc.get("since")) or at
    if change.values.get("at"):
        wanted = moment_of("at", change.values["at"])
        found = [one for one in rule.following(since, 400) if iso(one) == wanted]
        if not found:
            raise Invalid(fields={"at": f"is none of its dates to come: {preview(rule.following(since, SHOWN), rule)}"})
    else:
        found = rule.following(since)
        if not found:
            raise Refused(f"{_name(record)} has no date to come")
    steps = (Step("occurrence", preview(found, rule), f"skipped: {why}"),)
    occurrence = {"at": iso(found[0]), "state": "skipped", "reason": why, "by": actor.login}
    return _made(change, record, f"Skip once: {_name(record)}", steps, {"state": "skipped", "reason": why}, skipped=[occurrence])


def plan_run(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """A ticket now, beside the rule."""
    event = event_of(record.doc["ticket"], change.backend, actor, house)
    steps = (Step("new ticket", "", str(record.doc["ticket"]["subject"])),)
    return _made(change, record, f"Run now: {_name(record)}", steps, {"state": "made"}, run=event, effects=("its dates stay as they are",))


def plan_remove(change: Change, record: Record, actor: Actor) -> Plan:
    """It is gone; its tickets stay."""
    steps = (Step("schedule", _name(record), ""),)
    return _made(change, record, f"Remove {_name(record)}", steps, {"there": False}, remove=True, danger=2, confirm_word=spoken(int(record.doc["number"]), PREFIX),
                 effects=(f"the {record.doc.get('made', 0)} tickets it made stay",))  # fmt: skip


def _name(record: Record) -> str:
    return f"{spoken(int(record.doc['number']), PREFIX)} {clean(str(record.doc['ticket']['subject']))}"


def _made(
    change: Change, record: Record | None, summary: str, steps: tuple[Step, ...], expected: Mapping[str, Any], *, effects: tuple[str, ...] = (),
    inverse: Change | None = None, danger: Any = 1, confirm_word: str = "", **planned: Any,
) -> Plan:  # fmt: skip
    target, version = (record.id, str(record.rev)) if record is not None else ("", None)
    values = {**change.values, **planned}
    again = Change(change.domain, change.backend, change.verb, target, _name(record) if record is not None else summary, values, change.version)
    return Plan(again, summary, steps, effects, danger, inverse=inverse, version=change.version or version, expected=expected, confirm_word=confirm_word)
