"""Days that come back each year: a date, the nth weekday of a month, or a day around Easter. Pure; never imports an adapter.

Written "12-25", "4th thu nov", "last mon may", "easter"; then, where wanted, a number of days ("4th thu nov +1" is the day after,
"easter -2" Good Friday) and "observed": when it falls on a Saturday the Friday before is off too, on a Sunday the Monday after
(the rule of the federal holidays of the United States, 5 U.S.C. 6103).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LENGTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_NTH = {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "last": -1}
_TEXT = re.compile(
    r"(?:(?P<date>\d\d-\d\d)|(?P<easter>easter)|(?P<nth>\w+)\s+(?:(?P<day>[a-z]+)\s+(?:(?:in|of)\s+)?(?P<month>[a-z]+)))"
    r"(?:\s*(?P<shift>[+-]\s*\d{1,3}))?(?P<observed>\s+observed)?"
)
_HELP = 'is not a yearly day such as "12-25", "4th thu nov", "last mon may" or "easter -2"'


@dataclass(frozen=True, slots=True)
class Yearly:
    """One rule. `month` 0 is Easter; `nth` 0 means `day` is the day of the month, else `day` is the weekday (0 is Monday)."""

    text: str
    month: int
    day: int
    nth: int = 0
    shift: int = 0
    """Days added."""
    observed: bool = False

    @classmethod
    def read(cls, text: str) -> Yearly:
        """From its words. ValueError in a sentence."""
        plain = " ".join(text.lower().split())
        match = _TEXT.fullmatch(plain)
        if match is None:
            raise ValueError(f"{text!r} {_HELP}")
        shift = int((match["shift"] or "0").replace(" ", ""))
        observed = match["observed"] is not None
        if match["easter"]:
            return cls(plain, 0, 0, 0, shift, observed)
        if match["date"]:
            month, day = int(match["date"][:2]), int(match["date"][3:])
            if not 1 <= month <= 12 or not 1 <= day <= _LENGTH[month - 1]:
                raise ValueError(f"{text!r} is not a day of the year, written MM-DD")
            return cls(plain, month, day, 0, shift, observed)
        nth, weekday, named = _NTH.get(match["nth"]), match["day"][:3], match["month"][:3]
        if nth is None or weekday not in DAYS or named not in MONTHS:
            raise ValueError(f"{text!r} {_HELP}")
        return cls(plain, MONTHS.index(named) + 1, DAYS.index(weekday), nth, shift, observed)

    def dates(self, year: int) -> tuple[date, ...]:
        """The days it gives that year: none, one, or with "observed" two, of which one may lie in the year before or after."""
        base = self._base(year)
        if base is None:
            return ()
        day = base + timedelta(days=self.shift)
        nearest = {5: -1, 6: 1}.get(day.weekday(), 0) if self.observed else 0
        return (day, day + timedelta(days=nearest)) if nearest else (day,)

    def _base(self, year: int) -> date | None:
        if not self.month:
            return easter(year)
        if not self.nth:
            return None if (self.month, self.day) == (2, 29) and not _leap(year) else date(year, self.month, self.day)
        first = date(year, self.month, 1)
        days = [first + timedelta(days=number) for number in range(_LENGTH[self.month - 1])]
        fitting = [day for day in days if day.month == self.month and day.weekday() == self.day]
        if self.nth < 0:
            return fitting[-1]
        return fitting[self.nth - 1] if self.nth <= len(fitting) else None


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (the anonymous algorithm of 1876, as given by Meeus)."""
    a, b, c = year % 19, year // 100, year % 100
    d = (19 * a + b - b // 4 - (b - (b + 8) // 25 + 1) // 3 + 15) % 30
    e = (32 + 2 * (b % 4) + 2 * (c // 4) - d - c % 4) % 7
    f = d + e - 7 * ((a + 11 * d + 22 * e) // 451) + 114
    return date(year, f // 31, f % 31 + 1)
