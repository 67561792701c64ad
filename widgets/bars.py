"""One-line bars: the header of the screen, the head of a pane, the tabs, the key bar. They draw only when they change."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.message import Message

from widgets.toned import Line, Piece, Toned, line_width


class Bar(Toned):
    """A line with pieces on the left and on the right; the left is cut first."""

    DEFAULT_CSS = "Bar { height: 1; }"
    tone = ""

    def __init__(self, id: str | None = None, tone: str = "") -> None:
        super().__init__(id=id)
        self.tone = tone
        self._left: tuple[Piece, ...] = ()
        self._right: tuple[Piece, ...] = ()

    def show(self, left: Line, right: Line = ()) -> None:
        """Draw these, if they are not what stands there."""
        new = (tuple(left), tuple(right))
        if new != (self._left, self._right):
            self._left, self._right = new
            self.redraw(0)

    def base_tone(self, y: int) -> str:
        """The bar's own tone."""
        return self.tone

    def line(self, y: int) -> Line:
        """Left, a gap, right."""
        width = self.size.width
        right = self._right if line_width(self._right) < width else ()
        room = width - line_width(right)
        left = _cut(self._left, room - (1 if right else 0))
        gap = room - line_width(left)
        return (*left, (" " * max(0, gap), self.tone), *right)


def _cut(line: Line, width: int) -> list[Piece]:
    out: list[Piece] = []
    for text, tone in line:
        size = cell_len(text)
        if size > width:
            while text and cell_len(text) > max(0, width - 1):
                text = text[:-1]
            out.append((text + "…" if width > 0 else "", tone))
            break
        out.append((text, tone))
        width -= size
    return out


class Tabs(Bar):
    """Names of panes with their digit; a click or the digit chooses."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id, tone="")
        self._spans: list[tuple[int, int, int]] = []

    def show_tabs(self, names: list[str], current: int) -> None:
        """Draw the names, the current one highlighted."""
        left: list[Piece] = []
        self._spans = []
        place = 0
        for index, name in enumerate(names):
            text = f" {index + 1} {name} "
            left.append((text, "tab" if index == current else "dim"))
            self._spans.append((place, place + len(text), index))
            place += len(text)
        self.show(left)

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the pointer."""
        for start, end, index in self._spans:
            if start <= event.x < end:
                self.post_message(self.Chosen(index))
