"""The embedded directory beyond the contract: the staff file, and windows over many people."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from backends.accounts.embedded import EmbeddedAccounts
from backends.accounts.embedded_docs import ACCOUNTS, loaded, state_conditions, state_of, stored
from backends.accounts.model import AccountQuery, AccountState
from backends.accounts.people_demo import people
from backends.contract import Actor, Change, Site, now
from backends.errors import BadConfig
from backends.options import read_options
from backends.store.opening import open_store

STAFF = """login,name,mail,department,groups,expires,kind
anunez,Ana Núñez,ana@x.example,Clerk,vpn;desk,,
temp1,Temp One,,Library,,2020-01-31,temporary
"""


def directory(folder: Path, engine: str = "tinydb", **options: Any) -> Any:
    """An empty directory."""
    return EmbeddedAccounts("dir", read_options(EmbeddedAccounts.OPTIONS, options), Site(store=open_store(folder / "store", engine)))


async def test_staff_file_fills_an_empty_directory(tmp_path: Path) -> None:
    """People, groups, ends; a second opening changes nothing."""
    (tmp_path / "staff.csv").write_text(STAFF, encoding="utf-8")
    backend = directory(tmp_path, staff=str(tmp_path / "staff.csv"))
    await backend.open()
    ana = await backend.account("anunez")
    assert (ana.row.name, ana.row.department, ana.groups, ana.enabled) == ("Ana Núñez", "Clerk", ("desk", "vpn"), True)
    assert (await backend.account("temp1")).row.state is AccountState.EXPIRED
    assert [group.name for group in await backend.groups()] == ["desk", "vpn"]
    cursor = (await backend.changes(-1))[0]
    await backend.open()
    assert (await backend.changes(-1))[0] == cursor


async def test_staff_file_never_undoes_what_people_did(tmp_path: Path) -> None:
    """A changed title follows; who was disabled stays disabled, and a removed line removes nobody."""
    path = tmp_path / "staff.csv"
    path.write_text(STAFF, encoding="utf-8")
    backend = directory(tmp_path, staff=str(path))
    await backend.open()
    ident = (await backend.account("anunez")).row.id
    plan = await backend.plan(Change("accounts", "dir", "disable", ident), Actor("tess"))
    await backend.apply(plan, Actor("tess"), "op")
    path.write_text("login,name,department\nanunez,Ana María Núñez,Finance\n", encoding="utf-8")
    await backend.open()
    ana = await backend.account("anunez")
    assert (ana.row.id, ana.row.name, ana.row.department, ana.row.state) == (ident, "Ana María Núñez", "Finance", AccountState.DISABLED)
    assert ana.row.mail == "ana@x.example" and (await backend.count()).total == 2
    assert [row.login for row in (await backend.accounts(AccountQuery(text="maria finance"))).items] == ["anunez"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("login\nx\n", "heading"),
        ("login,name,shoe\nx,X,1\n", "heading"),
        ("login,name\nX y,Name\n", ":2.*lower-case"),
        ("login,name\na,A\na,B\n", ":3.*twice"),
        ("login,name\na\n", ":2.*fields"),
        ("login,name,kind\na,A,ghost\n", ":2.*kind"),
        ("login,name,expires\na,A,tomorrow\n", ":2.*expires"),
        ("login,name\n-rf,X\n", ":2.*login"),
    ],
)
async def test_wrong_staff_file_names_the_line_and_changes_nothing(tmp_path: Path, text: str, words: str) -> None:
    """All or nothing, by file and line."""
    path = tmp_path / "staff.csv"
    path.write_text(text)
    backend = directory(tmp_path, staff=str(path))
    with pytest.raises(BadConfig, match=words):
        await backend.open()
    assert (await backend.count()).total == 0


async def test_missing_staff_file(tmp_path: Path) -> None:
    """Said, not raised through."""
    with pytest.raises(BadConfig, match="can't be read"):
        await directory(tmp_path, staff=str(tmp_path / "no.csv")).open()
    (tmp_path / "latin.csv").write_bytes("login,name\na,Núñez\n".encode("latin-1"))
    with pytest.raises(BadConfig, match="UTF-8"):
        await directory(tmp_path, staff=str(tmp_path / "latin.csv")).open()


@pytest.mark.parametrize("engine", ["tinydb", "sqlite"])
async def test_conditions_agree_with_the_state_of_each(tmp_path: Path, engine: str) -> None:
    """What the store selects as LOCKED is what is shown as LOCKED, and nobody is in two states or none."""
    backend = directory(tmp_path, engine)
    store, view = backend._site.store, backend._view()
    store.load(ACCOUNTS, [(person["id"], person) for person in people(2, 400)])
    found = {state: {record.id for record in store.select(ACCOUNTS, where)} for state, where in state_conditions(view).items()}
    assert sum(len(ids) for ids in found.values()) == 400 == len(set().union(*found.values()))
    for record in store.select(ACCOUNTS):
        assert record.id in found[state_of(record.doc, view)]


async def test_five_thousand_people(tmp_path: Path) -> None:
    """Loading a window and counting stay far under what a person feels."""
    backend = directory(tmp_path, "sqlite")
    backend._site.store.load(ACCOUNTS, [(person["id"], person) for person in people(2, 5000)])
    await backend.open()
    for query in (AccountQuery(sort="severity", descending=True), AccountQuery(text="garcia"), AccountQuery(sort="name")):
        began = time.perf_counter()
        page = await backend.accounts(query, 0, 50)
        assert page.total and time.perf_counter() - began < 0.5
    began = time.perf_counter()
    assert (await backend.count()).total == 5000 and time.perf_counter() - began < 0.25


async def test_a_lock_runs_out_by_itself(tmp_path: Path) -> None:
    """The state follows the clock without a write."""
    backend = directory(tmp_path)
    person = {**people(2, 12)[0], "locked_at": "2026-01-01T00:00:00Z", "locked_until": "2026-01-01T00:30:00Z"}
    backend._site.store.load(ACCOUNTS, [(person["id"], person)])
    assert (await backend.account(person["login"])).row.state is AccountState.OK
    assert (await backend.count()).locked == 0


def test_times_are_stored_so_that_text_order_is_time_order() -> None:
    """One width, UTC; anything else is no time."""
    at = now().replace(microsecond=0)
    assert loaded(stored(at)) == at and loaded("2026-13-01T00:00:00Z") is None and loaded(None) is None and stored(None) is None
