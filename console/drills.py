"""`Drills`: rehearsed restores - which jobs are proven, by what evidence, and which drills are overdue. Never imports textual.

A drill restores a sample to scratch, audits it, times it, compares it with what is live, looks into dumps and mails, takes the scratch away and
keeps the evidence with its seed and hash. A job without one is "not proven", never green.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from backends.backups.model import BackupQuery, Snapshot, SnapshotQuery
from backends.contract import Actor, Change, Outcome, Plan, Step, now
from backends.errors import BackendError, Damaged, NotFound, Unsupported
from backends.restore.codec import dumps, loads
from backends.restore.model import Destination, Drill, Wanted
from backends.restore.opening import look_into
from backends.restore.planning import Point, Setting, prepare
from backends.restore.run_folder import Run, durable
from backends.restore.runs import UndoWork
from backends.restore.sampling import Sample, draw
from backends.text import amount
from backends.threads import in_thread
from console.desk import Desk
from console.restore_jobs import followed
from console.restoring import Restores

CADENCES: Mapping[str, timedelta | None] = {"monthly": timedelta(days=31), "quarterly": timedelta(days=92), "off": None}
SAMPLE = 40
LOOK = 60.0


class Drills:
    """The desk's drills. It is a `Writes`: `perform` starts one through it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _folder(self, backend: str, job: str) -> Path:
        name = hashlib.sha256(job.encode()).hexdigest()[:20]
        return self._desk.config.data / "drills" / re.sub(r"[^A-Za-z0-9_-]", "_", backend) / name

    def _every(self, key: str, usual: str) -> timedelta | None:
        word = str(self._desk.config.restore.get(key, usual))
        if word not in CADENCES:
            from backends.errors import BadConfig

            raise BadConfig(f"restore.{key} is one of {', '.join(CADENCES)}, not {word!r}")
        return CADENCES[word]

    def evidence(self, backend: str, job: str) -> list[Drill]:
        """All drills of a job, the newest first."""
        found = []
        for path in sorted(self._folder(backend, job).glob("*.json"), reverse=True):
            try:
                drill = loads(path.read_bytes())["drill"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
            found.append(drill)
        return found

    def state(self, backend: str, job: str) -> Drill:
        """How a job stands: its newest drill, when the next is due, whether it is overdue."""
        past = self.evidence(backend, job)
        newest = past[0] if past else Drill(backend, job, text="never rehearsed")
        due = self._due(past, self._every("drills", "monthly"), False)
        full = self._due(past, self._every("full_drills", "off"), True)
        dates = [date for date in (due, full) if date is not None]
        first = min(dates) if dates else None
        return replace(newest, due=first, overdue=first is not None and first <= now())

    @staticmethod
    def _due(past: Sequence[Drill], every: timedelta | None, full: bool) -> datetime | None:
        """After the newest that proved it; at once where none did."""
        if every is None:
            return None
        proven = next((drill.at for drill in past if drill.result == "proven" and (drill.full or not full)), None)
        return proven + every if proven is not None else now()

    async def all(self) -> list[Drill]:
        """Every job of every backend, overdue first: for the wallboard and `backups drills`."""
        found: list[Drill] = []
        for place in self._desk.backends("backups"):
            try:
                backend = await self._desk.backend("backups", place.name)
                page = await backend.backups(BackupQuery(), 0, 10_000)
            except BackendError as error:
                found.append(Drill(place.name, "", text=error.title))
                continue
            found += [await in_thread(LOOK, self.state, place.name, row.id) for row in page.items if row.snapshots]
        return sorted(found, key=lambda drill: (not drill.overdue, drill.due or datetime.max.replace(tzinfo=UTC), drill.backend, drill.job))

    async def overdue(self) -> list[Drill]:
        """Those to do."""
        return [drill for drill in await self.all() if drill.overdue]

    # -- the one way to write ---------------------------------------------------------------------------

    async def change(self, backend: str, job: str = "", seed: int | None = None, full: bool = False) -> Change:
        """What `perform` gets (with `via=self`): a job's drill; without a job the one that waits the longest. NotFound."""
        if not job:
            found = [drill for drill in await self.all() if drill.backend == backend and drill.job]
            if not found:
                raise NotFound(f"{backend} has no snapshots to rehearse with")
            job = found[0].job
        seed = seed if seed is not None else random.SystemRandom().randrange(1, 1_000_000)
        return Change("backups", backend, "drill", job, f"drill of {job}", {"seed": seed, "full": full})

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """What it will do. NotFound, Unsupported."""
        if change.verb != "drill":
            raise Unsupported(change.verb)
        await Restores(self._desk).source(change.backend)
        newest = await newest_of(self._desk, change.backend, change.target)
        steps = (
            Step("snapshot", "", f"{newest.short_id} of {newest.time:%Y-%m-%d %H:%M} UTC"),
            Step("sample", "", "the whole snapshot" if change.values.get("full") else f"seed {change.values['seed']}"),
            Step("scratch", "", str(scratch_of(self._desk))),
        )
        return Plan(change, f"Rehearse a restore of {change.target}", steps, ("nothing live is touched; the scratch is taken away",), 1, expected={"job": "started"})

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Start the job."""
        spec = {"backend": plan.change.backend, "job": plan.change.target, "op": op_id, **dict(plan.change.values)}
        return Outcome("done", "", await in_thread(LOOK, self._desk.jobs.start, "drill", spec, actor))

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """Whether the job is there."""
        job = await in_thread(LOOK, self._desk.jobs.show, outcome.target)
        return {"job": "started" if job.state != "interrupted" else "not started"}, job

    def keep(self, drill: Drill, more: Mapping[str, Any]) -> Drill:
        """Write the evidence, durably, with its hash. NoSpace."""
        folder = self._folder(drill.backend, drill.job)
        folder.mkdir(parents=True, exist_ok=True, mode=0o770)
        path = folder / f"{drill.at:%Y%m%dT%H%M%S}-{drill.seed}.json"
        drill = replace(drill, evidence=str(path))
        digest = hashlib.sha256((dumps(drill) + json.dumps(more, sort_keys=True)).encode()).hexdigest()
        drill = replace(drill, hash=digest)
        durable(path, dumps({"drill": drill, "more": dict(more)}).encode())
        return drill


async def newest_of(desk: Desk, backend: str, job: str) -> Snapshot:
    """The newest readable snapshot of a job. NotFound."""
    found = await (await desk.backend("backups", backend)).snapshots(SnapshotQuery(job=job), 0, 50)
    newest = next((item for item in found.items if item.readable), None)
    if newest is None:
        raise NotFound(f"{job} has no readable snapshot")
    return newest  # type: ignore[no-any-return]


def scratch_of(desk: Desk) -> Path:
    """Where samples go: `scratch` in [restore], best another disk."""
    return Path(str(desk.config.restore.get("scratch") or tempfile.gettempdir()))


async def run_drill(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """The drill's job."""
    from backends.errors import Invalid

    if not spec.get("backend"):
        raise Invalid("a drill needs its backend and job", hint="Use `deskside backups drill`.")
    backend, job, seed, full = str(spec["backend"]), str(spec["job"]), int(spec.get("seed") or 1), bool(spec.get("full"))
    snapshot = await newest_of(desk, backend, job)
    source: Any = await Restores(desk).source(backend)
    roots = tuple(os.fsencode(path) for path in snapshot.paths)
    count = int(desk.config.restore.get("sample", SAMPLE))
    progress.step("drawing the sample")
    sample = await in_thread(86400.0, lambda: draw(source.entries(snapshot.id, roots), seed, count))
    setting = Setting(desk.config.data / "drills" / "runs", undo_days=1.0, host=os.uname().nodename, keeps=False)
    scratch = await in_thread(LOOK, lambda: tempfile.mkdtemp(prefix="deskside-drill-", dir=scratch_of(desk)))
    work = Rehearsal(setting, source, snapshot, roots if full else tuple(sample.chosen), scratch, backend)
    try:
        _, by = await followed(progress, work.work)  # type: ignore[arg-type]
    finally:
        await in_thread(3600.0, work.clear)
    drill = Drills(desk).keep(work.drill(job, seed, full, sample, by), {"files": work.proofs, "problems": work.problems, "by": desk.actor.login})
    desk.ledger.append("drill", op=str(spec.get("op") or drill.hash), actor=desk.actor.login, action="backups.drill", outcome=drill.result,
                       target={"type": "backups", "backend": backend, "id": job}, evidence=drill.evidence, evidence_hash=drill.hash, seed=seed)  # fmt: skip
    state = {"proven": "done", "partial": "partial"}.get(drill.result, "cancelled" if by else "failed")
    return {"state": state, "text": drill.text, "evidence": drill.evidence, "hash": drill.hash}


class Rehearsal:
    """One drill's work: a restore to scratch by the same engine, then a look at what came."""

    def __init__(self, setting: Setting, source: Any, snapshot: Snapshot, selection: tuple[bytes, ...], scratch: str, backend: str) -> None:
        self._setting, self._source, self._snapshot, self._selection, self._backend = setting, source, snapshot, selection, backend
        self._scratch = scratch
        self._run: Run | None = None
        self.proofs: dict[str, str] = {}
        self.problems: list[str] = []
        self._report: Any = None
        self._seconds = 0.0
        self._compared = 0
        self._opened = 0

    def work(self, stop: threading.Event, listen: Any) -> Any:
        """Restore, audit, look. Blocks."""
        from backends.restore.engine import Restoring

        target = os.fsencode(self._scratch) + b"/out"
        wanted = Wanted(self._backend, self._snapshot.id, self._selection, Destination("new", target), overrides=("space",), override_reason="drill")
        started = time.monotonic()
        plan = prepare(self._setting, self._source, wanted, Point(self._snapshot.id, self._snapshot.time, self._snapshot.host), stop)
        self._run = Run.of(self._setting.base, plan.run)
        try:
            self._report = Restoring(self._setting, self._run, self._source, stop, listen).work()
        except Damaged as error:
            self.problems.append(error.text)
            self._report = self._run.report()
        self._seconds = time.monotonic() - started
        self.problems += [f"{item.path.rpartition(b'/')[2]!r}: {item.text}" for item in self._report.named if item.word in ("failed", "conflict")]
        for folder, _, names in os.walk(target):
            for name in names:
                self._look(folder + b"/" + name, target)
        return self._report

    def _look(self, path: bytes, target: bytes) -> None:
        if os.path.islink(path) or not os.path.isfile(path):
            return
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = path[len(target) :].decode("utf-8", "backslashreplace")
        if len(self.proofs) < 5000:
            self.proofs[name] = digest
        kind, wrong = look_into(path)
        self._opened += bool(kind)
        if wrong:
            self.problems.append(f"{name}: {wrong}")
        self._beside_live(path, target, digest)

    def _beside_live(self, path: bytes, target: bytes, digest: str) -> None:
        """Where the live file has the same size and time it must have the same bytes: else the backup or the disk is wrong."""
        from backends.restore.places import common_parent

        live, mine = common_parent(self._selection) + path[len(target) :], os.lstat(path)
        try:
            told = os.lstat(live)
            if (told.st_size, told.st_mtime_ns) != (mine.st_size, mine.st_mtime_ns) or self._snapshot.host != os.uname().nodename:
                return
            with open(live, "rb") as file:
                self._compared += 1
                if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                    self.problems.append(f"{path[len(target):].decode('utf-8', 'backslashreplace')}: same size and time as the live file, other bytes")
        except OSError:
            return

    def clear(self) -> None:
        """Take the scratch away, whatever happened."""
        from backends.restore.folders import Folders, remove_tree

        if self._run is not None and self._run.state() in ("done", "partial"):
            UndoWork(self._setting, self._run, force=True).work()
        parent, _, name = os.fsencode(self._scratch).rpartition(b"/")
        with Folders() as live:
            remove_tree(live.fd(parent), name)

    def drill(self, job: str, seed: int, full: bool, sample: Sample, by: str) -> Drill:
        """The record."""
        report = self._report
        counts = report.counts if report is not None else {}
        proven = report is not None and report.result == "done" and not self.problems
        result: Any = "proven" if proven else "partial" if report is not None and report.result == "partial" else "failed"
        files, size = counts.get("put", 0), report.bytes if report is not None else 0
        rate = size / max(self._seconds, 0.001) / 1e6
        said = f"{amount(files, 'file')} in {self._seconds:.1f} s ({rate:.1f} MB/s), {self._opened} opened, {self._compared} compared with live"
        text = (f"proven: {said}" if proven else f"{result}: {amount(len(self.problems), 'problem')}: {'; '.join(self.problems[:3])}. {said}") + (f"; stopped by {by}" if by else "")
        method = f"the whole snapshot, {amount(sample.seen, 'file')}" if full else sample.method(seed)
        return Drill(self._backend, job, result, now(), None, False, full, self._snapshot.id, seed, method, files, size, round(self._seconds, 3), len(self.problems), text)
