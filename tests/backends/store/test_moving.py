"""Moving a store to another engine: everything is carried over, compared, and switched at one moment."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from backends.errors import BackendError, BadConfig, Busy, Damaged, Refused
from backends.store import moving, sqlite_pool, tinydb_storage
from backends.store.contract import Store
from backends.store.opening import ENGINES, move_store, open_store
from tests.backends.store.processes import PREAMBLE, ROOT, run

PAIRS = [(name, other) for name in ENGINES for other in ENGINES if name != other]
pytestmark = pytest.mark.parametrize(("start", "to"), PAIRS)


def _filled(folder: Path, engine: str) -> Store:
    store = open_store(folder, engine)
    store.insert("t", {"a": 1}, id="x", op_id="op")
    store.update("t", "x", {"a": 2, "text": "ä\ud800"}, rev=1)
    store.insert("t", {}, id="gone")
    store.delete("t", "gone")
    store.insert("u", {"n": None}, id="x", op_id="op2")
    store.next_number("n", 500)
    return store


def test_everything_is_carried_over(start: str, to: str, tmp_path: Path) -> None:
    store = _filled(tmp_path, start)
    feed = store.changes(0)
    said: list[str] = []
    moved = move_store(tmp_path, to, said.append)
    assert moved.collections == {"t": 1, "u": 1} and moved.backup.is_dir() and "the same in both" in " ".join(said)
    new = open_store(tmp_path)
    assert new.engine == to and new.changes(0) == feed and new.seq() == 5
    found = new.get("t", "x")
    assert found is not None and (found.rev, found.seq, found.doc["text"]) == (2, 2, "ä\ud800")
    assert new.next_number("n", 1) == 501
    assert new.insert("t", {"a": 1}, op_id="op").rev == 1 and new.count("t") == 1
    with pytest.raises(BadConfig, match="already"):
        move_store(tmp_path, to)
    with pytest.raises(BadConfig, match=rf"store move --to {start}|{start}"):
        open_store(tmp_path, start)


def test_there_and_back_again(start: str, to: str, tmp_path: Path) -> None:
    _filled(tmp_path, start).close()
    first = move_store(tmp_path, to)
    second = move_store(tmp_path, start)
    third = move_store(tmp_path, to)
    assert len({first.backup, second.backup, third.backup}) == 3 and all(item.backup.is_dir() for item in (first, second, third))
    assert open_store(tmp_path).collections() == {"t": 1, "u": 1}


def test_an_open_console_does_not_write_into_the_backup(start: str, to: str, tmp_path: Path) -> None:
    old = _filled(tmp_path, start)
    move_store(tmp_path, to)
    with pytest.raises(Refused, match=f"moved to {to}"):
        old.insert("t", {}, id="late")
    with pytest.raises(Refused):
        old.seq()
    assert open_store(tmp_path).get("t", "late") is None


def test_who_writes_meanwhile_waits_and_is_told(start: str, to: str, tmp_path: Path) -> None:
    old = _filled(tmp_path, start)
    told: list[BackendError] = []

    def late() -> None:
        try:
            old.insert("t", {}, id="late")
        except BackendError as error:
            told.append(error)

    writer = threading.Thread(target=late)

    def progress(text: str) -> None:
        if text == "comparing":
            writer.start()

    move_store(tmp_path, to, progress)
    writer.join(20)
    assert [type(error) for error in told] == [Refused]
    assert open_store(tmp_path).get("t", "late") is None


def test_a_move_waits_for_a_writer_and_gives_up(start: str, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tinydb_storage, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(sqlite_pool, "BUSY_SECONDS", 0.1)
    old: Any = _filled(tmp_path, start)
    with old.frozen(), pytest.raises(Busy):
        move_store(tmp_path, to)
    assert open_store(tmp_path).engine == start and not (tmp_path / "store" / to).exists()


def test_a_copy_that_differs_is_not_switched_to(start: str, to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _filled(tmp_path, start).close()
    carry = moving._carry_over

    def careless(old: Any, new: Any, progress: Any) -> None:
        carry(old, new, progress)
        new.put("t", "x", {"a": 3})

    monkeypatch.setattr(moving, "_carry_over", careless)
    with pytest.raises(Damaged, match=r"differs in \d+ entries, the first is t/x"):
        move_store(tmp_path, to)
    store = open_store(tmp_path)
    assert store.engine == start and store.collections() == {"t": 1, "u": 1}
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == sorted(["meta.json", start])


KILLED = PREAMBLE + """
from backends.store.opening import move_store
def progress(text):
    if sys.argv[4] in text:
        os.kill(os.getpid(), 9)
move_store(folder, sys.argv[3], progress)
"""


@pytest.mark.parametrize("moment", ["carried over", "comparing", "the same", "switched"])
def test_a_kill_leaves_one_whole_store(start: str, to: str, moment: str, tmp_path: Path) -> None:
    feed = _filled(tmp_path, start).changes(0)
    assert run(KILLED, tmp_path, to, moment).returncode == -signal.SIGKILL
    store = open_store(tmp_path)
    assert store.engine == (to if moment == "switched" else start) and store.changes(0) == feed and store.check() == []
    store.close()
    assert move_store(tmp_path, start if moment == "switched" else to).collections == {"t": 1, "u": 1}


def test_a_kill_between_the_copy_and_the_switch_leaves_one_whole_store(start: str, to: str, tmp_path: Path) -> None:
    feed = _filled(tmp_path, start).changes(0)
    before = "from backends.store.meta import Meta\nMeta.switch = lambda *_: os.kill(os.getpid(), 9)\n"
    script = KILLED.replace("move_store(folder", before + "move_store(folder")
    assert run(script, tmp_path, to, "never").returncode == -signal.SIGKILL
    store = open_store(tmp_path)
    assert store.engine == start and store.changes(0) == feed
    store.close()
    assert move_store(tmp_path, to).collections == {"t": 1, "u": 1}
    assert open_store(tmp_path).changes(0) == feed


def test_the_command(start: str, to: str, tmp_path: Path) -> None:
    _filled(tmp_path, start).close()

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "console", "--data", str(tmp_path), "store", *words]
        home = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, cwd=ROOT, env=home)

    known = json.loads(call("info", "--json").stdout)["item"]
    assert known["engine"] == start and known["documents"] == 2
    assert call("check").returncode == 0
    done = call("move", "--to", to)
    assert done.returncode == 0, done.stderr
    assert json.loads(call("info", "--json").stdout)["item"]["engine"] == to
    again = call("move", "--to", to)
    assert again.returncode == 2 and "already" in again.stderr
