"""The sidecar: the ticket contract through it, around our own tickets with the verbs hidden that remote systems lack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Plan, Site, Writes, now
from backends.errors import BackendError, Conflict, Invalid, Refused, Uncertain, Unreachable
from backends.faulty import Chaos, faulty
from backends.options import read_options
from backends.store.opening import ENGINES, open_store
from backends.tickets import contract
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.model import OPEN_PHASES, Phase, Term, Ticket, TicketQuery
from backends.tickets.sidecar import OPTIONS, lacking, with_sidecar
from console.links import Links
from tests.contracts.test_tickets import ANA, BOB, TicketContract, do, new

HIDDEN = ("link", "unlink", "refer", "vendor_return", "approve", "decide", "check", "watch")


def a_server(store: Any, place: Path, promising: bool = False) -> Any:
    """A server by that contract without the verbs of the sidecar; not `promising`: without due times. It merges by answering with the other ticket."""
    own = faulty(EmbeddedTickets("rt", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(place))), Chaos(1, 0.0))
    kind: Any = type(own)
    for verb in HIDDEN:
        delattr(kind, f"plan_{verb}")

    class Server(kind):
        down: BackendError | None = None
        redirects: dict[str, str] = {}
        sent: list[str] = []

        def __getattr__(self, name: str) -> Any:
            if name.removeprefix("plan_") in HIDDEN:
                raise AttributeError(name)
            return getattr(own.inner, name)

        async def ticket(self, id: str) -> Ticket:
            found: Ticket = await super().ticket(self.redirects.get(id, id))
            return found if promising else replace(found, sla=(), row=replace(found.row, due_at=None))

        async def tickets(self, query: TicketQuery, offset: int = 0, limit: int = 100) -> Any:
            page = await super().tickets(query, offset, limit)
            return page if promising else replace(page, items=tuple(replace(row, due_at=None) for row in page.items))

        async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
            if self.down is not None:
                raise self.down
            outcome: Outcome = await super().apply(plan, actor, op_id)
            return outcome

    return Server()


def around(store: Any, place: Path, promising: bool = False, **options: Any) -> Any:
    return with_sidecar(a_server(store, place, promising), Site(store=store, timezone="UTC"), {**read_options(OPTIONS, {}), **options})


@pytest.fixture(params=ENGINES)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    store = open_store(tmp_path, request.param)
    opened = around(store, tmp_path, promising=True)
    await opened.open()
    yield opened
    store.close()


class TestSidecar(TicketContract):
    """The whole contract, with the hidden verbs done here."""

    async def test_watchers_are_added_and_removed(self, backend: Any) -> None:
        """Other than our own tickets: nobody would tell an address."""
        ident = await new(backend)
        with pytest.raises(Invalid, match=r"boss@example\.org"):
            await do(backend, "watch", ident, add=["boss@example.org", "bob"])
        assert (await do(backend, "watch", ident, add=["bob"])).record.followers == ("bob",)
        assert not (await do(backend, "watch", ident, remove=["bob"])).record.followers


@pytest.fixture
async def side(tmp_path: Path) -> AsyncIterator[Any]:
    store = open_store(tmp_path, "sqlite")
    opened = around(store, tmp_path)
    opened.store = store
    await opened.open()
    yield opened
    store.close()


def test_what_has_all_verbs_is_left_alone(tmp_path: Path) -> None:
    store = open_store(tmp_path, "sqlite")
    own = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(tmp_path)))
    assert lacking(EmbeddedTickets) == frozenset() and with_sidecar(own, Site(store=store), {}) is own
    store.close()


async def test_protocols_show_through(side: Any) -> None:
    assert all(not hasattr(side.inner, f"plan_{verb}") and hasattr(side, f"plan_{verb}") for verb in HIDDEN)
    protocols = [getattr(contract, name) for name in dir(contract) if name.endswith(("Tickets", "Items", "Files", "Status", "Attachments", "People", "Time", "Calls"))]
    assert len(protocols) > 15 and all(isinstance(side, protocol) for protocol in protocols) and isinstance(side, Writes)
    assert side.adapter == "embedded" and side.conflict == "atomic" and "not on the server" in side.HALF["refs"] and "promises" in side.HALF


async def test_what_it_is_about_is_found_from_both_ends(side: Any) -> None:
    one = await new(side, "Switch dead", refs=["devices:fleet:sw1"], queue="Network")
    two = await new(side, "Printer jam")
    await do(side, "link", two, ref="devices:fleet:sw1")
    assert (await side.ticket(one)).refs == ("devices:fleet:sw1",) and not (await side.inner.ticket(one)).refs
    page = await side.tickets(TicketQuery(ref="devices:fleet:sw1", phases=OPEN_PHASES, sort="subject", descending=False))
    assert [row.subject for row in page.items] == ["Printer jam", "Switch dead"] and page.total == 2
    by_term = TicketQuery(terms=(Term("ref", "is", ("devices:fleet:sw1",)), Term("queue", "has", ("net",))))
    assert [row.id for row in (await side.tickets(by_term)).items] == [one] and await side.position(by_term, one) == 0
    lost = await side.tickets(TicketQuery(terms=(Term("ref", "none"),)))
    assert "ref" in lost.note and lost.total == 2
    await do(side, "unlink", two, ref="devices:fleet:sw1")
    assert (await side.tickets(TicketQuery(ref="devices:fleet:sw1"))).total == 1


async def test_an_operation_is_done_once_on_both_sides(side: Any) -> None:
    ident = await new(side)
    plan = await side.plan(Change("tickets", "rt", "approve", ident, values={"what": "rights", "by": "bob"}), ANA)
    assert any("not on the server" in effect for effect in plan.side_effects)
    await side.apply(plan, ANA, "op-1")
    await side.apply(plan, ANA, "op-1")
    assert sorted(event.type for event in await side.timeline(ident)) == ["approval_asked", "created", "noted"]
    notes = [event.body for event in await side.inner.timeline(ident) if event.type == "noted"]
    assert len(notes) == 1 and "rights, from bob" in notes[0] and "deskside op-1" in notes[0]


async def test_two_who_planned_at_once(side: Any) -> None:
    ident = await new(side)
    plans = [await side.plan(Change("tickets", "rt", "link", ident, values={"ref": f"devices:a:{actor.login}"}), actor) for actor in (ANA, BOB)]
    done = await asyncio.gather(*(side.apply(plan, actor, actor.login) for plan, actor in zip(plans, (ANA, BOB), strict=True)), return_exceptions=True)
    assert sorted(type(item).__name__ for item in done) == ["Conflict", "Outcome"]
    conflict = next(item for item in done if isinstance(item, Conflict))
    assert conflict.theirs["refs"] and conflict.mine["refs"]


async def test_a_server_that_refuses_leaves_nothing_here_and_a_note_that_fails_is_said(side: Any) -> None:
    ident = await new(side)
    plan = await side.plan(Change("tickets", "rt", "refer", ident, values={"vendor": "Copier Co"}), ANA)
    side.inner.down = Refused("no")
    with pytest.raises(Refused):
        await side.apply(plan, ANA, "op-2")
    assert not (await side.ticket(ident)).referrals
    plan = await side.plan(Change("tickets", "rt", "approve", ident, values={"what": "x", "by": "bob"}), ANA)
    outcome = await side.apply(plan, ANA, "op-3")
    assert "note on the server is not written" in outcome.text and (await side.ticket(ident)).approvals
    side.inner.down = None


async def test_a_follow_up_wakes_it_once_and_says_so_there(side: Any) -> None:
    ident = await new(side)
    await do(side, "refer", ident, vendor="Copier Co", follow_up=(now() - timedelta(minutes=1)).isoformat())
    later = await new(side, "later")
    await do(side, "refer", later, vendor="Copier Co", follow_up="2099-01-01")
    assert (await side.ticket(ident)).row.phase is Phase.PAUSED and (await side.ticket(later)).pending_until is not None
    assert [row.id for row in (await side.tickets(TicketQuery(terms=(Term("vendor", "has", ("copier",)),), sort="number", descending=False))).items] == [ident, later]
    side.inner.down = Unreachable("timeout")
    await side.poll()
    assert (await side.ticket(ident)).row.phase is Phase.PAUSED
    side.inner.down = None
    await asyncio.gather(side.poll(), side.poll())
    await side.poll()
    woken = await side.ticket(ident)
    assert woken.row.phase is Phase.ACTIVE and woken.pending_until is None and (await side.ticket(later)).row.phase is Phase.PAUSED
    assert [event.type for event in await side.timeline(ident)].count("woke_up") == 1
    notes = [event.body for event in await side.inner.timeline(ident) if event.type == "noted" and "Back from waiting: vendor: Copier Co" in event.body]
    assert len(notes) == 1


async def test_a_waking_nobody_knows_the_end_of_is_not_repeated(side: Any) -> None:
    ident = await new(side)
    await do(side, "refer", ident, vendor="Copier Co", follow_up=(now() - timedelta(minutes=1)).isoformat())
    side.inner.down = Uncertain("sent, no answer")
    await side.poll()
    side.inner.down = None
    await side.poll()
    assert not [event for event in await side.inner.timeline(ident) if "Back from waiting" in event.body]


async def test_a_merged_ticket_takes_its_records_along(side: Any) -> None:
    old, kept = await new(side, "twice"), await new(side, "once")
    await do(side, "link", old, ref="devices:a:one")
    await do(side, "link", kept, ref="devices:a:two")
    await do(side, "check", old, item="mailbox", done=True)
    links = Links(side.store)
    links.add(f"tickets:rt:{old}", "accounts:dir:u7")
    side.inner.redirects = {old: kept}
    for _ in range(2):
        found = await side.ticket(old)
        assert found.row.id == kept and set(found.refs) == {"devices:a:one", "devices:a:two"} and found.checklist == (("mailbox", True),)
    assert links.of("accounts:dir:u7") == [f"tickets:rt:{kept}"] and links.of(f"tickets:rt:{kept}") == ["accounts:dir:u7"]
    assert [row.id for row in (await side.tickets(TicketQuery(ref="devices:a:one"))).items] == [kept]


async def test_promises_of_this_house_from_the_servers_events(side: Any) -> None:
    ident = await new(side, priority=1)
    ticket = await side.ticket(ident)
    assert [target.what for target in ticket.sla] == ["first answer", "resolution"] and ticket.row.due_at == ticket.sla[0].due_at
    assert (await side.tickets(TicketQuery())).items[0].due_at == ticket.row.due_at
    await do(side, "reply", ident, body="on it")
    answered = await side.ticket(ident)
    assert answered.sla[0].state == "met" and answered.row.due_at == answered.sla[1].due_at
    await do(side, "status", ident, status="Waiting on vendor", reason="part")
    waiting = await side.ticket(ident)
    assert waiting.row.due_at is None and waiting.sla[1].state == "paused" and (await side.tickets(TicketQuery())).items[0].due_at is None


async def test_what_changed_on_the_server_is_due_anew_by_the_poll(side: Any) -> None:
    await side.poll()
    ident = await new(side.inner, priority=1)
    assert (await side.tickets(TicketQuery())).items[0].due_at is None
    await side.poll()
    assert (await side.tickets(TicketQuery())).items[0].due_at is not None and ident


async def test_no_promises_when_none_are_wanted(tmp_path: Path) -> None:
    store = open_store(tmp_path, "sqlite")
    plain = around(store, tmp_path, promises=False)
    await plain.open()
    ident = await new(plain)
    assert (await plain.ticket(ident)).sla == () and "promises" not in plain.HALF
    store.close()
