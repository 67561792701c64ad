"""The desk's logic without a screen: time, fairness, conflicts, batches, calls, who is where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from backends.accounts.embedded_docs import ACCOUNTS, GROUPS
from backends.accounts.people_demo import groups, people
from backends.contract import Actor, Change
from backends.errors import Conflict, Invalid, Refused
from backends.tickets.model import Person
from console.batch import MOST, Batch, Deed
from console.calls import CallLine, chosen_category, only_one, propose, read_call, room_of, who_is
from console.config import BackendConfig, Config
from console.conflicts import differences, fields_asked, kept
from console.desk import Desk
from console.fair import Absence, loads, ranked, read_absence
from console.live import Live
from console.people import Identity
from console.perform import Confirmation, perform
from console.presence import Presence
from console.spent import minutes_spent


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    config = Config(
        data=tmp_path, teams={"Net": ("bob", "eve")}, absent=(Absence("eve"),),
        backends=(BackendConfig("tickets", "desk", "embedded", {"agents": ["ana", "bob", "eve"]}), BackendConfig("accounts", "dir", "embedded"),
                  BackendConfig("devices", "fleet", "demo", {"devices": 40})),
    )  # fmt: skip
    opened = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


async def make(desk: Desk, **values: Any) -> str:
    async def yes(plan: Any) -> Confirmation:
        return Confirmation()

    done = await perform(desk, Change("tickets", "desk", "create", values={"subject": "Printer jam", **values}), confirm=yes)
    assert done.outcome is not None
    return done.outcome.target


def change(verb: str, target: str, **values: Any) -> Change:
    return Change("tickets", "desk", verb, target, values=values)


@pytest.mark.parametrize(
    ("text", "minutes", "words"),
    [("45", 45, ""), ("1h15m", 75, ""), ("1h15 replaced drum", 75, "replaced drum"), ("2h", 120, ""), ("1:05 x", 65, "x"), ("1.5h", 90, ""), ("0,5 h call", 30, "call"),
     ("20 min - call", 20, "call"), ("5m", 5, ""), ("90 minutes", 90, ""), ("5 3rd floor", 5, "3rd floor")],
)  # fmt: skip
def test_time_as_people_say_it(text: str, minutes: int, words: str) -> None:
    assert minutes_spent(text) == (minutes, words)


@pytest.mark.parametrize("text", ["", "soon", "0", "1h75x", "99999999", "-5"])
def test_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        minutes_spent(text)


def test_who_has_least_and_is_here() -> None:
    away = [read_absence("bob 2026-12-01..2026-12-08"), read_absence("eve")]
    assert [load.login for load in loads(["ana", "bob", "eve", "cy"], {"ana": 2, "bob": 0}, away, date(2026, 12, 8))] == ["cy", "ana"]
    assert [load.login for load in loads(["ana", "bob"], {"ana": 2}, away, date(2026, 12, 9))] == ["bob", "ana"]


async def test_the_people_of_a_team(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    assert [load.login for load in await ranked(desk, backend, "net")] == ["bob"]
    assert [load.login for load in await ranked(desk, backend)] == ["ana", "bob"]


def test_a_conflict_field_by_field() -> None:
    error = Conflict("x", mine={"subject": "a", "tags": [], "phase": "new"}, theirs={"subject": "b", "tags": ["t"]})
    assert [(one.field, one.mine, one.theirs) for one in differences(error)] == [("subject", "a", "b"), ("tags", "nothing", "t")]
    mine = change("edit", "1", subject="a", tags=["x"], event={}, was={})
    assert fields_asked(mine) == ["subject", "tags"]
    again = kept(mine, ["tags"])
    assert again is not None and dict(again.values) == {"subject": "a"} and kept(mine, ["tags", "subject"]) is None
    lost = kept(change("take", "1"))
    assert lost is not None and lost.verb == "steal"


async def test_a_batch_says_what_became_of_each(desk: Desk) -> None:
    one, two, three = [await make(desk) for _ in range(3)]
    backend = await desk.backend("tickets")
    await backend.apply(await backend.plan(change("take", two), Actor("bob", "Bob")), Actor("bob", "Bob"), "op")
    batch = Batch(desk, "take", [Deed(name, change("take", target)) for name, target in (("T-1", one), ("T-2", two), ("T-3", three))])
    await batch.plan()
    assert batch.possible() == 2 and batch.deeds[1].word == "refused"
    heard: list[int] = []
    await batch.run(progress=lambda now_: heard.append(now_.counts().get("done", 0)))
    assert batch.sentence() == "2 done, 1 refused (T-2: bob has it)" and batch.exit_code() == 3 and heard[-1] == 2


async def test_the_steps_of_a_ticket_stop_at_the_first_that_fails(desk: Desk) -> None:
    one, two = [await make(desk) for _ in range(2)]
    steps = [("status", {"status": "Resolved", "reason": "r"}), ("status", {"status": "Closed"}), ("take", {}), ("note", {"body": "n"})]
    batch = Batch(desk, "m", [Deed(target, change(verb, target, **values), group=target) for target in (one, two) for verb, values in steps])
    await batch.plan()
    assert [deed.word for deed in batch.deeds[:4]] == ["waiting", "later", "waiting", "waiting"]
    await batch.run()
    assert [deed.word for deed in batch.deeds] == ["done", "done", "refused", "skipped"] * 2 and batch.exit_code() == 3


async def test_a_batch_is_stopped_between_two(desk: Desk) -> None:
    targets = [await make(desk) for _ in range(4)]
    batch = Batch(desk, "take", [Deed(target, change("take", target)) for target in targets])
    await batch.plan()
    await batch.run(progress=lambda so_far: so_far.stop() if so_far.counts().get("done") == 2 else None)
    assert [deed.word for deed in batch.deeds] == ["done", "done", "stopped", "stopped"]
    with pytest.raises(Refused, match="too many"):
        Batch(desk, "x", [Deed("x", change("take", "x"))] * (MOST + 1))


async def test_a_reply_is_not_sent_to_others_than_were_shown(desk: Desk) -> None:
    target = await make(desk, requester={"email": "joe@example.org"})
    batch = Batch(desk, "r", [Deed("T-1", change("reply", target, body="x"))])
    await batch.plan()
    backend = await desk.backend("tickets")
    await backend.apply(await backend.plan(change("watch", target, add=["press@example.org"]), Actor("bob", "Bob")), Actor("bob", "Bob"), "op")
    await batch.run()
    assert batch.deeds[0].word == "refused" and "press@example.org" in batch.deeds[0].text
    assert [event.type for event in await backend.timeline(target)] == ["created", "watched"]


def test_a_call_is_read_as_it_is_typed() -> None:
    assert read_call("jdoe printer jam in 214 #printing !2") == CallLine("jdoe", "printer jam in 214", "printing", 2)
    assert read_call('"maria lopez" no dial tone') == CallLine("maria lopez", "no dial tone") and read_call("") == CallLine()
    assert read_call('"maria lo') == CallLine("maria lo") and read_call("jdoe costs $5 # !x").subject == "costs $5 # !x"
    assert chosen_category("web", ("web site", "network")) == "web site"
    with pytest.raises(Invalid):
        chosen_category("x", ("web site",))
    assert room_of("jam in 214", Person(location="Shop 103")) == "Room 214" and room_of("jam in 103", Person(location="Shop 103")) == "Shop 103"


async def test_a_caller_brings_place_device_category_and_queue(desk: Desk) -> None:
    await desk.open()
    staff = people(3, 30)
    desk.store.load(ACCOUNTS, [(person["id"], person) for person in staff])
    desk.store.load(GROUPS, [(group["id"], group) for group in groups(staff)])
    doc = next(person for person in staff if person.get("phone") and person.get("room"))
    found = await who_is(desk, doc["login"])
    person = only_one(found, doc["login"])
    assert person is not None and person.login == doc["login"] and person.location
    desk.links.add(f"accounts:dir:{doc['id']}", "devices:fleet:pc-7")
    for _ in range(2):
        old = await make(desk, subject="Toner smears on paper", category="printing", queue="Systems", requester={"login": "x"})
        backend = await desk.backend("tickets")
        await backend.apply(await backend.plan(change("status", old, status="Resolved", reason="drum"), Actor("bob", "Bob")), Actor("bob", "Bob"), f"op-{old}")
    await make(desk, subject="Still open", requester={"login": doc["login"], "phone": "+1 307 555 7500"})
    around = await propose(desk, person, "smears again in 9", ("printing", "network"))
    assert (around.category, around.queue, around.location) == ("printing", "Systems", "Room 9") and "solved before" in around.why
    assert ("devices:fleet:pc-7", f"pc-7  linked to {doc['login']}") in around.devices and [row.subject for row in around.open] == ["Still open"]
    assert doc["login"] in [one.login for one in await who_is(desk, "555-7500")]


def test_who_is_at_which_ticket(tmp_path: Path) -> None:
    live, presence = Live(tmp_path / "live.sqlite"), Presence("ana")
    for login, what in (("ana", "T-1"), ("bob", "T-1"), ("eve", "T-1 writes"), ("cy", "")):
        live.note_seat(login, what)
    assert presence.look(live) == {"T-1"} and presence.words("T-1") == "bob looks at it, eve writes" and presence.look(live) == set()
    live.leave_seat("eve")
    live.note_seat("bob", "T-2")
    assert presence.look(live) == {"T-1", "T-2"} and presence.words("T-1") == "" and presence.words("T-2") == "bob looks at it"
    live.close()


async def test_words_nobody_knows_are_found_by_the_doctor(tmp_path: Path) -> None:
    from console.config import load_config
    from console.doctor import examine

    file = tmp_path / "c.toml"
    file.write_text(
        '[tickets.desk]\nadapter = "embedded"\n[macros.a]\nsteps = [{status = "open"}, {queue = "Nowhere"}]\n[templates.t]\nsubject = "x"\ncategory = "magic"\n'
    )  # fmt: skip
    opened = Desk(load_config(file, tmp_path / "data"), Identity(Actor("ana", "Ana", "admin"), 0))
    found = [finding.text for finding in await examine(opened) if finding.what == "macros"]
    await opened.close()
    assert found == ["[macros.a] step 2: queue 'Nowhere' is not known", "[templates.t]: category 'magic' is not known"]
