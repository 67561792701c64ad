"""Killed at every phase and at seeded points inside each: each live file is always the old or the new one, and every way out works.

strace kills the process in the very system call (or lets it fail): no timing, no luck.
"""

from __future__ import annotations

import os
import pickle
import random
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.restore.model import RestorePlan
from backends.restore.run_folder import Run, runs
from backends.restore.runs import drop, interrupted, purge
from tests.backends.restore.conftest import House, look

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="LEFT OUT: strace is not installed; nothing was killed")
FILES = 24


@pytest.fixture
def big(house: House) -> House:
    """Files to replace, new ones, a folder to come, one in the way, extras to take away."""
    folder = house.share / "many"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"f{number:02}").write_text(f"old content {number}" * 50)
    house.source.backup("one", house.share)
    for number in range(0, FILES, 2):
        (folder / f"f{number:02}").write_text(f"live {number}")
    (folder / "f01").unlink()
    shutil.rmtree(house.share / "sub" / "deep")
    (house.share / "link").unlink()
    (house.share / "link").mkdir()
    (house.share / "link" / "x").write_text("x")
    (house.share / "later").write_text("later")
    (house.place / "hashes").write_bytes(pickle.dumps(house.source.hashes))
    return house


def work(house: House, plan: RestorePlan, deed: str = "work", inject: str = "") -> str:
    done = house.work(plan, deed, ["-e", f"inject={inject}"] if inject else ())
    assert done.returncode in (0, -9, 137), done.stderr
    return done.stdout.strip()


def each_is_old_or_new(now: dict[str, Any], old: dict[str, Any], new: dict[str, Any]) -> None:
    for path in set(now) | set(old) | set(new):
        found = now.get(path)
        plain = [(None if one.get(path) is None else (one[path][0][:4], one[path][-1])) for one in (old, new)]
        inside_moved = any(path.startswith(top) for top in ("sub/deep", "link"))  # a tree comes or goes as a whole
        assert (None if found is None else (found[0][:4], found[-1])) in plain or inside_moved, path


def syscalls(house: House, plan: RestorePlan, name: str) -> int:
    """How often a whole run makes the call: measured on a twin in the same state, by counting."""
    counted = house.place / "count"
    assert house.work(plan, strace=["-c", "-o", str(counted), "-e", f"trace={name}"]).stdout.strip() == "done"
    line = next(line for line in counted.read_text().splitlines() if line.rstrip().endswith(name))
    return int(line.split()[3])


@needs_strace
@pytest.mark.server
@pytest.mark.parametrize("call", ["renameat2", "syncfs", "fsync", "mkdirat"])
def test_killed_inside_a_call(big: House, call: str) -> None:
    old = look(big.share)
    first = big.plan(policy="exact")
    count = syscalls(big, first, call)
    new = look(big.share)
    assert big.undo(first).result == "undone" and look(big.share) == old
    chance = random.Random(f"killed {call}")
    points = sorted({1, count, *(chance.randrange(1, count + 1) for _ in range(2))})
    for number, point in enumerate(points):
        plan = big.plan(policy="exact")
        work(big, plan, inject=f"{call}:signal=SIGKILL:when={point}")
        each_is_old_or_new(look(big.share), old, new)
        found = {row.run: row for row in interrupted(big.setting)}
        if plan.run not in found:
            state = big.run(plan).state()
            assert state in ("planned", "done", "partial", "failed"), (call, point)
            if state in ("done", "partial"):  # partial: it was the tool that was killed
                assert (look(big.share) == new) is (state == "done") and work(big, plan, "undo") == "undone"
            assert look(big.share) == old and not big.hidden(), (call, point)
            continue
        if number % 2:
            assert "resume" in found[plan.run].can and work(big, plan, "resume") == "done", (call, point)
            assert look(big.share) == new
            assert work(big, plan, "undo") == "undone"
        elif "undo" in found[plan.run].can:
            assert work(big, plan, "undo") == "undone", (call, point)
        else:
            assert drop(big.setting, big.run(plan)).result == "cancelled"
        assert look(big.share) == old and not big.hidden(), (call, point)


@needs_strace
@pytest.mark.server
def test_killed_while_undoing(big: House) -> None:
    old = look(big.share)
    for point in (1, 5, 11):
        plan = big.plan(policy="exact")
        assert work(big, plan) == "done"
        new = look(big.share)
        work(big, plan, "undo", inject=f"renameat2:signal=SIGKILL:when={point}")
        each_is_old_or_new(look(big.share), old, new)
        assert big.run(plan).state() == "undoing"
        assert work(big, plan, "resume" if point == 5 else "undo") == "undone"
        assert look(big.share) == old and not big.hidden()


@needs_strace
@pytest.mark.server
@pytest.mark.parametrize(
    ("fault", "said"),
    [("mkdirat:error=ENOSPC:when=1", "NoSpace"), ("syncfs:error=EIO:when=1", "NoSpace"), ("fsync:error=ENOSPC:when=3", "NoSpace"),
     ("mkdirat:error=EROFS:when=1", "NoSpace"), ("mkdirat:error=EACCES:when=1", "NotAllowed")],
)  # fmt: skip
def test_a_failing_disk_before_the_swap_leaves_everything_alone(big: House, fault: str, said: str) -> None:
    old = look(big.share)
    plan = big.plan()
    assert work(big, plan, inject=fault) == said
    assert look(big.share) == old
    if big.run(plan).state() != "failed":
        drop(big.setting, big.run(plan))
    assert not big.hidden()


@needs_strace
@pytest.mark.server
def test_a_failing_rename_is_one_file_by_name(big: House) -> None:
    old = look(big.share)
    plan = big.plan()
    assert work(big, plan, inject="renameat2:error=EIO:when=6") == "partial"
    report = big.run(plan).report()
    assert report is not None and report.counts["failed"] == 1 and report.result == "partial"
    assert work(big, plan, "undo") == "undone" and look(big.share) == old


@needs_strace
@pytest.mark.server
@pytest.mark.parametrize("call", ["", "linkat", "renameat", "rename", "unlinkat"])
def test_where_the_kernel_can_not_exchange(big: House, call: str) -> None:
    """The fallback: the same promises, and it is said; killed inside too."""
    old = look(big.share)
    lacking = "renameat2:error=EINVAL"
    plan = big.plan(policy="exact")
    if not call:
        assert work(big, plan, inject=lacking) == "done"
        report = big.run(plan).report()
        assert report is not None and "can't exchange" in report.private and look(big.share / "many")["f00"][-1] != b"live 0"
        assert work(big, plan, "undo", inject=lacking) == "undone"
    else:
        big.work(plan, strace=["-e", f"inject={lacking}", "-e", f"inject={call}:signal=SIGKILL:when=4"])
        state = big.run(plan).state()
        if state == "swapping":
            assert work(big, plan, "resume", inject=lacking) == "done"
        elif state != "done":
            drop(big.setting, big.run(plan))
        if state in ("swapping", "done"):
            assert work(big, plan, "undo", inject=lacking) == "undone"
    assert look(big.share) == old


@pytest.mark.skipif(os.geteuid() != 0, reason="LEFT OUT: needs root to mount a small filesystem")
def test_a_full_disk(house: House) -> None:
    small = house.place / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=True)
    try:
        (small / "share").mkdir()
        (small / "share" / "a").write_text("live")
        large = house.place / "snapshots" / "one" / str(small / "share").lstrip("/")
        large.mkdir(parents=True)
        (large / "a").write_bytes(os.urandom(200_000))
        house.source.hashes["one", os.fsencode(small / "share" / "a")] = house.source._hash("one", os.fsencode(small / "share" / "a"))
        plan = house.plan(small / "share")
        assert [refusal.name for refusal in plan.preview.refusals] == ["space"]
        forced = house.plan(small / "share", overrides=("space",), override_reason="test")
        from backends.errors import NoSpace

        with pytest.raises(NoSpace):
            house.do(forced)
        report = house.run(forced).report()
        assert report is not None and "untouched" in report.left_behind and (small / "share" / "a").read_text() == "live"
        assert os.listdir(small) == ["share"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_what_was_confirmed_is_cut_off_and_a_mere_preview_is_hidden(house: House) -> None:
    """R30: a job that died before it fetched is found, and stays until somebody decides; a preview is taken away after a day."""
    mere, meant = house.run(house.plan()), house.run(house.plan())
    meant.note("planned", who={"actor": "ana", "ticket": ""})
    (found,) = interrupted(house.setting)
    assert (found.run, found.state, found.can) == (meant.ident, "confirmed", ("resume", "discard")) and "before anything was fetched" in found.text
    purge(house.setting, datetime.now(UTC) + timedelta(days=2))
    assert not mere.folder.exists() and interrupted(house.setting) == [found]
    with meant.lock():
        assert not interrupted(house.setting)
    assert drop(house.setting, meant).result == "cancelled" and not interrupted(house.setting)


def test_the_newest_is_first_within_a_second_too(tmp_path: Path) -> None:
    made = []
    for _ in range(3):
        now = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == now:
            pass
        made.append(Run.create(tmp_path))
        (made[-1].folder / "plan.json").touch()
    assert [run.ident for run in runs(tmp_path)] == [run.ident for run in made[::-1]]
