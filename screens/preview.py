"""`PreviewScreen`: the beginning of a file of a snapshot - text with what is no text as escapes, else hex. Nothing is written."""

from __future__ import annotations

from collections.abc import Sequence

from backends.backups.model import Content
from backends.text import clean, size
from screens.paper import PaperScreen
from screens.path_words import path_words
from widgets.toned import Line
from widgets.wrap import wrap

LIMIT = 65536
MOST_LINES = 4000


class PreviewScreen(PaperScreen):
    """The first 64 KiB."""

    TITLE_LINE = "A look into a file"

    def __init__(self, backend: str, snapshot: str, path: bytes) -> None:
        super().__init__()
        self._backend, self._snapshot, self._path = backend, snapshot, path
        self._content: Content | None = None

    async def load(self) -> None:
        """Ask the tool for its beginning."""
        self.trail.show([(f" {path_words(self._path)}", "bar")])
        backend = await self.desk.backend("backups", self._backend)
        self.say("Reading ...", "dim")
        self._content = content = await backend.read(self._snapshot, self._path, LIMIT)
        self.say(f"The first {size(len(content.data))}; there is more." if content.cut else f"All of it: {size(len(content.data))}.", "dim")

    def build(self, width: int) -> Sequence[Line]:
        """Text where it is text."""
        if self._content is None:
            return [(), ((" Reading ...", "dim"),)]
        if not self._content.data:
            return [(), ((" The file is empty.", "dim"),)]
        return content_lines(self._content.data, self._content.cut, width)


def content_lines(data: bytes, cut: bool, width: int) -> list[Line]:
    """Text wrapped to the width, with escapes for what steers a terminal; hex with the characters beside it for what is no text."""
    text = _text(data, cut)
    if text is None:
        return _hex(data, 16 if width >= 76 else 8)
    out: list[Line] = []
    for line in text.splitlines():
        out += [((" " + part, ""),) for part in wrap(_escaped(line), max(10, width - 2))]
        if len(out) >= MOST_LINES:
            break
    return out


def _text(data: bytes, cut: bool) -> str | None:
    if b"\0" in data:
        return None
    for short in range(4 if cut else 1):  # a cut may fall into a character
        try:
            return data[: len(data) - short].decode("utf-8")
        except UnicodeDecodeError:
            continue
    return None


def _escaped(line: str) -> str:
    """Tabs as blanks, everything else that is not printed as its escape."""
    line = line.expandtabs(4)
    if line.isprintable():
        return clean(line)
    return clean("".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line))


def _hex(data: bytes, step: int) -> list[Line]:
    out: list[Line] = []
    for at in range(0, min(len(data), MOST_LINES * step), step):
        part = data[at : at + step]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        out.append(((f" {at:08x}  ", "dim"), (f"{part.hex(' '):{step * 3}} ", ""), (shown, "accent")))
    return out
