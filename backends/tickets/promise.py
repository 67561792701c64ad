"""`Promise`: the site's policies and calendars, applied to a stored ticket: when it is due, and how that comes about.

A stored ticket carries its `turns` ([moment, phase, reason] of each change of phase) and when the desk spoke; both come out of its
events, so that the due time of a list needs no timeline. Never imports an adapter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.errors import BadConfig
from backends.options import seconds
from backends.tickets.calendar import Calendar, read_calendars
from backends.tickets.clock import MATCHED, Clock, Mode, Span
from backends.tickets.model import Event, Phase, SlaTarget, Ticket
from backends.tickets.policies import Policy, policy_of, read_policies, usual_policies
from backends.tickets.sla import WORDS, Sla, Target, judge, standing

FAR = timedelta(days=30)
_MODES: Mapping[str, Mode] = {Phase.PAUSED: "pause", Phase.RESOLVED: "stop", Phase.CLOSED: "stop"}


@dataclass(frozen=True, slots=True)
class Promise:
    """What the desk promises. Without configuration: office hours, one policy a priority."""

    policies: tuple[Policy, ...] = field(default_factory=usual_policies)
    calendars: Mapping[str, Calendar] = field(default_factory=lambda: read_calendars({}))

    @classmethod
    def read(cls, options: Mapping[str, Any], zone: str) -> Promise:
        """From an adapter's options: calendars, policies, or four times each in `response` and `resolution`. BadConfig."""
        calendars = read_calendars(options.get("calendars") or {}, zone)
        if options.get("policies"):
            return cls(read_policies(options["policies"], calendars), calendars)
        return cls(usual_policies(_four("response", options.get("response")), _four("resolution", options.get("resolution"))), calendars)

    def fingerprint(self) -> str:
        """Changes when a due time could."""
        return hashlib.sha256(repr((self.policies, sorted((name, repr(one)) for name, one in self.calendars.items()))).encode()).hexdigest()[:16]

    def sla(self, doc: Mapping[str, Any], at: datetime) -> Sla | None:
        """Where a stored ticket stands."""
        return judge(clock_of(doc, at), self.policies, self.calendars)

    def due(self, doc: Mapping[str, Any]) -> datetime | None:
        """When the target that counts now is due; None while it stands still, is over, or nothing is promised."""
        if doc.get("phase") not in (Phase.NEW, Phase.ACTIVE):
            return None
        turns = doc.get("turns") or ()
        found = self.sla(doc, datetime.fromisoformat(turns[-1][0] if turns else doc["created_at"]))
        target = found.next() if found is not None else None
        return target.due_at if target is not None else None

    def left(self, doc: Mapping[str, Any], due: datetime | None, at: datetime) -> int | None:
        """Open seconds of the ticket's calendar until it is due, negative when it is late; None far away, where nobody counts hours."""
        policy = policy_of(self.policies, doc) if due is not None and abs(due - at) < FAR else None
        if policy is None or due is None:
            return None
        calendar = self.calendars[policy.calendar]
        return calendar.open_seconds(at, due) if due > at else -calendar.open_seconds(due, at)

    def targets(self, doc: Mapping[str, Any], at: datetime) -> tuple[SlaTarget, ...]:
        """The targets as the ticket's view shows them."""
        found = self.sla(doc, at)
        if found is None:
            return ()
        return tuple(_shown(found, target) for target in found.targets)

    def of_events(
        self, events: Sequence[Event], at: datetime, phases: Mapping[str, Phase], ticket: Ticket
    ) -> tuple[tuple[SlaTarget, ...], datetime | None]:
        """(targets, when the one that counts is due) of a ticket of another system, by its events alone; nothing where no policy fits."""
        found = standing(events, self.policies, self.calendars, at, phases=phases, ticket=ticket)
        if found is None:
            return (), None
        target = found.next()
        return tuple(_shown(found, one) for one in found.targets), target.due_at if target is not None else None


def _shown(sla: Sla, target: Target) -> SlaTarget:
    return SlaTarget(WORDS[target.kind], target.state, target.due_at, target.left, sla.explain(target), target.warn_at)


def _four(name: str, values: Sequence[str] | None) -> tuple[int, int, int, int]:
    try:
        one, two, three, four = (int(seconds(value)) for value in values or ())
    except ValueError as error:
        raise BadConfig(f"{name}: four times are needed, P1 to P4 ({error})") from None
    return one, two, three, four


def clock_of(doc: Mapping[str, Any], at: datetime) -> Clock:
    """The clock of a stored ticket."""
    created = datetime.fromisoformat(doc["created_at"])
    turns = [(datetime.fromisoformat(when), phase, reason) for when, phase, reason in doc.get("turns") or [[doc["created_at"], doc["phase"], ""]]]
    at = max(at, turns[-1][0])
    ends = [turn[0] for turn in turns[1:]] + [at]
    spans = tuple(Span(start, end, _MODES.get(phase, "run"), reason) for (start, phase, reason), end in zip(turns, ends, strict=True))
    words = tuple(datetime.fromisoformat(doc[name]) for name in ("first_response_at", "last_public_at") if doc.get(name))
    ended = None
    for start, phase, _ in reversed(turns):
        if phase not in (Phase.RESOLVED, Phase.CLOSED):
            break
        ended = start
    done = ended is not None and bool(doc.get("resolved_at"))
    return Clock(created.astimezone(UTC), at, spans, words, ((created, {name: doc.get(name) for name in MATCHED}),), ended, done)
