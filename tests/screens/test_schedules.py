"""Recurring tickets through the real app: made with a preview, skipped, paused, run, removed; the newest ticket opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.contract import Actor
from console.app import ConsoleApp
from console.config import BackendConfig, Config
from console.desk import Desk
from console.people import Identity
from tests.screens.test_flows import shown, until


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    config = Config(data=tmp_path, driver="stock", timezone="America/Chicago", backends=(BackendConfig("tickets", "desk", "embedded"),))
    opened = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_made_skipped_paused_run_removed(desk: Desk, size: tuple[int, int]) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "No tickets in the view" in shown(app))
        await pilot.press(":", *"schedules", "enter")
        await until(pilot, lambda: "No recurring tickets yet" in shown(app))
        await pilot.press("n")
        for label, typed in (("subject", "Clean filters"), ("How often", "weekdays 07:30"), ("Queue", "network"), ("Checklist", "one; two"), ("How long before", "")):
            await until(pilot, lambda label=label: label in shown(app))  # type: ignore[misc]
            await pilot.press(*["space" if letter == " " else letter for letter in typed], "enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        assert shown(app).count("07:30") >= 5 and "date 5" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "S-1" in shown(app) and "coming" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: "why?" in shown(app))
        await pilot.press(*"moved", "enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "moved (ana)" in shown(app))
        await pilot.press("p")
        await until(pilot, lambda: "Pause, why?" in shown(app))
        await pilot.press(*"works", "enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "by ana: works" in shown(app))
        await pilot.press("x")
        await until(pilot, lambda: "Run now" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "run by hand" in shown(app))
        await pilot.press("X")
        await until(pilot, lambda: "type S-1" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "type S-1" not in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Checklist" in shown(app) and "T-1001" in shown(app))
