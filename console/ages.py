"""Times in words: ages, remaining time, local clock. Aware UTC in, short words out; a clock that went back never shows a negative age."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo


def span(seconds: float) -> str:
    """A duration in its largest fitting unit: "42s", "7m", "3h", "5d", "8w", "2y"."""
    seconds = max(0.0, seconds)
    for limit, unit, letter in ((60, 1, "s"), (3600, 60, "m"), (86400, 3600, "h"), (86400 * 14, 86400, "d"), (86400 * 365, 604800, "w")):
        if seconds < limit:
            return f"{int(seconds // unit)}{letter}"
    return f"{seconds / 31557600:.0f}y"


def allowed(seconds: float) -> str:
    """How old something may be: "26h" stays that and is not "1d"."""
    return span(seconds) if seconds >= 172800 or seconds < 3600 else f"{seconds / 3600:.0f}h"


def last(at: datetime | None, now: datetime | None = None) -> str:
    """How long ago it was; "+3d" where a clock says that it will be."""
    ahead = (at - (now or datetime.now(UTC))).total_seconds() if at is not None else 0.0
    return f"+{span(ahead)}" if ahead > 600 else age(at, now)


def age(at: datetime | None, now: datetime | None = None) -> str:
    """How long ago; "" for never. Under a minute it is "now": a list must not tick every second."""
    if at is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    return "now" if seconds < 60 else span(seconds)


def due(at: datetime | None, now: datetime | None = None) -> str:
    """Time left ("3h") or overdue ("-2d"); "" where nothing is due."""
    if at is None:
        return ""
    seconds = (at - (now or datetime.now(UTC))).total_seconds()
    return f"-{span(-seconds)}" if seconds < 0 else span(seconds)


def left(seconds: int | None, at: datetime | None, now: datetime | None = None) -> str:
    """Open time that is left in minutes and hours ("48m", "3h", "-12h"): a day of 24 open hours is not meant. By the wall clock where nobody can say."""
    if seconds is None or at is None:
        return due(at, now)
    size = abs(seconds)
    late = (at - (now or datetime.now(UTC))).total_seconds() < 0
    if late and size < 60:
        return "-0m"
    return ("-" if late else "") + (f"{size // 60}m" if size < 3600 else f"{size // 3600}h")


@lru_cache(maxsize=8)
def zone(name: str) -> ZoneInfo:
    """The zone by its IANA name; UTC when the name is not known."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def stamp(at: datetime | None, timezone: str = "UTC") -> str:
    """Date and time in the site's zone: "2026-11-24 09:05"; "" for None."""
    return at.astimezone(zone(timezone)).strftime("%Y-%m-%d %H:%M") if at else ""


_MOMENT = re.compile(r"\b\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?(?:Z|\+00:00)| \d\d:\d\d UTC\b)")


def local(text: str, timezone: str = "UTC") -> str:
    """The text with the UTC moments in it as people at the site read them: "2026-11-24 09:05"."""
    return _MOMENT.sub(lambda found: stamp(datetime.fromisoformat(found.group(0).replace(" UTC", "+00:00")), timezone), text) if "T" in text else text


def clock(timezone: str = "UTC") -> str:
    """The time of day at the site, by the minute."""
    return datetime.now(zone(timezone)).strftime("%H:%M")
