"""The record store's contract, on both engines: the same suite, many processes, kills, full disks."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import BackendError, BadConfig, Conflict, NoSpace, NotFound
from backends.store.contract import All, AnyOf, Not, Order, Store, Test
from backends.store.opening import ENGINES, move_store, open_store

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def store(engine: str, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path, engine)
    yield opened
    opened.close()


def test_a_record_has_rev_and_seq(store: Store) -> None:
    first = store.insert("t", {"a": 1}, id="x")
    assert (first.rev, first.seq, first.doc) == (1, 1, {"a": 1})
    second = store.update("t", "x", {"a": 2}, rev=1)
    assert (second.rev, second.seq) == (2, 2)
    assert store.get("t", "x") == second
    assert store.get("t", "y") is None
    assert store.seq() == 2


def test_the_optimistic_lock_names_both_sides(store: Store) -> None:
    store.insert("t", {"a": 1}, id="x")
    store.update("t", "x", {"a": 2}, rev=1)
    with pytest.raises(Conflict) as caught:
        store.update("t", "x", {"a": 3}, rev=1)
    assert caught.value.theirs == {"a": 2} and caught.value.mine == {"a": 3}
    with pytest.raises(Conflict):
        store.insert("t", {}, id="x")
    with pytest.raises(NotFound):
        store.update("t", "nobody", {}, rev=None)
    with pytest.raises(Conflict):
        store.delete("t", "x", rev=1)


def test_an_operation_is_done_once(store: Store) -> None:
    first = store.insert("t", {"a": 1}, op_id="op1")
    again = store.insert("t", {"a": 1}, op_id="op1")
    assert again == first and store.count("t") == 1
    done = store.update("t", first.id, {"a": 2}, rev=1, op_id="op2")
    assert store.update("t", first.id, {"a": 2}, rev=1, op_id="op2") == done
    assert store.seq() == 2


def test_the_feed_shows_each_id_once_and_keeps_tombstones(store: Store) -> None:
    store.insert("t", {}, id="a")
    store.insert("u", {}, id="b")
    store.update("t", "a", {"x": 1}, rev=1)
    store.delete("u", "b")
    assert [(item.collection, item.id, item.deleted) for item in store.changes(0)] == [("t", "a", False), ("u", "b", True)]
    assert [item.id for item in store.changes(3)] == ["b"]
    assert [item.id for item in store.changes(0, collection="t")] == ["a"]
    assert store.changes(store.seq()) == []


def test_numbers_are_given_once(store: Store) -> None:
    assert [store.next_number("n", 1001), store.next_number("n", 1001), store.next_number("m")] == [1001, 1002, 1]


DOCS = [
    {"status": "open", "n": 3, "who": {"name": "Ärger"}, "tags": ["a", "b"]},
    {"status": "open", "n": 1, "who": {"name": "bob"}, "tags": []},
    {"status": "new", "n": 2, "who": {"name": "100% done_now"}},
    {"status": None, "who": {"name": "C\\d"}, "tags": ["b"]},
]
CASES = [
    (Test("status", "eq", "open"), {0, 1}), (Test("status", "ne", "open"), {2, 3}), (Test("status", "eq", None), {3}), (Test("n", "eq", None), {3}),
    (Test("n", "lt", 3), {1, 2}), (Test("n", "ge", 2), {0, 2}), (Test("status", "any", ("new", None)), {2, 3}), (Test("status", "any", ()), set()),
    (Test("who.name", "has", "BO"), {1}), (Test("who.name", "has", "ÄR"), {0}), (Test("who.name", "has", "0%"), {2}), (Test("who.name", "has", "e_n"), {2}),
    (Test("who.name", "has", "\\"), {3}), (Test("tags", "member", "b"), {0, 3}), (Not(Test("n", "lt", 3)), {0, 3}), (AnyOf(()), set()), (All(()), {0, 1, 2, 3}),
    (All((Test("status", "eq", "open"), Not(Test("n", "gt", 2)))), {1}), (AnyOf((Test("n", "eq", 1), Test("tags", "member", "a"))), {0, 1}),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(CASES)))
def test_conditions(store: Store, number: int) -> None:
    for place, doc in enumerate(DOCS):
        store.insert("t", doc, id=str(place))
    where, expected = CASES[number]
    assert {int(record.id) for record in store.select("t", where)} == expected
    assert store.count("t", where) == len(expected)


@pytest.mark.parametrize("descending", [False, True])
def test_pages_sorts_and_positions_agree(store: Store, descending: bool) -> None:
    store.index("t", "n", "status,n")
    numbers = [5, None, 3, 5, 1, None, 2, 3]
    store.load("t", [(f"id{place}", {"n": n, "status": "a" if place % 2 else "b"}) for place, n in enumerate(numbers)])
    order = [Order("n", descending)]
    whole = [record.id for record in store.select("t", All(), order)]
    values = [numbers[int(ident[2:])] for ident in whole]
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=descending) and values[-2:] == [None, None]
    paged = [record.id for start in range(0, 8, 3) for record in store.select("t", All(), order, offset=start, limit=3)]
    assert paged == whole
    assert [store.position("t", ident, All(), order) for ident in whole] == list(range(8))
    assert store.position("t", "id0", Test("status", "eq", "a"), order) is None


def test_only_the_fields_asked_for(store: Store) -> None:
    store.insert("t", {"a": 1, "b": {"c": True}, "d": "x"}, id="1")
    assert store.select("t", fields=["b", "z"])[0].doc == {"b": {"c": True}}


def test_what_is_stored_is_not_what_the_caller_changes_later(store: Store) -> None:
    doc: dict[str, Any] = {"a": [1]}
    store.insert("t", doc, id="1")
    doc["a"].append(2)
    assert store.get("t", "1").doc == {"a": [1]}  # type: ignore[union-attr]


def test_two_handles_see_each_other(engine: str, tmp_path: Path) -> None:
    one, two = open_store(tmp_path, engine), open_store(tmp_path)
    one.insert("t", {"a": 1}, id="x")
    assert two.get("t", "x").doc == {"a": 1}  # type: ignore[union-attr]
    two.update("t", "x", {"a": 2}, rev=1)
    assert one.get("t", "x").rev == 2  # type: ignore[union-attr]
    one.load("t", ((str(n), {"n": n}) for n in range(2000)))
    assert two.count("t") == 2001


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from("ipdu"), st.integers(0, 4), st.integers(0, 99)), max_size=30))
@pytest.mark.parametrize("name", ENGINES)
def test_it_is_a_dictionary(name: str, steps: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory) -> None:
    store = open_store(tmp_path_factory.mktemp("s"), name)
    model: dict[str, int] = {}
    for step, key, value in steps:
        ident = f"k{key}"
        try:
            if step == "i":
                store.insert("t", {"v": value}, id=ident)
                assert ident not in model
                model[ident] = value
            elif step == "p":
                store.put("t", ident, {"v": value})
                model[ident] = value
            elif step == "u":
                store.update("t", ident, {"v": value}, rev=None)
                assert ident in model
                model[ident] = value
            else:
                store.delete("t", ident)
                assert model.pop(ident, None) is not None
        except (Conflict, NotFound):
            assert (step == "i") == (ident in model)
    store.close()
    again = open_store(store_folder(store))
    assert {record.id: record.doc["v"] for record in again.select("t")} == model
    again.close()


def store_folder(store: Any) -> Path:
    inside = store.path.parent if store.engine == "sqlite" else store.storage.folder
    return Path(inside).parent.parent


WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from backends.store.opening import open_store
store = open_store(Path(sys.argv[2]))
for n in range(int(sys.argv[4])):
    store.insert("t", {"w": sys.argv[3], "n": n}, id=f"{sys.argv[3]}-{n}")
    if len(sys.argv) > 5:
        print(n, flush=True)
"""


def _writer(folder: Path, name: str, count: int, talk: bool = False) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", WRITER, str(ROOT), str(folder), name, str(count)] + (["talk"] if talk else [])
    return subprocess.Popen(argv, stdout=subprocess.PIPE if talk else None, text=True)


@pytest.mark.slow
def test_eight_processes_lose_nothing(engine: str, tmp_path: Path) -> None:
    open_store(tmp_path, engine).close()
    writers = [_writer(tmp_path, f"w{number}", 250) for number in range(8)]
    assert [writer.wait(120) for writer in writers] == [0] * 8
    store = open_store(tmp_path)
    assert store.count("t") == 2000 and store.seq() == 2000
    assert len({item.seq for item in store.changes(0, limit=5000)}) == 2000


@pytest.mark.slow
def test_a_kill_at_random_loses_nothing_that_was_said_to_be_written(engine: str, tmp_path: Path) -> None:
    open_store(tmp_path, engine).close()
    chance = random.Random(7)
    for number in range(6):
        writer = _writer(tmp_path, f"w{number}", 100_000, talk=True)
        assert writer.stdout is not None
        said = -1
        for _ in range(chance.randrange(1, 120)):
            said = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
        said = max([said, *[int(line) for line in rest[:-1] if line]])
        writer.wait()
        store = open_store(tmp_path)
        assert store.get("t", f"w{number}-{said}") is not None
        assert store.check() == []
        store.insert("after", {"n": number}, id=str(number))
        store.close()


def test_a_torn_last_line_is_cut_off_at_every_byte(tmp_path: Path) -> None:
    store: Any = open_store(tmp_path, "tinydb")
    store.insert("t", {"a": 1}, id="whole")
    size = store.storage.log.stat().st_size
    store.insert("t", {"a": "é" * 5}, id="torn")
    line = store.storage.log.read_bytes()
    for cut in range(size, len(line)):
        store.storage.log.write_bytes(line[:cut])
        again: Any = open_store(tmp_path)
        assert [record.id for record in again.select("t")] == ["whole"]
        again.insert("t", {}, id="next")
        assert {record.id for record in open_store(tmp_path).select("t")} == {"whole", "next"}


def test_a_full_disk_refuses_and_keeps_what_was_there(engine: str, tmp_path: Path) -> None:
    store = open_store(tmp_path, engine)
    store.insert("t", {"a": 1}, id="x")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
        with pytest.raises(NoSpace):
            store.insert("t", {"big": "x" * 500_000}, id="y")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    again = open_store(tmp_path)
    assert [record.id for record in again.select("t")] == ["x"]
    again.insert("t", {"a": 2}, id="z")
    assert again.count("t") == 2


def test_files_are_shared_with_the_group_whatever_the_umask(engine: str, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        store = open_store(tmp_path, engine)
        store.load("t", ((str(n), {"n": n}) for n in range(1500)))
    finally:
        os.umask(old)
    files = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o660 == 0o660 for path in files), {path.name: oct(path.stat().st_mode) for path in files}


def test_a_newer_store_is_refused(engine: str, tmp_path: Path) -> None:
    open_store(tmp_path, engine).close()
    (tmp_path / "store/meta.json").write_text(json.dumps({"format": 99, "engine": engine}))
    with pytest.raises(BadConfig, match="newer"):
        open_store(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_a_sentence(engine: str, tmp_path: Path) -> None:
    tmp_path.chmod(0)
    try:
        with pytest.raises(BackendError):
            open_store(tmp_path / "in", engine)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("to", ENGINES)
def test_moving_carries_everything_over(to: str, tmp_path: Path) -> None:
    start = next(name for name in ENGINES if name != to)
    store = open_store(tmp_path, start)
    store.insert("t", {"a": 1}, id="x", op_id="op")
    store.update("t", "x", {"a": 2}, rev=1)
    store.insert("t", {}, id="gone")
    store.delete("t", "gone")
    store.next_number("n", 500)
    feed = store.changes(0)
    moved = move_store(tmp_path, to)
    assert moved.collections == {"t": 1} and moved.backup.exists()
    new = open_store(tmp_path)
    assert new.engine == to and new.changes(0) == feed and new.seq() == 4
    assert new.next_number("n", 1) == 501
    assert new.insert("t", {"a": 1}, op_id="op").rev == 1 and new.count("t") == 1
    with pytest.raises(BadConfig, match="already"):
        move_store(tmp_path, to)


def test_the_default_engine_says_when_it_is_outgrown(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    assert store.engine == "tinydb" and store.check() == []
    store.load("t", ((str(n), {"n": n}) for n in range(10_001)))
    assert "store move --to sqlite" in store.check()[0]


def test_tinydbs_own_query_language_works(tmp_path: Path) -> None:
    from tinydb import where

    store: Any = open_store(tmp_path, "tinydb")
    store.insert("t", {"a": 1}, id="x")
    store.insert("t", {"a": 2}, id="y")
    assert [row["id"] for row in store.db.table("t").search(where("doc").a == 2)] == ["y"]


def test_a_stopped_lock_holder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.store import tinydb_storage

    monkeypatch.setattr(tinydb_storage, "LOCK_SECONDS", 0.2)
    store: Any = open_store(tmp_path, "tinydb")
    other: Any = open_store(tmp_path, "tinydb")
    with store.storage.writing():
        started = time.monotonic()
        with pytest.raises(BackendError, match=str(os.getpid())):
            other.insert("t", {})
        assert time.monotonic() - started < 3
