"""The numbered cases of restores and backups that both tools share: names by SSH, selections, damage, servers that go, passwords, holes, garbage."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from backends.backups.borg import Borg
from backends.backups.extraction import Extraction, ToolEvent
from backends.backups.restic import Restic
from backends.contract import Actor, Change, Site
from backends.errors import AuthFailed, BackendError, Damaged, Invalid, MissingTool, NotFound, Unreachable, Unsupported
from backends.options import read_options
from backends.secret import Secret
from backends.store.opening import open_store
from tests.servers import nasty_tree
from tests.servers.backup_places import free_port, rclone, sshd
from tests.servers.backup_programs import Program, cheap_key, ends, every, make_borg, make_restic, newest

pytestmark = [pytest.mark.server]
ADMIN = Actor("ana", "Ana", "admin")
PASSWORD = "correct horse"


class Place:
    """A folder with a repository, and the program that works on it."""

    def __init__(self, path: Path, program: Program) -> None:
        self.path, self.program, self.restic = path, program, program.name == "restic"
        self.source, self.repository = path / "source", path / "repo"
        self.source.mkdir()
        self.heard: list[ToolEvent] = []
        self._count = 0
        program.needed()
        if self.restic:
            make_restic(self.repository, PASSWORD)
        else:
            make_borg(self.repository, PASSWORD, program)

    def run(self, *words: str) -> None:
        """The program itself."""
        own = {"RESTIC_REPOSITORY": str(self.repository), "RESTIC_PASSWORD": PASSWORD, "BORG_REPO": str(self.repository), "BORG_PASSPHRASE": PASSWORD}
        own |= {"HOME": str(self.path / "home"), "TZ": "UTC"}  # not the adapter's: borg asks before a repository that moved is used
        subprocess.run([self.program.path, *words], env={**os.environ, **own}, check=True, capture_output=True, timeout=120)

    def back_up(self) -> None:
        """A snapshot of the source."""
        self._count += 1
        self.run(*(["-q", "backup"] if self.restic else ["create", f"::fs01-2026-03-0{self._count}"]), str(self.source))

    async def open(self, password: str = PASSWORD, **options: Any) -> Any:
        """The adapter."""
        kind: Any = Restic if self.restic else Borg
        table = {"repository": str(self.repository), "program": self.program.path, "password": "env:X", **options}
        backend = kind("vault", {**read_options(kind.OPTIONS, table), "password": Secret(password)}, Site(data=str(self.path / "data"), store=open_store(self.path / "data")))
        await backend.open()
        return backend

    def program_that(self, script: str) -> str:
        """A program of this version that does `script` first; "$real" is the real one."""
        path = self.path / f"program-{len(list(self.path.iterdir()))}"
        path.write_text(f'#!/bin/bash\nreal={self.program.path}\n{script}\nexec $real "$@"\n')
        path.chmod(0o755)
        return str(path)

    def extract(self, backend: Any, snapshot: str, selection: Sequence[Path | bytes], stop: threading.Event | None = None) -> tuple[Extraction, Path]:
        """Into a new folder."""
        into = self.path / f"into-{len(list(self.path.iterdir()))}"
        into.mkdir()
        return backend.extract(snapshot, [os.fsencode(path) for path in selection], os.fsencode(into), self.heard.append, stop or threading.Event()), into


def below(into: Path, path: Path) -> Path:
    """Where an extracted path lies."""
    return Path(str(into) + str(path))


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("HOME", str(tmp_path))
    yield Place(tmp_path, request.param)


over = lambda params: pytest.mark.parametrize("place", params, indirect=True)  # noqa: E731
EVERY, ENDS, NEW = every("restic", "borg"), ends("restic", "borg"), newest("restic", "borg")


async def only(backend: Any) -> str:
    """The id of its only snapshot."""
    (found,) = await backend.all_snapshots()
    return str(found.id)


@over(ENDS)
async def test_hard_names_by_ssh(place: Place) -> None:
    """R03: sftp and `borg serve` behind a real sshd; every name comes back, and a server that is gone is said."""
    nasty_tree.run("build", place.source / "tree", "--only", "names,dirnames")
    place.back_up()
    folder, port = place.path / "sshd", free_port()
    folder.mkdir()
    with sshd(folder, port) as ssh:
        if place.restic:
            there = {"repository": f"sftp:root@127.0.0.1:{place.repository}", "options": [f"sftp.command={ssh} root@127.0.0.1 -s sftp"]}
        else:
            there = {"repository": f"ssh://root@127.0.0.1:{port}{place.repository}", "rsh": ssh, "remote_path": place.program.path}
        backend = await place.open(**there)
        done, into = place.extract(backend, await only(backend), [place.source])
        assert done.clean, done
        if not place.restic:
            with pytest.raises(Unsupported, match="not known"):
                await backend.locks()
    assert nasty_tree.differences(place.source / "tree", below(into, place.source / "tree")) == []
    backend.forget_cached()
    with pytest.raises(Unreachable):
        await backend.all_snapshots()


@over(EVERY)
async def test_an_empty_selection_starts_no_process(place: Place) -> None:
    """R05: both tools take "nothing" for "everything"."""
    (place.source / "a").write_text("a")
    place.back_up()
    backend = await place.open(program=place.program_that(f"echo called >>{place.path}/calls"))
    ident = await only(backend)
    before = (place.path / "calls").read_text()
    stop, into = threading.Event(), place.path / "into"
    into.mkdir()
    for ask in (
        lambda: backend.extract(ident, [], os.fsencode(into), place.heard.append, stop), lambda: list(backend.entries(ident, [])),
        lambda: list(backend.content_hashes(ident, [], stop)), *([lambda: list(backend.differing(ident, [], b"/", stop))] if place.restic else []),
    ):  # fmt: skip
        with pytest.raises(Invalid):
            ask()
    assert (place.path / "calls").read_text() == before and not os.listdir(into)


@over(NEW)
async def test_what_matches_nothing_is_a_failure(place: Place) -> None:
    """R06: a path that is not there, a pattern, and a tool that says success though nothing came."""
    (place.source / "a").write_text("a")
    place.back_up()
    backend = await place.open()
    ident = await only(backend)
    for wrong in ("b", "?", "*", "a/b"):
        with pytest.raises(NotFound):
            place.extract(backend, ident, [place.source / wrong])
    silent = await place.open(program=place.program_that('case " $* " in *" restore "*|*" extract "*) echo "{\\"message_type\\":\\"summary\\"}"; exit 0;; esac'))
    if place.restic:  # for restic that is the same as a path that is not in the snapshot
        with pytest.raises(NotFound):
            place.extract(silent, ident, [place.source / "a"])
        return
    done, into = place.extract(silent, ident, [place.source / "a"])
    assert not done.clean and done.restored == () and not below(into, place.source / "a").exists()


@over(EVERY)
async def test_parts_of_the_repository_are_missing(place: Place) -> None:
    """R10: a pack, an index, a snapshot's file: an error or a partial result with the paths, never "done"."""
    for number in range(2):
        (place.source / f"f{number}").write_bytes(os.urandom(3_000_000))
    place.back_up()
    whole = place.path / "whole"
    shutil.copytree(place.repository, whole)
    backend = await place.open()
    ident = await only(backend)

    def again() -> None:
        shutil.rmtree(place.repository)
        shutil.copytree(whole, place.repository)
        shutil.rmtree(place.path / "data/backups", ignore_errors=True)

    async def check(percent: int) -> None:
        await backend.apply(await backend.plan(Change("backups", "vault", "check", values={"percent": percent}), ADMIN), ADMIN, "op")

    if place.program.version > (0, 15):  # restic 0.14 looks for a missing pack for three quarters of a minute
        data = [path for path in (place.repository / "data").rglob("*") if path.is_file()]
        max(data, key=lambda path: path.stat().st_size).unlink()
        try:
            done, into = place.extract(backend, ident, [place.source])
            assert not done.clean and {error.path for error in done.errors} >= set(map(os.fsencode, place.source.iterdir()))
        except Damaged as error:
            assert error.hint
        with pytest.raises(Damaged):
            await check(100)
        again()
    for path in [*(place.repository / "index").glob("*"), *place.repository.glob("index.*"), *place.repository.glob("hints.*")]:
        path.unlink()
    if place.restic:
        try:
            done, into = place.extract(backend, ident, [place.source])
            assert not done.clean and not below(into, place.source / "f1").exists()
        except Damaged as error:
            assert error.hint
        with pytest.raises(Damaged):
            await check(0)
        again()
        for path in (place.repository / "snapshots").iterdir():
            path.unlink()
        backend.forget_cached()
        with pytest.raises(NotFound):
            place.extract(backend, ident, [place.source])
    else:
        done, into = place.extract(backend, ident, [place.source])
        assert done.clean and below(into, place.source / "f1").read_bytes() == (place.source / "f1").read_bytes(), "borg makes its index anew"


@over(ENDS)
async def test_a_changed_password(place: Place) -> None:
    """R19: the old one is said not to open it any more, in a restore too, and is in no message."""
    (place.source / "a").write_text("a")
    place.back_up()
    backend = await place.open()
    ident = await only(backend)
    (place.path / "new").write_text("other staple\n")
    if place.restic:
        place.run("key", "passwd", "--new-password-file", str(place.path / "new"))
        cheap_key(place.repository, "other staple")
    else:
        own = {"BORG_REPO": str(place.repository), "BORG_PASSPHRASE": PASSWORD, "BORG_NEW_PASSPHRASE": "other staple"}
        subprocess.run([place.program.path, "key", "change-passphrase"], env={**os.environ, **own}, check=True, capture_output=True, timeout=60)
    backend.forget_cached()
    for ask in (lambda: place.extract(backend, ident, [place.source]), lambda: list(backend.content_hashes(ident, [os.fsencode(place.source)], threading.Event()))):
        with pytest.raises(AuthFailed) as caught:
            ask()
        assert PASSWORD not in caught.value.sentence() and caught.value.hint
    done, _ = place.extract(await place.open("other staple"), ident, [place.source])
    assert done.clean


@over(EVERY)
async def test_holes_stay_holes(place: Place) -> None:
    """R21: or the loss is named beforehand."""
    with open(place.source / "image", "wb") as file:
        file.seek(60_000_000)
        file.write(b"end" * 5000)
        file.truncate(120_000_000)
    place.back_up()
    backend = await place.open()
    done, into = place.extract(backend, await only(backend), [place.source])
    found = below(into, place.source / "image").stat()
    assert done.clean and found.st_size == 120_000_000
    can = backend.extract_capabilities()
    assert can.sparse == (found.st_blocks * 512 < 20_000_000) and (can.sparse or any("sparse" in loss for loss in can.losses))


NOISE = (
    'noise() { printf "\\033]0;PWNED\\007\\033[2Kplain\\n\\377\\376\\n{\\"half\\": \\n{}\\n[1]\\nnull\\n"; head -c 5000000 /dev/zero | tr "\\0" x; echo; }\n'
    'case " $* " in *" restore "*|*" extract "*|*" backup "*|*" create "*) noise; %s$real "$@"; code=$?; printf "no end"; exit $code;; esac'
)


@over(NEW)
async def test_garbage_beside_the_tools_words(place: Place) -> None:
    """R23: ANSI, plain lines, bytes that are no UTF-8, 5 MB in one line, a last line without its end: on either stream."""
    (place.source / "a").write_text("a")
    place.back_up()
    ident = await only(await place.open())
    job = {"whole": {"paths": [str(place.source)], "archive": "fs01-{now:%Y-%m-%dT%H:%M:%S}"}}
    out = await place.open(program=place.program_that(NOISE % ""), jobs=job)
    done, into = place.extract(out, ident, [place.source])
    assert done.clean and below(into, place.source / "a").read_text() == "a"
    err = await place.open(program=place.program_that(NOISE % "noise >&2; "), jobs=job)
    done, into = place.extract(err, ident, [place.source])
    assert below(into, place.source / "a").read_text() == "a" and not any("\x1b" in error.text for error in done.errors)
    assert all(len(error.text) < 5000 for error in done.errors)
    outcome = await err.apply(await err.plan(Change("backups", "vault", "run", "whole"), ADMIN), ADMIN, "op")
    assert "\x1b" not in outcome.text and len(await err.all_snapshots()) == 2


@over(NEW)
async def test_a_tool_that_fails_in_its_own_way(place: Place) -> None:
    """R24: an exit code nobody knows, a program that is gone since it was opened, one that died."""
    (place.source / "a").write_text("a")
    place.back_up()
    job = {"whole": {"paths": [str(place.source)]}}
    for script, words in (("echo so it is >&2; exit 77", "so it is"), ("kill -9 $$", "SIGKILL|signal 9")):
        backend = await place.open(program=place.program_that(f'case " $* " in *" restore "*|*" extract "*|*" backup "*|*" create "*) {script};; esac'), jobs=job)
        ident = await only(backend)
        with pytest.raises(BackendError, match=words) as caught:
            place.extract(backend, ident, [place.source])
        assert caught.value.hint
        plan = await backend.plan(Change("backups", "vault", "run", "whole"), ADMIN)
        with pytest.raises(BackendError, match=words):
            await backend.apply(plan, ADMIN, "op")
    gone = place.program_that("")
    backend = await place.open(program=gone)
    os.unlink(gone)
    with pytest.raises(MissingTool):
        place.extract(backend, ident, [place.source])


@over(every("restic"))
async def test_a_rest_server_goes_in_the_middle(place: Place) -> None:
    """R18: the restore says that it tries again, ends when it is told to, and comes to its end when the server comes back.

    Some packs, fetched one after the other: restic writes the files of a pack when it has all of it, and most are still to come then.
    """
    for number in range(6):
        (place.source / f"f{number}").write_bytes(os.urandom(3_000_000))
    place.run("-q", "backup", "--pack-size", "4", str(place.source))
    port = free_port()
    backend = await place.open(repository=f"rest:http://127.0.0.1:{port}/", options=["rest.connections=1"])
    server = rclone("restic", place.repository, port, "--bwlimit", "4M")
    with server as process:
        ident = await only(backend)
        stop = threading.Event()
        task = asyncio.create_task(asyncio.to_thread(place.extract, backend, ident, [place.source], stop))
        while not list(place.path.glob("into-*/**/f*")):
            await asyncio.sleep(0.02)
            assert not task.done(), task.result()
        process.kill()
    until = time.monotonic() + 30
    while not any("retrying" in event.text for event in place.heard):
        await asyncio.sleep(0.02)
        assert not task.done() and time.monotonic() < until
    if place.program.version >= (0, 19):
        with rclone("restic", place.repository, port):
            done, into = await task
        assert done.clean and all(below(into, path).read_bytes() == path.read_bytes() for path in place.source.iterdir()), done
        return
    began = time.monotonic()
    stop.set()
    done, _ = await task
    assert done.cancelled and not done.clean and time.monotonic() - began < 6


@over(NEW)
async def test_an_ssh_server_goes_in_the_middle(place: Place) -> None:
    """R18: "unreachable", not "damaged", and nothing goes on alone."""
    for number in range(6):
        (place.source / f"f{number}").write_bytes(os.urandom(3_000_000))
    place.back_up()
    folder, port = place.path / "sshd", free_port()
    folder.mkdir()
    with sshd(folder, port) as ssh:
        if place.restic:
            slow = place.program_that('exec $real --limit-download 3000 "$@"')
            backend = await place.open(
                program=slow, repository=f"sftp:root@127.0.0.1:{place.repository}", options=[f"sftp.command={ssh} root@127.0.0.1 -s sftp"]
            )
        else:
            backend = await place.open(repository=f"ssh://root@127.0.0.1:{port}{place.repository}", rsh=ssh, remote_path=place.program.path)
        ident = await only(backend)
        task = asyncio.create_task(asyncio.to_thread(place.extract, backend, ident, [place.source]))
        while not list(place.path.glob("into-*/**/f*")):
            await asyncio.sleep(0.005)
            assert not task.done(), task.result()
        for child in _descendants(os.getpid(), b"ssh\0"):
            os.kill(child, 9)
    with pytest.raises(Unreachable):
        await task


def _descendants(pid: int, name: bytes) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            with_it = Path(f"/proc/{child}/cmdline").read_bytes()
            found += ([child] if with_it.startswith(name) else []) + _descendants(child, name)
    return found


@over(EVERY)
async def test_parents_are_left_alone(place: Place) -> None:
    """R04: parents of what is extracted get nothing of the snapshot's, nor does the folder it is extracted into."""
    deep = place.source / "one/two/three"
    deep.mkdir(parents=True)
    (deep / "a").write_text("a")
    (place.source / "one").chmod(0o2711)
    (place.source / "one/two").chmod(0o500)
    place.back_up()
    backend = await place.open()
    mask = os.umask(0o027)
    try:
        done, into = place.extract(backend, await only(backend), [deep / "a", deep])
    finally:
        os.umask(mask)
    assert done.clean and below(into, deep / "a").read_text() == "a"
    now = time.time()
    assert now - into.stat().st_mtime < 60 and stat.S_IMODE(into.stat().st_mode) == 0o750
    for parent in (place.source / "one", place.source / "one/two"):
        if place.restic and place.program.version < (0, 16):
            continue  # the engine moves out of its staging folder only what was chosen
        assert stat.S_IMODE(below(into, parent).stat().st_mode) not in (0o2711, 0o500)
