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
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from backends.backups.extraction import ExtractCapabilities, Extraction, ToolError, ToolEvent
from backends.backups.model import Snapshot
from backends.backups.process import ERROR_LINES, Running
from backends.backups.restic_program import go_text, is_retry, message, quoted
from backends.backups.restic_reads import ResticReads
from backends.backups.selecting import NOT_THERE, batches, checked_selection, empty_directory, is_there, lost
from backends.backups.tar_hashes import tar_hashes
from backends.backups.tools import Tell
from backends.errors import NotFound, Unreachable
from backends.text import clean

FRAMES = 10
LOST = re.compile(r"connection lost|connection refused|broken pipe|unexpected EOF|file already closed|i/o timeout|subprocess ssh")
"""How the tool says on many lines, one a file, that its server is gone."""


class ResticExtract(ResticReads):
    """What a restore uses."""

    def extract(self, snapshot: Snapshot, selection: Sequence[bytes], into: bytes, tell: Tell, stop: threading.Event) -> Extraction:
        """`restore` with escaped patterns; the subfolder form where one folder holds the whole selection."""
        wanted = checked_selection(selection)
        empty_directory(into)
        self._all_there(snapshot, wanted)
        began, worst, said = time.monotonic(), 0, _Said(tell)
        for base, words in self._calls(snapshot, wanted, into):
            if stop.is_set():
                break
            said.base = base
            with Running(self.command(*words, frames=FRAMES, patient=True)) as running:
                for stream, line in running.parts(None, stop):
                    said.line(stream, line)
                worst = max(worst, abs(running.code))
            said.next_run()
            if (running.code not in (0, 1, 3, 130) and not running.cancelled) or (running.code == 1 and not said.errors):
                raise self.failure(running.code, tuple(running.complaints.lines))
            if running.code == 1 and LOST.search("\n".join(running.complaints.lines)):
                raise Unreachable(f"the connection to {self.location()} was lost", hint="Check the way to it, then start it again.")
        restored = tuple(path for path in wanted if is_there(into, path))
        for path in lost(wanted, restored, worst == 0 and not stop.is_set()):
            said.error(path, NOT_THERE)
        return Extraction(
            worst, said.files, said.bytes, time.monotonic() - began, tuple(said.errors), restored, said.count, stop.is_set(),
            f"restic {self.capabilities.words}",
        )  # fmt: skip

    def _all_there(self, snapshot: Snapshot, wanted: Sequence[bytes]) -> None:
        """NotFound before anything is written: a pattern that matches nothing is exit code 0 for restic."""
        parents = list(dict.fromkeys(path.rsplit(b"/", 1)[0] or b"/" for path in wanted if path != b"/"))
        there: set[bytes] = {b"/"}
        for group in batches(parents):
            for listed in self.directories(snapshot, group).values():
                there.update(entry.path for entry in listed)
        missing = next((path for path in wanted if path not in there), None)
        if missing is not None:
            raise NotFound(f"{clean(go_text(missing))} is not in the snapshot")

    def _calls(self, snapshot: Snapshot, wanted: Sequence[bytes], into: bytes) -> Iterator[tuple[bytes, list[str | bytes]]]:
        """(the folder that the paths in its messages are relative to, the words of a call)."""
        flags: list[str | bytes] = ["restore", "--no-lock", *(["--json"] if self.has("restore-json") else [])]
        flags += ["--sparse"] if self.capabilities.version[:2] >= (0, 15) else []
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

    # -- comparing --------------------------------------------------------------------------------------

    def can_compare(self) -> bool:
        """From 0.17 on."""
        return self.has("restore-dry")

    def differing(self, snapshot: Snapshot, selection: Sequence[bytes], root: bytes, stop: threading.Event) -> Iterator[tuple[bytes, str]]:
        """`restore --dry-run --overwrite always -vv` hashes the local files against the snapshot's and needs no data.

        Names it can't print are compared by hash, each by itself.
        """
        wanted = checked_selection(selection)
        odd: list[bytes] = []
        files: dict[str, bytes] = {}
        linked: dict[str, list[bytes]] = {}
        for entry in self.entries(snapshot, wanted):
            if entry.kind == "file":
                printed = go_text(entry.path)
                if "\ufffd" in printed:
                    odd.append(entry.path)
                else:
                    files[printed] = entry.path
                if entry.inode:
                    linked.setdefault(entry.inode, []).append(entry.path)
        others = {path: group for group in linked.values() for path in group}
        for group in [[]] if b"/" in wanted else batches(wanted):
            includes = [word for path in group for word in ("--include", quoted(path))]
            words = ["restore", "--no-lock", "--json", "-vv", "--dry-run", "--overwrite", "always", snapshot.id, "--target", root, *includes]
            for _, line in self.lines(*words, stop=stop, deadline=24 * 3600.0):
                item = _object(line)
                path = files.get(str(item.get("item", "")))
                if path is None or item.get("action") not in ("restored", "updated"):
                    continue
                if item["action"] == "restored" and (_empty(root + path, item) or _is_link_of(root, path, others.get(path, ()))):
                    continue
                yield path, "missing" if item["action"] == "restored" and not os.path.lexists(root + path) else "changed"
        for path in odd:
            try:
                digest = file_hash(root + path)
            except OSError:
                yield path, "missing"
                continue
            if digest != self._dumped(snapshot, path, stop):
                yield path, "changed"

    def content_hashes(self, snapshot: Snapshot, selection: Sequence[bytes], stop: threading.Event) -> Iterator[tuple[bytes, bytes]]:
        """Each selected path as one tar stream; a file that tar can't name is dumped by itself."""
        for path in checked_selection(selection):
            if path == b"/" or self.entry(snapshot, path).kind == "dir":
                yield from self._tar_hashes(snapshot, path, stop)
            elif self.entry(snapshot, path).kind == "file":
                yield path, self._dumped(snapshot, path, stop)

    def _tar_hashes(self, snapshot: Snapshot, path: bytes, stop: threading.Event) -> Iterator[tuple[bytes, bytes]]:
        chunks = (part for _, part in self.lines("dump", "--no-lock", snapshot.id, path, separator=None, stop=stop, deadline=24 * 3600.0))
        yield from tar_hashes(chunks)

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
        from datetime import UTC, datetime

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
        self.base = b""
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
        self._done, self._now = (self.files, self.bytes), (0, 0)

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
        if not text or item.get("message_type") == "exit_error" or text.startswith("Fatal: There were "):
            return
        if is_retry(text) or "interrupt received" in text:
            self._tell(ToolEvent("warning", text=message(text)))
            return
        path = str(item.get("item") or "") or (text.removeprefix("ignoring error for ").split(": ")[0] if text.startswith("ignoring ") else "")
        raw = path.encode("utf-8", "surrogateescape")
        self.error(self.base + raw if raw.startswith(b"/") else raw, message(text))

    def error(self, path: builtins.bytes, text: str) -> None:
        """One thing that went wrong."""
        found = ToolError(path, text)
        self.count += 1
        if len(self.errors) < ERROR_LINES:
            self.errors.append(found)
        self._tell(ToolEvent("error", path=found.path, text=found.text))


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


def _is_link_of(root: bytes, path: bytes, group: Sequence[bytes]) -> bool:
    """restic "restores" every further name of a hard link: it is right when it is the same file as the first."""
    try:
        mine = os.lstat(root + path)
        first = os.lstat(root + group[0]) if group else None
    except OSError:
        return False
    return first is not None and group[0] != path and (mine.st_dev, mine.st_ino) == (first.st_dev, first.st_ino)


def file_hash(path: bytes) -> bytes:
    """SHA-256 of a local file; links are not followed. OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


