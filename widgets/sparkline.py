"""Sparklines and bars as text, from block characters that every terminal font has. Plain values, no drawing."""

from __future__ import annotations

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], low: float | None = None, high: float | None = None) -> str:
    """One character a value; a gap is a space. Without bounds the values' own are taken."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    bottom = min(known) if low is None else low
    top = max(known) if high is None else high
    span = (top - bottom) or 1.0
    steps = len(BLOCKS) - 1

    def block(value: float | None) -> str:
        if value is None:
            return " "
        return BLOCKS[max(0, min(steps, round((value - bottom) / span * steps)))]

    return "".join(block(value) for value in values)


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled by `share` (0 to 1)."""
    full = max(0, min(width, round(share * width)))
    return "█" * full + "░" * (width - full)
