"""Verbs on a backup job and its snapshots: run, check, forget, hold, unlock, drill. What is long becomes a job, after its plan was shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from backends.backups.contract import RunsBackups
from backends.backups.model import BackupJob, Lock
from backends.contract import Change, Plan, Ref
from backends.text import clean
from backends.threads import in_thread
from console.ages import local
from console.backup_jobs import begin, spec_of
from console.perform import Confirmation, perform
from screens.confirming import confirm_on
from screens.restore_flow import ticket_in_view

if TYPE_CHECKING:
    from screens.base import ConsoleScreen, Handler

_KEEPS = ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within")
LOOK = 0.5


class BackupVerbs:
    """Verbs of one job's screen. `snapshots` the marked ones or the one under the cursor, `after` reads again."""

    def __init__(self, screen: ConsoleScreen, ref: Ref, snapshots: Callable[[], list[str]], after: Callable[[], None]) -> None:
        self._screen, self._ref, self._snapshots, self._after = screen, ref, snapshots, after

    def handlers(self) -> dict[str, Handler]:
        """Action id -> handler."""
        return {
            "backups.run": self.run, "backups.check": self.check, "backups.forget": self.forget, "backups.hold": self.hold, "backups.unhold": self.unhold,
            "backups.unlock": self.unlock, "backups.drill": self.drill, "backups.prune": self.prune,
        }  # fmt: skip

    async def _backend(self) -> Any:
        return await self._screen.desk.backend("backups", self._ref.backend)

    async def _jobs(self) -> Sequence[BackupJob]:
        backend = await self._backend()
        return await backend.jobs() if isinstance(backend, RunsBackups) else ()

    async def run(self) -> None:
        """This job, as it is configured; by choice where it is not certain which one it is."""
        jobs = await self._jobs()
        job = configured_job(jobs, self._ref.id)
        if job is None and jobs:
            name = await self._screen.bottom.choose("Start which job of the configuration?", [(str(place + 1), one.name, f"{one.name}   {' '.join(one.paths)}") for place, one in enumerate(jobs[:9])])
            job = next((one for one in jobs if one.name == name), None)
            if job is None:
                return
        if job is None:
            self._screen.say("No job is in the configuration: none can be started from here.", "warn")
        elif job.why_not:
            self._screen.say(f"run now: {job.why_not}", "warn")
        else:
            await self._long(Change("backups", self._ref.backend, "run", job.name))

    async def check(self) -> None:
        """The structure, or also a share of the data."""
        whole = getattr(await self._backend(), "adapter", "") == "borg"  # borg reads no share of the data
        shares = [] if whole else [("t", "10", "structure and a tenth of the data"), ("p", "?", "structure and another share of the data")]
        items = [("s", "0", "its structure"), *shares, ("a", "100", "structure and all data: slow")]
        answer = await self._screen.bottom.choose("Check the repository:", items)
        if answer == "?":
            answer = await self._percent()
        if answer is not None:
            await self._long(Change("backups", self._ref.backend, "check", values={"percent": int(answer)}))

    async def _percent(self) -> str | None:
        wrong = ""
        while True:
            typed = await self._screen.bottom.ask("How much of the data, in percent (1 to 100)?", "25", above=[((" " + wrong, "warn"),)] if wrong else ())
            if typed is None:
                return None
            number = typed.strip().rstrip("% ")
            if number.isdigit() and 0 < int(number) <= 100:
                return number
            wrong = f"{typed.strip()!r} is no whole number from 1 to 100."

    async def prune(self) -> None:
        """Apart from forgetting, on purpose; what stands against it is shown."""
        change = Change("backups", self._ref.backend, "prune", values={})
        self._plan_first(change, ("now", "do it though something was forgotten less than a day ago"))

    def _plan_first(self, change: Change, aside: tuple[str, str]) -> None:
        from screens.backup_plan import BackupPlanScreen

        self._screen.app.push_screen(BackupPlanScreen(change, aside, lambda *what: self._screen.flow(self._begin(*what))))

    async def forget(self) -> None:
        """By a policy: what goes and what stays is shown by name before the yes."""
        job = configured_job(await self._jobs(), self._ref.id)
        usual = " ".join(f"{name}={number}" for name, number in (job.keep if job is not None else {}).items())
        typed = await self._screen.bottom.ask("Keep how many (daily=14 weekly=8 monthly=12):", usual)
        if not typed or not typed.strip():
            return
        keep: dict[str, int | str] = {}
        for word in typed.split():
            name, _, number = word.partition("=")
            if name not in _KEEPS or not number:
                self._screen.say(f"{word!r}: write it as daily=14; there are {', '.join(_KEEPS)}.", "warn")
                return
            keep[name] = int(number) if number.isdigit() else number
        change = Change("backups", self._ref.backend, "forget", values={"keep": keep, "job": self._ref.id})
        self._plan_first(change, ("many", "let so many go at once, on purpose"))

    async def hold(self) -> None:
        """Each with the reason."""
        idents = self._snapshots()
        reason = await self._screen.bottom.ask(f"Hold {_number(idents)}: why?") if idents else None
        if reason and reason.strip():
            for ident in idents:
                await self._do(Change("backups", self._ref.backend, "hold", ident, values={"reason": reason.strip()}))

    async def unhold(self) -> None:
        """A policy may let them go again."""
        for ident in self._snapshots():
            await self._do(Change("backups", self._ref.backend, "unhold", ident))

    async def unlock(self) -> None:
        """A lock by choice; one that is not proven stale is refused with what speaks for it."""
        locks: list[Lock] = list(await (await self._backend()).locks())
        if not locks:
            self._screen.say("The repository has no locks.", "dim")
            return
        items = [(str(place + 1), lock.id, f"{lock.host} pid {lock.pid} of {lock.user}: {'stale, ' if lock.stale else 'NOT stale, '}{lock.proof}") for place, lock in enumerate(locks[:9])]
        ident = await self._screen.bottom.choose("Take which lock away?", items)
        if ident is not None:
            await self._do(Change("backups", self._ref.backend, "unlock", ident))

    async def drill(self) -> None:
        """Rehearse a restore of this job."""
        from console.drills import Drills

        work = Drills(self._screen.desk)
        done = await perform(self._screen.desk, await work.change(self._ref.backend, self._ref.id), confirm=confirm_on(self._screen), via=work)
        if done.outcome is not None:
            self._started(done.outcome.target, done.plan.summary)

    async def _do(self, change: Change) -> None:
        screen = self._screen
        done = await perform(screen.desk, change, confirm=confirm_on(screen), ticket=ticket_in_view(screen) or None)
        if done.outcome is None:
            screen.say("Nothing was done.", "dim")
            return
        word = done.outcome.word
        screen.say(f"{word.capitalize()}: {self._local(done.plan.summary)}" + (f" - {done.outcome.text}" if done.outcome.text and word != "done" else ""), "ok" if word == "done" else "bad")
        self._after()

    def _local(self, text: str) -> str:
        return local(text, self._screen.desk.config.timezone)

    async def _long(self, change: Change) -> None:
        """The plan, the yes; then a job does exactly what was shown."""
        screen = self._screen
        confirm = confirm_on(screen)
        screen.say("Planning ...", "dim")
        plan = (await perform(screen.desk, change, confirm=confirm, dry_run=True)).plan
        screen.say("")
        if plan.missing:
            screen.say(f"Refused: {'; '.join(plan.missing)}", "bad")
            return
        said = await confirm(plan)
        if said is None:
            screen.say("Nothing was done.", "dim")
            return
        await self._begin(change, plan, said)

    async def _begin(self, change: Change, plan: Plan, said: Confirmation) -> None:
        screen = self._screen
        ticket = ticket_in_view(screen) or None
        ident = await in_thread(5.0, lambda: begin(screen.desk, spec_of(change, plan, said, ticket, said.reason, "")))
        self._started(ident, plan.summary)

    def _started(self, ident: str, what: str) -> None:
        self._screen.say(f"Started: {self._local(what)}; 5 shows it, it goes on when you leave.", "ok")
        self._screen.flow(self._watch(ident))

    async def _watch(self, ident: str) -> None:
        """As long as the screen stands: what the job says at its end, and the lists read again."""
        jobs = self._screen.desk.jobs
        while (job := await in_thread(5.0, jobs.show, ident)).state in ("running", "starting"):
            await asyncio.sleep(LOOK)
        said = self._local(clean(str(job.text)))
        self._screen.say(said if said.casefold().startswith(job.state) else f"{job.state}: {said}", "ok" if job.state == "done" else "warn" if job.state == "cancelled" else "bad")
        self._after()


def configured_job(jobs: Sequence[BackupJob], ident: str) -> BackupJob | None:
    """The configuration's job behind a line of the list, where that is certain: the same host and the same paths, or its name in front of the date."""
    host, _, paths = ident.partition(":")
    exact = [job for job in jobs if job.paths and sorted(job.paths) == paths.split(",") and job.host in ("", host)]
    named = [job for job in jobs if ident == job.name or ident.endswith("-" + job.name)]
    return exact[0] if len(exact) == 1 else named[0] if len(named) == 1 and not exact else None


def _number(idents: list[str]) -> str:
    return f"{len(idents)} snapshots" if len(idents) > 1 else f"snapshot {idents[0][:8]}"
