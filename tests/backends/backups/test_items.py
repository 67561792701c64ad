"""The raw items of a borg archive: decoded wherever their files are cut, bounded whoever wrote them, followed while they are written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgpack
import msgpack.fallback
import pytest

from backends.backups import borg_json, item_files, scratch
from backends.backups.borg_rows import Unreadable, rows
from backends.backups.index import Index, _builder, build, small_pipe
from backends.backups.item_files import ItemFiles
from backends.backups.model import Tally
from backends.backups.msgpack_items import MOST, raw_items
from backends.backups.passing_items import passing_items
from backends.backups.process import Command
from backends.errors import BackendError, Damaged, Unreachable

ID = bytes(range(32))


def item(path: bytes, /, **more: Any) -> bytes:
    """As borg packs it: the old raw type for every text."""
    found = {b"path": path, b"mode": 0o100644, b"uid": 0, b"gid": 0, b"user": b"root", b"group": b"root", b"mtime": 1_700_000_000_000_000_001}
    packed: bytes = msgpack.packb({**found, **{name.encode(): value for name, value in more.items()}}, use_bin_type=False)
    return packed


def cut(raw: bytes, step: int) -> Iterator[bytes]:
    return (raw[at : at + step] for at in range(0, len(raw), step))


def file_of(place: Path, number: int, raw: bytes) -> Path:
    path = place / f"{number:06}_{blake2b(raw, digest_size=32).hexdigest()}.items"
    path.write_bytes(raw)
    return path


HEADER = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.backends.backups.test_items import item, file_of, ID
from pathlib import Path
here = Path(".")
"""

# -- decoding ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [msgpack.Unpacker, msgpack.fallback.Unpacker], ids=["compiled", "plain"])
@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_items_are_exact_wherever_they_are_cut(step: int, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that are no UTF-8, attributes whose names are none, times before 1970, hard links; a long file between short ones."""
    monkeypatch.setattr(msgpack, "Unpacker", kind)
    many = [[blake2b(b"%d" % number, digest_size=32).digest(), 10, 5] for number in range(MOST + 1 if step > 1 else 3)]
    raw = b"".join([
        item(b"a/\xff", chunks=[[ID, 5, 3]], xattrs={b"user.\xfe": b"\0\xff", b"user.none": None}), item(b"a/old", mtime=(-5).to_bytes(9, "little", signed=True)),
        item(b"a/image", chunks=many, size=len(many) * 10), item(b"a/first", chunks=[[ID, 5, 3]], hardlink_master=True), item(b"a/second", source=b"a/first"),
        item(b"a/link", mode=0o120777, source=b"\xfd"), item(b"a/pipe", mode=0o010600, user=None),
    ])  # fmt: skip
    found = {one.entry.path: one for one in borg_json.items(raw_items(cut(raw, step)))}
    assert list(found) == [b"/a/" + name for name in (b"\xff", b"old", b"image", b"first", b"second", b"link", b"pipe")]
    assert found[b"/a/\xff"].entry.xattrs == ((b"user.none", b""), (b"user.\xfe", b"\0\xff")) and found[b"/a/old"].entry.mtime_ns == -5
    image = found[b"/a/image"]
    assert image.entry.size == len(many) * 10 and image.content == blake2b(b"".join(chunk[0] for chunk in many), digest_size=16).digest()
    first, second = found[b"/a/first"], found[b"/a/second"]
    assert first.content == second.content == found[b"/a/\xff"].content and second.entry.inode == "/a/first" and second.entry.size == 5
    assert found[b"/a/link"].entry.link == b"\xfd" and found[b"/a/pipe"].entry.special == "fifo" and found[b"/a/pipe"].entry.user == "0"


DEEP = b"\x81\xa4path" + b"\x91" * 3000
VAST = b"\x81\xa4path" + b"\xdd\x00\x00\xff\xff" * 900
"""Each list says it has 65,535 members: room for them is half a megabyte."""


@pytest.mark.parametrize("step", [5, 1 << 20])
@pytest.mark.parametrize(
    "raw",
    [
        item(b"a")[:-1], b"\x81", b"\x05", b"\xa1x", b"\xc1", b"\x81\xa1", DEEP, VAST, b"\x81\xa4path\x05", b"\x80", b"\x81\x90\x90",
        b"\x81\xa4path\xdb\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff\xa1a\x01", b"\x81\xa6chunks\xdd\xff\xff\xff\xff\x91\x05", item(b"a", chunks=[[b"x" * 32]]),
        item(b"a", chunks=[[5, 5, 5]]), item(b"a", mode=b"x"), item(b"a", source=5), item(b"a", size=[1]), item(b"a", mtime=b"x" * 900),
    ],
)  # fmt: skip
def test_what_is_no_item_is_damage(raw: bytes, step: int) -> None:
    with pytest.raises(Damaged):
        list(borg_json.items(raw_items(cut(item(b"before") + raw, step))))


def test_no_item_is_no_damage() -> None:
    assert not list(raw_items(iter([]))) and [path for path, _ in rows(raw_items(iter([item(b"a")])))] == [b"/a"]
    (found,) = borg_json.items(raw_items(iter([item(b"a", xattrs=5, acl_access=b"user:x:rwx:99999999999")])))
    assert found.entry.xattrs is None


# -- following -----------------------------------------------------------------------------------------------


def test_files_are_read_when_they_are_whole_and_taken_away(tmp_path: Path) -> None:
    """The one that is being written waits for the next; a value may go on in it."""
    raw = item(b"one") + item(b"two") + item(b"three")
    reading, writing = small_pipe()
    file_of(tmp_path, 0, raw[:50])
    second = file_of(tmp_path, 1, b"")
    found = raw_items(ItemFiles(str(tmp_path), reading).parts())
    with open(second, "wb", buffering=0) as still:
        still.write(raw[50:100])
        parts = ItemFiles(str(tmp_path), reading)
        assert parts._whole() == [str(next(tmp_path.glob("000000_*")))], "the last may not be whole"
        still.write(raw[100:])
    file_of(tmp_path, 2, item(b"four"))
    assert [next(found)[b"path"] for _ in range(2)] == [b"one", b"two"] and not list(tmp_path.glob("000000_*"))
    os.close(writing)
    assert [one[b"path"] for one in found] == [b"three", b"four"] and not list(tmp_path.iterdir())
    os.close(reading)


def test_a_part_that_is_missing_is_damage(tmp_path: Path) -> None:
    """A hole is waited for while the tool runs: a folder that is written into may show a later file first."""
    reading, writing = small_pipe()
    for number in (0, 2):
        file_of(tmp_path, number, item(b"x"))
    parts = ItemFiles(str(tmp_path), reading).parts()
    assert next(parts) == item(b"x")
    os.close(writing)
    with pytest.raises(Unreadable, match="missing"):
        next(parts)
    os.close(reading)


def test_the_tool_waits_when_it_is_too_far_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it says is not read then, and its pipe is full: little disk is used however slow the reader is."""
    monkeypatch.setattr(item_files, "AHEAD", 10)
    script = HEADER + "for number in range(600): print(f'Dumping {number:06}_{0:064}.items', flush=True); file_of(here, number, b'\\x81\\xa4path\\xa1x')"
    reading, writing = small_pipe()
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=writing) as tool:
        os.close(writing)
        found = raw_items(ItemFiles(str(tmp_path), reading).parts())
        most = 0
        for _ in range(8):
            assert next(found) == {b"path": b"x"}
            there = [-1]
            while there[-3:] != [len(os.listdir(tmp_path))] * 3:
                there.append(len(os.listdir(tmp_path)))
                time.sleep(0.05)
            most = max(most, there[-1])
        rest = len(list(found))
        os.close(reading)
    assert tool.returncode == 0 and rest == 592
    assert most <= 10 + 2 * (4096 // 86 + 1), "it did not wait: what is heard, and what is in the pipe"


# -- the builder ---------------------------------------------------------------------------------------------


def test_a_builder_needs_little_memory(tmp_path: Path) -> None:
    """Of many files in one folder and of one with half a million chunks: below 64 MB."""
    place = tmp_path / "items"
    place.mkdir()
    for number in range(20):
        file_of(place, number, b"".join(item(b"d/%d" % (number * 2000 + one), size=1, chunks=[[ID, 1, 1]]) for one in range(2000)))
    file_of(place, 20, item(b"d/image", chunks=[[ID, 1, 1]] * 500_000))
    file_of(place, 21, b"")
    reading, writing = small_pipe()
    with _builder(tmp_path / "index", "raw", str(place), reading) as builder:
        os.close(reading)
        ends = time.monotonic() + 60
        while len(os.listdir(place)) > 1:  # the last waits for the end of the tool
            assert time.monotonic() < ends and builder.poll() is None
            time.sleep(0.02)
        most = next(int(line.split()[1]) for line in Path(f"/proc/{builder.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
        os.close(writing)
        assert builder.wait(30) == 0 and most < 64 * 1024, most
    index = Index(tmp_path / "index")
    assert index.tally(b"/") == Tally(40_001, 40_000 + 500_000) and index.entry(b"/d/39999") is not None


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("file_of(here, 0, item(b'a')); file_of(here, 1, item(b'b')[:-1])", Damaged, "cut off"),
        ("file_of(here, 0, item(b'a')); file_of(here, 2, item(b'b'))", Damaged, "cut off"),
        ("file_of(here, 0, item(b'a') + b'\x05'); file_of(here, 1, b'')\nwhile True: print('x' * 100)", Damaged, "cut off"),
        ("file_of(here, 0, item(b'a')); file_of(here, 1, item(b'b')[:-1]); sys.exit('it died')", BackendError, "it died"),
        ("file_of(here, 0, item(b'a')); sys.exit('it died')", BackendError, "it died"),
    ],
)  # fmt: skip
def test_whose_fault_it_was(tmp_path: Path, script: str, error: type[BackendError], words: str) -> None:
    """With an index and without: data that is cut or missing, a tool that writes on when its reader has given up, a tool that dies."""
    place = tmp_path / "items"
    command = Command((sys.executable, "-c", HEADER + script), cwd=str(place))

    def died(code: int, errors: tuple[str, ...]) -> BackendError:
        return BackendError(f"{code}: {' '.join(errors)}")

    for way in ("index", "passing"):
        place.mkdir()
        with pytest.raises(error, match=words if way == "index" or error is not Damaged else None) as caught:
            if way == "index":
                build(Index(tmp_path / "index"), (command, "raw", str(place)), died, 60.0)
            else:
                list(borg_json.items(passing_items(command, str(place), died, 60.0)))
        assert type(caught.value) is error
        shutil.rmtree(place)


def test_leaving_early_ends_the_tool(tmp_path: Path) -> None:
    command = Command((sys.executable, "-c", HEADER + "file_of(here, 0, item(b'a')); file_of(here, 1, b''); import time; time.sleep(600)"), cwd=str(tmp_path))
    found = passing_items(command, str(tmp_path), lambda code, errors: BackendError("died"), 60.0)
    assert next(found)[b"path"] == b"a"
    began = time.monotonic()
    found.close()
    assert time.monotonic() - began < 30
    with pytest.raises(Unreachable):
        list(passing_items(command, str(tmp_path), lambda code, errors: BackendError("died"), 0.5))


# -- the folders ---------------------------------------------------------------------------------------------


def test_what_a_killed_console_left_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a living one nothing is; a name that is none of ours stays."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    script = HEADER + "from backends.backups.scratch import on_disk, private_folder\nplace = private_folder('items', on_disk()); file_of(place, 0, b'x'); print(place, flush=True)"
    with subprocess.Popen([sys.executable, "-c", script + "; sys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as console:
        assert console.stdout is not None
        left = Path(console.stdout.readline().strip())
        assert left.parent == tmp_path and left.stat().st_mode & 0o777 == 0o700
        with scratch.passing_folder("items") as folder:
            assert left.exists() and Path(folder).stat().st_mode & 0o777 == 0o700
        console.kill()
    (tmp_path / "deskside-items-x-1").mkdir()
    with scratch.passing_folder("items") as folder:
        assert not left.exists() and {path.name for path in tmp_path.iterdir()} == {"deskside-items-x-1", Path(folder).name}
    assert not Path(folder).exists()


def test_memory_is_left_alone_where_there_is_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary folder in memory is passed by, unless somebody chose it."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "lasting").mkdir()
    (tmp_path / "mounts").write_text(f"tmpfs {tmp_path} tmpfs rw 0 0\n")
    monkeypatch.setattr(scratch, "LASTING", str(tmp_path / "lasting"))
    assert scratch.on_disk() == tmp_path or scratch._is_memory(tmp_path)
    monkeypatch.setattr(scratch, "MOUNTS", str(tmp_path / "mounts"))
    assert scratch.on_disk() == tmp_path / "lasting"
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert scratch.on_disk() == tmp_path
    (tmp_path / "mounts").write_text(f"/dev/vda {tmp_path} ext4 rw 0 0\n")
    monkeypatch.delenv("TMPDIR")
    assert scratch.on_disk() == tmp_path
