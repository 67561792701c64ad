"""The `tinydb` engine: TinyDB over `SharedStorage`. The default: nothing to set up, meant for up to about 10,000 documents."""

from __future__ import annotations

import contextlib
import marshal
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tinydb import TinyDB
from tinydb.queries import QueryInstance
from tinydb.table import Table

from backends.errors import Conflict, Damaged, NotFound
from backends.store.contract import All, Doc, Feed, Order, Record, Where
from backends.store.matching import Row, matcher, sort_rows, tallied
from backends.store.tinydb_state import Entry
from backends.store.tinydb_storage import SharedStorage
from backends.store.values import Scalar, collection_name, only, plain

OUTGROWN = 10_000
_SNAPSHOT_AFTER = 1_000


class SharedTable(Table):
    """A TinyDB table whose ids are the records' own; what is written through TinyDB's methods goes the same safe way."""

    document_id_class = str  # type: ignore[assignment]
    default_query_cache_capacity = 0
    """Other processes write too: a cached answer would be an old one."""

    def _get_next_id(self) -> str:  # type: ignore[override]
        return uuid.uuid4().hex

    def _update_table(self, updater: Callable[[dict[Any, Mapping[str, Any]]], None]) -> None:
        storage = self.shared
        with storage.writing():
            after = _copy(storage.state.tables.get(self.name, {}))
            updater(after)
            storage.change(self.name, {ident: plain(doc) for ident, doc in after.items()})

    @property
    def shared(self) -> SharedStorage:
        """The storage, as what it is."""
        assert isinstance(self._storage, SharedStorage)
        return self._storage

    def matching(self, query: QueryInstance | None) -> list[Row]:
        """(id, live document) of what the query finds: `search` would copy each document."""
        rows = self._read_table()
        return list(rows.items()) if query is None else [(ident, doc) for ident, doc in rows.items() if query(doc)]


class _Base(TinyDB):
    table_class = SharedTable


class TinydbStore:
    """The store's contract over TinyDB. One object may be used from several threads."""

    engine = "tinydb"

    def __init__(self, folder: Path, current: Callable[[], None] = lambda: None) -> None:
        self.db = _Base(folder, current, storage=SharedStorage)
        self._current = current
        storage = self.db.storage
        assert isinstance(storage, SharedStorage)
        self.storage = storage
        self._read = storage.guard

    def close(self) -> None:
        """Let go of the log."""
        self.db.close()

    def index(self, collection: str, *fields: str) -> None:
        """Everything is in memory here: nothing to do."""
        collection_name(collection)

    # -- reading ----------------------------------------------------------------------------------------

    def _table(self, collection: str) -> SharedTable:
        table = self.db.table(collection_name(collection))
        assert isinstance(table, SharedTable)
        return table

    def _record(self, collection: str, ident: str, doc: Mapping[str, Any]) -> Record:
        rev, seq, _ = self.storage.state.revs[collection][ident]
        return Record(ident, rev, seq, _copy(doc))

    def get(self, collection: str, id: str) -> Record | None:
        """The record, or None."""
        with self._read:
            doc = self.storage.read().get(collection_name(collection), {}).get(id)
            return self._record(collection, id, doc) if doc is not None else None

    def _rows(self, collection: str, where: Where) -> list[Row]:
        match = None if where == All() else QueryInstance(matcher(where), None)
        return self._table(collection).matching(match)

    def select(
        self, collection: str, where: Where = All(), order: Sequence[Order] = (), *, offset: int = 0, limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Record]:
        """Scan, sort, cut."""
        with self._read:
            rows = sort_rows(self._rows(collection, where), order)[offset : None if limit is None else offset + limit]
            return [self._record(collection, ident, only(doc, fields)) for ident, doc in rows]

    def count(self, collection: str, where: Where = All()) -> int:
        """How many match."""
        with self._read:
            return len(self._rows(collection, where))

    def tally(self, collection: str, where: Where, *fields: str) -> dict[tuple[Scalar, ...], int]:
        """How many match, by the values of these fields."""
        with self._read:
            return tallied((doc for _, doc in self._rows(collection, where)), fields)

    def position(self, collection: str, id: str, where: Where = All(), order: Sequence[Order] = ()) -> int | None:
        """Where it stands in the list."""
        with self._read:
            if id not in self.storage.read().get(collection_name(collection), {}):
                return None
            rows = sort_rows(self._rows(collection, where), order)
        return next((place for place, (ident, _) in enumerate(rows) if ident == id), None)

    def seq(self) -> int:
        """One stat when nothing changed."""
        self._current()
        with self._read:
            self.storage.refresh()
            return self.storage.state.seq

    def changes(self, since: int, *, collection: str | None = None, limit: int = 1000) -> list[Feed]:
        """Oldest first. Each collection's newest changes stand last, so only what is new is looked at."""
        found: list[Feed] = []
        with self._read:
            self.storage.refresh()
            for name, revs in self.storage.state.revs.items():
                for ident in reversed(revs) if collection in (None, name) else ():
                    rev, seq, deleted = revs[ident]
                    if seq <= since:
                        break
                    found.append(Feed(seq, name, ident, rev, bool(deleted)))
        return sorted(found, key=lambda item: item.seq)[:limit]

    def collections(self) -> dict[str, int]:
        """Name -> number of records."""
        with self._read:
            return {name: len(table) for name, table in sorted(self.storage.read().items()) if table}

    def check(self) -> list[str]:
        """Whether the files read as what they should be, and whether it is outgrown."""
        try:
            fresh = TinydbStore(self.storage.folder)
            total = sum(fresh.collections().values())
            fresh.close()
        except Damaged as error:
            return [error.text]
        if total <= OUTGROWN:
            return []
        return [f"{total:,} documents are more than the tinydb engine is made for ({OUTGROWN:,}): run `deskside store move --to sqlite`"]

    # -- writing ----------------------------------------------------------------------------------------

    def insert(self, collection: str, doc: Doc, *, id: str | None = None, op_id: str | None = None) -> Record:
        """A new record."""
        copy, ident = plain(doc), id or uuid.uuid4().hex
        with self.storage.writing():
            done = self._done(op_id)
            if done is not None:
                return done
            old = self.storage.state.tables.get(collection_name(collection), {}).get(ident)
            if old is not None:
                raise Conflict(f"{collection}/{ident} exists", mine=dict(doc), theirs=_copy(old))
            return self._write(collection, ident, 1, copy, op_id)

    def update(self, collection: str, id: str, doc: Doc, *, rev: int | None, op_id: str | None = None) -> Record:
        """Replace, if the rev is the one that was read."""
        copy = plain(doc)
        with self.storage.writing():
            done = self._done(op_id)
            if done is not None:
                return done
            return self._write(collection, id, self._old_rev(collection, id, rev, doc) + 1, copy, op_id)

    def put(self, collection: str, id: str, doc: Doc) -> Record:
        """Insert or replace."""
        copy = plain(doc)
        with self.storage.writing():
            return self._write(collection, id, self._rev(collection, id) + 1, copy, None)

    def delete(self, collection: str, id: str, *, rev: int | None = None) -> None:
        """Remove; the feed keeps a tombstone."""
        with self.storage.writing():
            old = self._old_rev(collection, id, rev, {})
            self.storage.commit([["x", collection, id, old + 1, self.storage.state.seq + 1]])

    def load(self, collection: str, docs: Iterable[tuple[str, Doc]]) -> int:
        """All in one line of the log; a big one becomes a snapshot at once."""
        with self.storage.writing():
            first = self.storage.state.seq
            revs: dict[str, int] = {}
            entries: list[Entry] = []
            for ident, doc in docs:
                revs[ident] = (revs[ident] if ident in revs else self._rev(collection, ident)) + 1
                entries.append(["d", collection, ident, revs[ident], first + len(entries) + 1, plain(doc)])
            if entries:
                self.storage.commit(entries)
            if len(entries) > _SNAPSHOT_AFTER:
                with contextlib.suppress(OSError):  # it is in the log already
                    self.storage.compact()
            return len(entries)

    def next_number(self, name: str, start: int = 1) -> int:
        """Given to one caller only."""
        with self.storage.writing():
            known = self.storage.state.counters.get(name)
            number = start if known is None else known + 1
            self.storage.commit([["n", name, number]])
            return number

    def _rev(self, collection: str, id: str) -> int:
        """The revision of what is there, 0 for nothing."""
        state = self.storage.state
        there = id in state.tables.get(collection_name(collection), {})
        return state.revs[collection][id][0] if there else 0

    def _old_rev(self, collection: str, id: str, rev: int | None, doc: Doc) -> int:
        old = self._rev(collection, id)
        if not old:
            raise NotFound(f"{collection}/{id}")
        if rev is not None and old != rev:
            theirs = _copy(self.storage.state.tables[collection][id])
            raise Conflict(f"{collection}/{id} is at revision {old}, not {rev}", mine=dict(doc), theirs=theirs)
        return old

    def _done(self, op_id: str | None) -> Record | None:
        found = self.storage.state.ops.get(op_id) if op_id is not None else None
        return Record(found[1], found[2], found[3], _copy(found[4])) if found else None

    def _write(self, collection: str, ident: str, rev: int, copy: dict[str, Any], op_id: str | None) -> Record:
        seq = self.storage.state.seq + 1
        entry: Entry = ["d", collection, ident, rev, seq, copy]
        self.storage.commit([entry if op_id is None else [*entry, op_id]])
        return Record(ident, rev, seq, _copy(copy))

    # -- moving -----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Nobody else can write while the block runs."""
        with self.storage.writing():
            yield

    def everything(self) -> Iterator[Entry]:
        """All that is stored, as entries: records, tombstones, counters, and the operations done."""
        self.storage.refresh()
        return self.storage.state.entries()

    def restore(self, entries: Iterable[Entry], seq: int) -> None:
        """Take over what another engine gave, into an empty store."""
        with self.storage.writing():
            for entry in entries:
                self.storage.state.take(entry)
            self.storage.state.settle(seq)
            self.storage.compact()


def _copy(value: Any) -> Any:
    """A deep copy of JSON values: who changes what was read must not change the store. Five times faster than `copy.deepcopy`."""
    return marshal.loads(marshal.dumps(value))
