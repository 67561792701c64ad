"""The one write path, on real backends and against the seeded faulty one."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Plan
from backends.errors import BackendError, Conflict, NoSpace, NotAllowed, Refused, Uncertain
from console.config import BackendConfig, Config
from console.desk import Desk
from console.ledger import Ledger
from console.people import Identity
from console.perform import Confirmation, Performed, perform


async def yes(plan: Plan) -> Confirmation | None:
    return Confirmation(plan.confirm_word, "because")


async def no(plan: Plan) -> Confirmation | None:
    return None


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    config = Config(data=tmp_path, backends=(BackendConfig("tickets", "desk", "embedded"), BackendConfig("accounts", "dir", "embedded")))
    opened = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


async def create(desk: Desk, **values: Any) -> Performed:
    return await perform(desk, Change("tickets", "desk", "create", values={"subject": "Printer jam", **values}), confirm=yes)


def kinds(desk: Desk) -> list[str]:
    return [f"{record['kind']}:{record.get('outcome', '')}" for record in reversed(desk.ledger.read())]


async def test_a_write_leaves_intent_and_result(desk: Desk) -> None:
    done = await create(desk)
    assert done.outcome is not None and done.outcome.word == "done" and done.outcome.record.row.subject == "Printer jam"
    assert kinds(desk) == ["intent:", "result:done"]
    intent = desk.ledger.read()[1]
    assert (intent["actor"], intent["action"], intent["reason"]) == ("ana", "tickets.create", "because")
    assert desk.ledger.unfinished() == []


async def test_no_is_no(desk: Desk) -> None:
    left = await perform(desk, Change("tickets", "desk", "create", values={"subject": "x"}), confirm=no)
    assert left.outcome is None and not (desk.config.data / "ledger").exists()


async def test_a_dry_run_asks_nobody_and_writes_nothing(desk: Desk) -> None:
    async def never(plan: Plan) -> Confirmation | None:
        raise AssertionError("asked")

    dry = await perform(desk, Change("tickets", "desk", "create", values={"subject": "x"}), confirm=never, dry_run=True)
    assert dry.outcome is None and dry.plan.steps and not (desk.config.data / "ledger").exists()


async def test_read_only_and_roles_come_first(desk: Desk) -> None:
    desk.read_only = True
    with pytest.raises(Refused, match="read-only"):
        await create(desk)
    desk.read_only = False
    desk.actor = Actor("ana", "", "technician")
    assert (await create(desk)).outcome is not None


async def test_without_a_ledger_nothing_is_sent(desk: Desk) -> None:
    (desk.config.data / "ledger").write_text("a file stands where the folder should be")
    with pytest.raises(BackendError):
        await create(desk)
    backend = await desk.backend("tickets")
    from backends.tickets.model import TicketQuery

    assert (await backend.tickets(TicketQuery())).total == 0


class Faulty:
    """A ticket system that fails in a chosen way at a chosen place; everything else is the real one."""

    def __init__(self, inner: Any, how: str) -> None:
        self.inner, self.how, self.applied = inner, how, 0

    async def close(self) -> None:
        await self.inner.close()

    async def plan(self, change: Change, actor: Actor) -> Plan:
        plan: Plan = await self.inner.plan(change, actor)
        return plan

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        self.applied += 1
        if self.how == "conflict":
            raise Conflict("bob was faster", mine={"a": 1}, theirs={"a": 2})
        if self.how == "lost answer, done":
            await self.inner.apply(plan, actor, op_id)
            raise Uncertain("no answer")
        if self.how == "lost answer, not done":
            raise Uncertain("no answer")
        if self.how == "lies":
            return Outcome("done", "all fine", plan.change.target)
        if self.how == "crash":
            raise RuntimeError("a bug in the adapter")
        done: Outcome = await self.inner.apply(plan, actor, op_id)
        return done

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Any, Any]:
        if self.how == "blind":
            raise NoSpace("can't look")
        found: tuple[Any, Any] = await self.inner.read_back(plan, outcome)
        return found


CASES = [
    ("lost answer, done", "done"), ("lost answer, not done", "unknown"), ("lies", "refused"), ("blind", "unknown"), ("", "done"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "word"), CASES)
async def test_the_outcome_is_what_is_there_not_what_was_said(desk: Desk, how: str, word: str) -> None:
    made = await create(desk)
    assert made.outcome is not None
    place = desk.place("tickets", "desk")
    place.backend = Faulty(place.backend, how)
    done = await perform(desk, Change("tickets", "desk", "edit", made.outcome.target, values={"subject": "other"}), confirm=yes)
    assert done.outcome is not None and done.outcome.word == word
    assert place.backend.applied == 1, "never repeated by itself"
    assert kinds(desk)[-1] == f"result:{word}"


@pytest.mark.parametrize(("how", "error", "word"), [("conflict", Conflict, "refused"), ("crash", RuntimeError, "unknown")])
async def test_errors_leave_a_result_too(desk: Desk, how: str, error: type[Exception], word: str) -> None:
    made = await create(desk)
    assert made.outcome is not None
    place = desk.place("tickets", "desk")
    place.backend = Faulty(place.backend, how)
    with pytest.raises(error):
        await perform(desk, Change("tickets", "desk", "edit", made.outcome.target, values={"subject": "other"}), confirm=yes)
    assert kinds(desk)[-1] == f"result:{word}" and desk.ledger.unfinished() == []


async def test_work_on_an_account_is_noted_on_its_ticket(desk: Desk) -> None:
    made = await create(desk)
    assert made.outcome is not None
    accounts = await desk.backend("accounts")
    desk.store.load("accounts", [("u1", _account())])
    done = await perform(desk, Change("accounts", "dir", "disable", "u1"), confirm=yes, ticket=f"tickets:desk:{made.outcome.target}")
    assert done.outcome is not None and done.outcome.word == "done" and done.note == "", done
    assert (await accounts.account("u1")).enabled is False
    events = await (await desk.backend("tickets")).timeline(made.outcome.target)
    assert events[-1].type == "noted" and not events[-1].public and "because" in events[-1].body


async def test_a_dangerous_deed_needs_the_word(desk: Desk) -> None:
    desk.store.load("accounts", [("u1", _account())])

    async def careless(plan: Plan) -> Confirmation | None:
        return Confirmation("", "because")

    with pytest.raises(Refused):
        await perform(desk, Change("accounts", "dir", "disable", "u1"), confirm=careless)
    assert (await (await desk.backend("accounts")).account("u1")).enabled is True


def _account() -> dict[str, Any]:
    from backends.accounts.people_demo import people

    doc = dict(people(3, 20)[5])
    doc.pop("id")
    return {**doc, "enabled": True, "locked_at": "", "kind": "person"}


async def test_a_result_that_could_not_be_written_is_kept_and_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Ledger.append
    broken = {"on": True}

    def flaky(self: Ledger, kind: str, **fields: Any) -> int:
        if broken["on"] and kind == "result":
            raise NoSpace("full")
        return real(self, kind, **fields)

    monkeypatch.setattr(Ledger, "append", flaky)
    done = await create(desk)
    assert done.outcome is not None and done.outcome.word == "done" and "unwritten" in done.note
    broken["on"] = False
    again = await create(desk)
    assert again.note == "" and desk.ledger.unfinished() == []


async def test_danger_three_needs_a_second_person(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    made = await create(desk)
    assert made.outcome is not None
    original = backend.plan

    async def protected(change: Change, actor: Actor) -> Plan:
        return dataclasses.replace(await original(change, actor), danger=3, confirm_word="x")

    backend.plan = protected
    change = Change("tickets", "desk", "edit", made.outcome.target, values={"subject": "other"})
    with pytest.raises(NotAllowed):
        await perform(desk, change, confirm=yes)
    with pytest.raises(NotAllowed):
        await perform(desk, change, confirm=yes, approver="ana")
    assert (await perform(desk, change, confirm=yes, approver="bob")).outcome is not None
