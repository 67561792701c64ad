"""Business hours: a calendar of a zone, weekly segments, holidays, yearly rules and special days. Pure; never imports an adapter.

A moment is open when the wall clock of the zone reads within a segment of its local date. All arithmetic is on real elapsed
seconds in UTC: a 24/7 calendar has days of 23 and of 25 hours, an hour that a switch repeats counts twice, one it skips not at all.
Moments are aware; results are UTC in whole seconds (fractions of a second are cut). Holidays stand in the configuration and come
from nowhere else. Rules of a date, the first that fits: special day with a date, holiday, yearly rule, yearly special day, week.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backends.errors import BadConfig, Invalid
from backends.tickets.hours import WORKWEEK, Segments, joined, listed, read_segments, read_week, spoken, spoken_week
from backends.tickets.yearly import Yearly

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86400
FARTHEST = 366 * 50
"""Days that are looked through for open time before an answer is refused."""
REMEMBERED = 20_000
"""Dates whose segments are kept."""
KEYS = ("zone", "week", "holidays", "yearly", "special")


class Open(NamedTuple):
    """The open time of one local date: in all, and as spans of seconds since 1970 UTC."""

    total: int
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """When the desk works. `week` has seven entries from Monday on; `special` days have hours of their own (none: closed)."""

    zone: str = "UTC"
    week: tuple[Segments, ...] = WORKWEEK
    holidays: frozenset[date] = frozenset()
    yearly: tuple[Yearly, ...] = ()
    special: tuple[tuple[date | Yearly, Segments], ...] = ()
    """A yearly special day only changes dates on which the week is open; one with a date may open a Saturday."""
    name: str = "office"
    _days: dict[int, Open] = field(default_factory=dict, init=False, repr=False, compare=False)
    _years: dict[int, dict[date, Yearly]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, table: Mapping[str, Any] | None = None, *, zone: str = "UTC", name: str = "office", where: str = "") -> Calendar:
        """From plain TOML values; without `week` Monday to Friday 08:00-17:00. `zone` is the site's. BadConfig names the key.

        {zone = "America/Chicago", week = {mon-fri = ["08:00-12:00", "13:00-17:00"], sat = "09:00-12:00"}, holidays = ["2026-11-27"],
        yearly = ["01-01 observed", "4th thu nov", "4th thu nov +1", "easter -2"], special = {2026-12-24 = ["08:00-12:00"]}}
        """
        given = dict(table or {})
        try:
            _known(given)
            calendar = cls(
                zone=_zone(given.get("zone", zone)),
                week=read_week(given["week"]) if "week" in given else WORKWEEK,
                holidays=frozenset(_date("holidays", entry) for entry in listed("holidays", given.get("holidays", ()))),
                yearly=tuple(_rule("yearly", entry) for entry in listed("yearly", given.get("yearly", ()))),
                special=_special(given.get("special", {})),
                name=name,
            )
            _no_contradiction(calendar)
        except ValueError as error:
            raise BadConfig(f"calendar {name}: {error}", where=where) from None
        return calendar

    # -- questions --------------------------------------------------------------------------------------

    @property
    def always(self) -> bool:
        """24 hours a day, 7 days a week, with no day off."""
        return self.week == (((0, 1440),),) * 7 and not self.holidays and not self.yearly and not self.special

    def is_open(self, at: datetime) -> bool:
        """A closing time is closed already, an opening time is open."""
        second = _second(at)
        return any(start <= second < end for start, end in self._of(self._ordinal(second)).spans)

    def next_open(self, at: datetime) -> datetime:
        """The moment itself when it is open, else the next opening. Invalid when none is near."""
        second = _second(at)
        for start, end in self._forward(second):
            if end > second:
                return _moment(max(start, second))
        raise self._never(at)

    def open_seconds(self, start: datetime, end: datetime) -> int:
        """Open seconds between two moments; 0 when the end is not after the start."""
        first, last = _second(start), _second(end)
        if last <= first:
            return 0
        total = 0
        low, high = self._ordinal(first), self._ordinal(last)
        for ordinal in range(low, high + 1):
            day = self._of(ordinal)
            if low < ordinal < high:
                total += day.total
            else:
                total += sum(max(0, min(until, last) - max(since, first)) for since, until in day.spans)
        return total

    def add(self, start: datetime, seconds: float) -> datetime:
        """When so many open seconds have gone by since `start`. Ends at a closing time rather than at the opening after it.

        0 gives `start`. Invalid for less, and when the calendar has not that much open time in 50 years.
        """
        second, left = _second(start), _span(seconds)
        if not left:
            return _moment(second)
        for since, until in self._forward(second):
            have = until - max(since, second)
            if have >= left:
                return _moment(max(since, second) + left)
            left -= max(0, have)
        raise self._never(start)

    def subtract(self, end: datetime, seconds: float) -> datetime:
        """The latest moment with so many open seconds between it and `end`: the mirror of `add`."""
        second, left = _second(end), _span(seconds)
        if not left:
            return _moment(second)
        for since, until in self._backward(second):
            have = min(until, second) - since
            if have >= left:
                return _moment(min(until, second) - left)
            left -= max(0, have)
        raise self._never(end)

    def hours(self, day: date) -> Segments:
        """The segments of a local date."""
        return self.why(day)[0]

    def why(self, day: date) -> tuple[Segments, str]:
        """The segments of a local date and the rule they come from, in words: "" is the week."""
        usual = self.week[day.weekday()]
        for key, segments in self.special:
            if key == day:
                return segments, f"special day {day}"
        if day in self.holidays:
            return (), f"holiday {day}"
        rule = self._yearly(day)
        if rule is not None:
            return (), f"yearly {rule.text}"
        for key, segments in self.special:
            if isinstance(key, Yearly) and usual and day in key.dates(day.year):
                return segments, f"special day {key.text}"
        return usual, ""

    # -- words ------------------------------------------------------------------------------------------

    def describe(self) -> str:
        """One sentence: zone, week, days off, special days."""
        if self.always:
            return f"24 hours, 7 days a week ({self.zone})"
        parts = [f"{', '.join(spoken_week(self.week))} ({self.zone})"]
        if self.holidays:
            days = sorted(self.holidays)
            more = f" and {len(days) - 6} more" if len(days) > 6 else ""
            parts.append(f"closed on {', '.join(day.isoformat() for day in days[:6])}{more}")
        if self.yearly:
            parts.append(f"closed each year on {', '.join(rule.text for rule in self.yearly)}")
        parts += [f"{key.text if isinstance(key, Yearly) else key}: {spoken(segments)}" for key, segments in self.special]
        return "; ".join(parts)

    # -- segments ---------------------------------------------------------------------------------------

    def _yearly(self, day: date) -> Yearly | None:
        found = self._years.get(day.year)
        if found is None:
            found = {off: rule for year in (day.year - 1, day.year, day.year + 1) for rule in self.yearly for off in rule.dates(year)}
            self._years[day.year] = found
        return found.get(day)

    def _ordinal(self, second: int) -> int:
        return _moment(second).astimezone(ZoneInfo(self.zone)).toordinal()

    def _forward(self, second: int) -> Iterator[tuple[int, int]]:
        first = self._ordinal(second)
        for ordinal in range(first, min(first + FARTHEST, date.max.toordinal() - 2)):
            for span in self._of(ordinal).spans:
                if span[1] > second:
                    yield span

    def _backward(self, second: int) -> Iterator[tuple[int, int]]:
        first = self._ordinal(second)
        for ordinal in range(first, max(first - FARTHEST, 3), -1):
            for span in reversed(self._of(ordinal).spans):
                if span[0] < second:
                    yield span

    def _of(self, ordinal: int) -> Open:
        day = self._days.get(ordinal)
        if day is None:
            spans = _spans(ZoneInfo(self.zone), ordinal, self.hours(date.fromordinal(ordinal)))
            day = Open(sum(end - start for start, end in spans), spans)
            if len(self._days) > REMEMBERED:
                self._days.clear()
            self._days[ordinal] = day
        return day

    def _never(self, at: datetime) -> Invalid:
        return Invalid(f"calendar {self.name} has not enough open time around {at:%Y-%m-%d}", hint="Look at its week and its days off.")


def _spans(zone: ZoneInfo, ordinal: int, segments: Segments) -> tuple[tuple[int, int], ...]:
    """Seconds since 1970 during which the wall clock is on that date and within a segment; a switch of the clock cuts a day in pieces."""
    if not segments:
        return ()
    midnight = (ordinal - EPOCH.toordinal()) * DAY
    low, high = midnight - 15 * 3600, midnight + DAY + 15 * 3600
    before, after = _offset(zone, low), _offset(zone, high)
    cut = low if before == after else _switch(zone, low, high)
    found: list[tuple[int, int]] = []
    for start, end, offset in ((low, cut, before), (cut, high, after)):
        for since, until in segments:
            first, last = max(start, midnight + since * 60 - offset), min(end, midnight + until * 60 - offset)
            if first < last:
                found.append((first, last))
    return tuple(joined(found))


def _switch(zone: ZoneInfo, low: int, high: int) -> int:
    """The second from which the offset is another one; no zone switches twice within two days."""
    before = _offset(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: ZoneInfo, second: int) -> int:
    offset = _moment(second).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _second(at: datetime) -> int:
    if at.tzinfo is None:
        raise Invalid(f"{at} has no zone: moments are UTC")
    return (at - EPOCH) // timedelta(seconds=1)


def _moment(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


def _span(seconds: float) -> int:
    if seconds < 0:
        raise Invalid(f"{seconds} s: open time is counted from 0 on")
    return int(seconds)


# -- reading and words ----------------------------------------------------------------------------------


def read_calendars(tables: Mapping[str, Any] | None, zone: str = "UTC", where: str = "") -> dict[str, Calendar]:
    """Calendars by name; "office" (Monday to Friday 08:00-17:00) is there even when nobody names it. BadConfig."""
    found = {"office": Calendar.read(zone=zone)}
    for name, table in (tables or {}).items():
        if not isinstance(table, Mapping):
            raise BadConfig(f"calendar {name}: must be a table", where=where)
        found[name] = Calendar.read(table, zone=zone, name=name, where=where)
    return found


def _known(given: Mapping[str, Any]) -> None:
    for key in given:
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r}; known: {', '.join(KEYS)}")


def _zone(value: Any) -> str:
    try:
        return ZoneInfo(str(value)).key if isinstance(value, str) and value else _bad_zone(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return _bad_zone(value)


def _bad_zone(value: Any) -> str:
    raise ValueError(f"zone: {value!r} is not a time zone such as America/Chicago")


def _date(key: str, value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
            raise ValueError
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError(f"{key}: {value!r} is not a date such as 2026-12-25") from None


def _rule(key: str, value: Any) -> Yearly:
    try:
        return Yearly.read(str(value))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _special(value: Any) -> tuple[tuple[date | Yearly, Segments], ...]:
    if not isinstance(value, Mapping):
        raise ValueError('special: must be a table such as {"2026-12-24" = ["08:00-12:00"]}')
    found: list[tuple[date | Yearly, Segments]] = []
    for key, hours in value.items():
        dated = re.match(r"\d{4}-", str(key))
        found.append((_date("special", key) if dated else _rule("special", key), read_segments(f"special.{key}", hours)))
    return tuple(found)


def _no_contradiction(calendar: Calendar) -> None:
    for key, _ in calendar.special:
        if isinstance(key, date) and key in calendar.holidays:
            raise ValueError(f"special: {key} is a holiday too; keep one of the two")
    if not any(calendar.week):
        raise ValueError("week: is never open")
