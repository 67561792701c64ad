"""Every domain behind seeded misfortune: whatever goes wrong, what is said of a write agrees with what is there afterwards."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.accounts.embedded_docs import ACCOUNTS, GROUPS
from backends.accounts.people_demo import groups, people
from backends.contract import Actor, Change, Plan
from backends.errors import BackendError, BadConfig, Uncertain
from backends.faulty import Chaos, faulty
from backends.tickets.model import TicketQuery
from console.config import BackendConfig, Config
from console.desk import Desk
from console.people import Identity
from console.perform import Confirmation, perform

CHAOS = Chaos(20_261_124, 0.3)


async def yes(plan: Plan) -> Confirmation | None:
    return Confirmation(plan.confirm_word, "because")


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    config = Config(data=tmp_path, store_engine="sqlite", backends=(
        BackendConfig("tickets", "desk", "embedded"), BackendConfig("accounts", "dir", "embedded"),
        BackendConfig("devices", "fleet", "demo", {"devices": 60}), BackendConfig("backups", "nightly", "demo"),
    ))  # fmt: skip
    opened = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    staff = people(11, 40)
    opened.store.load(ACCOUNTS, [(person["id"], person) for person in staff])
    opened.store.load(GROUPS, [(group["id"], group) for group in groups(staff)])
    await opened.open()
    for domain in ("tickets", "accounts", "devices", "backups"):
        place = opened.place(domain)
        place.backend = faulty(place.backend, CHAOS)
    yield opened
    await opened.close()


async def attempt(desk: Desk, change: Change) -> tuple[str, Any]:
    """The outcome's word, or the error's name."""
    try:
        done = await perform(desk, change, confirm=yes)
    except BackendError as error:
        return type(error).__name__, None
    assert done.outcome is not None
    return done.outcome.word, done


async def test_tickets(desk: Desk) -> None:
    outer = desk.place("tickets").backend
    inner, chance, words = outer.inner, random.Random(3), Counter()  # type: ignore[var-annotated]
    for number in range(120):
        word, done = await attempt(desk, Change("tickets", "desk", "create", values={"subject": f"Number {number}"}))
        words[word] += 1
        there = (await inner.tickets(TicketQuery(text=f"number {number}"), 0, 500)).items
        there = tuple(row for row in there if row.subject == f"Number {number}")
        assert len(there) <= 1, "nothing is ever sent twice"
        if word == "done":
            assert len(there) == 1 and done.outcome.target == there[0].id
        elif word not in ("unknown", "partial"):
            assert not there, (word, outer.faults[-1])
        rows = (await inner.tickets(TicketQuery(), 0, 500)).items
        if not rows:
            continue
        row = chance.choice(rows)
        before = len(await inner.timeline(row.id))
        word, done = await attempt(desk, Change("tickets", "desk", "note", row.id, values={"body": f"note {number}"}))
        words[word] += 1
        bodies = [event.body for event in await inner.timeline(row.id)]
        assert len(bodies) - before in (0, 1)
        if word == "done":
            assert bodies.count(f"note {number}") == 1
        elif word not in ("unknown", "partial"):
            assert bodies.count(f"note {number}") == 0
    assert words["done"] > 60 and words["unknown"] > 3 and len(words) >= 4, words
    assert desk.ledger.verify().ok
    assert desk.ledger.unfinished() == []


async def test_accounts(desk: Desk) -> None:
    outer = desk.place("accounts").backend
    inner, words = outer.inner, Counter()  # type: ignore[var-annotated]
    from backends.accounts.model import AccountQuery

    rows = (await inner.accounts(AccountQuery(), 0, 100)).items
    for number in range(150):
        row = rows[number % len(rows)]
        enabled = (await inner.account(row.id)).enabled
        verb = "disable" if enabled else "enable"
        word, _ = await attempt(desk, Change("accounts", "dir", verb, row.id))
        words[word] += 1
        after = (await inner.account(row.id)).enabled
        changed = after != enabled
        if word == "done":
            assert changed
        elif word not in ("unknown", "partial"):
            assert not changed, (word, outer.faults[-1])
    assert words["done"] > 50 and len(words) >= 4, words
    assert desk.ledger.verify().ok and desk.ledger.unfinished() == []


async def test_devices_and_backups_read_with_typed_errors_only(desk: Desk) -> None:
    from backends.backups.model import BackupQuery
    from backends.devices.model import DeviceQuery

    devices, backups, seen = desk.place("devices").backend, desk.place("backups").backend, Counter()  # type: ignore[var-annotated]
    for _ in range(100):
        for read in (lambda: devices.devices(DeviceQuery()), lambda: backups.backups(BackupQuery())):
            try:
                seen[type(await read()).__name__] += 1
            except BackendError as error:
                seen[type(error).__name__] += 1
                assert error.hint or error.text
    assert seen["Page"] > 100 and seen["Unreachable"] > 3 and seen["AuthFailed"] > 1
    word, _ = await attempt(desk, Change("devices", "fleet", "check", (await devices.inner.devices(DeviceQuery())).items[0].id))
    assert word


async def test_the_same_seed_makes_the_same_misfortune(desk: Desk) -> None:
    async def run() -> list[Any]:
        outer = faulty(desk.place("tickets").backend.inner, Chaos(4, 0.5))
        for _ in range(40):
            try:
                await outer.counts()
            except BackendError:
                continue
        return [(fault.call, fault.what) for fault in outer.faults]

    assert await run() == await run() != []


async def test_uncertain_is_never_tried_again(desk: Desk) -> None:
    inner = desk.place("tickets").backend.inner
    tries: list[str] = []

    class Silent(type(inner)):  # type: ignore[misc]
        async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Any:
            tries.append(op_id)
            raise Uncertain("no answer")

    inner.__class__ = Silent
    desk.place("tickets").backend = inner
    word, _ = await attempt(desk, Change("tickets", "desk", "create", values={"subject": "once"}))
    assert word == "unknown" and len(tries) == 1


@pytest.mark.parametrize("text", ["x", "7", "7:2", "7:-1", "a:0.1"])
def test_a_broken_setting_is_said(text: str) -> None:
    with pytest.raises(BadConfig, match="DESKSIDE_CHAOS"):
        Chaos.read(text)


async def test_the_setting_reaches_every_backend_and_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKSIDE_CHAOS", "7:0")
    config = Config(data=tmp_path, backends=(BackendConfig("tickets", "desk", "embedded"),))
    desk = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    backend = await desk.backend("tickets")
    assert "CHAOS 7:0" in (await backend.health()).text
    await desk.close()
