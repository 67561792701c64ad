"""`ConsoleScreen`: what all screens share - header, key bar, bottom line - and how a key becomes an action.

A key is looked up in the action registry under the screen's scopes; the action's id names a handler in the tables of the
screen's delegates. Work that waits runs as a flow: a task whose errors end up on the bottom line, never in a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from backends.errors import BackendError
from console.actions import Action, disabled_reason
from console.ages import clock
from console.desk import Desk
from screens.typeahead import Typeahead
from widgets.bars import Bar
from widgets.bottom_line import BottomLine
from widgets.toned import Piece

if TYPE_CHECKING:
    from console.app import ConsoleApp

Handler = Callable[[], Awaitable[None] | None]

_SHORT = {"escape": "esc", "pagedown": "pgdn"}
_HEALTH_TONE = {"ok": "bar-dim", "warn": "bar-warn", "down": "bar-bad", "unknown": "bar-dim"}


class ConsoleScreen(Screen[None]):
    """A screen with a header line above, the key bar and the bottom line below, and `body()` between."""

    AUTO_FOCUS = ""
    ALLOW_SELECT = False
    BLANK = True
    """Nothing is drawn by the screen itself: its widgets cover it."""
    SCOPES: ClassVar[tuple[str, ...]] = ("global",)
    """Scopes of the action registry, the nearest first."""
    LEGEND: ClassVar[tuple[str, ...]] = ("global.help", "global.command", "global.back")
    """Ids of the actions named in the key bar, the most wanted first."""
    seat: str = ""
    """What colleagues see of who is here: a ticket's number, and behind it what is done there."""
    DEFAULT_CSS = """
    ConsoleScreen { layers: base over; layout: vertical; }
    ConsoleScreen #reserve { height: 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.header = Bar(id="header", tone="bar")
        self.legend = Bar(id="legend", tone="")
        self.bottom = BottomLine()
        self.handlers: dict[str, Handler] = {}
        self._flows: set[asyncio.Task[None]] = set()
        self.keeping: dict[str, Callable[[], None]] = {}
        """What is not on disk yet of what was typed: written when the screen goes, also by a hang-up."""
        self.ahead = Typeahead(self.press, lambda: self.bottom.asking, lambda: self.bottom.fresh)
        self.bottom.opened = self.ahead.opened
        self._last_focus: Widget | None = None

    @property
    def console(self) -> ConsoleApp:
        """The app, by its own type."""
        from console.app import ConsoleApp

        assert isinstance(self.app, ConsoleApp)
        return self.app

    @property
    def desk(self) -> Desk:
        """The desk this console works at."""
        return self.console.desk

    def compose(self) -> ComposeResult:
        """Header, body, key bar, a free line, and the bottom line over it."""
        yield self.header
        yield from self.body()
        yield self.legend
        yield Bar(id="reserve")
        yield self.bottom

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        yield from ()

    def on_mount(self) -> None:
        """Draw the bars once; they follow the minute and the backends' health."""
        self.handlers.update(self.own_handlers())
        self.show_bars()
        self.call_later(self._stands)

    def _stands(self) -> None:
        self.ahead.ready = True
        self.ahead.drain()

    def own_handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {}

    def on_screen_resume(self) -> None:
        """Back on this screen: what changed meanwhile is shown, and colleagues see where one is."""
        self.show_bars()
        self.console.sit(self.seat)

    # -- bars -------------------------------------------------------------------------------------------

    def show_bars(self) -> None:
        """Header and key bar, drawn only where they differ."""
        self.header.show(*self._header_pieces())
        self.legend.show(self._legend_pieces())

    def _header_pieces(self) -> tuple[list[Piece], list[Piece]]:
        desk = self.desk
        left: list[Piece] = [(" deskside ", "bar-dim")]
        if self.console.demo:
            left.append((" DEMO ", "bar-warn"))
        if desk.read_only:
            left.append((" READ-ONLY ", "bar-warn"))
        left += [(" " + desk.config.site_name, "bar"), (f"  {self.console.whoami}", "bar-dim")]
        left += [(f"  {warning}", "bar-warn") for warning in self.console.warnings]
        right: list[Piece] = []
        for word, text in self.console.health_words():
            right.append((text + "  ", _HEALTH_TONE[word]))
        right.append((clock(desk.config.timezone) + " ", "bar"))
        return left, right

    def _legend_pieces(self) -> list[Piece]:
        pieces: list[Piece] = []
        for action_id in self.LEGEND[:9]:
            action = self.console.keymap.action(action_id)
            keys = self.console.keymap.keys(action_id)
            if action is not None and keys:
                pieces += [(f" {_SHORT.get(keys[0], keys[0])}", "dim" if self.greyed(action) else "key"), (f" {action.label} ", "dim")]
        return pieces

    def greyed(self, action: Action) -> bool:
        """Whether a key of the key bar is drawn as one that can't be used now; `why_not` says why."""
        return False

    def say(self, text: str, tone: str = "") -> None:
        """A message on the bottom line."""
        self.bottom.say(text, tone)

    def fail(self, error: BaseException) -> None:
        """An error in plain words on the bottom line."""
        self.say(error.sentence() if isinstance(error, BackendError) else f"{type(error).__name__}: {error}", "bad")

    # -- keys -------------------------------------------------------------------------------------------

    def scopes(self) -> tuple[str, ...]:
        """Where keys are looked up now; a screen with panes puts the pane's domain first."""
        return self.SCOPES

    def takes(self, event: events.Key) -> bool:
        """Every key comes here first. False: the widget with the focus is typed into."""
        if self.ahead.take(event):
            return True
        if self.typing() and not self.bottom.asking:
            return False
        self.press(event)
        return True

    def typing(self) -> bool:
        """A text field has the focus: keys are text, not commands."""
        return False

    def press(self, event: events.Key) -> None:
        """A key for what is there now: the open question, a text field, or an action of the registry."""
        if self.bottom.asking:
            (self.bottom.hasty if self.console.in_burst() else self.bottom.on_key)(event)
            return
        if self.typing():
            self._forward_event(event)  # private: Textual is pinned
            return
        name = event.character if event.character and event.is_printable and event.character != " " else event.key
        action = self.console.keymap.lookup(self.scopes(), name)
        if action is None:
            return
        if action.danger and self.console.in_burst():
            self.say(f"{action.label}: not taken from a burst of keys, press it again", "warn")
            return
        self.run_action_id(action)

    def run_action_id(self, action: Action) -> None:
        """Run an action by the registry, or say why it can't be run now."""
        self.bottom.say("")  # what was said of the last key is over
        reason = self.why_not(action)
        handler = self.handlers.get(action.id)
        if reason is not None:
            self.say(f"{action.label}: {reason}", "warn")
        elif handler is None:
            self.say(f"{action.label}: not on this screen", "warn")
        else:
            result = handler()
            if result is not None:
                self.ahead.expect(self.flow(cast("Coroutine[Any, Any, None]", result)))

    def why_not(self, action: Action) -> str | None:
        """Why an action can't be used here now, in words; None when it can."""
        return disabled_reason(action, self.desk, self.backend_for(action))

    def backend_for(self, action: Action) -> Any:
        """The backend an action of a domain would use: the one under the cursor."""
        return None

    def data_changed(self, domain: str) -> None:
        """Something of this domain changed; a screen that shows it reads again."""

    def people_moved(self, numbers: set[str]) -> None:
        """Colleagues came to these tickets or left them; a screen that shows one says who is there."""

    def backend_ready(self, domain: str) -> None:
        """A backend of this domain is open, or has failed."""

    # -- flows ------------------------------------------------------------------------------------------

    def flow(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run what waits for answers, off the key path. Its errors are messages."""
        task = asyncio.create_task(self._guarded(work))
        self._flows.add(task)
        task.add_done_callback(self._flows.discard)
        return task

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BackendError as error:
            self.fail(error)
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the one boundary of screen work
            self.console.crash_note(error)
            self.say("That failed inside the console; the log has the details (deskside where). Nothing was sent twice.", "bad")

    def on_bottom_line_closed(self) -> None:
        """The question is answered: the focus goes back to the list."""
        if not self.bottom.asking:  # the next question may have come already
            self.restore_focus()

    def restore_focus(self) -> None:
        """Where keys go when no question is open."""

    def on_unmount(self) -> None:
        """What still waits is dropped with the screen; what was typed is kept."""
        for keep in list(self.keeping.values()):
            keep()
        for task in list(self._flows):
            task.cancel()
