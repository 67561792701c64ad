"""The desk's work key by key: a call while one types, half-answered questions, macros, marked tickets, conflicts, taking back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change
from backends.devices.model import Check, Device, DeviceRow, State
from backends.tickets.model import TicketQuery
from console.alerting import ticket_values
from console.app import ConsoleApp
from console.canned import read_canned
from console.config import BackendConfig, Config
from console.desk import Desk
from console.macros import read_macro
from console.people import Identity
from console.perform import Confirmation, perform
from console.templates import read_template
from screens.compose import ComposeScreen
from screens.results import ResultScreen
from screens.ticket import TicketScreen
from tests.screens.test_flows import shown, until

BOB = Actor("bob", "Bob")


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    config = Config(
        data=tmp_path, driver="stock", next_after_action=True, backends=(BackendConfig("tickets", "desk", "embedded", {"agents": ["ana", "bob"]}),),
        macros=(read_macro("toner", {"steps": [{"take": True}, {"reply": "Dear {requester.first}", "status": "Waiting on vendor", "reason": "toner"}]}),),
        canned=(read_canned("hello", {"text": "{ticket.number} for {requester.name}"}),), templates=(read_template("room", {"subject": "Move to {room} on {day}"}),),
    )  # fmt: skip
    opened = Desk(config, Identity(Actor("ana", "Ana", "admin"), 0))
    for subject in ("First", "Second", "Third"):
        await do(opened, "create", "", subject=subject, requester={"login": "jdoe", "name": "Joe Doe", "email": "joe@example.org", "location": "Annex 3"})
    yield opened
    await opened.close()


async def do(desk: Desk, verb: str, target: str, **values: Any) -> str:
    async def yes(plan: Any) -> Confirmation:
        return Confirmation(plan.confirm_word)

    done = await perform(desk, Change("tickets", "desk", verb, target, values=values), confirm=yes)
    assert done.outcome is not None
    return done.outcome.target


async def rows(desk: Desk) -> dict[str, Any]:
    return {row.number: row for row in (await (await desk.backend("tickets")).tickets(TicketQuery(sort="number", descending=False))).items}


async def test_a_call_is_found_while_it_is_typed_and_kept_until_it_is_made(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(app))
        await pilot.press("P", *"joe")
        await until(pilot, lambda: "jdoe" in shown(app) and "Annex 3" in shown(app))
        await pilot.press("tab")
        await until(pilot, lambda: "call jdoe" in shown(app))
        await pilot.press(*"jam")
        await until(pilot, lambda: "jdoe jam" in str(app.drafts.list()))
    again = ConsoleApp(desk)
    async with again.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(again))
        await pilot.press("P")
        await until(pilot, lambda: "call jdoe jam" in shown(again))
        await pilot.press("enter")
        await until(pilot, lambda: "Notes" in shown(again) and "open already" in shown(again))
        await pilot.press("enter")
        await until(pilot, lambda: "enter does it" in shown(again))
        await pilot.press("enter")
        await until(pilot, lambda: "T-1004" in shown(again) and again.drafts.list() == {})
    row = (await rows(desk))["T-1004"]
    assert (row.subject, row.requester, row.location) == ("jam", "Joe Doe", "Annex 3")


async def test_a_half_answered_template_comes_back(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(app))
        await pilot.press("N", "1")
        await until(pilot, lambda: "Room:" in shown(app))
        await pilot.press(*"214", "enter")
        await until(pilot, lambda: "Day:" in shown(app))
        await pilot.press(*"Mon", "escape")
        await until(pilot, lambda: json.loads(app.drafts.load("form:template:room") or "{}") == {"field.room": "214", "field.day": "Mon"})
        await pilot.press("N", "1")
        await until(pilot, lambda: "Room: 214" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Day: Mon" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Requester" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.drafts.list() == {} and "T-1004" in shown(app))
    assert (await rows(desk))["T-1004"].subject == "Move to 214 on Mon"


async def test_marked_tickets_have_a_result_each_and_are_taken_back(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    second = (await rows(desk))["T-1002"].id
    await backend.apply(await backend.plan(Change("tickets", "desk", "take", second), BOB), BOB, "op")
    app = ConsoleApp(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "T-1001" in shown(app))
        await pilot.press("asterisk", "t")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and "2 of 3" in shown(app) and "bob has it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "2 done, 1 refused (T-1002: bob has it)" in shown(app))
        await pilot.press("escape", "Z")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and "Take back" in shown(app) and "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "2 done" in shown(app))
    assert [row.assignee for row in (await rows(desk)).values()] == ["", "bob", ""]


async def test_a_note_goes_to_all_marked_tickets_once(desk: Desk) -> None:
    first = (await rows(desk))["T-1001"].id
    await do(desk, "merge", first, into="1002")
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(app))
        await pilot.press("asterisk", "r")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen) and "2 marked tickets" in shown(app) and "requester of each" in shown(app))
        await pilot.press(*"down", "escape")
        await until(pilot, lambda: "send it" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ResultScreen) and "T-1003 PUBLIC: read by joe@example.org" in shown(app) and "2 of 2" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "2 done" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.desk_screen() and app.drafts.list() == {})
    backend = await desk.backend("tickets")
    for number, count in (("T-1001", 0), ("T-1002", 1), ("T-1003", 1)):
        assert len([event for event in await backend.timeline(number) if event.type == "replied"]) == count


async def test_a_macro_goes_on_to_the_next_ticket(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TicketScreen) and app.screen.record is not None)
        assert isinstance(app.screen, TicketScreen) and app.screen.record
        first = app.screen.record.row.number
        await pilot.press("i", "1")
        await until(pilot, lambda: "enter does it" in shown(app) and "joe@example.org" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TicketScreen) and app.screen.record is not None and app.screen.record.row.number != first)
        await until(pilot, lambda: len(app.screen_stack) == 2)
    row = (await rows(desk))[first]
    assert (row.status, row.assignee) == ("Waiting on vendor", "ana")


async def test_a_conflict_is_shown_and_mine_is_kept(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TicketScreen) and app.screen.record is not None)
        assert isinstance(app.screen, TicketScreen) and app.screen.record
        ident = app.screen.record.row.id
        await pilot.press("e", "s")
        await until(pilot, lambda: "New subject:" in shown(app))
        await pilot.press("ctrl+u", *"Mine", "enter")
        await until(pilot, lambda: "enter does it" in shown(app))
        await backend.apply(await backend.plan(Change("tickets", "desk", "edit", ident, values={"subject": "Theirs"}), BOB), BOB, "op")
        await pilot.press("enter")
        await until(pilot, lambda: "mine   Mine" in shown(app) and "theirs Theirs" in shown(app))
        await pilot.press("m")
        await until(pilot, lambda: "Theirs → Mine" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Z takes it back" in shown(app))
    assert (await backend.ticket(ident)).row.subject == "Mine" and app.drafts.list() == {}


async def test_a_reply_says_who_reads_it_takes_canned_text_and_solves(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(app))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen) and "to joe@example.org" in shown(app))
        screen = app.screen
        assert isinstance(screen, ComposeScreen) and screen.seat.endswith("writes")
        await pilot.press("f2", "1")
        await until(pilot, lambda: "for Joe Doe" in screen._area.text)
        await pilot.press("f4")
        await until(pilot, lambda: "Time spent" in shown(app))
        await pilot.press(*"1h15m", "enter")
        await until(pilot, lambda: "75 min" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "send and solve" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: "PUBLIC: read by joe@example.org" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.desk_screen() and app.drafts.list() == {})
    backend = await desk.backend("tickets")
    solved = [row for row in (await rows(desk)).values() if row.status == "Resolved"]
    assert len(solved) == 1 and (await backend.ticket(solved[0].id)).time_spent == 75


async def test_colleagues_are_seen_in_the_list_in_the_view_and_above_a_reply(desk: Desk) -> None:
    app = ConsoleApp(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "T-1003" in shown(app))
        row = app.desk_screen().panes[0].grid.window.row(0)
        assert row is not None
        number = row.cells[0]
        desk.live.note_seat("bob", number)
        await until(pilot, lambda: f"{number}*" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "bob looks at it" in shown(app))
        assert ("ana", number) in [(seat.login, seat.what) for seat in desk.live.seats()]
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen) and "bob looks at it" in shown(app))
        desk.live.note_seat("bob", f"{number} writes")
        await until(pilot, lambda: "bob writes" in shown(app))
        assert ("ana", f"{number} writes") in [(seat.login, seat.what) for seat in desk.live.seats()]
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TicketScreen))
        desk.live.leave_seat("bob")
        await until(pilot, lambda: "bob" not in shown(app))
        app.stand_up()
        assert "ana" not in [seat.login for seat in desk.live.seats()]


def test_the_gravest_fault_of_a_device_names_its_ticket() -> None:
    row = DeviceRow("fleet", "7", "sw-1", "switch", "", "Annex", State.DOWN)
    checks = (Check("a", "ping", State.OK), Check("b", "load", State.WARN, "busy"), Check("c", "port 3", State.DOWN, "no link"))
    values = ticket_values(Device(row, checks))
    assert (values["subject"], values["body"], values["dedupe_key"]) == ("sw-1 port 3 DOWN", "no link", "fleet:7:port 3")
    assert ticket_values(Device(row, checks[:1])) == {"refs": ["devices:fleet:7"]}
