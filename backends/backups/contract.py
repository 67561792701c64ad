"""What a backup tool can do, one Protocol a verb. Reading only here; writes are `plan_<verb>` as everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from backends.backups.model import BackupQuery, BackupRow, Diff, Entry, Found, Repository, Snapshot, SnapshotQuery
from backends.contract import Page


@runtime_checkable
class ListsBackups(Protocol):
    """Jobs, repositories and snapshots."""

    async def backups(self, query: BackupQuery, offset: int = 0, limit: int = 100) -> Page[BackupRow]:
        """Jobs with their protection; `note` says what could not be read."""

    async def repositories(self) -> Sequence[Repository]:
        """The repositories, reachable or not; never raises for one of them."""

    async def snapshots(self, query: SnapshotQuery, offset: int = 0, limit: int = 100) -> Page[Snapshot]:
        """Newest first. Unreadable ones are listed, never dropped."""

    async def snapshot(self, id: str) -> Snapshot:
        """By full or short id; NotFound, Invalid when a short id is ambiguous."""


@runtime_checkable
class BrowsesFiles(Protocol):
    """Files of a snapshot, one directory at a time."""

    async def files(self, snapshot: str, path: bytes = b"/") -> Sequence[Entry]:
        """Direct children, directories first. Cost: one call of the tool, cached."""


@runtime_checkable
class FindsFiles(Protocol):
    """Look for a name through snapshots."""

    async def find(self, pattern: str, snapshot: str = "") -> Sequence[Found]:
        """Shell pattern; "" = all snapshots."""


@runtime_checkable
class DiffsSnapshots(Protocol):
    """Compare two snapshots."""

    async def diff(self, old: str, new: str) -> Diff:
        """From `old` to `new`."""
