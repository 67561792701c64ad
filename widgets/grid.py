"""`Grid`: the list widget. A window of a list of any length, drawn row by row; it asks for rows, it never fetches them.

Moving the cursor redraws two rows; leaving the page turns the page (mutt's way): scrolling line by line would send a whole
pane a key. A changed row outside the view costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from widgets.columns import Column, Fitted, Row, fit_columns
from widgets.toned import Toned, fit, tone_styles
from widgets.window import CHUNK, Window
from widgets.wrap import wrap


class Grid(Toned, can_focus=True):
    """A list with a cursor, marks and column heads.

    The owner sets `columns`, answers `Need` with `fill`, and reads `cursor_key`. `empty` is what an empty list says.
    """

    DEFAULT_CSS = "Grid { height: 1fr; }"

    @dataclass
    class Need(Message):
        """Rows of this chunk are wanted (`widgets.window.CHUNK` rows from `number * CHUNK` on)."""

        grid: Grid
        number: int
        generation: int

    @dataclass
    class Opened(Message):
        """A row was chosen with the mouse (keys go through the action registry)."""

        grid: Grid
        key: str

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.window = Window()
        self.cursor = 0
        self.top = 0
        self.marks: set[str] = set()
        self.wide = False
        self.sort = ("", False)
        """Key of the sorted column and whether it is descending."""
        self.empty: tuple[str, ...] = ("Loading ...",)
        self.generation = 0
        self._asked: set[int] = set()
        self._fitted: Fitted = ()
        self._fitted_for: tuple[int, bool] = (-1, False)

    # -- what the owner reads and sets ------------------------------------------------------------------

    @property
    def cursor_key(self) -> str | None:
        """Key of the row under the cursor, if it is loaded."""
        row = self.window.row(self.cursor)
        return row.key if row else None

    @property
    def page(self) -> int:
        """Rows that fit below the heads."""
        return max(1, self.size.height - 1)

    def marked(self) -> list[str]:
        """Marked keys, or the one under the cursor when nothing is marked."""
        if self.marks:
            return sorted(self.marks)
        key = self.cursor_key
        return [key] if key else []

    def restart(self, *, cursor: int = 0) -> None:
        """Another list: forget the rows, ask anew. The old rows stay on screen until the first answer."""
        self.generation += 1
        self.cursor = cursor
        self.top = max(0, cursor - self.page // 2) if cursor >= self.page else 0
        self._asked.clear()
        self._ask(max(0, cursor) // CHUNK)

    def recheck(self) -> None:
        """The list may have changed: ask again for what is in view, keep it on screen meanwhile."""
        self.generation += 1
        self._asked.clear()
        first, last = self.top // CHUNK, (self.top + self.page - 1) // CHUNK
        for number in range(first, last + 1):
            if number == first or number * CHUNK < self.window.total:
                self._ask(number)

    def fill(self, number: int, rows: Sequence[Row], total: int, generation: int) -> None:
        """The answer to `Need`. A late answer to an older question is dropped."""
        if generation != self.generation:
            return
        self._asked.discard(number)
        stale = [held for held in self.window.held() if held != number]
        length = self.window.total
        changed = self.window.put(number, rows, total)
        if self._is_first_of_generation(generation) or (stale and length != total):
            self.window.clear(keep=(number,))
        if total != length:
            self._clamp()
            self.refresh()
        else:
            for index in changed:
                self._redraw_row(index)
        self._ensure()

    _filled_generation = -1

    def _is_first_of_generation(self, generation: int) -> bool:
        first = self._filled_generation != generation
        self._filled_generation = generation
        return first

    def say_empty(self, *lines: str) -> None:
        """What to show when there are no rows: loading, nothing matches, or an error with the key to retry."""
        if self.empty != lines:
            self.empty = lines
            if self.window.total == 0:
                self.refresh()

    def drop_rows(self) -> None:
        """Show no rows (another backend, an error from the start)."""
        self.generation += 1
        self.window = Window()
        self.cursor = self.top = 0
        self.refresh()

    def set_wide(self, wide: bool) -> None:
        """Show all columns or those that matter."""
        self.wide = wide
        self.refresh()

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor and go one down."""
        key = self.cursor_key
        if key is None:
            return
        self.marks.symmetric_difference_update({key})
        self._redraw_row(self.cursor)
        self.move(1)

    def mark(self, keys: Sequence[str]) -> None:
        """Mark all of these."""
        self.marks.update(keys)
        self.refresh()

    def unmark(self) -> None:
        """Nothing is marked any more."""
        self.marks.clear()
        self.refresh()

    # -- moving -----------------------------------------------------------------------------------------

    def move(self, by: int) -> None:
        """The cursor up or down by rows."""
        self.go(self.cursor + by)

    def go(self, index: int) -> None:
        """The cursor to a row; the page turns when it leaves it."""
        last = self.window.total - 1
        index = max(0, min(index, last))
        if last < 0 or index == self.cursor:
            return
        old, self.cursor = self.cursor, index
        if self._turned(old):
            self.refresh()
            self._ensure()
        else:
            self._redraw_row(old)
            self._redraw_row(index)

    def turn(self, pages: int) -> None:
        """A page on or back; the cursor keeps its place in the page."""
        last = self.window.total - 1
        if last < 0:
            return
        step = pages * self.page
        top = max(0, min(self.top + step, max(0, self.window.total - self.page)))
        cursor = max(0, min(self.cursor + step, last))
        if top == self.top:
            self.go(cursor)
            return
        self.top, self.cursor = top, max(top, min(cursor, top + self.page - 1))
        self.refresh()
        self._ensure()

    def _turned(self, old: int) -> bool:
        page = self.page
        if self.top <= self.cursor < self.top + page:
            return False
        if self.cursor == old + 1:
            self.top = self.cursor
        elif self.cursor == old - 1:
            self.top = max(0, self.cursor - page + 1)
        else:
            self.top = max(0, min(self.cursor - page // 2, self.window.total - page))
        return True

    def _clamp(self) -> None:
        self.cursor = max(0, min(self.cursor, self.window.total - 1))
        if not self.top <= self.cursor < self.top + self.page:
            self.top = max(0, self.cursor - self.page // 2)

    def _ensure(self) -> None:
        for number in self.window.missing(self.top, self.top + self.page - 1):
            self._ask(number)

    def _ask(self, number: int) -> None:
        if number not in self._asked:
            self._asked.add(number)
            self.post_message(self.Need(self, number, self.generation))

    # -- drawing ----------------------------------------------------------------------------------------

    def _redraw_row(self, index: int) -> None:
        if self.top <= index < self.top + self.page:
            self.redraw(1 + index - self.top)

    def fitted(self) -> Fitted:
        """The columns as they are shown at this width."""
        shape = (self.size.width, self.wide)
        if shape != self._fitted_for:
            self._fitted = fit_columns(self.columns, shape[0] - 2, self.wide)
            self._fitted_for = shape
        return self._fitted

    def render_line(self, y: int) -> Strip:
        """Textual's line API: line 0 is the heads, the others are rows."""
        tones = tone_styles(self.app.theme)
        base = self.base()
        width = self.size.width
        if y == 0:
            return Strip([Segment(self._heads(), base + tones["head"])]).adjust_cell_length(width, base)
        index = self.top + y - 1
        if self.window.total == 0:
            lines = [part for line in self.empty for part in wrap(line, max(8, width - 3))]
            text = lines[y - 2] if 0 <= y - 2 < len(lines) else ""
            return Strip([Segment("  " + fit(text, max(0, width - 2)), base + tones["dim"])]).adjust_cell_length(width, base)
        row = self.window.row(index)
        if row is None:
            dots = " ..." if index < self.window.total else ""
            return Strip([Segment(dots, base + tones["dim"])]).adjust_cell_length(width, base)
        return self._row_strip(row, index == self.cursor, width)

    def _heads(self) -> str:
        key, descending = self.sort
        parts = []
        for index, width in self.fitted():
            column = self.columns[index]
            arrow = ("↓" if descending else "↑") if column.key == key else ""
            parts.append(fit(column.title + arrow, width, column.align))
        return " " + " ".join(parts)

    def _row_strip(self, row: Row, at_cursor: bool, width: int) -> Strip:
        tones = tone_styles(self.app.theme)
        base = self.base()
        mark = "•" if row.key in self.marks else " "
        if at_cursor:
            style = base + tones["cursor" if self.has_focus else "blur"]
            text = mark + " ".join(fit(row.cells[i], w, self.columns[i].align) for i, w in self.fitted())
            return Strip([Segment(text, style)]).adjust_cell_length(width, style)
        segments = [Segment(mark, base + tones["mark"])]
        run, run_tone = "", ""
        for i, w in self.fitted():
            tone = row.tones[i] if i < len(row.tones) else ""
            if tone != run_tone and run:
                segments.append(Segment(run, base + tones[run_tone]))
                run = ""
            run_tone = tone
            run += fit(row.cells[i], w, self.columns[i].align) + " "
        segments.append(Segment(run, base + tones[run_tone]))
        return Strip(segments).adjust_cell_length(width, base)

    # -- events -----------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """Keep the cursor in view."""
        self._clamp()
        self._ensure()

    def on_focus(self) -> None:
        """The cursor row changes its look."""
        self._redraw_row(self.cursor)

    def on_blur(self) -> None:
        """The cursor row changes its look."""
        self._redraw_row(self.cursor)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three rows down."""
        event.stop()
        self.move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three rows up."""
        event.stop()
        self.move(-3)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a second one on the same row opens it."""
        index = self.top + event.y - 1
        if event.y < 1 or index >= self.window.total:
            return
        if index == self.cursor and event.chain > 1:
            key = self.cursor_key
            if key:
                self.post_message(self.Opened(self, key))
        self.go(index)
