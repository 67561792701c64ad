"""`BackupPlans`: what an admin does to a repository, the one way - plan, apply, read back. Never imports a tool or textual.

Run, check, forget and prune are long: their `apply` runs in the process of a job that follows it. A plan lists what goes by its
full id, and exactly that goes.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from backends.backups.extraction import ToolEvent
from backends.backups.forgetting import refusals
from backends.backups.model import BackupJob, BackupRun, Lock, Snapshot
from backends.backups.records import Records
from backends.backups.tools import BackupTool, Worked, nobody
from backends.contract import Actor, Change, Outcome, Plan, Step, now, plan_by_verb
from backends.errors import BackendError, Conflict, Damaged, Invalid, NotFound, Refused
from backends.text import clean
from backends.threads import in_thread

SHOWN = 60
"""Steps of a plan that are named one by one."""
UNDO_DAYS = timedelta(days=1)
LONG = 7 * 86400.0
ROLES = ("technician", "supervisor", "admin")
NEEDS = {"forget": "admin", "prune": "admin", "unlock": "admin", "unhold": "admin", "hold": "supervisor"}
"""Verbs that can lose something need more than the lowest role."""


class BackupPlans:
    """Verbs: run, check, forget, prune, unlock, hold, unhold."""

    name: str
    tool: BackupTool
    records: Records
    _declared: Sequence[BackupJob]
    _deadline: float
    _tell: Callable[[ToolEvent], None] | None
    _stop: threading.Event | None

    async def all_snapshots(self) -> list[Snapshot]:
        """From the repository."""
        raise Refused("no repository")

    async def snapshot(self, id: str) -> Snapshot:
        """By id."""
        raise NotFound(id)

    async def locks(self) -> Sequence[Lock]:
        """Those there are now."""
        return ()

    def forget_cached(self) -> None:
        """What is known is asked anew."""

    def follow(self, tell: Callable[[ToolEvent], None] | None, stop: threading.Event | None) -> None:
        """Who is told, and what stops it, from now on."""
        self._tell, self._stop = tell, stop

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """By the verb, if the role has it. The role is in the plan's `missing`, so that a dry run shows the rest."""
        plan = await plan_by_verb(self, change, actor)
        needed = NEEDS.get(change.verb, ROLES[0])
        if actor.role not in ROLES[ROLES.index(needed) :]:
            return replace(plan, missing=(*plan.missing, f"needs the role {needed}, you are {actor.role}"))
        return plan

    # -- run --------------------------------------------------------------------------------------------

    def _job(self, name: str) -> BackupJob:
        found = next((job for job in self._declared if name in (job.name, self.tool.job_id(job))), None)
        if found is None:
            known = ", ".join(job.name for job in self._declared) or "none"
            raise NotFound(f"job {clean(name)} is not in the configuration", hint=f"Jobs that can be started: {known}.")
        return found

    async def plan_run(self, change: Change, actor: Actor) -> Plan:
        """What will be read and where it goes."""
        job = self._job(change.target)
        steps = [Step("backup", "", " ".join(job.paths)), Step("repository", "", self.tool.location())]
        steps += [Step("left out", "", " ".join(job.excludes))] if job.excludes else []
        return Plan(
            change, f"Back up {job.name} now", tuple(steps), danger=1, missing=(job.why_not,) if job.why_not else (),
            expected={"snapshot": True, "complete": True},
        )  # fmt: skip

    async def _apply_run(self, plan: Plan) -> Worked:
        job, started = self._job(plan.change.target), now()
        try:
            worked = await self._long(self.tool.back_up, job)
        except BackendError as error:
            await self._noted(job, Worked("failed", error.sentence()), started)
            raise
        await self._noted(job, worked, started)
        if worked.result == "cancelled":
            raise BackendError(worked.text, title="Cancelled", hint="")
        return worked

    async def _noted(self, job: BackupJob, worked: Worked, started: datetime) -> None:
        run = BackupRun(
            self.name, self.tool.job_id(job), worked.snapshot, started, now(), worked.result, worked.files, worked.size, worked.added,
            worked.text, worked.errors[:50], worked.error_count,
        )  # fmt: skip
        await in_thread(self._deadline, self.records.add_run, run)

    # -- check and prune --------------------------------------------------------------------------------

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """How much is read."""
        percent = _percent(change.values.get("percent", 0))
        how = "its structure only; damage inside the data is not found" if percent == 0 else f"its structure and {percent} % of the data"
        return Plan(change, f"Check {self.name}", (Step("check", "", how),), danger=1, expected={"errors": 0})

    async def _apply_check(self, plan: Plan) -> Worked:
        worked = await self._long(self.tool.check, _percent(plan.change.values.get("percent", 0)))
        if worked.result != "cancelled":
            await in_thread(
                self._deadline, lambda: self.records.note(checked=now().isoformat(), check_text=worked.text, check_ok=worked.result == "ok")
            )
        if worked.result == "failed":
            names = f" ({', '.join(worked.damaged[:5])})" if worked.damaged else ""
            raise Damaged(worked.text + names, hint="Make no prune; copy the repository, then follow the tool's guide to repair.")
        if worked.result == "cancelled":
            raise BackendError(worked.text, title="Cancelled", hint="")
        return worked

    async def plan_prune(self, change: Change, actor: Actor) -> Plan:
        """Never right after a forget: for a day that can be undone."""
        state = await in_thread(self._deadline, self.records.state)
        missing = []
        if state.get("forgot") and now() - datetime.fromisoformat(state["forgot"]) < UNDO_DAYS and not change.values.get("now"):
            missing.append("snapshots were forgotten less than a day ago: wait a day, or allow it (--now, on the screen O)")
        if state.get("check_ok") is False:
            missing.append(f"the last check found damage: {state.get('check_text', '')}")
        effects = ("what was forgotten can't be brought back afterwards", "nobody else can write to the repository meanwhile")
        return Plan(
            change, f"Free the space of what was forgotten in {self.name}", (Step("repository", self.tool.location(), "smaller"),), effects, 2,
            tuple(missing), expected={"pruned": True}, confirm_word=self.name,
        )  # fmt: skip

    # -- forget -----------------------------------------------------------------------------------------

    async def plan_forget(self, change: Change, actor: Actor) -> Plan:
        """By ids, or by a policy as the tool itself computes it."""
        self.forget_cached()
        listed = await self.all_snapshots()
        many = bool(change.values.get("many"))
        if change.values.get("keep"):
            remove, steps = await self._by_policy(change, listed)
        else:
            remove = [(await self.snapshot(str(ident))).id for ident in change.values.get("snapshots") or ()]
            steps = []
        gone = {one.id: one for one in listed if one.id in set(remove)}
        if not gone:
            raise Invalid("nothing would be forgotten", hint="Give ids, or a policy that lets something go.")
        version = hashlib.sha256(" ".join(sorted(gone)).encode()).hexdigest()[:16]
        if change.version not in (None, version):
            raise Conflict("what would be forgotten is not what was shown", hint="Look at it again.")
        named = [Step(f"{one.short_id} {one.time:%Y-%m-%d %H:%M} UTC {self.tool.job_of(one)}", "kept", "forgotten") for one in gone.values()]
        rest = [Step("and more", f"{len(named) - SHOWN} snapshots", "forgotten")] if len(named) > SHOWN else []
        return Plan(
            change, f"Forget {len(gone)} of {len(listed)} snapshots in {self.name}", (*named[:SHOWN], *rest, *steps[:SHOWN]),
            (self.tool.forgotten_words,), 2, tuple(refusals(listed, gone, self.tool.job_of, many)),
            None, version, {"forgotten": sorted(gone)}, self.name,
        )  # fmt: skip

    async def _by_policy(self, change: Change, listed: Sequence[Snapshot]) -> tuple[list[str], list[Step]]:
        keep, job = dict(change.values["keep"]), str(change.values.get("job") or "")
        chosen = [one for one in listed if one.readable and job in ("", self.tool.job_of(one))]
        groups = await in_thread(self._deadline + 60, self.tool.forget_preview, keep, chosen)
        short = {one.id: one for one in listed}
        wanted = {one.id for one in chosen}
        remove = [ident for group in groups for ident in group.remove if ident in wanted]
        steps = [
            Step(f"{short[kept.snapshot].short_id} {short[kept.snapshot].time:%Y-%m-%d %H:%M} UTC {self.tool.job_of(short[kept.snapshot])}", "kept", "kept: " + ", ".join(kept.reasons))
            for group in groups for kept in group.keep if kept.snapshot in short
        ]  # fmt: skip
        return remove, steps

    async def _apply_forget(self, plan: Plan) -> Worked:
        """Holds and the last of a job are looked at once more, on the list as it is now."""
        self.forget_cached()
        listed = await self.all_snapshots()
        gone = set(plan.expected["forgotten"])
        against = refusals(listed, gone, self.tool.job_of, many=True)
        if against:
            raise Refused("; ".join(against), hint="Nothing was forgotten.")
        chosen = [one for one in listed if one.id in gone]
        if not chosen:
            return Worked("ok", "they were gone already")
        worked = await self._long(self.tool.forget, chosen)
        await in_thread(self._deadline, lambda: self.records.note(forgot=now().isoformat()))
        return worked

    # -- holds and locks --------------------------------------------------------------------------------

    async def plan_hold(self, change: Change, actor: Actor) -> Plan:
        """Nobody's policy lets it go from then on."""
        one = await self.snapshot(change.target)
        reason = clean(str(change.values.get("reason") or "")).strip()
        if not reason:
            raise Invalid(fields={"reason": "say why it must stay"})
        back = Change("backups", self.name, "unhold", one.id)
        return Plan(change, f"Hold {one.short_id} of {one.time:%Y-%m-%d %H:%M} UTC", (Step("hold", one.hold or "none", reason),),
                    ("it is marked in the repository too, so that other programs see it",), 1, inverse=back, expected={"hold": reason})  # fmt: skip

    async def plan_unhold(self, change: Change, actor: Actor) -> Plan:
        """A policy may let it go again."""
        one = await self.snapshot(change.target)
        if not one.hold:
            raise Invalid(f"{one.short_id} is not held")
        back = Change("backups", self.name, "hold", one.id, values={"reason": one.hold})
        return Plan(change, f"Release {one.short_id} of {one.time:%Y-%m-%d %H:%M} UTC", (Step("hold", one.hold, "none"),),
                    ("the next policy that does not keep it lets it go",), 2, inverse=back, expected={"hold": ""}, confirm_word=one.short_id)  # fmt: skip

    async def _apply_hold(self, plan: Plan, actor: Actor) -> Worked:
        one, held = await self.snapshot(plan.change.target), plan.change.verb == "hold"
        if held:
            await in_thread(self._deadline, self.records.hold, one.uid, str(plan.expected["hold"]), actor.login)
        text = ""
        try:
            new = await in_thread(self._deadline + 30, self.tool.mark, one, held)
            await in_thread(self._deadline, self.records.renamed, one.id, new)
            text = f"its id is {new[:8]} from now on" if new != one.id else ""
        except BackendError as error:
            if not held:
                raise
            text = f"the mark in the repository could not be set ({error.title.lower()}): only this console knows of the hold"
        if not held:
            await in_thread(self._deadline, self.records.release, one.uid)
        return Worked("ok", text, snapshot=one.uid)

    async def plan_unlock(self, change: Change, actor: Actor) -> Plan:
        """Only a lock that is proven stale."""
        lock = next((one for one in await self.locks() if change.target and one.id.startswith(change.target)), None)
        if lock is None:
            raise NotFound(f"lock {clean(change.target)}", hint="It may be gone: look at the locks again.")
        since = f" since {lock.since:%Y-%m-%d %H:%M} UTC" if lock.since else ""
        return Plan(
            change, f"Take away the lock of {lock.user}@{lock.host}", (Step("lock", f"held by process {lock.pid}{since}", "gone"),),
            (lock.proof,), 2, () if lock.stale else (f"it is not proven stale: {lock.proof}",), expected={"locked": False}, confirm_word=self.name,
        )  # fmt: skip

    async def _apply_unlock(self, plan: Plan) -> Worked:
        lock = next((one for one in await self.locks() if one.id.startswith(plan.change.target)), None)
        if lock is not None and not lock.stale:
            raise Refused(f"it is not stale any more: {lock.proof}")
        if lock is not None:
            await in_thread(self._deadline + 30, self.tool.unlock, lock)
        return Worked("ok")

    # -- apply and read back ----------------------------------------------------------------------------

    async def _long(self, work: Callable[..., Worked], *what: Any) -> Worked:
        """Long work in a thread, followed; a cancelled task stops it."""
        stop = self._stop or threading.Event()
        try:
            return await in_thread(LONG, work, *what, self._tell or nobody, stop)
        finally:
            if self._stop is None:
                stop.set()

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Only what was planned."""
        verb = plan.change.verb
        if verb == "run":
            worked = await self._apply_run(plan)
        elif verb == "check":
            worked = await self._apply_check(plan)
        elif verb == "prune":
            worked = await self._long(self.tool.prune)
            if worked.result == "cancelled":
                raise BackendError(worked.text, title="Cancelled", hint="")
        elif verb == "forget":
            worked = await self._apply_forget(plan)
        elif verb in ("hold", "unhold"):
            worked = await self._apply_hold(plan, actor)
        else:
            worked = await self._apply_unlock(plan)
        self.forget_cached()
        word = "partial" if worked.result == "partial" else "done"
        return Outcome(word, worked.text, worked.snapshot or plan.change.target, {"result": worked.result, "errors": worked.error_count})  # type: ignore[arg-type]

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """From the repository, where it can be seen there."""
        verb = plan.change.verb
        if verb == "run":
            listed = await self.all_snapshots()
            found = next((one for one in listed if one.id == outcome.target), None)
            return {"snapshot": found is not None, "complete": outcome.applied.get("result") == "ok"}, found
        if verb == "forget":
            there = {one.id for one in await self.all_snapshots()}
            return {"forgotten": [ident for ident in plan.expected["forgotten"] if ident not in there]}, None
        if verb in ("hold", "unhold"):
            found = next((one for one in await self.all_snapshots() if one.uid == outcome.target), None)
            return {"hold": found.hold if found is not None else None}, found
        if verb == "unlock":
            return {"locked": any(one.id.startswith(plan.change.target) for one in await self.locks())}, None
        return {"errors": outcome.applied.get("errors"), "pruned": outcome.applied.get("result") == "ok"}, None


def _percent(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
        raise Invalid(fields={"percent": "a whole number from 0 to 100"})
    return value
