"""Recurrence rules of RFC 5545 in the site's wall-clock time: 08:00 stays 08:00 on both sides of a switch of the clocks.

A rule is read from RFC 5545 text (DTSTART, RRULE, RDATE, EXDATE; a bare `FREQ=...` will do) or from plain words ("weekdays 08:00",
"every 2 weeks mon,thu 07:30", "monthly last fri 16:00", "quarterly 1 08:00", "yearly 03-01 09:00"). A local time that a switch skips is
taken with the offset from before it, one that comes twice is the first (RFC 5545, 3.3.5). Pure; never imports an adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FREQUENCIES = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}
PARTS = (
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "BYYEARDAY", "BYWEEKNO", "BYHOUR", "BYMINUTE", "WKST",
    "BYEASTER",
)  # fmt: skip
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CODES = {name: name[:2].upper() for name in DAYS}
FARTHEST = timedelta(days=366 * 30)
"""How far a date is looked for: the longest gap of a sane rule (29 February on a Monday) is 28 years."""
MOST_A_DAY = 4
LONGEST = 4000
MOST_DATES = 500
_LENGTHS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
USUAL_TIME = (8, 0)
_WEEKDAYS = "MO,TU,WE,TH,FR"
_ORDINALS = {"first": 1, "1st": 1, "second": 2, "2nd": 2, "third": 3, "3rd": 3, "fourth": 4, "4th": 4, "fifth": 5, "5th": 5, "last": -1}


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence in a zone. Moments are aware UTC; `start`, `extra` and `without` are wall-clock times of the zone."""

    zone: str
    start: datetime
    parts: tuple[tuple[str, str], ...] = ()
    extra: tuple[datetime, ...] = ()
    without: frozenset[datetime] = frozenset()
    until: datetime | None = None
    count: int | None = None

    @classmethod
    def read(cls, text: str, *, zone: str, start: str = "", today: datetime | None = None) -> Rule:
        """From RFC 5545 text or plain words. `start` ("2026-12-01 08:00", local) wins over DTSTART; ValueError in a sentence."""
        if len(text) > LONGEST:
            raise ValueError(f"is longer than {LONGEST} characters")
        day = (today or datetime.now(UTC)).astimezone(_zone(zone)).replace(tzinfo=None)
        lines = _lines(text)
        if "RRULE" not in lines and "RDATE" not in lines:
            words, clock = _plain(text)
            lines = {"RRULE": [("", words)], "DTSTART": [("", f"{day:%Y%m%d}T{clock[0]:02d}{clock[1]:02d}00")]}
        if lines.get("DTSTART"):
            zone, first = _dtstart(lines["DTSTART"][0], zone)
        else:
            first = day.replace(hour=USUAL_TIME[0], minute=USUAL_TIME[1], second=0, microsecond=0)
        if start:
            first = _local(start, zone)
        parts = _parts(lines["RRULE"][0][1]) if lines.get("RRULE") else {}
        count, until = _whole("COUNT", parts.pop("COUNT", None)), parts.pop("UNTIL", None)
        return cls(
            zone, first, tuple(parts.items()), tuple(sorted(_dates("RDATE", lines, zone))), frozenset(_dates("EXDATE", lines, zone)),
            _local(until, zone, last=True) if until else None, count,
        ).checked()  # fmt: skip

    def checked(self) -> Rule:
        """The rule itself when it can be worked with. ValueError."""
        if not 2000 <= self.start.year <= 2100:
            raise ValueError(f"starts in {self.start.year}; from 2000 to 2100 it can")
        if self.count is not None and self.until is not None:
            raise ValueError("has COUNT and UNTIL; one of the two ends it")
        if next(self._walls(self.start - timedelta(seconds=1)), None) is None:
            raise ValueError("has no date at all")
        return self

    # -- dates ------------------------------------------------------------------------------------------

    def between(self, after: datetime, until: datetime, limit: int = 1000) -> list[datetime]:
        """The moments after `after` up to and with `until`, the oldest first; the newest `limit` of them."""
        found: list[datetime] = []
        for moment in self._moments(after):
            if moment > until:
                break
            found.append(moment)
        return found[-limit:]

    def following(self, after: datetime, count: int = 1) -> list[datetime]:
        """The next `count` moments after `after`; fewer when it ends."""
        found: list[datetime] = []
        for moment in self._moments(after):
            found.append(moment)
            if len(found) >= count:
                break
        return found

    def _moments(self, after: datetime) -> Iterator[datetime]:
        """Aware UTC; two wall-clock times that a switch makes one moment are given once."""
        zone, last = ZoneInfo(self.zone), after
        for wall in self._walls(after.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)):
            moment = wall.replace(tzinfo=zone).astimezone(UTC)
            if moment > last:
                last = moment
                yield moment

    def _walls(self, after: datetime) -> Iterator[datetime]:
        extra = [wall for wall in self.extra if wall > after]
        for wall in self._ruled(after):
            while extra and extra[0] <= wall:
                if (one := extra.pop(0)) != wall and one not in self.without:
                    yield one
            if wall not in self.without:
                yield wall
        yield from (one for one in extra if one not in self.without)

    def _ruled(self, after: datetime) -> Iterator[datetime]:
        """What RRULE gives. COUNT is counted here, as the end that bounds a rule without any date is an UNTIL too."""
        if not self.parts:
            return
        from dateutil.rrule import rrulestr

        last = max(after, self.start) + FARTHEST
        end = min(self.until, last) if self.until else last
        text = ";".join(f"{name}={value}" for name, value in self.parts) + f";UNTIL={end:%Y%m%dT%H%M%S}"
        found: Any = rrulestr(text, dtstart=self.start)
        for number, wall in enumerate(found, start=1):
            if self.count is not None and number > self.count:
                return
            if wall > after:
                yield wall

    # -- words ------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The rule as RFC 5545 text; `read` gives the same rule back."""
        out = [f"DTSTART;TZID={self.zone}:{self.start:%Y%m%dT%H%M%S}"]
        parts = dict(self.parts)
        if self.count is not None:
            parts["COUNT"] = str(self.count)
        if self.until is not None:
            parts["UNTIL"] = f"{self.until:%Y%m%dT%H%M%S}"
        if parts:
            out.append("RRULE:" + ";".join(f"{name}={value}" for name, value in parts.items()))
        for name, dates in (("RDATE", self.extra), ("EXDATE", sorted(self.without))):
            if dates:
                out.append(f"{name}:" + ",".join(f"{date:%Y%m%dT%H%M%S}" for date in dates))
        return "\n".join(out)

    def words(self) -> str:
        """The rule for a list: "every 2 weeks mon,thu 08:00"."""
        parts = dict(self.parts)
        if not parts:
            return f"on {len(self.extra)} dates"
        unit, step = FREQUENCIES[parts["FREQ"]], int(parts.get("INTERVAL", "1"))
        known = {"FREQ", "INTERVAL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH"}
        if parts.get("BYDAY") == _WEEKDAYS and step == 1 and unit == "week":
            return " ".join(["weekdays", f"{self.start:%H:%M}", *self._end()])
        out = [f"every {step} {unit}s" if step > 1 else f"every {unit}"]
        month, day = parts.get("BYMONTH", ""), parts.get("BYMONTHDAY", "")
        if unit == "month" and step == 1 and month == "1,4,7,10":
            out, parts = ["quarterly"], {**parts, "BYMONTH": ""}
        elif unit == "year" and step == 1 and month.isdigit() and day.isdigit():
            out, parts = [f"yearly {int(month):02d}-{int(day):02d}"], {**parts, "BYMONTH": "", "BYMONTHDAY": ""}
        if parts.get("BYDAY"):
            out.append(_spoken_days(parts["BYDAY"]))
        if parts.get("BYMONTHDAY"):
            out.append("day " + parts["BYMONTHDAY"])
        if parts.get("BYMONTH"):
            out.append("in month " + parts["BYMONTH"])
        out += [f"{name.lower()} {value}" for name, value in parts.items() if name not in known]
        return " ".join([*out, f"{self.start:%H:%M}", *self._end()])

    def _end(self) -> list[str]:
        return [f"until {self.until:%Y-%m-%d}"] if self.until else [f"{self.count} times"] if self.count else []


def _spoken_days(codes: str) -> str:
    """"-1FR" -> "last fri", "MO,TH" -> "mon,thu"."""
    ordinals = {1: "1st", 2: "2nd", 3: "3rd", -1: "last"}
    found: list[str] = []
    for code in codes.split(","):
        number = int(code[:-2] or 0)
        day = next((day for day in DAYS if _CODES[day] == code[-2:]), code.lower())
        found.append(f"{ordinals.get(number, f'{number}th')} {day}" if number else day)
    return ",".join(found)


# -- reading ------------------------------------------------------------------------------------------------


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone such as America/Chicago") from None


def _lines(text: str) -> dict[str, list[tuple[str, str]]]:
    """Property -> [(parameters, value)]; folded lines are joined."""
    unfolded = re.sub(r"\r?\n[ \t]", "", text.strip())
    found: dict[str, list[tuple[str, str]]] = {}
    for line in filter(None, map(str.strip, unfolded.splitlines())):
        match = re.fullmatch(r"(DTSTART|RRULE|RDATE|EXDATE)((?:;[A-Z-]+=[^:;]+)*):(.+)", line, re.IGNORECASE)
        if match:
            found.setdefault(match.group(1).upper(), []).append((match.group(2), match.group(3).strip()))
        elif re.match(r"FREQ=", line, re.IGNORECASE):
            found.setdefault("RRULE", []).append(("", line))
        elif re.match(r"[A-Z-]+[;:=]", line):
            raise ValueError(f"{line[:40]!r} is not understood; DTSTART, RRULE, RDATE and EXDATE are")
    if len(found.get("RRULE", ())) > 1 or len(found.get("DTSTART", ())) > 1:
        raise ValueError("has RRULE or DTSTART twice")
    return found


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in filter(None, text.upper().strip().rstrip(";").split(";")):
        name, equals, value = part.partition("=")
        if name not in PARTS or not equals or not re.fullmatch(r"[A-Z0-9,+-]{1,400}", value):
            raise ValueError(f"{part[:40]!r} is not a part of a rule here; {', '.join(PARTS)} are")
        if name in parts:
            raise ValueError(f"has {name} twice")
        parts[name] = value
    if parts.get("FREQ") not in FREQUENCIES:
        raise ValueError(f"FREQ is one of {', '.join(FREQUENCIES)}: maintenance is not due each hour")
    _whole("INTERVAL", parts.get("INTERVAL"))
    times = len(parts.get("BYHOUR", "0").split(",")) * len(parts.get("BYMINUTE", "0").split(","))
    if times > MOST_A_DAY:
        raise ValueError(f"is due {times} times a day; {MOST_A_DAY} are the most")
    _days_of_months(parts)
    bare = ";".join(f"{name}={value}" for name, value in parts.items() if name not in ("UNTIL", "COUNT"))
    from dateutil.rrule import rrulestr

    try:
        rrulestr(bare, dtstart=datetime(2026, 1, 1))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"{text[:60]!r} is not a rule: {error}") from None
    return parts


def _days_of_months(parts: Mapping[str, str]) -> None:
    """Days no month has are refused here: the library looks for a 30 February until the year 9999 (8 s, measured)."""
    if not re.fullmatch(r"-?\d{1,2}(,-?\d{1,2})*", parts.get("BYMONTHDAY", "1")) or not re.fullmatch(r"\d{1,2}(,\d{1,2})*", parts.get("BYMONTH", "1")):
        raise ValueError("BYMONTHDAY and BYMONTH are numbers")
    months = [int(month) for month in parts.get("BYMONTH", "1").split(",")]
    longest = max((_LENGTHS[month] for month in months if 1 <= month <= 12), default=0)
    if not all(1 <= month <= 12 for month in months):
        raise ValueError("BYMONTH is from 1 to 12")
    if not any(1 <= abs(int(day)) <= longest for day in parts.get("BYMONTHDAY", "1").split(",")):
        raise ValueError("has no date at all: no such month has such a day")


def _whole(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"\d{1,5}", value) or int(value) < 1:
        raise ValueError(f"{name} is a number from 1 on")
    return int(value)


def _dtstart(given: tuple[str, str], zone: str) -> tuple[str, datetime]:
    found = re.search(r";TZID=([^;:]+)", given[0], re.IGNORECASE)
    if found:
        zone = _zone(found.group(1)).key
    return zone, _local(given[1], zone)


def _local(text: str, zone: str, *, last: bool = False) -> datetime:
    """A wall-clock time of the zone, from RFC 5545 or ISO text; UTC with Z. A day alone is its 08:00, or its last second."""
    plain = re.sub(r"[-:]", "", text.strip()).replace(" ", "T").upper()
    match = re.fullmatch(r"(\d{8})(?:T(\d{4})(\d\d)?(Z)?)?", plain)
    try:
        if match is None:
            raise ValueError
        day, minute, second, utc = match.groups()
        if minute is None:
            return datetime.strptime(day + ("235959" if last else f"{USUAL_TIME[0]:02d}{USUAL_TIME[1]:02d}00"), "%Y%m%d%H%M%S")
        found = datetime.strptime(f"{day}{minute}{second or '00'}", "%Y%m%d%H%M%S")
    except ValueError:
        raise ValueError(f"{text!r} is not a time such as 2026-12-01 08:00") from None
    return found.replace(tzinfo=UTC).astimezone(_zone(zone)).replace(tzinfo=None) if utc else found


def _dates(name: str, lines: Mapping[str, list[tuple[str, str]]], zone: str) -> list[datetime]:
    found: list[datetime] = []
    for parameters, values in lines.get(name, ()):
        given = re.search(r";TZID=([^;:]+)", parameters, re.IGNORECASE)
        for value in values.split(","):
            wall = _local(value, given.group(1) if given else zone)
            if given and given.group(1) != zone:
                wall = wall.replace(tzinfo=_zone(given.group(1))).astimezone(_zone(zone)).replace(tzinfo=None)
            found.append(wall)
    if len(found) > MOST_DATES:
        raise ValueError(f"{name} has more than {MOST_DATES} dates")
    return found


# -- plain words --------------------------------------------------------------------------------------------

_UNITS = {
    "daily": "DAILY", "day": "DAILY", "days": "DAILY", "weekly": "WEEKLY", "week": "WEEKLY", "weeks": "WEEKLY", "monthly": "MONTHLY",
    "month": "MONTHLY", "months": "MONTHLY", "yearly": "YEARLY", "year": "YEARLY", "years": "YEARLY",
}  # fmt: skip


def _plain(text: str) -> tuple[str, tuple[int, int]]:
    """(the rule, its time of day) of plain words. ValueError names the word."""
    words = text.lower().replace(" and ", ",").split()
    rule: dict[str, str] = {}
    clock, ordinal = USUAL_TIME, 0
    for word in words:
        days = word.split(",")
        if word in ("every", "on", "at", "the", "each"):
            continue
        if word in _UNITS:
            rule["FREQ"] = _UNITS[word]
        elif word == "weekdays":
            rule |= {"FREQ": "WEEKLY", "BYDAY": _WEEKDAYS}
        elif word == "quarterly":
            rule |= {"FREQ": "MONTHLY", "BYMONTH": "1,4,7,10"}
        elif word in _ORDINALS:
            ordinal = _ORDINALS[word]
        elif all(day[:3] in DAYS for day in days):
            mark = str(ordinal) if ordinal else ""
            rule["BYDAY"] = ",".join(mark + _CODES[day[:3]] for day in days)
            rule.setdefault("FREQ", "MONTHLY" if ordinal else "WEEKLY")
        elif re.fullmatch(r"\d{1,2}:\d\d", word) and int(word[:-3]) < 24 and int(word[-2:]) < 60:
            clock = (int(word[:-3]), int(word[-2:]))
        elif re.fullmatch(r"\d\d-\d\d", word):
            rule |= {"FREQ": "YEARLY", "BYMONTH": str(int(word[:2])), "BYMONTHDAY": str(int(word[3:]))}
        elif re.fullmatch(r"\d{1,3}", word) and "FREQ" not in rule:
            rule["INTERVAL"] = str(int(word))
        elif re.fullmatch(r"\d{1,2}", word) and rule.get("FREQ") == "MONTHLY":
            rule["BYMONTHDAY"] = str(int(word))
        else:
            raise ValueError(f"{word!r} is not understood; such as: weekdays 08:00, every 2 weeks mon 07:30, monthly last fri 16:00, quarterly 1 08:00")
    if "FREQ" not in rule:
        raise ValueError("says not how often; such as: weekdays 08:00, weekly mon 07:30, monthly 15 09:00, yearly 03-01 08:00")
    if ordinal == -1 and "BYDAY" not in rule:
        rule["BYMONTHDAY"] = "-1"
    return ";".join(f"{name}={value}" for name, value in rule.items()), clock
