"""Points of a history as a fixed number of averages, for a sparkline. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


def buckets(points: Sequence[tuple[datetime, float]], width: int, since: datetime, until: datetime) -> list[float | None]:
    """`width` averages from `since` to `until`; a bucket without a point is None."""
    span = (until - since).total_seconds() or 1.0
    sums, counts = [0.0] * width, [0] * width
    for at, value in points:
        place = int((at - since).total_seconds() / span * width)
        if 0 <= place < width:
            sums[place] += value
            counts[place] += 1
    return [sums[place] / counts[place] if counts[place] else None for place in range(width)]
