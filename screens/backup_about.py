"""`BackupAboutScreen`: how a backup job stands - its schedule, drills, runs, the repository and its growth, locks with their proof, holds."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, ClassVar, TypeVar

from backends.backups.contract import ListsRuns, ManagesLocks, RunsBackups
from backends.backups.model import BackupJob, BackupQuery, BackupRow, BackupRun, Lock, Repository, RunQuery, Snapshot, SnapshotQuery
from backends.contract import Ref
from backends.errors import BackendError
from backends.restore.model import Drill
from backends.text import amount, clean, size
from backends.threads import in_thread
from console.ages import age, allowed, span, stamp
from screens.backup_source import PROTECTION_TONE
from screens.backup_verbs import BackupVerbs, configured_job
from screens.base import Handler
from screens.paper import PaperScreen
from widgets.sparkline import sparkline
from widgets.toned import Line, fit
from widgets.wrap import fields, heading, prose

T = TypeVar("T")
RUNS = 12
_RUN_TONE = {"ok": "ok", "partial": "warn", "failed": "bad", "cancelled": "warn", "unknown": "warn"}
_DRILL_TONE = {"proven": "ok", "failed": "bad", "partial": "warn", "not proven": "warn"}


class BackupAboutScreen(PaperScreen):
    """Each part is asked on its own: one that fails says so, the others stand."""

    TITLE_LINE = "How it stands"
    LEGEND: ClassVar[tuple[str, ...]] = ("backups.run", "backups.check", "backups.drill", "backups.forget", "backups.prune", "backups.unlock", "list.page-down", "global.back", "global.help")

    def __init__(self, ref: Ref) -> None:
        super().__init__()
        self.ref = ref
        self.row: BackupRow | None = None
        self.job: BackupJob | None = None
        self.drills: Sequence[Drill] = ()
        self.drill: Drill | None = None
        self.runs: Sequence[BackupRun] = ()
        self.repositories: Sequence[Repository] = ()
        self.locks: Sequence[Lock] = ()
        self.held: Sequence[Snapshot] = ()
        self.wrong: list[str] = []

    def scopes(self) -> tuple[str, ...]:
        """Backup verbs, moving, everything."""
        return ("backups", "list", "global")

    def backend_for(self, action: Any) -> Any:
        """The backend of the job."""
        return next((item for item in self.desk.backends("backups") if item.name == self.ref.backend), None)

    def own_handlers(self) -> dict[str, Handler]:
        """The verbs of the job; holds are of snapshots, in the list below."""
        verbs = BackupVerbs(self, self.ref, list, self._again).handlers()
        return {**super().own_handlers(), **{name: verbs[name] for name in verbs if "hold" not in name}}

    def _again(self) -> None:
        self.flow(self._load())

    async def load(self) -> None:
        """Ask for each part, the cheap ones first, and show what is there."""
        from console.drills import Drills

        self.wrong = []
        backend = await self.desk.backend("backups", self.ref.backend)
        page = await self._part(backend.backups(BackupQuery(), 0, 1000))
        self.row = next((row for row in page.items if row.id == self.ref.id), None) if page is not None else None
        self.job = configured_job(await self._part(backend.jobs()) or (), self.ref.id) if isinstance(backend, RunsBackups) else None
        work = Drills(self.desk)
        self.drill = await self._part(in_thread(10.0, work.state, self.ref.backend, self.ref.id))
        self.drills = await self._part(in_thread(10.0, work.evidence, self.ref.backend, self.ref.id)) or ()
        runs = await self._part(backend.runs(RunQuery(self.ref.id), 0, RUNS)) if isinstance(backend, ListsRuns) else None
        self.runs = runs.items if runs is not None else ()
        snapshots = await self._part(backend.snapshots(SnapshotQuery(job=self.ref.id), 0, 1000))
        self.held = [one for one in snapshots.items if one.hold] if snapshots is not None else ()
        self.repositories = await self._part(backend.repositories()) or ()
        self.view.show(self.build)
        if isinstance(backend, ManagesLocks):
            self.locks = await self._part(backend.locks()) or ()
        self.trail.show([(" Backups › ", "bar-dim"), (self.row.name if self.row is not None else self.ref.id, "bar"), (" › how it stands", "bar-dim")])

    async def _part(self, call: Awaitable[T]) -> T | None:
        try:
            return await call
        except BackendError as error:
            self.wrong.append(error.sentence())
            return None

    def build(self, width: int) -> Sequence[Line]:
        """All parts."""
        zone = self.desk.config.timezone
        out: list[Line] = [()]
        for text in self.wrong:
            out += prose(text, width - 2, "bad", " ")
        out += _job_lines(self.row, self.job, zone, width)
        out += _drill_lines(self.drill, self.drills, zone, width)
        out += _lock_lines(self.locks, zone, width)
        out += _held_lines(self.held, zone, width)
        out += _run_lines(self.runs, zone, width)
        for repository in self.repositories:
            out += _repository_lines(repository, zone, width)
        return out


def _job_lines(row: BackupRow | None, job: BackupJob | None, zone: str, width: int) -> list[Line]:
    if row is None:
        return [((" Reading ...", "dim"),)]
    keep = ", ".join(f"{name} {number}" for name, number in job.keep.items()) if job is not None else ""
    columns = 2 if width >= 120 else 1
    return fields([
        ("state", f"{row.protection}  {row.stale or row.text}", PROTECTION_TONE.get(row.protection, "")), ("last", f"{stamp(row.last_success, zone)} ({age(row.last_success) or 'never'})", ""),
        ("RPO", allowed(row.rpo) if row.rpo else "not set", "" if row.rpo else "dim"), ("schedule", row.schedule or "not known", "" if row.schedule else "dim"), ("keeps", keep, ""),
        ("job", job.name if job is not None else "not in the configuration", "" if job is not None else "dim"), ("can't run", job.why_not if job is not None else "", "warn"),
    ], width, columns)  # fmt: skip


def _drill_lines(state: Drill | None, past: Sequence[Drill], zone: str, width: int) -> list[Line]:
    if state is None:
        return []
    due = f"due {stamp(state.due, zone)}" + (" OVERDUE" if state.overdue else "") if state.due is not None else ""
    out: list[Line] = [*heading("Restore drills", width, due), ((f"  {state.result}  ", _DRILL_TONE[state.result]), (clean(state.text).removeprefix(f"{state.result}: "), "dim"))]
    if state.evidence:
        out += prose(f"evidence {clean(state.evidence)}, hash {state.hash[:12]}", width - 4, "dim", "    ")
    for drill in past[:5]:
        out.append(((f"  {stamp(drill.at, zone)}  ", "dim"), (fit(drill.result, 11), _DRILL_TONE[drill.result]), (f"{amount(drill.files, 'file')} in {span(drill.seconds)}, seed {drill.seed}", "")))
    return out


def _lock_lines(locks: Sequence[Lock], zone: str, width: int) -> list[Line]:
    out: list[Line] = heading("Locks", width, str(len(locks) or "none"))
    for lock in locks:
        kind = "exclusive" if lock.exclusive else "shared"
        held = f"{kind}, {clean(lock.host)} pid {lock.pid} of {clean(lock.user)}, since {stamp(lock.since, zone)}"
        out.append(((f"  {fit('stale' if lock.stale else 'in use', 8)}", "warn" if lock.stale else ""), (held, "")))
        out += prose(clean(lock.proof), width - 12, "dim", "          ")
    return out


def _held_lines(held: Sequence[Snapshot], zone: str, width: int) -> list[Line]:
    out: list[Line] = heading("Holds", width, str(len(held) or "none"))
    return [*out, *(((f"  {one.short_id}  ", "accent"), (f"{stamp(one.time, zone)}  ", "dim"), (clean(one.hold), "")) for one in held)]


def _repository_lines(repository: Repository, zone: str, width: int) -> list[Line]:
    growth = [float(number) for _, number in repository.growth][-max(10, width // 2) :]
    first = repository.growth[0] if repository.growth else None
    grown = f"{sparkline(growth)}  from {size(first[1])} on {stamp(first[0], zone)[:10]}" if first is not None and len(growth) > 1 else "measured once a day"
    check = f"{stamp(repository.checked, zone)} ({age(repository.checked)}): {repository.check_text}" if repository.checked else "never from here"
    out: list[Line] = [*heading(f"Repository {repository.name}", width, f"{repository.tool} {repository.version}")]
    out += fields([
        ("place", repository.location, ""), ("state", "reachable" if repository.reachable else "NOT REACHABLE", "ok" if repository.reachable else "bad"), ("", repository.text, "warn"),
        ("size", size(repository.size), ""), ("growth", grown, "accent"), ("snapshots", str(repository.snapshots if repository.snapshots is not None else ""), ""),
        ("checked", check, "" if repository.checked else "warn"),
    ], width, 1)  # fmt: skip
    for text in repository.missing:
        out += prose(f"lacks: {text}", width - 3, "dim", "  ")
    return out


def _run_lines(runs: Sequence[BackupRun], zone: str, width: int) -> list[Line]:
    out: list[Line] = heading("Runs", width, f"the newest {len(runs)}" if runs else "none known")
    for run in runs:
        took = span((run.ended - run.started).total_seconds()) if run.ended is not None else ""
        figures = amount(run.files, "file") if run.files is not None else ""
        added = f"+{size(run.added)}" if run.added is not None else ""
        out.append(((f"  {stamp(run.started, zone)}  ", "dim"), (fit(run.result, 10), _RUN_TONE[run.result]), (f"{fit(took, 5)} {fit(figures, 14)} {fit(added, 10)} ", "dim"), (clean(run.text), "")))
        out += [((f"      {clean(text)}", "bad"),) for text in run.errors[:3]]
    return out
