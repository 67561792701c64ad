"""`Toned`: the base of our line widgets - a widget that draws its lines itself from (text, tone) pieces.

Drawing goes through Textual's line API, so a change of one line sends one line.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from widgets.themes import styles

Piece = tuple[str, str]
"""Text and its tone."""
Line = Sequence[Piece]

_STYLES: dict[str, dict[str, Style]] = {}


def tone_styles(theme: str) -> dict[str, Style]:
    """The tones of a theme, parsed once a process."""
    if theme not in _STYLES:
        _STYLES[theme] = styles(theme)
    return _STYLES[theme]


def fit(text: str, width: int, align: str = "left") -> str:
    """Exactly `width` terminal cells: cut with "…" or padded. Wide characters count two."""
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1).rstrip("\ufffd") + "…" if width > 1 else set_cell_size(text, width)
    pad = " " * (width - size)
    return pad + text if align == "right" else text + pad


def line_width(line: Line) -> int:
    """Cells a line takes."""
    return sum(cell_len(text) for text, _ in line)


class Toned(Widget):
    """Draws `line(y)` for each of its lines. Subclasses call `redraw(y)` for what changed and nothing else."""

    ALLOW_SELECT = False

    _base: tuple[str, Style] = ("", Style())

    def __init__(self, *, id: str | None = None) -> None:
        self._drawn: dict[int, Strip] = {}
        super().__init__(id=id)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines drawn once and kept until they are dirty.

        Stands in for Textual's styles cache, which asks for every style and runs every filter over every line of every widget
        that touches a changed line: 45 ms of a first paint and 1 ms of a key here. Our widgets have no borders or padding.
        """
        drawn = self._drawn
        missing = [y for y in crop.line_range if y not in drawn]
        if missing:
            filters, background = self.app.get_line_filters(), self.background_colors[1]
            for y in missing:
                strip = self.render_line(y)
                for line_filter in filters:
                    strip = strip.apply_filter(line_filter, background)
                drawn[y] = strip
        strips = [drawn[y] for y in crop.line_range]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _set_dirty(self, *regions: Region) -> None:
        """Forget the lines of these regions, or all (private: Textual is pinned)."""
        if regions:
            for region in regions:
                for y in region.line_range:
                    self._drawn.pop(y, None)
        else:
            self._drawn.clear()
        super()._set_dirty(*regions)

    def base(self) -> Style:
        """The style under everything, kept per theme: working it out walks all ancestors."""
        theme = self.app.theme
        if self._base[0] != theme:
            self._base = (theme, self.rich_style + tone_styles(theme)[""])
        return self._base[1]

    def line(self, y: int) -> Line:
        """The pieces of line `y` of the content."""
        return ()

    def base_tone(self, y: int) -> str:
        """The tone under the whole line."""
        return ""

    def render_line(self, y: int) -> Strip:
        """Textual's line API."""
        tones = tone_styles(self.app.theme)
        tone = self.base_tone(y)
        under = self.base() + tones[tone] if tone else self.base()
        width = self.size.width
        segments = [Segment(text, under + tones[tone] if tone else under) for text, tone in self.line(y) if text]
        return Strip(segments).adjust_cell_length(width, under)

    def redraw(self, y: int, height: int = 1) -> None:
        """Draw `height` lines again from `y` on."""
        self.refresh(Region(0, y, max(1, self.size.width), height))
