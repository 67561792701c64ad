"""The wallboard's lines: every size holds, pages turn, nothing is wider than the screen."""

from __future__ import annotations

import pytest

from screens.wall_lines import Block, Tile, Wall, pages, wall_lines
from widgets.toned import line_width

WALL = Wall(
    (Tile("tickets open", 1184), Tile("overdue", 56, "bad"), Tile("devices not OK", None, "", "timed out")),
    tuple(
        Block(name, tuple(((f" {name} {n} 日本語 " + "x" * 90, ""),) for n in range(count)))
        for name, count in (("a", 30), ("b", 0), ("c", 3), ("d", 9))
    ),
)


@pytest.mark.parametrize("size", [(80, 21), (120, 36), (200, 46), (60, 12)])
def test_lines_fit(size: tuple[int, int]) -> None:
    width, height = size
    for page in range(4):
        lines = wall_lines(WALL, width, height, page)
        assert len(lines) <= height
        assert max(line_width(line) for line in lines) <= width


def test_a_small_terminal_cuts_no_number_and_leaves_no_line_empty() -> None:
    many = Wall((*WALL.tiles, Tile("new", 9), Tile("unassigned", 12), Tile("backups not OK", 4), Tile("accounts locked", 7)), WALL.blocks)
    lines = wall_lines(many, 80, 21, 0)
    text = ["".join(piece for piece, _ in line) for line in lines]
    assert any("1184 tickets open" in line and "56 overdue" in line for line in text)
    assert len(lines) == 21 and sum(not line.strip() for line in text) == 2


def test_all_entries_are_seen_over_the_pages() -> None:
    for size in ((120, 36), (80, 21)):
        count = pages(WALL, *size)
        assert count > 1
        seen = "".join(text for page in range(count) for line in wall_lines(WALL, *size, page) for text, _ in line)
        assert all(f" a {n} " in seen for n in range(30))
        assert "none" in seen


def test_an_unknown_figure_is_not_a_zero() -> None:
    text = "\n".join("".join(piece for piece, _ in line) for line in wall_lines(WALL, 120, 36, 0))
    assert "timed out" in text
