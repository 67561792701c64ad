"""`Cells`: what a terminal should show and what it shows, and the fewest bytes between the two. Plain values, no terminal.

Textual writes each segment as a move, a style, text and a reset, and never compares with what is on the screen. Here its output
is read into cells; `difference` gives only the cells that differ. Source of the sequences: ECMA-48.
"""

from __future__ import annotations

import re

from rich.cells import get_character_cell_size

from widgets.sgr import change

Cell = tuple[str, str]
"""Text of the cell ("" behind a wide character) and its SGR parameters ("" for the default)."""
BLANK: Cell = (" ", "")
UNKNOWN: Cell = ("\0", "")
_TOKEN = re.compile(r"\x1b\[([0-9;]*)([Hm])|(\x1b\[[0-9;:<=>?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b[ -/]*[0-~])|([^\x1b]+)|(\x1b)", re.DOTALL)
GAP = 6
"""Unchanged cells that are cheaper to send again than to jump over."""


class Cells:
    """The wanted and the shown screen of `width` x `height`."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.wanted = [[BLANK] * width for _ in range(height)]
        self.shown: list[list[Cell]] = [[UNKNOWN] * width for _ in range(height)]
        self._dirty: set[int] = set()
        self._x = self._y = 0
        self._style = ""
        self.other: list[str] = []
        """Sequences that are no drawing (modes, queries, the clipboard): they go out as they are, before the cells."""

    def resize(self, width: int, height: int) -> None:
        """Another size: what the terminal shows now is not known any more."""
        old = self.wanted
        self.width, self.height = width, height
        self.wanted = [[*(row[:width]), *([BLANK] * (width - len(row)))] for row in old[:height]]
        self.wanted += [[BLANK] * width for _ in range(height - len(self.wanted))]
        self.forget()

    def forget(self) -> None:
        """Nothing is known of the terminal: everything is sent with the next difference."""
        self.shown = [[UNKNOWN] * self.width for _ in range(self.height)]
        self._dirty = set(range(self.height))

    # -- reading what Textual writes --------------------------------------------------------------------

    def feed(self, data: str) -> None:
        """Read output into the wanted screen."""
        for match in _TOKEN.finditer(data):
            numbers, final, other, text, _ = match.groups()
            if text is not None:
                self._text(text)
            elif final == "m":
                self._style = "" if numbers in ("", "0") else numbers if not self._style else f"{self._style};{numbers}"
            elif final == "H":
                row, _, column = numbers.partition(";")
                self._y, self._x = int(row or 1) - 1, int(column or 1) - 1
            elif other is not None:
                self._other(other)

    def _other(self, sequence: str) -> None:
        if sequence in ("\x1b[?2026h", "\x1b[?2026l"):
            return
        if sequence in ("\x1b[?1049h", "\x1b[?1049l", "\x1b[2J", "\x1b[3J"):
            self.wanted = [[BLANK] * self.width for _ in range(self.height)]
            self.other.append(sequence)
            self.forget()
            return
        self.other.append(sequence)

    def _text(self, text: str) -> None:
        for part in re.split(r"(\r?\n)", text):
            if part.endswith("\n"):
                self._x, self._y = 0, self._y + 1
            elif part:
                self._run(part)

    def _run(self, text: str) -> None:
        if not 0 <= self._y < self.height:
            return
        row, style, x, width = self.wanted[self._y], self._style, self._x, self.width
        self._dirty.add(self._y)
        if text.isascii():
            for letter in text:
                if 0 <= x < width:
                    row[x] = (letter, style)
                x += 1
        else:
            for letter in text:
                x = self._put(row, x, letter, style)
        self._x = x

    def _put(self, row: list[Cell], x: int, letter: str, style: str) -> int:
        size = get_character_cell_size(letter)
        if size == 0:
            lead = x - 1
            while lead > 0 and lead < self.width and row[lead][0] == "":
                lead -= 1
            if 0 <= lead < self.width:
                row[lead] = (row[lead][0] + letter, row[lead][1])
            return x
        if 0 <= x < self.width:
            row[x] = (letter, style)
            if size == 2 and x + 1 < self.width:
                row[x + 1] = ("", style)
        return x + size

    # -- writing what differs ---------------------------------------------------------------------------

    def difference(self) -> str:
        """What to send so that the terminal shows what is wanted; from then on it counts as shown."""
        out: list[str] = []
        other, self.other = self.other, []
        out += other
        style = ""
        for y in sorted(self._dirty):
            if y < self.height:
                style = self._row(y, style, out)
        self._dirty.clear()
        if style:
            out.append("\x1b[m")
        if len(out) > len(other):
            out.append(f"\x1b[{min(self._y, self.height - 1) + 1};{min(self._x, self.width - 1) + 1}H")
        return "".join(out)

    def _row(self, y: int, style: str, out: list[str]) -> str:
        wanted, shown = self.wanted[y], self.shown[y]
        if wanted == shown:
            return style
        end = self._erasable(wanted, shown)
        x = 0
        while x < end:
            if wanted[x] == shown[x]:
                x += 1
                continue
            start = x
            while start > 0 and wanted[start][0] == "":
                start -= 1
            stop = self._run_end(wanted, shown, start, end)
            out.append(f"\x1b[{y + 1};{start + 1}H" if start else f"\x1b[{y + 1}H")
            style = self._cells(wanted, start, stop, y, style, out)
            x = stop
        if end < self.width:
            out.append(f"\x1b[{y + 1};{end + 1}H" if end else f"\x1b[{y + 1}H")
            if style:
                out.append("\x1b[m")
                style = ""
            out.append("\x1b[K")
        self.shown[y] = list(wanted)
        return style

    def _erasable(self, wanted: list[Cell], shown: list[Cell]) -> int:
        """Where a tail of default blanks begins that is worth an erase; the width when there is none."""
        end = self.width
        while end > 0 and wanted[end - 1] == BLANK:
            end -= 1
        return end if self.width - end > 4 and wanted[end:] != shown[end:] else self.width

    @staticmethod
    def _run_end(wanted: list[Cell], shown: list[Cell], start: int, end: int) -> int:
        """The end of a run of changed cells; short unchanged stretches are taken along."""
        stop = last = start
        while stop < end and stop - last <= GAP:
            if wanted[stop] != shown[stop]:
                last = stop
            stop += 1
        last += 1
        while last < end and wanted[last][0] == "":
            last += 1
        return last

    def _cells(self, wanted: list[Cell], start: int, stop: int, y: int, style: str, out: list[str]) -> str:
        odd = False
        for x in range(start, stop):
            text, its = wanted[x]
            if odd and text:
                # Terminals do not agree on the width of what came before: say where the next one stands.
                out.append(f"\x1b[{y + 1};{x + 1}H")
                odd = False
            if its != style:
                out.append(change(style, its))
                style = its
            out.append(text)
            odd = odd or (bool(text) and not text.isascii() and (len(text) > 1 or ord(text) > 0x2FFF or get_character_cell_size(text) != 1))
        return style
