"""Numbers three lines high, from block characters, for the wallboard. Plain values, no drawing."""

from __future__ import annotations

_GLYPHS = {
    "0": ("█▀█", "█ █", "▀▀▀"), "1": ("▀█ ", " █ ", "▀▀▀"), "2": ("▀▀█", "█▀▀", "▀▀▀"), "3": ("▀▀█", " ▀█", "▀▀▀"),
    "4": ("█ █", "▀▀█", "  ▀"), "5": ("█▀▀", "▀▀█", "▀▀▀"), "6": ("█▀▀", "█▀█", "▀▀▀"), "7": ("▀▀█", "  █", "  ▀"),
    "8": ("█▀█", "█▀█", "▀▀▀"), "9": ("█▀█", "▀▀█", "▀▀▀"), ",": (" ", " ", "▄"), "-": ("  ", "▀▀", "  "), "?": ("▀▀█", " ▀ ", " ▀ "),
    ".": (" ", " ", "▄"),
}  # fmt: skip


def big(text: str) -> tuple[str, str, str]:
    """The three lines of a number."""
    glyphs = [_GLYPHS.get(letter, (letter, " ", " ")) for letter in text]
    first, second, third = (" ".join(glyph[row] for glyph in glyphs) for row in range(3))
    return first, second, third
