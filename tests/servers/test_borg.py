"""The borg adapter on real repositories made by the real program, and against programs that misbehave."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backends.backups.borg import Borg
from backends.backups.model import BackupQuery, Protection, SnapshotQuery
from backends.backups.process import Running
from backends.contract import Actor, Change, Site
from backends.errors import AuthFailed, BackendError, Busy, Damaged, MissingTool, NotFound, Refused, Unreachable, Unsupported
from backends.options import read_options
from backends.secret import Secret
from tests.servers import nasty_tree
from tests.servers.backup_programs import Program, every, make_borg, programs

pytestmark = [pytest.mark.server]
ADMIN = Actor("ana", "Ana", "admin")


@dataclass(frozen=True)
class Place:
    """A folder with a repository, and the borg that works on it."""

    path: Path
    program: Program

    def __truediv__(self, name: str) -> Path:
        return self.path / name


def borg(place: Place, *words: str, check: bool = True) -> None:
    environment = {**os.environ, "BORG_REPO": str(place / "repo"), "BORG_PASSPHRASE": "correct horse", "HOME": str(place.path), "TZ": "UTC"}
    subprocess.run([place.program.path, *words], env=environment, check=check, capture_output=True, timeout=120)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    program: Program = getattr(request, "param", programs("borg")[-1])
    program.needed()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "source").mkdir()
    found = Place(tmp_path, program)
    make_borg(found / "repo", "correct horse", program)
    return found


each = pytest.mark.parametrize("place", every("borg"), indirect=True)


async def opened(place: Place | Path, password: str = "correct horse", **options: Any) -> Borg:
    own = {"program": place.program.path} if isinstance(place, Place) else {}
    table = {**read_options(Borg.OPTIONS, {"repository": str(place / "repo"), **own, **options}), "password": Secret(password)}
    backend = Borg("attic", table, Site(data=str(place / "data")))
    await backend.open()
    return backend


@each
async def test_every_hard_name_comes_back(place: Place) -> None:
    """R01, R02: names that are no UTF-8, attributes whose names are none (borg's own JSON dump dies of one), links, times."""
    source, into = place / "source/tree", os.fsencode(place / "into")
    cases = "names,dirnames,symlinks,hardlinks,modes,owners,sparse,xattrs,times"
    nasty_tree.run("build", source, "--only", cases, "--sparse-size", "3000000")
    borg(place, "create", "::fs01-2026-03-08", str(source))
    backend = await opened(place)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    os.mkdir(into)
    root = os.fsencode(source)
    listed = {entry.path for entry in backend.entries(snap.id, [root])}
    there = {os.path.join(at, name) for at, folders, files in os.walk(root) for name in [*folders, *files]}
    assert listed - {root} == there
    assert backend.extract(snap.id, [root], into, lambda event: None, threading.Event()).clean
    found = nasty_tree.differences(source, os.fsdecode(into + root), "sparse")
    losses = " ".join(backend.extract_capabilities().losses)
    allowed = {"links": "hard links between symbolic links", "mtime": "times before 1970 and after 2038"}
    assert found and all(kind in allowed and allowed[kind] in losses for kind, *_ in found), found
    await backend.close()


@each
async def test_damage_is_stepped_over_and_named(place: Place) -> None:
    """R09: one damaged segment ends borg's own run; the other files come all the same, and the run is not called clean."""
    for number in range(6):
        (place / f"source/f{number}").write_bytes(os.urandom(700_000))
    borg(place, "create", "-C", "none", "::fs01-2026-03-08", str(place / "source"))
    backend = await opened(place)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    needle = (place / "source/f2").read_bytes()[300_000:300_064]
    assert backend.content_hash(snap.id, os.fsencode(place / "source/f2"))
    segment = max((place / "repo/data").rglob("[0-9]*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    raw = bytearray(segment.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    segment.chmod(0o600)
    segment.write_bytes(raw)
    into = os.fsencode(place / "into")
    os.mkdir(into)
    done = backend.extract(snap.id, [os.fsencode(place / "source")], into, lambda event: None, threading.Event())
    assert not done.clean and done.error_count == 1 and needle
    right = [path for path in sorted((place / "source").iterdir()) if _same(path, into)]
    assert len(right) == 5 and Path(os.fsdecode(done.errors[0].path)) not in right
    plan = await backend.plan(Change("backups", "attic", "check", values={"percent": 100}), ADMIN)
    with pytest.raises(Damaged):
        await backend.apply(plan, ADMIN, "op")


def _same(path: Path, into: bytes) -> bool:
    try:
        return Path(os.fsdecode(into + os.fsencode(path))).read_bytes() == path.read_bytes()
    except OSError:
        return False


@each
async def test_reading_goes_on_while_a_backup_holds_the_lock(place: Place) -> None:
    """R17: listing and looking need no lock, exact comparing does and says so; the lock is stale only when its process is gone."""
    (place / "source/a.txt").write_text("one")
    borg(place, "create", "::fs01-2026-03-08", str(place / "source"))
    borg(place, "create", "::fs01-2026-03-09", str(place / "source"))
    environment = {**os.environ, "BORG_REPO": str(place / "repo"), "BORG_PASSPHRASE": "correct horse", "TZ": "UTC"}
    words = [place.program.path, "with-lock", "::", "sleep", "60"]
    backend = await opened(place)
    with subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        ends = time.monotonic() + 30
        while not any(lock.exclusive for lock in await backend.locks()):
            assert time.monotonic() < ends and process.poll() is None
        locks = [lock for lock in await backend.locks() if lock.exclusive]
        assert locks[0].pid == process.pid and not locks[0].stale
        new, old = (await backend.snapshots(SnapshotQuery())).items
        assert [entry.name for entry in await backend.files(new.id, os.fsencode(place / "source"))] == ["a.txt"]
        with pytest.raises(Busy):
            await backend.diff(old.id, new.id)
        change = Change("backups", "attic", "unlock", locks[0].id)
        assert (await backend.plan(change, ADMIN)).missing
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait(10)
        for child in children:
            os.kill(int(child), 15)
    locks = [lock for lock in await backend.locks() if lock.exclusive]
    assert locks and locks[0].stale and "is gone" in locks[0].proof
    plan = await backend.plan(change, ADMIN)
    assert not plan.missing
    found, _ = await backend.read_back(plan, await backend.apply(plan, ADMIN, "op"))
    assert found == {"locked": False}
    assert (await backend.diff(old.id, new.id)).items == ()


@each
async def test_a_policy_is_asked_for_a_series_at_a_time(place: Place) -> None:
    """Without a pattern borg takes all archives for one series; what it can't tell apart by name is refused."""
    (place / "source/a.txt").write_text("one")
    for name in ("fs01-2026-03-08", "fs01-2026-03-09", "web01-2026-03-07", "web01-db-2026-03-06"):
        borg(place, "create", f"::{name}", str(place / "source"), "--timestamp", f"{name[-10:]}T01:00:00")
    backend = await opened(place)
    plan = await backend.plan(Change("backups", "attic", "forget", values={"keep": {"last": 1}}), ADMIN)
    names = {one.id: one.name for one in await backend.all_snapshots()}
    assert [names[ident] for ident in plan.expected["forgotten"]] == ["fs01-2026-03-08"] and not plan.missing
    assert [row.id for row in (await backend.backups(BackupQuery(sort="name", descending=False))).items] == ["fs01", "web01", "web01-db"]
    borg(place, "create", "::fs01-2026x", str(place / "source"))
    backend.forget_cached()
    with pytest.raises(Refused, match="can't tell"):
        await backend.plan(Change("backups", "attic", "forget", values={"keep": {"last": 1}, "job": "fs01"}), ADMIN)


@each
async def test_wrong_places_and_secrets(place: Place, tmp_path_factory: pytest.TempPathFactory) -> None:
    """R19, R32."""
    with pytest.raises(AuthFailed) as caught:
        await (await opened(place, "wrong-one")).backups(BackupQuery())
    assert "wrong-one" not in caught.value.sentence()
    with pytest.raises(NotFound, match="no borg repository"):
        await (await opened(tmp_path_factory.mktemp("none"))).backups(BackupQuery())
    with pytest.raises(Unreachable):
        await (await opened(place, repository="ssh://nobody@127.0.0.1:9/repo", rsh="ssh -F /dev/null -o BatchMode=yes")).backups(BackupQuery())
    backend = await opened(place, expect=["fs09"])
    assert [(row.id, row.protection) for row in (await backend.backups(BackupQuery())).items] == [("fs09", Protection.NEVER)]
    with Running(backend.tool.command("list", "::")) as running:
        shown = Path(f"/proc/{running.pid}/cmdline").read_bytes() + Path(f"/proc/{running.pid}/environ").read_bytes()
    assert b"correct horse" not in shown


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo not json", Damaged), ("echo '{}'", Damaged), ("printf '{\"archives\": ['", Damaged), ("kill -9 $$", BackendError), ("sleep 30", Unreachable),
        ("exit 77", BackendError), ("head -c 3000000 /dev/zero >&2; exit 2", BackendError), ("echo '\x1b]0;x\x07boom' >&2; exit 2", BackendError),
    ],
)  # fmt: skip
async def test_misbehaving_programs_are_typed_errors(tmp_path: Path, script: str, error: type[BackendError]) -> None:
    """R23, R24."""
    program = tmp_path / "fake"
    program.write_text(f'#!/bin/sh\ncase "$1" in --version) echo "borg 1.4.0"; exit 0;; esac\n{script}\n')
    program.chmod(0o755)
    backend = await opened(tmp_path, program=str(program), deadline="1s")
    with pytest.raises(error) as caught:
        await backend.backups(BackupQuery())
    assert "\x1b" not in caught.value.sentence() and caught.value.hint


@pytest.mark.parametrize(("version", "error"), [("borg 1.1.18", Unsupported), ("borg 2.0.0b20", Unsupported), ("hello", BackendError)])
async def test_versions_that_can_not_be_used(tmp_path: Path, version: str, error: type[BackendError]) -> None:
    program = tmp_path / "fake"
    program.write_text(f'#!/bin/sh\necho "{version}"\n')
    program.chmod(0o755)
    with pytest.raises(error):
        await opened(tmp_path, program=str(program))
    with pytest.raises(MissingTool, match="not installed"):
        await opened(tmp_path, program="borg-that-is-not-there")
