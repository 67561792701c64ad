"""Browsing real restic and borg repositories: one call ahead, counts, a search exact in bytes, a snapshot against what is live."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.backups.borg import Borg
from backends.backups.live_files import same_host
from backends.backups.model import Found, LiveDifference, SnapshotQuery
from backends.backups.restic import Restic
from backends.contract import Site
from backends.errors import Damaged, NoSpace, NotFound, Refused
from backends.options import read_options
from backends.secret import Secret
from tests.servers.backup_programs import make_borg, make_restic, programs

pytestmark = [pytest.mark.server]
HOSTILE = (b"[bold]x", b"red\x1b[31m", "\u202egnp.exe".encode(), b"line\nbreak", b"\xff.odd", b"\x80.odd", "\ufffd.odd".encode())


class Place:
    """A share with its repository; every run of the tool is noted."""

    def __init__(self, kind: str, place: Path) -> None:
        tool = programs(kind)[0]
        tool.needed()
        self.kind, self.share, self.log = kind, place / "share", place / "log"
        for number in range(30):
            (self.share / f"case{number:02}" / "in").mkdir(parents=True)
            (self.share / f"case{number:02}" / "in" / "a.txt").write_bytes(b"x" * number)
        root = os.fsencode(self.share)
        (self.share / "odd").mkdir()
        for name in HOSTILE:
            Path(os.fsdecode(root + b"/odd/" + name)).write_bytes(b"12345")
        program = place / "noted"
        program.write_text(f'#!/bin/sh\necho "$*" | tr "\\n" " " >> {self.log}; echo >> {self.log}\nexec {tool.path} "$@"\n')
        program.chmod(0o755)
        own = {"RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "cache"), "HOME": str(place),
               "BORG_REPO": str(place / "repo"), "BORG_PASSPHRASE": "p"}  # fmt: skip
        if kind == "restic":
            make_restic(place / "repo", "p")
        else:
            make_borg(place / "repo", "p", tool)
        words = ["-q", "backup"] if kind == "restic" else ["create", "::fs01-2026-03-08"]
        subprocess.run([tool.path, *words, str(self.share)], env={**os.environ, **own}, check=True, capture_output=True, timeout=60)
        adapter: Any = Restic if kind == "restic" else Borg
        table = {**read_options(adapter.OPTIONS, {"repository": str(place / "repo"), "password": "env:X", "program": str(program)}), "password": Secret("p")}
        self.backend: Any = adapter("vault", table, Site(data=str(place / "data")))

    def runs(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


@pytest.fixture(params=["restic", "borg"])
async def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "disk").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "disk"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    made = Place(request.param, tmp_path)
    await made.backend.open()
    yield made
    await made.backend.close()
    assert not list((tmp_path / "run").iterdir()), "an index was left behind"
    assert not list((tmp_path / "disk").iterdir()), "items were left behind"


async def test_ahead_counted_and_found(place: Place) -> None:
    """R20, R31 in small: child directories come in one call and are then there without one; counts and names are exact."""
    backend, root = place.backend, os.fsencode(place.share)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    folders = [entry.path for entry in await backend.files(snap.id, root) if entry.kind == "dir"]
    before = place.runs()
    ahead = await backend.read_ahead(snap.id, folders, threading.Event())
    assert place.runs() - before == (1 if place.kind == "restic" else 0)
    assert ahead == (30 if place.kind == "restic" else 31)  # the folder of odd names would need a second call of restic
    assert [entry.name for entry in backend.known(snap.id, folders[5]) or ()] == ["in"]
    assert await backend.read_ahead(snap.id, folders[:5], threading.Event()) == 0
    counted = await backend.tally(snap.id, [root, folders[5], root + b"/odd"], lambda count: None, threading.Event())
    assert [(one.files, one.bytes) for one in counted.values()] == [(37, 435 + 35), (1, 5), (7, 35)]
    found: list[Found] = []
    assert not await backend.search("*.odd", snap.id, found.append, threading.Event())
    assert {one.entry.path for one in found} == {root + b"/odd/" + name for name in HOSTILE if name.endswith(b".odd")}
    for path in (one.entry.path for one in found):
        assert (await backend.read(snap.id, path, 100)).data == b"12345"
    assert await backend.search("a.txt", snap.id, found.append, threading.Event(), 3) and len(found) == 6
    listed = await backend.files(snap.id, root + b"/odd")
    assert {entry.path for entry in listed} == {root + b"/odd/" + name for name in HOSTILE}
    assert not any(sign in entry.name for entry in listed for sign in "\x1b\n\u202e")


async def test_against_what_is_live(place: Place) -> None:
    """Each kind of difference by its word; a snapshot of another host is refused."""
    backend, root = place.backend, os.fsencode(place.share)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    share = place.share
    shutil.rmtree(share / "case00")
    (share / "case01/in/a.txt").write_text("much longer now")
    os.utime(share / "case02/in/a.txt", ns=(0, 10**9))
    (share / "case03/in/a.txt").write_text("longer and set back")
    os.utime(share / "case03/in/a.txt", ns=(0, 10**9))
    (share / "case04/in/a.txt").unlink()
    (share / "case04/in/a.txt").mkdir()
    (share / "came \x1b[31m later").write_text("new")
    said: list[LiveDifference] = []
    count = await backend.compare_live(snap.id, root, said.append, threading.Event())
    found = {one.path.removeprefix(root): one.word for one in said}
    assert found == {
        b"/case00": "gone", b"/case00/in": "gone", b"/case00/in/a.txt": "gone", b"/case01/in/a.txt": "newer", b"/case02/in/a.txt": "time",
        b"/case03/in/a.txt": "older", b"/case04/in/a.txt": "type", b"/came \x1b[31m later": "new",
    }  # fmt: skip
    assert count.words == {"gone": 3, "newer": 1, "time": 1, "older": 1, "type": 1, "new": 1} and not count.stopped
    assert (await backend.compare_live(snap.id, root + b"/case01/in/a.txt", said.append, threading.Event())).words == {"newer": 1}
    with pytest.raises(NotFound):
        await backend.compare_live(snap.id, root + b"/never", said.append, threading.Event())
    assert same_host("fs01", "FS01.example.org") and not same_host("fs01.a.org", "fs01.b.org") and not same_host("", "fs01")
    backend._opened = {snap.id: replace(snap, host="elsewhere")}
    with pytest.raises(Refused, match="elsewhere"):
        await backend.compare_live(snap.id, root, said.append, threading.Event())


@pytest.mark.parametrize("place", ["borg"], indirect=True)
async def test_an_index_is_looked_at_while_it_grows_and_is_private(place: Place) -> None:
    backend, root = place.backend, os.fsencode(place.share)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    first = await backend.glimpse(snap.id, root)
    ends = time.monotonic() + 20
    while not (seen := await backend.glimpse(snap.id, root)).whole:
        assert time.monotonic() < ends
    assert len(seen.entries) == 31 and seen.read >= 97 and not (first.whole and not first.entries)
    files = [path for path in Path(os.environ["XDG_RUNTIME_DIR"]).rglob("*") if path.is_file()]
    assert len(files) == 1 and files[0].stat().st_mode & 0o777 == 0o600 and files[0].parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(NotFound):
        await backend.glimpse(snap.id, b"/never")


@pytest.mark.parametrize("place", ["borg"], indirect=True)
async def test_a_list_that_is_cut_is_damage(place: Place) -> None:
    """The last file of items ends too early although borg ended well: no index, no plan, nothing left behind."""
    backend, root = place.backend, os.fsencode(place.share)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    program = Path(backend.tool._path)
    cut = 'case "$*" in *dump-archive-items*) borg "$@" && for one in *.items; do :; done && truncate -s -1 "$one"; exit;; esac'
    program.write_text(program.read_text().replace("\nexec ", f"\n{cut}\nexec "))
    with pytest.raises(Damaged, match="cut off"):
        await backend.files(snap.id, root)
    with pytest.raises(Damaged, match="cut off"):
        list(backend.entries(snap.id, [root]))


@pytest.mark.parametrize("place", ["borg"], indirect=True)
async def test_no_room_for_the_items(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said with the folder that is full, not with the repository; the same works once there is room."""
    backend, root = place.backend, os.fsencode(place.share)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", str(small)], capture_output=True).returncode:
        pytest.skip("LEFT OUT: a tmpfs can't be mounted here")
    try:
        monkeypatch.setenv("TMPDIR", str(small))
        monkeypatch.setattr(tempfile, "tempdir", None)
        for read in (lambda: backend.tool.index(snap), lambda: list(backend.entries(snap.id, [root]))):
            with pytest.raises(NoSpace, match="small: no room") as caught:
                read()
            assert "TMPDIR" in caught.value.hint and not list(small.iterdir())
        subprocess.run(["mount", "-o", "remount,size=8M", str(small)], check=True)
        assert len(await backend.files(snap.id, root)) == 31 and not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)
