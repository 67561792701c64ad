"""`Document`: lines of toned text that scroll by half pages: records, help, reports. Built for a width, drawn line by line."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events

from widgets.toned import Line, Toned

Build = Callable[[int], Sequence[Line]]
"""The lines for a width in cells."""


class Document(Toned, can_focus=True):
    """Shows what `build` makes. The place is kept when the content changes."""

    DEFAULT_CSS = "Document { height: 1fr; }"

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._build: Build = lambda width: ((("Loading ...", "dim"),),)
        self._lines: list[Line] = []
        self.top = 0

    def show(self, build: Build) -> None:
        """Another content, drawn where it differs."""
        self._build = build
        if not self.is_mounted or self.size.width == 0:
            return
        old, self._lines = self._lines, [tuple(line) for line in build(self.size.width)]
        self.top = max(0, min(self.top, len(self._lines) - 1))
        for y in range(self.size.height):
            index = self.top + y
            before = old[index] if index < len(old) else None
            after = self._lines[index] if index < len(self._lines) else None
            if before != after:
                self.redraw(y)

    def on_resize(self) -> None:
        """Build again for the new width."""
        self._lines = [tuple(line) for line in self._build(self.size.width)]
        self.top = max(0, min(self.top, len(self._lines) - 1))
        self.refresh()

    def line(self, y: int) -> Line:
        """The line at `y` of the view."""
        index = self.top + y
        return self._lines[index] if index < len(self._lines) else ()

    @property
    def below(self) -> int:
        """Lines below the view."""
        return max(0, len(self._lines) - self.top - self.size.height)

    def scroll(self, lines: int) -> None:
        """Move the view; it stops at both ends."""
        top = max(0, min(self.top + lines, max(0, len(self._lines) - self.size.height)))
        if top != self.top:
            self.top = top
            self.refresh()

    def move(self, by: int) -> None:
        """Keys of a list work here too: a line scrolls a quarter page, so that a slow line sends few pages."""
        self.scroll(max(1, self.size.height // 4) * (1 if by > 0 else -1))

    def turn(self, pages: int) -> None:
        """A page on or back, two lines kept."""
        self.scroll(pages * max(1, self.size.height - 2))

    def go(self, index: int) -> None:
        """To a line (a big number: the end)."""
        self.scroll(index - self.top)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Three lines down."""
        event.stop()
        self.scroll(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Three lines up."""
        event.stop()
        self.scroll(-3)
