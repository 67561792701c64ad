"""What a backup program can do for an adapter: `BackupTool`, blocking, one class a program. Never imports an adapter.

The adapters (`Restic`, `Borg`) are one async class over this; a tool knows argv, output and errors of its program, nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from backends.backups.extraction import ExtractCapabilities, Extraction, Heard, Known, ToolEvent
from backends.backups.model import BackupJob, Content, Diff, Entry, ForgetGroup, Found, Glimpse, Lock, RunWord, Snapshot, Tally

Tell = Callable[[ToolEvent], None]


def nobody(event: ToolEvent) -> None:
    """A listener that does not listen."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A program's version and what it can do; `missing` says in words what it can't, and from which version on it could."""

    version: tuple[int, ...]
    has: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


@dataclass(frozen=True, slots=True)
class Worked:
    """How long work ended. `errors` are the first 200; `snapshot` the full id of a new backup, or ""."""

    result: RunWord
    text: str = ""
    snapshot: str = ""
    files: int | None = None
    size: int | None = None
    added: int | None = None
    errors: tuple[str, ...] = ()
    error_count: int = 0
    damaged: tuple[str, ...] = field(default_factory=tuple)
    """What a check found damaged."""


class BackupTool(Protocol):
    """All methods block and raise only errors of the family. Snapshots are given as the records that `snapshots` returned."""

    name: ClassVar[str]
    package: ClassVar[str]
    forgets_in_groups: ClassVar[str]
    """How the tool groups for a policy, in words."""
    forgotten_words: ClassVar[str]
    """What becomes of what was forgotten, until a prune."""
    capabilities: Capabilities

    def open(self) -> None:
        """Find the program and its version. MissingTool, Unsupported when it is too old."""

    def location(self) -> str:
        """Where the repository is, without a secret."""

    def repository_id(self) -> str:
        """Its own id."""

    def snapshots(self) -> list[Snapshot]:
        """All, newest first; those that can't be read too."""

    def by_id(self, id: str, name: str) -> Snapshot | None:
        """What `extract`, `entries` and the hashes need of it, by its full id and its name (borg; "" = not known); None: list them."""

    def job_of(self, snapshot: Snapshot) -> str:
        """The id of the job that made it."""

    def job_id(self, job: BackupJob) -> str:
        """The same for a job of the configuration."""

    def covers(self, job: BackupJob, snapshot: Snapshot) -> bool:
        """Whether the job may have made it though a source was missing."""

    def job_name(self, job: str, newest: Snapshot | None) -> str:
        """A job's id as people read it."""

    def is_marked(self, snapshot: Snapshot) -> bool:
        """Whether it is marked as held in the repository itself."""

    def directories(self, snapshot: Snapshot, paths: Sequence[bytes], stop: threading.Event | None = None, quick: bool = False) -> Mapping[bytes, Sequence[Entry]]:
        """Direct children of those directories that are there; `quick`: only those that one call can tell exactly."""

    def glimpse(self, snapshot: Snapshot, path: bytes) -> Glimpse | None:
        """As `Browsing.glimpse`."""

    def folders(self, snapshot: Snapshot, path: bytes, stop: threading.Event) -> Iterator[tuple[bytes, list[Entry]]]:
        """Every directory at or below a path with its children, exact."""

    def tally(self, snapshot: Snapshot, paths: Sequence[bytes], tell: Callable[[int], None], stop: threading.Event) -> Mapping[bytes, Tally]:
        """How much is in each of those folders; nothing when it was stopped."""

    def find(self, pattern: str, snapshots: Sequence[Snapshot], stop: threading.Event | None = None) -> Iterator[Found]:
        """Names that match a shell pattern."""

    def versions(self, path: bytes, snapshots: Sequence[Snapshot]) -> list[Found]:
        """The entry at exactly this path, in each."""

    def diff(self, old: Snapshot, new: Snapshot) -> Diff:
        """From `old` to `new`."""

    def read(self, snapshot: Snapshot, path: bytes, limit: int) -> Content:
        """The beginning of a file."""

    def size(self) -> int:
        """Bytes the repository takes."""

    def locks(self) -> list[Lock]:
        """Those there are now."""

    def unlock(self, lock: Lock) -> None:
        """Take away this one, which is stale."""

    def back_up(self, job: BackupJob, tell: Tell, stop: threading.Event) -> Worked:
        """Make a backup."""

    def check(self, percent: int, tell: Tell, stop: threading.Event) -> Worked:
        """Check it."""

    def forget_preview(self, keep: Mapping[str, str | int], snapshots: Sequence[Snapshot]) -> list[ForgetGroup]:
        """What a policy would do, as the tool computes it itself. Writes nothing."""

    def forget(self, snapshots: Sequence[Snapshot], tell: Tell, stop: threading.Event) -> Worked:
        """Let exactly these go."""

    def prune(self, tell: Tell, stop: threading.Event) -> Worked:
        """Free what nothing refers to."""

    def mark(self, snapshot: Snapshot, held: bool) -> str:
        """Mark it in the repository itself so that others see the hold too; the id it has afterwards."""

    def extract(
        self, snapshot: Snapshot, selection: Sequence[bytes], into: bytes, tell: Tell, stop: threading.Event, again: bool = False
    ) -> Extraction:
        """As `ExtractsFiles.extract`; `again`: as `GoesOn.go_on`."""

    def can_go_on(self) -> bool:
        """As `GoesOn.can_go_on`."""

    def entries(self, snapshot: Snapshot, selection: Sequence[bytes]) -> Iterator[Entry]:
        """As `ExtractsFiles.entries`."""

    def content_hashes(
        self, snapshot: Snapshot, selection: Sequence[bytes], stop: threading.Event, known: Iterable[Known] | None = None,
        heard: Heard | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """As `HashesFiles.content_hashes`."""

    def content_hash(self, snapshot: Snapshot, path: bytes) -> bytes:
        """As `ExtractsFiles.content_hash`."""

    def close(self) -> None:
        """Take away what was only kept for the session."""

    def extract_capabilities(self) -> ExtractCapabilities:
        """As `ExtractsFiles.extract_capabilities`."""
