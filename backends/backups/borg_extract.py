"""`BorgExtract`: files out of a borg archive into an empty directory. Never imports an adapter."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from backends.backups.borg_program import complaint, log_line
from backends.backups.borg_reads import READ, BorgReads, archive_word, pattern
from backends.backups.extraction import ExtractCapabilities, Extraction, ToolError, ToolEvent
from backends.backups.model import Snapshot
from backends.backups.process import ERROR_LINES, Running
from backends.backups.selecting import NOT_THERE, batches, checked_selection, empty_directory, is_there, lost
from backends.backups.tar_hashes import tar_hashes
from backends.backups.tools import Tell

DAMAGED_AT_MOST = 100
"""Entries that are stepped over before it is given up."""
STOPPING = (2, 90, 91, 92)


class BorgExtract(BorgReads):
    """What a restore uses."""

    def extract(self, snapshot: Snapshot, selection: Sequence[bytes], into: bytes, tell: Tell, stop: threading.Event) -> Extraction:
        """`extract` writes to the current directory. One damaged entry ends its whole run: it is run again without that entry."""
        wanted = checked_selection(selection)
        empty_directory(into)
        for path in wanted:
            self.entry(snapshot, path)
        began, said = time.monotonic(), _Said(tell)
        worst = 0
        for group in batches(wanted):
            code = self._until_done(snapshot, group, into, said, stop)
            worst = max(worst, abs(code))
            if stop.is_set():
                break
        restored = tuple(path for path in wanted if path == b"/" or is_there(into, path))
        for path in lost(wanted, restored, worst == 0 and not stop.is_set()):
            said.error(path, NOT_THERE)
        return Extraction(
            worst, said.files, said.bytes, time.monotonic() - began, tuple(said.errors), restored, said.count, stop.is_set(),
            f"borg {self.capabilities.words}",
        )  # fmt: skip

    def _until_done(self, snapshot: Snapshot, group: Sequence[bytes], into: bytes, said: _Said, stop: threading.Event) -> int:
        without: list[bytes] = []
        worst = 0
        while True:
            code, errors, last = self._once(snapshot, group, into, said, stop, without)
            worst = max(worst, abs(code))
            if stop.is_set() or code == 0 or self.is_warning(code):
                return worst
            failure = self.failure(code, errors)
            known = bytes(last)
            if abs(code) not in STOPPING or not known or len(without) >= DAMAGED_AT_MOST or known in without:
                raise failure
            without.append(known)
            said.error(known, failure.text)

    def _once(
        self, snapshot: Snapshot, group: Sequence[bytes], into: bytes, said: _Said, stop: threading.Event, without: Sequence[bytes]
    ) -> tuple[int, tuple[str, ...], bytes]:
        """(exit code, standard error, the last path it named)."""
        excludes = [word for path in without for word in ("--exclude", _as_printed(path))]
        patterns = [] if list(group) == [b"/"] else [pattern(path) for path in group]
        words = ["extract", READ, "--list", "--progress", "--sparse", *excludes, archive_word(snapshot), *patterns]
        said.begin()
        with Running(self.command(*words, cwd=into, patient=True)) as running:
            for stream, line in running.parts(None, stop):
                if stream == "err":
                    said.line(line)
            return running.code, tuple(running.complaints.lines), said.last

    def content_hashes(self, snapshot: Snapshot, selection: Sequence[bytes], stop: threading.Event) -> Iterator[tuple[bytes, bytes]]:
        """`export-tar` of the selection: one pass over the data. Links whose first name is not selected are read by themselves."""
        wanted = checked_selection(selection)
        linked = {entry.path for entry in self.entries(snapshot, wanted) if entry.kind == "file" and entry.inode}
        for group in batches(wanted):
            patterns = [] if group == [b"/"] else [pattern(path) for path in group]
            words: list[str | bytes] = ["export-tar", READ, archive_word(snapshot), "-", *patterns]
            for path, digest in tar_hashes(part for _, part in self.lines(*words, separator=None, stop=stop, deadline=24 * 3600.0)):
                linked.discard(path)
                yield path, digest
        for path in sorted(linked):
            yield path, self.content_hash(snapshot, path)

    def extract_capabilities(self) -> ExtractCapabilities:
        """By version and user."""
        root = os.geteuid() == 0
        losses = [
            *([] if root else ["owners and groups are not restored: this is not root"]),
            *([] if root else ["devices and protected attributes are not restored: this is not root"]),
            "sockets are not kept",
            "hard links between symbolic links become separate",
            "times before 1970 and after 2038-01-18 come back as those",
            "holes of sparse files are found again in whole blocks only",
        ]
        notes = ["one damaged or impossible entry ends a run: it is run again without it, and the entry is named"]
        notes += [] if self.has("safe-parents") else ["a symbolic link among the parents would be followed: extract only into a new directory"]
        return ExtractCapabilities(
            f"borg {self.capabilities.words}", tuple(losses), root, True, True, True, root, datetime(1970, 1, 1, tzinfo=UTC),
            datetime(2038, 1, 18, tzinfo=UTC), True, tuple(notes),
        )  # fmt: skip


def _as_printed(path: bytes) -> bytes:
    """A path as borg printed it, as a pattern: its "?" for a byte that is no UTF-8 is the wildcard for one character."""
    if b"?" not in path:
        return b"pf:" + path.lstrip(b"/")
    return b"sh:" + re.sub(rb"([\\*\[])", rb"[\1]", path.lstrip(b"/"))


class _Said:
    """What extract tells on standard error, put together over several runs of it."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.errors: list[ToolError] = []
        self.count = 0
        self.files = 0
        self._now = 0
        self._size = (0, 0)
        self.last: bytes = b""

    @property
    def bytes(self) -> int:
        """So far; a run that is repeated is not counted twice."""
        return self._size[0]

    def begin(self) -> None:
        """A new run: its counts begin at 0 again."""
        self._now, self.last = 0, b""

    def error(self, path: bytes, text: str) -> None:  # type: ignore[valid-type]
        """One thing that went wrong."""
        self.count += 1
        found = ToolError(path, text)
        if len(self.errors) < ERROR_LINES:
            self.errors.append(found)
        self._tell(ToolEvent("error", path=path, text=text))

    def line(self, line: bytes) -> None:  # type: ignore[valid-type]
        """One line of standard error."""
        item = log_line(line)
        if item.get("name") == "borg.output.list":
            self._now += 1
            self.files = max(self.files, self._now)
            self.last = b"/" + str(item.get("message", "")).encode("utf-8", "surrogateescape").lstrip(b"/")
            self._tell(ToolEvent("item", self.files, 0, self._size[0], self._size[1], self.last))
        elif item.get("type") == "progress_percent" and not item.get("finished"):
            current, total = int(item.get("current") or 0), int(item.get("total") or 0)
            self._size = (max(self._size[0], current), max(self._size[1], total))
            self._tell(ToolEvent("progress", self.files, 0, self._size[0], self._size[1], self.last))
        elif item.get("levelname") == "WARNING":
            text = complaint(item)
            path, found, _ = text.partition(": ")
            self.error(b"/" + path.encode("utf-8", "surrogateescape").lstrip(b"/") if found else b"", text)


