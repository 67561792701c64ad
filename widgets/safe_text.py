"""`SafeText`: the last filter before the terminal. Whatever reached a widget uncleaned is cleaned here, links in styles are dropped."""

from __future__ import annotations

import re

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from backends.text import clean

_PLAIN = re.compile("[ -~\u00a0-\u00ac\u00ae-\u02ff\u2500-\u259f\u2190-\u21ff\u2022\u2026\u203a]*")


class SafeText(LineFilter):
    """Cleans each segment's text; control segments are Textual's own and stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments, with what could steer the terminal replaced."""
        if all(segment.control or (_PLAIN.fullmatch(segment.text) and not _link(segment.style)) for segment in segments):
            return segments
        return [segment if segment.control else Segment(_same_width(segment.text), _unlinked(segment.style)) for segment in segments]


def _link(style: Style | None) -> bool:
    return style is not None and style.link is not None


def _unlinked(style: Style | None) -> Style | None:
    return style.update_link(None) if style is not None and style.link is not None else style


def _same_width(text: str) -> str:
    return clean(text, limit=100_000)
