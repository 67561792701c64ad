"""The report on tickets: the figures are those of the tickets, in each of its faces, and a system that is away is told."""

from __future__ import annotations

import csv
import html.parser
import io
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backends.contract import Actor, now
from backends.errors import Unreachable
from backends.tickets.appending import EVENTS, TICKETS
from backends.tickets.events import event_id, fold_all
from console.config import BackendConfig, Config
from console.desk import Desk
from console.people import Identity
from console.report_tables import FACES, Table, render
from console.report_tickets import age, building, count, tables
from tests.contracts.test_tickets import do, new

ROOT = Path(__file__).parent.parent.parent


class Says:
    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        self.last = text


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(Config(data=tmp_path, backends=(BackendConfig("tickets", "desk", "embedded"),)), Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


def grown_old(desk: Desk, ident: str, days: int) -> None:
    """The ticket as if it had come so many days ago: its events are moved, it is folded anew."""
    events = [dict(desk.store.get(EVENTS, event_id(ident, seq)).doc) for seq in range(1, desk.store.get(TICKETS, ident).doc["events"] + 1)]
    for event in events:
        event["at"] = (datetime.fromisoformat(event["at"]) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        desk.store.put(EVENTS, event_id(ident, event["seq"]), event)
    desk.store.put(TICKETS, ident, fold_all(events))


async def test_figures(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    ids = [await new(backend, f"n{number}", queue=("Network", "Web")[number % 2], priority=1) for number in range(5)]
    await do(backend, "take", ids[0])
    await do(backend, "status", ids[1], status="Waiting on vendor", reason="part")
    await do(backend, "reply", ids[2], body="there", status="Resolved", reason="done")
    for ident, days in ((ids[0], 40), (ids[4], 3)):
        grown_old(desk, ident, days)
    tally = await count(desk, now() - timedelta(days=20), "", None, Says())
    found = {table.title: {row[0]: dict(zip(table.columns[1:], row[1:], strict=True)) for row in table.rows} for table in tables(tally)}
    assert found["All open tickets"]["all"] == {"open": 4, "overdue": 2, "waiting": 1, "unassigned": 3}
    assert found["Open by queue"]["Network"] == {"open": 2, "overdue": 2, "waiting": 0, "unassigned": 1} and found["Open by queue"]["Web"]["open"] == 2
    assert found["Open by technician"]["ana"]["overdue"] == 1 and found["Open by technician"]["nobody"]["open"] == 3
    assert {name: line["open"] for name, line in found["Open by age"].items()} == {"under a day": 2, "1 to 7 days": 1, "30 to 90 days": 1}
    assert sum(line["opened"] for line in found["By month"].values()) == 4 and sum(line["resolved"] for line in found["By month"].values()) == 1
    network = found["Promises by queue"]["Network"]
    assert (network["answer met"], network["resolution met"], network["answer breached"]) == (1, 1, 1) and network["kept %"] == pytest.approx(200 / 4)
    only = await count(desk, now() - timedelta(days=20), "queue:Web", None, Says())
    assert only.figures["all"]["all"]["open"] == 2


async def test_a_system_that_is_away_is_told(desk: Desk) -> None:
    backend = await desk.backend("tickets")

    class Gone(type(backend)):  # type: ignore[misc]
        async def tickets(self, *args: object) -> object:
            raise Unreachable("no route")

    backend.__class__ = Gone
    tally = await count(desk, now(), "", None, Says())
    assert tally.unread and "no route" in tally.unread[0] and all(not table.rows for table in tables(tally))


def test_faces_show_the_same_and_no_name_is_markup() -> None:
    table = Table("Open by <queue>", ("queue", "open", "kept %"), (("<b>|*x*\x1b]0;y\x07", 1234, None), ("=1+1", 5, 99.5)))
    shown = {face: render(face, "County & Co", ["note"], [table]) for face in FACES}
    assert all("\x1b" not in text for text in shown.values())
    assert "1,234" in shown["text"] and "99.5" in shown["text"]
    assert "\\<b\\>\\|\\*x\\*" in shown["md"] and "<b>" not in shown["html"] and "&lt;b&gt;" in shown["html"]
    rows = list(csv.DictReader(io.StringIO(shown["csv"], newline="")))
    assert rows[0]["value"] == "1234" and rows[2]["row"] == "'=1+1" and rows[1]["value"] == ""
    checker = _Balanced()
    checker.feed(shown["html"])
    assert not checker.open


class _Balanced(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_names_of_buildings_and_ages() -> None:
    assert [building(text) for text in ("Juniper High 312", "Courthouse B-2", "Main Library", "", "214")] == ["Juniper High", "Courthouse", "Main Library", "unknown", "214"]
    at = datetime(2026, 1, 31, tzinfo=UTC)
    assert [age(at - timedelta(days=days), at) for days in (0, 1, 8, 31, 91)] == ["under a day", "1 to 7 days", "7 to 30 days", "30 to 90 days", "over 90 days"]


def test_the_command(tmp_path: Path) -> None:
    def deskside(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "console", "--data", str(tmp_path / "d"), *words], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert deskside("tickets", "create", "Jam", "--queue", "Web", "--yes").returncode == 0
    done = deskside("report", "tickets")
    assert done.returncode == 0 and "Web" in done.stdout, done.stderr
    out = tmp_path / "r.html"
    assert deskside("report", "tickets", "--format", "html", "--output", str(out)).returncode == 0 and out.read_text().startswith("<!doctype html>")
    assert deskside("report", "tickets", "--output", str(out)).returncode == 7
    assert '"Open by queue"' in deskside("report", "tickets", "--json").stdout
