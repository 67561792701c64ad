"""What every accounts adapter promises, against a POSIX system's files and against the embedded directory on both local engines."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.accounts.contract import ChangesMembership, EnablesAccounts, ListsAccounts, SetsExpiry, UnlocksAccounts
from backends.accounts.embedded import EmbeddedAccounts
from backends.accounts.embedded_docs import ACCOUNTS, GROUPS
from backends.accounts.listing import folded
from backends.accounts.model import ACCOUNT_SEVERITY, AccountQuery, AccountState
from backends.accounts.people_demo import groups, people
from backends.accounts.posix import PosixAccounts
from backends.contract import Actor, Backend, Change, Site, Writes
from backends.errors import Conflict, Invalid, NotFound, Refused, Unsupported
from backends.faulty import Chaos, faulty
from backends.options import read_options
from backends.polling import Polled, Polls
from backends.store.opening import open_store
from tests.backends.accounts.test_posix import build

ACTOR = Actor("tess", "Tess Technician")


def posix(folder: Path) -> Any:
    """A system's files."""
    return PosixAccounts("dir", read_options(PosixAccounts.OPTIONS, {"root": str(build(folder / "root"))}), Site())


def embedded(folder: Path, engine: str) -> Any:
    """A directory of 120 people."""
    store, staff = open_store(folder / "store", engine), people(11, 120)
    store.load(ACCOUNTS, [(person["id"], person) for person in staff])
    store.load(GROUPS, [(group["id"], group) for group in groups(staff)])
    return EmbeddedAccounts("dir", read_options(EmbeddedAccounts.OPTIONS, {}), Site(timezone="America/Denver", store=store))


@pytest.fixture(params=["posix", "tinydb", "sqlite", "faulty"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """Each adapter, opened."""
    if request.param == "posix" and struct.calcsize("l") != 8:
        pytest.skip("the records are those of x86-64")
    found = posix(tmp_path) if request.param == "posix" else embedded(tmp_path, request.param.replace("faulty", "sqlite"))
    await found.open()
    yield faulty(found, Chaos(1, 0.0)) if request.param == "faulty" else found
    await found.close()


async def everybody(backend: Any, **query: Any) -> list[Any]:
    """All rows of a query."""
    return list((await backend.accounts(AccountQuery(**query), limit=10_000)).items)


async def test_shape(backend: Any) -> None:
    """Life cycle, reading and polling are there; health never raises."""
    assert isinstance(backend, Backend) and isinstance(backend, ListsAccounts) and isinstance(backend, Polls)
    assert (await backend.health()).word in ("ok", "warn")
    assert all(isinstance(item, Polled) for item in await backend.poll())


async def test_windows_are_the_list(backend: Any) -> None:
    """Windows laid side by side are the whole list, in its order, for every sort and direction."""
    for sort in ("severity", "login", "name", "last_login", "department"):
        for descending in (False, True):
            query = AccountQuery(sort=sort, descending=descending)
            whole = await backend.accounts(query, 0, 10_000)
            assert whole.total == len(whole.items)
            tiled = [row for offset in range(0, whole.total + 7, 7) for row in (await backend.accounts(query, offset, 7)).items]
            assert [row.id for row in tiled] == [row.id for row in whole.items]
            place = len(tiled) // 2
            assert await backend.position(query, tiled[place].id) == place
    assert await backend.position(AccountQuery(), "no-such-id") is None


async def test_sorted_by_severity(backend: Any) -> None:
    """Those who need help first."""
    grave = [ACCOUNT_SEVERITY[row.state] for row in await everybody(backend, sort="severity", descending=True)]
    assert grave == sorted(grave, reverse=True) and grave[0] == 4


async def test_missing_values_are_last(backend: Any) -> None:
    """Who was never seen stands at the end in either direction."""
    for descending in (False, True):
        seen = [row.last_login is not None for row in await everybody(backend, sort="last_login", descending=descending)]
        assert not all(seen) and seen == sorted(seen, reverse=True)


async def test_filters(backend: Any) -> None:
    """Text, its inverse, states, faults and groups split the list without loss."""
    rows = await everybody(backend)
    name = next(row for row in rows if row.name)
    found = await everybody(backend, text=name.login.upper())
    assert name.id in {row.id for row in found} and len(found) < len(rows)
    rest = await everybody(backend, text=name.login, inverse=True)
    assert {row.id for row in found} | {row.id for row in rest} == {row.id for row in rows} and len(found) + len(rest) == len(rows)
    for state in AccountState:
        assert {row.id for row in await everybody(backend, states=(state,))} == {row.id for row in rows if row.state is state}
    faults = {row.state for row in await everybody(backend, faults=True)}
    assert faults and faults <= {AccountState.LOCKED, AccountState.EXPIRED, AccountState.STALE}
    assert await everybody(backend, text="zzz no such zzz") == []


async def test_counts_are_the_list(backend: Any) -> None:
    """The figures on the wall are those of the list."""
    states = [row.state for row in await everybody(backend)]
    count = await backend.count()
    assert count.total == len(states)
    for field, state in (("locked", "LOCKED"), ("disabled", "DISABLED"), ("expired", "EXPIRED"), ("stale", "STALE")):
        assert getattr(count, field) == states.count(AccountState(state)) > 0


async def test_account_by_id_and_by_login(backend: Any) -> None:
    """The same person either way, agreeing with the line of the list."""
    for row in (await everybody(backend))[:20]:
        account = await backend.account(row.id)
        assert account.row.login == row.login and account.row.state is row.state and account.row.text == row.text
        assert (await backend.account(row.login)).row.id == row.id
        assert bool(account.lock.locked) is (row.state is AccountState.LOCKED)
    with pytest.raises(NotFound):
        await backend.account("no-such-person")


async def test_groups_and_members_agree(backend: Any) -> None:
    """Who is in a group says so; the list filtered by the group shows them."""
    found = await backend.groups()
    assert [group.name for group in found] == sorted(group.name for group in found)
    group = max(found, key=lambda group: len(group.members))
    member = await backend.account(group.members[0])
    assert group.name in member.groups
    listed = {row.login for row in await everybody(backend, group=group.name)}
    assert listed and listed <= set(group.members)
    assert (await backend.group(group.name)).id == (await backend.group(group.id)).id == group.id
    assert group in await backend.groups(group.name[:3].upper())
    with pytest.raises(NotFound):
        await backend.group("no-such-group")


# -- writing ----------------------------------------------------------------------------------------


@pytest.fixture(params=["tinydb", "sqlite"])
async def directory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    """The adapter that writes."""
    found = embedded(tmp_path, request.param.replace("faulty", "sqlite"))
    await found.open()
    yield faulty(found, Chaos(1, 0.0)) if request.param == "faulty" else found
    await found.close()


def change(verb: str, target: str, **values: Any) -> Change:
    """A change without a version: as it is now."""
    return Change("accounts", "dir", verb, target, values=values)


async def one(directory: Any, state: AccountState, **query: Any) -> Any:
    """An ordinary account in a state: nothing protects it."""
    for row in await everybody(directory, states=(state,), **query):
        account = await directory.account(row.id)
        if row.kind == "person" and not {"payroll", "cjis-access", "election-systems", "domain-admins"} & set(account.groups):
            return account
    raise AssertionError(f"nobody is {state}")


async def performed(directory: Any, wanted: Change, op_id: str = "op") -> tuple[Any, Any]:
    """Plan, apply, read back; what was expected is what is found."""
    plan = await directory.plan(wanted, ACTOR)
    assert plan.missing == ()
    outcome = await directory.apply(plan, ACTOR, op_id)
    found, record = await directory.read_back(plan, outcome)
    assert outcome.word == "done" and found == dict(plan.expected)
    return plan, record


async def test_writes_shape(directory: Any) -> None:
    """Every write verb is there; an unknown one is refused in our words."""
    for protocol in (Writes, UnlocksAccounts, EnablesAccounts, SetsExpiry, ChangesMembership):
        assert isinstance(directory, protocol)
    with pytest.raises(Unsupported):
        await directory.plan(change("explode", "x"), ACTOR)
    with pytest.raises(NotFound):
        await directory.plan(change("unlock", "no-such-person"), ACTOR)


async def test_unlock(directory: Any) -> None:
    """Clears the lock and the counter; nothing else of the account moves."""
    locked = await one(directory, AccountState.LOCKED)
    plan, after = await performed(directory, change("unlock", locked.row.id))
    assert plan.danger == 1 and plan.inverse is None and f"locked, {locked.lock.bad_count} bad passwords" == plan.steps[0].before
    assert after.row.state is not AccountState.LOCKED and after.lock.bad_count == 0
    assert (after.groups, after.row.mail, after.row.expires) == (locked.groups, locked.row.mail, locked.row.expires)
    assert after.enabled is locked.enabled
    again = await directory.plan(change("unlock", locked.row.id), ACTOR)
    assert again.missing and "is not locked" in again.missing[0]
    with pytest.raises(Refused):
        await directory.apply(again, ACTOR, "op2")


async def test_planning_writes_nothing(directory: Any) -> None:
    """The change feed stands still."""
    before = await directory.changes(-1)
    target = (await one(directory, AccountState.OK)).row.id
    for verb, values in (("disable", {}), ("expiry", {"expires": "2031-01-01"}), ("add-member", {"group": "fleet-keys"})):
        await directory.plan(change(verb, target, **values), ACTOR)
    assert await directory.changes(before[0]) == (before[0], ())


async def test_disable_and_its_inverse(directory: Any) -> None:
    """Danger 2, the login is typed; the inverse brings the account back as it was."""
    ok = await one(directory, AccountState.OK)
    cursor, _ = await directory.changes(-1)
    plan, after = await performed(directory, change("disable", ok.row.id))
    assert plan.danger == 2 and plan.confirm_word == ok.row.login and plan.inverse.verb == "enable"
    assert after.row.state is AccountState.DISABLED and after.enabled is False and after.groups == ok.groups
    assert (await directory.changes(cursor))[1] == (ok.row.id,)
    _, back = await performed(directory, plan.inverse, "op2")
    assert back.row.state is ok.row.state and back.enabled


async def test_expiry(directory: Any) -> None:
    """A date ends with its day at the site; the inverse restores the old end; nonsense is named; the past is dangerous."""
    ok = await one(directory, AccountState.OK)
    plan, after = await performed(directory, change("expiry", ok.row.id, expires="2031-06-30"))
    assert after.row.expires.isoformat() == "2031-07-01T06:00:00+00:00"
    _, back = await performed(directory, plan.inverse, "op2")
    assert back.row.expires == ok.row.expires
    with pytest.raises(Invalid, match="expires"):
        await directory.plan(change("expiry", ok.row.id, expires="soon"), ACTOR)
    past = await directory.plan(change("expiry", ok.row.id, expires="2020-01-01"), ACTOR)
    assert past.danger == 2 and "past" in past.side_effects[0]
    _, ended = await performed(directory, change("expiry", ok.row.id, expires="2020-01-01"), "op3")
    assert ended.row.state is AccountState.EXPIRED


async def test_membership(directory: Any) -> None:
    """One value goes in, the others stay, and it comes out again."""
    ok = await one(directory, AccountState.OK)
    name = next(group for group in ("fleet-keys", "public-web", "gis-editors") if group not in ok.groups)
    plan, after = await performed(directory, change("add-member", ok.row.id, group=name))
    assert set(after.groups) == {*ok.groups, name} and ok.row.login in (await directory.group(name)).members
    assert (await directory.plan(change("add-member", ok.row.id, group=name), ACTOR)).missing
    _, back = await performed(directory, plan.inverse, "op2")
    assert back.groups == ok.groups and ok.row.login not in (await directory.group(name)).members
    with pytest.raises(NotFound):
        await directory.plan(change("add-member", ok.row.id, group="no-such-group"), ACTOR)
    with pytest.raises(Invalid, match="group"):
        await directory.plan(change("add-member", ok.row.id), ACTOR)


async def test_protected_needs_a_second_person(directory: Any) -> None:
    """Protected groups, their members, services, emergency accounts and one's own account."""
    ok = await one(directory, AccountState.OK)
    plan = await directory.plan(change("add-member", ok.row.id, group="domain-admins"), ACTOR)
    assert plan.danger == 3 and plan.confirm_word == ok.row.login and "second person" in plan.side_effects[-1]
    for target in ("breakglass", "svc-backup", (await directory.group("domain-admins")).members[0]):
        assert (await directory.plan(change("disable", target), ACTOR)).danger == 3
    own = Actor(ok.row.login)
    assert (await directory.plan(change("expiry", ok.row.id, expires="2031-01-01"), own)).danger == 3


async def test_somebody_was_faster(directory: Any) -> None:
    """A plan on a version that moved on is refused with both sides, and changes nothing."""
    ok = await one(directory, AccountState.OK)
    mine = await directory.plan(change("disable", ok.row.id), ACTOR)
    await performed(directory, change("expiry", ok.row.id, expires="2031-01-01"), "theirs")
    with pytest.raises(Conflict) as caught:
        await directory.apply(mine, ACTOR, "mine")
    assert caught.value.mine["verb"] == "disable" and caught.value.theirs["expires"].startswith("2031")
    assert (await directory.account(ok.row.id)).enabled
    with pytest.raises(Conflict):
        await directory.plan(Change("accounts", "dir", "disable", ok.row.id, version=ok.row.version), ACTOR)


async def test_replay_is_a_no_op(directory: Any) -> None:
    """The same op_id twice changes once, even after somebody else changed the account back."""
    ok = await one(directory, AccountState.OK)
    plan = await directory.plan(change("disable", ok.row.id), ACTOR)
    await directory.apply(plan, ACTOR, "same")
    await performed(directory, plan.inverse, "back")
    cursor, _ = await directory.changes(-1)
    assert (await directory.apply(plan, ACTOR, "same")).word == "done"
    assert await directory.changes(cursor) == (cursor, ()) and (await directory.account(ok.row.id)).enabled


async def test_third_unlock_in_a_day_says_what_to_look_for(directory: Any) -> None:
    """A lock that comes back has a cause."""
    locked = await everybody(directory, states=(AccountState.LOCKED,))
    plans = [await directory.plan(change("unlock", row.id), ACTOR) for row in locked]
    assert any("old password on a phone" in " ".join(plan.side_effects) for plan in plans)
    assert not all("old password on a phone" in " ".join(plan.side_effects) for plan in plans)


async def test_search_finds_with_and_without_accents(directory: Any) -> None:
    """ "nunez" and "Núñez" are the same person."""
    marked = next(row for row in await everybody(directory) if not row.name.isascii() and row.kind == "person")
    plain = {row.id for row in await everybody(directory, text=marked.login)}
    assert marked.id in plain
    assert marked.id in {row.id for row in await everybody(directory, text=marked.name.upper())}
    assert marked.id in {row.id for row in await everybody(directory, text=folded(marked.name))}
