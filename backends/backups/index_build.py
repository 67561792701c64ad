"""The process that writes an index: an archive's items into a file, in one pass and little memory, while the tool still tells them.

A process of its own, so that the console answers keys while a million names are read, and gets its memory back afterwards. It prints
how many items it has read about three times a second; what it has read can already be looked at then. Standard library and msgpack only.
"""

from __future__ import annotations

import gc
import json
import marshal
import os
import sqlite3
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.backups.borg_rows import EMPTY, KIND, SIZE, Row, Unreadable, rows

CHUNK = 1 << 18
PENDING = 2000
"""Rows of one directory that are held before they are written."""
FLUSH_SECONDS = 0.3
LOOK_EVERY = 512
NO_SPACE, DAMAGED, NAME_UNKNOWN = 3, 4, 5
"""Exit codes."""
TABLE = "CREATE TABLE folder (path BLOB, rows BLOB, files INTEGER, bytes INTEGER)"
COLUMNS = "CREATE INDEX by_path ON folder (path, files, bytes)"


class Writer:
    """Rows by directory: one is written as soon as the archive's walk has left it. Parents that are no items are made up at the end."""

    def __init__(self, database: sqlite3.Connection, tell: Callable[[int], None]) -> None:
        self._database, self._tell = database, tell
        self._opened: dict[bytes, list[Row]] = {}
        self._roots: set[bytes] = set()
        self.count = 0
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("PRAGMA cache_size=-8000")
        database.execute("DROP TABLE IF EXISTS folder")
        database.execute(TABLE)
        database.execute(COLUMNS)
        database.commit()

    def fill(self, found: Iterable[tuple[bytes, Row]]) -> None:
        """All of them. What is there is committed a few times a second."""
        opened, last = self._opened, b""
        next_look, next_flush = LOOK_EVERY, time.monotonic()
        held: list[Row] = []
        for path, row in found:
            self.count += 1
            if len(path) < 3 and path in (b"/", b"/."):
                continue
            parent = path[: path.rindex(b"/")] or b"/"
            if parent != last or not opened:
                self._leave(parent)
                if parent not in opened:
                    self._roots.add(parent)
                    opened[parent] = []
                held, last = opened[parent], parent
            held.append(row)
            if row[KIND] == "dir":
                opened.setdefault(path, [])
                last = b""
            if len(held) >= PENDING:
                self._write(parent, held)
                held.clear()
            if self.count >= next_look:
                next_look = self.count + LOOK_EVERY
                if time.monotonic() >= next_flush:
                    self.flush()
                    next_flush = time.monotonic() + FLUSH_SECONDS
        while opened:
            self._write(*opened.popitem())
        self._imply()
        self._database.commit()

    def _leave(self, parent: bytes) -> None:
        """Write the directories the walk is no longer in."""
        while self._opened:
            last = next(reversed(self._opened))
            if last == parent or parent.startswith(last.rstrip(b"/") + b"/"):
                return
            self._write(*self._opened.popitem())

    def _write(self, path: bytes, held: list[Row]) -> None:
        files = sum([row[KIND] != "dir" for row in held])
        size = sum([row[SIZE] for row in held])
        self._database.execute("INSERT INTO folder VALUES (?, ?, ?, ?)", (path, zlib.compress(marshal.dumps(held), 1), files, size))

    def flush(self) -> None:
        """What is held too, so that it can be looked at."""
        for path, held in self._opened.items():
            if held:
                self._write(path, held)
                held.clear()
        self._database.commit()
        self._tell(self.count)

    def _names(self, path: bytes) -> set[bytes]:
        found = self._database.execute("SELECT rows FROM folder WHERE path = ?", (path,))
        return {row[0] for (blob,) in found for row in marshal.loads(zlib.decompress(blob))}

    def _imply(self) -> None:
        """Parents of the sources are no items of the archive: they are shown all the same."""
        sure: set[bytes] = set()
        names: tuple[bytes, set[bytes]] = (b"", set())
        for path in sorted(self._roots):
            while path not in (b"/", b"") and path not in sure:
                sure.add(path)
                above, _, name = path.rpartition(b"/")
                parent = above or b"/"
                if parent != names[0]:
                    names = (parent, self._names(parent))
                if name in names[1]:
                    break
                names[1].add(name)
                self._write(parent, [(name, "dir", 0, 0, "", "", None, None, 0, None, "", b"", EMPTY)])
                path = parent
        if not self._database.execute("SELECT 1 FROM folder WHERE path = ?", (b"/",)).fetchone():
            self._write(b"/", [])


# -- what the tool prints -----------------------------------------------------------------------------------

_LETTERS = {"d": 0o040000, "-": 0o100000, "l": 0o120000, "p": 0o010000, "c": 0o020000, "b": 0o060000}


class NameUnknown(Exception):
    """`list` prints "?" for what is no UTF-8."""


def printed(chunks: Iterable[bytes]) -> Iterator[dict[Any, Any]]:
    """The items of `list --json-lines` as raw ones: times to the microsecond, no contents."""
    kept = b""
    for chunk in chunks:
        *lines, kept = (kept + chunk).split(b"\n")
        for line in lines:
            yield _printed(line)
    if kept.strip():
        yield _printed(kept)


def _printed(line: bytes) -> dict[Any, Any]:
    try:
        found = json.loads(line)
        if "?" in found["path"]:
            raise NameUnknown
        at = datetime.fromisoformat(found["mtime"]).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        raw = {name.encode(): value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value for name, value in found.items()}
        raw[b"mtime"] = at // timedelta(microseconds=1) * 1000
        raw[b"mode"] = _LETTERS.get(found.get("type", "-"), 0o100000) | bits(str(found.get("mode", "")))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unreadable("borg printed an item that is no JSON") from None
    return raw


def bits(letters: str) -> int:
    """rwxr-s--T as bits."""
    found = 0
    for place, letter in enumerate(letters[1:10]):
        found |= 1 << (8 - place) if letter not in "-ST" else 0
        found |= {2: 0o4000, 5: 0o2000, 8: 0o1000}.get(place, 0) if letter in "sStT" else 0
    return found


def _chunks(descriptor: int) -> Iterator[bytes]:
    while chunk := os.read(descriptor, CHUNK):
        yield chunk


def _source(form: str, folder: str) -> Iterator[Mapping[Any, Any]]:
    if form == "printed":
        return printed(_chunks(0))
    from backends.backups.item_files import ItemFiles
    from backends.backups.msgpack_items import raw_items

    return raw_items(ItemFiles(folder, 0).parts())


def _said(count: int) -> None:
    os.write(1, b"%d\n" % count)


def main(words: list[str]) -> int:
    """`FILE printed|raw [FOLDER]`: the file is there already, empty and private; the tool's output comes on standard input."""
    path, form, folder = words[0], words[1], words[2] if len(words) > 2 else ""
    gc.disable()  # rows hold one another in no circle
    try:
        database = sqlite3.connect(path)
        writer = Writer(database, _said)
        writer.fill(rows(_source(form, folder)))
        database.close()
        _said(writer.count)
    except sqlite3.Error as error:
        print(error, file=sys.stderr)
        return NO_SPACE
    except NameUnknown:
        return NAME_UNKNOWN
    except (Unreadable, OverflowError, MemoryError) as error:
        print(error, file=sys.stderr)
        return DAMAGED
    return 0
