"""Restores in the field's words: what is wanted, what would happen, what happened. Frozen; times are aware UTC; paths are bytes."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Policy = Literal["missing", "differs", "newer", "exact"]
POLICIES: Mapping[str, str] = {
    "missing": "put back only what is missing",
    "differs": "replace what differs",
    "newer": "replace only what is older than the backup",
    "exact": "make it exactly as then: what came later is taken away",
}
DestinationKind = Literal["new", "original", "into", "host", "mailbox", "postgres"]

Status = Literal["newer", "older", "changed", "meta", "type", "new", "same", "extra", "blocked"]
"""Of a live file beside the backup: newer = the live one was changed after the backup (named first); older; changed = same time,
other size or content; meta = only owner or mode differ; type = a folder where a file was, and the like; new = not there live;
extra = not in the snapshot; blocked = can't be reached."""
STATUS_ORDER: tuple[Status, ...] = ("newer", "type", "blocked", "extra", "changed", "older", "meta", "new", "same")
Action = Literal["put", "replace", "remove", "folder", "leave", "blocked"]
Phase = Literal["preflight", "fetch", "audit", "swap", "report", "undo"]
Result = Literal["done", "partial", "failed", "cancelled", "undone", "interrupted", "stopped", "running", "planned"]
SPARE = 1_000_000_000
"""Bytes that must stay free."""
NAMED = 200
"""Paths named in a preview or report; all of them are in its file."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to. `new`: a folder that is not there yet (`root`); `original`: where it was; `into`: a folder that is there.

    `host`: a folder (`root`; "" = the original place) on another host by SSH. `mailbox`: a Maildir or an mbox file (`root`). `postgres`: a new
    `database` on the server at `host` (a name or a socket folder).
    """

    kind: DestinationKind = "new"
    root: bytes = b""
    host: str = ""
    port: int = 0
    user: str = ""
    key: str = ""
    """File of the SSH key ("" = the agent and the usual ones)."""
    known_hosts: str = ""
    database: str = ""
    password: str = ""
    """A reference to a secret (`file:...`), never the secret."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants restored: the choice of the screen or the command line, before anything was looked at."""

    backend: str
    snapshot: str
    selection: tuple[bytes, ...]
    destination: Destination
    policy: Policy = "differs"
    overrides: tuple[str, ...] = ()
    """Refusals an admin set aside, by their name (`Refusal.name`); `override_reason` says why."""
    override_reason: str = ""
    thorough: bool = False
    """Compare the content of files that look the same, too (reads them)."""


@dataclass(frozen=True, slots=True)
class PreviewItem:
    """One path of the preview: where it would go, how the live one stands, what would be done."""

    path: bytes
    live: bytes
    status: Status
    action: Action
    size: int = 0
    live_time: datetime | None = None
    backup_time: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it is not done. `name` is what an admin gives to set it aside; "" where nobody can."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen, by name. `counts` is by status; `items` are the first NAMED, gravest first; all are in `spool`."""

    counts: Mapping[str, int] = field(default_factory=dict)
    items: tuple[PreviewItem, ...] = ()
    files: int = 0
    bytes: int = 0
    puts: int = 0
    """Files that are not there yet."""
    replaces: int = 0
    """Files that take the place of a live one: the number to type."""
    removes: int = 0
    folders: int = 0
    """Folders that are there and get owner, mode and time of the backup."""
    bytes_replaced: int = 0
    need: int = 0
    """Free bytes needed."""
    free: int = 0
    inodes_need: int = 0
    inodes_free: int | None = None
    """None: the filesystem has no limit or does not say."""
    seconds: float = 0.0
    """Estimated, from learned rates."""
    hazards: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    notes: tuple[str, ...] = ()
    """What the tool can't keep here, and the like."""
    staged_at: builtins.bytes = b""
    root: builtins.bytes = b""
    """The folder all of it lies under."""


@dataclass(frozen=True, slots=True)
class RestorePlan:
    """A preview that can be run. `hash` covers what is wanted, what was found live and what would be done: what runs is what was confirmed."""

    run: str
    wanted: Wanted
    preview: Preview
    hash: str
    snapshot_time: datetime | None = None
    snapshot_host: str = ""
    host: str = ""
    """The host that is written to."""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RestoreEvent:
    """One line of a running restore. `seq` has no gaps; "finished" comes exactly once, last."""

    seq: int
    t: float
    run: str
    phase: Phase
    kind: Literal["started", "progress", "item", "warning", "error", "finished"]
    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    current: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class PathOutcome:
    """What became of one path: put, replaced, removed, folder, same, left (policy), lost (the tool can't keep it), failed, conflict."""

    path: bytes
    word: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class PhaseRecord:
    """A phase with its start (epoch), seconds and how it ended."""

    phase: Phase
    start: float
    seconds: float
    result: str


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What happened, from what was audited and swapped, not from what the tool said."""

    run: str
    result: Result
    public: str
    """A sentence for the requester: no path beyond what they asked for, no host detail."""
    private: str
    counts: Mapping[str, int] = field(default_factory=dict)
    named: tuple[PathOutcome, ...] = ()
    losses: tuple[str, ...] = ()
    """Differences that the tool itself can't keep, each named."""
    phases: tuple[PhaseRecord, ...] = ()
    audited: bool = False
    plan_hash: str = ""
    hash: str = ""
    outcomes_file: str = ""
    tool: str = ""
    undo_until: datetime | None = None
    bytes: int = 0
    seconds: float = 0.0
    left_behind: str = ""
    """What lies where after a cancel or a failure ("live files untouched; ...")."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A line of the list of restores."""

    run: str
    state: str
    """planned, fetching, stopped (for something a person can mend), fetched, audited, swapping, swapped, done, partial, failed, cancelled, undoing, undone, expired."""
    alive: bool
    interrupted: bool
    backend: str
    snapshot: str
    where: str
    actor: str
    ticket: str
    at: datetime | None
    text: str = ""
    undo_until: datetime | None = None
    can: tuple[str, ...] = ()
    """What can be done with it now: cancel, undo, resume, discard."""


@dataclass(frozen=True, slots=True)
class Drill:
    """A rehearsal: a sample of a snapshot restored to scratch and audited. `result` is "not proven" until one was run."""

    backend: str
    job: str
    result: Literal["proven", "failed", "partial", "not proven"] = "not proven"
    at: datetime | None = None
    due: datetime | None = None
    overdue: bool = False
    full: bool = False
    snapshot: str = ""
    seed: int = 0
    method: str = ""
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    mismatches: int = 0
    text: str = ""
    evidence: str = ""
    hash: str = ""
