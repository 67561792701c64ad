"""The wallboard as lines: figures, what is not well, who works on what. Pure: state in, lines out; pages turn by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from widgets.big_digits import big
from widgets.toned import Line, Piece, fit, line_width


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure: its name, the number (None: not known), the tone of the number, and a note (why it is not known)."""

    name: str
    number: int | None
    tone: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A list on the wall: title, lines, and what an empty one says."""

    title: str
    lines: tuple[Line, ...] = ()
    empty: str = "none"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Wall:
    """All that the wallboard shows at one moment."""

    tiles: tuple[Tile, ...] = ()
    blocks: tuple[Block, ...] = field(default_factory=tuple)


WIDE_FROM = 100
"""Columns from which the lists stand two beside each other."""


def pages(wall: Wall, width: int, height: int) -> int:
    """How many pages the longest list takes."""
    rooms = _rooms(wall, width, height)
    return max([1] + [-(-len(block.lines) // room) for block, room in zip(wall.blocks, rooms, strict=True)])


def _rooms(wall: Wall, width: int, height: int) -> list[int]:
    """Lines for the entries of each list. Beside each other all get the same; one under the other nobody keeps lines empty that another needs."""
    free = height - len(_tiles(wall.tiles, width)) - 2
    if width >= WIDE_FROM or not wall.blocks:
        return [max(1, free // 2 - 2)] * len(wall.blocks)
    rooms = [1] * len(wall.blocks)
    free -= 2 * len(wall.blocks)
    while free > 0 and (wanting := [place for place, block in enumerate(wall.blocks) if len(block.lines) > rooms[place]]):
        for place in sorted(wanting, key=lambda place: rooms[place])[:free]:
            rooms[place] += 1
            free -= 1
    return rooms


def wall_lines(wall: Wall, width: int, height: int, page: int) -> list[Line]:
    """The board for a size and a page; every line keeps its place, so that only what differs is drawn."""
    out: list[Line] = [(), *_tiles(wall.tiles, width), ()]
    rooms = _rooms(wall, width, height)
    if width >= WIDE_FROM:
        half = width // 2
        for first in range(0, len(wall.blocks), 2):
            pair = [_block(block, half - 2, rooms[0], page) for block in wall.blocks[first : first + 2]]
            out += _beside(pair, half)
    else:
        for block, room in zip(wall.blocks, rooms, strict=True):
            out += [tuple(_cut(line, width)) for line in _block(block, width, room, page)[:-1]]
    return out[:height]


def _tiles(tiles: Sequence[Tile], width: int) -> list[Line]:
    """The figures: as large as they fit beside each other, else as plain numbers in two columns. A number is never cut."""
    cell = max(9, width // max(1, len(tiles)))
    written = ["?" if tile.number is None else str(tile.number) for tile in tiles]
    if any(len(big(number)[0]) + 3 > cell or len(tile.name) + 2 > cell for number, tile in zip(written, tiles, strict=True)):
        return _small_tiles(tiles, written, width)
    rows: list[list[Piece]] = [[], [], [], []]
    for tile, number in zip(tiles, written, strict=True):
        for row, digits in enumerate(big(number)):
            rows[row].append((fit("  " + digits, cell), tile.tone))
        rows[3].append((fit("  " + tile.name + (f" {tile.note}" if tile.note else ""), cell), "dim"))
    return [tuple(row) for row in rows]


def _small_tiles(tiles: Sequence[Tile], written: Sequence[str], width: int) -> list[Line]:
    half = width // 2
    cells = [((f" {number:>6} ", tile.tone or "title"), (fit(f"{tile.name} {tile.note}".strip(), half - 8), "dim")) for tile, number in zip(tiles, written, strict=True)]
    return [tuple(piece for pieces in cells[first : first + 2] for piece in pieces) for first in range(0, len(cells), 2)]


def _block(block: Block, width: int, room: int, page: int) -> list[Line]:
    count = -(-len(block.lines) // room) or 1
    at = page % count
    turn = f"  {at + 1}/{count}" if count > 1 else ""
    head: Line = (
        (fit(f" {block.title}  {len(block.lines) or ''}{turn}", max(1, width - len(block.note) - 1)), "bar"),
        (block.note + " ", "bar-warn"),
    )
    shown = list(block.lines[at * room : (at + 1) * room]) or [((" " + block.empty, "dim"),)]
    shown += [()] * (room - len(shown))
    return [head, *shown, ()]


def _beside(blocks: list[list[Line]], half: int) -> list[Line]:
    out: list[Line] = []
    for row in range(max(len(block) for block in blocks)):
        line: list[Piece] = []
        for place, block in enumerate(blocks):
            pieces = _cut(block[row] if row < len(block) else (), half - 2)
            line += pieces
            if place == 0:
                line.append((" " * (half - line_width(pieces)), ""))
        out.append(tuple(line))
    return out


def _cut(line: Line, width: int) -> list[Piece]:
    out: list[Piece] = []
    for text, tone in line:
        size = line_width([(text, tone)])
        if size >= width:
            out.append((fit(text, width), tone))
            return out
        out.append((text, tone))
        width -= size
    return out
