"""The restic adapter on a real repository made by the real program, and against programs that misbehave."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.backups.contract import BrowsesFiles, DiffsSnapshots, FindsFiles, ListsBackups
from backends.backups.model import BackupQuery, Protection, SnapshotQuery
from backends.backups.protection import protection
from backends.backups.restic import Restic
from backends.contract import Site
from backends.errors import AuthFailed, BackendError, Damaged, MissingTool, NotFound, Unreachable
from backends.options import read_options
from backends.secret import Secret

pytestmark = [pytest.mark.server]
needs_restic = pytest.mark.skipif(shutil.which("restic") is None, reason="LEFT OUT: restic is not installed")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("restic") is None:
        pytest.skip("LEFT OUT: restic is not installed")
    place = tmp_path_factory.mktemp("restic")
    source = place / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("one\n")
    (source / "sub" / "b.txt").write_text("two\n")
    (source / "Ärger 日本.txt").write_text("x")
    (source / "evil\x1b]0;PWNED\x07name").write_text("x")
    _restic(place, "init")
    _restic(place, "backup", str(source), "--host", "fs01", "--tag", "nightly")
    (source / "a.txt").write_text("one, changed\n")
    (source / "new.txt").write_text("new\n")
    (source / "sub" / "b.txt").unlink()
    _restic(place, "backup", str(source), "--host", "fs01")
    return place


def _restic(place: Path, *words: str) -> None:
    environment = {**os.environ, "RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD": "correct horse", "RESTIC_CACHE_DIR": str(place / "cache")}
    subprocess.run(["restic", "-q", *words], env=environment, check=True, capture_output=True, timeout=60)


def make(place: Path, password: str = "correct horse", **options: Any) -> Restic:
    table = {"repository": str(place / "repo"), "password": "env:UNUSED", **options}
    return Restic("vault", {**read_options(Restic.OPTIONS, table), "password": Secret(password)}, Site(data=str(place / "data")))


async def opened(place: Path, **options: Any) -> Restic:
    backend = make(place, **options)
    await backend.open()
    return backend


@needs_restic
async def test_jobs_snapshots_files(repository: Path) -> None:
    backend = await opened(repository)
    assert all(isinstance(backend, kind) for kind in (ListsBackups, BrowsesFiles, FindsFiles, DiffsSnapshots))
    page = await backend.backups(BackupQuery())
    assert [(row.host, row.snapshots, row.protection) for row in page.items] == [("fs01", 2, Protection.OK)]
    snaps = (await backend.snapshots(SnapshotQuery(job=page.items[0].id))).items
    assert len(snaps) == 2 and snaps[0].time > snaps[1].time and snaps[1].tags == ("nightly",)
    assert (await backend.snapshot(snaps[0].short_id)).id == snaps[0].id
    source = str(repository / "source").encode()
    listed = await backend.files(snaps[0].id, source)
    assert [entry.kind for entry in listed][:1] == ["dir"] and "Ärger 日本.txt" in [entry.name for entry in listed]
    assert not any("\x1b" in entry.name for entry in listed)
    assert [entry.name for entry in await backend.files(snaps[1].id, source + b"/sub")] == ["b.txt"]
    top = await backend.files(snaps[0].id)
    assert [entry.path for entry in top] == [b"/" + source.split(b"/")[1]]
    with pytest.raises(NotFound):
        await backend.files(snaps[0].id, b"/not/there")
    with pytest.raises(NotFound):
        await backend.snapshot("ffffffff")


@needs_restic
async def test_find_and_diff(repository: Path) -> None:
    backend = await opened(repository)
    new, old = (await backend.snapshots(SnapshotQuery())).items
    assert {found.entry.name for found in await backend.find("*.txt", new.id)} >= {"a.txt", "new.txt"}
    diff = await backend.diff(old.id, new.id)
    marks = {item.path.rsplit(b"/", 1)[-1]: item.mark[:1] for item in diff.items}
    assert marks[b"new.txt"] == "+" and marks[b"a.txt"] == "M" and marks[b"b.txt"] == "-"


@needs_restic
async def test_a_late_and_a_missing_job_are_seen(repository: Path) -> None:
    backend = await opened(repository, rpo="1s", expect=["web01:/var/www"])
    while (await backend.backups(BackupQuery(faults=True))).total != 2:
        assert time.monotonic() > 0
    assert {row.host: row.protection for row in (await backend.backups(BackupQuery())).items} == {"fs01": Protection.LATE, "web01": Protection.NEVER}


@needs_restic
async def test_a_wrong_password_and_a_missing_repository(repository: Path, tmp_path: Path) -> None:
    wrong = make(repository, "wrong")
    await wrong.open()
    with pytest.raises(AuthFailed) as caught:
        await wrong.backups(BackupQuery())
    assert "wrong" not in caught.value.text.replace("wrong password", "")
    with pytest.raises(NotFound, match="no restic repository"):
        await (await opened(tmp_path)).backups(BackupQuery())
    repositories = await (await opened(tmp_path)).repositories()
    assert not repositories[0].reachable and "no restic repository" in repositories[0].text


@needs_restic
async def test_a_damaged_snapshot_is_listed(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "repo", tmp_path / "repo")
    victim = sorted((tmp_path / "repo/snapshots").iterdir())[0]
    victim.chmod(0o600)
    victim.write_bytes(b"garbage" * 30)
    backend = await opened(tmp_path)
    listed = (await backend.snapshots(SnapshotQuery())).items
    assert [snapshot.readable for snapshot in listed] == [True, False] or sorted(snapshot.readable for snapshot in listed) == [False, True]
    assert (await backend.backups(BackupQuery())).note == "1 snapshots can't be read"


@needs_restic
async def test_the_password_is_in_no_argv_and_no_environment(repository: Path, tmp_path: Path) -> None:
    spy = tmp_path / "restic"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/seen; env >> {tmp_path}/seen\nexec {shutil.which("restic")} "$@"\n')
    spy.chmod(0o755)
    await (await opened(repository, program=str(spy))).backups(BackupQuery())
    assert "correct horse" not in (tmp_path / "seen").read_text()


def _fake(tmp_path: Path, script: str) -> dict[str, str]:
    program = tmp_path / "fake"
    program.write_text(f'#!/bin/sh\ncase "$1" in version) echo "restic 0.18.0 compiled"; exit 0;; esac\n{script}\n')
    program.chmod(0o755)
    return {"program": str(program)}


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo not json", Damaged), ("echo '{}'", Damaged), ("echo 'Fatal: wrong password or no key found' >&2; exit 12", AuthFailed),
        ("echo 'dial tcp: connection refused' >&2; exit 1", Unreachable), ("kill -9 $$", BackendError), ("sleep 30", Unreachable),
        ("echo 'Fatal: Is there a repository at the following location?' >&2; exit 10", NotFound), ("echo '\x1b]0;x\x07boom' >&2; exit 1", BackendError),
    ],
)  # fmt: skip
async def test_misbehaving_programs_are_typed_errors(tmp_path: Path, script: str, error: type[BackendError]) -> None:
    backend = await opened(tmp_path, deadline="1s", **_fake(tmp_path, script))
    with pytest.raises(error) as caught:
        await backend.backups(BackupQuery())
    assert "\x1b" not in caught.value.sentence() and caught.value.hint


async def test_no_program_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingTool, match="not installed") as caught:
        await opened(tmp_path, program="restic-that-is-not-there")
    assert "apt-get" in caught.value.hint


def test_protection_by_age_and_size() -> None:
    moment = datetime(2026, 3, 8, 12, tzinfo=UTC)

    def word(*hours: float, sizes: tuple[int | None, ...] = (), rpo: float | None = 86400.0) -> Protection:
        times = [moment - timedelta(hours=hour) for hour in hours]
        return protection(times, sizes or (None,) * len(times), rpo, moment)[0]

    assert word() is Protection.NEVER and word(1) is Protection.OK and word(25) is Protection.DUE and word(37) is Protection.LATE
    assert word(-3) is Protection.CLOCK and word(900, rpo=None) is Protection.OK
    assert word(1, 25, 49, 73, 97, sizes=(10, 100, 100, 101, 99)) is Protection.SUSPICIOUS
    assert word(1, 25, 49, 73, 97, sizes=(90, 100, 100, 101, 99)) is Protection.OK
