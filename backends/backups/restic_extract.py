"""`ResticExtract`: files out of a restic snapshot into an empty directory, and comparisons with what is on the disk. Never imports an adapter."""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from backends.backups.attributes import of_restic
from backends.backups.extraction import ExtractCapabilities, Extraction, Heard, Known, ToolError, ToolEvent
from backends.backups.model import Attributes, Snapshot
from backends.backups.process import ERROR_LINES, Running
from backends.backups.restic_program import go_text, is_retry, message, quoted
from backends.backups.restic_reads import ResticReads
from backends.backups.selecting import batches, checked_selection, empty_directory, enterable, is_there, kinds_of
from backends.backups.tar_hashes import tar_hashes
from backends.backups.tools import Tell
from backends.backups.written import Written
from backends.errors import AuthFailed, BackendError, Busy, NotFound, Unreachable
from backends.text import clean

FRAMES = 10
LOST = re.compile(r"connection lost|connection refused|broken pipe|unexpected EOF|file already closed|i/o timeout|subprocess ssh")
"""How the tool says on many lines, one a file, that its server is gone."""
GONE = re.compile(LOST.pattern + r"|circuit breaker open|ssh command exited")
"""After such a line all others are about what could not come: one of them is enough to be told."""


class ResticExtract(ResticReads):
    """What a restore uses."""

    def by_id(self, id: str, name: str) -> Snapshot | None:
        """A full id is all that restic needs: it is the hash of the snapshot's own record."""
        return Snapshot("", id, id[:8], datetime.fromtimestamp(0, UTC), "") if re.fullmatch(r"[0-9a-f]{64}", id) else None

    def can_go_on(self) -> bool:
        """From 0.17 on: `--overwrite always` reads what is there against the snapshot's hashes. No other policy repairs."""
        return self.has("restore-dry")

    def extract(
        self, snapshot: Snapshot, selection: Sequence[bytes], into: bytes, tell: Tell, stop: threading.Event, again: bool = False
    ) -> Extraction:
        """`restore` with escaped patterns; the subfolder form where one folder holds the whole selection."""
        wanted = checked_selection(selection)
        if again:
            enterable(into)
        else:
            empty_directory(into)
        began, worst, said = time.monotonic(), 0, _Said(tell)
        for base, words in self._calls(snapshot, wanted, into, again):
            if stop.is_set():
                break
            said.base = base
            with Running(self.command(*words, frames=FRAMES, patient=True)) as running:
                beat = None if self.has("restore-json") else Written(running.pid, said.wrote).look
                for stream, line in running.parts(None, stop, beat=beat):
                    said.line(stream, line)
                worst = max(worst, abs(running.code))
            said.next_run()
            if not running.cancelled and (failure := self._stopped_whole(running, said)) is not None:
                raise failure
            if running.code == 1 and not self.local and LOST.search("\n".join(running.complaints.lines)):
                raise Unreachable(f"the connection to {self.location()} was lost", hint="Check the way to it, then start it again.")
        restored = tuple(path for path in wanted if is_there(into, path))
        if len(restored) < len(wanted) and not said.count and not stop.is_set():  # a pattern that matches nothing is exit code 0 for restic
            missing = next(path for path in wanted if path not in restored)
            raise NotFound(f"{clean(go_text(missing))} is not in the snapshot")
        return Extraction(
            worst, said.files, said.bytes, time.monotonic() - began, tuple(said.errors), restored, said.count, stop.is_set(),
            f"restic {self.capabilities.words}",
        )  # fmt: skip

    def _stopped_whole(self, running: Running, said: _Said) -> BackendError | None:
        """What ended a run before it had done what it could; None when there are at most single entries that failed."""
        if running.code == 0:
            return None
        if running.code not in (1, 3) or not said.items:
            return self.failure(running.code, tuple(running.complaints.lines))
        failure = self.failure(running.code, (said.fatal,)) if said.fatal else None
        return failure if isinstance(failure, AuthFailed | Busy | NotFound | Unreachable) else None

    def _calls(self, snapshot: Snapshot, wanted: Sequence[bytes], into: bytes, again: bool = False) -> Iterator[tuple[bytes, list[str | bytes]]]:
        """(the folder that the paths in its messages are relative to, the words of a call)."""
        flags: list[str | bytes] = ["restore", "--no-lock", *(["--json"] if self.has("restore-json") else [])]
        flags += ["--sparse"] if self.capabilities.version[:2] >= (0, 15) else []
        flags += ["--overwrite", "always"] if again else []
        if b"/" in wanted:
            yield b"", [*flags, snapshot.id, "--target", into]
            return
        parents = {path.rsplit(b"/", 1)[0] for path in wanted}
        one = next(iter(parents)) if len(parents) == 1 else b""
        if one and self.has("subfolder"):
            os.makedirs(into + one, exist_ok=True)
            source, target, base = snapshot.id.encode() + b":" + one, into + one, one
        else:
            source, target, base = snapshot.id.encode(), into, b""
        for group in batches(wanted):
            includes = [word for path in group for word in ("--include", quoted(path[len(base) :]))]
            yield base, [*flags, source, "--target", target, *includes]

    def extract_words(self, snapshot: Snapshot, selection: Sequence[bytes], into: bytes) -> list[str | bytes]:
        """All of an extraction's first call but the program: what the bench compares us with."""
        _, words = next(self._calls(snapshot, checked_selection(selection), into))
        return list(self.command(*words).argv[1:])

    # -- comparing --------------------------------------------------------------------------------------

    def can_compare(self) -> bool:
        """From 0.17 on."""
        return self.has("restore-dry")

    def differing(
        self, snapshot: Snapshot, selection: Sequence[bytes], root: bytes, stop: threading.Event, known: Iterable[Known] | None = None
    ) -> Iterator[tuple[bytes, str]]:
        """`restore --dry-run --overwrite always -vv` hashes the local files against the snapshot's and needs no data.

        Names it can't print are compared by hash, each by itself.
        """
        said = dict(self._dry_run(snapshot, checked_selection(selection), root, stop))
        first: dict[str, bytes] = {}
        for entry in self.entries(snapshot, selection) if known is None else known:
            if entry.kind != "file" or stop.is_set():
                continue
            name = first.setdefault(entry.inode, entry.path) if entry.inode else entry.path
            printed = go_text(entry.path)
            if "\ufffd" in printed:
                if word := self._by_hash(snapshot, entry.path, root, stop):
                    yield entry.path, word
            elif (action := said.get(printed)) and not (action == "restored" and _is_link_of(root, entry.path, name)):
                yield entry.path, "missing" if action == "restored" and not os.path.lexists(root + entry.path) else "changed"

    def _dry_run(self, snapshot: Snapshot, wanted: Sequence[bytes], root: bytes, stop: threading.Event) -> Iterator[tuple[str, str]]:
        """(printed path, "restored" | "updated") of what it would write; folders and links are always among them, empty files are not."""
        for group in [[]] if b"/" in wanted else batches(wanted):
            includes = [word for path in group for word in ("--include", quoted(path))]
            words = ["restore", "--no-lock", "--json", "-vv", "--dry-run", "--overwrite", "always", snapshot.id, "--target", root, *includes]
            for _, line in self.lines(*words, stop=stop, deadline=24 * 3600.0):
                if b'"action":"unchanged"' in line:  # nearly all of them: not worth taking apart
                    continue
                item = _object(line)
                action, printed = item.get("action"), str(item.get("item", ""))
                if action == "updated" or (action == "restored" and not _empty(root + printed.encode("utf-8", "surrogateescape"), item)):
                    yield printed, action

    def _by_hash(self, snapshot: Snapshot, path: bytes, root: bytes, stop: threading.Event) -> str:
        try:
            digest = file_hash(root + path)
        except OSError:
            return "missing"
        return "" if digest == self._dumped(snapshot, path, stop) else "changed"

    def content_hashes(
        self, snapshot: Snapshot, selection: Sequence[bytes], stop: threading.Event, known: Iterable[Known] | None = None,
        heard: Heard | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
        """Each selected path as one tar stream; a file that tar can't name is dumped by itself."""
        wanted = checked_selection(selection)
        kinds = kinds_of(wanted, known or ())
        for path in wanted:
            kind = "dir" if path == b"/" else kinds.get(path) or self.entry(snapshot, path).kind
            if kind == "dir":
                yield from self._tar_hashes(snapshot, path, stop, heard)
            elif kind == "file":
                yield path, self._dumped(snapshot, path, stop)

    def can_tell_attributes(self) -> bool:
        """From 0.17 on; before, the way down to a folder costs a run a level."""
        return self.has("tree-path")

    def attributes(self, snapshot: Snapshot, folders: Sequence[bytes]) -> Iterator[tuple[bytes, dict[bytes, Attributes]]]:
        """From the trees themselves: `ls` and `find` leave them out."""
        for folder in folders:
            told = ((folder.rstrip(b"/") + b"/" + name, of_restic(node)) for name, node in self._nodes(snapshot, folder or b"/"))
            yield folder, {path: found for path, found in told if found is not None}

    def _tar_hashes(self, snapshot: Snapshot, path: bytes, stop: threading.Event, heard: Heard | None) -> Iterator[tuple[bytes, bytes]]:
        chunks = (part for _, part in self.lines("dump", "--no-lock", snapshot.id, path, separator=None, stop=stop, deadline=24 * 3600.0))
        yield from tar_hashes(chunks, heard)

    def extract_capabilities(self) -> ExtractCapabilities:
        """By version and user."""
        root = os.geteuid() == 0
        sparse = self.capabilities.version[:2] >= (0, 15)
        losses = [
            *([] if root else ["owners and groups are not restored: this is not root"]),
            *([] if root else ["devices and trusted attributes are not restored: this is not root"]),
            *([] if sparse else [f"sparse files take their whole size: restic {self.capabilities.words} writes holes out"]),
            *([] if self.has("subfolder") else ["targets of symbolic links that are no UTF-8 are wrong in the backup itself"]),
            "sockets are not kept",
            "hard links between fifos, devices or symbolic links become separate",
            "names of extended attributes that are no UTF-8 are lost",
            "times after 2262 come back as 1901",
        ]
        return ExtractCapabilities(
            f"restic {self.capabilities.words}", tuple(losses), root, True, sparse, True, root, None, datetime(2262, 4, 11, tzinfo=UTC), False,
            ("an error in one file leaves it at its full size with wrong content: only an audit finds it", *(["long runs of zeros become holes"] if sparse else [])),
        )  # fmt: skip


class _Said:
    """What restore tells, put together over several runs of it."""

    def __init__(self, tell: Callable[[ToolEvent], None]) -> None:
        self._tell = tell
        self.errors: list[ToolError] = []
        self.count = 0
        self.items = 0
        """Errors that are about one entry."""
        self.fatal = ""
        """Its last word, where that is not a count of errors."""
        self.base = b""
        self._gone = False
        self._done = (0, 0)
        self._now = (0, 0)

    @property
    def files(self) -> int:
        """So far."""
        return self._done[0] + self._now[0]

    @property
    def bytes(self) -> int:
        """So far."""
        return self._done[1] + self._now[1]

    def next_run(self) -> None:
        """The counts begin again at 0."""
        self._done, self._now, self._gone = (self.files, self.bytes), (0, 0), False

    def wrote(self, count: int) -> None:
        """So many bytes in this run, from the kernel: an old restic does not say."""
        self._now = (0, max(self._now[1], count))
        self._tell(ToolEvent("progress", self.files, 0, self.bytes, 0))

    def line(self, stream: str, line: builtins.bytes) -> None:
        """One line of either stream."""
        if stream == "err":
            self._complaint(line)
            return
        item = _object(line)
        if item.get("message_type") in ("status", "summary"):
            found = (int(item.get("files_restored") or 0), int(item.get("bytes_restored") or 0))
            self._now = (max(self._now[0], found[0]), max(self._now[1], found[1]))
            total = int(item.get("total_files") or 0), int(item.get("total_bytes") or 0)
            self._tell(ToolEvent("progress", self.files, self._done[0] + total[0], self.bytes, self._done[1] + total[1]))

    def _complaint(self, raw: builtins.bytes) -> None:
        text = clean(raw.decode("utf-8", "replace"), limit=4000).strip()
        item = _object(raw)
        if "There were " in text and " error" in text:
            self.items += not self.items
            return
        if item.get("message_type") == "exit_error" or text.startswith("Fatal: "):
            self.fatal = text
        if not text or item.get("message_type") == "exit_error":
            return
        if is_retry(text) or "interrupt received" in text:
            self._tell(ToolEvent("warning", text=message(text)))
            return
        self.items += item.get("message_type") == "error" or text.startswith("ignoring ")
        path = str(item.get("item") or "") or (text.removeprefix("ignoring error for ").split(": ")[0] if text.startswith("ignoring ") else "")
        raw = path.encode("utf-8", "surrogateescape")
        self.error(self.base + raw if raw.startswith(b"/") else raw, message(text))

    def error(self, path: builtins.bytes, text: str) -> None:
        """One thing that went wrong."""
        found = ToolError(path, text)
        self.count += 1
        if len(self.errors) < ERROR_LINES:
            self.errors.append(found)
        if not self._gone:
            self._tell(ToolEvent("error", path=found.path, text=found.text))
        self._gone = self._gone or GONE.search(text) is not None


def _object(line: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict):
            return found
    return {}


def _empty(path: bytes, item: dict[str, Any]) -> bool:
    """Empty files are always "restored"."""
    try:
        return not item.get("size") and os.lstat(path).st_size == 0
    except OSError:
        return False


def _is_link_of(root: bytes, path: bytes, first: bytes) -> bool:
    """restic "restores" every further name of a hard link: it is right when it is the same file as the first."""
    if first == path:
        return False
    try:
        mine, other = os.lstat(root + path), os.lstat(root + first)
    except OSError:
        return False
    return (mine.st_dev, mine.st_ino) == (other.st_dev, other.st_ino)


def file_hash(path: bytes) -> bytes:
    """SHA-256 of a local file; links are not followed. OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


