"""The demo county: what a seed makes, folders and the cache, colleagues who work, and clearing away after any end."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from backends.accounts.embedded import EmbeddedAccounts
from backends.accounts.embedded_docs import ACCOUNTS, GROUPS
from backends.accounts.model import AccountState
from backends.accounts.people_demo import agents, groups, login_for, people
from backends.contract import Site, now
from backends.errors import BadConfig, Invalid
from backends.options import read_options
from backends.store.opening import open_store
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.model import TicketQuery
from console.config import Config
from console.demo import CACHE_SECONDS, SITE, County, cache_key, prepare_demo
from console.demo_activity import Activity, start_activity
from console.demo_talk import CALLS

UNTIL = now().replace(microsecond=0, second=0)


# -- people -----------------------------------------------------------------------------------------


def test_people_are_the_same_for_a_seed() -> None:
    """Equal for equal arguments, other for another seed."""
    assert people(7, 300, UNTIL) == people(7, 300, UNTIL)
    assert people(7, 300, UNTIL) != people(8, 300, UNTIL)


@pytest.mark.parametrize("count", [1, 5, 12, 200, 5000])
def test_people_are_plausible(count: int) -> None:
    """As many as asked for; ids and logins unique, logins plain; managers and groups exist."""
    staff = people(3, count, UNTIL)
    logins = [person["login"] for person in staff]
    assert len(staff) == len(set(logins)) == len({person["id"] for person in staff}) == count
    assert all(login.isascii() and login == login.lower() and 0 < len(login) <= 20 for login in logins)
    assert {person["manager"] for person in staff} <= {"", *logins}
    known = {group["id"] for group in groups(staff)}
    assert all(set(person["groups"]) <= known for person in staff)
    assert {group["owner"] for group in groups(staff)} <= {"", *logins}


def test_people_of_a_county() -> None:
    """Names of many origins, every state a help desk sees, special accounts, and a help desk."""
    staff = people(7, 200, UNTIL)
    assert sum(not person["name"].isascii() for person in staff) > 20
    assert len({person["department"] for person in staff}) >= 12
    assert {person["kind"] for person in staff} == {"person", "temporary", "service", "shared", "emergency"}
    assert len(agents(staff)) >= 3
    assert all("555" in person["phone"] for person in staff if person["phone"])


def test_login_collisions() -> None:
    """More letters first, then numbers; accents fold."""
    taken: set[str] = set()
    made = []
    for _ in range(5):
        made.append(login_for("María", "O'Brien Núñez", taken))
        taken.add(made[-1])
    assert made == ["mobriennunez", "maobriennunez", "marobriennunez", "mobriennunez2", "mobriennunez3"]


# -- the county -------------------------------------------------------------------------------------

SMALL = {"seed": 5, "tickets": 60, "devices": 20, "people": 40}


def small(folder: Path, cache: Path, **other: Any) -> Config:
    """A county of sixty tickets."""
    return prepare_demo(**{**SMALL, **other}, folder=folder, cache=cache)


def contents(config: Config) -> dict[str, Any]:
    """Every record of its store."""
    store = open_store(config.data, config.store_engine)
    found = {name: {record.id: record.doc for record in store.select(name)} for name in store.collections()}
    store.close()
    return found


async def test_a_small_county(tmp_path: Path) -> None:
    """Configuration, four domains, as many records as asked for, in a TinyDB store."""
    config = small(tmp_path / "county", tmp_path / "cache")
    assert config.site_name == SITE and config.demo and config.store_engine == "tinydb"
    assert [(item.domain, item.name, item.adapter) for item in config.backends] == [
        ("tickets", "desk", "embedded"), ("devices", "fleet", "demo"), ("backups", "nightly", "demo"), ("accounts", "directory", "embedded"),
    ]  # fmt: skip
    store = open_store(config.data, config.store_engine)
    site = Site(store=store)
    tickets: Any = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), site)
    accounts = EmbeddedAccounts("directory", read_options(EmbeddedAccounts.OPTIONS, {}), site)
    await tickets.open()
    await accounts.open()
    page = await tickets.tickets(TicketQuery(), 0, 5)
    assert page.total == 60 and (await accounts.count()).total == 40
    assert len(await tickets.timeline(page.items[0].id)) >= 1
    store.close()


def test_numbers_are_checked(tmp_path: Path) -> None:
    """Nobody means a million devices or one person."""
    with pytest.raises(Invalid, match="--devices"):
        prepare_demo(devices=10**6, folder=tmp_path)
    with pytest.raises(Invalid, match="--people"):
        prepare_demo(people=1, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_is_used_again_and_never_taken(tmp_path: Path) -> None:
    """The same county stands; another one and somebody's files are refused and untouched."""
    config = small(tmp_path / "county", tmp_path / "cache")
    before = contents(config)
    said: list[str] = []
    again = prepare_demo(**SMALL, folder=tmp_path / "county", say=said.append)
    assert contents(again) == before and "already" in said[0]
    with pytest.raises(BadConfig, match="another demo"):
        small(tmp_path / "county", tmp_path / "cache", seed=6)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(BadConfig, match="not empty"):
        small(tmp_path / "mine", tmp_path / "cache")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "mine"


def test_temporary_folder_goes_when_preparing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left behind by a county that could not be made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_demo(**SMALL, cache=tmp_path / "cache", say=interrupted)
    assert list(tmp_path.iterdir()) == []


def test_cache_of_big_counties(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time is a copy with the same records; an old copy is not used; two are kept."""
    monkeypatch.setattr("console.demo.BATCH", 30)
    cache, said = tmp_path / "cache", list[str]()
    first = small(tmp_path / "one", cache)
    second = prepare_demo(**SMALL, folder=tmp_path / "two", cache=cache, say=said.append)
    assert said[0].startswith("Copied") and contents(first) == contents(second)
    kept = cache / cache_key(County(**SMALL)) / "complete"
    os.utime(kept, (time.time() - CACHE_SECONDS - 5,) * 2)
    said.clear()
    prepare_demo(**SMALL, folder=tmp_path / "three", cache=cache, say=said.append)
    assert said[0].startswith("Preparing")
    for seed in (6, 7):
        small(tmp_path / f"seed{seed}", cache, seed=seed)
    assert len(list(cache.iterdir())) == 2


# -- colleagues -------------------------------------------------------------------------------------


async def colleagues(folder: Path, seed: int) -> tuple[Any, Any, Activity]:
    """A directory, an empty help desk, and people who work there."""
    store, staff = open_store(folder), people(5, 60, UNTIL)
    store.load(ACCOUNTS, [(person["id"], person) for person in staff])
    store.load(GROUPS, [(group["id"], group) for group in groups(staff)])
    backend = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store))
    await backend.open()
    return store, backend, Activity(backend, store, seed)


async def test_colleagues_work(tmp_path: Path) -> None:
    """Of a hundred deeds none fails on the contract, and calls are opened, taken, answered and solved by people of IT."""
    store, backend, activity = await colleagues(tmp_path, 1)
    said = [await activity.step() for _ in range(100)]
    assert not [text for text in said if text.startswith("left: Not valid")], said
    page: Any = await backend.tickets(TicketQuery(), 0, 1000)
    assert page.total >= 20
    assert {"new", "active", "resolved"} <= {str(row.phase) for row in page.items}
    types = {event.type for row in page.items for event in await backend.timeline(row.id)}
    assert {"created", "taken", "replied", "noted", "status_changed"} <= types
    assert {row.assignee for row in page.items} - {""} <= set(agents(people(5, 60, UNTIL)))
    store.close()


async def test_colleagues_choose_the_same_for_a_seed(tmp_path: Path) -> None:
    """Same seed, same deeds on the same county."""
    said = []
    for name in ("one", "two"):
        store, _, activity = await colleagues(tmp_path / name, 4)
        said.append([await activity.step() for _ in range(30)])
        store.close()
    assert said[0] == said[1]


async def test_a_locked_out_clerk_is_seen_and_calls(tmp_path: Path) -> None:
    """The account is locked, and a ticket about it exists."""
    store, backend, activity = await colleagues(tmp_path, 2)
    accounts = EmbeddedAccounts("directory", read_options(EmbeddedAccounts.OPTIONS, {}), Site(store=store))
    before = (await accounts.count()).locked
    while (await accounts.count()).locked == before:
        await activity.step()
    found = await backend.tickets(TicketQuery(text="locked out"), 0, 10)
    ticket: Any = await backend.ticket(found.items[0].id)
    account = await accounts.account(ticket.refs[0].split(":")[2])
    assert account.row.state is AccountState.LOCKED
    store.close()


def test_calls_are_a_new_one_every_twenty_to_forty_seconds(tmp_path: Path) -> None:
    """By the pauses and the weights."""
    activity = Activity.__new__(Activity)
    activity._chance = random.Random(1)
    pauses = [activity.pause() for _ in range(500)]
    share = 10 / 23
    assert 20 <= sum(pauses) / len(pauses) / share <= 40
    assert len(CALLS) > 10


@pytest.mark.server
@pytest.mark.parametrize("remove", [True, False])
def test_colleagues_end_with_the_console(tmp_path: Path, remove: bool) -> None:
    """The pipe closes, the process ends, and a temporary county is gone - and only a temporary one."""
    config = small(tmp_path / "county", tmp_path / "cache")
    process = start_activity(config, 1, remove=remove)
    assert process.stdin is not None and process.poll() is None
    process.stdin.close()
    assert process.wait(20) == 0
    assert (tmp_path / "county").exists() is not remove
