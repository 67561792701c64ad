"""What the events of a ticket say about time: when it ran, waited and was over, when the desk spoke, what its fields were.

Pure; never imports an adapter. Nothing is kept: a clock is made anew from the events whenever it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from backends.tickets.model import Event, Phase, Ticket
from backends.tickets.workflow import DEFAULT_STATUSES

Mode = Literal["run", "pause", "stop"]
"""stop: resolved or closed."""
REASONS = ("requester", "vendor", "change", "part", "scheduled")
AUTOMATIC = "mail-auto"
"""`via` of an answer that no person wrote."""
INBOUND = ("mail", "portal")
"""`via` of words that come in; there the requester's own are not the desk's."""
SPOKEN = ("phone", "walk-in")
"""Origins of a ticket at which the requester was spoken to."""
MATCHED = ("queue", "kind", "priority", "department")
_FOLLOWED = ("phase", "status", "pending_reason", "login", "email", *MATCHED)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a ticket's life; the last one ends where the clock was read."""

    start: datetime
    end: datetime
    mode: Mode
    reason: str = ""
    """While it waits: one of REASONS, else the status in small letters."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The time of one ticket up to `at`."""

    created_at: datetime
    at: datetime
    spans: tuple[Span, ...]
    """Without gaps from `created_at` to `at`."""
    words: tuple[datetime, ...] = ()
    """When the desk spoke to the requester: public replies and logged calls, not notes and not automatic answers."""
    values: tuple[tuple[datetime, Mapping[str, Any]], ...] = ()
    """What policies are matched by (queue, kind, priority, department), each from its moment on."""
    ended_at: datetime | None = None
    """Since when it is resolved or closed; None while there is work to do."""
    done: bool = False
    """It ended by being resolved (or by the usual word for closed), not by being cancelled or merged."""


@dataclass(slots=True)
class _Fact:
    at: datetime
    actor: str
    type: str
    public: bool
    via: str
    new: Mapping[str, Any]
    old: Mapping[str, Any]


@dataclass(slots=True)
class _Hand:
    """The ticket as the events go by."""

    now: dict[str, Any]
    phases: Mapping[str, Phase]
    since: datetime
    phase: Phase = Phase.NEW
    reason: str = ""
    spans: list[Span] = field(default_factory=list)
    ended_at: datetime | None = None
    done: bool = False

    def turn(self, at: datetime) -> None:
        """Close the stretch when the fields say something else than before."""
        phase, reason = self._phase(), ""
        if phase is Phase.PAUSED:
            reason = reason_of(str(self.now.get("pending_reason") or ""), str(self.now.get("status") or ""))
        if (phase, reason) != (self.phase, self.reason):
            self.close(at)
            if phase not in (Phase.RESOLVED, Phase.CLOSED):
                self.ended_at, self.done = None, False
            elif self.ended_at is None:
                self.ended_at, self.done = at, phase is Phase.RESOLVED or self._usual_end()
            self.phase, self.reason, self.since = phase, reason, at
        if phase is not Phase.PAUSED:
            self.now["pending_reason"] = None

    def close(self, at: datetime) -> None:
        """Add the stretch that ends here; two in a row of one kind are one."""
        mode: Mode = "pause" if self.phase is Phase.PAUSED else "stop" if self.phase in (Phase.RESOLVED, Phase.CLOSED) else "run"
        last = self.spans[-1] if self.spans else None
        if last is not None and (last.mode, last.reason) == (mode, self.reason):
            self.spans[-1] = Span(last.start, at, mode, self.reason)
        elif at > self.since:
            self.spans.append(Span(self.since, at, mode, self.reason))

    def present(self, at: datetime) -> None:
        """Close the last stretch; it is there even when it is only now beginning."""
        self.close(at)
        mode: Mode = "pause" if self.phase is Phase.PAUSED else "stop" if self.ended_at is not None else "run"
        if not self.spans or (self.spans[-1].mode, self.spans[-1].reason) != (mode, self.reason):
            self.spans.append(Span(at, at, mode, self.reason))

    def _phase(self) -> Phase:
        return Phase(self.now["phase"])

    def _usual_end(self) -> bool:
        usual = next((word for word, phase in self.phases.items() if phase is Phase.CLOSED), "")
        return str(self.now.get("status") or "").casefold() == usual.casefold()


def reason_of(pending: str, status: str) -> str:
    """What a paused ticket waits for: a known word as the reason, in the status or in the reason's text; else the status."""
    plain, word = pending.strip().casefold(), status.strip().casefold()
    if plain in REASONS:
        return plain
    found = [reason for text in (word, plain) for reason in REASONS if reason in text]
    return found[0] if found else word or "other"


def read_clock(
    events: Iterable[Event | Mapping[str, Any]],
    at: datetime,
    *,
    phases: Mapping[str, Phase] = DEFAULT_STATUSES,
    ticket: Ticket | Mapping[str, Any] | None = None,
) -> Clock | None:
    """The clock at a moment; None when the ticket was not there yet. See `sla.standing` for what `events` and `ticket` are."""
    facts = [_fact(event) for event in events]
    if not facts:
        return None
    present = _values(ticket)
    for fact in facts:
        fact.new = _with_phase(fact.new, phases)
        fact.old = _with_phase(fact.old, phases)
    created = min(facts[0].at, present.pop("created_at", None) or facts[0].at)
    if at < created:
        return None
    hand = _Hand(_at_first(facts, present), phases, created)
    hand.phase = hand._phase()
    words: list[datetime] = []
    values: list[tuple[datetime, Mapping[str, Any]]] = [(created, _matched(hand.now))]
    moment = created
    for fact in facts:
        if fact.at > at:
            break
        moment = max(moment, fact.at)  # another machine's clock may be behind: time doesn't run backwards
        hand.now.update((name, value) for name, value in fact.new.items() if name in _FOLLOWED)
        hand.turn(moment)
        if _is_word(fact, hand.now):
            words.append(moment)
        if (matched := _matched(hand.now)) != values[-1][1]:
            values.append((moment, matched))
    hand.present(max(at, moment))
    return Clock(created, max(at, moment), tuple(hand.spans), tuple(words), tuple(values), hand.ended_at, hand.done)


def _fact(event: Event | Mapping[str, Any]) -> _Fact:
    if isinstance(event, Event):
        new = {change.field: change.new for change in event.changes}
        old = {change.field: change.old for change in event.changes}
        return _Fact(event.at.astimezone(UTC), event.actor, event.type, event.public, event.via, new, old)
    at = event["at"] if isinstance(event["at"], datetime) else datetime.fromisoformat(event["at"])
    return _Fact(
        at.astimezone(UTC), str(event.get("actor") or ""), str(event["type"]), bool(event.get("public")), str(event.get("via") or "ui"),
        dict(event.get("set") or {}), dict(event.get("was") or {}),
    )  # fmt: skip


def _with_phase(values: Mapping[str, Any], phases: Mapping[str, Phase]) -> Mapping[str, Any]:
    """With the phase of its status where it names none; an unknown word is active."""
    if values.get("phase") or not values.get("status"):
        return values
    word = str(values["status"]).casefold()
    phase = next((phase for known, phase in phases.items() if known.casefold() == word), Phase.ACTIVE)
    return {**values, "phase": phase.value}


def _values(ticket: Ticket | Mapping[str, Any] | None) -> dict[str, Any]:
    """The present fields of a ticket that are followed."""
    if ticket is None:
        return {}
    if isinstance(ticket, Ticket):
        row, person = ticket.row, ticket.requester
        return {
            "phase": row.phase.value, "status": row.status, "priority": row.priority, "queue": row.queue, "kind": ticket.kind, "department": person.department,
            "login": person.login, "email": person.email, "pending_reason": ticket.pending_reason, "created_at": row.created_at,
        }  # fmt: skip
    found = {name: ticket[name] for name in _FOLLOWED if name in ticket}
    if ticket.get("created_at"):
        created = ticket["created_at"]
        found["created_at"] = created if isinstance(created, datetime) else datetime.fromisoformat(created)
    return found


def _at_first(facts: list[_Fact], present: Mapping[str, Any]) -> dict[str, Any]:
    """The fields before the first event: what the first change of each says it was, else what they are now."""
    found: dict[str, Any] = {"phase": Phase.NEW.value, "priority": 3, "kind": "incident"}
    for name in _FOLLOWED:
        first = next((fact for fact in facts if name in fact.new), None)
        value = present.get(name) if first is None else first.new[name] if first is facts[0] else first.old.get(name)
        if value not in (None, ""):
            found[name] = value
    return found


def _matched(now: Mapping[str, Any]) -> dict[str, Any]:
    return {name: now.get(name) for name in MATCHED}


def _is_word(fact: _Fact, now: Mapping[str, Any]) -> bool:
    return is_word(fact.type, fact.public, fact.via, fact.actor, fact.new.get("origin"), now)


def is_word(type_: str, public: bool, via: str, actor: str, origin: object, ticket: Mapping[str, Any]) -> bool:
    """A public word of the desk: a reply, a logged call, or the ticket that a caller or visitor was given; not an automatic answer."""
    own = {str(ticket.get(name) or "").casefold() for name in ("login", "email")} - {""}
    if type_ == "created":
        return origin in SPOKEN and bool(own) and actor.casefold() not in own
    if via == AUTOMATIC or not (type_ == "call_logged" or (type_ == "replied" and public)):
        return False
    return not (via in INBOUND and actor.casefold() in own)
