"""The view of one backup job: its snapshots, the newest first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult

from backends.backups.model import BackupRow
from backends.contract import Ref
from console.actions import Action
from screens.backup_source import SnapshotSource
from screens.backup_verbs import BackupVerbs
from screens.base import ConsoleScreen, Handler
from screens.jumps import jump_from, record_of
from screens.list_keys import ListKeys
from screens.moves import mark_handlers, move_handlers
from screens.open_record import open_record
from screens.pane import Pane
from widgets.bars import Bar
from widgets.grid import Grid


class BackupScreen(ConsoleScreen):
    """Snapshots of a job; enter browses one, two marked ones can be compared."""

    LEGEND: ClassVar[tuple[str, ...]] = (
        "list.open", "backups.before", "backups.about", "backups.diff", "backups.run", "backups.check", "backups.hold", "global.back", "global.help",
    )  # fmt: skip

    def __init__(self, ref: Ref) -> None:
        super().__init__()
        self.ref = ref
        self.job: BackupRow | None = None
        self.trail = Bar(tone="bar-dim")

    def body(self) -> ComposeResult:
        """The trail, then the snapshots."""
        self.list = Pane(SnapshotSource(self.desk, self.ref.backend, self.ref.id))
        yield self.trail
        yield self.list

    def own_handlers(self) -> Mapping[str, Handler]:
        """Lists, jumps, comparing."""
        lists = ListKeys(self, lambda: self.list)
        own: dict[str, Handler] = {
            "list.open": self.open_current, "list.jump": lambda: jump_from(self, self.ref, self.job), "global.refresh": self.list.again,
            "backups.diff": self.compare, "backups.before": self.before, "backups.about": self.about, "backups.restore": self.open_current,
        }  # fmt: skip
        marks = mark_handlers(lambda: self.list.grid, self.list.show_head)
        verbs = BackupVerbs(self, self.ref, lambda: [Ref.parse(key).id for key in self.list.grid.marked()], self._again)
        return {**self.console.global_handlers(self), **move_handlers(lambda: self.list.grid), **marks, **lists.handlers(), **verbs.handlers(), **own}

    def scopes(self) -> tuple[str, ...]:
        """Backup verbs, lists, everything."""
        return ("backups", "list", "global")

    def backend_for(self, action: Action) -> Any:
        """The backend of the job."""
        return next((item for item in self.desk.backends("backups") if item.name == self.ref.backend), None)

    def on_mount(self) -> None:
        """Read the list."""
        super().on_mount()
        self.trail.show([(f" Backups › {self.ref.id}", "bar-dim")])
        self.restore_focus()
        self.list.start()
        self.flow(self._read_job())

    def _again(self) -> None:
        """After a verb: the list, and how the job stands."""
        self.list.again()
        self.flow(self._read_job())

    async def _read_job(self) -> None:
        self.job = await record_of(self.desk, self.ref)
        if self.job is not None:
            self.trail.show([(f" Backups › {self.job.name}  ", "bar-dim"), (f"{self.job.protection} ", "bar"), (self.job.text, "bar-dim")])

    def restore_focus(self) -> None:
        """Keys go to the list."""
        self.list.grid.focus()

    def open_current(self) -> None:
        """Browse the snapshot under the cursor."""
        key = self.list.grid.cursor_key
        if key:
            open_record(self, key)

    def on_grid_opened(self, event: Grid.Opened) -> None:
        """A double click opens."""
        open_record(self, event.key)

    def about(self) -> None:
        """Runs, repository, locks, holds, schedule, drills."""
        from screens.backup_about import BackupAboutScreen

        self.app.push_screen(BackupAboutScreen(self.ref))

    async def before(self) -> None:
        """The last snapshot before a time."""
        from screens.restore_choice import open_before

        await open_before(self, self.ref)

    async def compare(self) -> None:
        """What changed between the two marked snapshots, or between this one and the one before."""
        from screens.diff import DiffScreen

        keys = self.list.grid.marked()
        if len(keys) == 1:
            older = self.list.grid.window.row(self.list.grid.cursor + 1)
            keys = [keys[0], older.key] if older else keys
        if len(keys) != 2:
            self.say("Mark two snapshots with space, then compare them.", "warn")
            return
        await asyncio.sleep(0)
        self.app.push_screen(DiffScreen(self.ref.backend, [Ref.parse(key).id for key in keys]))
