"""Schedules as stored, read and judged: their rule, what became of each occurrence, and how they stand. Never imports an adapter.

A schedule: {number, ticket: {values of create}, rule, lead, within, paused, since, next_at, by, made, last: {at, ticket, number}}.
`since` is the cursor: what is due after it has not been looked at yet. An occurrence is a record of its own under the key
`<schedule>.<moment>`: whoever inserts it has decided what becomes of it, so that two collectors never decide twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from backends.errors import Invalid, NotFound
from backends.store.contract import All, Order, Record, Store, Test
from backends.text import clean
from backends.tickets.appending import TICKETS
from backends.tickets.events import iso, moment
from backends.tickets.model import OPEN_PHASES, Occurrence, Schedule, ScheduleState
from backends.tickets.numbers import heard, spoken
from backends.tickets.recurring import Rule

SCHEDULES, OCCURRENCES = "schedules", "occurrences"
PREFIX = "S-"
LATE_AFTER = 600
"""Seconds after which an occurrence that nothing was made for is late: the collector polls each minute."""
_OPEN = {phase.value for phase in OPEN_PHASES}


def occurrence_id(schedule: str, at: datetime | str) -> str:
    """The key of an occurrence: only one writer gets it."""
    return f"{schedule}.{at if isinstance(at, str) else iso(at)}"


def rule_of(doc: Mapping[str, Any]) -> Rule:
    """The stored rule; it was checked when it was saved."""
    return Rule.read(str(doc["rule"]), zone=str(doc.get("zone") or "UTC"))


def find(store: Store, ident: str) -> Record:
    """By id or number ("S-3", "3"). NotFound."""
    record = store.get(SCHEDULES, ident)
    number = heard(ident, PREFIX)
    if record is None and number is not None:
        found = store.select(SCHEDULES, Test("number", "eq", number), limit=1)
        record = found[0] if found else None
    if record is None:
        raise NotFound(f"schedule {clean(ident)}", hint="`deskside schedules list` shows them.")
    return record


def all_of(store: Store) -> list[Record]:
    """All schedules, the next due first."""
    return store.select(SCHEDULES, order=[Order("next_at"), Order("number")])


def read(store: Store, record: Record, at: datetime) -> Schedule:
    """The schedule as the model's, judged at a moment."""
    doc = record.doc
    last = doc.get("last") or {}
    state, text = _state(store, record, at)
    rule = rule_of(doc)
    return Schedule(
        record.id, spoken(int(doc["number"]), PREFIX), clean(str(doc["ticket"]["subject"])), rule.text(), clean(rule.words()), rule.zone, state, clean(text),
        moment(doc.get("next_at")), moment(last.get("at")), str(last.get("ticket", "")), clean(str(last.get("number", ""))), int(doc.get("lead", 0)),
        int(doc.get("within", 0)), int(doc.get("made", 0)), clean(str(doc.get("by", ""))), dict(doc["ticket"]), str(record.rev),
    )  # fmt: skip


def _state(store: Store, record: Record, at: datetime) -> tuple[ScheduleState, str]:
    doc, next_at = record.doc, moment(record.doc.get("next_at"))
    if doc.get("paused"):
        return "paused", str(doc.get("paused_why") or "")
    if doc.get("error"):
        return "failing", str(doc["error"])
    overdue = _overdue(store, record, at)
    if overdue:
        return "overdue", overdue
    if next_at is None:
        return "ended", "no date is left"
    expected = max(next_at - timedelta(seconds=int(doc.get("lead", 0))), moment(doc.get("since")) or next_at)
    if at > expected + timedelta(seconds=LATE_AFTER):
        return "late", "its moment has gone by and nothing was made: is a collector running?"
    if at >= next_at - timedelta(seconds=int(doc.get("lead", 0)) + 86400):
        return "due", ""
    return "waiting", ""


def _overdue(store: Store, record: Record, at: datetime) -> str:
    """The tickets it made that are open beyond their time, in words."""
    within, rule = int(record.doc.get("within", 0)), None
    late: list[str] = []
    made = All((Test("schedule", "eq", record.id), Test("state", "eq", "made")))
    for one in store.select(OCCURRENCES, made, [Order("at", descending=True)], limit=20):
        ticket = store.get(TICKETS, str(one.doc["ticket"]))
        if ticket is None or ticket.doc.get("phase") not in _OPEN:
            continue
        start = moment(one.doc["at"]) or at
        if within:
            end = start + timedelta(seconds=within)
        else:
            rule = rule or rule_of(record.doc)
            end = next(iter(rule.following(start)), start + timedelta(days=365))
        if at >= end:
            late.append(spoken(int(ticket.doc["number"])))
    return f"{', '.join(late)} not done yet" if late else ""


def occurrences(store: Store, record: Record, at: datetime, coming: int, past: int) -> list[Occurrence]:
    """The next ones, then what became of the others, the newest first."""
    doc = record.doc
    known = store.select(OCCURRENCES, Test("schedule", "eq", record.id), [Order("at", descending=True)], limit=past + coming)
    seen = {str(one.doc["at"]) for one in known}
    since = max(moment(doc.get("since")) or at, at - timedelta(days=366))
    ahead = [one for one in rule_of(doc).following(since, coming + len(seen)) if iso(one) not in seen][:coming]
    return [Occurrence(record.id, one, "coming") for one in ahead] + [_read_occurrence(store, one) for one in known]


def _read_occurrence(store: Store, record: Record) -> Occurrence:
    doc = record.doc
    ticket = store.get(TICKETS, str(doc["ticket"])) if doc.get("ticket") else None
    at = moment(doc["at"])
    assert at is not None
    return Occurrence(
        str(doc["schedule"]), at, doc["state"], str(doc.get("ticket", "")), spoken(int(ticket.doc["number"])) if ticket else "",
        clean(str(ticket.doc["status"])) if ticket else "", clean(str(doc.get("reason", ""))), clean(str(doc.get("by", ""))),
    )  # fmt: skip


def read_rule(text: Any, zone: str, start: Any, at: datetime) -> Rule:
    """A rule as a person gave it. Invalid says what is wrong with it."""
    try:
        return Rule.read(str(text or ""), zone=zone, start=str(start or ""), today=at)
    except ValueError as error:
        raise Invalid(fields={"rule": clean(str(error))}) from None


def preview(dates: Sequence[datetime], rule: Rule) -> str:
    """Dates in the rule's zone: "Mon 2026-12-07 08:00, ..."."""
    from zoneinfo import ZoneInfo

    return ", ".join(f"{date.astimezone(ZoneInfo(rule.zone)):%a %Y-%m-%d %H:%M}" for date in dates) or "none"
