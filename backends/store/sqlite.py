"""The `sqlite` engine: one WAL file, durable at each commit, pages read without loading the rest. For up to a million documents.

Descending lists are the exact reverse of the ascending index (the id turns round too), so one index serves both directions.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.errors import Conflict, Damaged, NotFound
from backends.store.contract import All, Doc, Feed, Order, Record, Where
from backends.store.sqlite_pool import Pool
from backends.store.sqlite_tables import Collection, Layout, has_base, make_base
from backends.store.sqlite_where import before, compile_order, compile_where, searches
from backends.store.values import Scalar, collection_name, dump, only

OPS_KEPT = 5_000
_LOAD_CACHE_KIB = 64 * 1024
_AT_ONCE = 500


class SqliteStore:
    """The store's contract over SQLite. Usable from several threads: each call borrows a connection."""

    engine = "sqlite"

    def __init__(self, path: Path, current: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._current = current
        self._pool = Pool(path, current)
        self._layout = Layout()
        with self._pool.reading() as connection:
            ready = has_base(connection)
        if not ready:
            with self._writing() as connection:
                make_base(connection)

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._pool.writing() as connection:
                yield connection
        except BaseException:
            self._layout.forget()
            raise

    def index(self, collection: str, *fields: str) -> None:
        """A column a field and an index a spec; the index also holds the id, so a page of ids comes from it alone."""
        collection_name(collection)
        with self._pool.reading() as connection:
            lacking = self._layout.lacks(connection, collection, fields)
        if not lacking:
            return
        with self._writing() as connection:
            self._layout.widen(connection, collection, lacking)
        for spec in lacking:  # each stands when it is made: a start that was cut off goes on where it was
            with self._writing() as connection:
                self._layout.declare(connection, collection, spec)

    # -- reading ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reading(self, collection: str) -> Iterator[tuple[sqlite3.Connection, Collection | None]]:
        with self._pool.reading() as connection:
            yield connection, self._layout.find(connection, collection)

    def get(self, collection: str, id: str) -> Record | None:
        """The record, or None."""
        with self._reading(collection) as (connection, found):
            row = self._row(connection, found, id)
        return row[1] if row else None

    @staticmethod
    def _row(connection: sqlite3.Connection, found: Collection | None, id: str) -> tuple[int, Record] | None:
        if found is None:
            return None
        row = connection.execute(
            f"SELECT c.n, c.id, c.rev, c.seq, d.doc FROM {found.rows} AS c JOIN {found.docs} AS d ON d.n = c.n WHERE c.id = ?", (id,)
        ).fetchone()
        return (row[0], Record(row[1], row[2], row[3], json.loads(row[4]))) if row else None

    def select(
        self, collection: str, where: Where = All(), order: Sequence[Order] = (), *, offset: int = 0, limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Record]:
        """First the rows of the window, from an index where there is one, then only those documents."""
        with self._reading(collection) as (connection, found):
            if found is None:
                return []
            columns = found.columns()
            condition, values = compile_where(where, columns)
            source = found.source(where, order)
            sort = compile_order(order, columns, sort=searches(where) and "INDEXED BY" not in source)
            rows = connection.execute(
                f"SELECT c.n, c.id, c.rev, c.seq FROM {source} WHERE {condition} {sort} LIMIT ? OFFSET ?",
                [*values, -1 if limit is None else limit, offset],
            ).fetchall()
            docs = self._docs(connection, found, [row[0] for row in rows], fields)
        return [Record(id, rev, seq, docs[n]) for n, id, rev, seq in rows]

    @staticmethod
    def _docs(
        connection: sqlite3.Connection, found: Collection, rows: list[int], fields: Sequence[str] | None
    ) -> dict[int, Mapping[str, Any]]:
        if fields is not None and not fields:
            return {n: {} for n in rows}
        docs: dict[int, Mapping[str, Any]] = {}
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            for n, text in connection.execute(f"SELECT n, doc FROM {found.docs} WHERE n IN ({marks})", part):
                docs[n] = only(json.loads(text), fields)
        return docs

    def count(self, collection: str, where: Where = All()) -> int:
        """How many match."""
        with self._reading(collection) as (connection, found):
            return self._count(connection, found, [compile_where(where, found.columns())]) if found else 0

    def tally(self, collection: str, where: Where, *fields: str) -> dict[tuple[Scalar, ...], int]:
        """How many match, by the values of these fields."""
        with self._reading(collection) as (connection, found):
            if found is None:
                return {}
            columns = found.columns()
            condition, values = compile_where(where, columns)
            names = ", ".join(columns.of(field) for field in fields)
            text = f"SELECT {names}, count(*) FROM {found.rows} AS c WHERE {condition} GROUP BY {names}"
            return {tuple(row[:-1]): int(row[-1]) for row in connection.execute(text, values)}

    @staticmethod
    def _count(connection: sqlite3.Connection, found: Collection, parts: Sequence[tuple[str, list[Any]]]) -> int:
        condition = " AND ".join(f"({sql})" for sql, _ in parts if sql != "1")
        text = f"SELECT count(*) FROM {found.rows} AS c" + (f" WHERE {condition}" if condition else "")
        return int(connection.execute(text, [value for _, values in parts for value in values]).fetchone()[0])

    def position(self, collection: str, id: str, where: Where = All(), order: Sequence[Order] = ()) -> int | None:
        """Counts those that stand before it, key by key: each is a range of the index."""
        with self._reading(collection) as (connection, found):
            if found is None:
                return None
            columns = found.columns()
            condition = compile_where(where, columns)
            keys = ", ".join([*(columns.of(item.field) for item in order), "c.id"])
            text = f"SELECT {keys} FROM {found.rows} AS c WHERE c.id = ? AND ({condition[0]})"
            row = connection.execute(text, [id, *condition[1]]).fetchone()
            if row is None:
                return None
            return sum(self._count(connection, found, [condition, part]) for part in before(order, row, columns.of))

    def seq(self) -> int:
        """The newest seq."""
        self._current()
        with self._pool.reading() as connection:
            return _newest(connection)

    def changes(self, since: int, *, collection: str | None = None, limit: int = 1000) -> list[Feed]:
        """Oldest first."""
        condition, values = ("AND collection = ?", [collection]) if collection else ("", [])
        with self._pool.reading() as connection:
            rows = connection.execute(
                f"SELECT seq, collection, id, rev, deleted FROM feed WHERE seq > ? {condition} ORDER BY seq LIMIT ?",
                [since, *values, limit],
            ).fetchall()
        return [Feed(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]

    def collections(self) -> dict[str, int]:
        """Name -> number of records."""
        with self._pool.reading() as connection:
            found = self._layout.collections(connection)
            counted = {name: self._count(connection, found[name], ()) for name in sorted(found)}
        return {name: number for name, number in counted.items() if number}

    def check(self) -> list[str]:
        """SQLite's own quick check, and that no row lacks its document."""
        try:
            with self._pool.reading() as connection:
                said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
                found = [f"{self.path}: {text}" for text in said if text != "ok"]
                for item in self._layout.collections(connection).values():
                    text = f"SELECT count(*) FROM {item.rows} AS c WHERE NOT EXISTS (SELECT 1 FROM {item.docs} AS d WHERE d.n = c.n)"
                    lost = int(connection.execute(text).fetchone()[0])
                    found += [f"{self.path}: {lost} rows of {item.name} have no document"] if lost else []
        except Damaged as error:
            return [error.text]
        return found

    # -- writing ----------------------------------------------------------------------------------------

    def insert(self, collection: str, doc: Doc, *, id: str | None = None, op_id: str | None = None) -> Record:
        """A new record."""
        text, ident = dump(doc), id or uuid.uuid4().hex
        with self._writing() as connection:
            done = _done(connection, op_id)
            if done is not None:
                return done
            found = self._layout.make(connection, collection)
            old = self._row(connection, found, ident)
            if old is not None:
                raise Conflict(f"{collection}/{ident} exists", theirs=dict(old[1].doc), mine=dict(doc))
            return self._write(connection, found, ident, None, text, op_id)

    def update(self, collection: str, id: str, doc: Doc, *, rev: int | None, op_id: str | None = None) -> Record:
        """Replace, if the rev is the one that was read."""
        text = dump(doc)
        with self._writing() as connection:
            done = _done(connection, op_id)
            if done is not None:
                return done
            found, old = self._old(connection, collection, id, rev, doc)
            return self._write(connection, found, id, old, text, op_id)

    def put(self, collection: str, id: str, doc: Doc) -> Record:
        """Insert or replace."""
        text = dump(doc)
        with self._writing() as connection:
            found = self._layout.make(connection, collection)
            return self._write(connection, found, id, self._row(connection, found, id), text, None)

    def delete(self, collection: str, id: str, *, rev: int | None = None) -> None:
        """Remove; the feed keeps a tombstone."""
        with self._writing() as connection:
            found, old = self._old(connection, collection, id, rev, {})
            found.remove(connection, old[0])
            _feed(connection, collection, id, old[1].rev + 1, True)

    def load(self, collection: str, docs: Iterable[tuple[str, Doc]]) -> int:
        """All in one transaction; a bigger cache meanwhile, or the indexes would be read from the file again and again."""
        with self._writing() as connection:
            usual = connection.execute("PRAGMA cache_size").fetchone()[0]
            connection.execute(f"PRAGMA cache_size=-{_LOAD_CACHE_KIB}")
            try:
                return self._load(connection, self._layout.make(connection, collection), docs)
            finally:
                connection.execute(f"PRAGMA cache_size={usual}")

    @staticmethod
    def _load(connection: sqlite3.Connection, found: Collection, docs: Iterable[tuple[str, Doc]]) -> int:
        seq = first = _newest(connection)
        for ident, doc in docs:
            seq += 1
            text = dump(doc)
            old = connection.execute(f"SELECT n, rev FROM {found.rows} WHERE id = ?", (ident,)).fetchone()
            if old:
                found.replace(connection, old[0], old[1] + 1, seq, doc, text)
            else:
                found.insert(connection, ident, 1, seq, doc, text)
            _note(connection, seq, found.name, ident, old[1] + 1 if old else 1, False)
        connection.execute("UPDATE newest SET seq = ?", (seq,))
        return seq - first

    def next_number(self, name: str, start: int = 1) -> int:
        """Given to one caller only."""
        with self._writing() as connection:
            row = connection.execute("SELECT value FROM numbers WHERE name = ?", (name,)).fetchone()
            number = int(row[0]) + 1 if row else start
            connection.execute("INSERT OR REPLACE INTO numbers(name, value) VALUES(?, ?)", (name, number))
            return number

    def _old(
        self, connection: sqlite3.Connection, collection: str, id: str, rev: int | None, doc: Doc
    ) -> tuple[Collection, tuple[int, Record]]:
        found = self._layout.find(connection, collection)
        old = self._row(connection, found, id)
        if found is None or old is None:
            raise NotFound(f"{collection}/{id}")
        if rev is not None and old[1].rev != rev:
            raise Conflict(f"{collection}/{id} is at revision {old[1].rev}, not {rev}", mine=dict(doc), theirs=dict(old[1].doc))
        return found, old

    @staticmethod
    def _write(
        connection: sqlite3.Connection, found: Collection, id: str, old: tuple[int, Record] | None, text: str, op_id: str | None
    ) -> Record:
        doc = json.loads(text)
        rev = old[1].rev + 1 if old else 1
        seq = _feed(connection, found.name, id, rev, False)
        if old:
            found.replace(connection, old[0], rev, seq, doc, text)
        else:
            found.insert(connection, id, rev, seq, doc, text)
        if op_id is not None:
            row = connection.execute(
                "INSERT INTO ops(op, collection, id, rev, seq, doc) VALUES(?, ?, ?, ?, ?, ?)", (op_id, found.name, id, rev, seq, text)
            )
            connection.execute("DELETE FROM ops WHERE rowid <= ?", ((row.lastrowid or 0) - OPS_KEPT,))
        return Record(id, rev, seq, doc)

    # -- moving -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Nobody else can write while the block runs."""
        with self._writing():
            yield

    def everything(self) -> Iterator[list[Any]]:
        """All that is stored, as entries: records, tombstones, counters, and the operations done."""
        with self._pool.reading() as connection:
            for name, found in sorted(self._layout.collections(connection).items()):
                joined = f"SELECT c.id, c.rev, c.seq, d.doc FROM {found.rows} AS c JOIN {found.docs} AS d ON d.n = c.n ORDER BY c.n"
                for row in connection.execute(joined):
                    yield ["d", name, row[0], row[1], row[2], json.loads(row[3])]
            for row in connection.execute("SELECT collection, id, rev, seq FROM feed WHERE deleted ORDER BY seq"):
                yield ["x", *row]
            for row in connection.execute("SELECT name, value FROM numbers ORDER BY name"):
                yield ["n", *row]
            for row in connection.execute("SELECT op, collection, id, rev, seq, doc FROM ops ORDER BY rowid"):
                yield ["o", *row[:5], json.loads(row[5])]

    def restore(self, entries: Iterable[list[Any]], seq: int) -> None:
        """Take over what another engine gave, into an empty store."""
        with self._writing() as connection:
            for entry in entries:
                self._restore_one(connection, entry)
            connection.execute("UPDATE newest SET seq = ?", (seq,))

    def _restore_one(self, connection: sqlite3.Connection, entry: list[Any]) -> None:
        kind = entry[0]
        if kind == "n":
            connection.execute("INSERT INTO numbers(name, value) VALUES(?, ?)", entry[1:3])
        elif kind == "o":
            connection.execute("INSERT INTO ops(op, collection, id, rev, seq, doc) VALUES(?, ?, ?, ?, ?, ?)", (*entry[1:6], dump(entry[6])))
        else:
            name, ident, rev, seq = entry[1:5]
            if kind == "d":
                self._layout.make(connection, name).insert(connection, ident, rev, seq, entry[5], dump(entry[5]))
            _note(connection, seq, name, ident, rev, kind == "x")


def _newest(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT seq FROM newest").fetchone()[0])


def _feed(connection: sqlite3.Connection, collection: str, id: str, rev: int, deleted: bool) -> int:
    seq = _newest(connection) + 1
    connection.execute("UPDATE newest SET seq = ?", (seq,))
    _note(connection, seq, collection, id, rev, deleted)
    return seq


def _note(connection: sqlite3.Connection, seq: int, collection: str, id: str, rev: int, deleted: bool) -> None:
    text = "INSERT OR REPLACE INTO feed(seq, collection, id, rev, deleted) VALUES(?, ?, ?, ?, ?)"
    connection.execute(text, (seq, collection, id, rev, int(deleted)))


def _done(connection: sqlite3.Connection, op_id: str | None) -> Record | None:
    if op_id is None:
        return None
    row = connection.execute("SELECT id, rev, seq, doc FROM ops WHERE op = ?", (op_id,)).fetchone()
    return Record(row[0], row[1], row[2], json.loads(row[3])) if row else None
