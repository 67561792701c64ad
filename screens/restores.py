"""`RestoresScreen`: the restores of this site, the newest first - what runs, what ran, what was cut off and waits for somebody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual.app import ComposeResult

from backends.restore.model import RunRow
from backends.text import clean
from console.actions import Action
from console.ages import stamp
from console.restoring import Restores
from console.ticket_number import ticket_number
from screens.base import ConsoleScreen, Handler
from screens.moves import move_handlers
from screens.restore_lines import STATE_TONE, state_word
from screens.restore_verbs import WORDS, RestoreVerbs
from widgets.bars import Bar
from widgets.columns import Column, Row
from widgets.grid import Grid
from widgets.window import CHUNK

EVERY = 1.0
COLUMNS = (
    Column("at", "When", 16), Column("state", "State", 11), Column("where", "To", 20, flex=2), Column("who", "Who", 8, drop=3), Column("ticket", "Ticket", 8, drop=2),
    Column("can", "Can", 18, drop=4), Column("text", "What", 14, flex=3, drop=1), Column("run", "Restore", 12, drop=5),
)  # fmt: skip


class RestoresScreen(ConsoleScreen):
    """Enter opens the view of a restore; its verbs work here too."""

    LEGEND: ClassVar[tuple[str, ...]] = ("list.open", "restores.undo", "restores.resume", "restores.discard", "restores.cancel", "global.back", "global.help")

    def __init__(self) -> None:
        super().__init__()
        self.grid = Grid(COLUMNS)
        self.trail = Bar(tone="bar-dim")
        self.found: Sequence[RunRow] = ()
        self._reading = False
        self._numbers: dict[str, str] = {}
        self._lacks: dict[str, str] = {}
        """Restore -> what the role lacks for it; a plan never changes."""
        self._verbs = RestoreVerbs(self, self.current, lambda run, job: self._open(run, job) if job else self.read_again(), lambda run: self._lacks.get(run, ""))

    def body(self) -> ComposeResult:
        """The trail, then the list."""
        yield self.trail
        yield self.grid

    def scopes(self) -> tuple[str, ...]:
        """Verbs of restores, lists, everything."""
        return ("restores", "list", "global")

    def own_handlers(self) -> Mapping[str, Handler]:
        """Open, and the verbs."""
        return {
            **self.console.global_handlers(self), **move_handlers(lambda: self.grid), **self._verbs.handlers(), "global.refresh": self.read_again,
            "list.open": self.open_current, "list.copy": self._copy,
        }  # fmt: skip

    def why_not(self, action: Action) -> str | None:
        """The verbs of the restore under the cursor as it stands."""
        return self._verbs.why_not(action.id) or super().why_not(action)

    def greyed(self, action: Action) -> bool:
        """A read-only console changes nothing; each restore's own verbs stand in its line."""
        return self.desk.read_only and action.id in WORDS

    def on_mount(self) -> None:
        """Read them; again each second while one runs."""
        super().on_mount()
        self.trail.show([(" Restores", "bar")])
        self.restore_focus()
        self.read_again()
        self.set_interval(EVERY, lambda: self.read_again() if any(row.alive for row in self.found) else None)

    def on_screen_resume(self) -> None:
        """Back from one of them."""
        super().on_screen_resume()
        self.read_again()

    def restore_focus(self) -> None:
        """Keys go to the list."""
        self.grid.focus()

    def read_again(self) -> None:
        """Off the key path."""
        if not self._reading:
            self._reading = True
            self.flow(self._read())

    async def _read(self) -> None:
        try:
            work = Restores(self.desk)
            found, wrong = await work.runs()
            self._lacks |= await work.forbidden([row for row in found if row.can and row.run not in self._lacks])
        finally:
            self._reading = False
        for reference in {row.ticket for row in found if row.ticket} - set(self._numbers):
            self._numbers[reference] = await ticket_number(self.desk, reference)
        changed = len(found) != len(self.found)
        self.found = found
        if wrong:
            self.say(f"{len(wrong)} can't be read: {wrong[0]}", "warn")
        words = [state_word(row) for row in found]
        stopped, cut, alive = words.count("STOPPED"), words.count("INTERRUPTED"), sum(row.alive for row in found)
        self.trail.show([(f" Restores  {len(found)}", "bar"), (f"   {alive} running" if alive else "", "bar-dim"),
                         (f"   {stopped} stopped: resume, or give up" if stopped else "", "bar-warn"),
                         (f"   {cut} cut off: resume, or take back" if cut else "", "bar-warn")])  # fmt: skip
        self.grid.say_empty("No restores yet. Open a snapshot (3, enter, enter), mark files with space, r restores them.")
        if changed or not found:
            self.grid.window.total = len(found)
            self.grid.restart(cursor=min(self.grid.cursor, max(0, len(found) - 1)))
        else:
            self.grid.recheck()

    def on_grid_need(self, event: Grid.Need) -> None:
        """Rows from what was read."""
        event.stop()
        part = self.found[event.number * CHUNK : (event.number + 1) * CHUNK]
        self.grid.fill(event.number, [self._line(row) for row in part], len(self.found), event.generation)

    def _line(self, row: RunRow) -> Row:
        able = "read-only" if self.desk.read_only and row.can else "not with your role" if self._lacks.get(row.run) and row.can else ", ".join(row.can)
        return run_row(row, self._numbers.get(row.ticket, ""), self.desk.config.timezone, able)

    def on_grid_opened(self, event: Grid.Opened) -> None:
        """A double click opens."""
        self._open(event.key)

    def current(self) -> RunRow | None:
        """The one under the cursor."""
        return self.found[self.grid.cursor] if self.grid.cursor < len(self.found) else None

    def open_current(self) -> None:
        """Its view."""
        row = self.current()
        if row is not None:
            self._open(row.run)

    def _open(self, run: str, job: str = "") -> None:
        from screens.restore_view import RestoreScreen

        self.app.push_screen(RestoreScreen(run, job))

    def _copy(self) -> None:
        row = self.current()
        if row is not None:
            self.say(self.console.copy(row.run))


def run_row(row: RunRow, ticket: str, timezone: str, able: str) -> Row:
    """A restore's line; `able` says what can be done with it."""
    word = state_word(row)
    cells = (stamp(row.at, timezone), word, row.where, row.actor, ticket, able, clean(row.text), row.run)
    return Row(row.run, cells, ("dim", STATE_TONE.get(word, ""), "", "dim", "accent", "dim", "dim", "dim"))
