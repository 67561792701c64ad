"""The record store's contract: JSON documents in named collections, safe for many processes at once.

Every document has `rev` (1 on creation, +1 a change: the optimistic lock). Every change has a `seq`, one counter for the
whole store (the change feed). A write may carry an `op_id`: repeating it is a no-op that returns what it made the first
time. Methods are synchronous and short; callers on an event loop use `backends.threads.in_thread`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

Doc = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """A stored document: its key, revision, the seq of its last change, and the document itself (do not change it)."""

    id: str
    rev: int
    seq: int
    doc: Doc


@dataclass(frozen=True, slots=True)
class Test:
    """One condition on a field ("status" or nested "requester.name").

    `has` = the value holds the text, ignoring case; `any` = value is one of a tuple; None compares as missing;
    eq/ne/lt/le/gt/ge compare JSON scalars of one type (a missing field fails all but `ne` and `eq None`);
    `member` = the list field holds the value.
    """

    __test__: ClassVar[bool] = False  # pytest collects classes of this name
    field: str
    op: Literal["eq", "ne", "lt", "le", "gt", "ge", "has", "any", "member"]
    value: Any


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; `All(())` is true."""

    parts: tuple[Where, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; `AnyOf(())` is false."""

    parts: tuple[Where, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Where


Where = Test | All | AnyOf | Not


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a field; missing values last in either direction. The id is always the last key, so pages are stable."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Feed:
    """One entry of the change feed. A collection's feed shows each id once, with its newest seq."""

    seq: int
    collection: str
    id: str
    rev: int
    deleted: bool


@runtime_checkable
class Store(Protocol):
    """An opened store. `engine` is its name; `format` the number of its layout on disk.

    Errors: Conflict (rev moved on; `theirs` = the document now), NotFound (`update`/`delete` of nothing), NoSpace (ENOSPC, EFBIG,
    EIO, read-only: the old state stands), Busy (lock not had in 5 s; says the holder's pid), Damaged, BadConfig (folder can't be
    read, store of a newer format).
    """

    engine: str

    def close(self) -> None:
        """Let go of the files."""

    def index(self, collection: str, *fields: str) -> None:
        """Declare fields (or "a,b" pairs: filter by a, sort by b) that are filtered or sorted by. Idempotent and cheap when known."""

    def get(self, collection: str, id: str) -> Record | None:
        """The record, or None."""

    def insert(self, collection: str, doc: Doc, *, id: str | None = None, op_id: str | None = None) -> Record:
        """A new record; without `id` one is made (uuid4 hex). Conflict when the id is taken."""

    def update(self, collection: str, id: str, doc: Doc, *, rev: int | None, op_id: str | None = None) -> Record:
        """Replace the document if its rev is `rev` (None = whatever it is)."""

    def put(self, collection: str, id: str, doc: Doc) -> Record:
        """Insert or replace without a check: for records of one writer (settings, drafts)."""

    def delete(self, collection: str, id: str, *, rev: int | None = None) -> None:
        """Remove it; the feed keeps a tombstone."""

    def load(self, collection: str, docs: Iterable[tuple[str, Doc]]) -> int:
        """Many inserts-or-replaces in one durable step (import, seeding, move); the number loaded."""

    def next_number(self, name: str, start: int = 1) -> int:
        """The next value of a named counter, given to one caller only; the first is `start`."""

    def select(
        self, collection: str, where: Where = All(), order: Sequence[Order] = (), *, offset: int = 0, limit: int | None = None,
        fields: Sequence[str] | None = None,
    ) -> list[Record]:
        """A window of the matching records. With `fields`, documents hold only those (top-level) fields: nothing else is loaded."""

    def count(self, collection: str, where: Where = All()) -> int:
        """How many match, without loading them."""

    def tally(self, collection: str, where: Where, *fields: str) -> dict[tuple[str | int | float | None, ...], int]:
        """How many match, by the values of these fields, without loading them: {("Network", "new"): 12, ...}."""

    def position(self, collection: str, id: str, where: Where = All(), order: Sequence[Order] = ()) -> int | None:
        """The offset of a record in that list, or None: the cursor stays on its record when the list moves."""

    def seq(self) -> int:
        """The newest seq; cheap enough to be asked for each second."""

    def changes(self, since: int, *, collection: str | None = None, limit: int = 1000) -> list[Feed]:
        """What changed after `since`, oldest first."""

    def collections(self) -> dict[str, int]:
        """Name -> number of records."""

    def check(self) -> list[str]:
        """Sentences about what is wrong or outgrown ("12,400 documents: ... `deskside store move --to sqlite`"); empty when all is well."""
