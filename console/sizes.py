"""Bytes and rates in words."""

from __future__ import annotations


def size(count: float | None) -> str:
    """Bytes in binary units with three digits: "0 B", "1.5 KiB", "340 GiB"; "" for None."""
    if count is None:
        return ""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" or abs(value) >= 99.95 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} PiB"


def measured(value: float, unit: str) -> str:
    """A metric with its unit, as short as it stays exact enough to act on."""
    if unit in ("B", "B/s"):
        return size(value) + ("/s" if unit == "B/s" else "")
    if unit == "s":
        from console.ages import span

        return span(value)
    text = f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"
    return f"{text}{unit}" if unit in ("%", "°C") else f"{text} {unit}".rstrip()
