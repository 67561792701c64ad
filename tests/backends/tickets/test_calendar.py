"""Business hours against hand-checked vectors, a minute-by-minute oracle, and the faults other desks had."""

from __future__ import annotations

import json
import random
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from backends.errors import BadConfig, Invalid
from backends.tickets.calendar import Calendar, read_calendars
from backends.tickets.yearly import Yearly, easter

VECTORS = json.loads((Path(__file__).parents[2] / "data/sla.json").read_text())
CHICAGO, BERLIN = "America/Chicago", "Europe/Berlin"
ALWAYS = {"week": {"mon-sun": "00:00-24:00"}}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def local(zone: str, text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def vector_calendar(name: str) -> Calendar:
    table = dict(VECTORS["calendars"][name])
    return Calendar.read({"zone": table.pop("tz"), **table}, name=name)


def named(rows: list[dict[str, Any]]) -> Any:
    return pytest.mark.parametrize("row", rows, ids=[row["name"] for row in rows])


# -- vectors ------------------------------------------------------------------------------------------------


@named(VECTORS["add"])
def test_vector_add(row: dict[str, Any]) -> None:
    calendar = vector_calendar(row["calendar"])
    assert calendar.add(utc(row["start"]), row["hours"] * 3600) == utc(row["due"])
    assert calendar.open_seconds(utc(row["start"]), utc(row["due"])) == row["hours"] * 3600


@named(VECTORS["subtract"])
def test_vector_subtract(row: dict[str, Any]) -> None:
    assert vector_calendar(row["calendar"]).subtract(utc(row["due"]), row["hours"] * 3600) == utc(row["result"])


@named(VECTORS["between"])
def test_vector_between(row: dict[str, Any]) -> None:
    assert vector_calendar(row["calendar"]).open_seconds(utc(row["a"]), utc(row["b"])) == row["hours"] * 3600


# -- switches of the clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [(CHICAGO, "2026-03-08", 23), (CHICAGO, "2026-11-01", 25), (BERLIN, "2026-03-29", 23), (BERLIN, "2026-10-25", 25), (CHICAGO, "2026-06-01", 24)],
)
def test_a_day_of_the_switch_has_its_real_hours(zone: str, day: str, hours: int) -> None:
    always = Calendar.read(ALWAYS, zone=zone)
    start, end = local(zone, day), local(zone, (date.fromisoformat(day) + timedelta(days=1)).isoformat())
    assert always.open_seconds(start, end) == hours * 3600
    assert always.add(start, hours * 3600) == end
    assert always.subtract(end, hours * 3600) == start


@pytest.mark.parametrize(("zone", "spring", "autumn"), [(CHICAGO, "2026-03-08", "2026-11-01"), (BERLIN, "2026-03-29", "2026-10-25")])
def test_hours_within_a_switch(zone: str, spring: str, autumn: str) -> None:
    """Both zones switch between 01:00 and 03:00: the skipped hour is no time at all, the repeated one counts twice."""
    night = Calendar.read({"week": {"sun": "00:00-06:00"}}, zone=zone)
    for day, hours in ((spring, 5), (autumn, 7)):
        assert night.open_seconds(local(zone, f"{day}T00:00"), local(zone, f"{day}T12:00")) == hours * 3600
        assert night.add(local(zone, f"{day}T00:00"), hours * 3600) == local(zone, f"{day}T06:00")


def test_a_segment_that_ends_within_the_repeated_hour_is_open_twice() -> None:
    calendar = Calendar.read({"week": {"sun": "00:00-01:30"}}, zone=CHICAGO)
    first, second = local(CHICAGO, "2026-11-01T01:15"), local(CHICAGO, "2026-11-01T01:15", fold=1)
    assert calendar.is_open(first) and calendar.is_open(second)
    assert not calendar.is_open(first + timedelta(minutes=30))
    assert calendar.open_seconds(local(CHICAGO, "2026-11-01"), local(CHICAGO, "2026-11-02")) == 2 * 3600


@pytest.mark.parametrize("zone", [CHICAGO, BERLIN])
def test_office_hours_stand_still_on_the_wall_over_both_switches(zone: str) -> None:
    office = Calendar.read(zone=zone)
    for friday in ("2026-03-06", "2026-03-27", "2026-10-23", "2026-10-30"):
        monday = (date.fromisoformat(friday) + timedelta(days=3)).isoformat()
        assert office.add(local(zone, f"{friday}T16:00"), 2 * 3600) == local(zone, f"{monday}T09:00")


def test_a_date_that_a_zone_skipped_has_no_time() -> None:
    """Samoa went over the date line: 30 December 2011 never was."""
    always = Calendar.read(ALWAYS, zone="Pacific/Apia")
    assert always.open_seconds(local("Pacific/Apia", "2011-12-29"), local("Pacific/Apia", "2012-01-01")) == 48 * 3600


# -- the oracle -----------------------------------------------------------------------------------------------

ZONES = (CHICAGO, BERLIN, "UTC", "Asia/Kolkata", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu", "Africa/Cairo", "Atlantic/Azores")
SWITCHES = ("2026-03-05", "2026-03-26", "2026-04-02", "2026-04-22", "2026-10-22", "2026-10-29", "2026-12-22")


def random_calendar(rng: random.Random) -> Calendar:
    week: dict[str, list[str]] = {}
    for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun"):
        if rng.random() < 0.25:
            continue
        marks = sorted(rng.sample(range(97), 2 * rng.randint(1, 3)))
        week[day] = [f"{a // 4:02d}:{a % 4 * 15:02d}-{b // 4:02d}:{b % 4 * 15:02d}" for a, b in zip(marks[::2], marks[1::2], strict=True)]
    week = week or {"tue": ["08:00-17:00"]}
    day = date(2026, rng.choice((3, 4, 10, 11, 12)), rng.randint(1, 28))
    return Calendar.read(
        {
            "zone": rng.choice(ZONES), "week": week, "holidays": [day.isoformat()], "yearly": rng.sample(["12-25 observed", "4th thu nov", "last mon mar", "11-01"], 2),
            "special": {(day + timedelta(days=1)).isoformat(): ["08:00-12:00"]},
        }
    )  # fmt: skip


def on_the_wall(calendar: Calendar, at: datetime) -> bool:
    """Open by the definition: look at the wall clock of the zone."""
    wall = at.astimezone(ZoneInfo(calendar.zone))
    return any(start <= wall.hour * 60 + wall.minute < end for start, end in calendar.hours(wall.date()))


@pytest.mark.parametrize("seed", range(40))
def test_against_a_minute_by_minute_oracle(seed: int) -> None:
    rng = random.Random(seed)
    calendar = random_calendar(rng)
    start = utc(f"{rng.choice(SWITCHES)}T00:00:00Z") + timedelta(minutes=rng.randrange(1440))
    minutes = [start + timedelta(minutes=number) for number in range(8 * 1440)]
    wall = [on_the_wall(calendar, at) for at in minutes]
    open_ = [number for number, is_open in enumerate(wall) if is_open]
    for number in rng.sample(range(len(minutes)), 60):
        assert calendar.is_open(minutes[number]) == wall[number]
        assert calendar.open_seconds(start, minutes[number]) == 60 * sum(wall[:number])
        following = next((other for other in range(number, len(minutes)) if wall[other]), None)
        if following is not None:
            assert calendar.next_open(minutes[number]) == minutes[following]
    for count in rng.sample(range(1, len(open_)), min(40, len(open_) - 1)) if len(open_) > 1 else ():
        assert calendar.add(start, count * 60) == minutes[open_[count - 1]] + timedelta(minutes=1)
        end = minutes[-1] + timedelta(minutes=1)
        assert calendar.subtract(end, count * 60) == minutes[open_[-count]]


@pytest.mark.parametrize("seed", range(40, 60))
def test_add_and_subtract_undo_each_other(seed: int) -> None:
    rng = random.Random(seed)
    calendar = random_calendar(rng)
    for _ in range(50):
        start = utc("2026-01-01T00:00:00Z") + timedelta(seconds=rng.randrange(365 * 86400))
        span = rng.randrange(1, 40 * 3600)
        due = calendar.add(start, span)
        assert calendar.open_seconds(start, due) == span
        assert calendar.open_seconds(calendar.subtract(due, span), due) == span


# -- faults of other desks --------------------------------------------------------------------------------------


def test_zammad_3180_a_24_7_calendar_is_open_at_midnight() -> None:
    always = Calendar.read(ALWAYS, zone=BERLIN)
    assert always.always
    midnight = local(BERLIN, "2026-11-25")
    assert all(always.is_open(midnight + timedelta(seconds=number)) for number in range(-120, 120))
    assert always.open_seconds(midnight - timedelta(minutes=1), midnight + timedelta(minutes=1)) == 120


@pytest.mark.parametrize("day", ["mon", "tue", "wed", "thu", "fri", "sat", "sun"])
def test_osticket_6739_any_single_day_is_a_week(day: str) -> None:
    calendar = Calendar.read({"week": {day: "08:00-17:00"}}, zone=CHICAGO)
    due = calendar.add(local(CHICAGO, "2026-11-18T10:00"), 20 * 3600).astimezone(ZoneInfo(CHICAGO))
    assert due.strftime("%a").lower() == day
    assert calendar.open_seconds(local(CHICAGO, "2026-11-18T10:00"), due) == 20 * 3600


def test_glpi_15429_a_calendar_other_than_24_7_counts() -> None:
    office = Calendar.read(zone=BERLIN)
    assert office.add(local(BERLIN, "2026-11-20T16:30"), 3600) == local(BERLIN, "2026-11-23T08:30")


def test_glpi_22678_an_hour_before_due_is_a_working_hour() -> None:
    office = Calendar.read(zone=BERLIN)
    assert office.subtract(local(BERLIN, "2026-11-24T08:30"), 3600) == local(BERLIN, "2026-11-23T16:30")
    assert office.subtract(local(BERLIN, "2026-11-24T11:00"), 3600) == local(BERLIN, "2026-11-24T10:00")


def test_zammad_390_every_day_off_can_be_explained() -> None:
    calendar = Calendar.read({"holidays": ["2026-11-27"], "yearly": ["4th thu nov", "12-25"], "special": {"2026-12-24": ["08:00-12:00"]}}, zone=CHICAGO)
    assert calendar.why(date(2026, 11, 26)) == ((), "yearly 4th thu nov")
    assert calendar.why(date(2026, 11, 27)) == ((), "holiday 2026-11-27")
    assert calendar.why(date(2026, 12, 24)) == (((480, 720),), "special day 2026-12-24")
    assert calendar.why(date(2026, 11, 25)) == (((480, 1020),), "")
    assert calendar.describe() == (
        "Mon-Fri 08:00-17:00 (America/Chicago); closed on 2026-11-27; closed each year on 4th thu nov, 12-25; 2026-12-24: 08:00-12:00"
    )


def test_glpi_14492_the_next_working_moment_of_a_reminder() -> None:
    calendar = Calendar.read({"holidays": ["2026-11-23"]}, zone=CHICAGO)
    assert calendar.next_open(local(CHICAGO, "2026-11-20T17:00")) == local(CHICAGO, "2026-11-24T08:00")
    assert calendar.next_open(local(CHICAGO, "2026-11-20T16:59")) == local(CHICAGO, "2026-11-20T16:59")


# -- yearly days --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "year", "days"),
    [
        ("12-25", 2026, ["2026-12-25"]),
        ("4th thu nov", 2026, ["2026-11-26"]),
        ("4th Thursday of November +1", 2024, ["2024-11-29"]),
        ("last mon may", 2026, ["2026-05-25"]),
        ("5th mon feb", 2026, []),
        ("02-29", 2027, []),
        ("02-29", 2028, ["2028-02-29"]),
        ("07-04 observed", 2026, ["2026-07-04", "2026-07-03"]),
        ("07-04 observed", 2027, ["2027-07-04", "2027-07-05"]),
        ("01-01 observed", 2028, ["2028-01-01", "2027-12-31"]),
        ("easter -2", 2026, ["2026-04-03"]),
        ("easter +1", 2027, ["2027-03-29"]),
    ],
)
def test_yearly_days(text: str, year: int, days: list[str]) -> None:
    assert [day.isoformat() for day in Yearly.read(text).dates(year)] == days


def test_easter() -> None:
    known = {1961: "04-02", 2000: "04-23", 2008: "03-23", 2011: "04-24", 2024: "03-31", 2025: "04-20", 2026: "04-05", 2038: "04-25"}
    assert {year: easter(year).strftime("%m-%d") for year in known} == known


def test_new_year_observed_closes_the_last_day_of_the_old_year() -> None:
    calendar = Calendar.read({"yearly": ["01-01 observed"]}, zone=CHICAGO)
    assert not calendar.hours(date(2027, 12, 31)) and calendar.hours(date(2027, 12, 30))


def test_special_days() -> None:
    calendar = Calendar.read({"yearly": ["12-25"], "special": {"12-24": "08:00-12:00", "2026-12-25": "10:00-11:00", "2026-12-19": "09:00-12:00"}}, zone=BERLIN)
    assert calendar.hours(date(2026, 12, 24)) == ((480, 720),)
    assert calendar.hours(date(2026, 12, 25)) == ((600, 660),)
    assert calendar.hours(date(2026, 12, 19)) == ((540, 720),)
    assert calendar.hours(date(2028, 12, 24)) == ()  # a Sunday: a yearly half day opens nothing


# -- reading --------------------------------------------------------------------------------------------------------


def test_reads_plain_toml() -> None:
    table = tomllib.loads(
        """
        [calendars.city]
        zone = "Europe/Berlin"
        week = {mon-thu = ["08:00-12:00", "13:00-16:00"], fri = "08:00-12:00"}
        holidays = [2026-11-18, "2026-12-31"]
        yearly = ["easter -2"]
        [calendars.city.special]
        2026-12-24 = []
        [calendars.library]
        """
    )
    found = read_calendars(table["calendars"], CHICAGO)
    assert sorted(found) == ["city", "library", "office"]
    assert found["library"].zone == CHICAGO and found["library"].week == found["office"].week
    assert found["city"].describe().startswith("Mon-Thu 08:00-12:00 and 13:00-16:00, Fri 08:00-12:00 (Europe/Berlin); closed on 2026-11-18, 2026-12-31")
    assert not found["city"].is_open(local(BERLIN, "2026-12-24T09:00"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"weeks": {}}, "unknown key 'weeks'; known: zone"),
        ({"zone": "Mars/Olympus"}, "zone: 'Mars/Olympus' is not a time zone"),
        ({"zone": "../etc"}, "zone: '../etc'"),
        ({"zone": "America"}, "zone: 'America'"),
        ({"zone": 3}, "zone: 3"),
        ({"week": ["08:00-17:00"]}, "week: must be a table"),
        ({"week": {}}, "week: is never open"),
        ({"week": {"mon": []}}, "week: is never open"),
        ({"week": {"funday": "08:00-17:00"}}, "week: 'funday' is not a day"),
        ({"week": {"mon-fri": "08:00-17:00", "wed": "08:00-12:00"}}, "week.wed: wed is given twice"),
        ({"week": {"mon": "22:00-06:00"}}, "runs over midnight; write 22:00-24:00, and 00:00-06:00 on the day after"),
        ({"week": {"mon": "08:00-00:00"}}, "write 24:00 for the end of the day"),
        ({"week": {"mon": "08:00-08:00"}}, "is empty; all day is 00:00-24:00"),
        ({"week": {"mon": "08:00-24:01"}}, "the last is 24:00"),
        ({"week": {"mon": "08:60-09:00"}}, "is not a time of day"),
        ({"week": {"mon": "8 to 5"}}, "is not hours such as 08:00-17:00"),
        ({"week": {"mon": 8}}, "week.mon: must be a list, not int"),
        ({"week": {"mon": ["08:00-12:00", "11:00-17:00"]}}, "week.mon: 08:00-12:00 and the hours from 11:00 on overlap"),
        ({"holidays": ["26.11.2026"]}, "holidays: '26.11.2026' is not a date"),
        ({"holidays": [20261126]}, "holidays: 20261126 is not a date"),
        ({"holidays": ["2026-02-30"]}, "holidays: '2026-02-30' is not a date"),
        ({"yearly": ["13-01"]}, "yearly: '13-01' is not a day of the year"),
        ({"yearly": ["02-30"]}, "yearly: '02-30' is not a day of the year"),
        ({"yearly": ["6th mon may"]}, "yearly: '6th mon may' is not a yearly day"),
        ({"special": {"2026-12-24": "12:00-08:00"}}, "special.2026-12-24: '12:00-08:00' runs over midnight"),
        ({"special": {"2026-12-24": []}, "holidays": ["2026-12-24"]}, "special: 2026-12-24 is a holiday too"),
        ({"special": ["2026-12-24"]}, "special: must be a table"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, Any], words: str) -> None:
    with pytest.raises(BadConfig) as caught:
        Calendar.read(table, name="city", where="deskside.toml:4")
    assert words in caught.value.text and caught.value.text.startswith("deskside.toml:4: calendar city: ")


def test_edges() -> None:
    office = Calendar.read(zone=CHICAGO)
    noon = local(CHICAGO, "2026-11-24T12:00")
    assert office.add(noon, 0) == office.subtract(noon, 0) == noon
    assert office.open_seconds(noon, noon - timedelta(days=3)) == 0
    assert office.add(noon, 5 * 3600) == local(CHICAGO, "2026-11-24T17:00")
    assert not office.is_open(local(CHICAGO, "2026-11-24T17:00")) and office.is_open(local(CHICAGO, "2026-11-24T08:00"))
    for wrong in (lambda: office.add(noon, -1), lambda: office.is_open(datetime(2026, 11, 24)), lambda: office.add(noon, 1e9)):
        with pytest.raises(Invalid):
            wrong()
    assert office == Calendar.read(zone=CHICAGO) and hash(office) == hash(Calendar.read(zone=CHICAGO))
    assert "_days" not in repr(office)
