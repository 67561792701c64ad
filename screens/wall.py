"""The wallboard: a read-only screen for a terminal on the wall. Pages turn by themselves; only what changed is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult

from screens.base import ConsoleScreen, Handler
from screens.wall_lines import Wall, pages, wall_lines
from screens.wall_state import gather_wall
from widgets.document import Document
from widgets.toned import Line

LOOK_EVERY = 5.0
TURN_EVERY = 15.0
"""Seconds a page stays: long enough to be read from across the room."""


class WallScreen(ConsoleScreen):
    """Figures, what is not well, who works on what. No key changes anything."""

    SCOPES = ("wall", "global")
    LEGEND: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.view = Document()
        self.wall: Wall | None = None
        self.page = 0

    def body(self) -> ComposeResult:
        """The board."""
        yield self.view

    def own_handlers(self) -> Mapping[str, Handler]:
        """Leaving, and nothing else."""
        handlers = self.console.global_handlers(self)
        kept = ("global.back", "global.quit", "global.refresh", "global.help")
        return {name: handler for name, handler in handlers.items() if name in kept} | {"global.refresh": lambda: self.flow(self.look())}

    def on_mount(self) -> None:
        """Look at once, then regularly."""
        super().on_mount()
        self.set_interval(LOOK_EVERY, lambda: self.flow(self.look()))
        self.set_interval(TURN_EVERY, self.turn)
        self.restore_focus()
        self.flow(self.look())

    def restore_focus(self) -> None:
        """Keys go to the board."""
        self.view.focus()

    def backend_ready(self, domain: str) -> None:
        """A backend is open: look at once."""
        self.flow(self.look())

    async def look(self) -> None:
        """Gather everything and draw what differs."""
        self.wall = await gather_wall(self.desk)
        self.view.show(self.build)

    def turn(self) -> None:
        """The next page of lists that are longer than the screen."""
        size = self.view.size
        if self.wall is not None and pages(self.wall, size.width, size.height) > 1:
            self.page += 1
            self.view.show(self.build)

    def build(self, width: int) -> list[Line]:
        """The board for a width."""
        if self.wall is None:
            return [(), (("  Loading ...", "dim"),)]
        return wall_lines(self.wall, width, max(10, self.view.size.height), self.page)
