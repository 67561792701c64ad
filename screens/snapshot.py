"""The view of one snapshot: its files, one directory at a time, fetched when it is entered."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual.app import ComposeResult

from backends.backups.model import Entry, Found, Snapshot
from backends.contract import Ref
from backends.errors import BackendError
from backends.text import amount, size
from console.actions import Action
from console.ages import stamp
from screens.base import ConsoleScreen, Handler
from screens.jumps import jump_from
from screens.moves import mark_handlers, move_handlers
from screens.path_words import path_words
from screens.restore_flow import old
from screens.snapshot_marks import SnapshotMarks, counted, parents
from screens.snapshot_work import FOUND_MOST, SnapshotWork
from widgets.bars import Bar
from widgets.columns import Column, Row
from widgets.grid import Grid
from widgets.toned import Piece, line_width
from widgets.window import CHUNK

COLUMNS = (
    Column("name", "Name", 24, flex=3), Column("size", "Size", 10, align="right"), Column("modified", "Changed", 16, drop=2),
    Column("user", "Owner", 10, drop=3), Column("mode", "Mode", 10, drop=4), Column("target", "To", 12, flex=1, drop=5),
)  # fmt: skip
ROOMY = 110
"""Columns from which the trail has room for all it knows."""


def entry_row(entry: Entry, timezone: str, holds: bool = False) -> Row:
    """A file's line; directories end with a slash, and with a sign when something in them is marked."""
    name = entry.name + ("/" if entry.kind == "dir" else "") + (" •" if holds else "")
    tone = "mark" if holds else "accent" if entry.kind == "dir" else ""
    count = "" if entry.kind == "dir" else size(entry.size)
    mode = f"{entry.mode & 0o7777:04o}" if entry.mode else ""
    target = "→ " + entry.target if entry.target else "" if entry.kind in ("dir", "file") else entry.kind
    return Row(
        entry.path.hex(),
        (name, count, stamp(entry.modified, timezone), entry.user, mode, target),
        (tone, "dim", "dim", "dim", "dim", "dim"),
    )


class SnapshotScreen(ConsoleScreen):
    """A directory of a snapshot; enter goes in, esc goes up and out, / looks for a name in this directory."""

    LEGEND: ClassVar[tuple[str, ...]] = (
        "list.open", "list.mark", "backups.restore", "backups.versions", "files.live", "backups.preview", "backups.search", "list.filter", "global.help",
    )  # fmt: skip

    def __init__(self, ref: Ref, path: bytes = b"/") -> None:
        super().__init__()
        self.ref = ref
        self.snapshot: Snapshot | None = None
        self.path = path
        self.sought = ""
        """The pattern, while what was found in the whole snapshot is shown."""
        self.grid = Grid(COLUMNS)
        self.trail = Bar(tone="bar-dim")
        self.entries: list[Entry] = []
        self._places: dict[bytes, int] = {}
        self._filter = ""
        self._home = path
        """Where esc leaves the snapshot."""
        self._guess = False
        """The first folder is not what was asked for, but where the files should be."""
        self.work = SnapshotWork(self)
        self.marks = SnapshotMarks(self)

    def body(self) -> ComposeResult:
        """The trail, then the files."""
        yield self.trail
        yield self.grid

    def own_handlers(self) -> Mapping[str, Handler]:
        """Lists, in and out of directories."""
        own: dict[str, Handler] = {
            "list.open": self.enter, "list.filter": self.filter, "global.back": self.up, "global.refresh": lambda: self._enter(self.path),
            "list.jump": lambda: jump_from(self, self.ref, self.snapshot), "list.copy": self.copy,
        }  # fmt: skip
        marks = mark_handlers(lambda: self.grid, self._marked)
        return {**self.console.global_handlers(self), **move_handlers(lambda: self.grid), **marks, **self._file_handlers(), **own}

    def _file_handlers(self) -> dict[str, Handler]:
        """Restoring and looking into files."""
        return {
            "backups.up": self.folder_up, "backups.restore": self.restore, "backups.versions": self.versions, "backups.preview": self.preview, "backups.search": self.search,
            "files.live": self.against_live,
        }  # fmt: skip

    def scopes(self) -> tuple[str, ...]:
        """Files, backup verbs, lists, everything."""
        return ("files", "backups", "list", "global")

    def backend_for(self, action: Action | None) -> Any:
        """Where the snapshot is kept."""
        return next((item for item in self.desk.backends("backups") if item.name == self.ref.backend), None)

    def on_mount(self) -> None:
        """Read the first directory."""
        super().on_mount()
        self.restore_focus()
        self.flow(self._start())

    def restore_focus(self) -> None:
        """Keys go to the list."""
        self.grid.focus()

    async def _start(self) -> None:
        if self.work.backend is None:
            self.grid.say_empty("The repository is not open.", "esc goes back")
            return
        try:
            self.snapshot = await self.work.backend.snapshot(self.ref.id)
        except BackendError as error:
            self.grid.say_empty(f"{error.title}: {error.text}", error.hint, "esc goes back")
            return
        self.desk.live.note_seat(self.desk.actor.login, f"snapshot {self.snapshot.short_id}")
        await self._enter_first()

    async def _enter_first(self) -> None:
        """Where its files are, when it is one folder: nobody walks there through folders that hold one folder each."""
        paths = self.snapshot.paths if self.snapshot is not None else ()
        if self.path == b"/" and len(paths) == 1 and paths[0].startswith("/"):
            self._guess = True
            try:
                await self._enter(os.fsencode(paths[0]))
            except BackendError:
                self.entries = []
            if self.entries or self.work.partial is not None:
                self._home = self.path
                return
            self.path = b"/"
        self._guess = False
        await self._enter(self.path)

    async def guessed_wrong(self) -> bool:
        """The whole archive was read and the folder that was shown first is not in it: its top is shown."""
        if not self._guess or self.path != self._home:
            return False
        self._guess, self._home = False, b"/"
        await self._enter(b"/")
        return True

    async def _enter(self, path: bytes, cursor: int = 0) -> None:
        """At once where it is known; else what the tool says first, and then what comes."""
        self.work.begin()
        listed = self.work.known(path)
        if listed is None:
            self.say("Reading the directory ...", "dim")
            listed = await self.work.read(path)
            self.say("")
        self.entries = list(listed)
        self.path, self._filter, self.sought = path, "", ""
        self._show(cursor)
        self.work.go_on(path, self._near())

    def _near(self) -> list[bytes]:
        """Where one may go next: what is on screen first."""
        shown, top = self.shown(), self.grid.top
        folders = [entry.path for entry in shown[top:] + shown[:top] if entry.kind == "dir"]
        parent = next(parents(self.path))
        return [*folders, parent] if len(folders) < len(shown) or parent != self.path else folders

    def more_came(self, entries: Sequence[Entry]) -> None:
        """More of the directory that is shown; the cursor stays on its file."""
        if len(entries) == len(self.entries):
            self.show_trail()
            return
        key, before = self.grid.cursor_key, self.grid.cursor
        self.entries = list(entries)
        place = next((number for number, entry in enumerate(self.shown()) if entry.path.hex() == key), 0) if before else 0
        if place == before:
            self.grid.recheck()
        else:
            self.grid.restart(cursor=place)
        self.show_trail()

    def read_on(self) -> None:
        """All of the archive is known now."""
        self._say_empty()
        self.show_trail()
        self.work.go_on(self.path, self._near())

    def show_error(self, error: BackendError) -> None:
        """Why there are no files, in their place."""
        if not self.entries:
            self.grid.say_empty(f"{error.title}: {error.text}", error.hint, "esc goes back")
        self.show_trail()

    def _say_empty(self) -> None:
        if self._filter:
            self.grid.say_empty("Nothing here matches.", "esc goes up")
        elif self.work.partial is not None:
            self.grid.say_empty("The tool reads the whole archive; nothing of this directory has come yet.", "esc goes back")
        elif self.sought:
            self.grid.say_empty("Looking ..." if self.work.looking else f"Nothing is named {self.sought}.", "esc stops" if self.work.looking else "esc goes back")
        else:
            self.grid.say_empty("This directory is empty.", "esc goes up")

    def _show(self, cursor: int = 0) -> None:
        shown = self.shown()
        self._say_empty()
        self.grid.drop_rows()
        self.grid.window.total = len(shown)
        self.grid.restart(cursor=min(cursor, max(0, len(shown) - 1)))
        self.show_trail()

    def show_trail(self) -> None:
        """Where one is, what is read, what is marked."""
        snap = self.snapshot
        where = f"{self.sought} in all of it" if self.sought else path_words(self.path)
        found = f"  /{self._filter}" if self._filter else ""
        right: list[Piece] = [(f" reading the archive: {amount(self.work.partial, 'entry', 'entries')} ... ", "bar")] if self.work.partial is not None else []
        right += [(f" looking: {len(self.entries):,} found ... ", "bar")] if self.work.looking else []
        right += [(f" {self.marks.words()}{', all of this' if not self.sought and self.marks.holds(self.path) else ''} ", "bar-warn")] if self.marks.entries else []
        taken = stamp(snap.time, self.desk.config.timezone) if snap else self.ref.id
        taken += f" ({old(snap.time)}) of {snap.host}" if snap and not (right and self.size.width < ROOMY) else ""
        busy = self.work.partial is not None or self.work.looking
        before = (f" {taken} › " if busy and self.size.width < ROOMY else f" Snapshot {taken} › ", "bar-dim")
        after = ("" if busy else f"  {amount(len(self.entries), 'entry', 'entries')}{found}", "bar-dim")
        room = max(16, self.size.width - line_width([before, after, *right]) - 2)
        self.trail.show([before, (where if len(where) <= room else "…" + where[1 - room :], "bar"), after], right)

    def shown(self) -> list[Entry]:
        """The entries that match the filter."""
        word = self._filter.casefold()
        return [entry for entry in self.entries if word in entry.name.casefold()] if word else self.entries

    def on_grid_need(self, event: Grid.Need) -> None:
        """Rows from what was read."""
        event.stop()
        shown = self.shown()
        rows = [entry_row(entry, self.desk.config.timezone, entry.path in self.marks.above) for entry in shown[event.number * CHUNK : (event.number + 1) * CHUNK]]
        self.grid.fill(event.number, rows, len(shown), event.generation)

    def on_grid_opened(self, event: Grid.Opened) -> None:
        """A double click goes in."""
        self.flow(self.enter())

    def current(self) -> Entry | None:
        """The entry under the cursor."""
        shown = self.shown()
        return shown[self.grid.cursor] if self.grid.cursor < len(shown) else None

    async def enter(self) -> None:
        """Into the directory under the cursor."""
        entry = self.current()
        if entry is not None and entry.kind == "dir":
            self._places[self.path] = self.grid.cursor
            await self._enter(entry.path)
        elif entry is not None:
            self.say(f"{entry.name}: {size(entry.size)}, changed {stamp(entry.modified, self.desk.config.timezone)}")

    def up(self) -> None:
        """What is being read or looked for is stopped; the filter goes, then what was found, then a directory up, then back to the snapshots."""
        if self.work.looking:
            self.work.end()
        elif self.work.entering and (self.entries or self.path != self._home):
            self.work.end()
            self.say("Not read; you are where you were.", "dim")
        elif self._filter:
            self._filter = ""
            self._show()
        elif self.sought:
            self.flow(self._enter(self.path, self._places.get(self.path, 0)))
        elif self.path in (b"/", b"", self._home):
            self.app.pop_screen()
        else:
            self.folder_up()

    def folder_up(self) -> None:
        """To the folder above, also above where one came in."""
        if not self.sought and self.path not in (b"/", b""):
            parent = next(parents(self.path))
            self.flow(self._enter(parent, self._places.get(parent, 0)))

    async def filter(self) -> None:
        """Names in this directory, as one types."""

        def live(text: str) -> None:
            self._filter = text
            self._show()

        typed = await self.bottom.ask("/", self._filter, live=live)
        if typed is None:
            self._filter = ""
            self._show()

    def copy(self) -> None:
        """The path to the clipboard."""
        entry = self.current()
        if entry is not None:
            self.say(self.console.copy(path_words(entry.path)))

    # -- marks, and what is done with files -------------------------------------------------------------

    def _marked(self) -> None:
        """The grid's marks as entries: those of other directories stay."""
        if self.marks.set(self.grid.marks, {entry.path.hex(): entry for entry in self.entries}):
            self.grid.recheck()
        self.show_trail()

    async def restore(self) -> None:
        """What is marked, or what is under the cursor."""
        from screens.restore_flow import restore

        entry = self.current()
        chosen = self.marks.chosen() or ([entry] if entry is not None else [])
        if self.snapshot is None or not chosen:
            self.say("Nothing is chosen: space marks files and folders.", "warn")
            return
        words = counted(chosen) if len(chosen) > 1 else path_words(chosen[0].path)
        await restore(self, self.ref.backend, self.snapshot, [one.path for one in chosen], words)

    def versions(self) -> None:
        """The file under the cursor through the snapshots."""
        from screens.versions import VersionsScreen

        entry = self.current()
        if entry is not None and entry.kind != "dir":
            self.app.push_screen(VersionsScreen(self.ref.backend, entry.path))
        else:
            self.say("Versions are of a file: put the cursor on one.", "warn")

    def against_live(self) -> None:
        """What is under the cursor against what is on this host now."""
        from screens.live_diff import LiveDiffScreen

        entry = self.current()
        if self.snapshot is None or entry is None:
            self.say("Nothing is under the cursor: - goes to the folder above.", "warn")
        else:
            self.app.push_screen(LiveDiffScreen(self.ref.backend, self.snapshot, entry.path))

    def preview(self) -> None:
        """The beginning of the file under the cursor."""
        from screens.preview import PreviewScreen

        entry = self.current()
        if entry is not None and entry.kind == "file":
            self.app.push_screen(PreviewScreen(self.ref.backend, self.ref.id, entry.path))
        else:
            self.say("Only a file can be looked into.", "warn")

    async def search(self) -> None:
        """A name through the whole snapshot; esc goes back to the directory."""
        typed = await self.bottom.ask("Look in the whole snapshot for (such as *.xlsx):", self.sought)
        pattern = (typed or "").strip()
        if not pattern:
            return
        if not any(sign in pattern for sign in "*?["):
            pattern = f"*{pattern}*"
        self.flow(self._look(pattern))

    async def _look(self, pattern: str) -> None:
        self.work.begin()
        self._places[self.path] = self._places.get(self.path, 0) if self.sought else self.grid.cursor
        self.entries, self.sought, self._filter, self.work.looking = [], pattern, "", True
        self._show()
        try:
            more = await self.work.look(pattern, self._found)
        except asyncio.CancelledError:
            self.say(f"Stopped: {len(self.entries):,} found so far.", "warn")
            raise
        finally:
            self._say_empty()
            self.show_trail()
        self.say(f"There are more: these are the first {FOUND_MOST:,}." if more else "", "warn")

    def _found(self, found: Sequence[Found]) -> None:
        base = self._home.rstrip(b"/") + b"/"  # the part that all have is left out
        self.entries += [replace(one.entry, name=path_words(one.entry.path.removeprefix(base))) for one in found]
        if found:
            self.grid.recheck()
        self.show_trail()
