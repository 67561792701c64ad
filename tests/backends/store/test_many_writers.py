"""Many processes on one store, and processes that are killed: nothing that was said to be stored is lost."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from backends.store.opening import ENGINES, open_store
from tests.backends.store.processes import INSERTS, PREAMBLE, start
from tests.warm import Warm

pytestmark = pytest.mark.parametrize("engine", ENGINES)

INCREMENTS = PREAMBLE + """
from backends.errors import Conflict
store = open_store(folder)
for n in range(int(sys.argv[3])):
    while True:
        record = store.get("t", "sum")
        try:
            store.update("t", "sum", {"n": record.doc["n"] + 1}, rev=record.rev)
            break
        except Conflict:
            pass
    print(store.next_number("ticket"))
"""


@pytest.mark.slow
def test_eight_writers_lose_nothing(engine: str, tmp_path: Path) -> None:
    open_store(tmp_path, engine).close()
    writers = [start(INSERTS, tmp_path, f"w{number}", "250") for number in range(8)]
    assert [writer.wait(120) for writer in writers] == [0] * 8
    store = open_store(tmp_path)
    assert store.count("t") == 2000 and store.seq() == 2000
    feed = store.changes(0, limit=5000)
    assert [item.seq for item in feed] == list(range(1, 2001)) and len({item.id for item in feed}) == 2000
    assert store.check() == []
    for number in range(8):
        own = [record.doc["n"] for record in store.select("t") if record.doc["w"] == f"w{number}"]
        assert sorted(own) == list(range(250))
    store.close()


@pytest.mark.slow
def test_writers_of_one_record_lose_no_update_and_numbers_are_given_once(engine: str, tmp_path: Path) -> None:
    store = open_store(tmp_path, engine)
    store.insert("t", {"n": 0}, id="sum")
    writers = [start(INCREMENTS, tmp_path, "50", talk=True) for _ in range(4)]
    given = [int(line) for writer in writers for line in writer.communicate(timeout=120)[0].split()]
    last = store.get("t", "sum")
    assert last is not None and last.doc["n"] == 200 and last.rev == 201
    assert sorted(given) == list(range(1, 201))
    store.close()


@pytest.mark.slow
def test_two_that_start_at_once_make_one_store(engine: str, tmp_path: Path) -> None:
    script = PREAMBLE + "store = open_store(folder, sys.argv[3])\nstore.insert('t', {}, id=sys.argv[4])\n"
    starters = [start(script, tmp_path, engine, str(number)) for number in range(6)]
    assert [starter.wait(60) for starter in starters] == [0] * 6
    store = open_store(tmp_path)
    assert store.count("t") == 6 and not list((tmp_path / "store").glob("*.tmp"))
    store.close()


@pytest.mark.slow
def test_a_kill_at_random_loses_nothing_that_was_said_to_be_stored(engine: str, tmp_path: Path) -> None:
    open_store(tmp_path, engine).close()
    chance = random.Random(7)
    for number in range(6):
        writer = start(INSERTS, tmp_path, f"w{number}", "100000", "talk", talk=True)
        assert writer.stdout is not None
        said = -1
        for _ in range(chance.randrange(1, 120)):
            said = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split("\n")
        said = max([said, *[int(line) for line in rest[:-1] if line]])
        writer.wait()
        store = open_store(tmp_path)
        assert {record.doc["n"] for record in store.select("t") if record.doc["w"] == f"w{number}"} >= set(range(said + 1))
        assert store.check() == []
        assert store.insert("t", {}, op_id=f"op-w{number}-{said}").id == f"w{number}-{said}"  # the operation is known too
        store.close()


IMPORTS = """
import sys
from pathlib import Path
from backends.store import sqlite, tinydb_storage
from backends.store.opening import open_store
"""
SWEPT = """
folder = Path(sys.argv[1])
tinydb_storage.COMPACT_BYTES = 150
store = open_store(folder)
for n in range(4):
    store.insert("t", {"n": n, "text": "x" * 60}, id=str(n))
    print(n, flush=True)
store.update("t", "0", {"n": 0, "again": True}, rev=1)
print("updated", flush=True)
store.close()
"""
CALLS = ("openat", "pwrite64", "write", "ftruncate", "fdatasync", "fsync", "rename", "unlink", "fchmod", "flock", "close", "fcntl")
SQLITE = ("store.sqlite", "store.sqlite-wal", "store.sqlite-shm")
FILES = ("lock", "log.jsonl", "log.jsonl.tmp", "snapshot.json", "snapshot.json.tmp", *SQLITE, "")


@pytest.mark.server
@pytest.mark.slow
def test_a_kill_at_each_system_call(engine: str, tmp_path: Path) -> None:
    """The writer opens, writes, compacts and closes; it is killed at its first, second, ... n-th call of each kind on the store's files."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: the sweep over the system calls was NOT run")
    start_folder, folder = tmp_path / "start", tmp_path / "run"
    open_store(start_folder, engine).close()
    paths = [word for name in FILES for word in ("-P", str(folder / "store" / engine / name).rstrip("/"))]
    kills = 0
    with Warm(IMPORTS, SWEPT) as warm:
        for call in CALLS:
            for number in range(1, 100):
                shutil.copytree(start_folder, folder)
                done = warm.run(str(folder), strace=["-e", f"inject={call}:signal=SIGKILL:when={number}", *paths])
                assert done.returncode in (0, -signal.SIGKILL), done.stderr
                _whole(folder, done.stdout.split(), f"{call} {number}")
                shutil.rmtree(folder)
                if done.returncode == 0:
                    break
                kills += 1
    assert kills > 40, f"only {kills} kills: the sweep has missed the store"


def _whole(folder: Path, said: list[str], where: str) -> None:
    """All that was said is there, at most one more, and the store goes on."""
    store = open_store(folder)
    found = {record.id: record for record in store.select("t")}
    numbers = {word for word in said if word.isdigit()}
    assert numbers <= set(found) and len(found) <= len(numbers) + 1, (where, said, sorted(found))
    assert "updated" not in said or found["0"].doc.get("again"), where
    assert store.check() == [], where
    assert store.seq() == max([item.seq for item in store.changes(0)], default=0) == sum(record.rev for record in found.values()), where
    store.insert("t", {}, id="after")
    store.close()
    again = open_store(folder)
    assert again.get("t", "after") is not None, where
    again.close()
