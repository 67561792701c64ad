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
from backends.tickets.appending import TICKETS, timeline
from backends.tickets.drafts import Drafts
from backends.tickets.events import fold_all
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


class Counting:
    """The backend, and how often each operation was sent to it."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.sent = inner, Counter[str]()
        kind = type(inner)

        class Counted(kind):  # type: ignore[misc, valid-type]
            async def apply(counted, plan: Plan, actor: Actor, op_id: str) -> Any:
                self.sent[op_id] += 1
                return await super().apply(plan, actor, op_id)

        inner.__class__ = Counted


@pytest.mark.parametrize("seed", range(4))
async def test_what_was_typed_is_on_the_ticket_or_in_the_draft(desk: Desk, tmp_path: Path, seed: int) -> None:
    """The way of the screens: save the draft, perform, drop it on "done" alone. Intent and result of each that was sent stand in the ledger."""
    counting = Counting(desk.place("tickets").backend.inner)
    outer = desk.place("tickets").backend = faulty(counting.inner, Chaos(seed, 0.45))
    made = await counting.inner.plan(Change("tickets", "desk", "create", values={"subject": "one"}), desk.actor)
    ident = (await counting.inner.apply(made, desk.actor, "create")).target
    drafts, words = Drafts(tmp_path / "drafts", "ana"), Counter()  # type: ignore[var-annotated]
    typed: list[str] = []
    for number in range(60):
        verb, text = ("note", "reply")[number % 2], f"text {number}"
        typed.append(text)
        drafts.save(f"{verb}:{number}", text)
        word, done = await attempt(desk, Change("tickets", "desk", verb, ident, values={"body": text}))
        words[word] += 1
        if word == "done":
            drafts.drop(f"{verb}:{number}")
        if done is not None:
            assert counting.sent[done.op_id] <= 1, "Uncertain is not tried again"
    there = Counter(event.body for event in await counting.inner.timeline(ident))
    kept = set(drafts.list().values())
    assert all(there[text] <= 1 for text in typed) and all(there[text] == 1 or text in kept for text in typed)
    assert words["done"] > 8 and words["unknown"] > 0 and len(words) >= 4, words
    entries = [record for record in desk.ledger.read(500) if record["action"].startswith("tickets.")]
    by_op: dict[str, list[str]] = {}
    for record in entries:
        by_op.setdefault(record["op"], []).append(record["kind"])
    assert all(sorted(kinds) == ["intent", "result"] for kinds in by_op.values())
    assert set(counting.sent) - {"create"} <= set(by_op), "nothing is sent that the ledger did not know of before"
    told = Counter(str(record.get("outcome")) for record in entries if record["kind"] == "result")
    assert told["done"] == words["done"] and told["unknown"] == words["unknown"] and outer.faults


async def test_every_verb_of_the_desk_says_the_truth_behind_misfortune(desk: Desk) -> None:
    """Random verbs; "done" is on the ticket, an error before anything was sent left nothing, and each ticket stays the fold of its events."""
    inner, chance = desk.place("tickets").backend.inner, random.Random(9)
    counting, words, ids = Counting(inner), Counter(), []  # type: ignore[var-annotated]
    for number in range(4):
        plan = await inner.plan(Change("tickets", "desk", "create", values={"subject": f"n{number}"}), desk.actor)
        ids.append((await inner.apply(plan, desk.actor, f"create-{number}")).target)
    desk.place("tickets").backend = faulty(inner, Chaos(12, 0.3))
    for number in range(150):
        ident, other = chance.sample(ids, 2)
        verb, values = chance.choice((
            ("edit", {"subject": f"subject {number}"}), ("take", {}), ("release", {}), ("time", {"minutes": 5}), ("relate", {"kind": "relates", "to": other}),
            ("unrelate", {"kind": "relates", "to": other}), ("check", {"item": f"item {number % 5}", "done": True}), ("watch", {"add": [f"w{number}@example.org"]}),
            ("refer", {"vendor": "Copier Co"}), ("vendor-return", {"body": "back"}), ("log-call", {"body": f"call {number}", "minutes": 1}),
        ))  # fmt: skip
        before = {one: len(await inner.timeline(one)) for one in ids}
        word, done = await attempt(desk, Change("tickets", "desk", str(verb), ident, values=dict(values)))  # type: ignore[call-overload]
        words[word] += 1
        after = {one: len(await inner.timeline(one)) for one in ids}
        grown = sum(after.values()) - sum(before.values())
        assert grown <= 2
        if word == "done":
            assert grown >= 1
        elif word not in ("unknown", "partial"):
            assert grown == 0, (verb, word)
        assert done is None or counting.sent[done.op_id] <= 1
    assert words["done"] > 40 and words["unknown"] > 2, words
    for ident in ids:
        record = desk.store.get(TICKETS, ident)
        assert fold_all(timeline(desk.store, ident)) == record.doc
    assert desk.ledger.verify().ok and desk.ledger.unfinished() == []
