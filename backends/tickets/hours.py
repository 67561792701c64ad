"""Hours of a day and of a week: read from plain values, said in words. Pure; never imports an adapter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import pairwise
from typing import Any

from backends.tickets.yearly import DAYS

Segment = tuple[int, int]
"""Minutes since local midnight, from and to: (480, 1020) is 08:00-17:00, 1440 is 24:00."""
Segments = tuple[Segment, ...]
OFFICE: Segments = ((480, 1020),)
WORKWEEK = (OFFICE,) * 5 + ((),) * 2
"""Monday to Friday, 08:00 to 17:00."""
_HOURS = re.compile(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)")


def joined(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Spans in their order, those that touch as one."""
    last: tuple[int, int] | None = None
    for span in sorted(spans):
        if last is not None and span[0] <= last[1]:
            last = (last[0], max(last[1], span[1]))
            continue
        if last is not None:
            yield last
        last = span
    if last is not None:
        yield last


def listed(key: str, value: Any) -> list[Any]:
    """A list, or one text or date as a list of one. ValueError for anything else."""
    if isinstance(value, str | date):
        return [value]
    if not isinstance(value, list | tuple):
        raise ValueError(f"{key}: must be a list, not {type(value).__name__}")
    return list(value)


def read_week(value: Any) -> tuple[Segments, ...]:
    """Seven days from Monday on, from {mon-fri = ["08:00-17:00"]}. ValueError in a sentence."""
    if not isinstance(value, Mapping):
        raise ValueError('week: must be a table such as {mon-fri = ["08:00-17:00"]}')
    week: dict[int, Segments] = {}
    for key, hours in value.items():
        segments = read_segments(f"week.{key}", hours)
        for number in _days(str(key)):
            if number in week:
                raise ValueError(f"week.{key}: {DAYS[number]} is given twice")
            week[number] = segments
    return tuple(week.get(number, ()) for number in range(7))


def _days(key: str) -> list[int]:
    found: list[int] = []
    for part in key.lower().replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first[:3] not in DAYS or (dash and last[:3] not in DAYS):
            raise ValueError(f"week: {key!r} is not a day such as mon, mon-fri or mon,wed")
        low, high = DAYS.index(first[:3]), DAYS.index((last or first)[:3])
        found += [number % 7 for number in range(low, (high if high >= low else high + 7) + 1)]
    return found


def read_segments(key: str, value: Any) -> Segments:
    """The hours of a day in their order; none is a closed day. ValueError when they overlap or run over midnight."""
    found = sorted(_segment(key, text) for text in listed(key, value))
    for (start, end), (following, _) in pairwise(found):
        if following < end:
            raise ValueError(f"{key}: {_clock(start)}-{_clock(end)} and the hours from {_clock(following)} on overlap")
    return tuple(joined(found))


def _segment(key: str, text: Any) -> Segment:
    match = _HOURS.fullmatch(str(text).strip())
    if match is None:
        raise ValueError(f"{key}: {text!r} is not hours such as 08:00-17:00")
    one, two, three, four = (int(part) for part in match.groups())
    start, end = one * 60 + two, three * 60 + four
    if max(two, four) > 59 or start >= 1440 or end > 1440:
        raise ValueError(f"{key}: {text!r} is not a time of day; the last is 24:00")
    if end == 0 < start:
        raise ValueError(f"{key}: {text!r}: write 24:00 for the end of the day")
    if end == start:
        raise ValueError(f"{key}: {text!r} is empty; all day is 00:00-24:00")
    if end < start:
        raise ValueError(f"{key}: {text!r} runs over midnight; write {_clock(start)}-24:00, and 00:00-{_clock(end)} on the day after")
    return start, end


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def spoken(segments: Segments) -> str:
    """"08:00-12:00 and 13:00-17:00", or "closed"."""
    return " and ".join(f"{_clock(start)}-{_clock(end)}" for start, end in segments) or "closed"


def spoken_week(week: tuple[Segments, ...]) -> Iterator[str]:
    """"Mon-Fri 08:00-17:00", one text for days in a row with the same hours; closed days are left out."""
    first = 0
    for number in range(1, 8):
        if number < 7 and week[number] == week[first]:
            continue
        if week[first]:
            days = DAYS[first].title() + (f"-{DAYS[number - 1].title()}" if number - 1 > first else "")
            yield f"{days} {spoken(week[first])}"
        first = number
