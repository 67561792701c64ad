"""`BorgExtract`: files out of a borg archive into an empty directory. Never imports an adapter."""

from __future__ import annotations

import builtins
import os
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from backends.backups import borg_json
from backends.backups.borg_program import complaint, is_note, log_line
from backends.backups.borg_reads import READ, BorgReads, archive_word, pattern
from backends.backups.extraction import ExtractCapabilities, Extraction, Heard, Known, ToolError, ToolEvent
from backends.backups.missing import missing
from backends.backups.model import Snapshot
from backends.backups.process import ERROR_LINES, Running
from backends.backups.selecting import NOT_THERE, batches, checked_selection, empty_directory, enterable, is_there, lost
from backends.backups.tar_hashes import tar_hashes
from backends.backups.tools import Tell
from backends.backups.written import Written
from backends.errors import AuthFailed, Busy, MissingTool, NotFound, ToolDied, Unreachable, Unsupported
from backends.text import clean

DAMAGED_AT_MOST = 100
"""Entries that are stepped over before it is given up."""
ASKED_AT_MOST = 20_000
"""Paths that are asked for one by one: each few thousand cost a look through the whole archive."""
STOPPING = (2, 90, 91, 92)
HOPELESS = (AuthFailed, Busy, MissingTool, NotFound, ToolDied, Unreachable, Unsupported)
"""No single entry is to blame for these."""
_UNMATCHED = re.compile(r"Include pattern '(.*)' never matched\.", re.DOTALL)


class BorgExtract(BorgReads):
    """What a restore uses."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._proven: set[str] = set()
        """Archives of which it was seen, since they were extracted, that their name is still theirs."""

    def by_id(self, id: str, name: str) -> Snapshot | None:
        """borg finds an archive by its name alone; that it is still this one's is proven with its contents."""
        return self._details.get(id) or (Snapshot("", id, id[:8], datetime.fromtimestamp(0, UTC), "", name=name) if name else None)

    def _prove_name(self, snapshot: Snapshot) -> None:
        """NotFound when the archive of that name is another one by now."""
        if snapshot.id not in self._proven:
            listed = borg_json.archives(self.run("list", READ, "--json", "::", warnings=True).out)
            if not any((one.id, one.name) == (snapshot.id, snapshot.name) for one in listed):
                raise NotFound(f"the archive {snapshot.id[:8]} is not in {self.location()} any more", hint="Choose the snapshot again.")
            self._proven.add(snapshot.id)

    def can_go_on(self) -> bool:
        """borg 1.x always begins anew: it is asked for what is missing by size and time, which it sets when a file is written."""
        return True

    def extract(
        self, snapshot: Snapshot, selection: Sequence[bytes], into: bytes, tell: Tell, stop: threading.Event, again: bool = False
    ) -> Extraction:
        """`extract` writes to the current directory. One damaged entry ends its whole run: it is run again without that entry."""
        wanted = asked = checked_selection(selection)
        if again:
            enterable(into)
            left = missing(self.entries(snapshot, wanted), into)
            asked = left if len(left) <= ASKED_AT_MOST else wanted
        else:
            empty_directory(into)
        self._proven.discard(snapshot.id)
        began, said = time.monotonic(), _Said(tell)
        worst = 0
        for group in batches(asked):
            code = self._until_done(snapshot, group, into, said, stop)
            worst = max(worst, abs(code))
            if stop.is_set():
                break
        restored = tuple(path for path in wanted if path == b"/" or is_there(into, path))
        unknown = said.unmatched & set(wanted)
        if unknown and not stop.is_set():
            raise NotFound(f"{clean(min(unknown).decode('utf-8', 'replace'))} is not in the archive")
        for path in lost(wanted, restored, worst == 0 and not stop.is_set()):
            said.error(path, NOT_THERE)
        return Extraction(
            worst, said.files, said.bytes, time.monotonic() - began, tuple(said.errors), restored, said.count, stop.is_set(),
            f"borg {self.capabilities.words}",
        )  # fmt: skip

    def _until_done(self, snapshot: Snapshot, group: Sequence[bytes], into: bytes, said: _Said, stop: threading.Event) -> int:
        """Quiet as long as all goes well: naming each file costs borg 40 % more. Only after a failure it is asked to name them."""
        without: list[bytes] = []
        worst, named = 0, False
        while True:
            code, errors, last = self._once(snapshot, group, into, said, stop, without, named)
            worst = max(worst, abs(code))
            if stop.is_set() or code == 0 or self.is_warning(code, errors):
                return worst if without else abs(code)  # what went wrong once and never again is proven by the audit
            failure = self.failure(code, errors)
            known = bytes(last)
            if abs(code) not in STOPPING or isinstance(failure, HOPELESS):
                raise failure
            if named:
                if not known or len(without) >= DAMAGED_AT_MOST or known in without:
                    raise failure
                without.append(known)
                said.error(known, failure.text)
            named = True

    def _once(
        self, snapshot: Snapshot, group: Sequence[bytes], into: bytes, said: _Said, stop: threading.Event, without: Sequence[bytes], named: bool
    ) -> tuple[int, tuple[str, ...], bytes]:
        """(exit code, standard error, the last path it named)."""
        said.begin()
        with Running(self.command(*_words(snapshot, group, without, named), cwd=into, patient=True)) as running:
            written = Written(running.pid, said.wrote)
            for stream, line in running.parts(None, stop, beat=written.look):
                if stream == "err":
                    said.line(line)
            return running.code, tuple(running.complaints.lines), said.last

    def extract_words(self, snapshot: Snapshot, selection: Sequence[bytes], into: bytes) -> list[str | bytes]:
        """All of an extraction's call but the program: what the bench compares us with. It writes to the current directory."""
        return list(self.command(*_words(snapshot, checked_selection(selection), (), False), cwd=into).argv[1:])

    def content_hashes(
        self, snapshot: Snapshot, selection: Sequence[bytes], stop: threading.Event, known: Iterable[Known] | None = None,
        heard: Heard | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
        """`export-tar` of the selection: one pass over the data. Links whose first name is not selected are read by themselves.

        The stream has no extended attributes: `entries` tells them all.
        """
        wanted = checked_selection(selection)
        self._prove_name(snapshot)
        linked = {entry.path for entry in (self.entries(snapshot, wanted) if known is None else known) if entry.kind == "file" and entry.inode}
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


def _words(snapshot: Snapshot, group: Sequence[bytes], without: Sequence[bytes], named: bool) -> list[str | bytes]:
    excludes = [word for path in without for word in ("--exclude", _as_printed(path))]
    patterns = [] if list(group) == [b"/"] else [pattern(path) for path in group]
    return ["extract", READ, *(["--list"] if named else []), "--sparse", *excludes, archive_word(snapshot), *patterns]


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
        self.bytes = 0
        self._now = 0
        self.last = b""
        self.unmatched: set[builtins.bytes] = set()
        """Paths of the selection that the archive does not have."""

    def begin(self) -> None:
        """A new run: its counts begin at 0 again."""
        self._now, self.last = 0, b""

    def error(self, path: builtins.bytes, text: str) -> None:
        """One thing that went wrong."""
        self.count += 1
        found = ToolError(path, text)
        if len(self.errors) < ERROR_LINES:
            self.errors.append(found)
        self._tell(ToolEvent("error", path=path, text=text))

    def wrote(self, count: int) -> None:
        """So many bytes in this run; a run that is repeated is not counted twice."""
        self.bytes = max(self.bytes, count)
        self._tell(ToolEvent("progress", self.files, 0, self.bytes, 0, self.last))

    def line(self, line: builtins.bytes) -> None:
        """One line of standard error."""
        item = log_line(line)
        if item.get("name") == "borg.output.list":
            self._now += 1
            self.files = max(self.files, self._now)
            self.last = b"/" + str(item.get("message", "")).encode("utf-8", "surrogateescape").lstrip(b"/")
            self._tell(ToolEvent("item", self.files, 0, self.bytes, 0, self.last))
        elif item.get("levelname") == "WARNING":
            text = complaint(item)
            if is_note(item):
                self._tell(ToolEvent("warning", text=text))
                return
            if found := _UNMATCHED.fullmatch(str(item.get("message", ""))):
                self.unmatched.add(b"/" + found[1].encode("utf-8", "surrogateescape").lstrip(b"/"))
                return
            path, colon, _ = text.partition(": ")
            self.error(b"/" + path.encode("utf-8", "surrogateescape").lstrip(b"/") if colon else b"", text)
