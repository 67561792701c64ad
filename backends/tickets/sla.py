"""Where a ticket stands against its promise: targets, what was used, what stood still, what is left, and the sum in words.

Everything is derived from a `Clock` (`clock.read_clock`), the policy that fits and its calendar; nothing is counted up and kept.
Rules: the first public word of the desk meets the first response; the update target runs anew from each public word; the resolution
stops at resolved and goes on with what was used when the ticket is reopened; time that stood still or lay after the resolution does
not count; another priority or policy is another target from the same start with the same pauses. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from backends.errors import Invalid
from backends.tickets.calendar import Calendar
from backends.tickets.clock import Clock, Span, read_clock
from backends.tickets.model import Event, Phase, Ticket
from backends.tickets.policies import Policy, TargetKind, policy_of
from backends.tickets.workflow import DEFAULT_STATUSES

TargetState = Literal["running", "paused", "met", "breached"]
WORDS: Mapping[str, str] = {"first_response": "first answer", "update": "next word", "resolution": "resolution"}


@dataclass(frozen=True, slots=True)
class Target:
    """One target of a ticket. Times of the calendar are open seconds."""

    kind: TargetKind
    state: TargetState
    seconds: int
    started_at: datetime
    consumed: int
    due_at: datetime | None = None
    """None while it stands still."""
    met_at: datetime | None = None
    breached_at: datetime | None = None
    warn_at: datetime | None = None
    alert_at: datetime | None = None
    """When a breach may be told: the next open moment of the calendar, at once where it is always open."""

    @property
    def left(self) -> int:
        """Open seconds that are left; negative: so much too late."""
        return self.seconds - self.consumed


@dataclass(frozen=True, slots=True)
class Sla:
    """The promise of one ticket at a moment."""

    policy: str
    calendar: str
    zone: str
    started_at: datetime
    targets: tuple[Target, ...] = ()
    paused: Mapping[str, int] = ()  # type: ignore[assignment]
    """Reason -> open seconds during which it stood still."""

    def next(self) -> Target | None:
        """The target that counts now: the first answer until it is given, then whichever is due first."""
        open_ = [target for target in self.targets if target.met_at is None]
        if not open_ or open_[0].kind == "first_response":
            return open_[0] if open_ else None
        return min(open_, key=lambda target: target.left)

    def explain(self, target: Target) -> str:
        """The sum: "started Mon 08:00 - used 3h12 - paused 2h05 vendor - left 48m - due Tue 10:48"."""
        zone = ZoneInfo(self.zone)
        parts = [f"started {target.started_at.astimezone(zone):%a %H:%M}", f"used {span_words(target.consumed)}"]
        parts += [f"paused {span_words(length)} {reason}" for reason, length in self.paused.items() if length]
        parts.append(f"left {span_words(target.left)}" if target.left >= 0 else f"over by {span_words(-target.left)}")
        if target.met_at is not None:
            parts.append(f"met {target.met_at.astimezone(zone):%a %H:%M}" if target.state == "met" else f"late {target.met_at.astimezone(zone):%a %H:%M}")
        elif target.due_at is not None:
            parts.append(f"due {target.due_at.astimezone(zone):%a %d %b %H:%M}")
        else:
            parts.append("stands still")
        return " - ".join(parts)


def span_words(seconds: int) -> str:
    """Hours and minutes as people write them: "48m", "3h12", "0m"."""
    minutes = max(0, seconds) // 60
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes}m"


def standing(
    events: Iterable[Event | Mapping[str, Any]], policies: Sequence[Policy], calendars: Mapping[str, Calendar], at: datetime, *,
    phases: Mapping[str, Phase] = DEFAULT_STATUSES, ticket: Ticket | Mapping[str, Any] | None = None,
) -> Sla | None:  # fmt: skip
    """The promise of a ticket by its events, oldest first: the model's `Event`s or stored documents with `set` and `was`.

    `ticket` is the ticket as it is now (record or document): it gives the fields that its first `Event` doesn't list. None where
    no policy fits, or the ticket was not there yet, or it ended without being done.
    """
    clock = read_clock(events, at, phases=phases, ticket=ticket)
    return judge(clock, policies, calendars) if clock is not None else None


def judge(clock: Clock, policies: Sequence[Policy], calendars: Mapping[str, Calendar]) -> Sla | None:
    """The promise by a clock."""
    policy = policy_of(policies, clock.values[-1][1]) if clock.values else None
    if policy is None or (clock.ended_at is not None and not clock.done):
        return None
    calendar = calendars[policy.calendar]
    targets = [_first(clock, policy, calendar), _update(clock, policy, calendar), _resolution(clock, policy, calendar)]
    paused: dict[str, int] = {}
    for span in clock.spans:
        if span.mode == "pause":
            paused[span.reason] = paused.get(span.reason, 0) + calendar.open_seconds(span.start, span.end)
    return Sla(policy.name, policy.calendar, calendar.zone, clock.created_at, tuple(target for target in targets if target), paused)


def _first(clock: Clock, policy: Policy, calendar: Calendar) -> Target | None:
    met = clock.words[0] if clock.words else clock.ended_at
    return _target("first_response", clock, policy, calendar, clock.created_at, met)


def _resolution(clock: Clock, policy: Policy, calendar: Calendar) -> Target | None:
    return _target("resolution", clock, policy, calendar, clock.created_at, clock.ended_at)


def _update(clock: Clock, policy: Policy, calendar: Calendar) -> Target | None:
    if not clock.words or clock.ended_at is not None:
        return None
    return _target("update", clock, policy, calendar, clock.words[-1], None)


def _target(kind: TargetKind, clock: Clock, policy: Policy, calendar: Calendar, start: datetime, met: datetime | None) -> Target | None:
    seconds = policy.target(kind)
    if not seconds:
        return None
    until = met if met is not None else clock.at
    runs = [Span(max(span.start, start), min(span.end, until), span.mode) for span in clock.spans if span.mode == "run" and span.end > start and span.start < until]
    consumed = sum(calendar.open_seconds(run.start, run.end) for run in runs)
    running = met is None and clock.spans[-1].mode == "run"
    over = _reached(runs, seconds, calendar) if consumed >= seconds and (consumed > seconds or met is None) else None
    due = over
    if due is None and running:
        due = _due(runs, clock.spans[-1], start, seconds, calendar)
    state: TargetState = "breached" if over is not None else "met" if met is not None else "running" if running else "paused"
    warn = calendar.subtract(due, policy.warning(kind)) if due is not None and met is None and policy.warning(kind) else None
    alert = over if over is None or calendar.always else calendar.next_open(over)
    return Target(kind, state, seconds, start, consumed, due, met, over, warn, alert)


def _reached(runs: Sequence[Span], seconds: int, calendar: Calendar) -> datetime | None:
    """When the runs had used up so many open seconds."""
    left = seconds
    for run in runs:
        have = calendar.open_seconds(run.start, run.end)
        if have >= left:
            return calendar.add(run.start, left)
        left -= have
    return None


def _due(runs: Sequence[Span], last: Span, start: datetime, seconds: int, calendar: Calendar) -> datetime | None:
    """When it will be reached if the running stretch goes on."""
    before = sum(calendar.open_seconds(run.start, run.end) for run in runs if run.start < max(last.start, start))
    try:
        return calendar.add(max(last.start, start), seconds - before)
    except Invalid:
        return None
