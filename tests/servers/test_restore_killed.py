"""The job of a restore with the real restic, killed (SIGKILL) or told to end (SIGTERM) in each phase: each live file is the old or the new one,
and undo brings the old tree back exactly.

strace sends the signal in the very system call: at the event a phase begins with, and at a seeded rename inside the swap and the undo.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backends.contract import Actor, Change, Plan
from backends.restore.model import Destination, RestorePlan, Wanted
from console import jobs as console_jobs
from console.config import load_config
from console.desk import Desk
from console.people import Identity
from console.perform import Confirmation, perform
from console.restoring import Restores
from tests.backends.restore.conftest import look
from tests.servers.backup_places import need
from tests.servers.backup_programs import make_restic

pytestmark = [pytest.mark.server]
FILES = 8
BEFORE = ("preflight", "fetch", "audit")
SEED = int(os.environ.get("DESKSIDE_SEED", "20261125"))


class Site:
    """A share whose live files differ from the snapshot in every way, and a desk."""

    def __init__(self, place: Path) -> None:
        self.place, self.share, self.repo = place, place / "srv" / "share", place / "repo"
        (self.share / "gone").mkdir(parents=True)
        (self.share / "gone" / "x").write_text("comes back")
        for number in range(FILES):
            (self.share / f"f{number}").write_text(f"as it was {number}")
        (place / "secret").write_text("p")
        (place / "secret").chmod(0o600)
        make_restic(self.repo, "p")
        own = {"PATH": os.environ["PATH"], "RESTIC_REPOSITORY": str(self.repo), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "cache")}
        subprocess.run(["restic", "-q", "backup", str(self.share)], env=own, check=True, capture_output=True, timeout=60)
        for number in range(1, FILES):
            (self.share / f"f{number}").write_text(f"live {number}")
        (self.share / "f0").unlink()
        shutil.rmtree(self.share / "gone")
        (self.share / "later").write_text("came later")
        (place / "c.toml").write_text(
            f'[tickets.desk]\nadapter = "embedded"\n[backups.vault]\nadapter = "restic"\nrepository = "{self.repo}"\npassword = "file:{place}/secret"\n'
        )
        self.desk = Desk(replace(load_config(place / "c.toml", place / "data")), Identity(Actor("ana", "Ana", "admin"), 0))
        self.work = Restores(self.desk)
        self.old = look(self.share)
        self.new: dict[str, tuple[object, ...]] = {}
        self.snapshot = ""

    async def plan(self) -> RestorePlan:
        if not self.snapshot:
            self.snapshot = (await (await self.desk.backend("backups", "vault")).all_snapshots())[0].id  # type: ignore[attr-defined]
        return await self.work.preview(Wanted("vault", self.snapshot, (os.fsencode(self.share),), Destination("original"), "exact"))

    async def do(self, change: Change) -> str:
        """Through the one way to write, to the end of its job; the job's state."""

        async def yes(plan: Plan) -> Confirmation:
            return Confirmation(plan.confirm_word)

        done = await perform(self.desk, change, confirm=yes, reason="test", via=self.work)
        assert done.outcome is not None
        return await self.work.wait(done.outcome.target)

    async def swept(self) -> bool:
        """Nothing but the share is left; a job says how it ended before its staging is taken away."""
        for _ in range(100):
            if os.listdir(self.share.parent) == ["share"]:
                return True
            await asyncio.sleep(0.05)
        return False

    def whole(self) -> None:
        """Each live file is the old or the new one; what comes or goes as a folder is there whole or not at all."""
        now = look(self.share)
        for path in {*now, *self.old, *self.new}:
            told = [None if one.get(path) is None else (one[path][0], one[path][-1]) for one in (now, self.old, self.new)]
            assert told[0] in told[1:], path


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    need("restic", "strace")
    made = Site(tmp_path)
    yield made
    await made.desk.close()


def struck(monkeypatch: pytest.MonkeyPatch, signal: str, call: str, number: int, path: Path | None) -> None:
    """The next job gets the signal at its `number`-th such call (on that file)."""
    real = console_jobs.runner_argv
    inject = ["strace", "-f", "-qq", "-o", "/dev/null", *(["-P", str(path)] if path else []), "-e", f"trace={call}", "-e", f"inject={call}:signal={signal}:when={number}"]
    monkeypatch.setattr(console_jobs, "runner_argv", lambda place: [*inject, *real(place)])


async def begins(site: Site) -> dict[str, int]:
    """Which event of a whole restore each phase begins with; and the new tree."""
    plan = await site.plan()
    assert await site.do(site.work.change(plan)) == "done"
    site.new = look(site.share)
    found = {event.phase: number for number, event in enumerate(await site.work.events(plan.run), 1) if event.kind == "started"}
    assert await site.do(site.work.undo_change(plan.run)) == "done" and look(site.share) == site.old
    return found


async def test_killed_or_told_to_end_in_each_phase(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """R30, R25: preflight, fetch, audit, swap, report, undo; then resumed, given up, or undone, in turn."""
    first = await begins(site)
    assert list(first) == ["preflight", "fetch", "audit", "swap", "report"]
    chance = random.Random(SEED)
    strokes = [("SIGKILL", phase, "write", number) for phase, number in first.items()]
    strokes += [("SIGTERM", phase, "write", first[phase]) for phase in ("fetch", "audit", "swap", "report")]
    strokes += [(name, "fetch", "mkdirat", 1) for name in ("SIGKILL", "SIGTERM")]  # the staging
    strokes += [("SIGKILL", "audit", "syncfs", 1)]
    strokes += [(name, "swap", "renameat2", chance.randrange(4, 4 + FILES)) for name in ("SIGKILL", "SIGTERM")]  # the first three are probes and the like
    for number, (name, phase, call, at) in enumerate(strokes):
        plan = await site.plan()
        folder = site.work.run(plan.run).folder
        with monkeypatch.context() as patch:
            struck(patch, name, call, at, folder / "events.jsonl" if call == "write" else None)
            ended = await site.do(site.work.change(plan))
        where = f"seed {SEED}: {name} in {phase} at {call} {at}: {ended}, {site.work.run(plan.run).state()}"
        site.whole()
        await _one_way_out(site, plan, name, phase, number, ended, where)
        assert look(site.share) == site.old, where
        assert await site.swept(), where


async def _one_way_out(site: Site, plan: RestorePlan, name: str, phase: str, number: int, ended: str, where: str) -> None:
    row = next((row for row in await site.work.interrupted() if row.run == plan.run), None)
    if name == "SIGTERM":  # asked to stop: an end of its own, said truly
        assert row is None and ended in ("cancelled", "done"), where
        if phase in BEFORE:
            assert ended == "cancelled" and look(site.share) == site.old, where
            return
        if ended == "cancelled" and look(site.share) == site.old:  # heard before the first step: there is nothing to take back
            assert phase == "swap", where
            return
        if ended == "done":
            assert look(site.share) == site.new, where
    elif phase == "report" and row is None:  # it had noted already how it ended
        assert ended == "interrupted" and site.work.run(plan.run).state() == "done" and look(site.share) == site.new, where
    else:
        assert row is not None and ended == "interrupted", where
        if phase in BEFORE:
            assert look(site.share) == site.old, where
        if number % 2 == 0:
            assert await site.do(site.work.resume_change(plan.run)) == "done" and look(site.share) == site.new, where
        elif phase in BEFORE:
            assert (await perform_discard(site, plan.run)) == "cancelled", where
            return
    assert await site.do(site.work.undo_change(plan.run)) == "done", where


async def perform_discard(site: Site, run: str) -> str:
    """Give up one that was cut off; its state."""

    async def yes(plan: Plan) -> Confirmation:
        return Confirmation(plan.confirm_word)

    await perform(site.desk, site.work.discard_change(run), confirm=yes, reason="test", via=site.work)
    return site.work.run(run).state()


async def test_killed_or_told_to_end_while_it_is_taken_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """R25, R30: the undo itself struck at a seeded rename; undone again, the old tree is back exactly."""
    chance = random.Random(SEED)
    for name in ("SIGKILL", "SIGTERM"):
        plan = await site.plan()
        assert await site.do(site.work.change(plan)) == "done"
        site.new = look(site.share)
        at = chance.randrange(2, FILES)
        with monkeypatch.context() as patch:
            struck(patch, name, "renameat2", at, None)
            ended = await site.do(site.work.undo_change(plan.run))
        where = f"seed {SEED}: {name} at rename {at} of the undo: {ended}"
        site.whole()
        if name == "SIGKILL":
            assert ended == "interrupted" and site.work.run(plan.run).state() == "undoing", where
            assert await site.do(site.work.undo_change(plan.run)) == "done", where
        assert look(site.share) == site.old and await site.swept(), where
