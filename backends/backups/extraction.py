"""`ExtractsFiles`: what a restore needs of a backup tool - write paths of a snapshot into an empty directory, and say what they should be.

The four methods block and stream: they run in a job's own process or in a thread, never on an event loop. Paths are whole
paths in the snapshot as bytes, from "/" on. The adapters of restic and borg have them; the restore engine only knows this file.
"""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from backends.backups.model import Attributes, Entry

Heard = Callable[[bytes, Attributes], None]
"""Told the extended attributes of a path."""
EventKind = Literal["progress", "item", "warning", "error"]


@dataclass(frozen=True, slots=True)
class ToolEvent:
    """What a running tool tells. `files` and `bytes` are so far, `*_total` 0 while it is not known yet.

    "progress" comes at most ten times a second and may be left out; "item" is one path that is done (`path`); "warning" and
    "error" have `text`, cleaned, and `path` where the tool named one. Counts never run backwards within a run.
    """

    kind: EventKind
    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    path: builtins.bytes = b""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ToolError:
    """One thing that went wrong: the path it is about (b"" where the tool named none) and its words, cleaned."""

    path: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Extraction:
    """How an extraction ended. It proves nothing: only an audit of what is on the disk does.

    `exit_code` is the tool's own (the worst one where it had to be run more than once). `files` and `bytes` are what the tool
    says it wrote, directories included. `errors` has the first 200; `error_count` is how many there were. `restored` are the
    paths of the selection that were asked for and are there afterwards.
    """

    exit_code: int
    files: int
    bytes: int
    seconds: float
    errors: tuple[ToolError, ...] = ()
    restored: tuple[builtins.bytes, ...] = ()
    error_count: int = 0
    cancelled: bool = False
    """`stop` was set and the tool was ended before it was done: what is there is incomplete."""
    tool: str = ""
    """Program and version, for the report."""

    @property
    def clean(self) -> bool:
        """The tool ended by itself without an error: still to be audited."""
        return self.exit_code == 0 and not self.errors and not self.error_count and not self.cancelled


@dataclass(frozen=True, slots=True)
class ExtractCapabilities:
    """What a restore by this tool, on this machine, as this user, can and can't keep; every loss in words for the report."""

    tool: str
    losses: tuple[str, ...] = ()
    """One sentence each, such as "owners are not restored: not running as root"."""
    owners: bool = True
    xattrs: bool = True
    sparse: bool = True
    hard_links: bool = True
    special_files: bool = True
    """Devices and fifos; sockets are kept by no tool."""
    oldest: datetime | None = None
    newest: datetime | None = None
    """Modification times outside these come back wrong; None where there is no such limit."""
    stops_at_damage: bool = False
    """True where one damaged or impossible entry ends the tool's run: the adapter runs it again without that entry."""
    notes: tuple[str, ...] = field(default_factory=tuple)
    """What is good to know and is no loss ("holes are found again, in whole blocks only")."""


class Known(Protocol):
    """What is needed of an entry to compare it: an `Entry`, or whatever the caller keeps of one."""

    @property
    def path(self) -> builtins.bytes:
        """Whole, exact."""

    @property
    def kind(self) -> str:
        """As in `Entry`."""

    @property
    def inode(self) -> str:
        """The same for all names of one file; "" where it has only one, or nobody knows."""


@runtime_checkable
class ExtractsFiles(Protocol):
    """Files out of a snapshot, exact in bytes. All four block; snapshots are given by their full id."""

    def extract(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        """Write the selected paths, whole subtrees, to `into` + path (the full path below `into`).

        `into` is an empty directory made by the caller; nothing else is ever touched. `tell` is called in this thread. Set
        `stop` to cancel: the tool is asked, then ended, within 10 s. What is Invalid (an empty selection, "..", an `into` that is
        not empty) is refused before a process starts. A path of the selection that is not in the snapshot is NotFound when the
        tool has ended: it is not asked before, for that costs as much as a small restore; what then lies in `into` is to be
        thrown away. Parents of selected paths are made with no metadata promised. Single entries that fail are in
        `Extraction.errors`; what stops the whole is raised: Invalid, NotFound, Unreachable, AuthFailed, Busy, Damaged, NoSpace,
        MissingTool, Unsupported.
        """

    def entries(self, snapshot: str, selection: Sequence[bytes]) -> Iterator[Entry]:
        """Every entry of those subtrees as the snapshot has it, the selected paths themselves first; streaming, little memory.

        A directory always comes before what is in it. NotFound for a path of the selection that is not there.
        """

    def content_hash(self, snapshot: str, path: bytes) -> bytes:
        """The SHA-256 (32 bytes) of a file's content as the snapshot gives it, read as a stream. NotFound, Invalid for no file."""

    def extract_capabilities(self) -> ExtractCapabilities:
        """What can't be kept here. Cheap: asks nothing of the repository."""


@runtime_checkable
class HashesFiles(Protocol):
    """Content of many files at once: one run of the tool, not one a file."""

    def content_hashes(
        self, snapshot: str, selection: Sequence[bytes], stop: threading.Event, known: Iterable[Known] | None = None,
        heard: Heard | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
        """(path, SHA-256) of every regular file of those subtrees, as the snapshot has it, in no promised order.

        `known`: every entry of those subtrees, where the caller has them already; it saves a call of the tool. Where the stream
        tells extended attributes too, `heard` is called for each entry it has.

        The data is read (and fetched). A file that can't be read is left out: who audits compares with `entries`. Blocks.
        """


@runtime_checkable
class TellsAttributes(Protocol):
    """Extended attributes that `entries` does not have, a folder at a time: each costs a run of the tool."""

    def can_tell_attributes(self) -> bool:
        """Whether this version of the tool can do it in one run a folder."""

    def attributes(self, snapshot: str, folders: Sequence[bytes]) -> Iterator[tuple[bytes, dict[bytes, Attributes]]]:
        """(folder, {path: its attributes} of what lies in it), one after the other; who reads stops when it has cost enough. Blocks."""


@runtime_checkable
class ComparesFiles(Protocol):
    """Compare files on the disk with a snapshot without fetching their content again."""

    def can_compare(self) -> bool:
        """Whether this version of the tool can do it."""

    def differing(
        self, snapshot: str, selection: Sequence[bytes], root: bytes, stop: threading.Event, known: Iterable[Known] | None = None
    ) -> Iterator[tuple[bytes, str]]:
        """(path, "changed" | "missing") of each regular file of those subtrees whose content at `root` + path is not the snapshot's.

        `known`: every entry of those subtrees, where the caller has them already; it saves a call of the tool. Nothing yielded = all content is equal; owner, mode, time are not looked at. Nothing is written. Blocks.
        """


@runtime_checkable
class GoesOn(Protocol):
    """Go on with an extraction that was cut off, in the directory it left."""

    def can_go_on(self) -> bool:
        """Whether this version of the tool goes on: what is missing or half-written there is fetched, what a look tells to be whole is kept.

        A file of full size and right time with wrong content may be kept: the audit takes it away, and who goes on once more gets it.
        """

    def go_on(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        """As `ExtractsFiles.extract` of the same selection, but `into` has what the first one left; only what differs is fetched."""
