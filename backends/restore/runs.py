"""What can be done with a restore that is over or was cut off: undo, discard, resume, list; what is over its time is taken away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from backends.backups.extraction import ExtractsFiles
from backends.errors import BackendError, Busy, Refused
from backends.restore.folders import shown
from backends.restore.kernel import Moves
from backends.restore.locks import exclusive
from backends.restore.model import RestoreEvent, RestorePlan, RestoreReport, Result, RunRow
from backends.restore.planning import Setting, live_targets
from backends.restore.reporting import finish
from backends.restore.run_folder import ENDED, UNFINISHED, Run, runs
from backends.restore.staging import stages_of, sweep
from backends.restore.steps import Step, steps_of
from backends.restore.swapping import check_all_there, sync_folders
from backends.restore.telling import Teller
from backends.restore.undoing import Undoing
from backends.secret import Secret

BEFORE_SWAP = ("planned", "fetching", "stopped", "fetched", "audited")
UNDO = "undo.jsonl"


def undo_until(run: Run) -> datetime | None:
    """Until when a finished restore can be taken back; None when it can't."""
    found = run.said("until")
    return datetime.fromisoformat(found) if found else None


def row(run: Run) -> RunRow:
    """A line of the list. "confirmed" is a plan somebody said yes to, whose job has not begun to fetch."""
    plan, state, alive = run.plan(), run.state(), run.alive()
    told = run.said("who") or {}
    if state == "planned" and told:
        state = "confirmed"
    cut = state in (*UNFINISHED, "confirmed") and not alive
    until = undo_until(run)
    can: list[str] = []
    if alive and state not in ENDED:
        can.append("cancel")
    elif cut:
        can += ["resume", "undo" if state in ("swapping", "swapped", "undoing", "loading") else "discard"]
    elif state in ("done", "partial", "cancelled") and until is not None and until > datetime.now(UTC):
        can.append("undo")
    report = run.report()
    where = f"{plan.host}:{shown(plan.preview.root)}" if not plan.wanted.destination.database else f"{plan.host}: database {plan.wanted.destination.database}"
    ended = "its job ended before anything was fetched" if state == "confirmed" else "its process ended"
    text = report.private.split("\n")[1] if report is not None and "\n" in report.private else ""
    if cut:
        text = str(run.said("why")) if state == "stopped" else f"cut off: {run.said('why') or ended}"
    if run.said("swept") is False:
        text = " ".join([text, run.said("left") or "Its staging is being taken away."]).strip()
    return RunRow(run.ident, state, alive, cut, plan.wanted.backend, plan.wanted.snapshot, where, str(told.get("actor", "")),
                  str(told.get("ticket") or ""), plan.at, text, until, tuple(can))  # fmt: skip


def listed(setting: Setting) -> tuple[list[RunRow], list[str]]:
    """(all of them, the newest first, without plans nobody ran; what could not be read)."""
    found, wrong = [], []
    for run in runs(setting.base):
        try:
            line = row(run)
        except BackendError as error:
            wrong.append(f"{run.ident}: {error.sentence()}")
            continue
        if line.state != "planned":
            found.append(line)
    return found, wrong


def interrupted(setting: Setting) -> list[RunRow]:
    """Those whose process died (R30): found at the next start."""
    return [line for line in listed(setting)[0] if line.interrupted]


def drop(setting: Setting, run: Run, later: bool = False) -> RestoreReport:
    """Give up one that was cut off before its swap; live files were never touched. Refused otherwise.

    Its staging goes then, or with `later` when the caller, or whoever purges next, sweeps.
    """
    with run.lock():
        state = run.state()
        if state not in BEFORE_SWAP:
            raise Refused(f"restore {run.ident} is {state}", hint="Undo takes it back.")
        report = finish(run, run.plan(), "cancelled", (), audited=False, phases=(), tool="", undo_days=0, left_behind="Live files untouched.", why="given up")
        run.note("cancelled", text="given up", until=None, swept=False)
    if later:
        return report
    left: list[str] = []
    sweep(run, left.append)
    return replace(report, left_behind=" ".join([report.left_behind, *left]))


def purge(setting: Setting, moment: datetime | None = None) -> list[str]:
    """Take away the old files of restores whose time for undo is over, what an ended process left to be swept, and plans of more than a day ago
    that nobody ran. May be ended at any moment and goes on the next time."""
    moment = moment or datetime.now(UTC)
    said: list[str] = []
    for run in runs(setting.base):
        try:
            plan, state, until = run.plan(), run.state(), undo_until(run)
            if run.alive():
                continue
            with run.lock():
                if state in ("done", "partial", "cancelled") and until is not None and until < moment:
                    run.note("expired", until=None, swept=False)
                elif state == "stopped" and datetime.fromisoformat(run.said("kept")) < moment:
                    finish(run, plan, "cancelled", (), audited=False, phases=(), tool="", undo_days=0, left_behind="Live files untouched.", why="stopped, and nobody went on with it")
                    run.note("expired", until=None, swept=False)
                elif state == "planned" and run.said("who") is None and plan.at is not None and (moment - plan.at).total_seconds() > 86400:
                    for path in run.folder.iterdir():
                        path.unlink()
                    run.folder.rmdir()
                    continue
            if run.said("swept") is False:
                sweep(run, said.append)
        except Busy:
            continue
        except (BackendError, OSError) as error:
            said.append(f"{run.ident}: {error}")
    return said


class UndoWork:
    """Takes one restore back. With `force` also what was changed since: the changed files are kept beside.

    It is undone when that is noted and told. The staging is taken away after that, or with `later` when the caller sweeps.
    """

    def __init__(
        self, setting: Setting, run: Run, force: bool = False, listen: Callable[[RestoreEvent], None] | None = None, later: bool = False
    ) -> None:
        self._setting, self._run, self._force, self._listen, self._later = setting, run, force, listen, later

    def work(self) -> RestoreReport:
        """Refused when there is nothing to undo or its time is over; Damaged when the old files are gone. Blocks; may be run again after a crash."""
        run, plan = self._run, self._run.plan()
        with run.lock(), exclusive(self._setting.base, live_targets(plan.wanted), plan.host, run.ident):
            state = run.state()
            until = undo_until(run)
            if state in BEFORE_SWAP or (state in ENDED and state not in ("done", "partial", "cancelled")) or (state in ENDED and until is None):
                raise Refused(f"restore {run.ident} is {state}: there is nothing to take back")
            if until is not None and until < datetime.now(UTC):
                raise Refused(f"it could be undone until {until:%Y-%m-%d %H:%M} UTC: the old files are gone", hint="Restore an older snapshot instead.")
            told = Teller(run, self._listen)
            try:
                return self._undo(plan, told)
            finally:
                told.close()

    def _undo(self, plan: RestorePlan, told: Teller) -> RestoreReport:
        told.begin("undo")
        run, stages = self._run, stages_of(self._run)
        undoing = Undoing(stages, Moves(bool(run.said("exchange")), bool(run.said("noreplace"))), run.said("mark"), self._force)
        try:
            steps = steps_of(run)
            check_all_there(steps, stages)
            clean = self._begin(undoing, steps)
            undoing.all(steps, clean, lambda done, total: told.tell("progress", "undoing", files=done, files_total=total))
            sync_folders(steps, stages)
        finally:
            undoing.close()
            for stage in stages:
                stage.close()
        left = [item for item in undoing.outcomes if item.word in ("conflict", "failed")]
        beside = any(item.text for item in undoing.outcomes if item.word == "undone")
        result: Result = "partial" if left else "undone"
        report = finish(
            run, plan, result, undoing.outcomes, audited=True, phases=told.phases, tool="", undo_days=self._setting.undo_days if left else 0,
            left_behind="Changed files are kept beside." if beside else "",
        )  # fmt: skip
        away = {} if left or beside else {"swept": False}
        run.note(result, **away, until=(report.undo_until or undo_until(run) or datetime.now(UTC)).isoformat() if left else None)
        told.end(result)
        told.tell("finished", report.private.split("\n")[0])
        if away and not self._later:
            sweep(run)
        return report

    def _begin(self, undoing: Undoing, steps: Sequence[Step]) -> set[int]:
        """Which folders get their old time back: asked once, before the first step, for undoing itself changes them."""
        if self._run.state() != "undoing":
            self._run.spool(UNDO, [undoing.clean_folders(steps)])
            self._run.note("undoing")
        return set(next(self._run.lines(UNDO), []))


def resume(
    setting: Setting, run: Run, source: ExtractsFiles, stop: threading.Event, listen: Callable[[RestoreEvent], None] | None = None,
    password: Secret | None = None,
) -> RestoreReport:  # fmt: skip
    """Do a confirmed one, or go on with one that was cut off: audited again before it is swapped, rolled forward if it was swapping."""
    kind = run.plan().wanted.destination.kind
    if run.state() == "undoing":
        return take_back(setting, run, False, listen)
    if kind == "mailbox":
        from backends.restore.mailbox import MailboxRestoring
        from backends.restore.mbox_merge import MboxRestoring, applies

        if applies(run):
            return MboxRestoring(setting, run, source, stop, listen).work()
        return MailboxRestoring(setting, run, source, stop, listen).work()
    if kind == "postgres":
        from backends.restore.postgres import PostgresRestoring

        return PostgresRestoring(setting, run, source, stop, listen, password).work()
    if kind == "host":
        from backends.restore.remote import RemoteRestoring

        return RemoteRestoring(setting, run, source, stop, listen).work()
    from backends.restore.engine import Restoring

    return Restoring(setting, run, source, stop, listen).work()


def take_back(
    setting: Setting, run: Run, force: bool, listen: Callable[[RestoreEvent], None] | None = None, password: Secret | None = None, later: bool = False
) -> RestoreReport:
    """Undo, wherever it was. As `UndoWork.work`."""
    kind = run.plan().wanted.destination.kind
    if kind == "host":
        from backends.restore.remote import RemoteUndo

        return RemoteUndo(setting, run, force, listen).work()
    if kind == "mailbox":
        from backends.restore.mbox_merge import MboxUndo, applies

        if applies(run):
            return MboxUndo(setting, run, listen).work()
    if kind == "postgres":
        from backends.restore.postgres import PostgresUndo

        return PostgresUndo(setting, run, force, listen, password).work()
    return UndoWork(setting, run, force, listen, later).work()
