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


def pages(wall: Wall, height: int) -> int:
    """How many pages the longest list takes."""
    room = _room(height)
    return max([1] + [-(-len(block.lines) // room) for block in wall.blocks])


def _room(height: int) -> int:
    """Lines for each of the two rows of lists: five go to the figures, two to each list's head and gap."""
    return max(1, (height - 6) // 2 - 2)


def wall_lines(wall: Wall, width: int, height: int, page: int) -> list[Line]:
    """The board for a size and a page; every line keeps its place, so that only what differs is drawn."""
    out: list[Line] = [(), *_tiles(wall.tiles, width), ()]
    room = _room(height)
    if width >= 100:
        half = width // 2
        for first in range(0, len(wall.blocks), 2):
            pair = [_block(block, half - 2, room, page) for block in wall.blocks[first : first + 2]]
            out += _beside(pair, half)
    else:
        for block in wall.blocks:
            out += _block(block, width, max(1, (height - 6) // max(1, len(wall.blocks)) - 2), page)
    return out[:height]


def _tiles(tiles: Sequence[Tile], width: int) -> list[Line]:
    cell = max(9, width // max(1, len(tiles)))
    rows: list[list[Piece]] = [[], [], [], []]
    for tile in tiles:
        digits = big("?" if tile.number is None else str(tile.number))
        for row in range(3):
            rows[row].append((fit("  " + digits[row], cell), tile.tone))
        rows[3].append((fit("  " + tile.name + (f" {tile.note}" if tile.note else ""), cell), "dim"))
    return [tuple(row) for row in rows]


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
