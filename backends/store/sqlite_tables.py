"""Tables of the `sqlite` engine. A collection is two of them: small rows to filter and sort, and the documents.

`c:NAME` has id, rev, seq and a column for each declared field; `d:NAME` has the documents. A filter without an index
reads 100,000 small rows (15 ms) and not 100,000 documents (180 ms to parse them).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.store.contract import Order, Where
from backends.store.sqlite_where import Columns, searched_field
from backends.store.values import collection_name, field_name, getter, scalar

_BASE = (
    "CREATE TABLE IF NOT EXISTS feed(seq INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL,"
    " rev INTEGER NOT NULL, deleted INTEGER NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS feed_id ON feed(collection, id)",
    "CREATE TABLE IF NOT EXISTS ops(op TEXT PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, doc TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS numbers(name TEXT PRIMARY KEY, value INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS newest(one INTEGER PRIMARY KEY CHECK(one = 1), seq INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO newest VALUES(1, 0)",
)


@dataclass(frozen=True, slots=True)
class Collection:
    """Names and statements of one collection; a statement is written once per layout."""

    name: str
    fields: tuple[str, ...] = ()
    specs: frozenset[str] = frozenset()
    """The indexes, as they were declared."""

    @property
    def rows(self) -> str:
        """The row table, quoted."""
        return f'"c:{self.name}"'

    @property
    def docs(self) -> str:
        """The document table, quoted."""
        return f'"d:{self.name}"'

    def columns(self) -> Columns:
        """How its fields are written in a condition."""
        return Columns(f"(SELECT d.doc FROM {self.docs} AS d WHERE d.n = c.n)", frozenset(self.fields))

    def source(self, where: Where, order: Sequence[Order]) -> str:
        """The row table for a list. Text in one field is looked for in the index of the sort that holds the field, where there is one:
        100,000 short entries in their order, and a row only for what fits (1 to 20 ms, reading all rows and sorting 44).
        """
        field = searched_field(where)
        spec = f"{order[0].field},{field}" if field and len(order) == 1 else ""
        return f'{self.rows} AS c INDEXED BY "i:{self.name}:{spec}"' if spec in self.specs else f"{self.rows} AS c"

    def values(self, doc: Mapping[str, Any]) -> list[Any]:
        """What stands in the columns of the declared fields."""
        return [scalar(getter(field)(doc)) for field in self.fields]

    def insert(self, connection: sqlite3.Connection, id: str, rev: int, seq: int, doc: Mapping[str, Any], text: str) -> None:
        """A new row and its document."""
        names = "".join(f', "f:{field}"' for field in self.fields)
        marks = ", ?" * len(self.fields)
        row = connection.execute(f"INSERT INTO {self.rows}(id, rev, seq{names}) VALUES(?, ?, ?{marks})", [id, rev, seq, *self.values(doc)])
        connection.execute(f"INSERT INTO {self.docs}(n, doc) VALUES(?, ?)", (row.lastrowid, text))

    def replace(self, connection: sqlite3.Connection, n: int, rev: int, seq: int, doc: Mapping[str, Any], text: str) -> None:
        """Another document in the same row."""
        sets = "".join(f', "f:{field}" = ?' for field in self.fields)
        connection.execute(f"UPDATE {self.rows} SET rev = ?, seq = ?{sets} WHERE n = ?", [rev, seq, *self.values(doc), n])
        connection.execute(f"UPDATE {self.docs} SET doc = ? WHERE n = ?", (text, n))

    def remove(self, connection: sqlite3.Connection, n: int) -> None:
        """The row and its document."""
        connection.execute(f"DELETE FROM {self.rows} WHERE n = ?", (n,))
        connection.execute(f"DELETE FROM {self.docs} WHERE n = ?", (n,))


class Layout:
    """What tables and indexes there are, read anew when SQLite's schema number says that somebody changed them."""

    def __init__(self) -> None:
        self._read: tuple[int, dict[str, Collection], frozenset[str]] = (-1, {}, frozenset())

    def _now(self, connection: sqlite3.Connection) -> tuple[int, dict[str, Collection], frozenset[str]]:
        version = int(connection.execute("PRAGMA schema_version").fetchone()[0])
        known = self._read
        if known[0] == version:
            return known
        found: dict[str, Collection] = {}
        indexes = frozenset(str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'"))
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'c:*'").fetchall():
            names = [str(row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")')]
            start = f"i:{table[2:]}:"
            specs = frozenset(name.removeprefix(start) for name in indexes if name.startswith(start))
            found[table[2:]] = Collection(table[2:], tuple(name[2:] for name in names if name.startswith("f:")), specs)
        self._read = (version, found, indexes)
        return self._read

    def forget(self) -> None:
        """After a change that was undone the number may come back with another meaning."""
        self._read = (-1, {}, frozenset())

    def collections(self, connection: sqlite3.Connection) -> dict[str, Collection]:
        """All of them by name."""
        return self._now(connection)[1]

    def find(self, connection: sqlite3.Connection, name: str) -> Collection | None:
        """The collection, or None while it has no table."""
        return self.collections(connection).get(collection_name(name))

    def make(self, connection: sqlite3.Connection, name: str) -> Collection:
        """The collection, with its tables. Needs the write lock."""
        found = self.find(connection, name)
        if found is not None:
            return found
        made = Collection(name)
        connection.execute(
            f"CREATE TABLE {made.rows}(n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, rev INTEGER NOT NULL, seq INTEGER NOT NULL)"
        )
        connection.execute(f"CREATE TABLE {made.docs}(n INTEGER PRIMARY KEY, doc TEXT NOT NULL)")
        return self.collections(connection)[name]

    def lacks(self, connection: sqlite3.Connection, name: str, specs: Sequence[str]) -> list[str]:
        """The specs ("a" or "a,b") without an index so far."""
        indexes = self._now(connection)[2]
        return [spec for spec in specs if f"i:{name}:{spec}" not in indexes]

    def widen(self, connection: sqlite3.Connection, name: str, specs: Sequence[str]) -> None:
        """Columns for the fields of these specs, filled from the documents there are. Needs the write lock."""
        made = self.make(connection, name)
        fields = dict.fromkeys(field_name(part.strip()) for spec in specs for part in spec.split(","))
        fresh = [field for field in fields if field not in made.fields]
        for field in fresh:
            connection.execute(f'ALTER TABLE {made.rows} ADD COLUMN "f:{field}"')
        if fresh:
            _fill(connection, Collection(name, tuple(fresh)))

    def declare(self, connection: sqlite3.Connection, name: str, spec: str) -> None:
        """The index of a spec whose columns are there. Needs the write lock."""
        made = self.make(connection, name)
        parts = "".join(f'"f:{part.strip()}", ' for part in spec.split(","))
        connection.execute(f'CREATE INDEX IF NOT EXISTS "i:{name}:{spec}" ON {made.rows}({parts}id)')


def make_base(connection: sqlite3.Connection) -> None:
    """The tables every store has. Needs the write lock."""
    for statement in _BASE:
        connection.execute(statement)


def has_base(connection: sqlite3.Connection) -> bool:
    """Whether `make_base` was done: looked at first, so that opening needs no lock."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'newest'").fetchone() is not None


def _fill(connection: sqlite3.Connection, fresh: Collection) -> None:
    sets = ", ".join(f'"f:{field}" = ?' for field in fresh.fields)
    last = 0
    while True:
        part = connection.execute(f"SELECT n, doc FROM {fresh.docs} WHERE n > ? ORDER BY n LIMIT 1000", (last,)).fetchall()
        if not part:
            return
        last = part[-1][0]
        connection.executemany(
            f"UPDATE {fresh.rows} SET {sets} WHERE n = ?", [[*fresh.values(json.loads(text)), n] for n, text in part]
        )
