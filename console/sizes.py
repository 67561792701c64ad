"""Metrics in words."""

from __future__ import annotations

from backends.text import size


def measured(value: float, unit: str) -> str:
    """A metric with its unit, as short as it stays exact enough to act on."""
    if unit in ("B", "B/s"):
        return size(value) + ("/s" if unit == "B/s" else "")
    if unit == "s":
        from console.ages import span

        return span(value)
    text = f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"
    return f"{text}{unit}" if unit in ("%", "°C") else f"{text} {unit}".rstrip()
