"""`LiveDiffScreen`: a folder or file of a snapshot against what is on this host now, by name, as it is found. Nothing is written."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.cells import chop_cells
from textual.app import ComposeResult

from backends.backups.model import LiveCount, LiveDifference, Snapshot
from backends.errors import BackendError
from backends.text import size
from backends.threads import in_thread
from console.ages import stamp
from console.live_text import read_live, text_difference
from screens.base import ConsoleScreen, Handler
from screens.moves import move_handlers
from screens.paper import PaperScreen
from screens.path_words import path_words
from screens.snapshot_work import meanwhile
from widgets.bars import Bar
from widgets.columns import Column, Row
from widgets.grid import Grid
from widgets.toned import Line
from widgets.window import CHUNK

LIMIT = 65536
MOST = 50_000
"""Differences that are listed; all of them are counted."""
WORDS = {
    "gone": ("gone since", "bad"), "newer": ("newer now", "warn"), "older": ("older now", "warn"), "size": ("other size", "warn"), "type": ("other type", "warn"),
    "target": ("other target", "warn"), "time": ("other time", "dim"), "new": ("new since", "ok"), "unread": ("can't be read", "bad"),
}  # fmt: skip
"""What a difference is called, the gravest first."""
COLUMNS = (
    Column("word", "What", 13), Column("name", "Name", 20, flex=3), Column("size", "Then", 9, align="right", drop=2), Column("live", "Now", 9, align="right", drop=1),
    Column("modified", "Changed then", 16, drop=4), Column("changed", "Changed now", 16, drop=3),
)  # fmt: skip


class LiveDiffScreen(ConsoleScreen):
    """A line a difference; enter compares a text line by line, esc stops and then goes back."""

    LEGEND: ClassVar[tuple[str, ...]] = ("list.open", "global.refresh", "list.copy", "global.back", "global.help")

    def __init__(self, backend: str, snapshot: Snapshot, path: bytes) -> None:
        super().__init__()
        self._backend, self._snapshot, self._path = backend, snapshot, path
        self.trail = Bar(tone="bar-dim")
        self.sums = Bar(tone="")
        self.grid = Grid(COLUMNS)
        self.found: list[LiveDifference] = []
        self._heard: list[LiveDifference] = []
        self._counts: Counter[str] = Counter()
        self._count: LiveCount | None = None
        self._work: asyncio.Task[None] | None = None

    def body(self) -> ComposeResult:
        """What is compared, how much differs, then the list."""
        yield self.trail
        yield self.sums
        yield self.grid

    def scopes(self) -> tuple[str, ...]:
        """Lists and everything."""
        return ("list", "global")

    def own_handlers(self) -> Mapping[str, Handler]:
        """Open, stop and go."""
        return {
            **self.console.global_handlers(self), **move_handlers(lambda: self.grid), "list.open": self.open_current, "list.copy": self.copy,
            "global.back": self.back, "global.refresh": self.start,
        }  # fmt: skip

    def on_mount(self) -> None:
        """Begin to compare."""
        super().on_mount()
        self.restore_focus()
        self.start()

    def restore_focus(self) -> None:
        """Keys go to the list."""
        self.grid.focus()

    @property
    def running(self) -> bool:
        """It still compares."""
        return self._work is not None and not self._work.done()

    def start(self) -> None:
        """From the beginning."""
        if self._work is not None:
            self._work.cancel()
        self.found, self._heard, self._counts, self._count = [], [], Counter(), None
        self.grid.drop_rows()
        self.grid.say_empty("Comparing ...", "esc stops")
        self._work = self.flow(self._compare(self._heard))

    async def _compare(self, heard: list[LiveDifference]) -> None:
        try:
            backend = await self.desk.backend("backups", self._backend)
            self._show()
            self._count = await meanwhile(backend.compare_live(self._snapshot.id, self._path, heard.append, threading.Event()), self._show)
        except BackendError as error:
            self.grid.say_empty(f"{error.title}: {error.text}", error.hint, "esc goes back")
            self._sums(error.title)
            return
        except asyncio.CancelledError:
            if heard is self._heard:
                self._end("stopped")
            raise
        self._end("")

    def _end(self, word: str) -> None:
        """In the order of their paths, the cursor on the same one."""
        self._show()
        key = self.grid.cursor_key if self.grid.cursor else None
        self.found.sort(key=lambda one: one.path)
        place = next((number for number, one in enumerate(self.found) if one.path.hex() == key), 0)
        self.grid.say_empty("Stopped before a difference was found." if word else "Nothing differs.", "esc goes back")
        self.grid.window.total = len(self.found)
        self.grid.restart(cursor=place)
        self._sums(word)

    def _show(self) -> None:
        """What has come since the last look."""
        new = self._heard[sum(self._counts.values()) :]
        self._counts.update(one.word for one in new)
        if new and len(self.found) < MOST:
            self.found += new[: MOST - len(self.found)]
            self.grid.recheck()
        self._sums("")

    def _sums(self, word: str) -> None:
        snap, zone = self._snapshot, self.desk.config.timezone
        self.trail.show([(" Now against ", "bar-dim"), (stamp(snap.time, zone), "bar"), (" › ", "bar-dim"), (path_words(self._path), "bar")])
        said: list[tuple[str, str]] = []
        for name, (text, tone) in WORDS.items():
            if self._counts[name]:
                said.append((f" {self._counts[name]:,} {text} ", tone))
        if self._count is not None:
            said.append((f" {self._count.same:,} the same ", "dim"))
        hidden = sum(self._counts.values()) - len(self.found)
        state = "comparing ..." if self.running and not word and self._count is None else word
        state += f" the first {MOST:,} are listed" if hidden > 0 else ""
        self.sums.show(said, [(f" {state} ", "warn")] if state else [])

    def on_grid_need(self, event: Grid.Need) -> None:
        """Rows from what was found."""
        event.stop()
        rows = [self._row(one) for one in self.found[event.number * CHUNK : (event.number + 1) * CHUNK]]
        self.grid.fill(event.number, rows, len(self.found), event.generation)

    def _row(self, one: LiveDifference) -> Row:
        text, tone = WORDS[one.word]
        zone, base = self.desk.config.timezone, self._path.rstrip(b"/") + b"/"
        name = path_words(one.path.removeprefix(base)) + ("/" if one.kind == "dir" else "")
        folder = one.kind == "dir"
        cells = (text, name, "" if folder else size(one.size), "" if folder else size(one.live_size), stamp(one.modified, zone), stamp(one.live_modified, zone))
        return Row(one.path.hex(), cells, (tone, "", "dim", "dim", "dim", "dim"))

    def current(self) -> LiveDifference | None:
        """The one under the cursor."""
        return self.found[self.grid.cursor] if self.grid.cursor < len(self.found) else None

    def on_grid_opened(self, event: Grid.Opened) -> None:
        """A double click opens."""
        self.open_current()

    def open_current(self) -> None:
        """The two texts against each other, where there are two."""
        one = self.current()
        if one is None:
            return
        if one.kind == "file" and one.word in ("newer", "older", "size", "time"):
            self.app.push_screen(TextDiffScreen(self._backend, self._snapshot, one.path))
        else:
            self.say("Only a file that is in the snapshot and still here is compared line by line.", "dim")

    def copy(self) -> None:
        """The path to the clipboard."""
        one = self.current()
        if one is not None:
            self.say(self.console.copy(path_words(one.path)))

    def back(self) -> None:
        """Stop; then go."""
        if self.running and self._work is not None:
            self._work.cancel()
        else:
            self.app.pop_screen()


class TextDiffScreen(PaperScreen):
    """What changed in one file, from the snapshot to now: the first 64 KiB of both."""

    TITLE_LINE = "What changed in the file"

    def __init__(self, backend: str, snapshot: Snapshot, path: bytes) -> None:
        super().__init__()
        self._backend, self._snapshot, self._path = backend, snapshot, path
        self._lines: list[str] | None = None
        self._why = "Reading ..."

    async def load(self) -> None:
        """Both beginnings."""
        self.trail.show([(f" {path_words(self._path)}", "bar")])
        self.say("Reading ...", "dim")
        try:
            backend = await self.desk.backend("backups", self._backend)
            now = await in_thread(30.0, read_live, self._path, LIMIT)
            then = await backend.read(self._snapshot.id, self._path, LIMIT)
        except BackendError as error:
            self._why = error.sentence()
            self.say("")
            return
        self._lines = await in_thread(30.0, text_difference, then, now)
        self._why = "One of the two is no text; they are not compared line by line." if self._lines is None else "The content is the same."
        if then.data == now.data and then.cut == now.cut:
            self._why = f"The first {size(LIMIT)} are the same; there is more." if then.cut else "The content is the same, only the time differs."
        self.say(f"Only the first {size(LIMIT)} of each are compared." if then.cut or now.cut else "", "warn")

    def build(self, width: int) -> Sequence[Line]:
        """Lines that went, lines that came."""
        if not self._lines:
            return [(), ((" " + self._why, "dim"),)]
        out: list[Line] = []
        for line in self._lines:
            tone = "head" if line.startswith(("--- ", "+++ ", "@@")) else {"+": "ok", "-": "bad"}.get(line[:1], "")
            out += [((" " + part, tone),) for part in chop_cells(line, max(10, width - 2)) or [""]]
        return out
