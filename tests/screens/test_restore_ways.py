"""The ways to a restore through the real app over the demo's backups: an account's mailbox, and what can be said on the check card."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backends.accounts.model import AccountQuery
from backends.backups.model import Snapshot
from backends.contract import Actor
from backends.restore.model import Destination, Wanted
from console.app import ConsoleApp
from console.demo import prepare_demo
from console.desk import Desk
from console.people import Identity
from console.restoring import Restores
from screens.base import ConsoleScreen
from screens.open_record import open_record
from screens.restore_check import RestoreCheckScreen
from screens.restore_flow import Chosen
from screens.restore_view import RestoreScreen
from screens.restores import RestoresScreen
from tests.screens.test_flows import shown, until


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    config = prepare_demo(7, 3, 5, 12, tmp_path / "county", cache=tmp_path / "cache")
    opened = Desk(replace(config, driver="stock"), Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


async def test_from_an_account_to_its_mailbox_and_back(desk: Desk, tmp_path: Path) -> None:
    account = (await (await desk.backend("accounts", "directory")).accounts(AccountQuery(), 0, 1)).items[0]
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "backups ok" in shown(app))
        assert isinstance(app.screen, ConsoleScreen)
        open_record(app.screen, f"accounts:directory:{account.id}")
        await until(pilot, lambda: "Accounts ›" in shown(app))
        await pilot.press("b")
        await until(pilot, lambda: f"The mailbox /var/vmail/{account.login}, from mail01:/var/vmail" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: f"/var/vmail/{account.login}  3 entries" in shown(app) and "cur/" in shown(app))
        await pilot.press("space", "r")
        await until(pilot, lambda: "where to?" in shown(app) and f"/var/vmail/{account.login}" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "Into the new folder:" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "or why?" in shown(app))
        await pilot.press(*"asked", "enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        assert "ana: asked" in shown(app) and "no live file is touched" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "It is over: done" in shown(app), 30)
        (folder,) = (tmp_path / "home").glob("restored-mail01-*")
        assert any(path.is_file() for path in folder.rglob("*"))
        await pilot.press("U")
        await until(pilot, lambda: "back:" in shown(app))
        await pilot.press("u")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "It is over: undone" in shown(app), 30)
        assert not folder.exists()


async def on_the_card(app: ConsoleApp, pilot: Pilot[int], desk: Desk, place: Path, **more: object) -> RestoreCheckScreen:
    """The check card of one file into a folder where another of its name lies."""
    await until(pilot, lambda: "backups ok" in shown(app))
    backend = await desk.backend("backups", "nightly")
    newest: Snapshot = backend._history()["fs01:/srv/share"][0]
    file = next(entry for entry in await backend.files(newest.id, b"/srv/share") if entry.kind == "file")
    place.mkdir(parents=True, exist_ok=True)
    (place / file.name).write_text("live")
    wanted = Wanted("nightly", newest.id, (file.path,), Destination("into", str(place).encode()))
    card = RestoreCheckScreen(Chosen(wanted, newest, reason="asked"))
    await app.push_screen(card)
    await until(pilot, lambda: card.plan is not None)
    return card


async def test_compared_by_content_on_the_card(desk: Desk, tmp_path: Path) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        card = await on_the_card(app, pilot, desk, tmp_path / "into")
        await until(pilot, lambda: "'1' is to be typed" in shown(app))
        first = card.plan
        await pilot.press("t")
        await until(pilot, lambda: card.plan is not None and card.plan is not first)
        assert card.plan is not None and card.plan.wanted.thorough
        await until(pilot, lambda: "the content compared too" in shown(app))
        await pilot.press("t")
        await until(pilot, lambda: "compared already" in shown(app))
        await pilot.press("O")
        await until(pilot, lambda: "Nothing is refused" in shown(app))


@pytest.mark.parametrize("role", ["admin", "supervisor"])
async def test_a_refusal_is_set_aside_by_an_admin_only(desk: Desk, tmp_path: Path, role: str) -> None:
    desk.actor = Actor("ana", "Ana", role)
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        place = Path("/etc/deskside-no-such-place")
        await until(pilot, lambda: "backups ok" in shown(app))
        backend = await desk.backend("backups", "nightly")
        newest = backend._history()["fs01:/srv/share"][0]
        file = next(entry for entry in await backend.files(newest.id, b"/srv/share") if entry.kind == "file")
        card = RestoreCheckScreen(Chosen(Wanted("nightly", newest.id, (file.path,), Destination("new", str(place).encode())), newest, reason="asked"))
        await app.push_screen(card)
        await until(pilot, lambda: "REFUSED" in shown(app) and card.plan is not None)
        await pilot.press("O")
        if role != "admin":
            await until(pilot, lambda: "setting a refusal aside needs the role admin, you are supervisor" in shown(app))
            assert card.plan is not None and card.plan.preview.refusals
            return
        await until(pilot, lambda: "Why is 'system' set aside" in shown(app))
        await pilot.press(*"really", "enter")
        await until(pilot, lambda: card.plan is not None and card.plan.wanted.overrides == ("system",))
        await until(pilot, lambda: "REFUSED" not in shown(app) and "is to be typed" in shown(app))
        await pilot.press("escape")
    assert not place.exists()


@pytest.mark.parametrize(("who", "reason", "able"), [
    ("technician", "replacing live files needs the role supervisor, you are technician", "not with your role"), ("reader", "the console is read-only", "read-only"), ("supervisor", "", "resume, discard"),
])  # fmt: skip
async def test_verbs_of_a_restore_are_grey_with_their_reason(desk: Desk, tmp_path: Path, who: str, reason: str, able: str) -> None:
    """R30: one that was confirmed and never began is cut off; who may not go on with it sees why, in its view, the list and the help."""
    backend = await desk.backend("backups", "nightly")
    newest = backend._history()["fs01:/srv/share"][0]
    file = next(entry for entry in await backend.files(newest.id, b"/srv/share") if entry.kind == "file")
    (tmp_path / file.name).write_text("live")
    plan = await Restores(desk).preview(Wanted("nightly", newest.id, (file.path,), Destination("into", str(tmp_path).encode())))
    Restores(desk).run(plan.run).note("planned", who={"actor": "ana", "ticket": ""})
    desk.actor, desk.read_only = Actor("ana", "Ana", "admin" if who == "reader" else who), who == "reader"
    app = ConsoleApp(desk)
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "1 restore was cut off" in shown(app))
        await app.push_screen(RestoresScreen())
        await until(pilot, lambda: "INTERRUPTED" in shown(app) and able in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "before anything was fetched" in shown(app))
        view = app.screen
        assert isinstance(view, RestoreScreen)
        await pilot.press("U")
        await until(pilot, lambda: ("take back: " + (reason if who == "reader" else "it is cut off")) in shown(app))
        grey = {piece[0].strip(): piece[1] for piece in view._legend_pieces()}
        assert grey["e"] == ("dim" if reason else "key") and grey["U"] == "dim" and grey["?"] == "key"
        if not reason:
            return
        await pilot.press("e")
        await until(pilot, lambda: f"resume: {reason}" in shown(app))
        await pilot.press("?")
        await until(pilot, lambda: "Keys of this view" in shown(app) and reason[:40] in shown(app))
