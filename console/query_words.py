"""Words of a query line: where each stands, what is quoted, and the error that points at the wrong one. Never imports textual."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backends.errors import Invalid

_WORD = re.compile(r'(?:"(?:\\.|[^"\\])*(?:"|$)|[^\s"])+', re.DOTALL)
_PIECE = re.compile(r'"((?:\\.|[^"\\])*)(?:"|$)|([^"]+)', re.DOTALL)
_PLAIN = re.compile(r'[^\s",!\\][^\s",\\]*')


class WrongWord(Invalid):
    """A word of the line that is not understood: `line[start:end]`."""

    hint = "Correct the marked word; tab shows what may stand there."

    def __init__(self, text: str, line: str, start: int, end: int, hint: str | None = None) -> None:
        super().__init__(text, hint=hint)
        self.line, self.start, self.end = line, start, max(end, start + 1)

    def marked(self) -> tuple[str, str]:
        """The line, and carets that stand under the word."""
        return "".join(letter if letter.isprintable() else " " for letter in self.line), " " * self.start + "^" * (self.end - self.start)


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was typed, quotes and all, from `start` on."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Value:
    """One value behind a field: its text, and whether it was quoted: "none" in quotes is the word none."""

    text: str
    quoted: bool = False

    def word(self) -> str:
        """The text as a word with a meaning of its own, in small letters; "" when it was quoted."""
        return "" if self.quoted else self.text.lower()


def words(line: str) -> list[Word]:
    """The words; blanks inside quotes belong to a word, a quote that is not closed ends with the line."""
    return [Word(found.group(), found.start()) for found in _WORD.finditer(line)]


def unquoted(text: str) -> str:
    """The text without its quotes; a quote in quotes is written \\" and a backslash \\\\."""
    parts = []
    for found in _PIECE.finditer(text):
        inner = found.group(1)
        parts.append(re.sub(r'\\(["\\])', r"\1", inner) if inner is not None else found.group(2))
    return "".join(parts)


def values(text: str) -> list[Value]:
    """The values between commas; a comma in quotes is part of one. Empty ones are left out."""
    parts: list[str] = [""]
    for found in _PIECE.finditer(text):
        if found.group(1) is not None:
            parts[-1] += found.group()
            continue
        first, *others = found.group().split(",")
        parts[-1] += first
        parts += others
    found_values = [Value(unquoted(part).strip(), '"' in part) for part in parts if part]
    return [value for value in found_values if value.text]


def quoted(text: str, special: Sequence[str] = ()) -> str:
    """The text as one value of a line: in quotes where it would be taken for something else."""
    if _PLAIN.fullmatch(text) and text.lower() not in special:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
