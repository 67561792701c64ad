"""`deskside accounts` as it is typed: columns, JSON, exit codes, and writes through the one way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backends.accounts.embedded_docs import ACCOUNTS, GROUPS
from backends.accounts.people_demo import groups, people
from backends.store.opening import open_store
from console.cli.main import run

PROTECTED = {"payroll", "cjis-access", "election-systems", "domain-admins"}
CONFIG = """
[site]
name = "Test"
timezone = "America/Denver"
[roles]
default = "admin"
[accounts.directory]
adapter = "embedded"
"""


@pytest.fixture
def desk(tmp_path: Path) -> list[str]:
    """The words that open a directory of 60 people."""
    (tmp_path / "config.toml").write_text(CONFIG)
    store, staff = open_store(tmp_path / "data"), people(3, 60)
    store.load(ACCOUNTS, [(person["id"], person) for person in staff])
    store.load(GROUPS, [(group["id"], group) for group in groups(staff)])
    store.close()
    return ["--config", str(tmp_path / "config.toml"), "--data", str(tmp_path / "data"), "accounts"]


def answer(capsys: pytest.CaptureFixture[str], desk: list[str], *words: str) -> tuple[int, Any]:
    """Exit code and JSON of a command."""
    code = run([*desk, *words, "--json"])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_list_is_grave_first_and_versioned(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """JSON with its schema; the locked first; limits are said."""
    code, found = answer(capsys, desk, "list", "--limit", "5")
    assert code == 0 and found["schema_version"] == 1 and found["kind"] == "accounts" and found["total"] == 60
    assert len(found["items"]) == 5 and found["items"][0]["state"] == "LOCKED"
    assert run([*desk, "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["STATE", "LOGIN"] and len(lines) == 61


def test_filters(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """States, faults, groups; a wrong state is a usage error."""
    _, locked = answer(capsys, desk, "list", "--state", "locked,disabled")
    assert {item["state"] for item in locked["items"]} == {"LOCKED", "DISABLED"}
    _, helpers = answer(capsys, desk, "list", "--group", "helpdesk")
    assert {item["department"] for item in helpers["items"]} == {"Information Technology"}
    login = locked["items"][0]["login"]
    _, found = answer(capsys, desk, "search", login)
    assert login in {item["login"] for item in found["items"]}
    assert run([*desk, "list", "--state", "sleepy"]) == 2


def test_show_and_not_found(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By login and by id the same; 5 for nobody."""
    _, service = answer(capsys, desk, "show", "svc-backup")
    assert service["item"]["kind"] == "service" and service["item"]["groups"] == ["domain-admins"]
    _, same = answer(capsys, desk, "show", service["item"]["id"])
    assert same["item"]["login"] == "svc-backup"
    assert run([*desk, "show", "nobody-of-that-name"]) == 5
    assert run([*desk, "group", "no-such-group"]) == 5
    assert run([*desk, "list", "--backend", "other"]) == 5


def test_groups(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A list with counts, and one group with its people."""
    _, found = answer(capsys, desk, "groups", "admin")
    assert [item["name"] for item in found["items"] if item["protected"]] == ["domain-admins"]
    _, one = answer(capsys, desk, "group", "domain-admins")
    assert "svc-backup" in one["item"]["members"]


def first(capsys: pytest.CaptureFixture[str], desk: list[str], state: str) -> str:
    """The login of somebody in a state who is no member of a protected group."""
    _, found = answer(capsys, desk, "list", "--state", state)
    for item in found["items"]:
        _, one = answer(capsys, desk, "show", item["login"])
        if one["item"]["kind"] == "person" and not PROTECTED & set(one["item"]["groups"]):
            return str(item["login"])
    raise AssertionError(state)


def test_write_goes_the_one_way(desk: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Dry run writes nothing; --yes does it, the ledger holds intent and result; a second time is refused."""
    login = first(capsys, desk, "locked")
    code, dry = answer(capsys, desk, "unlock", login, "--dry-run")
    assert code == 0 and dry["item"]["dry_run"] and answer(capsys, desk, "show", login)[1]["item"]["locked"]
    code, done = answer(capsys, desk, "unlock", login, "--yes", "--reason", "called back")
    assert code == 0 and done["item"]["outcome"] == "done" and not answer(capsys, desk, "show", login)[1]["item"]["locked"]
    assert run([*desk, "unlock", login, "--yes"]) == 7
    capsys.readouterr()
    assert run([*desk[:-1], "ledger", "list", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)["items"]
    assert {record["kind"] for record in records} >= {"intent", "result"} and records[0]["action"] == "accounts.unlock"


def test_dangerous_and_protected(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal nothing is done unasked; a protected account needs a second person; grant and revoke undo each other."""
    login = first(capsys, desk, "ok")
    assert run([*desk, "disable", login]) == 7
    assert run([*desk, "disable", "breakglass", "--yes"]) == 4
    assert run([*desk, "disable", "breakglass", "--yes", "--approver", "boss"]) == 0
    capsys.readouterr()
    assert answer(capsys, desk, "show", "breakglass")[1]["item"]["state"] == "DISABLED"
    before = answer(capsys, desk, "show", login)[1]["item"]["groups"]
    group = next(name for name in ("fleet-keys", "public-web", "gis-editors") if name not in before)
    assert answer(capsys, desk, "grant", login, group, "--yes")[0] == 0
    assert group in answer(capsys, desk, "show", login)[1]["item"]["groups"]
    assert answer(capsys, desk, "revoke", login, group, "--yes")[0] == 0
    assert answer(capsys, desk, "show", login)[1]["item"]["groups"] == before


def test_expiry(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A date, nonsense, never."""
    login = first(capsys, desk, "ok")
    assert answer(capsys, desk, "expiry", login, "2031-12-31", "--yes")[0] == 0
    assert answer(capsys, desk, "show", login)[1]["item"]["expires"].startswith("2032-01-01T07:00")
    assert run([*desk, "expiry", login, "someday", "--yes"]) == 2
    capsys.readouterr()
    assert answer(capsys, desk, "expiry", login, "never", "--yes")[0] == 0
    assert answer(capsys, desk, "show", login)[1]["item"]["expires"] is None


def test_reading_directory_refuses_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """This machine's accounts are only read: 7 and a reason."""
    words = ["--data", str(tmp_path / "data"), "--config", str(tmp_path / "c.toml"), "accounts"]
    (tmp_path / "c.toml").write_text('[accounts.here]\nadapter = "posix"\nsystem = true\n')
    assert run([*words, "disable", "root", "--yes"]) == 7
    assert "only read here" in capsys.readouterr().err
