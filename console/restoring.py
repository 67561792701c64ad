"""`Restores`: restores at this desk - preview, start by the one way to write, follow, cancel, undo, resume, list. Never imports textual.

A screen or command previews what is wanted, gives `change(plan)` to `perform(..., via=restores)`, and follows the job it started. All
methods are async and never block the loop; the work itself is done by a job in a process of its own (`console.restore_jobs`).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from backends.backups.extraction import ExtractsFiles
from backends.contract import Actor, Change, Outcome, Plan, Step
from backends.errors import BadConfig, Conflict, Invalid, Refused, Unsupported
from backends.options import seconds
from backends.restore.folders import shown
from backends.restore.model import POLICIES, Destination, Preview, RestoreEvent, RestorePlan, RestoreReport, RunRow, Wanted
from backends.restore.places import Guarded
from backends.restore.planning import Point, Setting, plan_hash, prepare
from backends.restore.run_folder import Run
from backends.restore.runs import drop, interrupted, listed, purge, row
from backends.restore.runs import undo_until as _undo_until
from backends.restore.staging import sweep
from backends.text import amount, size
from backends.threads import in_thread
from console.desk import Desk
from console.restore_rights import deeds, lacking, own, refuse

LOOK = 20.0
PREVIEW_SECONDS = 3600.0
MANY = 1000
TRIES = ("5s", "15s", "45s")
"""How long it is waited each time before the repository is tried again."""
GRAVE = ("remove", "mailbox", "system", "many")
"""What may need a second person: `second_person` in [restore] names some of these."""


@dataclass(frozen=True, slots=True)
class Started:
    """A restore that was started: its run and the job that does it."""

    run: str
    job: str


class Restores:
    """The desk's restores. It is a `Writes`: `perform` plans and applies through it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._taking: asyncio.Future[Any] | None = None
        self.ticket = ""
        """Ref of the ticket the next `perform` belongs to: the job notes its report there."""
        self.only_looking = False
        """A dry run: what the role lacks is in the plan's `missing`; else it is refused, and the ledger says so."""

    # -- what it works with -----------------------------------------------------------------------------

    def setting(self, repository: str = "") -> Setting:
        """The engine's, with what it must never write into."""
        config = self._desk.config
        local = repository.removeprefix("local:")
        days = seconds(str(config.restore.get("undo", "14d"))) / 86400
        guarded = Guarded(os.fsencode(os.path.realpath(local)) if local.startswith("/") else b"", os.fsencode(os.path.realpath(config.data)))
        return Setting(config.data / "restores", guarded, days, os.uname().nodename, _waits(config.restore.get("tries", TRIES)))

    def setting_of(self, backend: str) -> Setting:
        """The same, knowing where a backend keeps its backups."""
        options = next((place.config.options for place in self._desk.backends("backups") if place.name == backend), {})
        return self.setting(str(options.get("repository", "")))

    async def source(self, backend: str) -> ExtractsFiles:
        """The backup tool. Unsupported when it can't give files out."""
        found = await self._desk.backend("backups", backend)
        if not isinstance(found, ExtractsFiles):
            raise Unsupported("restore", f"{backend} can't give files out")
        return found

    def run(self, ident: str) -> Run:
        """One restore's folder. NotFound."""
        return Run.of(self.setting().base, ident)

    # -- preview ----------------------------------------------------------------------------------------

    async def preview(self, wanted: Wanted) -> RestorePlan:
        """What would happen, by name; writes nothing but its own folder. Cancelling the call stops it within a file.

        Invalid (nothing chosen, no whole path), NotFound, NotAllowed (setting refusals aside, another host), the tool's errors.
        """
        early = [*(["override"] if wanted.overrides else []), *(["host"] if wanted.destination.kind == "host" else [])]
        why = lacking(self._desk, self._desk.actor, early) if early else ""
        if why:
            raise await in_thread(LOOK, refuse, self._desk, self._desk.actor, "restore", wanted, "", why)
        if not wanted.selection:
            raise Invalid("nothing is chosen", hint="Choose files or folders of the snapshot; an empty choice never means everything.")
        source = await self.source(wanted.backend)
        nowhere = str(getattr(source, "nowhere", ""))
        if nowhere and (wanted.destination.kind == "original" or (wanted.destination.kind == "host" and not wanted.destination.root)):
            raise Refused(nowhere, hint="Restore into a new folder.")
        snapshot = await source.snapshot(wanted.snapshot)  # type: ignore[attr-defined]
        stop = threading.Event()
        point = Point(snapshot.id, snapshot.time, snapshot.host)
        setting = self.setting_of(wanted.backend)
        try:
            return await in_thread(PREVIEW_SECONDS, lambda: self._prepared(setting, source, wanted, point, stop))
        finally:
            stop.set()

    def _prepared(self, setting: Setting, source: ExtractsFiles, wanted: Wanted, point: Point, stop: threading.Event) -> RestorePlan:
        kind = wanted.destination.kind
        if kind == "host":
            from backends.restore.remote import prepare_remote

            return prepare_remote(setting, source, wanted, point, stop)
        return prepare(setting, source, wanted, point, stop)

    # -- the one way to write ---------------------------------------------------------------------------

    def change(self, plan: RestorePlan, tell_requester: bool = False) -> Change:
        """What `perform` gets (with `via=self`)."""
        names = ", ".join(shown(path) for path in plan.wanted.selection[:3]) + (" ..." if len(plan.wanted.selection) > 3 else "")
        values = {"run": plan.run, "hash": plan.hash, "tell_requester": tell_requester}
        return Change("backups", plan.wanted.backend, "restore", plan.wanted.snapshot, f"restore {names}", values)

    def undo_change(self, run: str, force: bool = False) -> Change:
        """Take a restore back; with `force` also what was changed since (kept beside)."""
        plan = self.run(run).plan()
        return Change("backups", plan.wanted.backend, "undo-restore", run, f"undo restore {run}", {"force": force})

    def resume_change(self, run: str) -> Change:
        """Go on with one that was cut off."""
        plan = self.run(run).plan()
        return Change("backups", plan.wanted.backend, "resume-restore", run, f"resume restore {run}", {})

    def discard_change(self, run: str) -> Change:
        """Give up one that was cut off before its swap."""
        plan = self.run(run).plan()
        return Change("backups", plan.wanted.backend, "discard-restore", run, f"give up restore {run}", {})

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """By the verb. NotFound, Conflict, Refused."""
        make = {"restore": self._plan_restore, "undo-restore": self._plan_undo, "resume-restore": self._plan_resume, "discard-restore": self._plan_discard}
        if change.verb not in make:
            raise Unsupported(change.verb)
        return await in_thread(LOOK * 3, lambda: self._allowed(make[change.verb](change), actor))

    def lacking(self, plan: RestorePlan) -> str:
        """Why the acting person may not do this restore, with who may; "" when they may."""
        return lacking(self._desk, self._desk.actor, deeds(plan))

    def _allowed(self, plan: Plan, actor: Actor) -> Plan:
        """The same for whoever starts it, resumes it, takes it back or gives it up. NotAllowed."""
        change = plan.change
        found = self.run(str(change.values.get("run") or change.target)).plan()
        why = lacking(self._desk, actor, deeds(found))
        if why and not self.only_looking:
            raise refuse(self._desk, actor, change.verb, found.wanted, found.run, why)
        return replace(plan, missing=(*plan.missing, why)) if why else plan

    def _plan_restore(self, change: Change) -> Plan:
        run = self.run(str(change.values["run"]))
        found = run.plan()
        if found.hash != change.values["hash"] or plan_hash(found, run) != found.hash:
            raise Conflict("the preview is not the one that was shown", hint="Preview it again.")
        if run.state() != "planned":
            raise Conflict(f"this restore is {run.state()} already")
        preview = found.preview
        danger, word = self.danger(found)
        public = "PUBLIC: the requester is told how it ended" if change.values.get("tell_requester") else ""
        return Plan(
            change, f"{change.label[:1].upper() + change.label[1:]}{_of(found)} to {where(found)}",
            tuple(_steps(found)), (*preview.hazards, *preview.notes), danger, tuple(item.text for item in preview.refusals),
            expected={"job": "started"}, confirm_word=word, public=public,
        )  # fmt: skip

    def danger(self, plan: RestorePlan) -> tuple[Any, str]:
        """(danger, the word to type) by the size of the harm: nothing, the number of replaced files, the host's name, a second person."""
        preview, policy = plan.preview, self._desk.config.restore
        why = []
        if preview.removes:
            why.append("remove")
        if plan.wanted.destination.kind == "mailbox" and not own(plan.wanted.destination.root):
            why.append("mailbox")
        if "system" in plan.wanted.overrides:
            why.append("system")
        if preview.replaces > int(policy.get("many", MANY)):
            why.append("many")
        second = set(policy.get("second_person", ())) & set(GRAVE)
        if set(why) & second:
            return 3, plan.host
        if why or plan.wanted.overrides:
            return 2, plan.host
        return (2, str(preview.replaces)) if preview.replaces else (1, "")

    def _plan_undo(self, change: Change) -> Plan:
        line = self._begun([row(self.run(change.target))])[0]
        until = _undo_until(self.run(change.target))
        if "undo" not in line.can:
            raise Refused(f"restore {change.target} is {line.state}: there is nothing to take back")
        force, database = bool(change.values.get("force")), self.run(change.target).plan().wanted.destination.database
        if database:
            return Plan(change, f"Take back restore {change.target}: drop the database {database}", (Step(f"database {database}", "as restored", "gone"),),
                        ("with all that is in it; not while somebody is connected" + (", also what was written in it since" if force else ""),), 2,
                        expected={"job": "started"}, confirm_word=database)  # fmt: skip
        steps = [Step("restored files", "as restored", "as they were before it"), Step("kept until", "", f"{until:%Y-%m-%d %H:%M} UTC" if until else "the end of it")]
        effects = ["files changed since the restore are kept beside, hidden" if force else "files changed since the restore are left, by name"]
        return Plan(change, f"Take back restore {change.target} at {line.where}", tuple(steps), tuple(effects), 2 if force else 1,
                    expected={"job": "started"}, confirm_word=change.target if force else "")  # fmt: skip

    def _plan_resume(self, change: Change) -> Plan:
        line = self._begun([row(self.run(change.target))])[0]
        if "resume" not in line.can:
            raise Refused(f"restore {change.target} is {line.state}: there is nothing to resume")
        return Plan(change, f"Go on with restore {change.target} at {line.where}", (Step("state", line.state, "done, audited again"),), expected={"job": "started"})

    def _plan_discard(self, change: Change) -> Plan:
        line = self._begun([row(self.run(change.target))])[0]
        if "discard" not in line.can:
            raise Refused(f"restore {change.target} is {line.state}", hint="Undo takes it back." if "undo" in line.can else "")
        return Plan(change, f"Give up restore {change.target}", (Step("state", line.state, "cancelled"),), ("live files are untouched",), expected={"state": "cancelled"})

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Start the job. Conflict when somebody was faster."""
        change = plan.change
        ident = str(change.values.get("run") or change.target)
        if change.verb == "discard-restore":
            report = await in_thread(LOOK, drop, self.setting(), self.run(ident), True)
            swept = await self._beside(sweep, self.run(ident))
            return Outcome("done", report.left_behind + ("" if swept else " Its staging is being taken away."), ident)
        run = self.run(ident)
        kind = "undo-restore" if change.verb == "undo-restore" else "restore"
        spec = {"run": ident, "op": op_id, "force": bool(change.values.get("force")), "tell_requester": bool(change.values.get("tell_requester")),
                "ticket": self.ticket, "resume": change.verb == "resume-restore"}  # fmt: skip
        if change.verb == "restore":
            await in_thread(LOOK, lambda: run.note("planned", who={"actor": actor.login, "ticket": self.ticket, "tell": spec["tell_requester"]}))
        elif change.verb == "resume-restore":  # what was meant when it was confirmed
            who = await in_thread(LOOK, run.said, "who") or {}
            spec |= {"ticket": self.ticket or who.get("ticket", ""), "tell_requester": bool(who.get("tell"))}
        job = await in_thread(LOOK, self._desk.jobs.start, kind, spec, actor)
        return Outcome("done", f"job {job}", job)

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """Whether the job is there, or the state of what was given up."""
        if plan.change.verb == "discard-restore":
            run = self.run(plan.change.target)
            return {"state": run.state()}, row(run)
        job = await in_thread(LOOK, self._desk.jobs.show, outcome.target)
        return {"job": "started" if job.state != "interrupted" else "not started"}, Started(str(plan.change.values.get("run") or plan.change.target), outcome.target)

    # -- looking ----------------------------------------------------------------------------------------

    async def runs(self) -> tuple[list[RunRow], list[str]]:
        """(restores, newest first; what could not be read). What is over its time for undo is taken away on the way."""
        setting = self.setting()
        if not self._desk.read_only:
            await self._beside(purge, setting)
        found, wrong = await in_thread(LOOK, listed, setting)
        return await in_thread(LOOK, self._begun, found), wrong

    def _begun(self, found: list[RunRow]) -> list[RunRow]:
        """One whose job is there but has not taken hold of it yet is not cut off."""
        at_work = {str(spec.get("run", "")) for spec in self._desk.jobs.open_specs().values()} if any(line.interrupted for line in found) else set()
        return [replace(line, interrupted=False, alive=True, text="", can=("cancel",)) if line.interrupted and line.run in at_work else line for line in found]

    async def _beside(self, work: Callable[..., Any], *given: Any) -> bool:
        """Taking away may take minutes: it is waited for a moment, then goes on by itself; cut off, the next look goes on with it. True when done."""
        if self._taking is None or self._taking.done():
            self._taking = asyncio.ensure_future(in_thread(86400.0, work, *given))
            self._taking.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait({self._taking}, timeout=1.0)
        return self._taking.done()

    async def interrupted(self) -> list[RunRow]:
        """Those whose process died: for the first screen."""
        found = await in_thread(LOOK, lambda: self._begun(interrupted(self.setting())))
        return [line for line in found if line.interrupted]

    async def show(self, run: str) -> tuple[RunRow, RestorePlan, RestoreReport | None]:
        """One restore. NotFound."""
        found = self.run(run)
        return await in_thread(LOOK, lambda: (self._begun([row(found)])[0], found.plan(), found.report()))

    async def forbidden(self, found: Sequence[RunRow]) -> dict[str, str]:
        """Restore -> why the acting person may do nothing with it; "" when they may."""
        return await in_thread(LOOK, lambda: {line.run: self.lacking(self.run(line.run).plan()) for line in found})

    async def events(self, run: str, since: int = 0) -> Sequence[RestoreEvent]:
        """What it told after number `since`."""
        return await in_thread(LOOK, self.run(run).events, since)

    async def cancel(self, run: str) -> str:
        """Ask its job to stop. Refused when none works on it, NotAllowed. What will be left behind, in words."""
        if self._desk.read_only:
            raise Refused("the console is read-only", hint="Start it without --read-only, or ask for the right.")
        found = await in_thread(LOOK, self.run(run).plan)
        why = self.lacking(found)
        if why:
            raise await in_thread(LOOK, refuse, self._desk, self._desk.actor, "cancel-restore", found.wanted, run, why)
        for job in await in_thread(LOOK, self._desk.jobs.list):
            if job.state in ("running", "starting") and self.run_of_job(job.id) == run:
                self._desk.jobs.cancel(job.id, self._desk.actor)
                return "asked it to stop: " + ("each file is the old or the new one, undo takes it back" if self.run(run).state() == "swapping" else "live files untouched")
        raise Refused(f"nobody works on restore {run}")

    def run_of_job(self, job: str) -> str:
        """The run a job works on, or ""."""
        from console.jobs import _read

        return str(_read(self._desk.config.data / "jobs" / job / "job.json").get("spec", {}).get("run", ""))

    def said(self, job: str) -> str:
        """What a job says last."""
        return str(self._desk.jobs.show(job).text)

    async def wait(self, job: str) -> str:
        """Until a job is over; its state."""
        while True:
            state = (await in_thread(LOOK, self._desk.jobs.show, job)).state
            if state not in ("running", "starting"):
                return str(state)
            await asyncio.sleep(0.1)


def _waits(found: Sequence[Any]) -> tuple[float, ...]:
    try:
        return tuple(seconds(text) for text in found)
    except ValueError as error:
        raise BadConfig(f"restore.tries: {error}", hint='Give it as tries = ["5s", "15s", "45s"]; [] tries once.') from None


def where(plan: RestorePlan) -> str:
    """The destination in words."""
    to: Destination = plan.wanted.destination
    if to.kind == "postgres":
        return f"the new database {to.database} on {to.host or 'this host'}"
    if to.kind == "original":
        return f"{plan.host}, its original place"
    return f"{plan.host}:{shown(to.root)}" if to.root else f"{plan.host}, its original place"


def _of(plan: RestorePlan) -> str:
    return f" of {plan.snapshot_time:%Y-%m-%d %H:%M} UTC" if plan.snapshot_time else ""


def _steps(plan: RestorePlan) -> list[Step]:
    """The check card: counts first, then the gravest names."""
    preview: Preview = plan.preview
    steps = [Step("policy", "", POLICIES[plan.wanted.policy])] if plan.wanted.destination.kind in ("original", "into", "host") else []
    if preview.puts:
        steps.append(Step("new", "", amount(preview.puts, "file")))
    if preview.replaces:
        newer = preview.counts.get("newer", 0)
        steps.append(Step("replaced", f"live: {amount(preview.replaces, 'file')}" + (f", {newer:,} NEWER than the backup" if newer else ""), "as in the backup"))
    if preview.removes:
        steps.append(Step("taken away", ("1 file or folder" if preview.removes == 1 else f"{preview.removes:,} files and folders") + " that came later", "kept for undo"))
    for status in ("same", "blocked"):
        if preview.counts.get(status):
            steps.append(Step(status, amount(preview.counts[status], "file"), "left as they are"))
    steps += [Step(item.status, shown(item.live), item.text or item.action) for item in preview.items[:10] if item.status in ("newer", "type", "blocked", "extra")]
    steps.append(Step("space", f"{size(preview.free)} free", f"{size(preview.need)} needed"))
    steps.append(Step("time", "", f"about {preview.seconds:.0f} s"))
    return steps

