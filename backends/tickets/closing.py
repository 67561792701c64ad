"""Resolved tickets close by themselves after some business days, and what a word of the requester does to a ticket that is over.

Business days are days on which the calendar of the ticket's promise is open, the day of resolving not counted; it closes at the same
time of day. Each closing has one name (the ticket and when it was resolved), so that two collectors close once. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from backends.errors import BackendError, Refused
from backends.options import Option
from backends.store.contract import All, Store, Test
from backends.tickets.appending import TICKETS, append
from backends.tickets.calendar import Calendar
from backends.tickets.events import iso, moment
from backends.tickets.model import Phase
from backends.tickets.planning import House
from backends.tickets.policies import policy_of
from backends.tickets.promise import Promise
from backends.tickets.waking import BY

CLOSE_AFTER, REOPEN_DAYS, REOPEN_CLOSED_DAYS = 5, 7, 0
OPTIONS = (
    Option("close_after", "int", "business days after which a resolved ticket is closed; 0: never", default=CLOSE_AFTER),
    Option("reopen_days", "int", "days after resolving in which a reply of the requester opens the ticket again; then it makes a new one", default=REOPEN_DAYS),
    Option("reopen_closed_days", "int", "days after closing in which it does so too; 0: a reply to a closed ticket makes a new one", default=REOPEN_CLOSED_DAYS),
)  # fmt: skip
FARTHEST = 400


@dataclass(frozen=True, slots=True)
class Ending:
    """The site's rules of ending and coming back, in days."""

    close_after: int = CLOSE_AFTER
    reopen_days: int = REOPEN_DAYS
    reopen_closed_days: int = REOPEN_CLOSED_DAYS

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Ending:
        """From an adapter's options; what is not there is as usual."""
        usual = {"close_after": CLOSE_AFTER, "reopen_days": REOPEN_DAYS, "reopen_closed_days": REOPEN_CLOSED_DAYS}
        return cls(**{name: max(0, int(days if options.get(name) is None else options[name])) for name, days in usual.items()})

    def reopens(self, doc: Mapping[str, Any], at: datetime) -> bool:
        """Whether a word of the requester now opens a resolved or closed ticket again."""
        phase = doc.get("phase")
        days, since = (self.reopen_days, "resolved_at") if phase == Phase.RESOLVED else (self.reopen_closed_days, "closed_at")
        ended = moment(doc.get(since))
        return phase in (Phase.RESOLVED, Phase.CLOSED) and ended is not None and days > 0 and at <= ended + timedelta(days=days)


def calendar_of(promise: Promise, doc: Mapping[str, Any]) -> Calendar:
    """The calendar of the policy that fits the ticket, else the office's."""
    policy = policy_of(promise.policies, doc)
    return promise.calendars[policy.calendar if policy is not None else "office"]


def closes_at(calendar: Calendar, resolved: datetime, days: int) -> datetime:
    """The moment `days` open days after `resolved`, at the same wall-clock time."""
    zone = ZoneInfo(calendar.zone)
    local = resolved.astimezone(zone)
    day: date = local.date()
    left = days
    for _ in range(FARTHEST):
        if left <= 0:
            break
        day += timedelta(days=1)
        left -= bool(calendar.hours(day))
    return datetime.combine(day, local.time(), zone).astimezone(UTC)


def close(store: Store, house: House, ending: Ending, at: datetime) -> int:
    """Close what was resolved long enough ago; how many those were."""
    if not ending.close_after:
        return 0
    where = All((Test("phase", "eq", Phase.RESOLVED.value), Test("resolved_at", "le", iso(at - timedelta(days=ending.close_after)))))
    closed = 0
    for record in store.select(TICKETS, where, limit=500):
        resolved = moment(record.doc.get("resolved_at"))
        if resolved is None or at < closes_at(calendar_of(house.promise, record.doc), resolved, ending.close_after):
            continue
        event = {
            "type": "closed", "set": {"status": house.statuses.first(Phase.CLOSED), "phase": Phase.CLOSED.value}, "at": iso(at), "actor": BY, "via": "schedule",
            "body": f"resolved for {ending.close_after} business days, nobody objected",
        }  # fmt: skip

        def guard(doc: Mapping[str, Any], since: object = record.doc.get("resolved_at")) -> None:
            if doc.get("phase") != Phase.RESOLVED or doc.get("resolved_at") != since:
                raise Refused("it goes on")

        try:
            append(store, record.id, event, f"close-{record.id}-{record.doc['resolved_at']}", guard, house.promise)
        except BackendError:
            continue
        closed += 1
    return closed


def reopened(house: House, doc: Mapping[str, Any]) -> dict[str, Any]:
    """What an event sets that opens a resolved or closed ticket again."""
    working = house.statuses.of(Phase.ACTIVE)
    fields: dict[str, Any] = {"status": working[-1] if doc.get("assignee") else working[0], "phase": Phase.ACTIVE.value}
    if doc.get("phase") == Phase.CLOSED:  # from resolved on the fold does it
        fields |= {"closed_at": None, "resolved_at": None, "resolution": None, "reopened": int(doc.get("reopened", 0)) + 1}
    return fields
