"""Columns of a grid and how they share the width. Plain values, no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title and width in cells. `flex` takes what is left over; the highest `drop` goes first when it is narrow."""

    key: str
    title: str
    width: int
    flex: int = 0
    align: str = "left"
    drop: int = 0
    wide: bool = False
    """Only shown with wide columns on."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row, ready to draw: a stable key, a cell per column, a tone per cell."""

    key: str
    cells: tuple[str, ...]
    tones: tuple[str, ...] = ()


Fitted = tuple[tuple[int, int], ...]
"""(index of the column, its width) from left to right."""


def fit_columns(columns: Sequence[Column], width: int, wide: bool = False) -> Fitted:
    """Which columns are shown and how wide: one cell apart, dropped by `drop` until the rest fits, the flex ones stretched."""
    shown = [index for index, column in enumerate(columns) if wide or not column.wide]

    def needed(indexes: Sequence[int]) -> int:
        return sum(columns[index].width + 1 for index in indexes) - 1

    while needed(shown) > width and len(shown) > 1:
        victim = max(shown, key=lambda index: (columns[index].drop, index))
        if columns[victim].drop == 0:
            break
        shown.remove(victim)
    spare = max(0, width - needed(shown))
    flex = sum(columns[index].flex for index in shown)
    out: list[tuple[int, int]] = []
    for index in shown:
        column = columns[index]
        extra = spare * column.flex // flex if flex else 0
        out.append((index, column.width + extra))
    return tuple(out)
