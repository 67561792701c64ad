"""Restores whose repository goes away in the middle of the fetch, or whose disk is full: stopped, kept, mended, gone on with in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends.backups.borg import Borg
from backends.backups.restic import Restic
from backends.contract import Site
from backends.errors import NoSpace, Unreachable
from backends.options import read_options
from backends.restore.model import Destination, RestoreEvent, RestorePlan, RestoreReport
from backends.restore.runs import resume, row
from backends.secret import Secret
from backends.store.opening import open_store
from tests.backends.restore.conftest import look
from tests.servers.backup_places import free_port, sshd
from tests.servers.backup_programs import Program, make_restic, newest, since
from tests.servers.test_restore_tools import Bench

pytestmark = [pytest.mark.server]
FILES, SIZE = 8, 1_500_000


class Line(Bench):
    """A share whose backup lies behind an sshd on loopback that comes and goes; the tool is slow while `slow` is there."""

    def __init__(self, place: Path, program: Program) -> None:
        super().__init__(place, program)
        self.program, self.share = program, place / "srv" / "share"
        (self.share / "sub").mkdir(parents=True)
        for number in range(FILES):
            (self.share / "sub" / f"f{number}").write_bytes(random.Random(number).randbytes(SIZE))
        os.link(self.share / "sub" / "f0", self.share / "sub" / "same as f0")
        self.back_up(self.share)
        self.was = look(self.share)
        for number in range(FILES):
            (self.share / "sub" / f"f{number}").write_text("live")
        self.live = look(self.share)
        self.port, self.keys, self.slow = free_port(), place / "keys", place / "slow"
        self.keys.mkdir()
        self.events: list[RestoreEvent] = []
        self._server = contextlib.ExitStack()

    def back_up(self, path: Path) -> None:
        """In small packs: restic writes nothing of a pack before all of it is there."""
        if self.tool == "borg":
            super().back_up(path)
            return
        make_restic(self.repository, "p")
        self.run_tool("-q", "--pack-size", "4", "backup", "--host", "fs01", str(path))

    def up(self) -> str:
        """The server listens; the command that reaches it."""
        return self._server.enter_context(sshd(self.keys, self.port))

    def down(self) -> None:
        """No one listens, and every line is cut."""
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """The lines that are open."""
        for pid in children(os.getpid(), b"ssh\0"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)

    async def open_far(self) -> None:
        """The adapter of the repository behind the server."""
        ssh = self.up()
        table: dict[str, Any] = {"program": self.slowly()}
        kind: Any = Restic if self.tool == "restic" else Borg
        if self.tool == "restic":
            table |= {"repository": f"sftp:root@127.0.0.1:{self.repository}", "password": "env:X", "options": [f"sftp.command={ssh} root@127.0.0.1 -s sftp"]}
        else:
            table |= {"repository": f"ssh://root@127.0.0.1:{self.port}{self.repository}", "rsh": ssh, "remote_path": self.path}
        options = {**read_options(kind.OPTIONS, table), **({"password": Secret("p")} if self.tool == "restic" else {})}
        self.backend = kind("vault", options, Site(data=str(self.place / "data"), store=open_store(self.place / "data")))
        await self.backend.open()
        self.snapshot = (await self.backend.all_snapshots())[0].id

    def slowly(self) -> str:
        """The program, at 3 MB a second while it is to be slow."""
        path = self.place / "program"
        option = "--limit-download 3000" if self.tool == "restic" else "--upload-ratelimit 0"
        path.write_text(f'#!/bin/bash\nif [ -e {self.slow} ]; then exec {self.path} {option} "$@"; fi\nexec {self.path} "$@"\n')
        path.chmod(0o755)
        return str(path)

    def work(self, plan: RestorePlan, stop: threading.Event | None = None) -> RestoreReport:
        """Do it, or go on."""
        return resume(self.setting, self.run(plan), self.backend, stop or threading.Event(), self.events.append)

    def fetched(self, plan: RestorePlan) -> list[Path]:
        """Files in the staging."""
        return list(self.share.parent.glob(f".deskside-restore-{plan.run}-*/new/**/f*"))

    async def in_the_middle(self, plan: RestorePlan, task: asyncio.Task[RestoreReport]) -> None:
        """Some of it is there, not all."""
        while len(self.fetched(plan)) < 4:
            await asyncio.sleep(0.002)
            assert not task.done(), task.result()

    def whole(self, plan: RestorePlan) -> dict[str, os.stat_result]:
        """Those that are there wholly, by name, "f0" and its second name left out."""
        there = {path.name: path for path in self.fetched(plan) if path.name != "f0"}
        return {name: path.stat() for name, path in there.items() if path.read_bytes() == self.was[f"sub/{name}"][-1] and path.stat().st_mtime_ns == self.was[f"sub/{name}"][3]}

    def spoil(self, plan: RestorePlan, name: str) -> None:
        """The same size and time, other bytes."""
        (path,) = [path for path in self.fetched(plan) if path.name == name]
        told = path.stat()
        with open(path, "r+b") as file:
            file.write(b"wrong bytes")
        os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))

    def stagings(self) -> list[Path]:
        """All there are."""
        return list(self.share.parent.glob(".deskside-restore-*"))


def children(pid: int, name: bytes) -> list[int]:
    """Processes below one whose command begins so."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += children(child, name)
                if Path(f"/proc/{child}/cmdline").read_bytes().startswith(name):
                    found.append(child)
    return found


@pytest.fixture
def line(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Line(tmp_path, request.param)
    made.slow.touch()
    yield made
    made.down()


over = lambda params: pytest.mark.parametrize("line", params, indirect=True)  # noqa: E731


@over(newest("restic", "borg"))
async def test_the_server_dies_and_comes_back(line: Line) -> None:
    """R18: unreachable in the middle, tried again in vain, kept; nothing live is touched until it was gone on with and audited."""
    await line.open_far()
    line.setting = replace(line.setting, waits=(0.05, 0.1))
    plan = line.plan(line.share)
    task = asyncio.create_task(asyncio.to_thread(line.work, plan))
    await line.in_the_middle(plan, task)
    line.down()
    with pytest.raises(Unreachable) as caught:
        await task
    run, told = line.run(plan), row(line.run(plan))
    assert (told.state, told.can) == ("stopped", ("resume", "discard")) and "the repository could not be reached" in told.text, told
    assert [event.message.split(": ")[0] for event in line.events if "trying again" in event.message] == [
        f"the repository can't be reached, trying again in {wait} s" for wait in ("0.05", "0.1")
    ]
    assert look(line.share) == line.live and "--resume` goes on" in caught.value.hint
    assert sum(event.kind == "error" for event in line.events) <= 4, "one file after the other is named that could not come"
    assert len(line.stagings()) == 1
    known = [path.stat().st_ino for path in line.stagings()]
    with pytest.raises(Unreachable):
        line.work(plan)  # it is not back yet
    assert look(line.share) == line.live and [path.stat().st_ino for path in line.stagings()] == known and run.state() == "stopped"
    line.slow.unlink()
    line.up()
    whole = line.whole(plan)
    assert whole or line.tool == "restic", "restic sets the times at its end"
    wrong = next(iter(whole), "")
    if wrong:
        line.spoil(plan, wrong)
    report = line.work(plan)
    for name, told in whole.items():
        assert name == wrong or (line.share / "sub" / name).stat().st_ino == told.st_ino, f"{name} was fetched again"
    assert report.result == "done" and report.audited and look(line.share) == line.was, report.private
    assert not known or run.said("identities")[0][1] == known[0]
    assert run.state() == "done" and not row(run).interrupted


@over(newest("restic", "borg"))
async def test_a_line_that_is_cut_is_gone_on_with_by_itself(line: Line) -> None:
    await line.open_far()
    line.setting = replace(line.setting, waits=(0.05, 0.1, 0.2))
    plan = line.plan(line.share)
    task = asyncio.create_task(asyncio.to_thread(line.work, plan))
    await line.in_the_middle(plan, task)
    assert look(line.share) == line.live
    line.cut()
    line.slow.unlink()
    report = await task
    assert report.result == "done" and report.audited and look(line.share) == line.was, report.private
    assert len([event for event in line.events if "trying again in 0.05 s" in event.message]) == 1
    assert [event.seq for event in line.events] == list(range(1, len(line.events) + 1))


@over(newest("restic"))
async def test_cancelled_while_it_waits(line: Line) -> None:
    await line.open_far()
    line.setting = replace(line.setting, waits=(600.0,))
    plan, stop = line.plan(line.share), threading.Event()
    task = asyncio.create_task(asyncio.to_thread(line.work, plan, stop))
    await line.in_the_middle(plan, task)
    line.down()
    while not any("trying again in 600 s" in event.message for event in line.events):
        await asyncio.sleep(0.01)
        assert not task.done()
    stop.set()
    report = await asyncio.wait_for(task, 30)
    assert report.result == "cancelled" and look(line.share) == line.live and not line.stagings()


@pytest.mark.skipif(os.geteuid() != 0, reason="LEFT OUT: needs root to mount a small filesystem")
@pytest.mark.parametrize("program", [since("restic", 0, 17), *newest("borg")], ids=str)
async def test_a_full_disk_is_made_larger(tmp_path: Path, program: Program) -> None:
    """No room in the middle: kept with its size and path, then gone on with on the same disk."""
    bench, small = Bench(tmp_path, program), tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(small)], check=True)
    try:
        share = tmp_path / "srv" / "share"
        share.mkdir(parents=True)
        for number in range(8):
            (share / f"f{number}").write_bytes(random.Random(number).randbytes(1_500_000))
        bench.back_up(share)
        await bench.open()
        (small / "live").write_text("live")
        plan = bench.plan(share, to=Destination("new", os.fsencode(small / "out")), overrides=("space",), override_reason="test")
        with pytest.raises(NoSpace) as caught:
            bench.do(plan)
        told, stagings = row(bench.run(plan)), list(small.glob(".deskside-restore-*"))
        assert told.state == "stopped" and "there was no room left" in told.text and (small / "live").read_text() == "live" and not (small / "out").exists()
        assert len(stagings) == 1
        for path in stagings:
            assert "MiB are kept until" in told.text and str(path) in told.text and str(path) in caught.value.hint
        subprocess.run(["mount", "-o", "remount,size=60m", str(small)], check=True)
        report = bench.do(plan)
        assert report.result == "done" and report.audited and look(small / "out" / "share") == look(share), report.private
    finally:
        subprocess.run(["umount", str(small)], check=True)
