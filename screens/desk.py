"""The desk: tickets, devices, backups and accounts. Four panes at once on a wide terminal, one with tabs on a small one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize

from backends.domains import DOMAINS
from console.actions import ACTIONS, Action
from screens.account_source import AccountSource
from screens.backup_source import BackupSource
from screens.base import ConsoleScreen, Handler
from screens.device_source import DeviceSource
from screens.list_keys import ListKeys
from screens.moves import mark_handlers, move_handlers
from screens.open_record import open_record
from screens.pane import Pane
from screens.ticket_source import TicketSource
from widgets.bars import Tabs
from widgets.grid import Grid

if TYPE_CHECKING:
    from screens.verbs import Verbs

WIDE_FROM = (120, 28)
"""Columns and lines from which all four panes are shown at once."""


class Panes(Container):
    """The panes side by side; draws nothing itself."""

    BLANK = True


class DeskScreen(ConsoleScreen):
    """Four lists and the keys to work on them."""

    LEGEND: ClassVar[tuple[str, ...]] = (
        "list.open", "list.filter", "list.views", "list.jump", "list.mark", "list.full", "global.command", "global.help", "global.quit",
    )  # fmt: skip
    DEFAULT_CSS = """
    DeskScreen #panes { layout: grid; grid-size: 2 2; grid-gutter: 0 1; height: 1fr; }
    DeskScreen.single #panes { layout: vertical; }
    DeskScreen.single Pane { display: none; }
    DeskScreen.single Pane.current { display: block; }
    DeskScreen Tabs { display: none; }
    DeskScreen.tabbed Tabs { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.current = 0
        self.full = False
        self.tabs = Tabs()
        self.panes: list[Pane] = []

    def body(self) -> ComposeResult:
        """Tabs (only on a small terminal) and the panes."""
        sources = (TicketSource, DeviceSource, BackupSource, AccountSource)
        self.panes = [Pane(source(self.desk), id=source.domain) for source in sources]
        yield self.tabs
        yield Panes(*self.panes, id="panes")

    def own_handlers(self) -> Mapping[str, Handler]:
        """Keys of the desk, of lists, and the verbs on what is under the cursor."""
        lists = ListKeys(self, self.pane)
        own: dict[str, Handler] = {
            "list.open": self.open_current,
            "list.jump": self.jump,
            "list.full": self.toggle_full,
            "list.next-pane": lambda: self.show_pane((self.current + 1) % 4),
            "list.previous-pane": lambda: self.show_pane((self.current - 1) % 4),
            "global.refresh": self.refresh_all,
            "global.back": lists.clear,
        }
        own.update({f"global.pane-{number + 1}": self._pane_opener(number) for number in range(4)})
        return {
            **self.console.global_handlers(self), **move_handlers(self.grid), **mark_handlers(self.grid, self.show_pane_head),
            **lists.handlers(), **self._verb_handlers(), **own,
        }  # fmt: skip

    @cached_property
    def verbs(self) -> Verbs:
        """The verbs on records; imported with the first of them."""
        from screens.verbs import Verbs

        return Verbs(self, self.targets, self.refresh_pane)

    def _verb_handlers(self) -> dict[str, Handler]:
        return {action.id: self._verb(action.id) for action in ACTIONS if action.domain}

    def _verb(self, action_id: str) -> Handler:
        def run() -> Any:
            handler = self.verbs.handlers().get(action_id)
            return handler() if handler is not None else self.say("That key works on a record of its own, not in this list.", "warn")

        return run

    def _pane_opener(self, number: int) -> Handler:
        return lambda: self.show_pane(number)

    def on_mount(self) -> None:
        """Show the frame; the data follows when the backends are open."""
        super().on_mount()
        self.show_pane(0)

    def on_resize(self, event: Resize) -> None:
        """Four panes or one, by the size of the terminal."""
        self._arrange(event.size.width, event.size.height)

    def _arrange(self, width: int, height: int) -> None:
        small = width < WIDE_FROM[0] or height < WIDE_FROM[1]
        self.set_class(small or self.full, "single")
        self.set_class(small or self.full, "tabbed")
        self.tabs.show_tabs([pane.source.title for pane in self.panes], self.current)

    # -- panes ------------------------------------------------------------------------------------------

    def pane(self) -> Pane:
        """The pane in use."""
        return self.panes[self.current]

    def grid(self) -> Grid:
        """The list in use."""
        return self.pane().grid

    def scopes(self) -> tuple[str, ...]:
        """The domain's verbs first, then what all lists share."""
        return (self.pane().source.domain, "list", "global")

    def show_pane(self, number: int) -> None:
        """Use another pane."""
        self.current = number
        for index, pane in enumerate(self.panes):
            pane.set_class(index == number, "current")
        if self.tabs.display:
            self.tabs.show_tabs([pane.source.title for pane in self.panes], number)
        self.restore_focus()

    def on_tabs_chosen(self, event: Tabs.Chosen) -> None:
        """A tab was clicked."""
        self.show_pane(event.index)

    def restore_focus(self) -> None:
        """Keys go to the list in use."""
        self.grid().focus()

    def on_descendant_focus(self, event: Any) -> None:
        """A click into another pane uses it."""
        for index, pane in enumerate(self.panes):
            if event.widget is pane.grid and index != self.current:
                self.show_pane(index)

    def toggle_full(self) -> None:
        """One pane over the whole screen, and back."""
        self.full = not self.full
        self._arrange(self.size.width, self.size.height)

    def show_pane_head(self) -> None:
        """The count of marks changed."""
        self.pane().show_head()

    # -- data -------------------------------------------------------------------------------------------

    def backend_ready(self, domain: str) -> None:
        """A backend of this domain is open (or failed): read its list."""
        for pane in self.panes:
            if pane.source.domain == domain:
                pane.start()

    def data_changed(self, domain: str) -> None:
        """Something of this domain changed: the rows in view are read again."""
        for pane in self.panes:
            if pane.source.domain == domain and pane.display:
                pane.again()

    def refresh_pane(self) -> None:
        """Read the list in use again."""
        self.pane().again()

    def refresh_all(self) -> None:
        """Ask all backends again."""
        self.console.retry_backends()
        for pane in self.panes:
            pane.again()
        self.say("Asked again.")

    def label(self) -> str:
        """What is under the cursor, in the list's words."""
        row = self.grid().window.row(self.grid().cursor)
        return f"{row.cells[0]} {row.cells[3]}" if row is not None and self.pane().source.domain == "tickets" else row.cells[1] if row else ""

    # -- records ----------------------------------------------------------------------------------------

    def targets(self) -> list[str]:
        """References of what is marked, or of the row under the cursor."""
        return self.grid().marked()

    def backend_for(self, action: Action) -> Any:
        """The backend of the row under the cursor, else the first of the pane's domain."""
        key = self.grid().cursor_key
        domain = self.pane().source.domain
        name = key.split(":", 2)[1] if key else None
        if action.domain in DOMAINS and action.domain != domain:
            domain, name = action.domain, None
        for opened in self.desk.backends(domain):
            if name is None or opened.name == name:
                return opened
        return None

    def open_current(self) -> None:
        """The record under the cursor, on its own screen."""
        key = self.grid().cursor_key
        if key is not None:
            open_record(self, key)

    async def jump(self) -> None:
        """To what is linked to the record under the cursor."""
        from backends.contract import Ref
        from screens.jumps import jump_from, record_of

        key = self.grid().cursor_key
        if key is not None:
            ref = Ref.parse(key)
            await jump_from(self, ref, await record_of(self.desk, ref))

    def on_grid_opened(self, event: Grid.Opened) -> None:
        """A double click opens."""
        open_record(self, event.key)
