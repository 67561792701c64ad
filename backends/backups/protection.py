"""How well a job is protected, from the times of its snapshots: pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from backends.backups.model import Protection

DUE_SHARE = 0.9
"""From this share of the RPO on the next backup is due."""
FUTURE = timedelta(minutes=10)
SHRUNK = 0.5


def _span(seconds: float) -> str:
    return f"{seconds / 86400:.0f}d" if seconds >= 172800 else f"{seconds / 3600:.0f}h" if seconds >= 3600 else f"{seconds / 60:.0f}m"


def protection(times: Sequence[datetime], sizes: Sequence[int | None], rpo: float | None, moment: datetime) -> tuple[Protection, str]:
    """The word and the sentence for a job whose snapshots were taken at `times` (newest first; same order in `sizes`)."""
    if not times:
        return Protection.NEVER, "no snapshot yet"
    newest = times[0]
    if newest > moment + FUTURE:
        return Protection.CLOCK, f"the newest snapshot lies {_span((newest - moment).total_seconds())} in the future: a clock is wrong"
    old = max(0.0, (moment - newest).total_seconds())
    if rpo is not None and old > rpo:
        return Protection.LATE, f"last success {_span(old)} ago, {_span(rpo)} are allowed"
    known = [size for size in sizes if size is not None]
    if len(known) >= 4 and sorted(known[1:])[len(known[1:]) // 2] * SHRUNK > known[0]:
        return Protection.SUSPICIOUS, "the newest snapshot is less than half of what is usual"
    if rpo is not None and old > rpo * DUE_SHARE:
        return Protection.DUE, f"last success {_span(old)} ago, the next is due"
    return Protection.OK, f"last success {_span(old)} ago" if rpo is not None else "no RPO is set: only the age is known"
