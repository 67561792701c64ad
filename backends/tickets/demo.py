"""Tickets of a county that does not exist: three years with a year's rhythm, from a seed. Nothing is read but the arguments."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from backends.tickets.demo_words import APPS, CALLS, FIRST_ANSWERS, QUEUE_WEIGHTS, VENDORS, WAITS
from backends.tickets.events import fold, iso
from backends.tickets.model import Phase
from backends.tickets.numbers import FIRST
from backends.tickets.workflow import priority_of

DAYS = 3 * 365
_MONTHS = (1.05, 0.95, 1.0, 1.05, 0.95, 0.9, 0.8, 1.35, 1.15, 1.05, 0.9, 0.7)
"""School starts in August, budgets in autumn, December is quiet."""
_WEEKDAYS = (1.45, 1.15, 1.05, 1.0, 0.85, 0.08, 0.05)
_HOURS = (0, 0, 0, 0, 0, 1, 4, 14, 22, 20, 16, 12, 9, 14, 15, 12, 8, 3, 1, 1, 0, 0, 0, 0)
_MEDIAN_HOURS = {1: 2.0, 2: 7.0, 3: 20.0, 4: 60.0}
STUCK = 0.006
"""Share that waits for months on somebody."""

Made = tuple[str, dict[str, Any], list[dict[str, Any]]]


def tickets(
    seed: int, count: int, people: Sequence[Mapping[str, Any]], devices: Sequence[tuple[str, str, str, str]], until: datetime
) -> Iterator[Made]:
    """(uid, ticket as stored, its events), oldest first. The same arguments give the same tickets."""
    chance = random.Random(f"tickets-{seed}")
    maker = _Maker(chance, people, devices, until)
    for number, at in enumerate(_times(chance, count, until), FIRST):
        yield maker.make(number, at)


def _times(chance: random.Random, count: int, until: datetime) -> list[datetime]:
    days = [until - timedelta(days=back) for back in range(DAYS)]
    weights = [_MONTHS[day.month - 1] * _WEEKDAYS[day.weekday()] * (1 + 0.25 * (DAYS - place) / DAYS) for place, day in enumerate(days)]
    out = []
    for day in chance.choices(days, weights, k=count):
        hour = chance.choices(range(24), _HOURS)[0]
        out.append(day.replace(hour=hour, minute=chance.randrange(60), second=chance.randrange(60), microsecond=0))
    return sorted(min(at, until - timedelta(minutes=chance.randrange(1, 600))) for at in out)


class _Maker:
    def __init__(
        self, chance: random.Random, people: Sequence[Mapping[str, Any]], devices: Sequence[tuple[str, str, str, str]], until: datetime
    ) -> None:
        self._chance, self._until = chance, until
        self._people = [person for person in people if person.get("kind", "person") == "person"] or list(people)
        self._devices = {kind: [device for device in devices if device[2] == kind] for kind in {device[2] for device in devices}}
        self._all = list(devices)
        from backends.accounts.people_demo import agents

        self._agents = agents([dict(person) for person in people]) or [str(person["login"]) for person in self._people[:6]]
        self._queues, self._weights = list(QUEUE_WEIGHTS), list(QUEUE_WEIGHTS.values())

    def make(self, number: int, at: datetime) -> Made:
        chance = self._chance
        ident = uuid.UUID(int=chance.getrandbits(128), version=4).hex
        queue = chance.choices(self._queues, self._weights)[0]
        category, subject, body, solution = chance.choice(CALLS[queue])
        person = chance.choice(self._people)
        device = self._device(subject + body, queue)
        words = {"device": device[1] if device else "the device", "site": device[3] if device else "City Hall", "app": chance.choice(APPS)}
        impact, urgency = chance.choices((1, 2, 3, 4), (2, 10, 48, 40))[0], chance.choices((1, 2, 3, 4), (4, 16, 50, 30))[0]
        priority = priority_of(impact, urgency)
        agent = chance.choice(self._agents)
        fields: dict[str, Any] = {
            "number": number, "subject": subject.format(**words), "body": body.format(**words), "queue": queue, "category": category, "kind": "incident",
            "status": "New", "phase": Phase.NEW.value, "impact": impact, "urgency": urgency, "priority": priority, "assignee": "",
            "origin": chance.choice(("phone", "phone", "email", "email", "web", "walk-in")),
            "requester": person["name"], "login": person["login"], "email": person.get("mail", ""), "phone": person.get("phone", ""),
            "location": person.get("room", ""), "department": person.get("department", ""), **self._refs(person, device),
        }  # fmt: skip
        events = [self._event(ident, 1, at, str(person["login"]), "created", fields, body=fields["body"])]
        self._life(ident, events, at, priority, agent, solution.format(**words))
        ticket: dict[str, Any] | None = None
        for event in events:
            event["was"] = {name: (ticket or {}).get(name) for name in event["set"]}
            ticket = fold(ticket, event)
        events[0].pop("was")
        return ident, ticket or {}, events

    def _device(self, text: str, queue: str) -> tuple[str, str, str, str] | None:
        if not self._all or ("{device}" not in text and "{site}" not in text):
            return None
        kind = "printer" if "rint" in text or "Scan" in text else {"Network": "switch", "Systems": "server"}.get(queue, "workstation")
        return self._chance.choice(self._devices.get(kind) or self._all)

    @staticmethod
    def _refs(person: Mapping[str, Any], device: tuple[str, str, str, str] | None) -> dict[str, Any]:
        refs = [f"accounts:directory:{person['id']}"] if person.get("id") else []
        if device:
            refs.insert(0, f"devices:fleet:{device[0]}")
        return {"refs": refs, "ref_first": refs[0] if refs else "", "ref_second": refs[1] if len(refs) > 1 else "", "ref_more": False}

    def _life(self, ident: str, events: list[dict[str, Any]], at: datetime, priority: int, agent: str, solution: str) -> None:
        chance = self._chance
        taken = at + timedelta(minutes=chance.lognormvariate(3.4, 1.1))
        hours = _MEDIAN_HOURS[priority] * chance.lognormvariate(0, 1.3)
        stuck = chance.random() < STUCK
        solved = taken + timedelta(hours=hours + (chance.uniform(600, 4000) if stuck else 0))

        def add(when: datetime, type_: str, set_: dict[str, Any], **more: Any) -> bool:
            if when >= self._until:
                return False
            events.append(self._event(ident, len(events) + 1, when, agent, type_, set_, **more))
            return True

        if not add(taken, "taken", {"assignee": agent, "status": "In progress", "phase": Phase.ACTIVE.value}):
            return
        if chance.random() < 0.6 or stuck:
            add(taken + timedelta(minutes=chance.uniform(2, 90)), "replied", {}, body=chance.choice(FIRST_ANSWERS), public=True)
        if stuck or chance.random() < 0.12:
            wait = chance.choice(WAITS).format(vendor=chance.choice(VENDORS), case=chance.randrange(10_000, 99_999))
            word = "Waiting on requester" if "requester" in wait else "Waiting on vendor"
            begin = taken + timedelta(hours=min(hours * 0.3, 30))
            add(begin, "status_changed", {"status": word, "phase": Phase.PAUSED.value, "pending_reason": wait}, body=wait)
            if not add(solved - (solved - begin) * 0.2, "status_changed", {"status": "In progress", "phase": Phase.ACTIVE.value}):
                return
        if add(
            solved,
            "status_changed",
            {"status": "Resolved", "phase": Phase.RESOLVED.value, "resolution": solution},
            body=solution,
            public=True,
            minutes=chance.choice((5, 10, 15, 20, 30, 45, 60, 90)),
        ):
            add(solved + timedelta(days=5), "closed", {"status": "Closed", "phase": Phase.CLOSED.value})

    @staticmethod
    def _event(ident: str, seq: int, at: datetime, actor: str, type_: str, set_: dict[str, Any], **more: Any) -> dict[str, Any]:
        return {
            "ticket": ident,
            "seq": seq,
            "at": iso(at),
            "actor": actor,
            "type": type_,
            "set": set_,
            **{name: value for name, value in more.items() if value},
        }
