"""What a `tinydb` store holds in memory, and the entries of its log. No files here.

Entries: ["d", collection, id, rev, seq, document, op_id?] written, ["x", collection, id, rev, seq] removed,
["n", name, value] a counter. Replaying an entry that the state has already seen changes nothing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

from backends.store.values import dump

Entry = list[Any]
OPS_KEPT = 5_000


class State:
    """Tables as TinyDB has them (id -> document), and beside them each id's [rev, seq, deleted], oldest change first."""

    def __init__(self) -> None:
        self.seq = 0
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self.revs: dict[str, dict[str, list[int]]] = {}
        self.counters: dict[str, int] = {}
        self.ops: dict[str, list[Any]] = {}
        """Operation -> [collection, id, rev, seq, document]."""

    def apply(self, entry: Entry) -> None:
        """One entry of the log."""
        if entry[0] == "n":
            self.counters[entry[1]] = max(entry[2], self.counters.get(entry[1], entry[2]))
            return
        kind, collection, ident, rev, seq = entry[:5]
        if seq <= self.seq:
            return
        self.seq = seq
        self._place(kind, collection, ident, rev, seq, entry[5] if kind == "d" else {})
        if kind == "d" and len(entry) > 6:
            self.ops[entry[6]] = [collection, ident, rev, seq, entry[5]]
            if len(self.ops) > OPS_KEPT:
                del self.ops[next(iter(self.ops))]

    def _place(self, kind: str, collection: str, ident: str, rev: int, seq: int, doc: dict[str, Any]) -> None:
        table, revs = self.tables.setdefault(collection, {}), self.revs.setdefault(collection, {})
        revs.pop(ident, None)  # to the end: the feed reads from there
        revs[ident] = [rev, seq, int(kind == "x")]
        if kind == "x":
            table.pop(ident, None)
        else:
            table[ident] = doc

    def take(self, entry: Entry) -> None:
        """One entry of another engine, where seqs come in any order."""
        if entry[0] == "o":
            self.ops[entry[1]] = list(entry[2:])
        elif entry[0] == "n":
            self.apply(entry)
        else:
            kind, collection, ident, rev, seq = entry[:5]
            self._place(kind, collection, ident, rev, seq, entry[5] if kind == "d" else {})

    def settle(self, seq: int) -> None:
        """After the last `take`: the feed's order, and the newest seq."""
        self.seq = seq
        self.revs = {name: dict(sorted(revs.items(), key=lambda item: item[1][1])) for name, revs in self.revs.items()}

    def entries(self) -> Iterator[Entry]:
        """All of it as entries for another engine."""
        for name in sorted(self.revs):
            for ident, (rev, seq, deleted) in self.revs[name].items():
                yield ["x", name, ident, rev, seq] if deleted else ["d", name, ident, rev, seq, self.tables[name][ident]]
        yield from (["n", name, value] for name, value in sorted(self.counters.items()))
        yield from (["o", op, *done] for op, done in self.ops.items())

    def difference(self, name: str, after: dict[str, dict[str, Any]]) -> list[Entry]:
        """The entries that make `after` of a table."""
        before, revs, seq = self.tables.get(name, {}), self.revs.get(name, {}), self.seq
        found: list[Entry] = []
        for ident in [*before, *(new for new in after if new not in before)]:
            if ident in after and after[ident] == before.get(ident):
                continue
            seq += 1
            rev = revs[ident][0] + 1 if ident in before else 1
            found.append(["d", name, ident, rev, seq, after[ident]] if ident in after else ["x", name, ident, rev, seq])
        return found

    def to_bytes(self) -> bytes:
        """The snapshot. A document that an operation left as it is now is not written twice."""
        ops = {op: done[:4] if self.revs[done[0]][done[1]][1] == done[3] else done for op, done in self.ops.items()}
        return dump({"seq": self.seq, "counters": self.counters, "tables": self.tables, "revs": self.revs, "ops": ops}).encode()

    @classmethod
    def from_bytes(cls, raw: bytes) -> State:
        """The inverse of `to_bytes`; ValueError for anything else."""
        state = cls()
        try:
            held = json.loads(raw)
            state.seq, state.counters, state.tables = held["seq"], held["counters"], held["tables"]
            state.revs = held["revs"]
            for op, done in held["ops"].items():
                state.ops[op] = done if len(done) > 4 else [*done, state.tables[done[0]][done[1]]]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a snapshot: {error!r}") from None
        return state


def encode(entries: list[Entry]) -> bytes:
    """One line of the log: a checksum and the entries."""
    body = dump(entries).encode()
    return b"%08x " % zlib.crc32(body) + body + b"\n"


def decode(line: bytes) -> list[Entry] | None:
    """The entries of a line without its newline, or None when it is not whole."""
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]) or line[8:9] != b" ":
            return None
        entries: list[Entry] = json.loads(line[9:])
    except ValueError:
        return None
    return entries
