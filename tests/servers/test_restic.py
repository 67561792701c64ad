"""The restic adapter on a real repository made by the real program, and against programs that misbehave."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.backups.contract import BrowsesFiles, DiffsSnapshots, FindsFiles, ListsBackups
from backends.backups.model import BackupQuery, Protection, SnapshotQuery
from backends.backups.process import Running
from backends.backups.protection import protection
from backends.backups.restic import Restic
from backends.contract import Actor, Change, Site
from backends.errors import AuthFailed, BackendError, Busy, Damaged, MissingTool, NotFound, Unreachable, Unsupported
from backends.options import read_options
from backends.secret import Secret
from tests.servers import nasty_tree
from tests.servers.backup_places import free_port, need, rclone
from tests.servers.backup_programs import NOT_THERE, Program, ends, every, make_restic, newest, programs

pytestmark = [pytest.mark.server]
PASSWORD = "correct horse"
SYSTEM = programs("restic")[0]
needs_restic = pytest.mark.skipif(SYSTEM.version == NOT_THERE, reason="LEFT OUT: restic is not installed")
each = pytest.mark.parametrize("program", every("restic"))
old_and_new = pytest.mark.parametrize("program", ends("restic"))
new = pytest.mark.parametrize("program", newest("restic"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("restic")
    source = place / "source"
    (source / "sub").mkdir(parents=True)
    (source / "a.txt").write_text("one\n")
    (source / "sub" / "b.txt").write_text("two\n")
    (source / "Ärger 日本.txt").write_text("x")
    (source / "evil\x1b]0;PWNED\x07name").write_text("x")
    SYSTEM.needed()
    make_restic(place / "repo", PASSWORD)
    _restic(place, "backup", str(source), "--host", "fs01", "--tag", "nightly")
    (source / "a.txt").write_text("one, changed\n")
    (source / "new.txt").write_text("new\n")
    (source / "sub" / "b.txt").unlink()
    _restic(place, "backup", str(source), "--host", "fs01")
    return place


def _restic(place: Path, *words: str, program: Program = SYSTEM) -> None:
    environment = {**os.environ, "RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(place / "cache")}
    subprocess.run([program.path, "-q", *words], env=environment, check=True, capture_output=True, timeout=60)


def make(place: Path, password: str = PASSWORD, **options: Any) -> Restic:
    table = {"repository": str(place / "repo"), "password": "env:UNUSED", **options}
    return Restic("vault", {**read_options(Restic.OPTIONS, table), "password": Secret(password)}, Site(data=str(place / "data")))


async def opened(place: Path, **options: Any) -> Restic:
    backend = make(place, **options)
    await backend.open()
    return backend


@each
async def test_jobs_snapshots_files(program: Program, repository: Path) -> None:
    backend = await opened(repository, program=program.path)
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


@each
async def test_find_and_diff(program: Program, repository: Path) -> None:
    backend = await opened(repository, program=program.path)
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


@each
async def test_a_wrong_password_and_a_missing_repository(program: Program, repository: Path, tmp_path: Path) -> None:
    wrong = make(repository, "wrong", program=program.path)
    await wrong.open()
    with pytest.raises(AuthFailed) as caught:
        await wrong.backups(BackupQuery())
    assert "wrong" not in caught.value.text.replace("wrong password", "")
    with pytest.raises(NotFound, match="no restic repository"):
        await (await opened(tmp_path, program=program.path)).backups(BackupQuery())
    repositories = await (await opened(tmp_path, program=program.path)).repositories()
    assert not repositories[0].reachable and "no restic repository" in repositories[0].text


@each
async def test_a_damaged_snapshot_is_listed(program: Program, repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository / "repo", tmp_path / "repo")
    victim = sorted((tmp_path / "repo/snapshots").iterdir())[0]
    victim.chmod(0o600)
    victim.write_bytes(b"garbage" * 30)
    backend = await opened(tmp_path, program=program.path)
    listed = (await backend.snapshots(SnapshotQuery())).items
    assert [snapshot.readable for snapshot in listed] == [True, False] or sorted(snapshot.readable for snapshot in listed) == [False, True]
    assert (await backend.backups(BackupQuery())).note == "1 snapshot can't be read"


@needs_restic
async def test_the_password_is_in_no_argv_and_no_environment(repository: Path, tmp_path: Path) -> None:
    spy = tmp_path / "restic"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/seen; env >> {tmp_path}/seen\nexec {SYSTEM.path} "$@"\n')
    spy.chmod(0o755)
    await (await opened(repository, program=str(spy))).backups(BackupQuery())
    assert "correct horse" not in (tmp_path / "seen").read_text()


def _fake(tmp_path: Path, script: str) -> dict[str, str]:
    program = tmp_path / "fake"
    program.write_text(f'#!/bin/sh\ncase "$1" in version) echo "restic 0.18.0 compiled"; exit 0;; esac\n{script}\n')
    program.chmod(0o755)
    return {"program": str(program)}


@each
async def test_a_rest_server(program: Program, repository: Path, tmp_path: Path) -> None:
    """R18: a real one, with a password in the address that nobody sees; gone, it is said in a moment."""
    port = free_port()
    shutil.copytree(repository / "repo", tmp_path / "served")
    address = f"rest:http://backup:s3cret@127.0.0.1:{port}/"
    with rclone("restic", tmp_path / "served", port, "--user", "backup", "--pass", "s3cret"):
        backend = await opened(tmp_path, program=program.path, repository=address)
        backend.tool._password = Secret("correct horse")
        new, old = (await backend.snapshots(SnapshotQuery())).items
        assert (await backend.diff(old.id, new.id)).added == 1 and await backend.files(new.id, str(repository / "source").encode())
        assert "s3cret" not in backend.location() + str((await backend.repositories())[0]) and "***" in backend.location()
        with Running(backend.tool.command("find", "--json", "--no-lock", "*")) as running:
            until = time.monotonic() + 10
            while b"find" not in (words := Path(f"/proc/{running.pid}/cmdline").read_bytes()) and time.monotonic() < until:
                await asyncio.sleep(0)  # not yet in its own program
            shown = words + Path(f"/proc/{running.pid}/environ").read_bytes()
        assert b"s3cret" not in shown and b"correct horse" not in shown and b"/dev/fd/" in shown
    backend.forget_cached()
    began = time.monotonic()
    with pytest.raises(Unreachable):
        await backend.snapshots(SnapshotQuery())
    assert time.monotonic() - began < 25


@needs_restic
async def test_an_sftp_server(repository: Path, tmp_path: Path) -> None:
    """Through the system's ssh, by the sftp.command option."""
    need("ssh", "ssh-keygen", "rclone")
    port = free_port()
    (tmp_path / "served").mkdir()
    shutil.copytree(repository / "repo", tmp_path / "served/repo")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    command = (
        f"ssh -F /dev/null -p {port} -i {tmp_path}/key -o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/known -o LogLevel=ERROR "
        "backup@127.0.0.1 -s sftp"
    )
    with rclone("sftp", tmp_path / "served", port, "--authorized-keys", str(tmp_path / "key.pub")):
        backend = await opened(tmp_path, repository="sftp:backup@127.0.0.1:/repo", options=[f"sftp.command={command}"])
        snaps = (await backend.snapshots(SnapshotQuery())).items
        assert len(snaps) == 2 and (await backend.read(snaps[0].id, f"{repository}/source/a.txt".encode())).data == b"one, changed\n"
    backend.forget_cached()
    with pytest.raises(Unreachable):
        await backend.snapshots(SnapshotQuery())


@each
async def test_a_lock_is_taken_away_only_by_proof(program: Program, repository: Path, tmp_path: Path) -> None:
    """R17: a killed backup leaves a lock; while it lives nobody may take it, afterwards it is proven stale."""
    shutil.copytree(repository / "repo", tmp_path / "repo")
    (tmp_path / "data").mkdir()
    os.mkfifo(tmp_path / "data/source")
    backend = await opened(tmp_path, program=program.path)
    admin = Actor("ana", "Ana", "admin")
    environment = {**os.environ, "RESTIC_REPOSITORY": str(tmp_path / "repo"), "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    words = [program.path, "backup", "--stdin", "--stdin-filename", "endless"]
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        ends = time.monotonic() + 30
        while not (locks := await backend.locks()):
            assert time.monotonic() < ends and process.poll() is None
        assert not locks[0].stale and locks[0].pid == process.pid and "runs" in locks[0].proof
        change = Change("backups", "vault", "unlock", locks[0].id[:12])
        assert any("not proven stale" in why for why in (await backend.plan(change, admin)).missing)
        assert len((await backend.snapshots(SnapshotQuery())).items) == 2
        with pytest.raises(Busy):
            await backend.apply(await backend.plan(Change("backups", "vault", "check"), admin), admin, "op")
        process.kill()
        process.wait(10)
    locks = await backend.locks()
    assert locks[0].stale and "is gone" in locks[0].proof
    plan = await backend.plan(change, admin)
    assert not plan.missing and plan.danger == 2
    found, _ = await backend.read_back(plan, await backend.apply(plan, admin, "op"))
    assert found == {"locked": False} and await backend.locks() == []


@each
async def test_a_damaged_pack_is_found_and_names_its_file(program: Program, repository: Path, tmp_path: Path) -> None:
    """R09, R10: structure alone finds nothing, the data does; the other files come back whole and the bad one is named."""
    place = tmp_path / "place"
    (place / "source").mkdir(parents=True)
    for number in range(4):
        (place / f"source/f{number}").write_bytes(os.urandom(9_000_000))
    make_restic(place / "repo", PASSWORD)
    _restic(place, "backup", str(place / "source"), program=program)
    packs = sorted((place / "repo/data").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    victim = packs[-1]
    victim.chmod(0o600)
    raw = bytearray(victim.read_bytes())
    raw[1000] ^= 0xFF
    victim.write_bytes(raw)
    backend = await opened(place, program=program.path)
    admin = Actor("ana", "Ana", "admin")

    async def check(percent: int) -> None:
        plan = await backend.plan(Change("backups", "vault", "check", values={"percent": percent}), admin)
        await backend.apply(plan, admin, "op")

    await check(0)
    with pytest.raises(Damaged, match="pack"):
        await check(100)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    into = os.fsencode(tmp_path / "into")
    os.mkdir(into)
    done = backend.extract(snap.id, [os.fsencode(place / "source")], into, lambda event: None, threading.Event())
    assert not done.clean and done.exit_code == 1 and done.error_count == 1
    bad = done.errors[0].path
    assert bad.startswith(os.fsencode(place / "source/f"))
    for number in range(4):
        path = os.fsencode(place / f"source/f{number}")
        if path != bad:
            assert Path(os.fsdecode(into + path)).read_bytes() == Path(os.fsdecode(path)).read_bytes()
    victim.unlink()
    with pytest.raises(Damaged):
        await check(0)


@old_and_new
async def test_every_hard_name_comes_back(program: Program, tmp_path: Path) -> None:
    """R01, R02: 104 names and their folders, links and times, all at once and some one by one."""
    place = tmp_path / "place"
    place.mkdir()
    nasty_tree.run("build", place / "source", "--only", "names,dirnames,symlinks,hardlinks,modes,owners,sparse", "--sparse-size", "3000000")
    make_restic(place / "repo", PASSWORD)
    _restic(place, "backup", str(place / "source"), program=program)
    backend = await opened(place, program=program.path)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    into = os.fsencode(tmp_path / "into")
    os.mkdir(into)
    root = os.fsencode(place / "source")
    done = backend.extract(snap.id, [root], into, lambda event: None, threading.Event())
    assert done.clean
    found = nasty_tree.differences(place / "source", os.fsdecode(into + root), "sparse")
    allowed = {("links", "hard links between"), ("target", "symbolic links that are no UTF-8"), ("mtime", ""), ("missing", "sockets")}
    losses = " ".join(backend.extract_capabilities().losses)
    assert all(any(kind == item[0] and words in losses for kind, words in allowed) for item in found), found
    names = sorted(os.listdir(root + b"/names"))
    for name in names[::26]:
        one = os.fsencode(tmp_path / f"one-{name.hex()[:40]}")
        os.mkdir(one)
        assert backend.extract(snap.id, [root + b"/names/" + name], one, lambda event: None, threading.Event()).clean
        assert os.listdir(one + root + b"/names") == [name]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo not json", Damaged), ("head -c 5000000 /dev/zero | tr '\\0' x", Damaged), ("printf '[{\"id\":'", Damaged), ("printf '\\377\\376'", Damaged),
        ("exit 77", BackendError), ("echo 'unknown flag: --no-lock' >&2; exit 1", Unsupported), ("echo '{}'", Damaged), ("echo 'Fatal: wrong password or no key found' >&2; exit 12", AuthFailed),
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
