"""Moments of other systems as aware UTC: ISO 8601 always, days written with dots or slashes where their order is said. Never imports textual."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

Order = Literal["iso", "dmy", "mdy"]
ORDERS: tuple[Order, ...] = ("iso", "dmy", "mdy")
_SLASHED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:[ ,T]+(\d{1,2}):(\d\d)(?::(\d\d))?(?: ?([AaPp])\.?[Mm]\.?)?)?")
_ZONED = re.compile(r"(.*\d)\s*(?:UTC|GMT|Z)", re.IGNORECASE)
EARLIEST = 1970


@dataclass(frozen=True, slots=True)
class Dates:
    """How moments are written: the zone of those that name none, and the order of day and month where it isn't ISO's."""

    zone: ZoneInfo
    order: Order = "iso"

    def read(self, text: str) -> datetime | None:
        """The moment, None for an empty text. ValueError with a sentence; years before 1970 and after 2200 are taken for mistakes."""
        text = text.strip()
        if not text or text in ("-", "0000-00-00 00:00:00", "1970-01-01T00:00:00Z"):
            return None
        zoned = _ZONED.fullmatch(text)
        zone: ZoneInfo | None = ZoneInfo("UTC") if zoned else self.zone
        found = self._written(zoned.group(1) if zoned else text, text)
        at = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=zone).astimezone(UTC)
        if not EARLIEST <= at.year <= 2200:
            raise ValueError(f"{text!r}: the year {at.year} can't be meant")
        return at

    def _written(self, text: str, said: str) -> datetime:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
        found = _SLASHED.fullmatch(text)
        if found is None:
            raise ValueError(f"{said[:60]!r} is no moment such as 2026-11-24 09:05 or 2026-11-24T09:05:00+01:00")
        one, mark, two, year, hour, minute, second, half = found.groups()
        order = "dmy" if self.order == "iso" and mark == "." else self.order
        if order == "iso":
            raise ValueError(f"{said[:60]!r}: day or month first? Say it with --dates dmy or --dates mdy")
        day, month = (int(one), int(two)) if order == "dmy" else (int(two), int(one))
        hours = int(hour or 0)
        if half:
            if not 1 <= hours <= 12:
                raise ValueError(f"{said[:60]!r} is no time of day")
            hours = hours % 12 + (12 if half in "pP" else 0)
        try:
            return datetime(int(year) + (2000 if len(year) == 2 else 0), month, day, hours, int(minute or 0), int(second or 0))
        except ValueError as error:
            raise ValueError(f"{said[:60]!r}: {error}") from None
