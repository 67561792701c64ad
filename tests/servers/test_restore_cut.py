"""Restores whose tool or process is killed in the middle of the fetch: what is gone on with comes back equal, audited as ever."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from backends.errors import BackendError
from backends.restore.model import Destination, RestoreReport
from backends.restore.runs import resume, row
from tests.backends.restore.conftest import look
from tests.servers.backup_programs import Program, ends, newest, since
from tests.servers.test_restore_tools import Bench

pytestmark = [pytest.mark.server]
ROOT = Path(__file__).parents[2]
FILES, SIZE = 12, 4_000_000
FETCHED = ".deskside-restore-{}-*/new/**/f*"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)


async def made(place: Path, program: Program) -> tuple[Bench, Path]:
    """A share with its backup, large enough to be in the middle of."""
    bench = Bench(place, program)
    share = place / "srv" / "share"
    (share / "sub").mkdir(parents=True)
    for number in range(FILES):
        (share / "sub" / f"f{number}").write_bytes(random.Random(number).randbytes(SIZE))
    (share / "sub").chmod(0o500)
    (share / "link").symlink_to("sub/f1")
    bench.back_up(share)
    await bench.open()
    return bench, share


def children() -> list[int]:
    """Processes of ours that restore or extract."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            found += [int(pid)] if b"restore" in words or b"extract" in words else []
    return found


def killed(work: Any, number: int, seconds: float) -> str:
    """Do it in a thread, send the tool the signal so long after it began; how it ended."""
    ended: list[str] = []

    def run() -> None:
        try:
            ended.append(work().result)
        except BackendError as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive() and not (there := children()):
        time.sleep(0.005)
    time.sleep(seconds)
    for pid in there:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    thread.join(60)
    return ended[0]


@pytest.mark.parametrize("program", [*ends("restic"), *newest("borg")])
async def test_the_tool_is_killed_and_gone_on_with(tmp_path: Path, program: Program) -> None:
    """R08: SIGINT, SIGTERM and SIGKILL to the tool at seeded points, ten and more over the three tools, then resume = equal."""
    bench, share = await made(tmp_path, program)
    was, chance, cut = look(share), random.Random(f"R08 {program}"), 0
    for point in range(4):
        out = tmp_path / f"out{point}"
        plan = bench.plan(share, to=Destination("new", os.fsencode(out)))
        run = bench.run(plan)
        ended = killed(lambda plan=plan: bench.do(plan), SIGNALS[point % 3], chance.uniform(0.0, 0.2))
        if ended != "done":
            cut += 1
            assert ended == "ToolDied" and not out.exists(), ended
            told = row(run)
            assert told.state == "stopped" and told.interrupted and {"resume", "discard"} <= set(told.can) and "ended by" in told.text
            staged = list(tmp_path.glob(f".deskside-restore-{run.ident}-*"))
            assert bool(staged) is (program.name == "borg" or program.version >= (0, 17))
            before = [path.stat().st_ino for path in staged]
            report: RestoreReport = resume(bench.setting, run, bench.backend, threading.Event())
            assert report.result == "done" and report.audited, report.private
            assert not before or run.said("identities")[0][1] == before[0], "the staging was not gone on in"
        assert look(out / "share") == was and run.state() == "done"
    assert cut or program.name == "borg", "no point was inside the tool's work"


async def test_a_killed_job_goes_on_in_its_staging(tmp_path: Path) -> None:
    """The job dies by SIGKILL in the middle of the fetch, at seeded points; a file of full size and right time with wrong bytes is repaired too."""
    bench, share = await made(tmp_path, since("restic", 0, 17))
    was, chance, spoiled, went_on = look(share), random.Random("job"), 0, 0
    for point in range(3):
        out = tmp_path / f"out{point}"
        plan = bench.plan(share, to=Destination("new", os.fsencode(out)))
        run = bench.run(plan)
        argv = [sys.executable, "-m", "tests.servers.restore_work", str(tmp_path), plan.run, bench.backend.tool.program]
        job = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL)
        while not list(tmp_path.glob(FETCHED.format(run.ident))) and job.poll() is None:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.2))
        job.kill()
        job.wait()
        time.sleep(0.3)  # a restic that outlived it ends by itself: its way into the staging is gone
        if run.state() == "fetching":
            went_on += 1
            for path in tmp_path.glob(FETCHED.format(run.ident)):
                if path.stat().st_size == SIZE:
                    told = path.stat()
                    with open(path, "r+b") as file:
                        file.seek(SIZE // 2)
                        file.write(b"wrong bytes")
                    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
                    spoiled += 1
        if run.state() != "done":
            done = subprocess.run(argv[:-1] + [bench.path], cwd=ROOT, capture_output=True, text=True, timeout=60)
            assert done.stdout.strip() == "done", (done.stdout, done.stderr)
        assert look(out / "share") == was and bench.run(plan).report() is not None
        report = run.report()
        assert report is not None and report.result == "done" and report.audited
    assert went_on and spoiled, "no point was inside the fetch"
