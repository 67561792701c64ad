"""Closing by itself after business days, and what brings a ticket back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from backends.contract import now
from backends.tickets import closing
from backends.tickets.appending import TICKETS
from backends.tickets.calendar import Calendar
from backends.tickets.closing import Ending, closes_at
from backends.tickets.events import iso
from backends.tickets.model import Phase
from tests.backends.tickets.desk import desk, do, new

CHICAGO = Calendar.read({"zone": "America/Chicago", "holidays": [date(2026, 11, 26)]})


@pytest.mark.parametrize(("resolved", "days", "closes"), [
    ("2026-11-20T20:00", 5, "2026-11-30T20:00"),  # Friday; Thanksgiving is no business day
    ("2026-11-21T20:00", 1, "2026-11-23T20:00"),  # Saturday
    ("2026-10-30T20:00", 1, "2026-11-02T21:00"),  # over the switch: 15:00 stays 15:00
    ("2026-11-20T20:00", 0, "2026-11-20T20:00"),
])  # fmt: skip
def test_business_days(resolved: str, days: int, closes: str) -> None:
    at = datetime.fromisoformat(resolved).replace(tzinfo=UTC)
    assert closes_at(CHICAGO, at, days) == datetime.fromisoformat(closes).replace(tzinfo=UTC)


async def test_closes_once_and_only_what_is_resolved_long_enough(tmp_path: Path) -> None:
    backend = desk(tmp_path)
    await backend.open()
    old, fresh, open_ = [await new(backend, subject) for subject in ("old", "fresh", "open")]
    for ident in (old, fresh):
        await do(backend, "status", ident, status="Resolved", reason="done")
    later = now() + timedelta(days=9)
    record = backend._store.get(TICKETS, fresh)
    assert record is not None
    backend._store.put(TICKETS, fresh, {**record.doc, "resolved_at": iso(later)})
    other = desk(tmp_path)
    assert closing.close(backend._store, backend._house, Ending(), later - timedelta(days=7)) == 0
    assert closing.close(backend._store, backend._house, Ending(0), later) == 0
    assert closing.close(backend._store, backend._house, Ending(), later) == 1
    assert closing.close(other._store, other._house, Ending(), later) == 0
    assert [(await backend.ticket(ident)).row.phase for ident in (old, fresh, open_)] == [Phase.CLOSED, Phase.RESOLVED, Phase.NEW]
    assert [event.type for event in await backend.timeline(old)][-1] == "closed"


def test_when_a_word_of_the_requester_opens_it_again() -> None:
    ended = datetime(2026, 11, 2, tzinfo=UTC)
    resolved, closed = {"phase": "resolved", "resolved_at": iso(ended)}, {"phase": "closed", "closed_at": iso(ended)}
    week, more = ended + timedelta(days=7), ended + timedelta(days=7, seconds=1)
    assert Ending().reopens(resolved, week) and not Ending().reopens(resolved, more)
    assert not Ending().reopens(closed, ended) and Ending(reopen_closed_days=7).reopens(closed, week)
    assert not Ending(reopen_days=0).reopens(resolved, ended)
    assert not Ending().reopens({"phase": "new"}, ended)
