"""What a backup tool can do, one Protocol a verb. What writes is `plan_<verb>` and goes through `console.perform`.

Backups, checks and prunes are long: their `apply` runs in a job's process, where the job `follow`s it first. Getting files out is
in `extraction`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from backends.backups.extraction import ToolEvent
from backends.backups.model import (
    BackupJob,
    BackupQuery,
    BackupRow,
    BackupRun,
    Content,
    Diff,
    Entry,
    Found,
    Glimpse,
    LiveCount,
    LiveDifference,
    Lock,
    Repository,
    RunQuery,
    Snapshot,
    SnapshotQuery,
    Tally,
)
from backends.contract import Actor, Change, Page, Plan


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


@runtime_checkable
class BrowsesManyDirectories(Protocol):
    """Several directories in one call of the tool: what is ahead can be fetched before it is asked for."""

    async def directories(self, snapshot: str, paths: Sequence[bytes]) -> Mapping[bytes, Sequence[Entry]]:
        """Path -> direct children. A path that is not there is not in the answer. Known ones cost nothing."""


@runtime_checkable
class ReadsAhead(Protocol):
    """A browser that never waits twice: `known` answers at once, `read_ahead` fetches what may be wanted next, `glimpse` shows what a
    tool that must read the whole snapshot knows yet."""

    def known(self, snapshot: str, path: bytes) -> Sequence[Entry] | None:
        """A directory that was read already, by the snapshot's full id."""

    async def read_ahead(self, snapshot: str, paths: Sequence[bytes], stop: threading.Event) -> int:
        """One call of the tool for all of them; how many are new. Ended by `stop` and by cancelling."""

    async def glimpse(self, snapshot: str, path: bytes) -> Glimpse | None:
        """None where the tool can look into one directory alone. The first call begins to read."""


@runtime_checkable
class CountsFiles(Protocol):
    """How much is in a folder."""

    async def tally(self, snapshot: str, paths: Sequence[bytes], tell: Callable[[int], None], stop: threading.Event) -> Mapping[bytes, Tally]:
        """With all below; remembered. `tell` hears in another thread how many entries were read."""


@runtime_checkable
class SearchesFiles(Protocol):
    """Names as they are found."""

    async def search(self, pattern: str, snapshot: str, tell: Callable[[Found], None], stop: threading.Event, limit: int = 20_000) -> bool:
        """Each is told in another thread. True when there are more than `limit`."""


@runtime_checkable
class ComparesLive(Protocol):
    """A snapshot against what is on its host now."""

    async def compare_live(self, snapshot: str, path: bytes, tell: Callable[[LiveDifference], None], stop: threading.Event) -> LiveCount:
        """Each difference is told in another thread. Refused on another host."""


@runtime_checkable
class FindsVersions(Protocol):
    """The history of one file."""

    async def versions(self, path: bytes, job: str = "") -> Sequence[Found]:
        """The file at this very path in each snapshot that has it (of one job, or all), newest first."""


@runtime_checkable
class ReadsFiles(Protocol):
    """A look into a file."""

    async def read(self, snapshot: str, path: bytes, limit: int = 65536) -> Content:
        """Its first `limit` bytes. NotFound, Invalid for what is no file."""


@runtime_checkable
class ListsRuns(Protocol):
    """What ran: the repository's truth, with what is known of runs that were started here."""

    async def runs(self, query: RunQuery, offset: int = 0, limit: int = 100) -> Page[BackupRun]:
        """Newest first."""


@runtime_checkable
class TellsProgress(Protocol):
    """Long work can be watched and stopped."""

    def follow(self, tell: Callable[[ToolEvent], None] | None, stop: threading.Event | None) -> None:
        """For every following `apply`: call `tell` (in another thread) with what happens; end when `stop` is set. None: no more."""


@runtime_checkable
class RunsBackups(Protocol):
    """Start a backup now."""

    async def jobs(self) -> Sequence[BackupJob]:
        """What the configuration says should be backed up."""

    async def plan_run(self, change: Change, actor: Actor) -> Plan:
        """values: none; the target is a job's name. NotFound, Refused when it can't be started from here."""


@runtime_checkable
class ChecksRepositories(Protocol):
    """Ask the tool whether the repository is whole."""

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """values: `percent` of the data to read (0 = structure only, 100 = all)."""


@runtime_checkable
class ForgetsSnapshots(Protocol):
    """Let snapshots go. Never the data itself: that is `prune`, apart."""

    async def plan_forget(self, change: Change, actor: Actor) -> Plan:
        """values: `snapshots` (ids), or `keep` (last, hourly, daily, weekly, monthly, yearly, within -> number) with optional `job`.

        The plan lists each that goes and each that stays with the tool's own reasons. Refused in `missing` when a group would
        become empty, a held snapshot would go, or more than max(5, 20 %) would go at once and `many` is not true.
        """


@runtime_checkable
class PrunesRepositories(Protocol):
    """Free the space of what was forgotten (borg: compact)."""

    async def plan_prune(self, change: Change, actor: Actor) -> Plan:
        """No values. In `missing` within a day of a forget, which could still be undone, unless `now` is true."""


@runtime_checkable
class ManagesLocks(Protocol):
    """Locks that others hold, or left."""

    async def locks(self) -> Sequence[Lock]:
        """With the proof of staleness, where there is one."""

    async def plan_unlock(self, change: Change, actor: Actor) -> Plan:
        """The target is a lock's id. In `missing` when it is not proven stale. Never by itself."""


@runtime_checkable
class HoldsSnapshots(Protocol):
    """Snapshots that must stay, whatever a policy says."""

    async def plan_hold(self, change: Change, actor: Actor) -> Plan:
        """The target is a snapshot; values: `reason`."""

    async def plan_unhold(self, change: Change, actor: Actor) -> Plan:
        """The target is a snapshot."""
