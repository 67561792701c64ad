"""Lists through the real app: two ticket systems in one list, queues and views, what is kept, mistakes in a filter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Page, Site
from backends.errors import BackendError, Unreachable
from backends.options import read_options
from backends.store.opening import open_store
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.model import TicketQuery, TicketRow
from console.app import ConsoleApp
from console.config import BackendConfig, Config
from console.desk import Desk
from console.people import Identity
from tests.screens.test_flows import shown, until

ANA = Actor("ana", "Ana", "admin")


class Remote(EmbeddedTickets):
    """A second ticket system with a store of its own, that can be made to fail or to hang."""

    down: BackendError | None = None
    gate: asyncio.Event | None = None

    async def tickets(self, query_: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """As ever, while it can be reached."""
        if self.gate is not None:
            await self.gate.wait()
        if self.down is not None:
            raise self.down
        return await super().tickets(query_, offset, limit)


class TwoSystems(Desk):
    """A desk whose second ticket system has a store of its own."""

    def make_backend(self, item: BackendConfig) -> Any:
        """The second one is `rt`."""
        if item.name != "rt":
            return super().make_backend(item)
        place = self.config.data / "remote"
        place.mkdir(exist_ok=True)
        return Remote("rt", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=open_store(place, "sqlite"), data=str(place)))


def a_desk(place: Path, two: bool = True) -> Desk:
    names = ("desk", "rt") if two else ("desk",)
    config = Config(site_name="Test County", data=place, driver="stock", store_engine="sqlite", backends=tuple(BackendConfig("tickets", name, "embedded") for name in names))
    return (TwoSystems if two else Desk)(config, Identity(ANA, 0))


@pytest.fixture(autouse=True)
def no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = a_desk(tmp_path)
    yield opened
    await opened.close()


async def write(desk: Desk, name: str, verb: str, target: str = "", **values: Any) -> str:
    backend = await desk.backend("tickets", name)
    plan = await backend.plan(Change("tickets", name, verb, target, values=values), ANA)
    return str((await backend.apply(plan, ANA, f"{name}{verb}{target}{values}")).target)


async def remote(desk: Desk) -> Remote:
    found: Remote = await desk.backend("tickets", "rt")
    return found


async def test_two_systems_in_one_list_one_of_them_failing(desk: Desk) -> None:
    for number in range(3):
        await write(desk, "desk", "create", subject=f"here {number}", queue="Network")
        await write(desk, "rt", "create", subject=f"there {number}", queue="Systems")
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Tickets 6" in shown(app))
        lines = [line for line in shown(app).splitlines() if "T-100" in line]
        assert sum(" desk " in f"{line} " for line in lines) == 3 and sum(" rt " in f"{line} " for line in lines) == 3
        await pilot.press("space", "space")
        await until(pilot, lambda: "2 marked" in shown(app))
        await pilot.press("u")
        await pilot.press("slash", *"queue:sys", "enter")
        await until(pilot, lambda: "Tickets 3" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Tickets 6" in shown(app))
        server = await remote(desk)
        server.down = Unreachable("no answer within 10 s")
        await pilot.press("R")
        await until(pilot, lambda: "rt: stale 0s: no answer" in shown(app))
        assert "Tickets 6" in shown(app) and shown(app).count("rt stale") == 3
        await pilot.press(*":view all", "enter")
        await until(pilot, lambda: "Tickets 3" in shown(app) and "rt: left out" in shown(app))
        await pilot.press(*":query", "enter")
        await until(pilot, lambda: "rt: left out: no answer within 10 s" in shown(app))
        await pilot.press("enter")
        server.down = None
        await pilot.press("R")
        await until(pilot, lambda: "Tickets 6" in shown(app) and "left out" not in shown(app))


async def test_one_that_hangs_comes_in_when_it_answers(desk: Desk) -> None:
    await write(desk, "desk", "create", subject="here")
    await write(desk, "rt", "create", subject="there")
    server = await remote(desk)
    server.gate = asyncio.Event()
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Tickets 1" in shown(app) and "rt: no answer yet" in shown(app))
        await pilot.press("j", "t")
        await until(pilot, lambda: "Take T-1001 here" in shown(app))
        await pilot.press("escape")
        server.gate.set()
        await until(pilot, lambda: "Tickets 2" in shown(app) and "no answer" not in shown(app))


async def test_queues_views_and_what_is_kept_over_a_restart(tmp_path: Path) -> None:
    desk = a_desk(tmp_path, two=False)
    for number in range(4):
        await write(desk, "desk", "create", subject=f"ticket {number} {'toner' if number % 2 else 'cable'}", queue="Network" if number < 3 else "Systems", priority=1 + number)
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Tickets 4" in shown(app))
        await pilot.press("v")
        await until(pilot, lambda: "which view?" in shown(app) and "queue Network  3 open, 3 new" in shown(app))
        await pilot.press("b")
        await until(pilot, lambda: "Tickets 3" in shown(app) and "Network" in shown(app).splitlines()[0] + shown(app))
        await pilot.press("slash", *"cable", "enter")
        await until(pilot, lambda: "Tickets 2" in shown(app) and "/cable" in shown(app))
        await pilot.press(*":save cables", "enter")
        await until(pilot, lambda: "Saved as the view cables: queue:Network cable" in shown(app))
        await pilot.press(*":view systems", "enter")
        await until(pilot, lambda: "Tickets 1" in shown(app))
        await pilot.press("v", "8")
        await until(pilot, lambda: "Tickets 2" in shown(app) and "cables" in shown(app))
        await pilot.press(*":save mine", "enter")
        await until(pilot, lambda: "of its own" in shown(app))
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: "Sorted by priority" in shown(app))
        await pilot.press("j")
        key = app.desk_screen().pane().grid.cursor_key
        await pilot.press("slash", *"ticket", "enter")
        await until(pilot, lambda: "/ticket" in shown(app))
        await pilot.press("j")
    await desk.close()
    assert key is not None
    again = a_desk(tmp_path, two=False)
    other = ConsoleApp(again)
    async with other.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Tickets 2" in shown(other) and "cables /ticket" in shown(other))
        source = other.desk_screen().pane().source
        assert source.order() == ("priority", False)
        await until(pilot, lambda: other.desk_screen().pane().grid.cursor == 1)
        await pilot.press(*":unsave cables", "enter")
        await until(pilot, lambda: "is gone" in shown(other))
    await again.close()


async def test_the_wrong_word_is_marked_and_the_line_stays(tmp_path: Path) -> None:
    desk = a_desk(tmp_path, two=False)
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No tickets in the view" in shown(app))
        await pilot.press("slash", *"jam quue:x", "enter")
        await until(pilot, lambda: "did you mean queue" in shown(app))
        lines = shown(app).splitlines()
        place = next(number for number, line in enumerate(lines) if "^" in line)
        assert lines[place].index("^") == lines[place - 1].index("quue:x") and "jam quue:x" in lines[place + 1]
        await pilot.press("escape")
        await until(pilot, lambda: "^" not in shown(app) and app.desk_screen().pane().source.typed == "")
    await desk.close()


async def test_a_filter_is_cleared_to_its_view(tmp_path: Path) -> None:
    desk = a_desk(tmp_path, two=False)
    one = await write(desk, "desk", "create", subject="done one")
    await write(desk, "desk", "create", subject="open one")
    await write(desk, "desk", "status", one, status="Resolved", reason="x")
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "Tickets 1" in shown(app))
        await pilot.press("slash", *"status:all", "enter")
        await until(pilot, lambda: "Tickets 2" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "Tickets 1" in shown(app) and "open one" in shown(app))
    await desk.close()
