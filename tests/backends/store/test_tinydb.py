"""The `tinydb` engine: TinyDB's own interface on the shared tables, the log, its snapshots, and how others notice them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tinydb import Query, where
from tinydb.operations import increment

from backends.store import tinydb_storage
from backends.store.contract import All, Order
from backends.store.opening import open_store


@pytest.fixture
def store(tmp_path: Path) -> Any:
    return open_store(tmp_path, "tinydb")


def test_tinydbs_queries_see_the_documents(store: Any) -> None:
    store.insert("t", {"a": 1, "who": {"name": "Ann"}}, id="x")
    store.insert("t", {"a": 2, "who": {"name": "Bob"}}, id="y")
    table = store.db.table("t")
    assert [row.doc_id for row in table.search(where("a") == 2)] == ["y"]
    assert table.get(Query().who.name.matches("A"))["a"] == 1
    assert table.get(doc_id="x")["a"] == 1 and len(table) == 2 and {row["a"] for row in table} == {1, 2}


def test_what_tinydb_writes_has_revisions_and_a_feed(store: Any, tmp_path: Path) -> None:
    table = store.db.table("t")
    ident = table.insert({"n": 1})
    table.insert_multiple([{"n": 2}, {"n": 3}])
    table.update(increment("n"), where("n") == 1)
    table.upsert({"n": 9, "k": 1}, where("n") == 9)
    table.remove(where("n") == 3)
    assert sorted(row["n"] for row in table) == [2, 2, 9]
    other = open_store(tmp_path)
    record = other.get("t", ident)
    assert record is not None and record.rev == 2 and record.doc == {"n": 2}
    assert [item.deleted for item in other.changes(0)].count(True) == 1
    table.truncate()
    assert other.count("t") == 0 and other.seq() == 9
    store.insert("u", {}, id="a")
    store.db.drop_tables()
    assert other.collections() == {}


def test_two_tinydb_handles_lose_nothing(store: Any, tmp_path: Path) -> None:
    other: Any = open_store(tmp_path)
    for number in range(20):
        store.db.table("t").insert({"n": number})
        other.db.table("t").insert({"n": -number})
    assert len(store.db.table("t")) == len(other.db.table("t")) == 40


def test_others_notice_snapshots_whatever_their_inode(store: Any, tmp_path: Path) -> None:
    """A file system gives a freed inode number to the next file: two snapshots later a log may have the old number."""
    other: Any = open_store(tmp_path)
    for number in range(30):
        store.insert("t", {"n": number}, id=str(number))
        assert other.count("t") == number + 1
        for _ in range(number % 3):
            with store.storage.writing():
                store.storage.compact()
    other.insert("t", {}, id="other")
    assert store.count("t") == 31 and open_store(tmp_path).check() == []


def test_the_log_becomes_a_snapshot_in_time(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tinydb_storage, "COMPACT_BYTES", 20_000)
    store.storage._patience = 20_000
    other = open_store(tmp_path)
    largest = 0
    for number in range(600):
        store.put("t", f"id{number % 7}", {"n": number, "text": "x" * 100})
        largest = max(largest, store.storage.log.stat().st_size)
    assert largest < 25_000 and store.storage.snapshot.stat().st_size < 3_000
    assert other.count("t") == 7 and other.seq() == 600
    found = other.get("t", "id0")
    assert found is not None and found.rev == 86


def test_a_snapshot_keeps_operations_counters_and_tombstones(store: Any, tmp_path: Path) -> None:
    first = store.insert("t", {"n": 1}, id="a", op_id="kept")
    old = store.insert("t", {"n": 1}, id="b", op_id="changed")
    store.update("t", "b", {"n": 2}, rev=1)
    store.insert("t", {}, id="gone")
    store.delete("t", "gone")
    store.next_number("n", 7)
    with store.storage.writing():
        store.storage.compact()
    fresh = open_store(tmp_path)
    assert fresh.insert("t", {}, op_id="kept") == first and fresh.insert("t", {}, op_id="changed") == old
    assert fresh.next_number("n") == 8 and fresh.changes(0) == store.changes(0) and fresh.seq() == 5


def test_what_was_read_may_be_changed(store: Any) -> None:
    store.insert("t", {"tags": ["a"]}, id="x")
    store.get("t", "x").doc["tags"].append("b")
    store.select("t", All(), [Order("tags")])[0].doc["tags"].append("b")
    assert store.get("t", "x").doc == {"tags": ["a"]}


def test_it_says_when_it_is_outgrown(store: Any) -> None:
    store.load("t", ((str(n), {"n": n}) for n in range(10_000)))
    assert store.check() == []
    store.insert("t", {})
    assert "10,001 documents" in store.check()[0] and "store move --to sqlite" in store.check()[0]


def test_a_closed_store_opens_itself_again(store: Any) -> None:
    store.insert("t", {}, id="x")
    store.close()
    assert store.count("t") == 1
