"""`VersionsScreen`: one file through the snapshots, the newest first; where it changed is marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult

from backends.backups.model import Found, Snapshot
from backends.contract import Ref
from backends.text import size
from console.actions import Action
from console.ages import age, stamp
from screens.base import ConsoleScreen, Handler
from screens.moves import move_handlers
from screens.path_words import path_words
from widgets.bars import Bar
from widgets.columns import Column, Row
from widgets.grid import Grid
from widgets.window import CHUNK

COLUMNS = (
    Column("time", "Snapshot of", 16), Column("age", "Age", 4, align="right"), Column("size", "Size", 10, align="right"), Column("modified", "File changed", 16),
    Column("what", "What", 22, flex=1), Column("short", "Snapshot", 10, drop=1),
)  # fmt: skip


class VersionsScreen(ConsoleScreen):
    """Enter browses the folder in that snapshot, p looks into that version, r restores it."""

    LEGEND: ClassVar[tuple[str, ...]] = ("list.open", "backups.preview", "backups.restore", "list.down", "global.back", "global.help")

    def __init__(self, backend: str, path: bytes) -> None:
        super().__init__()
        self._backend, self._path = backend, path
        self.grid = Grid(COLUMNS)
        self.trail = Bar(tone="bar-dim")
        self.found: list[tuple[Snapshot, Found]] = []

    def body(self) -> ComposeResult:
        """The path, then its versions."""
        yield self.trail
        yield self.grid

    def scopes(self) -> tuple[str, ...]:
        """Backup verbs, lists, everything."""
        return ("backups", "list", "global")

    def backend_for(self, action: Action) -> Any:
        """Where the file is kept."""
        return next((item for item in self.desk.backends("backups") if item.name == self._backend), None)

    def own_handlers(self) -> Mapping[str, Handler]:
        """Open, look, restore."""
        return {
            **self.console.global_handlers(self), **move_handlers(lambda: self.grid), "list.open": self.open_current, "backups.preview": self.preview,
            "backups.restore": self.restore, "global.refresh": self._read,
        }  # fmt: skip

    def on_mount(self) -> None:
        """Ask the tool."""
        super().on_mount()
        self.trail.show([(" Versions of ", "bar-dim"), (path_words(self._path), "bar")])
        self.restore_focus()
        self.flow(self._read())

    def restore_focus(self) -> None:
        """Keys go to the list."""
        self.grid.focus()

    async def _read(self) -> None:
        backend = await self.desk.backend("backups", self._backend)
        self.say("Looking through the snapshots ...", "dim")
        versions: Sequence[Found] = await backend.versions(self._path)
        self.found = [(await backend.snapshot(one.snapshot), one) for one in versions]
        self.say("")
        self.grid.say_empty("No snapshot has it.", "esc goes back")
        self.grid.window.total = len(self.found)
        self.grid.restart()

    def on_grid_need(self, event: Grid.Need) -> None:
        """Rows from what was found."""
        event.stop()
        places = range(event.number * CHUNK, min(len(self.found), (event.number + 1) * CHUNK))
        self.grid.fill(event.number, [self._row(place) for place in places], len(self.found), event.generation)

    def _row(self, place: int) -> Row:
        (snapshot, one), zone = self.found[place], self.desk.config.timezone
        older = self.found[place + 1][1].entry if place + 1 < len(self.found) else None
        entry = one.entry
        if older is None:
            what, tone = "the oldest that is kept", "dim"
        elif (older.size, older.modified) == (entry.size, entry.modified):
            what, tone = "as in the one before", "dim"
        else:
            what, tone = f"CHANGED, {'+' if entry.size >= older.size else '-'}{size(abs(entry.size - older.size))}", "warn"
        cells = (stamp(snapshot.time, zone), age(snapshot.time), size(entry.size), stamp(entry.modified, zone), what, snapshot.short_id)
        return Row(f"{place}", cells, ("", "dim", "", "dim", tone, "accent"))

    def _current(self) -> tuple[Snapshot, Found] | None:
        return self.found[self.grid.cursor] if self.grid.cursor < len(self.found) else None

    def on_grid_opened(self, event: Grid.Opened) -> None:
        """A double click opens."""
        self.open_current()

    def open_current(self) -> None:
        """Its folder in that snapshot."""
        from screens.snapshot import SnapshotScreen

        found = self._current()
        if found is not None:
            folder = self._path.rpartition(b"/")[0] or b"/"
            self.app.push_screen(SnapshotScreen(Ref("snapshots", self._backend, found[0].id), folder))

    def preview(self) -> None:
        """The beginning of that version."""
        from screens.preview import PreviewScreen

        found = self._current()
        if found is not None:
            self.app.push_screen(PreviewScreen(self._backend, found[0].id, self._path))

    async def restore(self) -> None:
        """That version."""
        from screens.restore_flow import restore

        found = self._current()
        if found is not None:
            await restore(self, self._backend, found[0], [self._path], path_words(self._path))
