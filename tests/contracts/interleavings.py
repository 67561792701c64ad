"""Interleavings: writers on one data folder, switched before every access to the store in an order drawn from a seed, and what must hold after.

Each writer is a console of its own: an `EmbeddedTickets` with its own opened store, driven through the public contract (plan, apply, read
back). `Turns` lets exactly one of them run at a time; whose turn is next is drawn when all the others stand before an access. So a run is
repeated exactly by its seed, and two writers meet inside `apply`, not only between `plan` and `apply`.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract import Actor, Change, Outcome, Plan, Site
from backends.errors import BackendError, Conflict
from backends.options import read_options
from backends.store.opening import open_store
from backends.tickets.appending import TICKETS, caught_up, timeline
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.events import fold
from tests.contracts.histories import Operation, violations

WRITERS = (Actor("ana", "Ana"), Actor("bob", "Bob"), Actor("web", "Web"))
UNIQUE = ("subject", "location")
"""Fields whose every written value is another one: it says who wrote it."""
READS = ("get", "select", "count", "position", "seq", "changes")
WRITES = ("insert", "update", "put", "delete", "load", "next_number")


class Turns:
    """Who may go on. Deterministic: the next one is drawn only while all that are not done are waiting."""

    def __init__(self, seed: int, names: Sequence[str]) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._gates = {name: threading.Lock() for name in names}
        for gate in self._gates.values():
            gate.acquire()
        self._active, self._waiting = set(names), set[str]()
        self.tick = 0
        self.switches: list[str] = []

    def wait(self, name: str) -> None:
        """Stand until it is this one's turn."""
        with self._lock:
            self._waiting.add(name)
            self._next()
        self._gates[name].acquire()

    def done(self, name: str) -> None:
        """This one takes no more turns."""
        with self._lock:
            self._active.discard(name)
            self._next()

    def _next(self) -> None:
        if self._active and self._waiting == self._active:
            chosen = self._chance.choice(sorted(self._waiting))
            self._waiting.discard(chosen)
            self.tick += 1
            self.switches.append(chosen)
            self._gates[chosen].release()


class TurnStore:
    """A store each access to which is a turn."""

    def __init__(self, store: Any, turns: Turns, name: str) -> None:
        self._store, self._turns, self._name = store, turns, name
        self.engine = store.engine

    def __getattr__(self, method: str) -> Any:
        found = getattr(self._store, method)
        if method not in READS + WRITES:
            return found

        def taken(*args: Any, **named: Any) -> Any:
            self._turns.wait(self._name)
            return found(*args, **named)

        return taken


@dataclass(slots=True)
class Deed:
    """One verb of one writer as it went. `verdict`: done, partial, conflict, refused; `planned` is what the writer had seen (field -> value)."""

    actor: str
    op_id: str
    ticket: str
    verb: str
    begin: int
    end: int = 0
    verdict: str = ""
    set: Mapping[str, Any] = field(default_factory=dict)
    planned: Mapping[str, Any] = field(default_factory=dict)
    mine: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    """Version the plan was made against."""
    after: int = 0
    """Version read back."""
    replay: str = ""
    """What was said when the same operation was sent again, "" for nothing: it is a no-op."""


def opened(kind: type[EmbeddedTickets], store: Any, data: Path) -> EmbeddedTickets:
    """A console's tickets on an opened store."""
    return kind("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(data)))


def wanted(chance: random.Random, name: str, number: int, others: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A verb and its values; texts name the writer and the number."""
    mark = f"{name}-{number}"
    drawn = chance.random()
    for limit, verb, values in (
        (0.22, "edit", {"subject": f"subject {mark}"}), (0.36, "edit", {"location": f"room {mark}"}), (0.41, "edit", {"impact": chance.randint(1, 4)}),
        (0.53, "take", {}), (0.60, "steal", {}), (0.68, "release", {}), (0.76, "status", {"status": "In progress"}),
        (0.82, "status", {"status": "Waiting on vendor", "reason": f"part {mark}"}), (0.90, "note", {"body": f"note {mark}"}),
        (0.97, "reply", {"body": f"reply {mark}"}), (1.0, "merge", {"into": chance.choice(others)}),
    ):  # fmt: skip
        if drawn <= limit:
            return verb, dict(values)
    raise AssertionError(drawn)


class Writer:
    """One console at work: `count` verbs on tickets drawn from the seed."""

    def __init__(self, backend: EmbeddedTickets, actor: Actor, seed: str, tickets: Sequence[str], tick: Any) -> None:
        self.backend, self.actor, self.deeds = backend, actor, list[Deed]()
        self._chance, self._tickets, self._tick, self._seed = random.Random(seed), tickets, tick, seed

    async def work(self, count: int) -> None:
        """All verbs, one after the other."""
        for number in range(count):
            ticket = self._chance.choice(self._tickets)
            verb, values = wanted(self._chance, self.actor.login, number, [one for one in self._tickets if one != ticket])
            deed = Deed(self.actor.login, f"{self._seed}-{self.actor.login}-{number}", ticket, verb, self._tick())
            self.deeds.append(deed)
            plan = await self._do(deed, values)
            deed.end = self._tick()
            if plan is not None and deed.verdict in ("done", "partial") and self._chance.random() < 0.15:
                try:
                    await self.backend.apply(plan, self.actor, deed.op_id)
                except BackendError as error:
                    deed.replay = error.text

    async def _do(self, deed: Deed, values: dict[str, Any]) -> Plan | None:
        try:
            plan = await self.backend.plan(Change("tickets", "desk", deed.verb, deed.ticket, values=values), self.actor)
        except BackendError:
            deed.verdict = "refused"
            return None
        deed.set, deed.planned, deed.seen = plan.change.values["event"]["set"], plan.change.values["was"], int(plan.version or 0)
        try:
            outcome: Outcome = await self.backend.apply(plan, self.actor, deed.op_id)
        except Conflict as error:
            deed.verdict, deed.mine, deed.theirs = "conflict", error.mine, error.theirs
            return None
        _found, record = await self.backend.read_back(plan, outcome)
        deed.after = int(record.row.version)
        deed.verdict = "partial" if outcome.text else "done"
        return plan


class Table:
    """One data folder and the opened stores of the three consoles, for many runs; each run is about two new tickets."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.stores = [open_store(folder, engine) for _ in WRITERS]
        asyncio.run(opened(EmbeddedTickets, self.stores[0], folder).open())

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *error: object) -> None:
        for store in self.stores:
            store.close()

    def run(self, seed: int, kind: type[EmbeddedTickets] = EmbeddedTickets) -> tuple[list[str], list[Deed], Turns]:
        """One interleaving of two or three verbs a writer: (what is wrong, what was done, the turns)."""
        verbs = random.Random(f"verbs-{seed}").choice((2, 2, 3, 3))
        turns = Turns(seed, [actor.login for actor in WRITERS])

        async def all_of_them() -> tuple[list[str], list[Writer]]:
            tickets = await made(opened(kind, self.stores[0], self.folder), str(seed))
            writers = [
                Writer(opened(kind, TurnStore(store, turns, actor.login), self.folder), actor, str(seed), tickets, lambda: turns.tick)
                for store, actor in zip(self.stores, WRITERS, strict=True)
            ]  # fmt: skip

            async def one(writer: Writer) -> None:
                try:
                    await writer.work(verbs)
                finally:
                    turns.done(writer.actor.login)

            await asyncio.gather(*map(one, writers))
            return tickets, writers

        tickets, writers = asyncio.run(all_of_them())
        deeds = [deed for writer in writers for deed in writer.deeds]
        return problems(self.stores[0], tickets, deeds), deeds, turns


async def made(backend: EmbeddedTickets, seed: str) -> list[str]:
    """Two new tickets."""
    found = []
    for number in (1, 2):
        plan = await backend.plan(Change("tickets", "desk", "create", values={"subject": f"first {number}", "requester": {"name": "Joe"}}), WRITERS[0])
        found.append((await backend.apply(plan, WRITERS[0], f"{seed}-create-{number}")).target)
    return found


# -- what must hold ----------------------------------------------------------------------------------------


def problems(store: Any, tickets: Sequence[str], deeds: Sequence[Deed], ordered: bool = True) -> list[str]:
    """Sentences about what is wrong; `ordered`: begin and end are of one counter that all writers share."""
    found: list[str] = []
    for ticket in tickets:
        caught_up(store, ticket)
        record, events = store.get(TICKETS, ticket), timeline(store, ticket)
        own = [deed for deed in deeds if deed.ticket == ticket]
        found += _told(ticket, events, deeds)
        found += _chain(ticket, events, record.doc)
        found += _stale(events, own)
        found += _conflicts(events, own)
        if ordered:
            found += _order(events, own)
            found += _fields(ticket, events, record.doc, own)
    found += _versions(deeds) if ordered else []
    return found + [f"sent again it was refused: {deed.op_id} {deed.replay}" for deed in deeds if deed.replay]


def _told(ticket: str, events: Sequence[Mapping[str, Any]], deeds: Sequence[Deed]) -> list[str]:
    """Every acknowledged change is in the timeline exactly once, and no other."""
    ops = [str(event["op_id"]) for event in events if event["seq"] > 1]
    found = [f"{op} is in the timeline of {ticket} {ops.count(op)} times" for op in set(ops) if ops.count(op) > 1]
    want = {deed.op_id for deed in deeds if deed.ticket == ticket and deed.verdict in ("done", "partial")}
    found += [f"acknowledged, and not in the timeline: {op}" for op in sorted(want - set(ops))]
    return found + [f"in the timeline, and acknowledged to nobody: {op}" for op in sorted(set(ops) - want) if not op.endswith("-other")]


def _chain(ticket: str, events: Sequence[Mapping[str, Any]], stored: Mapping[str, Any]) -> list[str]:
    """Numbers without gaps, each `was` is what was, and the fold is the record."""
    found, doc = [], None
    if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
        found.append(f"{ticket}: the timeline has gaps: {[event['seq'] for event in events]}")
    for event in events:
        if doc is not None:
            found += [f"{ticket}.{event['seq']}: {name} was {doc.get(name)!r}, the event says {old!r}" for name, old in event["was"].items() if doc.get(name) != old]
        doc = fold(doc, event)
    return found + ([] if doc == stored else [f"{ticket}: the fold of its events is not the record"])


def _stale(events: Sequence[Mapping[str, Any]], own: Sequence[Deed]) -> list[str]:
    """Nobody was told "done" who replaced a value they had not seen."""
    by_op = {str(event["op_id"]): event for event in events}
    found = []
    for deed in own:
        event = by_op.get(deed.op_id)
        if deed.verdict in ("done", "partial") and event is not None:
            stale = [name for name in event["set"] if (event["was"].get(name) or None) != (deed.planned.get(name) or None)]
            found += [f"{deed.actor} {deed.verb}: replaced {name} {event['was'].get(name)!r} and had seen {deed.planned.get(name)!r}" for name in stale]
    return found


def _conflicts(events: Sequence[Mapping[str, Any]], own: Sequence[Deed]) -> list[str]:
    """Who was refused is shown both sides: what they wanted, and a value that somebody really wrote."""
    found = []
    for deed in own:
        if deed.verdict != "conflict":
            continue
        if not deed.mine or set(deed.mine) != set(deed.theirs):
            found.append(f"a conflict without both sides: {deed}")
        for name, value in deed.theirs.items():
            if deed.mine.get(name) != deed.set.get(name) or (not any(name in event["set"] and event["set"][name] == value for event in events) and value not in (None, "")):
                found.append(f"a conflict that shows what nobody wrote: {name} {value!r} in {deed}")
    return found


def _order(events: Sequence[Mapping[str, Any]], own: Sequence[Deed]) -> list[str]:
    """What was over before another began stands before it."""
    place = {str(event["op_id"]): int(event["seq"]) for event in events}
    done = [deed for deed in own if deed.verdict in ("done", "partial") and deed.op_id in place]
    return [
        f"{one.op_id} was over before {other.op_id} began, and stands behind it"
        for one in done for other in done if one.end < other.begin and place[one.op_id] > place[other.op_id]
    ]  # fmt: skip


def _fields(ticket: str, events: Sequence[Mapping[str, Any]], stored: Mapping[str, Any], own: Sequence[Deed]) -> list[str]:
    """The checker of histories on the fields whose values are all different."""
    first = {(ticket, name): events[0]["set"].get(name) or "none" for name in UNIQUE}
    last = {(ticket, name): stored.get(name) or "none" for name in UNIQUE}
    log = {(ticket, name): [event["set"][name] for event in events[1:] if name in event["set"]] for name in UNIQUE}
    operations = [
        Operation(deed.actor, ticket, name, deed.begin, deed.end, deed.planned.get(name) or "none", deed.set[name], "done" if deed.verdict == "done" else "conflict", deed.op_id)
        for deed in own for name in UNIQUE if name in deed.set and deed.verdict in ("done", "conflict")
    ]  # fmt: skip
    return violations(operations, first, last, log)


def _versions(deeds: Sequence[Deed]) -> list[str]:
    """A version that was read back is higher than the one planned against; later looks never see lower ones."""
    found = [f"the version did not grow: {deed}" for deed in deeds if deed.verdict == "done" and deed.after <= deed.seen]
    for ticket in {deed.ticket for deed in deeds}:
        looks = [deed for deed in deeds if deed.ticket == ticket and deed.after]
        found += [f"the version went back: {one} | {other}" for one in looks for other in looks if one.end < other.begin and one.after > other.after]
    return found
