"""The contract of ticket systems: one suite; each adapter supplies `backend`, and `local` where its words differ. Here our own, on every store engine.

A system that lacks a verb says Unsupported, and the suite asserts that it does. What it lacks beside verbs is named in `Local.lacks`, each
word of it one thing that the suite then does not ask for; our own lacks nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
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
from backends.tickets.model import OPEN_PHASES, Phase, Term, TicketQuery

ANA, BOB = Actor("ana", "Ana"), Actor("bob", "Bob")


@dataclass(frozen=True, slots=True)
class Local:
    """What the suite must know of a system: who acts there, its words, and what it does not have."""

    ana: Actor = ANA
    bob: Actor = BOB
    queue: str = "Service desk"
    other_queue: str = "Network"
    scope: tuple[str, ...] = ()
    """The queues that hold this test's tickets and no others; () where the whole system is this test's own."""
    new_number: str = "T-99999"
    """The number of no ticket."""
    opened: str = "Open"
    waiting: str = "Waiting on vendor"
    resolved: str = "Resolved"
    closed: str = "Closed"
    too_early: str = "resolve it first"
    """What is said of closing a new ticket."""
    lacks: frozenset[str] = frozenset()
    """Verbs ("split"), or: position, once (an operation that is sent twice is done once), starts (work on a new ticket makes it active),
    solve waiting (without working on it first), pending (why and until when it waits), resolution (what solved it), reopened (how often), first answer, finality (closed means closed),
    impact, sla, team, dedupe, followers, order (sorting by priority)."""

    def has(self, *what: str) -> bool:
        """None of it is lacking."""
        return not self.lacks.intersection(what)

    def mine(self, **asked: Any) -> TicketQuery:
        """A query among this test's tickets."""
        return TicketQuery(**{"queues": self.scope, **asked})

    @property
    def started(self) -> Phase:
        """The phase of a ticket that somebody took."""
        return Phase.ACTIVE if self.has("starts") else Phase.NEW


def seat(backend: Any, actor: Actor) -> Any:
    """The backend as this actor uses it: where a system knows people by their own credentials, each has an adapter of their own in `seats`."""
    return getattr(backend, "seats", {}).get(actor.login, backend)


async def do(backend: Any, verb: str, target: str = "", actor: Actor | None = None, op: str = "", **values: Any) -> Outcome:
    """Plan, apply, read back, compare: what `perform` does, without confirmation and ledger."""
    actor = actor or getattr(backend, "first_actor", ANA)
    backend = seat(backend, actor)
    plan = await backend.plan(Change("tickets", backend.name, verb, target, values=values), actor)
    outcome = await backend.apply(plan, actor, op or uuid.uuid4().hex)
    found, record = await backend.read_back(plan, outcome)
    assert dict(found) == dict(plan.expected)
    return replace(outcome, record=record)


async def planned(backend: Any, verb: str, ident: str = "", actor: Actor = ANA, **values: Any) -> Any:
    """The plan alone."""
    return await backend.plan(Change("tickets", backend.name, verb, ident, values=values), actor)


async def tied(backend: Any, *kinds: tuple[str, str]) -> tuple[str, str]:
    """Two tickets that were tied in each way and untied: a kind, and what it is from the other side."""
    one, two = await new(backend, "one"), await new(backend, "two")
    for kind, back in kinds:
        first = (await do(backend, "relate", one, kind=kind, to=two)).record
        assert [(link.kind, link.to, link.subject) for link in first.links] == [(kind, two, "two")]
        assert [(link.kind, link.to) for link in (await backend.ticket(two)).links] == [(back, one)]
        await do(backend, "unrelate", two, kind=back, to=one)
        assert not (await backend.ticket(one)).links and not (await backend.ticket(two)).links
    return one, two


async def judged(backend: Any, terms: Sequence[tuple[Term, set[str]]], untold: str) -> None:
    """Each term finds these subjects, twice the same term too; of the field `untold` the system tells nothing, and that is said."""
    for term, found in terms:
        page = await backend.tickets(TicketQuery(terms=(term,)))
        assert {row.subject for row in page.items} == found and page.total == len(found), term
        assert {row.subject for row in (await backend.tickets(TicketQuery(terms=(term, term)))).items} == found, f"two conditions on one field: {term}"
        assert term.field != untold or f"do not tell {untold}" in page.note


async def new(backend: Any, subject: str = "Printer jam", **values: Any) -> str:
    """A ticket of Joe Doe; in the first queue of the system, or in that of the test where it has one."""
    values = {**getattr(backend, "usual", {}), **values}
    return (await do(backend, "create", subject=subject, requester={"name": "Joe Doe", "login": "jdoe", "email": "jdoe@example.org"}, **values)).target


async def lacking(backend: Any, local: Local, verb: str, **values: Any) -> bool:
    """Whether the system lacks the verb; it must then say so before anything is asked of it."""
    if local.has(verb):
        return False
    with pytest.raises(Unsupported):
        await backend.plan(Change("tickets", backend.name, verb, "1", values=values), local.ana)
    return True


class TicketContract:
    """What the screens rely on."""

    @pytest.fixture
    def local(self) -> Local:
        """Our own words; another system gives its own."""
        return Local()

    async def test_shape(self, backend: Any, local: Local) -> None:
        assert isinstance(backend, ListsTickets) and isinstance(backend, Writes) and isinstance(backend, TakesTickets)
        assert (await backend.health()).word in ("ok", "warn")

    async def test_create_list_show(self, backend: Any, local: Local) -> None:
        ident = await new(backend, "Printer jam", body="It jams", priority=2)
        page = await backend.tickets(local.mine())
        assert [(row.id, row.subject, row.priority, row.phase) for row in page.items] == [(ident, "Printer jam", 2, Phase.NEW)]
        ticket = await backend.ticket(page.items[0].number)
        assert ticket.row.id == ident and ticket.body == "It jams" and ticket.requester.email == "jdoe@example.org"
        assert [event.type for event in await backend.timeline(ident)] == ["created"]
        with pytest.raises(NotFound):
            await backend.ticket(local.new_number)
        with pytest.raises(NotFound):
            await backend.ticket("nonsense")

    async def test_a_plan_writes_nothing(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        for verb, values in (("take", {}), ("note", {"body": "x"}), ("edit", {"subject": "y"}), ("status", {"status": local.opened, "reason": "z"})):
            await backend.plan(Change("tickets", backend.name, verb, ident, values=values), local.ana)
        assert len(await backend.timeline(ident)) == 1

    async def test_take_is_given_to_one(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        taken = await do(backend, "take", ident)
        assert taken.record.row.assignee == local.ana.login and taken.record.row.phase is local.started
        with pytest.raises(Conflict) as caught:
            await do(backend, "take", ident, local.bob)
        assert local.ana.login in caught.value.text
        await do(backend, "release", ident)
        assert (await do(backend, "take", ident, local.bob)).record.row.assignee == local.bob.login

    async def test_two_who_planned_at_once(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        both = (local.ana, local.bob)
        plans = [await seat(backend, actor).plan(Change("tickets", backend.name, "take", ident), actor) for actor in both]
        done = await asyncio.gather(*(seat(backend, actor).apply(plan, actor, uuid.uuid4().hex) for plan, actor in zip(plans, both, strict=True)), return_exceptions=True)
        assert sum(isinstance(item, Outcome) for item in done) == 1
        assert sum(isinstance(item, Conflict) for item in done) == 1

    async def test_a_note_is_no_conflict_and_a_changed_field_is(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        plan = await backend.plan(Change("tickets", backend.name, "edit", ident, values={"subject": "mine"}), local.ana)
        await do(backend, "note", ident, local.bob, body="seen")
        await backend.apply(plan, local.ana, "op1")
        plan = await backend.plan(Change("tickets", backend.name, "edit", ident, values={"subject": "mine again"}), local.ana)
        await do(backend, "edit", ident, local.bob, subject="theirs")
        with pytest.raises(Conflict) as caught:
            await backend.apply(plan, local.ana, "op2")
        assert caught.value.mine == {"subject": "mine again"} and caught.value.theirs == {"subject": "theirs"}

    async def test_an_operation_is_done_once(self, backend: Any, local: Local) -> None:
        if not local.has("once"):
            return
        change = Change("tickets", backend.name, "create", values={"subject": "once"})
        plan = await backend.plan(change, local.ana)
        first = await backend.apply(plan, local.ana, "op-create")
        assert (await backend.apply(plan, local.ana, "op-create")).target == first.target
        note = await backend.plan(Change("tickets", backend.name, "note", first.target, values={"body": "once"}), local.ana)
        await backend.apply(note, local.ana, "op-note")
        await backend.apply(note, local.ana, "op-note")
        assert len(await backend.timeline(first.target)) == 2

    async def test_status_moves_by_the_matrix(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        with pytest.raises(Invalid, match=local.too_early):
            await do(backend, "status", ident, status=local.closed)
        if not local.has("starts"):
            await do(backend, "status", ident, status=local.opened)
        with pytest.raises(Invalid):
            await do(backend, "status", ident, status=local.resolved)
        with pytest.raises(Invalid):
            await do(backend, "status", ident, status="No such")
        waiting = await do(backend, "status", ident, status=local.waiting, reason="a part")
        assert waiting.record.row.status == local.waiting and waiting.record.row.phase is Phase.PAUSED
        assert not local.has("pending") or (waiting.record.pending_reason == "a part" and waiting.record.row.due_at is None)
        if not local.has("solve waiting"):
            await do(backend, "status", ident, status=local.opened)
        solved = await do(backend, "status", ident, status=local.resolved, reason="new roller")
        assert solved.record.resolved_at and solved.record.row.phase is Phase.RESOLVED
        assert not local.has("resolution") or solved.record.resolution == "new roller"
        again = await do(backend, "status", ident, status=local.opened)
        assert again.record.resolved_at is None and again.record.row.phase is Phase.ACTIVE
        assert not local.has("reopened") or again.record.reopened == 1
        await do(backend, "status", ident, status=local.resolved, reason="really")
        closed = await do(backend, "status", ident, status=local.closed)
        assert closed.record.offered == () and closed.record.row.phase is Phase.CLOSED
        if local.has("finality"):
            with pytest.raises(Refused, match="open a new ticket"):
                await do(backend, "reply", ident, body="hello?")

    async def test_public_and_internal_are_told_apart(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        note = await backend.plan(Change("tickets", backend.name, "note", ident, values={"body": "secret"}), local.ana)
        assert note.public == ""
        reply = await backend.plan(Change("tickets", backend.name, "reply", ident, values={"body": "hello"}), local.ana)
        assert "PUBLIC" in reply.public and "jdoe@example.org" in reply.public
        await do(backend, "note", ident, body="secret")
        assert (await backend.ticket(ident)).first_response_at is None
        if not local.has("starts"):
            await do(backend, "status", ident, status=local.opened)
        await do(backend, "reply", ident, body="hello", status=local.resolved, reason="done")
        said = [(event.type, event.public, event.body) for event in (await backend.timeline(ident))[1:] if local.has("starts") or event.type in ("noted", "replied")]
        assert said == [("noted", False, "secret"), ("replied", True, "hello")]
        answered = await backend.ticket(ident)
        assert answered.row.status == local.resolved
        assert not local.has("first answer") or answered.first_response_at
        with pytest.raises(Invalid):
            await do(backend, "note", ident, body="   ")

    async def test_filters_pages_counts_positions(self, backend: Any, local: Local) -> None:
        before = await backend.counts()
        for number in range(12):
            await new(backend, f"ticket {number:02d}" + (" Ärger" if number == 7 else ""), queue=(local.other_queue if number % 3 == 0 else local.queue), priority=1 + number % 4)
        everything = await backend.tickets(local.mine(sort="number", descending=False))
        await do(backend, "take", everything.items[0].id)
        assert everything.total == 12
        assert (await backend.tickets(TicketQuery(queues=(local.other_queue,)))).total == 4
        assert (await backend.tickets(local.mine(priorities=(1, 2)))).total == 6
        assert [row.subject for row in (await backend.tickets(local.mine(text="ärger"))).items] == ["ticket 07 Ärger"]
        assert (await backend.tickets(local.mine(text="ärger", inverse=True))).total == 11
        assert (await backend.tickets(local.mine(assignees=(local.ana.login,)))).total == 1
        assert (await backend.tickets(local.mine(assignees=("",)))).total == 11
        query = local.mine(sort="priority", descending=False)
        whole = (await backend.tickets(query)).items
        paged = [row for start in range(0, 12, 5) for row in (await backend.tickets(query, start, 5)).items]
        assert [row.id for row in paged] == [row.id for row in whole] and [row.priority for row in whole] == sorted(row.priority for row in whole)
        assert [await backend.position(query, row.id) for row in whole] == (list(range(12)) if local.has("position") else [None] * 12)
        counted = await backend.counts()
        who = local.ana.login
        assert (counted.open - before.open, counted.unassigned - before.unassigned) == (12, 11)
        assert counted.new - before.new == (11 if local.has("starts") else 12)
        assert counted.by_assignee[who] - before.by_assignee.get(who, 0) == 1 and (local.scope or set(counted.by_assignee) == {who})

    async def test_links_are_found_from_the_other_side(self, backend: Any, local: Local) -> None:
        if await lacking(backend, local, "link", ref="accounts:dir:u7"):
            return
        ident = await new(backend, refs=["devices:here:web01"])
        await do(backend, "link", ident, ref="accounts:dir:u7")
        assert [row.id for row in (await backend.tickets(TicketQuery(ref="accounts:dir:u7"))).items] == [ident]
        await do(backend, "unlink", ident, ref="accounts:dir:u7")
        assert (await backend.tickets(TicketQuery(ref="accounts:dir:u7"))).total == 0
        with pytest.raises(Invalid):
            await do(backend, "link", ident, ref="nonsense")

    async def test_changes_are_told(self, backend: Any, local: Local) -> None:
        cursor, _ = await backend.changes(-1)
        ident = await new(backend)
        after, ids = await backend.changes(cursor)
        assert after > cursor and ids == (ident,)
        assert await backend.changes(after) == (after, ())

    async def test_an_unknown_verb_is_a_sentence(self, backend: Any, local: Local) -> None:
        with pytest.raises(Unsupported):
            await backend.plan(Change("tickets", backend.name, "explode", "x"), local.ana)

    # -- the whole desk -----------------------------------------------------------------------------------

    async def test_steal_names_the_holder_and_can_be_undone(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        with pytest.raises(Refused):
            await do(backend, "steal", ident)
        await do(backend, "take", ident)
        plan = await seat(backend, local.bob).plan(Change("tickets", backend.name, "steal", ident), local.bob)
        assert local.ana.login in plan.summary and plan.inverse.values == {"assignee": local.ana.login}
        assert (await do(backend, "steal", ident, local.bob)).record.row.assignee == local.bob.login

    async def test_a_team_and_a_person(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        if local.has("team"):
            assert (await do(backend, "assign", ident, team="Field")).record.row.team == "Field"
        else:
            with pytest.raises((Invalid, Unsupported)):
                await do(backend, "assign", ident, team="Field")
        done = (await do(backend, "assign", ident, assignee=local.bob.login)).record.row
        assert (done.team, done.assignee) == ("Field" if local.has("team") else "", local.bob.login)

    async def test_time_and_calls_add_up(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        await do(backend, "time", ident, minutes=20)
        called = (await do(backend, "log-call", ident, body="told her to restart", minutes=5)).record
        assert called.time_spent == 25 and called.row.phase is local.started
        assert not local.has("first answer") or called.first_response_at is not None
        with pytest.raises(Invalid):
            await do(backend, "time", ident, minutes=0)

    async def test_a_vendor_has_it_and_gives_it_back(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        if not local.has("starts"):
            await do(backend, "status", ident, status=local.opened)
        with pytest.raises(Invalid):
            await do(backend, "refer", ident, vendor="")
        away = (await do(backend, "refer", ident, vendor="Copier Co", reference="C-77", promised="2030-01-10", follow_up="2030-01-08")).record
        assert away.row.phase is Phase.PAUSED
        assert not local.has("pending") or (away.pending_until is not None and away.pending_until.isoformat() == "2030-01-08T12:00:00+00:00")
        assert [(one.vendor, one.reference, one.open) for one in away.referrals] == [("Copier Co", "C-77", True)]
        back = (await do(backend, "vendor-return", ident, body="new drum")).record
        assert back.row.phase is Phase.ACTIVE and not back.referrals[0].open
        with pytest.raises(Refused):
            await do(backend, "vendor-return", ident, body="again")

    async def test_ties_stand_on_both_sides(self, backend: Any, local: Local) -> None:
        one, two = await new(backend, "one"), await new(backend, "two")
        first = (await do(backend, "relate", one, kind="blocks", to=two)).record
        assert [(link.kind, link.to, link.subject) for link in first.links] == [("blocks", two, "two")]
        assert [(link.kind, link.to) for link in (await backend.ticket(two)).links] == [("blocked_by", one)]
        await do(backend, "unrelate", two, kind="blocked_by", to=one)
        assert not (await backend.ticket(one)).links and not (await backend.ticket(two)).links
        for wrong in ({"kind": "blocks", "to": one}, {"kind": "nonsense", "to": two}):
            with pytest.raises(Invalid):
                await do(backend, "relate", one, **wrong)

    async def test_merge_and_back(self, backend: Any, local: Local) -> None:
        source, target = await new(backend, "twice"), await new(backend, "once")
        merged = (await do(backend, "merge", source, into=target)).record
        if await lacking(backend, local, "unmerge"):
            assert (await backend.ticket(source)).row.id == merged.row.id == target, "the old number leads to the one it lives on as"
            with pytest.raises(BackendError):
                await do(backend, "merge", target, into=source)
            return
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

    async def test_split(self, backend: Any, local: Local) -> None:
        if await lacking(backend, local, "split", seqs=[2], subject="x"):
            return
        ident = await new(backend, "two things at once")
        await do(backend, "note", ident, body="and the phone is dead")
        await do(backend, "split", ident, seqs=[2], subject="Dead phone")
        found = (await backend.tickets(TicketQuery(text="dead phone"))).items
        assert len(found) == 1
        made = await backend.ticket(found[0].id)
        assert "phone is dead" in made.body and made.requester.login == "jdoe" and [link.to for link in made.links] == [ident]
        with pytest.raises(Invalid):
            await do(backend, "split", ident, seqs=[99], subject="x")

    async def test_watchers_are_added_and_removed(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        wanted = ["boss@example.org", *([local.bob.login] if local.has("followers") else [])]
        done = (await do(backend, "watch", ident, add=wanted)).record
        assert [person.email for person in done.watchers] == ["boss@example.org"] and done.followers == tuple(wanted[1:])
        plan = await backend.plan(Change("tickets", backend.name, "reply", ident, values={"body": "x"}), local.ana)
        assert "boss@example.org" in plan.public and local.bob.login not in plan.public.replace("boss", "")
        gone = (await do(backend, "watch", ident, remove=wanted)).record
        assert not gone.followers and not gone.watchers

    async def test_authority_is_asked_and_given_by_who_was_asked(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        if await lacking(backend, local, "approve") and await lacking(backend, local, "decide"):
            return
        asked = (await do(backend, "approve", ident, what="rights on payroll", by="bob")).record.approvals
        assert [(one.what, one.by, one.decision) for one in asked] == [("rights on payroll", "bob", "")]
        with pytest.raises(BackendError):
            await do(backend, "decide", ident, id="1", decision="approved")
        done = (await do(backend, "decide", ident, local.bob, id="1", decision="approved", document="form HR-17")).record.approvals[0]
        assert (done.decision, done.document) == ("approved", "form HR-17")
        with pytest.raises(Invalid):
            await do(backend, "decide", ident, local.bob, id="1", decision="refused")

    async def test_a_checklist(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        if await lacking(backend, local, "check"):
            return
        await do(backend, "check", ident, item="mailbox", done=False)
        assert (await do(backend, "check", ident, item="mailbox", done=True)).record.checklist == (("mailbox", True),)

    async def test_files_are_kept_by_content_under_safe_names(self, backend: Any, local: Local, tmp_path: Path) -> None:
        ident = await new(backend)
        path = tmp_path / "..\x1b]0;x\x07 a:b.txt"
        path.write_bytes(b"toner" * 1000)
        done = (await do(backend, "attach", ident, files=[{"path": str(path)}])).record
        assert [(file.size, file.mime) for file in done.attachments] == [(5000, "text/plain")]
        name = done.attachments[0].name
        assert not set("/\\:\x1b\x07") & set(name) and not name.startswith(".")
        assert b"".join([piece async for piece in backend.fetch(ident, done.attachments[0].id)]) == b"toner" * 1000
        plan = await backend.plan(Change("tickets", backend.name, "attach", ident, values={"files": [{"path": str(path)}]}), local.ana)
        path.write_bytes(b"another")
        if (await backend.ticket(ident)).attachments[0].size == 5000:
            path2 = tmp_path / "b.txt"
            path2.write_bytes(b"one")
            plan = await backend.plan(Change("tickets", backend.name, "attach", ident, values={"files": [{"path": str(path2)}]}), local.ana)
            path2.write_bytes(b"two")
            with pytest.raises(Conflict):
                await backend.apply(plan, local.ana, uuid.uuid4().hex)
        with pytest.raises(NotFound):
            [piece async for piece in backend.fetch(ident, "../../etc/passwd")]

    async def test_an_alert_is_one_ticket_until_it_is_closed(self, backend: Any, local: Local) -> None:
        if not local.has("dedupe"):
            return
        one = await new(backend, "disk full on fs01", dedupe_key="fs01:disk")
        assert await new(backend, "disk full on fs01", dedupe_key="fs01:disk", body="97 %") == one
        assert [event.type for event in await backend.timeline(one)] == ["created", "alerted"]
        await do(backend, "status", one, status=local.resolved, reason="cleaned")
        assert await new(backend, "disk full on fs01", dedupe_key="fs01:disk") != one

    async def test_a_priority_by_hand_stays_and_says_so(self, backend: Any, local: Local) -> None:
        ident = await new(backend)
        if not local.has("impact"):
            with pytest.raises((Invalid, Unsupported)):
                await do(backend, "edit", ident, impact=4)
            assert (await do(backend, "edit", ident, priority=1)).record.row.priority == 1
            return
        done = (await do(backend, "edit", ident, priority=1, priority_reason="the mayor is waiting")).record
        assert (done.row.priority, done.priority_reason) == (1, "the mayor is waiting")
        assert (await do(backend, "edit", ident, impact=4)).record.row.priority == 1

    async def test_promises_are_explained(self, backend: Any, local: Local) -> None:
        if not local.has("sla"):
            return
        ident = await new(backend, priority=2)
        ticket = await backend.ticket(ident)
        assert [target.what for target in ticket.sla] == ["first answer", "resolution"]
        assert ticket.row.due_at == ticket.sla[0].due_at and "left" in ticket.sla[0].text
        await do(backend, "reply", ident, body="on it")
        ticket = await backend.ticket(ident)
        assert ticket.sla[0].state == "met" and ticket.row.due_at == ticket.sla[1].due_at
        await do(backend, "status", ident, status=local.waiting, reason="part")
        ticket = await backend.ticket(ident)
        assert ticket.row.due_at is None and ticket.sla[1].state == "paused"

    async def test_people_are_found_by_a_part_of_their_name(self, backend: Any, local: Local) -> None:
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
