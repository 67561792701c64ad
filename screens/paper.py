"""`PaperScreen`: a screen that is one document to read: help, a diff, the ledger, jobs' output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult

from screens.base import ConsoleScreen, Handler
from screens.moves import move_handlers
from widgets.bars import Bar
from widgets.document import Document
from widgets.toned import Line


class PaperScreen(ConsoleScreen):
    """A title and lines. Subclasses give `build`, and `load` where the lines must be fetched first."""

    TITLE_LINE: ClassVar[str] = ""
    LEGEND: ClassVar[tuple[str, ...]] = ("list.down", "list.page-down", "global.refresh", "global.back", "global.command")

    def __init__(self) -> None:
        super().__init__()
        self.trail = Bar(tone="bar-dim")
        self.view = Document()

    def body(self) -> ComposeResult:
        """The title, then the document."""
        yield self.trail
        yield self.view

    def own_handlers(self) -> Mapping[str, Handler]:
        """Moving and reading again."""
        return {
            **self.console.global_handlers(self), **move_handlers(lambda: self.view), "global.refresh": lambda: self.flow(self._load()),
        }  # fmt: skip

    def scopes(self) -> tuple[str, ...]:
        """Moving and everything."""
        return ("list", "global")

    def on_mount(self) -> None:
        """Show what is there, then what had to be fetched."""
        super().on_mount()
        self.trail.show([(f" {self.TITLE_LINE}", "bar")])
        self.restore_focus()
        self.flow(self._load())

    def restore_focus(self) -> None:
        """Keys go to the document."""
        self.view.focus()

    async def _load(self) -> None:
        await self.load()
        self.view.show(self.build)

    async def load(self) -> None:
        """Fetch what the lines are made of."""

    def build(self, width: int) -> Sequence[Line]:
        """The lines for a width."""
        return ()
