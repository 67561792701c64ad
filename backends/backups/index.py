"""`Index`: the files of one snapshot on disk, a compressed row a directory, for tools that can't look into one directory alone.

Built in one pass in little memory. File names are sensitive: the folder is private, on a memory file system where there is one, and
goes at the end of the session.
"""

from __future__ import annotations

import contextlib
import fnmatch
import marshal
import os
import shutil
import sqlite3
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from backends.backups.borg_json import Item, as_moment
from backends.backups.model import Entry
from backends.errors import NoSpace
from backends.text import clean

MOST_BYTES = 512 * 1024 * 1024


class Index:
    """One snapshot."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as database, database:
            yield database

    def build(self, items: Iterable[Item]) -> int:
        """Write it; the number of entries. An error of the source leaves nothing."""
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        count = 0
        try:
            with self._open() as database:
                database.execute("PRAGMA journal_mode=OFF")
                database.execute("PRAGMA synchronous=OFF")
                database.execute("CREATE TABLE folder (path BLOB, rows BLOB)")
                count = _fill(database, items)
                database.execute("CREATE INDEX by_path ON folder (path)")
        except sqlite3.Error as error:
            self.path.unlink(missing_ok=True)
            raise NoSpace(f"{self.path.parent}: {error}", hint="Free some space for the list of files.") from None
        except BaseException:
            self.path.unlink(missing_ok=True)
            raise
        return count

    def folder(self, path: bytes) -> list[Item] | None:
        """Direct children, None when there is no such directory."""
        with self._open() as database:
            rows = database.execute("SELECT rows FROM folder WHERE path = ?", (path,)).fetchall()
        if not rows:
            return None
        found: dict[bytes, Item] = {}
        for (blob,) in rows:
            for item in _unpacked(path, blob):
                found[item.entry.path] = item
        return list(found.values())

    def entry(self, path: bytes) -> Item | None:
        """One entry, None when it is not there."""
        for item in self.folder(path.rsplit(b"/", 1)[0] or b"/") or ():
            if item.entry.path == path:
                return item
        return None

    def paths(self) -> list[bytes]:
        """All directories."""
        with self._open() as database:
            return [path for (path,) in database.execute("SELECT DISTINCT path FROM folder")]

    def folders(self) -> Iterator[tuple[bytes, list[Item]]]:
        """All directories in the order of their paths, each once."""
        with self._open() as database:
            paths = database.execute("SELECT DISTINCT path FROM folder ORDER BY path")
            for (path,) in paths:
                yield path, self.folder(path) or []

    def find(self, pattern: str) -> Iterator[Entry]:
        """Names that match a shell pattern."""
        for _, items in self.folders():
            for item in items:
                if fnmatch.fnmatchcase(item.entry.path.rsplit(b"/", 1)[-1].decode("utf-8", "surrogateescape"), pattern):
                    yield item.entry


def _fill(database: sqlite3.Connection, items: Iterable[Item]) -> int:
    """A directory is written as soon as the archive's walk has left it. Those that are no items themselves are made up."""
    opened: OrderedDict[bytes, list[Any]] = OrderedDict()
    seen: set[bytes] = set()
    written: set[bytes] = set()
    count = 0

    def write(path: bytes, rows: list[Any]) -> None:
        written.add(path)
        database.execute("INSERT INTO folder VALUES (?, ?)", (path, zlib.compress(marshal.dumps(rows), 1)))

    for item in items:
        count += 1
        path = item.entry.path
        parent = path.rsplit(b"/", 1)[0] or b"/"
        while opened:
            last = next(reversed(opened))
            if last == parent or parent.startswith(last.rstrip(b"/") + b"/"):
                break
            write(*opened.popitem())
        opened.setdefault(parent, []).append(_packed(item))
        if item.entry.kind == "dir":
            seen.add(path)
            opened.setdefault(path, [])
    while opened:
        write(*opened.popitem())
    _imply(seen, written, write)
    return count


def _imply(seen: set[bytes], written: set[bytes], write: Callable[[bytes, list[Any]], None]) -> None:
    """Parents of the sources are no items of the archive: they are shown all the same."""
    implied: set[bytes] = set()
    for path in written:
        while path not in (b"/", b"") and path not in seen and path not in implied:
            implied.add(path)
            path = path.rsplit(b"/", 1)[0] or b"/"
    for path in sorted(implied):
        name = path.rsplit(b"/", 1)[-1]
        write(path.rsplit(b"/", 1)[0] or b"/", [_packed(Item(Entry(path, clean(name.decode("utf-8", "replace")), "dir"), b""))])
    if b"/" not in written:
        write(b"/", [])


def _packed(item: Item) -> tuple[Any, ...]:
    """The fields of the entry in order, its last name for its path, no `modified`: that is made of `mtime_ns`."""
    one = item.entry
    return (
        one.path.rsplit(b"/", 1)[-1], one.name, one.kind, one.size, one.mode, one.user, one.group, None, one.target, one.uid, one.gid,
        one.mtime_ns, one.link, one.special, one.inode, item.content,
    )  # fmt: skip


def _unpacked(parent: bytes, blob: bytes) -> Iterator[Item]:
    for row in marshal.loads(zlib.decompress(blob)):
        values = list(row[:-1])
        values[0] = parent.rstrip(b"/") + b"/" + values[0]
        values[7] = as_moment(values[11]) if values[11] is not None else None
        yield Item(Entry(*values), row[-1])


class Indexes:
    """The indexes of a session, by snapshot id: built when first asked for, the least used one dropped above 512 MB."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._known: OrderedDict[str, Index] = OrderedDict()
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, ident: str, source: Callable[[], Iterable[Item]]) -> Index:
        """The index, built from `source` if need be; two that ask at once build it once."""
        with self._guard:
            lock = self._locks.setdefault(ident, threading.Lock())
        with lock:
            if ident in self._known:
                self._known.move_to_end(ident)
                return self._known[ident]
            if self._folder is None:
                base = os.environ.get("XDG_RUNTIME_DIR") or None
                self._folder = Path(tempfile.mkdtemp(prefix="deskside-index-", dir=base if base and os.access(base, os.W_OK) else None))
            index = Index(self._folder / ident)
            index.build(source())
            self._known[ident] = index
            self._shrink()
            return index

    def _shrink(self) -> None:
        while len(self._known) > 1 and sum(one.path.stat().st_size for one in self._known.values()) > MOST_BYTES:
            _, oldest = self._known.popitem(last=False)
            oldest.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Take them away."""
        self._known.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
