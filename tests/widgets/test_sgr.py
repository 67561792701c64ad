"""The shortest way between styles ends where the long way ends."""

from __future__ import annotations

import random

from widgets.sgr import change, parts

COLOURS = ("", "31", "97", "38;5;9", "38;2;1;2;3", "38;2;200;100;50")
BACKS = ("", "41", "107", "48;5;200", "48;2;9;8;7")
ATTRIBUTES = ("1", "2", "3", "4", "7")


def _style(chance: random.Random) -> str:
    chosen = [name for name in ATTRIBUTES if chance.random() < 0.3]
    return ";".join(part for part in (*chosen, chance.choice(COLOURS), chance.choice(BACKS)) if part)


def test_every_change_ends_in_the_style_wanted() -> None:
    chance = random.Random(5)
    for _ in range(5_000):
        before, after = _style(chance), _style(chance)
        sequence = change(before, after)
        sent = sequence[2:-1] if sequence else ""
        assert parts(f"{before};{sent}" if sent else ("" if sequence == "\x1b[m" else before)) == parts(after), (before, after, sequence)
        assert len(sequence) <= len(f"\x1b[0;{after}m")


def test_a_change_of_colour_alone_sends_the_colour_alone() -> None:
    assert change("38;2;1;2;3;48;2;9;8;7", "38;2;4;5;6;48;2;9;8;7") == "\x1b[38;2;4;5;6m"
    assert change("1;31", "31") == "\x1b[0;31m"
    assert change("31", "") == "\x1b[m"
