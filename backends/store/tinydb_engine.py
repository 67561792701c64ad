"""The `tinydb` engine: TinyDB over `SharedStorage`. The default: nothing to set up, meant for up to about 10,000 documents."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.queries import QueryInstance
from tinydb.table import Document, Table

from backends.errors import Conflict, NotFound
from backends.store.contract import All, Doc, Feed, Order, Record, Where
from backends.store.matching import matcher, sort_records
from backends.store.tinydb_storage import SharedStorage, apply_entry

OUTGROWN = 10_000
OPS_KEPT = 20_000


class SharedTable(Table):
    """A TinyDB table whose ids are the records' own and whose rows are read from the shared state without copying it."""

    document_id_class = str  # type: ignore[assignment]
    default_query_cache_capacity = 0
    """Other processes write too: a cached answer would be an old one."""

    def _read_table(self) -> dict[str, Mapping[str, Any]]:  # type: ignore[override]
        rows: dict[str, Mapping[str, Any]] = (self._storage.read() or {}).get(self.name, {})
        return rows


class _Base(TinyDB):
    table_class = SharedTable


class TinydbStore:
    """The store's contract over TinyDB. One object may be used from several threads."""

    engine = "tinydb"

    def __init__(self, folder: Path) -> None:
        self.db = _Base(folder, storage=SharedStorage)
        self.storage: SharedStorage = self.db.storage  # type: ignore[assignment]
        self._guard = threading.RLock()

    def close(self) -> None:
        """Nothing is held open between calls."""
        self.db.close()

    def index(self, collection: str, *fields: str) -> None:
        """Everything is in memory here: nothing to do."""

    # -- reading ----------------------------------------------------------------------------------------

    def _table(self, collection: str) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = self.storage.read().get(collection, {})
        return rows

    @staticmethod
    def _record(row: Mapping[str, Any], fields: Sequence[str] | None = None) -> Record:
        doc = row["doc"]
        return Record(row["id"], row["rev"], row["seq"], doc if fields is None else {name: doc[name] for name in fields if name in doc})

    def get(self, collection: str, id: str) -> Record | None:
        """The record, or None."""
        with self._guard:
            row = self._table(collection).get(id)
            return self._record(row) if row is not None else None

    def _matching(self, collection: str, where: Where) -> list[Document]:
        match = matcher(where)
        query = QueryInstance(lambda row: match(row["doc"]), None)
        return self.db.table(collection).search(query)

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
        """Scan, sort, cut."""
        with self._guard:
            found = [self._record(row) for row in self._matching(collection, where)]
        found = sort_records(found, order)[offset : None if limit is None else offset + limit]
        if fields is None:
            return found
        return [Record(item.id, item.rev, item.seq, {name: item.doc[name] for name in fields if name in item.doc}) for item in found]

    def count(self, collection: str, where: Where = All()) -> int:
        """How many match."""
        with self._guard:
            if where == All():
                return len(self._table(collection))
            match = matcher(where)
            return sum(1 for row in self._table(collection).values() if match(row["doc"]))

    def position(self, collection: str, id: str, where: Where = All(), order: Sequence[Order] = ()) -> int | None:
        """Where it stands in the list."""
        for place, record in enumerate(self.select(collection, where, order)):
            if record.id == id:
                return place
        return None

    def seq(self) -> int:
        """One stat when nothing changed."""
        with self._guard:
            self.storage.refresh()
            return int(self.storage.state["seq"])

    def changes(self, since: int, *, collection: str | None = None, limit: int = 1000) -> list[Feed]:
        """Oldest first."""
        with self._guard:
            self.storage.refresh()
            state = self.storage.state
            if since >= state["seq"]:
                return []
            found = [
                Feed(row["seq"], name, row["id"], row["rev"], False)
                for name, table in state["tables"].items() if collection in (None, name)
                for row in table.values() if row["seq"] > since
            ]  # fmt: skip
            found += [
                Feed(seq, name, ident, rev, True)
                for name, gone in state["gone"].items() if collection in (None, name)
                for ident, (seq, rev) in gone.items() if seq > since
            ]  # fmt: skip
        return sorted(found, key=lambda item: item.seq)[:limit]

    def collections(self) -> dict[str, int]:
        """Name -> number of records."""
        with self._guard:
            return {name: len(table) for name, table in sorted(self.storage.read().items())}

    def check(self) -> list[str]:
        """Says when it is outgrown."""
        total = sum(self.collections().values())
        if total <= OUTGROWN:
            return []
        return [f"{total:,} documents are more than the tinydb engine is made for ({OUTGROWN:,}): run `deskside store move --to sqlite`"]

    # -- writing ----------------------------------------------------------------------------------------

    def insert(self, collection: str, doc: Doc, *, id: str | None = None, op_id: str | None = None) -> Record:
        """A new record."""
        with self._guard, self.storage.writing():
            done = self._done(op_id)
            if done is not None:
                return done
            ident = id or uuid.uuid4().hex
            old = self.storage.state["tables"].get(collection, {}).get(ident)
            if old is not None:
                raise Conflict(f"{collection}/{ident} exists", mine=dict(doc), theirs=dict(old["doc"]))
            return self._write(collection, ident, 1, doc, op_id)

    def update(self, collection: str, id: str, doc: Doc, *, rev: int | None, op_id: str | None = None) -> Record:
        """Replace, if the rev is the one that was read."""
        with self._guard, self.storage.writing():
            done = self._done(op_id)
            if done is not None:
                return done
            old = self._old(collection, id, rev, doc)
            return self._write(collection, id, old["rev"] + 1, doc, op_id)

    def put(self, collection: str, id: str, doc: Doc) -> Record:
        """Insert or replace."""
        with self._guard, self.storage.writing():
            old = self.storage.state["tables"].get(collection, {}).get(id)
            return self._write(collection, id, old["rev"] + 1 if old else 1, doc, None)

    def delete(self, collection: str, id: str, *, rev: int | None = None) -> None:
        """Remove; the feed keeps a tombstone."""
        with self._guard, self.storage.writing():
            old = self._old(collection, id, rev, {})
            self.storage.commit([["x", collection, id, old["rev"] + 1, self.storage.state["seq"] + 1]])

    def load(self, collection: str, docs: Iterable[tuple[str, Doc]]) -> int:
        """All in one line of the log, then a new snapshot."""
        with self._guard, self.storage.writing():
            seq = self.storage.state["seq"]
            table = self.storage.state["tables"].get(collection, {})
            entries: list[list[Any]] = []
            for ident, doc in docs:
                seq += 1
                old = table.get(ident)
                entries.append(["d", collection, ident, old["rev"] + 1 if old else 1, seq, _plain(doc), None])
            if entries:
                self.storage.commit(entries)
            if len(entries) > 1000:
                self.storage.compact()
            return len(entries)

    def next_number(self, name: str, start: int = 1) -> int:
        """Given to one caller only."""
        with self._guard, self.storage.writing():
            known = self.storage.state["counters"].get(name)
            number = start if known is None else int(known) + 1
            self.storage.commit([["n", name, number]])
            return number

    # -- moving -----------------------------------------------------------------------------------------

    def everything(self) -> Iterator[list[Any]]:
        """All that is stored, as entries of the log: records, tombstones, counters, and the operations done."""
        self.storage.refresh()
        state = self.storage.state
        entries = [
            ["d", name, row["id"], row["rev"], row["seq"], row["doc"], None]
            for name, table in state["tables"].items()
            for row in table.values()
        ]
        entries += [["x", name, ident, rev, seq] for name, gone in state["gone"].items() for ident, (seq, rev) in gone.items()]
        yield from sorted(entries, key=lambda entry: entry[4])
        yield from (["n", name, value] for name, value in state["counters"].items())
        yield from (["o", op, *done] for op, done in state["ops"].items())

    def restore(self, entries: Iterable[list[Any]], seq: int) -> None:
        """Take over what another engine gave, into an empty store."""
        with self._guard, self.storage.writing():
            for entry in entries:
                if entry[0] == "o":
                    self.storage.state["ops"][entry[1]] = list(entry[2:])
                else:
                    apply_entry(self.storage.state, entry)
            self.storage.state["seq"] = seq
            self.storage.compact()

    def _old(self, collection: str, id: str, rev: int | None, doc: Doc) -> dict[str, Any]:
        old: dict[str, Any] | None = self.storage.state["tables"].get(collection, {}).get(id)
        if old is None:
            raise NotFound(f"{collection}/{id}")
        if rev is not None and old["rev"] != rev:
            raise Conflict(f"{collection}/{id} is at revision {old['rev']}, not {rev}", mine=dict(doc), theirs=dict(old["doc"]))
        return old

    def _done(self, op_id: str | None) -> Record | None:
        found = self.storage.state["ops"].get(op_id) if op_id is not None else None
        return Record(found[1], found[2], found[3], found[4]) if found else None

    def _write(self, collection: str, ident: str, rev: int, doc: Doc, op_id: str | None) -> Record:
        seq = self.storage.state["seq"] + 1
        plain = _plain(doc)
        ops = self.storage.state["ops"]
        while len(ops) > OPS_KEPT:
            ops.pop(next(iter(ops)))
        self.storage.commit([["d", collection, ident, rev, seq, plain, op_id]])
        return Record(ident, rev, seq, plain)


def _plain(doc: Doc) -> dict[str, Any]:
    """A copy as JSON has it: what the caller changes later is not what was stored."""
    copy: dict[str, Any] = json.loads(json.dumps(doc))
    return copy
