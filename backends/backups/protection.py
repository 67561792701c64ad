"""How well a job is protected, from the facts of its snapshots: pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from backends.backups.model import Protection, Snapshot

LATE_SHARE = 1.5
"""Older than the RPO is due, older than 1.5 RPO is late."""
FUTURE = timedelta(minutes=10)
SHRUNK = 0.7
"""Less than this share of what is usual is suspicious: an exclude that slipped, a share that was not mounted."""
SWOLLEN = 10
"""So many times the usual amount of new data is suspicious too: everything was encrypted."""
ENOUGH = 4
"""Snapshots needed to know what is usual."""
SMALL = 50 * 1024 * 1024
"""New data below this never alarms."""


def _span(seconds: float) -> str:
    return f"{seconds // 86400:.0f}d" if seconds >= 172800 else f"{seconds // 3600:.0f}h" if seconds >= 3600 else f"{seconds // 60:.0f}m"


def protection(
    times: Sequence[datetime], sizes: Sequence[int | None], rpo: float | None, moment: datetime,
    files: Sequence[int | None] = (), added: Sequence[int | None] = (), partial: str = "", failed: str = "",
) -> tuple[Protection, str]:
    """The word and the sentence for a job whose snapshots were taken at `times` (newest first; same order in the others).

    `partial` = what the newest snapshot lacks; `failed` = what went wrong with a run after it.
    """  # fmt: skip
    if not times:
        return (Protection.FAILED, failed) if failed else (Protection.NEVER, "no snapshot yet")
    newest = times[0]
    if newest > moment + FUTURE:
        return Protection.CLOCK, f"the newest snapshot lies {_span((newest - moment).total_seconds())} in the future: a clock is wrong"
    old = max(0.0, (moment - newest).total_seconds())
    if failed:
        return Protection.FAILED, failed
    if rpo is not None and old > rpo * LATE_SHARE:
        return Protection.LATE, f"last success {_span(old)} ago, {_span(rpo)} are allowed"
    odd = suspicion(sizes, files, added)
    if odd:
        return Protection.SUSPICIOUS, odd
    if partial:
        return Protection.PARTIAL, partial
    if rpo is not None and old > rpo:
        return Protection.DUE, f"last success {_span(old)} ago, {_span(rpo)} are allowed: the next is due"
    return Protection.OK, f"last success {_span(old)} ago" if rpo is not None else "no RPO is set: only the age is known"


def suspicion(sizes: Sequence[int | None], files: Sequence[int | None], added: Sequence[int | None]) -> str:
    """Why the newest snapshot looks wrong beside those before it, or ""."""
    for what, values in (("bytes", sizes), ("files", files)):
        usual = _usual(values)
        if usual and values[0] is not None and values[0] < usual * SHRUNK:
            return f"the newest snapshot has {min(99 if values[0] else 100, 100 - values[0] * 100 // usual)} % fewer {what} than usual"
    usual = _usual(added[:-1])  # the first backup of all adds everything
    if usual is not None and added and added[0] is not None and added[0] > max(SWOLLEN * usual, SMALL):
        return f"the newest snapshot added {added[0] // max(1, usual)} times the usual amount of new data"
    return ""


def _usual(values: Sequence[int | None]) -> int | None:
    """The median of those before the newest."""
    known = sorted(value for value in values[1:] if value is not None)
    return known[len(known) // 2] if len(known) >= ENOUGH - 1 else None


def of_snapshots(
    snapshots: Sequence[Snapshot], rpo: float | None, moment: datetime, partial: str = "", failed: str = ""
) -> tuple[Protection, str]:
    """The same for the snapshots of a job, newest first."""
    return protection(
        [one.time for one in snapshots], [one.size for one in snapshots], rpo, moment, [one.files for one in snapshots],
        [one.added for one in snapshots], partial, failed,
    )  # fmt: skip
