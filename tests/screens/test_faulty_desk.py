"""The screen behind misfortune: what was typed stays, the list stays, and both say what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change
from backends.errors import BackendError, Conflict, RateLimited, Refused, Uncertain, Unreachable
from console.app import ConsoleApp
from console.config import BackendConfig, Config
from console.desk import Desk
from console.people import Identity
from screens.pane import Pane
from tests.screens.test_flows import shown, until


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    config = Config(site_name="Test County", data=tmp_path, driver="stock", backends=(BackendConfig("tickets", "desk", "embedded"),))
    opened = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    backend = await opened.backend("tickets")
    for number in range(3):
        plan = await backend.plan(Change("tickets", "desk", "create", values={"subject": f"Jam {number}", "queue": "Service desk"}), opened.actor)
        await backend.apply(plan, opened.actor, f"create-{number}")
    yield opened
    await opened.close()


def bewitch(backend: Any, applies: list[BackendError], lists: list[BackendError]) -> list[str]:
    """The next writes and lists fail as told, the last error of `lists` for as long as it stands there; the list of operations sent."""
    sent: list[str] = []

    class Bewitched(type(backend)):  # type: ignore[misc]
        async def apply(self, plan: Any, actor: Actor, op_id: str) -> Any:
            sent.append(op_id)
            if applies:
                raise applies.pop(0)
            return await super().apply(plan, actor, op_id)

        async def tickets(self, *args: Any, **named: Any) -> Any:
            if lists:
                raise lists[0]
            return await super().tickets(*args, **named)

    backend.__class__ = Bewitched
    return sent


async def test_what_was_typed_stays_until_it_is_sent(desk: Desk) -> None:
    """Every kind of failure in its turn; each time the words are in the text, in the draft on disk, and not sent again by themselves."""
    app, backend = ConsoleApp(desk), await desk.backend("tickets")
    errors = [Unreachable("no route"), Uncertain("sent, no answer"), Conflict("somebody was faster"), Refused("no"), RateLimited(5.0)]
    sent = bewitch(backend, list(errors), [])
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Jam 0" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: "Internal note on" in shown(app) and app.screen.query("ComposeArea:focus"))
        await pilot.press(*"typed")
        for number, error in enumerate(errors, 1):
            await pilot.press("escape")
            await until(pilot, lambda: "What shall happen" in shown(app))
            await pilot.press("s")
            await until(pilot, lambda: "enter does it" in shown(app))
            await pilot.press("enter")
            said = "unknown" if isinstance(error, Uncertain) else error.title.lower()
            await until(pilot, lambda said=said, number=number: len(sent) == number and said in shown(app).lower())
            if isinstance(error, Conflict):
                await until(pilot, lambda: "Which shall stand?" in shown(app))
                await pilot.press("escape")
                await until(pilot, lambda: "Left; nothing was done" in shown(app))
            assert app.screen.query_one("ComposeArea").text == "typed" and list(app.drafts.list().values()) == ["typed"]  # type: ignore[attr-defined]
        await pilot.press("escape")
        await until(pilot, lambda: "What shall happen" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.drafts.list() == {} and "Done: note" in shown(app))
    assert len(sent) == len(set(sent)) == len(errors) + 1
    assert desk.ledger.unfinished() == [] and [record["kind"] for record in desk.ledger.read()].count("intent") >= len(sent)


async def test_the_list_stays_when_the_system_goes(desk: Desk) -> None:
    app, backend = ConsoleApp(desk), await desk.backend("tickets")
    lists: list[BackendError] = []
    bewitch(backend, [], lists)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Jam 2" in shown(app))
        lists.append(Unreachable("no answer within 10 s"))
        await pilot.press("R")
        await until(pilot, lambda: "desk: stale" in shown(app) and "no answer within" in shown(app))
        assert all(f"Jam {number}" in shown(app) for number in range(3)), "what was there stays there"
        await pilot.press("j", "j")
        lists.clear()
        await pilot.press("R")
        await until(pilot, lambda: "stale" not in shown(app) and "Jam 1" in shown(app))


async def test_a_pane_that_was_hidden_says_in_full_what_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    parts = (BackendConfig("tickets", "desk", "embedded"), BackendConfig("backups", "demo", "demo"), BackendConfig("backups", "far", "no-such"))
    desk = Desk(Config(site_name="Test County", data=tmp_path, driver="stock", backends=parts), Identity(Actor("ana", "Ana", "admin"), 0))
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "1 Tickets" in shown(app))
        hidden = next(pane for pane in app.screen.query(Pane) if pane.source.domain == "backups")
        await until(pilot, lambda: hidden.grid.window.total > 0)
        await pilot.press("3")
        await until(pilot, lambda: "far: left out: configuration" in shown(app))
    await desk.close()
