"""Who may restore what, over the demo's backups: the role it needs, who has it, and that a refusal is in the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backends.contract import Actor
from backends.errors import BadConfig, NotAllowed
from backends.restore.model import Destination, Preview, RestorePlan, Wanted
from console.config import Config, Roles, load_config
from console.desk import Desk
from console.people import Identity
from console.perform import perform
from console.restore_rights import deeds, lacking, needed, who_may
from console.restoring import Restores
from tests.screens.test_flows import yes

ROLES = Roles(admins=("ana",), supervisors=("sue",), technicians=("tom",))
NOT_OWN = b"/root"
"""Root's, who never owns a mailbox here."""


def plan(kind: str, replaces: int = 0, removes: int = 0, overrides: tuple[str, ...] = ()) -> RestorePlan:
    wanted = Wanted("nightly", "s", (b"/srv/share",), Destination(kind, NOT_OWN), overrides=overrides)  # type: ignore[arg-type]
    return RestorePlan("r1", wanted, Preview(replaces=replaces, removes=removes), "")


@pytest.fixture
async def config(tmp_path: Path) -> Config:
    (tmp_path / "c.toml").write_text('[tickets.desk]\nadapter = "embedded"\n[backups.nightly]\nadapter = "demo"\nseed = 7\n')
    return replace(load_config(tmp_path / "c.toml", tmp_path / "data"), roles=ROLES)


def as_(config: Config, role: str) -> Desk:
    login = {"admin": "ana", "supervisor": "sue", "technician": "tom"}[role]
    return Desk(config, Identity(Actor(login, login.capitalize(), role), 0))


@pytest.fixture
async def tom(config: Config) -> AsyncIterator[Desk]:
    desk = as_(config, "technician")
    yield desk
    await desk.close()


TABLE = [
    (plan("new"), "technician"), (plan("into"), "technician"), (plan("original"), "technician"), (plan("into", replaces=1), "supervisor"),
    (plan("original", replaces=3), "supervisor"), (plan("mailbox"), "supervisor"), (plan("postgres"), "supervisor"), (plan("host"), "admin"),
    (plan("host", replaces=1), "admin"), (plan("original", replaces=1, removes=1), "admin"), (plan("new", overrides=("space",)), "admin"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "role"), TABLE)
async def test_who_may_what(config: Config, what: RestorePlan, role: str) -> None:
    order = ["technician", "supervisor", "admin"]
    for name in order:
        desk = as_(config, name)
        why = lacking(desk, desk.actor, deeds(what))
        assert (why == "") is (order.index(name) >= order.index(role)), (name, why)
        if why:
            assert f"needs the role {role}, you are {name}" in why and "ana (admin)" in why and "tom" not in why


async def test_the_site_gives_other_roles_but_not_for_setting_aside(config: Config) -> None:
    def given(**roles: str) -> Desk:
        return as_(replace(config, restore={"roles": roles}), "technician")

    assert needed(given(replace="technician", new="admin"), ["replace"])[0] == "technician"
    assert needed(given(new="admin"), ["new", "missing"]) == ("admin", "a new folder on this host")
    for wrong in ({"override": "technician"}, {"replaces": "admin"}, {"host": "chief"}):
        with pytest.raises(BadConfig, match=r"restore\.roles"):
            needed(given(**wrong), ["new"])
    assert who_may(Roles(), "admin") == "nobody is named for it in [roles]"


async def test_a_refusal_names_who_may_and_is_in_the_ledger(tom: Desk, tmp_path: Path) -> None:
    work = Restores(tom)
    source = await work.source("nightly")
    newest = source._history()["fs01:/srv/share"][0]  # type: ignore[attr-defined]
    file = next(entry for entry in await source.files(newest.id, b"/srv/share") if entry.kind == "file")  # type: ignore[attr-defined]
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / file.name).write_text("live")

    def wanted(kind: str, **more: object) -> Wanted:
        return Wanted("nightly", newest.id, (file.path,), Destination(kind, str(tmp_path / "into").encode()), **more)  # type: ignore[arg-type]

    for early in (replace(wanted("host"), destination=Destination("host", b"", "h", user="root")), wanted("into", overrides=("space",), override_reason="x")):
        with pytest.raises(NotAllowed, match="needs the role admin"):
            await work.preview(early)
    found = await work.preview(wanted("into"))
    assert found.preview.replaces == 1 and "replacing live files needs the role supervisor" in work.lacking(found)
    with pytest.raises(NotAllowed, match=r"you are technician; who may: ana \(admin\), sue \(supervisor\)"):
        await perform(tom, work.change(found), confirm=yes, reason="asked", via=work)
    assert work.run(found.run).state() == "planned" and not tom.jobs.list() and await work.interrupted() == []
    lines = [line for line in tom.ledger.read() if line.get("outcome") == "refused"]
    assert len(lines) == 3 and {line["actor"] for line in lines} == {"tom"} and any("supervisor" in line["error"] for line in lines), lines
    work.only_looking = True
    looked = await perform(tom, work.change(found), confirm=yes, dry_run=True, via=work)
    assert any("supervisor" in text for text in looked.plan.missing), "a dry run says it, and is no attempt"
    assert len([line for line in tom.ledger.read() if line.get("outcome") == "refused"]) == 3
