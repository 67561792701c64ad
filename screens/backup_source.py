"""The list of backup jobs: columns, sorts, and a job as a row; and the list of a job's snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from backends.text import size
from console.ages import age, allowed, last, stamp
from console.desk import Desk
from screens.sources import Source
from widgets.columns import Column, Row

if TYPE_CHECKING:
    from backends.backups.model import BackupQuery, BackupRow, Snapshot, SnapshotQuery

PROTECTION_TONE = {
    "OK": "ok", "DUE": "", "LATE": "warn", "FAILED": "bad", "PARTIAL": "warn", "NEVER": "bad", "UNKNOWN": "warn", "SUSPICIOUS": "warn",
    "CLOCK": "warn",
}  # fmt: skip


class BackupSource(Source):
    """Backup jobs of all repositories, the least protected first."""

    domain = "backups"
    title = "Backups"
    list_method = "backups"
    sorts = ("severity", "name", "last_success", "size")
    columns = (
        Column("severity", "State", 10),
        Column("last_success", "Last", 5, align="right"),
        Column("name", "Job", 16, flex=2),
        Column("text", "Why", 14, flex=3, drop=1),
        Column("rpo", "RPO", 4, align="right", drop=4),
        Column("size", "Size", 9, align="right", drop=3),
        Column("snapshots", "Kept", 5, align="right", drop=5),
        Column("repository", "Repository", 14, drop=6, wide=True),
        Column("tool", "Tool", 7, drop=7, wide=True),
        Column("at", "Known", 5, align="right", drop=8, wide=True),
    )

    def first_query(self) -> BackupQuery:
        """All jobs."""
        from backends.backups.model import BackupQuery

        return BackupQuery()

    def severity(self, item: Any) -> int:
        """By protection."""
        from backends.backups.model import PROTECTION_SEVERITY

        return PROTECTION_SEVERITY.get(item.protection, 0)

    def row(self, item: Any, several: bool) -> Row:
        """A job's line: last success against its RPO."""
        from backends.contract import now

        job: BackupRow = item
        moment = now()
        cells = (
            str(job.protection), last(job.last_success, moment), job.name, why(job, moment), allowed(job.rpo) if job.rpo else "", size(job.size),
            str(job.snapshots), job.repository, job.tool, age(job.at, moment),
        )  # fmt: skip
        tone = "dim" if job.stale else PROTECTION_TONE.get(job.protection, "")
        return Row(f"backups:{job.backend}:{job.id}", cells, (tone, "dim", "", "dim", "dim", "dim", "dim", "dim", "dim", "dim"))


class SnapshotSource(Source):
    """Snapshots of one job, the newest first."""

    domain = "backups"
    title = "Snapshots"
    list_method = "snapshots"
    first_sort = ("", False)
    sorts = ("time",)
    kept = False
    columns = (
        Column("time", "Taken", 16),
        Column("age", "Age", 4, align="right"),
        Column("short", "Snapshot", 10),
        Column("host", "Host", 10, flex=1, drop=4),
        Column("paths", "Paths", 14, flex=3, drop=1),
        Column("files", "Files", 9, align="right", drop=5),
        Column("size", "Size", 9, align="right", drop=3),
        Column("added", "Added", 9, align="right", drop=6),
        Column("note", "Note", 10, flex=1, drop=2),
    )

    def __init__(self, desk: Desk, backend: str, job: str) -> None:
        self._backend, self._job = backend, job
        super().__init__(desk)

    def first_query(self) -> SnapshotQuery:
        """Of this job."""
        from backends.backups.model import SnapshotQuery

        return SnapshotQuery(job=self._job)

    def backends(self) -> list[Any]:
        """The one that keeps them."""
        return [opened.backend for opened in self.desk.backends("backups") if opened.name == self._backend and opened.backend]

    def subtitle(self) -> str:
        """The filter."""
        return f"/{self.query.text}" if self.query.text else ""

    def row(self, item: Any, several: bool) -> Row:
        """A snapshot's line; a damaged one says so."""
        snap: Snapshot = item
        held = f"HELD: {snap.hold}" if snap.hold else ""
        note = snap.note or ("" if snap.readable else "UNREADABLE") or held
        cells = (
            stamp(snap.time, self.desk.config.timezone), age(snap.time), snap.short_id, snap.host, " ".join(snap.paths),
            "" if snap.files is None else f"{snap.files:,}", size(snap.size), size(snap.added), note,
        )  # fmt: skip
        tones = ("" if snap.readable else "bad", "dim", "accent", "dim", "", "dim", "dim", "dim", "warn")
        return Row(f"snapshots:{snap.backend}:{snap.id}", cells, tones)


def why(job: BackupRow, moment: datetime) -> str:
    """Its state in words; that it could not be looked at, and since when, goes before."""
    seen = age(job.at, moment)
    return f"stale{'' if seen == 'now' else ' ' + seen}: {job.stale}" if job.stale else job.text
