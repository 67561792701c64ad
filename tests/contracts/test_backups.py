"""The contract of backup tools: one suite, on a real restic repository, on the demo's history, and behind `faulty`."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from backends.backups.contract import BrowsesFiles, DiffsSnapshots, FindsFiles, ListsBackups
from backends.backups.demo import JOBS, DemoBackups
from backends.backups.model import PROTECTION_SEVERITY, BackupQuery, Protection, SnapshotQuery
from backends.backups.restic import Restic
from backends.contract import Backend, Site
from backends.errors import BackendError, Invalid, NotFound
from backends.faulty import Chaos, faulty
from backends.options import read_options
from backends.secret import Secret


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("restic") is None:
        pytest.skip("LEFT OUT: restic is not installed")
    folder = tmp_path_factory.mktemp("contract")
    source = folder / "source"
    (source / "sub/deep").mkdir(parents=True)
    environment = {**os.environ, "RESTIC_REPOSITORY": str(folder / "repo"), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(folder / "cache")}

    def restic(*words: str) -> None:
        subprocess.run(["restic", "-q", *words], env=environment, check=True, capture_output=True, timeout=60)

    restic("init")
    for number in range(4):
        (source / "report.pdf").write_text("x" * number)
        (source / f"sub/deep/file {number}.pdf").write_text("y")
        bad = os.fsencode(source) + b"/bad-\xff-dir"
        os.makedirs(bad, exist_ok=True)
        for name in (b"/one-\xfe", b"/one-\x80", "/one-\ufffd \u2028 \"quoted\\".encode()):
            Path(os.fsdecode(bad + name)).write_text("z")
        restic("backup", str(source), "--host", "fs01")
    restic("backup", str(source / "sub"), "--host", "web01", "--tag", "nightly")
    return folder


@pytest.fixture(params=["restic", "demo", "faulty"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    found: Any
    if request.param == "demo":
        found = DemoBackups("nightly", {"seed": 7}, Site())
    else:
        folder = request.getfixturevalue("place")
        table = {**read_options(Restic.OPTIONS, {"repository": str(folder / "repo"), "password": "env:X"}), "password": Secret("p")}
        found = Restic("vault", table, Site(data=str(tmp_path)))
    await found.open()
    yield faulty(found, Chaos(1, 0.0)) if request.param == "faulty" else found
    await found.close()
    await found.close()


async def test_shape(backend: Any) -> None:
    assert all(isinstance(backend, kind) for kind in (Backend, ListsBackups, BrowsesFiles, FindsFiles, DiffsSnapshots))
    assert (await backend.health()).word in ("ok", "warn")
    repositories = await backend.repositories()
    assert repositories and all(repository.reachable and repository.id and repository.name for repository in repositories)


async def test_jobs_are_sorted_windowed_and_filtered(backend: Any) -> None:
    whole = await backend.backups(BackupQuery(), 0, 1000)
    assert whole.total == len(whole.items) > 1
    grave = [PROTECTION_SEVERITY[row.protection] for row in whole.items]
    assert grave == sorted(grave, reverse=True)
    tiled = [row.id for offset in range(whole.total) for row in (await backend.backups(BackupQuery(), offset, 1)).items]
    assert tiled == [row.id for row in whole.items]
    name = whole.items[0].name
    found = {row.id for row in (await backend.backups(BackupQuery(text=name), 0, 1000)).items}
    rest = {row.id for row in (await backend.backups(BackupQuery(text=name, inverse=True), 0, 1000)).items}
    assert whole.items[0].id in found and found | rest == set(tiled) and not found & rest
    assert all(row.protection not in (Protection.OK, Protection.DUE) for row in (await backend.backups(BackupQuery(faults=True), 0, 1000)).items)


async def test_snapshots_are_newest_first_and_of_their_job(backend: Any) -> None:
    jobs = [row for row in (await backend.backups(BackupQuery(), 0, 1000)).items if row.snapshots]
    job = max(jobs, key=lambda row: row.snapshots)
    page = await backend.snapshots(SnapshotQuery(job=job.id), 0, 1000)
    assert page.total == len(page.items) == job.snapshots
    assert all(one.time >= two.time for one, two in itertools.pairwise(page.items))
    tiled = [snap.id for offset in range(0, min(12, page.total), 3) for snap in (await backend.snapshots(SnapshotQuery(job=job.id), offset, 3)).items]
    assert tiled == [snap.id for snap in page.items[: len(tiled)]]
    newest = page.items[0]
    assert newest.time == job.last_success and (await backend.snapshot(newest.id)).id == newest.id
    assert (await backend.snapshot(newest.short_id)).id == newest.id
    older = await backend.snapshots(SnapshotQuery(job=job.id, before=newest.time), 0, 1000)
    assert newest.id not in {snap.id for snap in older.items}


async def test_unknown_ids_are_errors(backend: Any) -> None:
    for wrong in ("ffffffff", "", "--help", "no such snapshot"):
        with pytest.raises((NotFound, Invalid)):
            await backend.snapshot(wrong)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    with pytest.raises(BackendError):
        await backend.files(snap.id, b"/not/there")


async def test_files_are_walked_by_directory(backend: Any) -> None:
    snap = max((await backend.snapshots(SnapshotQuery(), 0, 1000)).items, key=lambda one: (one.host == "fs01", one.time))
    root = snap.paths[0].encode()
    listed = await backend.files(snap.id, root)
    assert listed and [entry.kind == "dir" for entry in listed] == sorted((entry.kind == "dir" for entry in listed), reverse=True)
    assert all(entry.path.startswith(root.rstrip(b"/") + b"/") and b"/" not in entry.path[len(root.rstrip(b"/")) + 1 :] for entry in listed)
    folder = next(entry for entry in listed if entry.kind == "dir")
    assert all(entry.path.startswith(folder.path + b"/") for entry in await backend.files(snap.id, folder.path))
    assert all(found.entry.path.endswith(b".pdf") for found in await backend.find("*.pdf", snap.id))


async def test_diff_is_of_both_ways(backend: Any) -> None:
    snaps = [snap for snap in (await backend.snapshots(SnapshotQuery(), 0, 1000)).items if snap.host == "fs01"]
    new, old = snaps[0], snaps[2]
    there, back = await backend.diff(old.id, new.id), await backend.diff(new.id, old.id)
    assert there.items and (there.added, there.removed) == (back.removed, back.added)
    assert {item.path for item in there.items} == {item.path for item in back.items}


async def test_names_are_exact_in_bytes(place: Path, tmp_path: Path) -> None:
    table = {**read_options(Restic.OPTIONS, {"repository": str(place / "repo"), "password": "env:X"}), "password": Secret("p")}
    backend = Restic("vault", table, Site(data=str(tmp_path)))
    await backend.open()
    snap = next(one for one in (await backend.snapshots(SnapshotQuery())).items if one.host == "fs01")
    folder = next(entry for entry in await backend.files(snap.id, str(place / "source").encode()) if entry.path.endswith(b"/bad-\xff-dir"))
    names = {entry.path.rsplit(b"/", 1)[1] for entry in await backend.files(snap.id, folder.path)}
    assert names == {b"one-\xfe", b"one-\x80", "one-\ufffd \u2028 \"quoted\\".encode()}


async def test_the_demo_has_every_kind_of_trouble() -> None:
    backend = DemoBackups("nightly", {"seed": 7}, Site())
    page = await backend.backups(BackupQuery(), 0, 100)
    words = {row.protection for row in page.items}
    assert page.total == len(JOBS)
    assert {Protection.OK, Protection.LATE, Protection.FAILED, Protection.NEVER, Protection.PARTIAL} <= words
