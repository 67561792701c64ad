"""Backups: repositories, jobs, snapshots, files. Records are facts, states are derived. Never imports an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal


class Protection(StrEnum):
    """How well a job's data is protected today."""

    OK = "OK"
    DUE = "DUE"
    LATE = "LATE"
    FAILED = "FAILED"
    PARTIAL = "PARTIAL"
    NEVER = "NEVER"
    UNKNOWN = "UNKNOWN"
    SUSPICIOUS = "SUSPICIOUS"
    CLOCK = "CLOCK"
    """The newest snapshot lies in the future."""


PROTECTION_SEVERITY = {
    Protection.FAILED: 7, Protection.NEVER: 6, Protection.LATE: 5, Protection.CLOCK: 4, Protection.SUSPICIOUS: 4,
    Protection.PARTIAL: 3, Protection.UNKNOWN: 2, Protection.DUE: 1, Protection.OK: 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A line of the list: what is backed up (host + paths in one repository) and its last success against the RPO."""

    backend: str
    id: str
    """"<repository id>/<host>/<paths or tags>", stable."""
    name: str
    """"fs01 /srv/share"."""
    repository: str
    tool: str
    """restic, borg."""
    protection: Protection
    last_success: datetime | None = None
    rpo: float | None = None
    """Seconds."""
    snapshots: int = 0
    size: int | None = None
    """Bytes of the newest snapshot."""
    host: str = ""
    text: str = ""
    """Why it is so, in words."""
    at: datetime | None = None
    stale: str = ""
    schedule: str = ""
    """When it should run, in the words of the configuration."""


@dataclass(frozen=True, slots=True)
class BackupJob:
    """What should be backed up, from the configuration: `deskside backups run` can start it."""

    name: str
    paths: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    host: str = ""
    schedule: str = ""
    rpo: float | None = None
    """Seconds."""
    keep: Mapping[str, str | int] = field(default_factory=dict)
    """The retention: last, hourly, daily, weekly, monthly, yearly, within."""
    one_file_system: bool = False
    exclude_caches: bool = False
    archive: str = ""
    """borg: the archive's name, with {now} and {hostname}."""
    source: str = ""
    """The file it was read from, "" = our own configuration."""
    why_not: str = ""
    """Why it can't be started from here (it has hooks), or ""."""


@dataclass(frozen=True, slots=True)
class Repository:
    """Where backups are kept. `location` never holds a secret."""

    id: str
    name: str
    tool: str
    location: str
    version: str = ""
    reachable: bool = True
    text: str = ""
    size: int | None = None
    """Bytes it takes where it is kept, as last measured."""
    snapshots: int | None = None
    growth: tuple[tuple[datetime, int], ...] = ()
    """(when, bytes) as measured, oldest first: at most one a day."""
    uid: str = ""
    """The repository's own id: another one at the same place is an alarm."""
    missing: tuple[str, ...] = ()
    """What this version of the tool can't do, in words."""
    checked: datetime | None = None
    """When it was last checked from here."""
    check_text: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup that can be restored (`readable` False: it is listed, but damaged)."""

    backend: str
    id: str
    """The full id."""
    short_id: str
    time: datetime
    host: str
    user: str = ""
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    files: int | None = None
    size: int | None = None
    added: int | None = None
    duration: float | None = None
    readable: bool = True
    note: str = ""
    uid: str = ""
    """What stays the same when the tool gives it a new id (a tag in restic, a new name in borg)."""
    hold: str = ""
    """Why it is held, or "": a held one is never forgotten."""
    name: str = ""
    """The archive's name (borg); restic has none."""


EntryKind = Literal["dir", "file", "link", "other"]


Attributes = tuple[tuple[bytes, bytes], ...]
"""Extended attributes: (name, value), sorted by name. ACLs are `system.posix_acl_access` and `system.posix_acl_default`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in a snapshot. `path` is exact, in bytes; `name` is its cleaned last part for the screen.

    What a tool does not tell in this view is None or empty: a listing for the screen has less than `ExtractsFiles.entries`.
    """

    path: bytes
    name: str
    kind: EntryKind
    size: int = 0
    mode: int = 0
    """Permission bits with setuid, setgid and sticky: at most 0o7777."""
    user: str = ""
    group: str = ""
    modified: datetime | None = None
    target: str = ""
    """Where a symbolic link points, cleaned for the screen; `link` is the exact one."""
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    """Since 1970, may be negative and beyond what a datetime holds."""
    link: bytes | None = None
    special: Literal["", "fifo", "chardev", "blockdev", "socket"] = ""
    """What an "other" is."""
    inode: str = ""
    """Entries of one snapshot with the same value are hard links to one file; "" = alone, or not known."""
    xattrs: Attributes | None = None
    """Its extended attributes, ACLs among them, by name; None where this view of the tool does not tell them."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How much is in a folder, all that is below it counted; `files` is everything that is no folder."""

    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Glimpse:
    """A directory while a tool still reads the whole snapshot: what is known of it yet."""

    entries: tuple[Entry, ...]
    read: int
    """Entries of the snapshot that were read so far."""
    whole: bool
    """Nothing more will come."""


LiveWord = Literal["new", "gone", "newer", "older", "time", "size", "type", "target", "unread"]


@dataclass(frozen=True, slots=True)
class LiveDifference:
    """How a path on this host differs from the snapshot: "new" since, "gone" since, a "newer" or "older" file of another size, only another
    "time", only another "size", another "type", a link with another "target", "unread" what can't be looked at.
    """

    path: bytes
    word: LiveWord
    kind: EntryKind
    """Of what is live; of what was, where it is gone."""
    size: int | None = None
    """In the snapshot; None where it was not there."""
    live_size: int | None = None
    modified: datetime | None = None
    live_modified: datetime | None = None


@dataclass(frozen=True, slots=True)
class LiveCount:
    """How a comparison with what is live went: differences by word, entries that are the same, entries looked at, cut short or not."""

    words: Mapping[str, int]
    same: int
    looked: int
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One line of a diff: + added, - removed, M content, T type, U metadata."""

    path: bytes
    mark: str


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed between two snapshots."""

    items: tuple[Difference, ...]
    added: int = 0
    removed: int = 0
    changed: int = 0
    bytes_added: int = 0
    bytes_removed: int = 0
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class BackupQuery:
    """Which jobs. `faults` = not OK and not due. Sort: severity, name, last_success, size."""

    text: str = ""
    inverse: bool = False
    protections: tuple[Protection, ...] = ()
    faults: bool = False
    sort: str = "severity"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class SnapshotQuery:
    """Which snapshots: of one job, host or path, before a time; newest first."""

    job: str = ""
    host: str = ""
    before: datetime | None = None
    text: str = ""


RunWord = Literal["ok", "partial", "failed", "cancelled", "unknown"]


@dataclass(frozen=True, slots=True)
class BackupRun:
    """A backup that happened: seen in the repository, or started here (then with its errors)."""

    backend: str
    job: str
    snapshot: str
    """Full id, "" where it left none."""
    started: datetime
    ended: datetime | None
    result: RunWord
    files: int | None = None
    size: int | None = None
    added: int | None = None
    text: str = ""
    errors: tuple[str, ...] = ()
    error_count: int = 0


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs: of one job, only those that went wrong; newest first."""

    job: str = ""
    faults: bool = False


@dataclass(frozen=True, slots=True)
class Lock:
    """Somebody's lock on a repository. `stale` only by proof, and `proof` says which."""

    id: str
    exclusive: bool
    host: str
    user: str
    pid: int
    since: datetime | None
    stale: bool
    proof: str


@dataclass(frozen=True, slots=True)
class Content:
    """The beginning of a file: `cut` when there is more than was asked for."""

    data: bytes
    cut: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """A snapshot that a policy keeps, and why."""

    snapshot: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForgetGroup:
    """One group of a policy's answer, as the tool itself computed it."""

    name: str
    keep: tuple[Kept, ...]
    remove: tuple[str, ...]
    """Full ids."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place where a file was found."""

    snapshot: str
    entry: Entry
    warnings: tuple[str, ...] = field(default_factory=tuple)
