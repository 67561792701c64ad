"""A snapshot's folders against the files that are on this host now: by type, size and time, folder by folder. Nothing is written or opened."""

from __future__ import annotations

import os
import stat
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from backends.backups.model import Entry, EntryKind, LiveCount, LiveDifference, LiveWord

SECOND = 1_000_000_000
_KINDS: dict[int, EntryKind] = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


def same_host(of: str, here: str) -> bool:
    """Whether a snapshot's host is this one; one of the two may be without its domain."""
    one, other = of.casefold(), here.casefold()
    return bool(one) and (one == other or (one.split(".")[0] == other.split(".")[0] and ("." not in one or "." not in other)))


def _moment(nanoseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(nanoseconds / SECOND, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class Comparison:
    """At and below `root`. The differences are told, the counts kept: `counts` by word, `looked` entries of the snapshot that were compared."""

    def __init__(self, root: bytes, tell: Callable[[LiveDifference], None], stop: threading.Event) -> None:
        self._tell, self._stop = tell, stop
        self.counts: Counter[str] = Counter()
        self.looked = 0
        self.same = 0
        self._theirs: dict[bytes, bool] = {root: True}
        """Whether what a path leads to is the snapshot's folder: what lies behind a link that took its place is not."""

    def count(self) -> LiveCount:
        """So far."""
        return LiveCount(dict(self.counts), self.same, self.looked, self._stop.is_set())

    def folder(self, path: bytes, entries: Sequence[Entry]) -> None:
        """Each entry of a folder, then what is there besides. A folder that is gone was told with its parent."""
        self.looked += len(entries)
        if not self._is_theirs(path):
            self._gone(entries)
            return
        try:
            with os.scandir(path) as found:
                live = {item.name: item for item in found}
        except (FileNotFoundError, NotADirectoryError):
            self._gone(entries)
            return
        except OSError:
            self._say(LiveDifference(path, "unread", "dir"))
            return
        for entry in entries:
            if self._stop.is_set():
                return
            self.one(entry, entry.path, live.pop(entry.path[entry.path.rindex(b"/") + 1 :], None), True)
        for name in sorted(live):
            self._new(path.rstrip(b"/") + b"/" + name)

    def _is_theirs(self, path: bytes) -> bool:
        asked: list[bytes] = []
        while path not in self._theirs:
            asked.append(path)
            path = path.rpartition(b"/")[0] or b"/"
        known = self._theirs[path]
        for below in reversed(asked):
            known = known and not os.path.islink(below)
            self._theirs[below] = known
        return known

    def _gone(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._say(LiveDifference(entry.path, "gone", entry.kind, entry.size, None, entry.modified))

    def _new(self, path: bytes) -> None:
        try:
            found = os.lstat(path)
        except OSError:
            return
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "other")
        self._say(LiveDifference(path, "new", kind, None, found.st_size if kind == "file" else 0, None, _moment(found.st_mtime_ns)))

    def one(self, entry: Entry, path: bytes, there: os.DirEntry[bytes] | None = None, listed: bool = False) -> None:
        """One entry against what has its path now."""
        try:
            if listed and there is None:
                raise FileNotFoundError
            found = there.stat(follow_symlinks=False) if there is not None else os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._gone([entry])
            return
        except OSError:
            self._say(LiveDifference(path, "unread", entry.kind, entry.size, None, entry.modified))
            return
        word = _word(entry, path, found)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "other")
        if not word:
            self.same += 1
        else:
            self._say(LiveDifference(path, word, kind, entry.size, found.st_size if kind == "file" else 0, entry.modified, _moment(found.st_mtime_ns)))

    def _say(self, found: LiveDifference) -> None:
        self.counts[found.word] += 1
        self._tell(found)


def _word(entry: Entry, path: bytes, found: os.stat_result) -> LiveWord | None:
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "other")
    if kind != entry.kind:
        return "type"
    if kind == "link":
        try:
            return "target" if entry.link is not None and os.readlink(path) != entry.link else None
        except OSError:
            return "unread"
    if kind != "file" or entry.mtime_ns is None:
        return None
    later = found.st_mtime_ns - entry.mtime_ns
    if abs(later) < 1000:  # borg's `list` knows microseconds
        return "size" if found.st_size != entry.size else None
    if found.st_size == entry.size:
        return "time"
    return "newer" if later > 0 else "older"
