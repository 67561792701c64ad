"""Full disks, failing disks, torn and damaged files, modes and users: what was there stays, and the sentence is right."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backends.errors import BadConfig, Busy, Damaged, NoSpace
from backends.store import sqlite_pool, tinydb_storage
from backends.store.opening import ENGINES, open_store
from tests.backends.store.processes import PREAMBLE, ROOT, command, run


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size`: a write beyond it is EFBIG, or short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_full_disk_refuses_and_keeps_what_was_there(engine: str, tmp_path: Path) -> None:
    store = open_store(tmp_path, engine)
    store.insert("t", {"a": 1}, id="x")
    with largest_file(60_000):
        for _ in range(2):
            with pytest.raises(NoSpace):
                store.insert("t", {"big": "x" * 500_000}, id="y")
        with pytest.raises(NoSpace):
            store.load("t", ((f"many{n}", {"n": "x" * 1000}) for n in range(3000)))
        assert [record.id for record in store.select("t")] == ["x"] and store.seq() == 1
    again = open_store(tmp_path)
    assert [record.id for record in again.select("t")] == ["x"]
    again.insert("t", {"a": 2}, id="z")
    assert store.count("t") == 2
    again.close()
    store.close()


def test_a_snapshot_that_can_not_be_written_does_not_undo_the_change(tmp_path: Path) -> None:
    store: Any = open_store(tmp_path, "tinydb")
    (store.storage.folder / "snapshot.json.tmp").mkdir()
    assert store.load("t", ((str(n), {"n": n}) for n in range(1500))) == 1500
    store.storage._patience = 0
    assert store.insert("t", {"a": 1}, id="new").rev == 1
    assert not store.storage.snapshot.exists()
    assert open_store(tmp_path).count("t") == 1501
    (store.storage.folder / "snapshot.json.tmp").rmdir()
    store.storage._patience = 0
    store.insert("t", {}, id="newer")
    assert store.storage.snapshot.exists() and store.storage.log.stat().st_size == 0
    assert open_store(tmp_path).count("t") == 1502
    store.close()


@pytest.mark.server
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root to mount a small disk: NOT run")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("limit", ["size=400k", "nr_inodes=5"])
def test_a_disk_that_is_really_full(engine: str, limit: str, tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", limit, "tmpfs", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("a tmpfs can't be mounted here: NOT run")
    try:
        store = None
        stored = 0
        with pytest.raises(NoSpace):
            store = open_store(tmp_path, engine)
            for stored in range(3000):
                store.insert("t", {"text": "x" * 2000}, id=str(stored))
        if limit.startswith("size"):
            assert store is not None and store.count("t") == stored > 5
            subprocess.run(["mount", "-o", "remount,size=8m", str(tmp_path)], check=True)
            store.insert("t", {}, id="room again")
            assert open_store(tmp_path).count("t") == stored + 1
        if store is not None:
            store.close()
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


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
        fresh = open_store(tmp_path)
        assert {record.id for record in fresh.select("t")} == {"whole", "next"} and fresh.check() == []
        again.close()
        fresh.close()
    store.close()


def test_a_last_line_with_lost_pages_is_cut_off(tmp_path: Path) -> None:
    """After a power loss the length may be there and the bytes not."""
    store: Any = open_store(tmp_path, "tinydb")
    store.insert("t", {"a": 1}, id="whole")
    with open(store.storage.log, "ab") as file:
        file.write(b"\0" * 300 + b'"}]]\n')
    again = open_store(tmp_path)
    again.insert("t", {}, id="next")
    assert {record.id for record in store.select("t")} == {"whole", "next"}
    again.close()
    store.close()


def test_damage_in_the_middle_is_said_and_nothing_is_cut(tmp_path: Path) -> None:
    store: Any = open_store(tmp_path, "tinydb")
    for number in range(3):
        store.insert("t", {"n": number}, id=str(number))
    log = store.storage.log
    raw = bytearray(log.read_bytes())
    raw[raw.index(b"\n") + 20] ^= 1
    log.write_bytes(raw)
    fresh = open_store(tmp_path)
    with pytest.raises(Damaged, match=r"log\.jsonl: the line at byte \d+"):
        fresh.insert("t", {}, id="new")
    with pytest.raises(Damaged):
        fresh.select("t")
    assert "damaged" in fresh.check()[0]
    assert log.read_bytes() == raw


@pytest.mark.parametrize("name", ["snapshot.json", "log.jsonl"])
def test_a_lost_or_spoilt_file_is_said(name: str, tmp_path: Path) -> None:
    store: Any = open_store(tmp_path, "tinydb")
    store.load("t", ((str(n), {"n": n}) for n in range(1500)))
    place = store.storage.folder / name
    if name == "log.jsonl":
        place.unlink()
        with pytest.raises(Damaged):
            store.count("t")
        with pytest.raises(Damaged):
            open_store(tmp_path)
    else:
        place.write_text("{}")
        with pytest.raises(Damaged):
            open_store(tmp_path).count("t")


def test_a_spoilt_sqlite_file_is_said(tmp_path: Path) -> None:
    store: Any = open_store(tmp_path, "sqlite")
    store.load("t", ((str(n), {"n": "x" * 500}) for n in range(500)))
    store.close()
    raw = bytearray(store.path.read_bytes())
    raw[8192:200_000] = os.urandom(191_808)
    store.path.write_bytes(raw)
    assert open_store(tmp_path).check() != []
    store.path.write_bytes(b"nonsense" * 1000)
    with pytest.raises(Damaged):
        open_store(tmp_path)


def test_a_failed_fsync_is_taken_back_and_who_read_the_line_already_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = open_store(tmp_path, "tinydb")
    reader: Any = open_store(tmp_path)
    store.insert("t", {"a": 1}, id="kept")

    def failing(descriptor: int) -> None:
        assert reader.get("t", "phantom") is not None  # read between the write and the failure
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", failing)
    with pytest.raises(NoSpace):
        store.insert("t", {"a": 2}, id="phantom")
    monkeypatch.undo()
    assert store.get("t", "phantom") is None and store.seq() == 1
    store.insert("t", {"b": 2, "longer": "than the line that was taken back"}, id="next")
    assert {record.id for record in reader.select("t")} == {"kept", "next"}
    reader.insert("t", {}, id="from the reader")
    assert {record.id for record in open_store(tmp_path).select("t")} == {"kept", "next", "from the reader"}
    store.close()
    reader.close()


FAULT = PREAMBLE + """
store = open_store(folder)
for name in ("a", "b", "c"):
    try:
        store.insert("t", {"text": "x" * 100}, id=name)
        print(name, "stored", flush=True)
    except BackendError as error:
        print(name, type(error).__name__, flush=True)
"""


@pytest.mark.server
@pytest.mark.parametrize(
    ("engine", "fault"),
    [("tinydb", "fdatasync:error=EIO:when=2"), ("tinydb", "pwrite64:retval=10:when=2"), ("tinydb", "pwrite64:error=ENOSPC:when=2"),
     ("sqlite", "fdatasync:error=EIO:when=2"), ("sqlite", "pwrite64:error=ENOSPC:when=4")],
)  # fmt: skip
def test_a_failing_disk_refuses_one_change_and_keeps_the_rest(engine: str, fault: str, tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed: faults of the disk were NOT tried")
    store = open_store(tmp_path, engine)
    store.put("t", "before", {})
    store.close()
    place = tmp_path / "store" / engine / ("log.jsonl" if engine == "tinydb" else "store.sqlite-wal")
    before = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(place), "-e", f"inject={fault}"]
    said = dict(line.split() for line in run(FAULT, tmp_path, before=before).stdout.splitlines())
    assert list(said.values()).count("NoSpace") == 1, said
    again = open_store(tmp_path)
    assert {record.id for record in again.select("t")} == {"before", *(name for name, word in said.items() if word == "stored")}
    assert again.check() == []
    again.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_files_are_shared_with_the_group_whatever_the_umask(engine: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o2770)
    old = os.umask(0o077)
    try:
        store = open_store(tmp_path, engine)
        store.load("t", ((str(n), {"n": n}) for n in range(1500)))
        store.insert("t", {})
        found = {path: path.stat().st_mode for path in (tmp_path / "store", *(tmp_path / "store").rglob("*"))}
    finally:
        os.umask(old)
    assert len(found) >= 4
    for path, mode in found.items():
        assert stat.S_IMODE(mode) == (0o2770 if stat.S_ISDIR(mode) else 0o660), (path, oct(mode))
    store.close()


COLLEAGUE = PREAMBLE + """
os.umask(0o022)
try:
    store = open_store(folder)
    store.index("t", "n" + sys.argv[3])
    store.load("t", ((f"{sys.argv[3]}-{n}", {"n": n}) for n in range(1200)))
    store.update("t", "shared", {"by": sys.argv[3]}, rev=None) if store.get("t", "shared") else store.insert("t", {}, id="shared")
    print(store.count("t"))
    store.close()
except BackendError as error:
    print(type(error).__name__, error.sentence())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become other users: NOT run")
@pytest.mark.parametrize("engine", ENGINES)
def test_two_colleagues_of_a_group_and_a_stranger(engine: str) -> None:
    """Throw-away uids; the code is read through a copy, for the checkout may be closed to them."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        shared, code = Path(name) / "itops", Path(name) / "code"
        shutil.copytree(ROOT / "backends", code / "backends")
        shared.mkdir()
        os.chown(shared, 0, 54242)
        shared.chmod(0o2770)
        if not _person(code, shared, 54003, [], "z").startswith("BadConfig"):
            pytest.skip("the interpreter can't be run by other users here: NOT run")
        assert _person(code, shared, 54001, [54242], "a") == "1201\n"
        assert _person(code, shared, 54002, [54242], "b") == "2401\n"
        assert _person(code, shared, 54001, [54242], "a") == "2401\n"
        refused = _person(code, shared, 54003, [], "z")
        assert "can't be used" in refused and "member of its group" in refused
        for path in (shared / "store").rglob("*"):
            assert path.stat().st_gid == 54242, path


def _person(code: Path, shared: Path, uid: int, groups: list[int], name: str) -> str:
    script = COLLEAGUE.replace("sys.path.insert(0, sys.argv[1])", f"sys.path[:0] = [{str(code)!r}] + {_library()!r}")
    return subprocess.run(
        [_python(), "-c", script, "-", str(shared), name], user=uid, group=uid, extra_groups=groups, cwd="/", capture_output=True,
        text=True, timeout=60,
    ).stdout  # fmt: skip


def _python() -> str:
    return os.path.realpath(shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3")


def _library() -> list[str]:
    """Where the libraries of this environment are, for an interpreter outside of it."""
    import tinydb

    return [str(Path(tinydb.__file__).parent.parent)]


HOLDER = PREAMBLE + """
store = open_store(folder)
with store.frozen():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_stopped_holder_of_the_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tinydb_storage, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(sqlite_pool, "BUSY_SECONDS", 0.2)
    for engine in ENGINES:
        folder = tmp_path / engine
        store: Any = open_store(folder, engine)
        store.put("t", "x", {})
        holder = subprocess.Popen(command(HOLDER, folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert holder.stdout is not None and holder.stdin is not None and holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        other = open_store(folder)
        with pytest.raises(Busy, match=rf"process {holder.pid} \({_login()}\)"):
            other.insert("t", {})
        assert other.count("t") == 1  # reading goes on
        holder.kill()
        holder.communicate()
        assert other.insert("t", {}).rev == 1  # a killed one holds nothing
        store.close()
        other.close()


def _login() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.parametrize("engine", ENGINES)
def test_a_file_in_the_way_is_a_sentence(engine: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(BadConfig, match="not a folder"):
        open_store(tmp_path / "data", engine)
