"""Idents that sort by when they were given. Never imports an adapter."""

from __future__ import annotations

import time
import uuid


def dated(digits: int) -> str:
    """`20261125-023806123-b28958e7`: sorted by time to the millisecond, ending in so many hex digits that nobody guesses."""
    now = time.time_ns() // 1_000_000
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now // 1000))}{now % 1000:03d}-{uuid.uuid4().hex[:digits]}"
