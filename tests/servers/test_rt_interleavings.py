"""Two consoles and somebody in RT's own interface on the same tickets: seeded interleavings on a real RT, their history checked.

As many as fit into SECONDS, at least FEWEST; DESKSIDE_INTERLEAVINGS=1000 asks for so many, however long they take (5 to 15 minutes).

RT's check of the tag is not atomic, so a value may be overwritten; what must never happen is that nobody is told. Each actor's steps (look,
write, read back) are merged by the seed into stages; what stands in one stage is sent at the same instant.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Plan
from backends.errors import BackendError, Conflict, Uncertain
from backends.tickets.rt import RequestTracker
from tests.contracts.histories import Operation, Verdict, violations
from tests.servers.rt_server import RtServer

pytestmark = [pytest.mark.server, pytest.mark.slow]
SEED = int(os.environ.get("DESKSIDE_SEED", "20261124"))
COUNT = int(os.environ.get("DESKSIDE_INTERLEAVINGS", "1000"))
SECONDS = 10.0 if "DESKSIDE_INTERLEAVINGS" not in os.environ else 3600.0
FEWEST = 25
TICKETS = 5
"""Worked on at once."""
FIELDS = {"subject": "Subject", "estimate": "TimeEstimated", "field Vendor reference": "Vendor reference"}
CLOCK = itertools.count(1)
VALUES = itertools.count(1)


def plain(value: Any) -> Any:
    """A value as the history holds it: one of several is itself, none is ""."""
    return (value[0] if value else "") if isinstance(value, list) else value


class Console:
    """One person's change of one field through the adapter, a step at a time."""

    def __init__(self, backend: RequestTracker, who: str, ticket: str, field: str) -> None:
        self.backend, self.who, self.ticket, self.field = backend, Actor(who), ticket, field
        number = next(VALUES)
        self.new: Any = number if field == "estimate" else f"{who} {number}"
        self.begin = self.end = 0
        self.plan: Plan | None = None
        self.outcome: Outcome | None = None
        self.verdict: Verdict = "done"
        self.told = ""

    async def look(self) -> None:
        self.begin = next(CLOCK)
        values = {"fields": {self.field.removeprefix("field "): self.new}} if self.field.startswith("field ") else {self.field: self.new}
        self.plan = await self.backend.plan(Change("tickets", "rt", "edit", self.ticket, values=values), self.who)

    async def write(self) -> None:
        assert self.plan is not None
        try:
            self.outcome = await self.backend.apply(self.plan, self.who, "")
        except Conflict as error:
            self.verdict, self.told = "conflict", error.text
            assert error.mine and (error.theirs or "all the time" in error.text), error
        except Uncertain as error:
            self.verdict, self.told = "uncertain", error.text

    async def back(self) -> None:
        if self.outcome is not None and self.plan is not None:
            found, _ = await self.backend.read_back(self.plan, self.outcome)
            differs = {name: found.get(name) for name, wanted in self.plan.expected.items() if found.get(name) != wanted}
            if differs:
                self.verdict, self.told = "differs", str(differs)
                assert set(differs) <= {self.field, "overwrote"}
        self.end = next(CLOCK)

    def steps(self) -> list[Any]:
        """In their order."""
        return [self.look, self.write, self.back]

    def operation(self) -> Operation:
        """For the history."""
        assert self.plan is not None
        return Operation(self.who.login, self.ticket, self.field, self.begin, self.end, plain(self.plan.change.values["was"][self.field]), self.new, self.verdict, self.told)


class Web(Console):
    """Somebody in the web interface: writes without any check, and is told nothing."""

    def __init__(self, server: RtServer, ticket: str, field: str) -> None:
        super().__init__(server, "web", ticket, field)  # type: ignore[arg-type]
        self.server = server

    async def write(self) -> None:
        self.begin = next(CLOCK)
        name = FIELDS[self.field]
        body = {"CustomFields": {name: self.new}} if self.field.startswith("field ") else {name: self.new}
        answer = await asyncio.to_thread(self.server.call, "PUT", f"/ticket/{self.ticket}", json=body)
        assert answer.status_code == 200, answer.text
        self.end = next(CLOCK)

    def steps(self) -> list[Any]:
        return [self.write]

    def operation(self) -> Operation:
        return Operation("web", self.ticket, self.field, self.begin, self.end, None, self.new, "done")


def stages(chance: random.Random, actors: list[Console]) -> list[list[Any]]:
    """The actors' steps merged: in each stage some go one step on, all at once."""
    left = [actor.steps() for actor in actors]
    out: list[list[Any]] = []
    while any(left):
        able = [steps for steps in left if steps]
        chosen = able if chance.random() < 0.5 else chance.sample(able, chance.randint(1, len(able)))
        out.append([steps.pop(0) for steps in chosen])
    return out


async def state(server: RtServer, ticket: str) -> dict[tuple[str, str], Any]:
    """What RT says of the fields, past the adapter."""
    body = (await asyncio.to_thread(server.call, "GET", f"/ticket/{ticket}")).json()
    custom = {field["name"]: plain([value for value in field["values"] if value]) for field in body["CustomFields"]}
    found = {"subject": body["Subject"], "estimate": int(body["TimeEstimated"]), "field Vendor reference": custom.get("Vendor reference", "")}
    return {(ticket, name): value for name, value in found.items()}


async def interleave(seed: int, server: RtServer, consoles: list[RequestTracker], ticket: str, first: dict[Any, Any]) -> tuple[dict[Any, Any], list[str], Counter[str]]:
    """One: (state afterwards, violations, verdicts)."""
    chance = random.Random(seed)
    main = chance.choice(list(FIELDS))

    def field() -> str:
        return main if chance.random() < 0.85 else chance.choice(list(FIELDS))

    actors: list[Console] = [Console(consoles[0], "tech1", ticket, field()), Console(consoles[1], "tech2", ticket, field())]
    kind = chance.random()
    if kind < 0.5:  # one console and the web, the other console and the web, or all three
        actors = [*(actors[int(kind * 4)] for _ in (1,)), Web(server, ticket, main)]
    elif kind < 0.65:
        actors.append(Web(server, ticket, main))
    for stage in stages(chance, actors):
        await asyncio.gather(*(step() for step in stage))
    last = await state(server, ticket)
    history = [actor.operation() for actor in actors]
    found = violations(history, first, last)
    return last, [f"seed {seed}: {line}\n  " + "\n  ".join(map(str, history)) for line in found], Counter(operation.verdict for operation in history)


async def test_no_update_is_lost_unnoticed(rt_server: RtServer) -> None:
    """Whoever was overwritten, or overwrote, was told."""
    queue = rt_server.queue()
    consoles = [rt_server.adapter("tech1"), rt_server.adapter("tech2")]
    await asyncio.gather(*(console.open() for console in consoles))
    seeds = iter(range(SEED, SEED + COUNT))
    found: list[str] = []
    verdicts: Counter[str] = Counter()
    done: list[int] = []
    begun = time.monotonic()

    async def work() -> None:
        made = await asyncio.to_thread(rt_server.call, "POST", "/ticket", json={"Queue": queue, "Subject": f"start {next(VALUES)}"})
        ticket = str(made.json()["id"])
        now = await state(rt_server, ticket)
        for seed in seeds:
            if time.monotonic() - begun > SECONDS and len(done) >= FEWEST:
                return
            now, lines, counted = await interleave(seed, rt_server, consoles, ticket, now)
            found.extend(lines)
            verdicts.update(counted)
            done.append(seed)

    try:
        await asyncio.gather(*(work() for _ in range(TICKETS)))
    except BackendError as error:
        raise AssertionError(f"seeds {SEED}..: {error.sentence()}") from error
    print(f"{len(done)} interleavings from seed {SEED} in {time.monotonic() - begun:.0f} s: {dict(verdicts)}")
    assert not found, "\n".join(found[:5])
    assert verdicts["done"] > len(done) // 2 and verdicts["conflict"] + verdicts["differs"] > len(done) // 10, verdicts
    await asyncio.gather(*(console.close() for console in consoles))
