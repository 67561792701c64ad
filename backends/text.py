"""`clean`: text from outside made harmless for a terminal, at the border where it comes in and again where it is shown.

Whole escape sequences, control characters, bidirectional overrides, zero-width and invisible characters become one U+FFFD.
Sources: ECMA-48 (control functions), Unicode Standard Annex 9 (bidirectional controls), Unicode chapter 23 (tags, noncharacters).
"""

from __future__ import annotations

import re
import unicodedata

LIMIT = 100_000
"""Characters kept of one text."""
MARKS = 4
"""Combining marks kept on one character."""

_SEQUENCE = re.compile(
    "(?:\x1b[PX^_\\]]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\\\|\x9c|$)?"  # strings: OSC, DCS, SOS, PM, APC
    "|(?:\x1b\\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]?"  # CSI
    "|\x1b[ -/]{0,8}[0-~]?"  # other escapes
)
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0e\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff\U000e0000-\U000e0fff"
    + "".join(chr(plane * 0x10000 + end) for plane in range(1, 17) for end in (0xFFFE, 0xFFFF))
    + "]"
)
_LINE = re.compile("\r\n|[\r\n\t]")
_MAYBE_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5}"
)
_SAFE = re.compile("[ -~]*")


def clean(text: str, *, one_line: bool = True, limit: int = LIMIT) -> str:
    """The text without anything that steers a terminal. One-line fields get spaces for tabs and line ends; long ones keep "\\n" and "\\t"."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if _SAFE.fullmatch(text):
        return text
    if "\x1b" in text or _HARMFUL.search(text):
        text = _SEQUENCE.sub("\ufffd", text)
    text = _LINE.sub(" ", text) if one_line else text.replace("\r\n", "\n").replace("\r", "\n")
    text = _HARMFUL.sub("\ufffd", text)
    return _limit_marks(text) if _MAYBE_MARKS.search(text) else text


def _limit_marks(text: str) -> str:
    out: list[str] = []
    run = 0
    for letter in text:
        run = run + 1 if unicodedata.combining(letter) else 0
        if run <= MARKS:
            out.append(letter)
    return "".join(out)


def plain(raw: bytes, *, one_line: bool = True, limit: int = LIMIT) -> str:
    """Bytes of unknown encoding as clean text: UTF-8, what is not becomes U+FFFD."""
    return clean(raw[: limit * 4].decode("utf-8", "replace"), one_line=one_line, limit=limit)


def amount(number: int, one: str, many: str = "") -> str:
    """A number with its word: "1 file", "1,204 files", "2 entries"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


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
