"""Wrapping of prose to a width in terminal cells, and fields in columns. Plain values, no drawing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, chop_cells

from widgets.toned import Line


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at spaces; a word longer than the line is cut. Empty lines stay."""
    width = max(1, width)
    out: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            joined = f"{line} {word}" if line else word
            if cell_len(joined) <= width:
                line = joined
                continue
            if line:
                out.append(line)
            *whole, line = chop_cells(word, width) or [""]
            out.extend(whole)
        out.append(line)
    return out


def fold(line: Line, width: int) -> list[Line]:
    """A line of pieces as lines of at most `width` cells, broken at spaces, set in two cells further than its beginning."""
    if sum(cell_len(text) for text, _ in line) <= width:
        return [line]
    whole = "".join(text for text, _ in line)
    indent = " " * min(width // 2, len(whole) - len(whole.lstrip(" ")) + 2)
    out: list[list[tuple[str, str]]] = [[]]
    used = 0
    for text, tone in line:
        for word in re.findall(r" +|[^ ]+", text):
            if used + cell_len(word) > width and used > len(indent):
                out.append([(indent, "")])
                used = len(indent)
                if word.isspace():
                    continue
            first, *rest = chop_cells(word, max(1, width - used)) or [""]
            out[-1].append((first, tone))
            used += cell_len(first)
            for part in (more for chunk in rest for more in chop_cells(chunk, max(1, width - len(indent)))):
                out.append([(indent, ""), (part, tone)])
                used = len(indent) + cell_len(part)
    return [tuple(pieces) for pieces in out]


def prose(text: str, width: int, tone: str = "", indent: str = "") -> list[Line]:
    """Wrapped text as lines of one tone."""
    return [((indent + line, tone),) for line in wrap(text, width - cell_len(indent))]


def fields(pairs: Sequence[tuple[str, str, str]], width: int, columns: int | None = None) -> list[Line]:
    """Name and value pairs (name, value, tone) side by side, as many columns as fit; empty values are left out."""
    pairs = [pair for pair in pairs if pair[1]]
    if not pairs:
        return []
    columns = columns or (3 if width >= 132 else 2 if width >= 72 else 1)
    label = max(cell_len(name) for name, _, _ in pairs) + 1
    cell = width // columns
    rows = -(-len(pairs) // columns)
    out: list[Line] = []
    for row in range(rows):
        line: list[tuple[str, str]] = []
        for column in range(columns):
            place = column * rows + row
            if place < len(pairs):
                name, value, tone = pairs[place]
                line += _field(name, value, tone, label, cell)
        out.append(tuple(line))
    return out


def _field(name: str, value: str, tone: str, label: int, cell: int) -> list[tuple[str, str]]:
    from widgets.toned import fit

    room = max(4, cell - label - 3)
    value = fit(value.replace("\n", " "), room)
    return [(" " + fit(name, label), "dim"), (value + "  ", tone)]


def heading(title: str, width: int, note: str = "") -> list[Line]:
    """A section's title with an empty line before it."""
    return [(), ((" " + title, "title"), ("  " + note, "dim"))]
