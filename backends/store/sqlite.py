"""The `sqlite` engine: one WAL file, a table a collection, expression indexes on JSON fields. Durable at each commit.

Descending lists are the exact reverse of the ascending index (the id turns round too), so one index serves both directions.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backends.errors import BackendError, Busy, Conflict, Damaged, NoSpace, NotFound
from backends.store.contract import All, Doc, Feed, Order, Record, Where
from backends.store.sqlite_where import before_row, column, compile_order, compile_where

BUSY_SECONDS = 5.0
POOL = 4
_TABLES = """
CREATE TABLE IF NOT EXISTS feed(seq INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, deleted INTEGER NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS feed_id ON feed(collection, id);
CREATE TABLE IF NOT EXISTS counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS ops(op TEXT PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, rev INTEGER NOT NULL, seq INTEGER NOT NULL, doc TEXT NOT NULL);
"""


def _dump(doc: Doc) -> str:
    return json.dumps(doc, ensure_ascii=False, separators=(",", ":"))


def _translate(error: sqlite3.Error, path: Path) -> BackendError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return Busy(f"{path.name} is locked by another process", hint="Try again in a moment.")
    if any(word in text for word in ("full", "disk I/O", "readonly", "unable to open")):
        return NoSpace(f"{path}: {text}")
    return Damaged(f"{path}: {text}")


class SqliteStore:
    """The store's contract over SQLite. Usable from several threads: each call borrows a connection."""

    engine = "sqlite"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._idle: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._known: set[str] = set()
        self._indexed: set[str] = set()
        if not path.exists():
            # SQLite would make it 0640 under the usual umask, and the colleague could not write.
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, 0o660)
            os.close(descriptor)
        with self._writing() as connection:
            for statement in _TABLES.strip().split(";"):
                if statement.strip():
                    connection.execute(statement)

    # -- connections ------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=64)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.create_function("casefold", 1, lambda text: text.casefold() if isinstance(text, str) else text, deterministic=True)
        return connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or self._connect()
            yield connection
        except sqlite3.Error as error:
            raise _translate(error, self.path) from None
        finally:
            if connection is not None:
                with self._guard:
                    keep = len(self._idle) < POOL
                    if keep:
                        self._idle.append(connection)
                if not keep:
                    connection.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the idle connections."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # -- tables -----------------------------------------------------------------------------------------

    @staticmethod
    def _table(collection: str) -> str:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", collection):
            raise ValueError(f"not a collection name: {collection!r}")
        return f"c_{collection}"

    def _has(self, connection: sqlite3.Connection, collection: str) -> bool:
        if collection in self._known:
            return True
        found = connection.execute("SELECT 1 FROM sqlite_master WHERE type='table' AND name=?", (self._table(collection),)).fetchone()
        if found:
            self._known.add(collection)
        return found is not None

    def _make(self, connection: sqlite3.Connection, collection: str) -> str:
        table = self._table(collection)
        if not self._has(connection, collection):
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table}(id TEXT NOT NULL UNIQUE, rev INTEGER NOT NULL, seq INTEGER NOT NULL, doc TEXT NOT NULL)"
            )
        return table

    def index(self, collection: str, *fields: str) -> None:
        """Expression indexes that also hold the id: a page of ids comes from the index alone."""
        wanted = [field for field in fields if f"{collection}:{field}" not in self._indexed]
        if not wanted:
            return
        with self._writing() as connection:
            table = self._make(connection, collection)
            for field in wanted:
                name = f"i_{collection}_{re.sub('[^A-Za-z0-9]+', '_', field)}"
                parts = ", ".join(column(part.strip()) for part in field.split(","))
                connection.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table}({parts}, id)")
        self._indexed.update(f"{collection}:{field}" for field in wanted)

    # -- reading ----------------------------------------------------------------------------------------

    def get(self, collection: str, id: str) -> Record | None:
        """The record, or None."""
        with self._reading() as connection:
            if not self._has(connection, collection):
                return None
            return self._get(connection, collection, id)

    def _get(self, connection: sqlite3.Connection, collection: str, id: str) -> Record | None:
        row = connection.execute(f"SELECT id, rev, seq, doc FROM {self._table(collection)} WHERE id=?", (id,)).fetchone()
        return Record(row[0], row[1], row[2], json.loads(row[3])) if row else None

    def select(
        self,
        collection: str,
        where: Where = All(),
        order: Sequence[Order] = (),
        *,
        offset: int = 0,
        limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Record]:
        """First the row ids of the window, from an index where there is one, then only those documents."""
        condition, values = compile_where(where)
        with self._reading() as connection:
            if not self._has(connection, collection):
                return []
            table = self._table(collection)
            window = f"SELECT rowid FROM {table} WHERE {condition} {compile_order(order)} LIMIT ? OFFSET ?"
            rows = [row[0] for row in connection.execute(window, [*values, -1 if limit is None else limit, offset])]
            found: dict[int, Record] = {}
            for start in range(0, len(rows), 500):
                part = rows[start : start + 500]
                marks = ",".join("?" * len(part))
                for row in connection.execute(f"SELECT rowid, id, rev, seq, doc FROM {table} WHERE rowid IN ({marks})", part):
                    found[row[0]] = Record(row[1], row[2], row[3], _only(json.loads(row[4]), fields))
        return [found[row] for row in rows if row in found]

    def count(self, collection: str, where: Where = All()) -> int:
        """How many match."""
        condition, values = compile_where(where)
        with self._reading() as connection:
            if not self._has(connection, collection):
                return 0
            return int(connection.execute(f"SELECT count(*) FROM {self._table(collection)} WHERE {condition}", values).fetchone()[0])

    def position(self, collection: str, id: str, where: Where = All(), order: Sequence[Order] = ()) -> int | None:
        """Counts those that stand before it, key by key."""
        condition, values = compile_where(where)
        with self._reading() as connection:
            if not self._has(connection, collection):
                return None
            table = self._table(collection)
            keys = ", ".join([column(item.field) for item in order] + ["id"])
            row = connection.execute(f"SELECT {keys} FROM {table} WHERE id=? AND ({condition})", [id, *values]).fetchone()
            if row is None:
                return None
            before, more = before_row(order, row)
            return int(
                connection.execute(f"SELECT count(*) FROM {table} WHERE ({condition}) AND ({before})", [*values, *more]).fetchone()[0]
            )

    def seq(self) -> int:
        """The newest seq."""
        with self._reading() as connection:
            return self._seq(connection)

    @staticmethod
    def _seq(connection: sqlite3.Connection) -> int:
        counted = connection.execute("SELECT value FROM counters WHERE name='@seq'").fetchone()
        return int(counted[0]) if counted else 0

    def changes(self, since: int, *, collection: str | None = None, limit: int = 1000) -> list[Feed]:
        """Oldest first."""
        condition, values = ("AND collection=?", [collection]) if collection else ("", [])
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT seq, collection, id, rev, deleted FROM feed WHERE seq>? {condition} ORDER BY seq LIMIT ?", [since, *values, limit]
            ).fetchall()
        return [Feed(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]

    def collections(self) -> dict[str, int]:
        """Name -> number of records."""
        with self._reading() as connection:
            names = [
                row[0][2:]
                for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table' AND name LIKE 'c\\_%' ESCAPE '\\'")
            ]
            return {name: int(connection.execute(f"SELECT count(*) FROM c_{name}").fetchone()[0]) for name in sorted(names)}

    def check(self) -> list[str]:
        """SQLite's own quick check."""
        with self._reading() as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
        return [] if found == ["ok"] else [f"{self.path}: {text}" for text in found]

    # -- writing ----------------------------------------------------------------------------------------

    def insert(self, collection: str, doc: Doc, *, id: str | None = None, op_id: str | None = None) -> Record:
        """A new record."""
        with self._writing() as connection:
            done = self._done(connection, op_id)
            if done is not None:
                return done
            self._make(connection, collection)
            ident = id or uuid.uuid4().hex
            old = self._get(connection, collection, ident)
            if old is not None:
                raise Conflict(f"{collection}/{ident} exists", theirs=dict(old.doc), mine=dict(doc))
            record = self._write(connection, collection, ident, 1, doc, op_id)
        self._known.add(collection)
        return record

    def update(self, collection: str, id: str, doc: Doc, *, rev: int | None, op_id: str | None = None) -> Record:
        """Replace, if the rev is the one that was read."""
        with self._writing() as connection:
            done = self._done(connection, op_id)
            if done is not None:
                return done
            old = self._get(connection, collection, id) if self._has(connection, collection) else None
            if old is None:
                raise NotFound(f"{collection}/{id}")
            if rev is not None and old.rev != rev:
                raise Conflict(f"{collection}/{id} is at revision {old.rev}, not {rev}", mine=dict(doc), theirs=dict(old.doc))
            return self._write(connection, collection, id, old.rev + 1, doc, op_id)

    def put(self, collection: str, id: str, doc: Doc) -> Record:
        """Insert or replace."""
        with self._writing() as connection:
            self._make(connection, collection)
            old = self._get(connection, collection, id)
            record = self._write(connection, collection, id, old.rev + 1 if old else 1, doc, None)
        self._known.add(collection)
        return record

    def delete(self, collection: str, id: str, *, rev: int | None = None) -> None:
        """Remove; the feed keeps a tombstone."""
        with self._writing() as connection:
            old = self._get(connection, collection, id) if self._has(connection, collection) else None
            if old is None:
                raise NotFound(f"{collection}/{id}")
            if rev is not None and old.rev != rev:
                raise Conflict(f"{collection}/{id} is at revision {old.rev}, not {rev}", theirs=dict(old.doc))
            connection.execute(f"DELETE FROM {self._table(collection)} WHERE id=?", (id,))
            self._feed(connection, collection, id, old.rev + 1, True)

    def load(self, collection: str, docs: Iterable[tuple[str, Doc]]) -> int:
        """All in one transaction."""
        with self._writing() as connection:
            table = self._make(connection, collection)
            seq = self._seq(connection)
            count = 0
            for ident, doc in docs:
                seq += 1
                count += 1
                connection.execute(
                    f"INSERT INTO {table}(id, rev, seq, doc) VALUES(?, 1, ?, ?) ON CONFLICT(id) DO UPDATE SET rev=rev+1, seq=excluded.seq, doc=excluded.doc",
                    (ident, seq, _dump(doc)),
                )
                connection.execute(
                    "INSERT OR REPLACE INTO feed(seq, collection, id, rev, deleted) VALUES(?, ?, ?, 1, 0)", (seq, collection, ident)
                )
            self._set(connection, "@seq", seq)
        self._known.add(collection)
        return count

    def next_number(self, name: str, start: int = 1) -> int:
        """Given to one caller only."""
        with self._writing() as connection:
            row = connection.execute("SELECT value FROM counters WHERE name=?", (f"#{name}",)).fetchone()
            number = int(row[0]) + 1 if row else start
            self._set(connection, f"#{name}", number)
            return number

    # -- moving -----------------------------------------------------------------------------------------

    def everything(self) -> Iterator[list[Any]]:
        """All that is stored, as entries: records, tombstones, counters, and the operations done."""
        with self._reading() as connection:
            names = sorted(self.collections())
            for name in names:
                for row in connection.execute(f"SELECT id, rev, seq, doc FROM c_{name} ORDER BY seq"):
                    yield ["d", name, row[0], row[1], row[2], json.loads(row[3]), None]
            for row in connection.execute("SELECT collection, id, rev, seq FROM feed WHERE deleted ORDER BY seq"):
                yield ["x", *row]
            for row in connection.execute("SELECT name, value FROM counters WHERE name LIKE '#%'"):
                yield ["n", row[0][1:], row[1]]
            for row in connection.execute("SELECT op, collection, id, rev, seq, doc FROM ops"):
                yield ["o", *row[:5], json.loads(row[5])]

    def restore(self, entries: Iterable[list[Any]], seq: int) -> None:
        """Take over what another engine gave, into an empty store."""
        with self._writing() as connection:
            for entry in entries:
                self._restore_one(connection, entry)
            self._set(connection, "@seq", seq)

    def _restore_one(self, connection: sqlite3.Connection, entry: list[Any]) -> None:
        if entry[0] == "n":
            self._set(connection, f"#{entry[1]}", entry[2])
        elif entry[0] == "o":
            connection.execute(
                "INSERT INTO ops(op, collection, id, rev, seq, doc) VALUES(?, ?, ?, ?, ?, ?)", (*entry[1:6], _dump(entry[6]))
            )
        else:
            name, ident, rev, seq = entry[1:5]
            if entry[0] == "d":
                table = self._make(connection, name)
                connection.execute(f"INSERT INTO {table}(id, rev, seq, doc) VALUES(?, ?, ?, ?)", (ident, rev, seq, _dump(entry[5])))
            connection.execute(
                "INSERT INTO feed(seq, collection, id, rev, deleted) VALUES(?, ?, ?, ?, ?)", (seq, name, ident, rev, int(entry[0] == "x"))
            )

    @staticmethod
    def _set(connection: sqlite3.Connection, name: str, value: int) -> None:
        connection.execute("INSERT OR REPLACE INTO counters(name, value) VALUES(?, ?)", (name, value))

    def _done(self, connection: sqlite3.Connection, op_id: str | None) -> Record | None:
        if op_id is None:
            return None
        row = connection.execute("SELECT id, rev, seq, doc FROM ops WHERE op=?", (op_id,)).fetchone()
        return Record(row[0], row[1], row[2], json.loads(row[3])) if row else None

    def _feed(self, connection: sqlite3.Connection, collection: str, id: str, rev: int, deleted: bool) -> int:
        seq = self._seq(connection) + 1
        self._set(connection, "@seq", seq)
        connection.execute("DELETE FROM feed WHERE collection=? AND id=?", (collection, id))
        connection.execute(
            "INSERT INTO feed(seq, collection, id, rev, deleted) VALUES(?, ?, ?, ?, ?)", (seq, collection, id, rev, int(deleted))
        )
        return seq

    def _write(self, connection: sqlite3.Connection, collection: str, id: str, rev: int, doc: Doc, op_id: str | None) -> Record:
        seq = self._feed(connection, collection, id, rev, False)
        text = _dump(doc)
        connection.execute(
            f"INSERT INTO {self._table(collection)}(id, rev, seq, doc) VALUES(?, ?, ?, ?) ON CONFLICT(id) DO UPDATE SET rev=excluded.rev, seq=excluded.seq, doc=excluded.doc",
            (id, rev, seq, text),
        )
        if op_id is not None:
            connection.execute(
                "INSERT INTO ops(op, collection, id, rev, seq, doc) VALUES(?, ?, ?, ?, ?, ?)", (op_id, collection, id, rev, seq, text)
            )
        return Record(id, rev, seq, json.loads(text))


def _only(doc: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    return doc if fields is None else {name: doc[name] for name in fields if name in doc}

