"""Schedules: one ticket an occurrence, whoever runs, whatever is killed; missed ones are caught up with one; skipping, pausing, overdue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Change
from backends.errors import Conflict, Invalid, NotFound, Refused
from backends.store.opening import ENGINES
from backends.tickets.contract import SchedulesTickets
from backends.tickets.events import iso
from backends.tickets.model import OPEN_PHASES, TicketQuery
from backends.tickets.schedules import OCCURRENCES, SCHEDULES
from tests.backends.tickets.desk import ANA, desk, do
from tests.backends.tickets.killed import killed_at_every_write

DAY = timedelta(days=1)


@pytest.fixture(params=ENGINES)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = desk(tmp_path, request.param)
    await made.open()
    return made


async def add(backend: Any, rule: str = "daily 08:00", **values: Any) -> str:
    return (await do(backend, "schedule", rule=rule, subject="Clean filters", **values)).target


def since(backend: Any, ident: str, at: datetime) -> None:
    """As if it had been saved then."""
    record = backend._store.get(SCHEDULES, ident)
    backend._store.put(SCHEDULES, ident, {**record.doc, "since": iso(at), "next_at": iso(at), "rule": "DTSTART;TZID=America/Chicago:20250101T080000\nRRULE:FREQ=DAILY"})


async def subjects(backend: Any) -> list[str]:
    return [row.subject for row in (await backend.tickets(TicketQuery())).items]


async def test_shape_and_preview(backend: Any) -> None:
    assert isinstance(backend, SchedulesTickets)
    plan = await backend.plan(Change("tickets", "desk", "schedule", values={"rule": "weekdays 08:00", "subject": "x"}), ANA)
    preview = [step.after for step in plan.steps if step.what.startswith("date")]
    assert len(preview) == 5 and all("08:00" in date and date[:3] not in ("Sat", "Sun") for date in preview)
    assert await backend.schedules() == []
    for wrong in ({"rule": "weekdays"}, {"subject": "x"}, {"rule": "never", "subject": "x"}, {"rule": "daily", "subject": "x", "queue": "none such"}, {"rule": "daily", "subject": "x", "lead": "1y"}, {"rule": "daily", "subject": "x", "odd": 1}):
        with pytest.raises(Invalid):
            await backend.plan(Change("tickets", "desk", "schedule", values=wrong), ANA)


async def test_each_occurrence_makes_one_ticket(backend: Any) -> None:
    ident = await add(backend, checklist=["one", "two"], refs=["devices:here:ups-1"], assignee="bob")
    noon = datetime(2026, 11, 10, 18, tzinfo=UTC)
    since(backend, ident, noon)
    for _ in range(3):
        assert backend._scheduling.run(noon + timedelta(hours=1)) == 0
    for day in (1, 2, 2, 3):
        backend._scheduling.run(noon + day * DAY)
    page = await backend.tickets(TicketQuery())
    assert len(page.items) == 3
    ticket = await backend.ticket(page.items[0].id)
    assert ticket.checklist == (("one", False), ("two", False)) and ticket.refs == ("devices:here:ups-1",) and ticket.row.assignee == "bob" and ticket.origin == "schedule"
    found = await backend.occurrences(ident, coming=0)
    assert [one.state for one in found] == ["made"] * 3 and all(one.number for one in found)
    assert (await backend.schedule("S-1")).made == 3


async def test_a_long_absence_is_caught_up_with_one(backend: Any) -> None:
    ident = await add(backend)
    start = datetime(2026, 6, 1, 18, tzinfo=UTC)
    since(backend, ident, start)
    assert backend._scheduling.run(start + 20 * DAY) == 1
    assert len(await subjects(backend)) == 1
    found = await backend.occurrences(ident, coming=0)
    assert [one.state for one in found] == ["made"] + ["skipped"] * 19 and "missed" in found[1].reason
    assert backend._scheduling.run(start + 20 * DAY) == 0


async def test_lead_time_makes_each_of_those_to_come(backend: Any) -> None:
    ident = await add(backend, lead=3 * 86400)
    start = datetime(2026, 6, 1, 18, tzinfo=UTC)
    since(backend, ident, start)
    assert backend._scheduling.run(start + timedelta(minutes=1)) == 3
    assert backend._scheduling.run(start + timedelta(hours=1)) == 0
    assert backend._scheduling.run(start + DAY) == 1


async def test_skip_pause_resume_run_remove(backend: Any) -> None:
    ident = await add(backend)
    start = datetime(2026, 6, 1, 18, tzinfo=UTC)
    since(backend, ident, start)
    first = iso(datetime(2026, 6, 2, 13, tzinfo=UTC))
    with pytest.raises(Invalid):
        await do(backend, "schedule-skip", ident, at=first)
    with pytest.raises(Invalid):
        await do(backend, "schedule-skip", ident, at="2026-06-02T14:00:00Z", reason="x")
    await do(backend, "schedule-skip", ident, at=first, reason="holiday")
    assert backend._scheduling.run(start + DAY) == 0
    await do(backend, "schedule-pause", ident, reason="works")
    with pytest.raises(Refused):
        await do(backend, "schedule-pause", ident)
    assert backend._scheduling.run(start + 5 * DAY) == 0
    assert (await backend.schedule(ident)).state == "paused"
    await do(backend, "schedule-resume", ident)
    assert await subjects(backend) == []
    assert any(one.reason.startswith("paused by ana: works") for one in await backend.occurrences(ident, coming=0))
    outcome = await do(backend, "schedule-run", ident)
    assert len(await subjects(backend)) == 1 and outcome.text.startswith("T-")
    await do(backend, "schedule-remove", ident)
    with pytest.raises(NotFound):
        await backend.schedule(ident)
    assert len(await subjects(backend)) == 1


async def test_edit_and_conflict(backend: Any) -> None:
    ident = await add(backend)
    plan = await backend.plan(Change("tickets", "desk", "schedule", ident, values={"body": "mine"}), ANA)
    await do(backend, "schedule", ident, body="theirs", queue="network")
    with pytest.raises(Conflict):
        await backend.apply(plan, ANA, "late")
    found = await backend.schedule(ident)
    assert found.values["body"] == "theirs" and found.values["queue"] == "network"
    await do(backend, "schedule", ident, rule="weekly mon 09:00")
    assert (await backend.schedule(ident)).words == "every week mon 09:00"


async def test_one_that_fails_says_so_and_stops_no_other(backend: Any) -> None:
    start = datetime(2026, 6, 1, 18, tzinfo=UTC)
    for subject in ("bad", "good"):
        ident = (await do(backend, "schedule", rule="daily 08:00", subject=subject)).target
        since(backend, ident, start)
    bad = next(one for one in await backend.schedules() if one.subject == "bad")
    record = backend._store.get(SCHEDULES, bad.id)
    backend._store.put(SCHEDULES, bad.id, {**record.doc, "ticket": {"subject": "bad", "queue": "abolished"}})
    backend._scheduling.run(start + DAY)
    assert await subjects(backend) == ["good"]
    found = await backend.schedule(bad.id)
    assert found.state == "failing" and "abolished" in found.text
    await do(backend, "schedule", bad.id, queue="network")
    backend._scheduling.run(start + DAY)
    assert sorted(await subjects(backend)) == ["bad", "good"], "the occurrence that could not be made is made up for"
    assert (await backend.schedule(bad.id)).state != "failing"


async def test_overdue_and_late_are_said(backend: Any) -> None:
    ident = await add(backend, within=3600)
    start = datetime(2026, 11, 1, 18, tzinfo=UTC)
    since(backend, ident, start)
    assert (await backend.schedule(ident)).state == "late"
    backend._scheduling.run(start + DAY)
    assert (await backend.schedule(ident)).state == "overdue"
    (row,) = (await backend.tickets(TicketQuery())).items
    await do(backend, "status", row.id, status="Resolved", reason="done")
    backend._scheduling.run(datetime.now(UTC))
    newest = (await backend.tickets(TicketQuery(phases=OPEN_PHASES))).items[0]
    await do(backend, "status", newest.id, status="Resolved", reason="done")
    assert (await backend.schedule(ident)).state in ("waiting", "due")


async def test_two_collectors_at_once(backend: Any, tmp_path: Path) -> None:
    start = datetime(2026, 6, 1, 18, tzinfo=UTC)
    for _ in range(5):
        since(backend, await add(backend), start)
    others = [desk(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for day in range(1, 4):
            list(pool.map(lambda one, day=day: one._scheduling.run(start + day * DAY), others))  # type: ignore[misc]
    assert len(await subjects(backend)) == 15
    numbers = [row.number for row in (await backend.tickets(TicketQuery())).items]
    assert len(set(numbers)) == 15
    assert backend._store.count(OCCURRENCES) == 15


async def test_killed_between_any_two_steps(backend: Any, tmp_path: Path) -> None:
    ident = await add(backend)
    since(backend, ident, datetime(2026, 6, 1, 18, tzinfo=UTC))
    assert killed_at_every_write(tmp_path, "made._scheduling.run(datetime(2026, 6, 4, 18, tzinfo=UTC))") >= 1
    assert await subjects(backend) == ["Clean filters"]
    assert [one.state for one in await backend.occurrences(ident, coming=0)] == ["made", "skipped", "skipped"]
