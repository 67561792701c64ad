"""The contract of ticket systems: one suite; each adapter supplies a fixture. Here our own, on both store engines."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Site, Writes, now
from backends.errors import BackendError, Conflict, Invalid, NotFound, Refused, Unsupported
from backends.faulty import Chaos, faulty
from backends.options import read_options
from backends.store.opening import ENGINES, open_store
from backends.tickets.appending import EVENTS, TICKETS
from backends.tickets.contract import ListsTickets, TakesTickets
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.events import event_id, fold_all
from backends.tickets.model import OPEN_PHASES, Phase, TicketQuery

ANA, BOB = Actor("ana", "Ana"), Actor("bob", "Bob")


async def do(backend: Any, verb: str, target: str = "", actor: Actor = ANA, op: str = "", **values: Any) -> Outcome:
    """Plan, apply, read back, compare: what `perform` does, without confirmation and ledger."""
    plan = await backend.plan(Change("tickets", backend.name, verb, target, values=values), actor)
    outcome = await backend.apply(plan, actor, op or uuid.uuid4().hex)
    found, record = await backend.read_back(plan, outcome)
    assert dict(found) == dict(plan.expected)
    return replace(outcome, record=record)


async def new(backend: Any, subject: str = "Printer jam", **values: Any) -> str:
    return (await do(backend, "create", subject=subject, requester={"name": "Joe Doe", "login": "jdoe", "email": "jdoe@example.org"}, **values)).target


class TicketContract:
    """What the screens rely on."""

    async def test_shape(self, backend: Any) -> None:
        assert isinstance(backend, ListsTickets) and isinstance(backend, Writes) and isinstance(backend, TakesTickets)
        assert (await backend.health()).word in ("ok", "warn")

    async def test_create_list_show(self, backend: Any) -> None:
        ident = await new(backend, "Printer jam", body="It jams", priority=2)
        page = await backend.tickets(TicketQuery())
        assert [(row.id, row.subject, row.priority, row.phase) for row in page.items] == [(ident, "Printer jam", 2, Phase.NEW)]
        ticket = await backend.ticket(page.items[0].number)
        assert ticket.row.id == ident and ticket.body == "It jams" and ticket.requester.email == "jdoe@example.org"
        assert [event.type for event in await backend.timeline(ident)] == ["created"]
        with pytest.raises(NotFound):
            await backend.ticket("T-99999")
        with pytest.raises(NotFound):
            await backend.ticket("nonsense")

    async def test_a_plan_writes_nothing(self, backend: Any) -> None:
        ident = await new(backend)
        for verb, values in (("take", {}), ("note", {"body": "x"}), ("edit", {"subject": "y"}), ("status", {"status": "Resolved", "reason": "z"})):
            await backend.plan(Change("tickets", backend.name, verb, ident, values=values), ANA)
        assert len(await backend.timeline(ident)) == 1

    async def test_take_is_given_to_one(self, backend: Any) -> None:
        ident = await new(backend)
        taken = await do(backend, "take", ident)
        assert taken.record.row.assignee == "ana" and taken.record.row.phase is Phase.ACTIVE
        with pytest.raises(Conflict) as caught:
            await do(backend, "take", ident, BOB)
        assert "ana" in caught.value.text
        await do(backend, "release", ident)
        assert (await do(backend, "take", ident, BOB)).record.row.assignee == "bob"

    async def test_two_who_planned_at_once(self, backend: Any) -> None:
        ident = await new(backend)
        plans = [await backend.plan(Change("tickets", backend.name, "take", ident), actor) for actor in (ANA, BOB)]
        done = await asyncio.gather(*(backend.apply(plan, actor, uuid.uuid4().hex) for plan, actor in zip(plans, (ANA, BOB), strict=True)), return_exceptions=True)
        assert sum(isinstance(item, Outcome) for item in done) == 1
        assert sum(isinstance(item, Conflict) for item in done) == 1

    async def test_a_note_is_no_conflict_and_a_changed_field_is(self, backend: Any) -> None:
        ident = await new(backend)
        plan = await backend.plan(Change("tickets", backend.name, "edit", ident, values={"subject": "mine"}), ANA)
        await do(backend, "note", ident, BOB, body="seen")
        await backend.apply(plan, ANA, "op1")
        plan = await backend.plan(Change("tickets", backend.name, "edit", ident, values={"subject": "mine again"}), ANA)
        await do(backend, "edit", ident, BOB, subject="theirs")
        with pytest.raises(Conflict) as caught:
            await backend.apply(plan, ANA, "op2")
        assert caught.value.mine == {"subject": "mine again"} and caught.value.theirs == {"subject": "theirs"}

    async def test_an_operation_is_done_once(self, backend: Any) -> None:
        change = Change("tickets", backend.name, "create", values={"subject": "once"})
        plan = await backend.plan(change, ANA)
        first = await backend.apply(plan, ANA, "op-create")
        assert (await backend.apply(plan, ANA, "op-create")).target == first.target
        note = await backend.plan(Change("tickets", backend.name, "note", first.target, values={"body": "once"}), ANA)
        await backend.apply(note, ANA, "op-note")
        await backend.apply(note, ANA, "op-note")
        assert len(await backend.timeline(first.target)) == 2

    async def test_status_moves_by_the_matrix(self, backend: Any) -> None:
        ident = await new(backend)
        with pytest.raises(Invalid, match="resolve it first"):
            await do(backend, "status", ident, status="Closed")
        with pytest.raises(Invalid):
            await do(backend, "status", ident, status="Resolved")
        with pytest.raises(Invalid):
            await do(backend, "status", ident, status="No such")
        waiting = await do(backend, "status", ident, status="Waiting on vendor", reason="a part")
        assert waiting.record.pending_reason == "a part" and waiting.record.row.due_at is None
        solved = await do(backend, "status", ident, status="Resolved", reason="new roller")
        assert solved.record.resolution == "new roller" and solved.record.resolved_at
        again = await do(backend, "status", ident, status="Open")
        assert again.record.reopened == 1 and again.record.resolved_at is None
        await do(backend, "status", ident, status="Resolved", reason="really")
        closed = await do(backend, "status", ident, status="Closed")
        assert closed.record.offered == ()
        with pytest.raises(Refused, match="open a new ticket"):
            await do(backend, "reply", ident, body="hello?")

    async def test_public_and_internal_are_told_apart(self, backend: Any) -> None:
        ident = await new(backend)
        note = await backend.plan(Change("tickets", backend.name, "note", ident, values={"body": "secret"}), ANA)
        assert note.public == ""
        reply = await backend.plan(Change("tickets", backend.name, "reply", ident, values={"body": "hello"}), ANA)
        assert "PUBLIC" in reply.public and "jdoe@example.org" in reply.public
        await do(backend, "note", ident, body="secret")
        assert (await backend.ticket(ident)).first_response_at is None
        await do(backend, "reply", ident, body="hello", status="Resolved", reason="done")
        assert [(event.type, event.public) for event in await backend.timeline(ident)][1:] == [("noted", False), ("replied", True)]
        answered = await backend.ticket(ident)
        assert answered.first_response_at and answered.row.status == "Resolved"
        with pytest.raises(Invalid):
            await do(backend, "note", ident, body="   ")

    async def test_filters_pages_counts_positions(self, backend: Any) -> None:
        for number in range(12):
            await new(backend, f"ticket {number:02d}" + (" Ärger" if number == 7 else ""), queue=("Network" if number % 3 == 0 else "Service desk"), priority=1 + number % 4)
        everything = await backend.tickets(TicketQuery(sort="number", descending=False))
        await do(backend, "take", everything.items[0].id)
        assert everything.total == 12
        assert (await backend.tickets(TicketQuery(queues=("Network",)))).total == 4
        assert (await backend.tickets(TicketQuery(priorities=(1, 2)))).total == 6
        assert [row.subject for row in (await backend.tickets(TicketQuery(text="ärger"))).items] == ["ticket 07 Ärger"]
        assert (await backend.tickets(TicketQuery(text="ärger", inverse=True))).total == 11
        assert (await backend.tickets(TicketQuery(assignees=("ana",)))).total == 1
        assert (await backend.tickets(TicketQuery(assignees=("",)))).total == 11
        query = TicketQuery(sort="priority", descending=False)
        whole = (await backend.tickets(query)).items
        paged = [row for start in range(0, 12, 5) for row in (await backend.tickets(query, start, 5)).items]
        assert [row.id for row in paged] == [row.id for row in whole] and [row.priority for row in whole] == sorted(row.priority for row in whole)
        assert [await backend.position(query, row.id) for row in whole] == list(range(12))
        counted = await backend.counts()
        assert (counted.open, counted.new, counted.unassigned, dict(counted.by_assignee)) == (12, 11, 11, {"ana": 1})

    async def test_links_are_found_from_the_other_side(self, backend: Any) -> None:
        ident = await new(backend, refs=["devices:here:web01"])
        await do(backend, "link", ident, ref="accounts:dir:u7")
        assert [row.id for row in (await backend.tickets(TicketQuery(ref="accounts:dir:u7"))).items] == [ident]
        await do(backend, "unlink", ident, ref="accounts:dir:u7")
        assert (await backend.tickets(TicketQuery(ref="accounts:dir:u7"))).total == 0
        with pytest.raises(Invalid):
            await do(backend, "link", ident, ref="nonsense")

    async def test_changes_are_told(self, backend: Any) -> None:
        cursor, _ = await backend.changes(-1)
        ident = await new(backend)
        after, ids = await backend.changes(cursor)
        assert after > cursor and ids == (ident,)
        assert await backend.changes(after) == (after, ())

    async def test_an_unknown_verb_is_a_sentence(self, backend: Any) -> None:
        with pytest.raises(Unsupported):
            await backend.plan(Change("tickets", backend.name, "explode", "x"), ANA)


@pytest.fixture(params=ENGINES)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedTickets]:
    store = open_store(tmp_path, request.param)
    opened = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store))
    await opened.open()
    yield opened
    store.close()


class TestEmbedded(TicketContract):
    """Our own tickets."""

    async def test_a_ticket_is_the_fold_of_its_events(self, backend: EmbeddedTickets) -> None:
        ident = await new(backend, refs=["devices:a:b"])
        await do(backend, "take", ident)
        await do(backend, "status", ident, status="Waiting on requester", reason="a photo")
        await do(backend, "status", ident, status="In progress")
        await do(backend, "reply", ident, body="there", minutes=5)
        await do(backend, "edit", ident, impact=1, urgency=1)
        events = [backend._store.get(EVENTS, event_id(ident, seq)) for seq in range(1, 7)]
        assert all(events)
        stored = backend._store.get(TICKETS, ident)
        assert stored is not None and fold_all(event.doc for event in events if event) == stored.doc

    async def test_a_crash_between_event_and_ticket_is_made_good(self, backend: EmbeddedTickets) -> None:
        ident = await new(backend)
        before = backend._store.get(TICKETS, ident)
        assert before is not None
        await do(backend, "take", ident)
        backend._store.put(TICKETS, ident, before.doc)
        assert (await backend.ticket(ident)).row.assignee == "ana"

    async def test_overdue_goes_with_the_clock(self, backend: EmbeddedTickets) -> None:
        ident = await new(backend, priority=1)
        record = backend._store.get(TICKETS, ident)
        assert record is not None
        backend._store.put(TICKETS, ident, {**record.doc, "due_at": (now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")})
        assert (await backend.tickets(TicketQuery(phases=OPEN_PHASES, overdue=True))).total == 1
        assert (await backend.counts()).overdue == 1

    @pytest.mark.parametrize(
        "values", [{"subject": ""}, {"subject": "x" * 301}, {"subject": "x", "queue": "No such"}, {"subject": "x", "priority": 9}, {"subject": "x", "impact": "1"}, {"subject": "x", "refs": ["bad"]}]
    )
    async def test_bad_values_are_named(self, backend: EmbeddedTickets, values: dict[str, Any]) -> None:
        with pytest.raises(BackendError) as caught:
            await do(backend, "create", **values)
        assert isinstance(caught.value, Invalid) and caught.value.fields


class TestBehindFaulty(TicketContract):
    """The wrapper changes nothing while nothing goes wrong."""

    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[Any]:
        store = open_store(tmp_path, "sqlite")
        opened = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store))
        await opened.open()
        yield faulty(opened, Chaos(1, 0.0))
        store.close()
