"""A few flows through the real app on a real desk: what a technician does, key by key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from backends.contract import Actor, Change
from backends.devices.model import DeviceQuery
from backends.tickets.model import TicketQuery
from console.app import ConsoleApp
from console.config import BackendConfig, Config
from console.desk import Desk
from console.people import Identity
from console.perform import Confirmation, perform
from screens.open_record import open_record


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    config = Config(
        site_name="Test County", data=tmp_path, driver="stock",
        backends=(BackendConfig("tickets", "desk", "embedded"), BackendConfig("devices", "fleet", "demo", {"devices": 40}), BackendConfig("accounts", "dir", "embedded")),
    )  # fmt: skip
    opened = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


async def yes(plan: Any) -> Confirmation:
    return Confirmation()


async def until(pilot: Pilot[Any], true: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        await pilot.pause()
        await asyncio.sleep(0)


def shown(app: ConsoleApp) -> str:
    screen = app.screen
    return "\n".join(widget.render_line(y).text for widget in screen.walk_children() if hasattr(widget, "redraw") and widget.display for y in range(widget.size.height))


async def test_new_ticket_take_note_resolve(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "No tickets in the view" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "subject" in shown(app))
        await pilot.press(*"Jam", "enter")
        await pilot.press(*"bob", "enter")
        await pilot.press("enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "T-1001" in shown(app))
        await pilot.press("t")
        await until(pilot, lambda: "Take T-1001" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Done: Take" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: "Internal note on" in shown(app))
        await pilot.press(*"seen", "escape")
        await until(pilot, lambda: "send it" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Done: note" in shown(app))
    backend = await desk.backend("tickets")
    row = (await backend.tickets(TicketQuery())).items[0]
    assert row.assignee == "ana" and [event.type for event in await backend.timeline(row.id)] == ["created", "taken", "noted"]
    assert app.drafts.list() == {}


async def test_what_is_typed_survives_a_kill(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        from screens.compose import ComposeScreen

        async def send(text: str) -> bool:
            return False

        app.push_screen(ComposeScreen("Note", "internal", "note:x", send))
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen) and app.focused is not None and app.focused.id != "grid" and app.screen.query("ComposeArea:focus"))
        await pilot.press(*"half", "space", *"sente")
        await until(pilot, lambda: app.drafts.load("note:x") == "half sente")
    again = ConsoleApp(desk)
    async with again.run_test(size=(120, 40)) as pilot:
        again.push_screen(ComposeScreen("Note", "internal", "note:x", send))
        await until(pilot, lambda: "half sente" in (again.screen.query_one("ComposeArea").text if again.screen.query("ComposeArea") else ""))


async def test_filter_help_views_panes_and_small_terminal(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.screen.query("Tabs"))
        await pilot.press("2")
        await until(pilot, lambda: "Devices 40" in shown(app))
        await pilot.press("slash", *"fs01", "enter")
        await until(pilot, lambda: "Devices 1" in shown(app) and "/fs01" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Checks" in shown(app))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "Devices 40" in shown(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: "Keys of this view" in shown(app))
        assert "downtime" in shown(app)
        await pilot.press("escape")
        await pilot.press("d")
        await until(pilot, lambda: "can't do that" in shown(app))
        await pilot.press("colon", *"nonsense", "enter")
        await until(pilot, lambda: "is no command" in shown(app))
        await pilot.press("colon", *"theme ansi-dark", "enter")
        await until(pilot, lambda: app.theme == "ansi-dark")


async def test_read_only_greys_the_verbs_and_says_why(desk: Desk) -> None:
    desk.read_only = True
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "READ-ONLY" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "read-only" in shown(app))


async def test_every_key_that_is_named_below_works_there(desk: Desk) -> None:
    device = (await (await desk.backend("devices")).devices(DeviceQuery(), 0, 1)).items[0]
    about = f"devices:fleet:{device.id}"
    await perform(desk, Change("tickets", "desk", "create", values={"subject": "Jam", "refs": [about]}), confirm=yes)
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "T-1001" in shown(app))
        for reference in ("", about, "tickets:desk:T-1001"):
            if reference:
                open_record(app.screen, reference)
            await until(pilot, lambda: app.screen.handlers)
            assert not set(app.screen.LEGEND) - set(app.screen.handlers), type(app.screen).__name__
        for name in ("help", "jobs", "ledger", "wall"):
            app.show(name, app.screen)
            await until(pilot, lambda: app.screen.handlers)
            assert not set(app.screen.LEGEND) - set(app.screen.handlers), name


async def test_a_jump_from_the_list_goes_to_what_is_linked(desk: Desk) -> None:
    await desk.backend("devices")
    await perform(desk, Change("tickets", "desk", "create", values={"subject": "Jam"}), confirm=yes)
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "T-1001" in shown(app))
        await pilot.press("J")
        await until(pilot, lambda: "Nothing is linked" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Timeline" in shown(app))
        await pilot.press("colon", *"link devices:fleet:sw-city-hall-1", "enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Done: Link" in shown(app))
        await pilot.press("escape")
        await pilot.press("J")
        await until(pilot, lambda: "Devices ›" in shown(app))
    assert [entry["kind"] for entry in desk.ledger.read() if entry.get("action") == "tickets.link"] in (["intent", "result"], ["result", "intent"])


async def test_the_wall_never_says_none_of_what_it_has_not_heard(desk: Desk) -> None:
    from screens.wall_state import gather_wall

    wall = await gather_wall(desk)
    assert {tile.name: tile.number for tile in wall.tiles if tile.name != "backups not OK"} == dict.fromkeys(
        ("tickets open", "overdue", "new", "unassigned", "devices not OK", "accounts locked")
    )
    assert wall.blocks[0].empty == "not known yet" and wall.tiles[0].note == "opening"
    await desk.open()
    wall = await gather_wall(desk)
    assert wall.tiles[0].number == 0 and wall.blocks[1].empty == "none is overdue"
