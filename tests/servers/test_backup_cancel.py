"""A backup that is stopped in its middle: seen at once, dead soon, without a lock; and a job that somebody else cancels."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Change
from backends.errors import BackendError
from tests.servers.backup_programs import ends, newest
from tests.servers.test_backup_cases import ADMIN, PASSWORD, Place

pytestmark = [pytest.mark.server]
ROOT = Path(__file__).parents[2]
SEEN, DEAD = 0.2, 6.0


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """With a file of 40 GB that takes no room: a backup of it does not end by itself while it is looked at."""
    monkeypatch.setenv("HOME", str(tmp_path))
    found = Place(tmp_path, request.param)
    with open(found.source / "large", "wb") as file:
        file.write(os.urandom(1_000_000))
        file.truncate(40 << 30)
    yield found


def slow(place: Place) -> str:
    """restic by itself reads holes at a gigabyte a second."""
    return place.program_that('exec $real --limit-upload 2000 "$@"') if place.restic else place.program.path


def running(place: Place) -> list[int]:
    """Processes that have this place in their command line."""
    mine = os.fsencode(place.source)
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _has(path, mine)]


def _has(path: Path, words: bytes) -> bool:
    try:
        return words in path.read_bytes() and int(path.parent.name) != os.getpid()
    except OSError:
        return False


@pytest.mark.parametrize("place", ends("restic", "borg"), indirect=True)
async def test_a_large_backup_is_cancelled(place: Place) -> None:
    jobs = {"whole": {"paths": [str(place.source)], "archive": "fs01-{now:%Y-%m-%dT%H:%M:%S}"}}
    backend = await place.open(program=slow(place), jobs=jobs)
    stop = threading.Event()
    backend.follow(place.heard.append, stop)
    plan = await backend.plan(Change("backups", "vault", "run", "whole"), ADMIN)
    task = asyncio.create_task(backend.apply(plan, ADMIN, "op"))
    until = time.monotonic() + 30
    while not any(event.bytes > 1_000_000 for event in place.heard):
        assert time.monotonic() < until and not task.done()
        await asyncio.sleep(0.01)
    assert running(place)
    began = time.monotonic()
    stop.set()
    with pytest.raises(BackendError, match="cancelled"):
        await task
    assert time.monotonic() - began < DEAD and not running(place)
    backend.forget_cached()
    assert await backend.locks() == [] and await backend.all_snapshots() == []
    assert (await backend.runs(_all())).items[0].result == "cancelled"


@pytest.mark.parametrize("place", newest("restic", "borg"), indirect=True)
async def test_a_cancel_that_comes_too_late_is_not_said(place: Place) -> None:
    """The snapshot is there: the backup is done, not "nothing of it can be restored"."""
    (place.source / "large").unlink()
    (place.source / "small").write_text("x")
    late = place.program_that(
        f'case " $* " in *" backup "*|*" create "*) trap "exit 0" INT TERM; $real "$@"; touch {place.path}/made; sleep 30 >/dev/null 2>&1 & wait;; esac'
    )
    backend = await place.open(program=late, jobs={"whole": {"paths": [str(place.source)], "archive": "fs01-{now:%Y-%m-%dT%H:%M:%S}"}})
    stop = threading.Event()
    backend.follow(place.heard.append, stop)
    task = asyncio.create_task(backend.apply(await backend.plan(Change("backups", "vault", "run", "whole"), ADMIN), ADMIN, "op"))
    until = time.monotonic() + 30
    while not (place.path / "made").exists():
        assert time.monotonic() < until and not task.done()
        await asyncio.sleep(0.01)
    stop.set()
    assert (await task).word == "done" and len(await backend.all_snapshots()) == 1
    assert (await backend.runs(_all())).items[0].result == "ok"


def done_of(job: Path) -> int:
    """What the job says that it has done."""
    lines = (job / "out.jsonl").read_text().splitlines() if (job / "out.jsonl").exists() else []
    return max((int(json.loads(line)["done"]) for line in lines if line.endswith("}")), default=0)


def _all() -> object:
    from backends.backups.model import RunQuery

    return RunQuery()


@pytest.mark.parametrize("place", newest("restic", "borg"), indirect=True)
def test_a_running_backup_is_cancelled_by_another_process(place: Place) -> None:
    """The same backup is not begun twice. `deskside jobs cancel`: the job says so, the tool is gone, no lock stays, and the next backup runs."""
    (place.path / "pass").write_text(PASSWORD + "\n")
    (place.path / "pass").chmod(0o600)
    (place.path / "c.toml").write_text(
        f'[roles]\ndefault = "admin"\n[backups.vault]\nadapter = "{place.program.name}"\nrepository = "{place.repository}"\n'
        f'password = "file:{place.path}/pass"\nprogram = "{slow(place)}"\n[backups.vault.jobs.whole]\npaths = ["{place.source}"]\n'
    )

    def deskside(*words: str) -> dict[str, object]:
        argv = [sys.executable, "-m", "console", "--config", str(place.path / "c.toml"), "--data", str(place.path / "data"), *words, "--json"]
        done = subprocess.run(argv, cwd=ROOT, env={"PATH": os.environ["PATH"], "HOME": str(place.path)}, capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)  # fmt: skip
        return dict(json.loads(done.stdout.splitlines()[0])) if done.stdout else {"error": done.stderr}

    deskside("backups", "run", "whole", "--yes", "--detach")
    assert "makes this backup already" in str(deskside("backups", "run", "whole", "--yes", "--detach"))
    (job,) = (place.path / "data/jobs").iterdir()
    until = time.monotonic() + 40
    while not (running(place) and done_of(job) > 1_000_000):
        assert time.monotonic() < until, (running(place), [path.read_text() for path in job.iterdir()])
        time.sleep(0.02)
    deskside("jobs", "cancel", job.name)
    began = (job / "cancel.json").stat().st_mtime
    while not (job / "result.json").exists():
        assert time.time() - began < DEAD + 4
        time.sleep(0.02)
    assert json.loads((job / "result.json").read_text())["state"] == "cancelled"
    assert not [pid for pid in running(place) if b"deskside-job" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert deskside("backups", "locks")["items"] == [] and deskside("backups", "snapshots")["items"] == []
    (place.source / "large").unlink()
    (place.source / "small").write_text("x")
    deskside("backups", "run", "whole", "--yes")
    assert len(deskside("backups", "snapshots")["items"]) == 1  # type: ignore[arg-type]
