"""Recurrence rules: wall-clock time across both switches, month ends, exceptions, ends, text both ways, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.tickets.recurring import Rule

CHICAGO = "America/Chicago"


def dates(text: str, after: str = "2026-01-01", count: int = 5, zone: str = CHICAGO, start: str = "") -> list[str]:
    """The next dates as local wall-clock times."""
    at = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    rule = Rule.read(text, zone=zone, start=start, today=at)
    return [f"{one.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}" for one in rule.following(at, count)]


def test_eight_in_the_morning_stays_eight_on_both_switches() -> None:
    rule = Rule.read("daily 08:00", zone=CHICAGO, today=datetime(2026, 3, 1, tzinfo=UTC))
    spring = rule.following(datetime(2026, 3, 7, tzinfo=UTC), 3)
    assert [f"{one:%d %H}" for one in spring] == ["07 14", "08 13", "09 13"]
    autumn = rule.following(datetime(2026, 10, 31, 10, tzinfo=UTC), 3)
    assert [f"{one:%d %H}" for one in autumn] == ["31 13", "01 14", "02 14"]


def test_a_time_that_is_skipped_and_one_that_comes_twice() -> None:
    rule = Rule.read("daily 02:30", zone=CHICAGO, today=datetime(2026, 3, 1, tzinfo=UTC))
    assert [f"{one:%d %H:%M}" for one in rule.following(datetime(2026, 3, 7, 12, tzinfo=UTC), 2)] == ["08 08:30", "09 07:30"]
    rule = Rule.read("daily 01:30", zone=CHICAGO, today=datetime(2026, 3, 1, tzinfo=UTC))
    assert [f"{one:%d %H:%M}" for one in rule.following(datetime(2026, 10, 31, 12, tzinfo=UTC), 2)] == ["01 06:30", "02 07:30"]


def test_month_ends() -> None:
    assert dates("monthly 31 08:00", count=4) == ["2026-01-31 08:00", "2026-03-31 08:00", "2026-05-31 08:00", "2026-07-31 08:00"]
    assert dates("monthly last 08:00", after="2028-02-01", count=2) == ["2028-02-29 08:00", "2028-03-31 08:00"]
    assert dates("monthly last fri 16:00", count=2) == ["2026-01-30 16:00", "2026-02-27 16:00"]
    assert dates("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", count=2) == ["2028-02-29 08:00", "2032-02-29 08:00"]


def test_plain_words() -> None:
    assert dates("weekdays 07:15", after="2026-01-02 08:00", count=2) == ["2026-01-05 07:15", "2026-01-06 07:15"]
    assert dates("every 2 weeks mon,thu 07:30", start="2026-01-05 07:30", count=4) == ["2026-01-05 07:30", "2026-01-08 07:30", "2026-01-19 07:30", "2026-01-22 07:30"]
    assert dates("quarterly 1 08:00", count=2, after="2026-01-02") == ["2026-04-01 08:00", "2026-07-01 08:00"]
    assert dates("yearly 03-01 09:00", count=2) == ["2026-03-01 09:00", "2027-03-01 09:00"]


def test_count_until_and_exceptions() -> None:
    text = "DTSTART;TZID=America/Chicago:20260105T080000\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE:20260106T080000\nRDATE:20260110T120000"
    assert dates(text, count=9) == ["2026-01-05 08:00", "2026-01-07 08:00", "2026-01-08 08:00", "2026-01-10 12:00"]
    assert dates("DTSTART:20260105T140000Z\nRRULE:FREQ=DAILY;UNTIL=20260107T140000Z", count=9) == ["2026-01-05 08:00", "2026-01-06 08:00", "2026-01-07 08:00"]
    assert dates("FREQ=WEEKLY;BYDAY=MO;UNTIL=20260112", count=9) == ["2026-01-05 08:00", "2026-01-12 08:00"]
    assert dates("FREQ=DAILY;COUNT=2", after="2026-01-01 09:00", start="2026-01-01 08:00", count=9) == ["2026-01-02 08:00"], "the first has been"


@pytest.mark.parametrize("text", [
    "", "sometimes", "monthly sometimes", "FREQ=HOURLY", "FREQ=SECONDLY;COUNT=9", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=MONTHLY;BYMONTHDAY=99", "FREQ=DAILY;BYHOUR=1,2,3,4,5", "FREQ=WEEKLY;BYDAY=XX", "FREQ=DAILY;NONSENSE=1", "FREQ=DAILY;COUNT=2;UNTIL=20270101", "VALARM:x", "RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY",
    "DTSTART:99991231T000000\nRRULE:FREQ=DAILY", "DTSTART;TZID=Mars/Base:20260101T080000\nRRULE:FREQ=DAILY", "FREQ=DAILY;FREQ=DAILY", "x" * 9000, "daily 25:00", "\x1b]0;x\x07",
])  # fmt: skip
def test_what_can_not_be_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        Rule.read(text, zone=CHICAGO)
    assert type(caught.value) is ValueError and str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["daily", "weekdays", "weekly wed", "monthly 31", "monthly 2nd tue", "yearly 02-29", "every 3 weeks sat", "quarterly 15"]),
    st.integers(0, 23), st.sampled_from([0, 30, 59]), st.sampled_from([CHICAGO, "UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)  # fmt: skip
def test_text_both_ways_and_dates_in_order(words: str, hour: int, minute: int, zone: str, at: datetime) -> None:
    moment = at.replace(tzinfo=UTC, microsecond=0)
    rule = Rule.read(f"{words} {hour:02d}:{minute:02d}", zone=zone, today=moment)
    assert Rule.read(rule.text(), zone="UTC") == rule
    found = rule.following(moment, 6)
    assert found == sorted(set(found)) and all(one > moment for one in found)
    assert rule.between(moment, found[2]) == found[:3]
    for one in found:
        local = one.astimezone(ZoneInfo(zone))
        assert (local.hour, local.minute) == (hour, minute) or (local.utcoffset() != (local.replace(hour=12)).utcoffset() or hour in (1, 2, 3))
