"""`ConsoleApp`: opens the screens and gives them what they share. The one module of `console` that may import textual."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from textual import events
from textual.app import App, SystemCommand
from textual.filter import LineFilter
from textual.screen import Screen

from backends.domains import DOMAINS
from backends.errors import BackendError
from console.desk import Desk, Opened
from console.following import Following
from console.keymap import Keymap
from console.presence import Presence
from screens.base import ConsoleScreen, Handler
from screens.desk import DeskScreen
from screens.global_keys import global_handlers
from screens.palette import ActionPalette
from widgets.safe_text import SafeText
from widgets.themes import fitting_theme, themes

if TYPE_CHECKING:
    from backends.contract import Change
    from backends.tickets.drafts import Drafts
    from console.sessions import Session

LOOK_EVERY = 1.0
"""Seconds between two looks at the change feeds. Nothing is drawn when nothing changed."""
SEAT_EVERY = 20.0
MAIL_EVERY = 30.0

Word = Literal["ok", "warn", "down", "unknown"]

_WORDS: tuple[Word, ...] = ("ok", "unknown", "warn", "down")


def _word(opened: Opened) -> Word:
    if opened.error is not None:
        return "down"
    if opened.backend is None:
        return "unknown"
    return opened.health.word if opened.health else "ok"


class ConsoleApp(App[int], inherit_bindings=False):
    """The console. Backends are opened after the first paint; what changes is drawn row by row."""

    CSS = "Screen { background: $background; color: $foreground; }"
    TITLE = "deskside"
    BINDINGS = []
    COMMANDS = {ActionPalette}
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, desk: Desk, *, wall: bool = False, demo: bool = False, driver_class: type[Any] | None = None) -> None:
        super().__init__(driver_class=driver_class or _driver(desk))
        self.desk = desk
        self.wall_mode = wall
        self.demo = demo
        self.keymap = Keymap(desk.config.keys)
        self.command_history: list[str] = []
        self.undoable: list[Change] = []
        """What takes back what was done last."""
        self.warnings: list[str] = []
        self._mail_next = time.monotonic() + 5.0
        self.session: Session | None = None
        self.presence = Presence(desk.actor.login)
        self._following = Following(desk)
        self._looking = False
        self._opening: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._desk_screen: DeskScreen | None = None
        for theme in themes():
            self.register_theme(theme)
        self.theme = fitting_theme(desk.config.theme, self.console.color_system, bool(self.no_color))

    # -- life -------------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        """The desk, or the wallboard."""
        if self.wall_mode:
            from screens.wall import WallScreen

            return WallScreen()
        return self.desk_screen()

    def desk_screen(self) -> DeskScreen:
        """The one desk of this console."""
        if self._desk_screen is None:
            self._desk_screen = DeskScreen()
        return self._desk_screen

    def on_mount(self) -> None:
        """After the first paint the backends are opened, all at once."""
        self.animation_level = "none"
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        gc.freeze()
        gc.enable()
        self._opening = asyncio.create_task(self._open())
        self.set_interval(LOOK_EVERY, self._tick)
        self.set_interval(SEAT_EVERY, self._touch_seat)

    async def _open(self) -> None:
        from backends.threads import in_thread
        from console.collector import ensure_collector, watch_collector

        try:
            await in_thread(10.0, ensure_collector, self.desk.config)
            self._watching = self._watching or asyncio.create_task(watch_collector(self.desk.config))
            await self.desk.open(self._opened)
            await self._greet()
        except BackendError as error:
            self._tell(error.sentence())
        self._touch_seat()
        self._show_bars()

    async def _greet(self) -> None:
        """The session's line in the ledger; what was left open before; whether the store is outgrown."""
        from backends.threads import in_thread
        from console.sessions import Session, left_open

        if self.session is not None:
            return
        self.session = Session(self.desk, "wall" if self.wall_mode else "console")
        problem = await in_thread(10.0, self.session.begin)
        if problem:
            self.warnings.append("LEDGER NOT WRITABLE")
            self._tell(problem)
        if self.wall_mode:
            return
        open_ = await in_thread(10.0, left_open, self.desk)
        if open_:
            self._tell(f"{len(open_)} actions were begun and never ended: what they did is not known. L shows them.")
        await self._greet_restores()
        for opened in self.desk.backends("tickets"):
            if opened.adapter == "embedded":
                await self._greet_mentions(opened.backend)
            if opened.adapter == "embedded" and opened.health is not None and opened.health.word == "warn" and not opened.health.text.startswith("mail"):
                self.warnings.append("STORE OUTGROWN")
                self._tell(opened.health.text)

    async def _greet_restores(self) -> None:
        """Restores whose process died: said once at the start."""
        if not self.desk.backends("backups"):
            return
        from console.restoring import Restores

        found = await Restores(self.desk).interrupted()
        cut = [row for row in found if row.state != "stopped"]
        if found and not cut:
            self._tell(f"{len(found)} {'restore' if len(found) == 1 else 'restores'} stopped: `:restores` says why, to resume or give up.")
        if cut:
            self._tell(f"{len(cut)} {'restore was' if len(cut) == 1 else 'restores were'} cut off: `:restores` shows {'it' if len(cut) == 1 else 'them'}, to resume or take back.")

    async def _greet_mentions(self, backend: Any) -> None:
        """Colleagues named this person in notes: said once at the start; the view `mentioned` has them."""
        from backends.tickets.model import OPEN_PHASES, Term, TicketQuery

        if backend is None:
            return
        named = TicketQuery(phases=OPEN_PHASES, terms=(Term("mentioned", "is", (self.desk.actor.login,)),))
        try:
            total = (await asyncio.wait_for(backend.tickets(named, 0, 1), 5.0)).total
        except (BackendError, TimeoutError):
            return
        if total and isinstance(self.screen, ConsoleScreen):
            self.screen.say(f"You are mentioned in {total} open {'ticket' if total == 1 else 'tickets'}: `:tickets mentioned` shows them.", "accent")

    def _opened(self, domain: str, name: str) -> None:
        """A backend is open, or failed."""
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.backend_ready(domain)
        self._show_bars()

    def retry_backends(self) -> None:
        """Open again what failed, and look again at what is polled."""
        self.desk.want_polls()
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())

    def _touch_seat(self) -> None:
        self.sit(getattr(self.screen, "seat", "") or "")

    def sit(self, what: str) -> None:
        """Colleagues see what this person looks at: a ticket's number, and what is done there."""
        live = self.desk.live
        if live is not None:
            try:
                live.note_seat(self.desk.actor.login, what)
            except BackendError:  # a busy or full disk: nobody is told where we sit, work goes on
                return

    async def on_event(self, event: events.Event) -> None:
        """Keys go to the screen in view, in the order they were typed, before any widget: one place decides what a key means."""
        screen = self.screen if isinstance(event, events.Key) and not event.is_forwarded and self.screen_stack else None
        if isinstance(event, events.Key) and isinstance(screen, ConsoleScreen) and screen.takes(event):
            return
        await super().on_event(event)

    # -- what changes -----------------------------------------------------------------------------------

    async def _tick(self) -> None:
        if self._looking:
            return
        self._looking = True
        try:
            changed = await self._following.look()
            moved = self.presence.look(self.desk.live)
        except BackendError:
            changed, moved = set(), set()
        finally:
            self._looking = False
        if changed:
            self.data_changed(changed)
        if moved:
            self.people_moved(moved)
        await self._look_at_mail()
        self._show_bars()

    async def _look_at_mail(self) -> None:
        """Twice a minute: a header word while mail is stuck."""
        if time.monotonic() < self._mail_next:
            return
        self._mail_next = time.monotonic() + MAIL_EVERY
        from console.mail_watch import mail_warning

        said = await mail_warning(self.desk)
        self.warnings = [*(word for word in self.warnings if not word.startswith("MAIL")), *([said] if said else [])]

    def data_changed(self, domains: Iterable[str]) -> None:
        """Tell the screens in view; the desk below a record is told too, it shows again what it shows."""
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                for domain in domains:
                    screen.data_changed(domain)

    def people_moved(self, numbers: Iterable[str]) -> None:
        """Colleagues came to these tickets, or left them."""
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.people_moved(set(numbers))

    def _show_bars(self) -> None:
        screen = self.screen_stack[-1] if self.screen_stack else None  # none: the console is being left
        if isinstance(screen, ConsoleScreen):
            screen.show_bars()

    def _tell(self, text: str) -> None:
        screen = self.screen_stack[-1] if self.screen_stack else None
        if isinstance(screen, ConsoleScreen):
            screen.say(text, "bad")

    # -- what screens share -----------------------------------------------------------------------------

    @cached_property
    def drafts(self) -> Drafts:
        """Drafts of the person at this console."""
        from backends.tickets.drafts import Drafts

        return Drafts(Path(self.desk.config.data) / "drafts", self.desk.actor.login)

    @cached_property
    def whoami(self) -> str:
        """user@host and role, for the header."""
        return f"{self.desk.actor.login}@{os.uname().nodename}  {self.desk.actor.role}"

    def health_words(self) -> list[tuple[Word, str]]:
        """One word a domain: "tickets ok", "devices down"; of several systems those that are worst by name: "rt down"."""
        words: list[tuple[Word, str]] = []
        for domain in DOMAINS:
            opened = self.desk.backends(domain)
            if not opened:
                continue
            found = [(_word(item), item.name) for item in opened]
            worst = max((word for word, _ in found), key=_WORDS.index)
            bad = [name for word, name in found if word == worst]
            named = domain if len(bad) == len(found) else ", ".join(bad)
            opening = any(item.backend is None and item.error is None for item in opened)
            words.append((worst, f"{named} {'...' if worst == 'unknown' and opening else worst}"))
        return words

    def global_handlers(self, screen: ConsoleScreen) -> Mapping[str, Handler]:
        """Keys that work everywhere."""
        return global_handlers(self, screen)

    def show(self, name: str, of: ConsoleScreen) -> None:
        """Push a screen by its name; imported when it is first wanted."""
        self.push_screen(_screen(name, of))

    def to_desk(self) -> DeskScreen:
        """Leave what lies above the desk."""
        while len(self.screen_stack) > 1 and not isinstance(self.screen, DeskScreen):
            self.pop_screen()
        return self.desk_screen()

    def stand_up(self) -> None:
        """Nobody sits here any more: colleagues see it at once."""
        if "live" in self.desk.__dict__:
            try:
                self.desk.live.leave_seat(self.desk.actor.login)
            except BackendError:  # the seat is empty by itself after a while
                return

    def leave(self) -> None:
        """Quit; jobs go on."""
        self.exit(0)

    def copy(self, text: str) -> str:
        """Text to the terminal's clipboard; a sentence about what was tried."""
        from widgets.clipboard import copy_sequence

        sequence, sentence = copy_sequence(text, os.environ)
        if self._driver is not None and sequence:
            self._driver.write(sequence)
        return sentence

    def in_burst(self) -> bool:
        """Keys come faster than a person types: a paste without brackets, or a stuck key."""
        return bool(getattr(self._driver, "in_burst", False))

    # -- safety -----------------------------------------------------------------------------------------

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, then ours: what could steer the terminal never reaches it."""
        return [*super().get_line_filters(), SafeText()]

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """None of Textual's own: screenshots would write personal data to the disk."""
        return ()

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Never starts a browser on the jump host: the address is shown."""
        self._tell(f"Address: {url}")

    def crash_note(self, error: BaseException) -> Path | None:
        """A scrubbed trace into the log."""
        from console.crash import note_crash

        return note_crash(error, Path(self.desk.config.data))

    def _fatal_error(self) -> None:
        """Textual's own would print local variables; ours writes a scrubbed trace and says one line (private: Textual is pinned)."""
        import sys

        from console.crash import crash_sentence

        error = sys.exc_info()[1] or self._exception
        path = self.crash_note(error) if error is not None else None
        self.bell()
        self._exit_renderables.clear()
        self.crash_sentence = crash_sentence(error, path)
        self._close_messages_no_wait()



def _driver(desk: Desk) -> type[Any] | None:
    """The thin driver, unless the configuration wants Textual's own."""
    if desk.config.driver == "stock":
        return None
    from widgets.driver import ThinDriver

    return ThinDriver


def _screen(name: str, of: ConsoleScreen) -> ConsoleScreen:
    if name == "jobs":
        from screens.jobs import JobsScreen

        return JobsScreen()
    if name == "ledger":
        from screens.ledger import LedgerScreen

        return LedgerScreen()
    if name == "wall":
        from screens.wall import WallScreen

        return WallScreen()
    if name == "schedules":
        from screens.schedules import SchedulesScreen

        return SchedulesScreen()
    if name == "restores":
        from screens.restores import RestoresScreen

        return RestoresScreen()
    from screens.help import HelpScreen

    return HelpScreen(of)
