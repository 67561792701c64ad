"""Words on our own tickets: mentions, copies and files of a text, what a family hears, what can be taken back, open time left."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Plan, Site
from backends.errors import Invalid
from backends.options import read_options
from backends.store.opening import open_store
from backends.tickets.appending import EVENTS, TICKETS
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.events import event_id, fold_all
from backends.tickets.model import OPEN_PHASES, Term, TicketQuery
from backends.tickets.plans_words import mentions_of
from backends.tickets.promise import Promise
from backends.tickets.sla import standing

ANA, BOB = Actor("ana", "Ana"), Actor("bob", "Bob")


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[EmbeddedTickets]:
    store = open_store(tmp_path)
    opened = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {"agents": ["ana", "bob"]}), Site(store=store, data=str(tmp_path)))
    await opened.open()
    yield opened
    store.close()


async def planned(backend: Any, verb: str, target: str = "", actor: Actor = ANA, **values: Any) -> Plan:
    plan: Plan = await backend.plan(Change("tickets", "desk", verb, target, values=values), actor)
    return plan


async def do(backend: Any, verb: str, target: str = "", actor: Actor = ANA, **values: Any) -> Outcome:
    plan = await planned(backend, verb, target, actor, **values)
    outcome: Outcome = await backend.apply(plan, actor, uuid.uuid4().hex)
    found, _ = await backend.read_back(plan, outcome)
    assert dict(found) == dict(plan.expected)
    return outcome


async def new(backend: Any, **values: Any) -> str:
    return (await do(backend, "create", **{"subject": "Printer jam", "requester": {"email": "joe@example.org"}, **values})).target


@pytest.mark.parametrize(
    ("body", "names"),
    [("@bob look", ["bob"]), ("see @bob, @eve.", ["bob", "eve"]), ("mail joe@example.org", []), ("@bob @bob", ["bob"]), ("a/@bob x@bob @@bob @1", []), ("(@j.doe-x)", ["j.doe-x"])],
)  # fmt: skip
def test_who_is_mentioned(body: str, names: list[str]) -> None:
    assert mentions_of(body) == names


async def test_a_mention_stands_until_they_do_something(backend: EmbeddedTickets) -> None:
    ident = await new(backend)
    mine = TicketQuery(phases=OPEN_PHASES, terms=(Term("mentioned", "is", ("bob",)),))
    plan = await planned(backend, "note", ident, body="@Bob and @nobody, look")
    assert plan.side_effects == ("bob is told, and follows it from now on", "nobody here is known as @nobody: not told")
    await do(backend, "note", ident, body="@Bob and @nobody, look")
    assert (await backend.tickets(mine)).total == 1
    ticket = await backend.ticket(ident)
    assert ticket.mentioned == ("bob",) and ticket.followers == ("bob",)
    await do(backend, "note", ident, BOB, body="seen, I am @bob")
    assert (await backend.tickets(mine)).total == 0 and (await backend.ticket(ident)).followers == ("bob",)
    await do(backend, "note", ident, body="@bob again")
    await do(backend, "watch", ident, BOB, remove=["bob"])
    assert (await backend.ticket(ident)).mentioned == () and (await backend.ticket(ident)).followers == ()


async def test_two_mentions_at_once_are_no_conflict(backend: EmbeddedTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "note", ident, body="@bob")
    await do(backend, "note", ident, BOB, body="@ana")
    await backend.apply(plan, ANA, "op")
    ticket = await backend.ticket(ident)
    assert set(ticket.followers) == {"ana", "bob"} and ticket.mentioned == ("bob",)
    record = backend._store.get(TICKETS, ident)
    events = [backend._store.get(EVENTS, event_id(ident, seq)) for seq in (1, 2, 3)]
    assert record is not None and fold_all(event.doc for event in events if event) == record.doc


async def test_copies_and_files_go_with_a_reply(backend: EmbeddedTickets, tmp_path: Path) -> None:
    ident = await new(backend)
    (tmp_path / "how.txt").write_text("so")
    plan = await planned(backend, "reply", ident, body="see there", cc=["boss@example.org"], files=[{"path": str(tmp_path / "how.txt")}])
    assert plan.public == "PUBLIC: read by joe@example.org, boss@example.org" and ("file", "how.txt (2 bytes)") in [(step.what, step.after) for step in plan.steps]
    await backend.apply(plan, ANA, "op")
    ticket = await backend.ticket(ident)
    assert [one.email for one in ticket.watchers] == ["boss@example.org"] and [one.name for one in ticket.attachments] == ["how.txt"]
    assert b"".join([piece async for piece in backend.fetch(ident, ticket.attachments[0].id)]) == b"so"
    for wrong in ({"cc": ["boss"]}, {"cc": ["a b@example.org"]}, {"files": [{"path": "/no/such"}]}):
        with pytest.raises(Invalid):
            await planned(backend, "reply", ident, body="x", **wrong)


async def test_the_family_is_named_when_one_ends(backend: EmbeddedTickets) -> None:
    parent, one, two, freed = [await new(backend, subject=name) for name in ("parent", "one", "two", "freed")]
    for child in (one, two):
        await do(backend, "relate", parent, kind="child", to=child)
    await do(backend, "relate", parent, kind="blocks", to=freed)
    await do(backend, "status", one, status="Resolved", reason="r")
    plan = await planned(backend, "status", parent, status="Resolved", reason="r")
    assert "1 of 2 children are still open: T-1003 (New); they stay open" in plan.side_effects and "T-1004 (New) waited for it and can go on" in plan.side_effects
    await do(backend, "status", two, status="Resolved", reason="r")
    assert "all 2 children are done" in (await planned(backend, "reply", parent, body="b", status="Resolved", reason="r")).side_effects
    assert "it waits for T-1001 (New)" in (await planned(backend, "status", freed, status="Resolved", reason="r")).side_effects
    assert not [effect for effect in (await planned(backend, "status", parent, status="Open")).side_effects if "child" in effect]
    assert {link.number: link.phase for link in (await backend.ticket(parent)).links} == {"T-1002": "resolved", "T-1003": "resolved", "T-1004": "new"}


async def test_what_was_done_is_taken_back(backend: EmbeddedTickets) -> None:
    ident = await new(backend)
    assert (await planned(backend, "status", ident, status="Open")).inverse is None  # new never comes back
    await do(backend, "status", ident, status="Open")
    for status, reason in (("Waiting on vendor", "part"), ("Open", ""), ("Resolved", "done")):
        before = await backend.ticket(ident)
        plan = await planned(backend, "status", ident, status=status, reason=reason)
        await backend.apply(plan, ANA, uuid.uuid4().hex)
        assert plan.inverse is not None
        back = await backend.plan(plan.inverse, ANA)
        await backend.apply(back, ANA, uuid.uuid4().hex)
        after = await backend.ticket(ident)
        assert (after.row.status, after.pending_reason) == (before.row.status, before.pending_reason)
        await backend.apply(await backend.plan(plan.change, ANA), ANA, uuid.uuid4().hex)


async def test_a_new_ticket_with_checklist_fields_and_a_known_kind(backend: EmbeddedTickets) -> None:
    ident = await new(backend, checklist=["badge", "laptop"], fields={"asset": "PC-7"}, kind="request", tags=["hr"])
    ticket = await backend.ticket(ident)
    assert ticket.checklist == (("badge", False), ("laptop", False)) and ticket.fields == {"asset": "PC-7"} and ticket.kind == "request"
    with pytest.raises(Invalid):
        await new(backend, kind="whim")


def test_open_time_left_and_the_sum_of_the_stored_ticket_agree_with_its_events() -> None:
    promise = Promise()
    start = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)  # a Monday, office hours 08:00 to 17:00

    def event(seq: int, hours: float, type_: str, **fields: Any) -> dict[str, Any]:
        at = (start + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"seq": seq, "at": at, "actor": "ana", "type": type_, "set": fields, "was": {}}

    events = [
        event(1, 0, "created", number=1, subject="x", status="New", phase="new", priority=2, queue="q", assignee=""), event(2, 1, "status_changed", status="Open", phase="active"),
        event(3, 2, "status_changed", status="Waiting on vendor", phase="paused", pending_reason="vendor: ACME"), event(4, 4.5, "status_changed", status="Open", phase="active"),
    ]  # fmt: skip
    doc, at = fold_all(events, promise), start + timedelta(hours=6)
    by_events = standing(events, promise.policies, promise.calendars, at)
    by_record = promise.sla(doc, at)
    assert by_events is not None and by_record is not None and by_record.targets == by_events.targets
    resolution = next(target for target in by_record.targets if target.kind == "resolution")
    assert by_record.explain(resolution).startswith("started Mon 08:00 - used 3h30 - paused 2h30 vendor - left 14h30 - due Wed 25 Nov")
    due = datetime.fromisoformat(doc["due_at"])
    first = by_record.targets[0]
    assert first.due_at == due and promise.left(doc, due, at) == first.left
    assert promise.left(doc, due, due + timedelta(hours=1)) == -3600 and promise.left(doc, due, due + timedelta(days=90)) is None
