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

    # -- the whole desk -----------------------------------------------------------------------------------

    async def test_steal_names_the_holder_and_can_be_undone(self, backend: Any) -> None:
        ident = await new(backend)
        with pytest.raises(Refused):
            await do(backend, "steal", ident)
        await do(backend, "take", ident)
        plan = await backend.plan(Change("tickets", backend.name, "steal", ident), BOB)
        assert "ana" in plan.summary and plan.inverse.values == {"assignee": "ana"}
        assert (await do(backend, "steal", ident, BOB)).record.row.assignee == "bob"

    async def test_a_team_and_a_person(self, backend: Any) -> None:
        ident = await new(backend)
        assert (await do(backend, "assign", ident, team="Field")).record.row.team == "Field"
        done = (await do(backend, "assign", ident, assignee="bob")).record.row
        assert (done.team, done.assignee) == ("Field", "bob")

    async def test_time_and_calls_add_up(self, backend: Any) -> None:
        ident = await new(backend)
        await do(backend, "time", ident, minutes=20)
        called = (await do(backend, "log-call", ident, body="told her to restart", minutes=5)).record
        assert called.time_spent == 25 and called.first_response_at is not None and called.row.phase is Phase.ACTIVE
        with pytest.raises(Invalid):
            await do(backend, "time", ident, minutes=0)

    async def test_a_vendor_has_it_and_gives_it_back(self, backend: Any) -> None:
        ident = await new(backend)
        with pytest.raises(Invalid):
            await do(backend, "refer", ident, vendor="")
        away = (await do(backend, "refer", ident, vendor="Copier Co", reference="C-77", promised="2030-01-10", follow_up="2030-01-08")).record
        assert away.row.phase is Phase.PAUSED and away.pending_until is not None and away.pending_until.isoformat() == "2030-01-08T12:00:00+00:00"
        assert [(one.vendor, one.reference, one.open) for one in away.referrals] == [("Copier Co", "C-77", True)]
        back = (await do(backend, "vendor-return", ident, body="new drum")).record
        assert back.row.phase is Phase.ACTIVE and not back.referrals[0].open
        with pytest.raises(Refused):
            await do(backend, "vendor-return", ident, body="again")

    async def test_ties_stand_on_both_sides(self, backend: Any) -> None:
        one, two = await new(backend, "one"), await new(backend, "two")
        first = (await do(backend, "relate", one, kind="blocks", to=two)).record
        assert [(link.kind, link.to, link.subject) for link in first.links] == [("blocks", two, "two")]
        assert [(link.kind, link.to) for link in (await backend.ticket(two)).links] == [("blocked_by", one)]
        await do(backend, "unrelate", two, kind="blocked_by", to=one)
        assert not (await backend.ticket(one)).links and not (await backend.ticket(two)).links
        for wrong in ({"kind": "blocks", "to": one}, {"kind": "nonsense", "to": two}):
            with pytest.raises(Invalid):
                await do(backend, "relate", one, **wrong)

    async def test_merge_and_back(self, backend: Any) -> None:
        source, target = await new(backend, "twice"), await new(backend, "once")
        merged = (await do(backend, "merge", source, into=target)).record
        assert merged.row.phase is Phase.CLOSED and [(link.kind, link.to) for link in merged.links] == [("merged_into", target)]
        assert [link.kind for link in (await backend.ticket(target)).links] == ["merged_from"]
        with pytest.raises(BackendError):
            await do(backend, "reply", source, body="too late")
        with pytest.raises(BackendError):
            await do(backend, "merge", target, into=source)
        with pytest.raises(BackendError):
            await do(backend, "merge", target, into=target)
        await do(backend, "unmerge", source)
        assert (await backend.ticket(source)).row.phase is Phase.NEW and not (await backend.ticket(target)).links
        await do(backend, "merge", source, into=target)
        await do(backend, "note", target, body="went on")
        with pytest.raises(Refused):
            await do(backend, "unmerge", source)

    async def test_split(self, backend: Any) -> None:
        ident = await new(backend, "two things at once")
        await do(backend, "note", ident, body="and the phone is dead")
        await do(backend, "split", ident, seqs=[2], subject="Dead phone")
        found = (await backend.tickets(TicketQuery(text="dead phone"))).items
        assert len(found) == 1
        made = await backend.ticket(found[0].id)
        assert "phone is dead" in made.body and made.requester.login == "jdoe" and [link.to for link in made.links] == [ident]
        with pytest.raises(Invalid):
            await do(backend, "split", ident, seqs=[99], subject="x")

    async def test_watchers_are_added_and_removed(self, backend: Any) -> None:
        ident = await new(backend)
        done = (await do(backend, "watch", ident, add=["boss@example.org", "bob"])).record
        assert [person.email for person in done.watchers] == ["boss@example.org"] and done.followers == ("bob",)
        plan = await backend.plan(Change("tickets", backend.name, "reply", ident, values={"body": "x"}), ANA)
        assert "boss@example.org" in plan.public and "bob" not in plan.public.replace("boss", "")
        assert not (await do(backend, "watch", ident, remove=["boss@example.org", "bob"])).record.followers

    async def test_authority_is_asked_and_given_by_who_was_asked(self, backend: Any) -> None:
        ident = await new(backend)
        asked = (await do(backend, "approve", ident, what="rights on payroll", by="bob")).record.approvals
        assert [(one.what, one.by, one.decision) for one in asked] == [("rights on payroll", "bob", "")]
        with pytest.raises(BackendError):
            await do(backend, "decide", ident, id="1", decision="approved")
        done = (await do(backend, "decide", ident, BOB, id="1", decision="approved", document="form HR-17")).record.approvals[0]
        assert (done.decision, done.document) == ("approved", "form HR-17")
        with pytest.raises(Invalid):
            await do(backend, "decide", ident, BOB, id="1", decision="refused")

    async def test_a_checklist(self, backend: Any) -> None:
        ident = await new(backend)
        await do(backend, "check", ident, item="mailbox", done=False)
        assert (await do(backend, "check", ident, item="mailbox", done=True)).record.checklist == (("mailbox", True),)

    async def test_files_are_kept_by_content_under_safe_names(self, backend: Any, tmp_path: Path) -> None:
        ident = await new(backend)
        path = tmp_path / "..\x1b]0;x\x07 a:b.txt"
        path.write_bytes(b"toner" * 1000)
        done = (await do(backend, "attach", ident, files=[{"path": str(path)}])).record
        assert [(file.size, file.mime) for file in done.attachments] == [(5000, "text/plain")]
        name = done.attachments[0].name
        assert not set("/\\:\x1b\x07") & set(name) and not name.startswith(".")
        assert b"".join([piece async for piece in backend.fetch(ident, done.attachments[0].id)]) == b"toner" * 1000
        plan = await backend.plan(Change("tickets", backend.name, "attach", ident, values={"files": [{"path": str(path)}]}), ANA)
        path.write_bytes(b"another")
        if (await backend.ticket(ident)).attachments[0].size == 5000:
            path2 = tmp_path / "b.txt"
            path2.write_bytes(b"one")
            plan = await backend.plan(Change("tickets", backend.name, "attach", ident, values={"files": [{"path": str(path2)}]}), ANA)
            path2.write_bytes(b"two")
            with pytest.raises(Conflict):
                await backend.apply(plan, ANA, uuid.uuid4().hex)
        with pytest.raises(NotFound):
            [piece async for piece in backend.fetch(ident, "../../etc/passwd")]

    async def test_an_alert_is_one_ticket_until_it_is_closed(self, backend: Any) -> None:
        one = await new(backend, "disk full on fs01", dedupe_key="fs01:disk")
        assert await new(backend, "disk full on fs01", dedupe_key="fs01:disk", body="97 %") == one
        assert [event.type for event in await backend.timeline(one)] == ["created", "alerted"]
        await do(backend, "status", one, status="Resolved", reason="cleaned")
        assert await new(backend, "disk full on fs01", dedupe_key="fs01:disk") != one

    async def test_a_priority_by_hand_stays_and_says_so(self, backend: Any) -> None:
        ident = await new(backend)
        done = (await do(backend, "edit", ident, priority=1, priority_reason="the mayor is waiting")).record
        assert (done.row.priority, done.priority_reason) == (1, "the mayor is waiting")
        assert (await do(backend, "edit", ident, impact=4)).record.row.priority == 1

    async def test_promises_are_explained(self, backend: Any) -> None:
        ident = await new(backend, priority=2)
        ticket = await backend.ticket(ident)
        assert [target.what for target in ticket.sla] == ["first answer", "resolution"]
        assert ticket.row.due_at == ticket.sla[0].due_at and "left" in ticket.sla[0].text
        await do(backend, "reply", ident, body="on it")
        ticket = await backend.ticket(ident)
        assert ticket.sla[0].state == "met" and ticket.row.due_at == ticket.sla[1].due_at
        await do(backend, "status", ident, status="Waiting on vendor", reason="part")
        ticket = await backend.ticket(ident)
        assert ticket.row.due_at is None and ticket.sla[1].state == "paused"

    async def test_people_are_found_by_a_part_of_their_name(self, backend: Any) -> None:
        await new(backend)
        assert [person.login for person in await backend.people("joe d")] == ["jdoe"]
        assert not await backend.people("nobody of that name")


@pytest.fixture(params=ENGINES)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedTickets]:
    store = open_store(tmp_path, request.param)
    opened = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(tmp_path)))
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

    async def test_what_waits_until_a_day_comes_back_once(self, backend: EmbeddedTickets) -> None:
        ident = await new(backend)
        await do(backend, "refer", ident, vendor="Copier Co", follow_up=(now() - timedelta(minutes=1)).isoformat())
        later = await new(backend, "later")
        await do(backend, "refer", later, vendor="Copier Co", follow_up="2099-01-01")
        await asyncio.gather(backend.poll(), backend.poll())
        assert (await backend.ticket(ident)).row.phase is Phase.ACTIVE and (await backend.ticket(later)).row.phase is Phase.PAUSED
        assert [event.type for event in await backend.timeline(ident)].count("woke_up") == 1

    async def test_another_promise_makes_open_tickets_due_anew(self, backend: EmbeddedTickets, tmp_path: Path) -> None:
        ident = await new(backend, priority=1)
        before = (await backend.ticket(ident)).row.due_at
        table = {"policies": [{"name": "slow", "resolution": "900h"}]}
        other = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, table), Site(store=backend._store))
        await other.open()
        after = (await other.ticket(ident)).row.due_at
        assert before is not None and after is not None and after - before > timedelta(days=30)

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
        opened = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(tmp_path)))
        await opened.open()
        yield faulty(opened, Chaos(1, 0.0))
        store.close()
