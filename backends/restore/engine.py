"""The restore itself: preflight, fetch into the staging, audit, swap, report - and the same again from wherever a killed one stood.

Blocking: it runs in a job's own process. A typed error or a cancel before the swap leaves the live files untouched and the staging removed;
where a person can mend what it was (no way to the repository, no room), the staging is kept and the same run goes on in it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from backends.backups.extraction import Extraction, ExtractsFiles, GoesOn, ToolEvent
from backends.errors import BackendError, Conflict, Damaged, NoSpace, Refused, ToolDied, Unreachable
from backends.restore.attributes import sentence
from backends.restore.auditing import FOREIGN, Audit, Auditing
from backends.restore.folders import shown
from backends.restore.keeping import kept_until, kept_words, why_stopped
from backends.restore.kernel import EarlySync, Moves, sync_filesystem
from backends.restore.lines import Line, spooled
from backends.restore.locks import exclusive
from backends.restore.model import PathOutcome, RestoreEvent, RestorePlan, RestoreReport, Result
from backends.restore.places import inside, is_plain
from backends.restore.planning import Setting, live_targets, parts_of, place_refusals, plan_hash
from backends.restore.rates import Rates
from backends.restore.reporting import finish, packed, unpacked
from backends.restore.run_folder import ENDED, Run
from backends.restore.staging import Stage, describe, discard, identity, make, renew, stages_of
from backends.restore.steps import STEPS, Planning, Step, steps_of
from backends.restore.swapping import Swapping, check_all_there, sync_folders
from backends.restore.targets import Targets
from backends.restore.telling import Teller

UNTOUCHED = "Live files untouched; the staging is removed."
PLANNED = "planned.jsonl"
HEARD = 0.5
"""Seconds within which a request to stop has reached the work."""
FETCHES = ("planned", "fetching", "stopped")
"""States from which it is fetched, or what is there of it looked at."""
FULL = (errno.ENOSPC, errno.EDQUOT)
Extract = Callable[[str, Sequence[bytes], bytes, Callable[[ToolEvent], None], threading.Event], Extraction]


class Restoring:
    """One run at work. `listen` gets every event in this thread; set `stop` to cancel."""

    def __init__(
        self, setting: Setting, run: Run, source: ExtractsFiles, stop: threading.Event, listen: Callable[[RestoreEvent], None] | None = None
    ) -> None:
        self._setting, self._run, self._source, self._stop = setting, run, source, stop
        self._plan: RestorePlan = run.plan()
        self._told = Teller(run, listen)
        self._targets = Targets.of(self._plan.wanted.destination, self._plan.wanted.selection)
        self._stages: list[Stage] = []
        self._moves = Moves()
        self._tool = ""
        self._seconds = 0.0
        self._syncing: list[EarlySync] = []
        self._waits = iter(setting.waits)
        self._again = self._waited = self._audited = False

    def work(self) -> RestoreReport:
        """From the start, or from where a killed one stood; always audited. Raises what stood in the way, after the report is written."""
        try:
            with self._run.lock(), exclusive(self._setting.base, live_targets(self._plan.wanted), self._plan.host, self._run.ident):
                state = self._run.state()
                if state in ENDED:
                    raise Conflict(f"restore {self._run.ident} is {state} already")
                return self._from(state)
        finally:
            for stage in self._stages:
                stage.close()
            self._told.close()

    def _from(self, state: str) -> RestoreReport:
        try:
            if state in FETCHES:
                self._preflight()
                self._fetch()
                state = "fetched"
            if state in ("fetched", "audited"):
                self._stages = self._stages or stages_of(self._run)
                self._audit_and_plan()
        except BackendError as error:
            return self._ended(error)
        except OSError as error:
            found = NoSpace(f"{error.strerror}", hint="Live files are untouched; look at the disk, then start it again.")
            if error.errno in FULL:
                return self._ended(found)
            self._give_up("failed", found.text)
            raise found from None
        if self._stop.is_set() and self._run.state() != "swapping":
            return self._give_up("cancelled", "stopped before the swap")
        return self._swap_and_report()

    # -- before the live tree is touched ----------------------------------------------------------------

    def _preflight(self) -> None:
        self._told.begin("preflight")
        if plan_hash(self._plan, self._run) != self._plan.hash:
            raise Damaged("the plan is not the one that was confirmed", hint="Preview it again.")
        if self._plan.preview.refusals:
            raise Refused(self._plan.preview.refusals[0].text)
        aside = self._plan.wanted.overrides
        now = [item for item in place_refusals(self._plan.wanted, self._setting.guarded) if item.name not in aside or not item.name]
        if now:
            raise Refused(now[0].text)
        self._told.end("done")

    def _fetch(self) -> None:
        """Into a new staging; into the one that was left, where the tool repairs whatever lies there: it is audited all the same."""
        self._told.begin("fetch")
        parts = describe(self._run, parts_of(self._plan.wanted, self._setting.base))
        source = self._source
        left = self._left(parts) if self._run.said("fetched") or (isinstance(source, GoesOn) and source.can_go_on()) else []
        extract = source.go_on if left and isinstance(source, GoesOn) else source.extract
        whole = bool(left) and bool(self._run.said("fetched"))
        self._again = bool(left) and not whole
        if whole:
            self._told.tell("warning", "all of it was fetched before it stopped: it is audited again")
        elif left:
            self._told.tell("warning", "it was cut off: what lies in the staging is read again, and only what is missing or wrong is fetched")
        else:
            discard(self._run)
            self._run.note("fetching", parts=parts, identities=[], why="", fetched=False)
        self._stages = left or [make(told) for told in parts]
        self._run.note("fetching", identities=[identity(stage) for stage in self._stages], why="", fetched=whole)
        started = time.monotonic()
        for stage in () if whole else self._stages:
            if self._stop.is_set():
                return
            found = self._extracted(stage, extract)
            self._tool = found.tool or self._source.extract_capabilities().tool
            self._fetched(stage, found)
        self._tool = self._tool or str(self._run.said("tool") or "")
        self._syncing = [EarlySync(stage.fd) for stage in self._stages]
        self._seconds = 0.0 if left or self._waited else time.monotonic() - started
        self._told.end("done")

    def _extracted(self, stage: Stage, extract: Extract) -> Extraction:
        """From the tool. When it can't reach its repository it is tried again after a while, in what is there, and given up after the last wait."""
        while True:
            try:
                return extract(self._plan.wanted.snapshot, stage.part.selection, stage.into(), self._tool_said, self._stop)
            except Unreachable as error:
                wait = next(self._waits, None)
                if wait is None or self._stop.is_set():
                    raise
                self._told.say(f"the repository can't be reached, trying again in {wait:g} s: {error.text}")
                self._waited = True
                if self._stop.wait(wait):
                    raise
            if isinstance(self._source, GoesOn) and self._source.can_go_on():
                self._again, extract = True, self._source.go_on
            else:
                renew(stage)
                extract = self._source.extract

    def _left(self, parts: list[dict[str, Any]]) -> list[Stage]:
        """The staging of this run that an earlier process was fetching into; none when any of it is gone."""
        if self._run.state() not in FETCHES or self._run.said("parts") != parts or len(self._run.said("identities") or ()) != len(parts):
            return []
        try:
            return stages_of(self._run)
        except Damaged:
            return []

    def _tool_said(self, event: ToolEvent) -> None:
        """A tool that knows no total has the plan's."""
        if event.kind == "progress" and not event.bytes_total and not event.files_total:
            size = self._plan.preview.bytes
            event = replace(event, bytes=min(event.bytes, size), bytes_total=size)
        self._told.tool(event)

    def _fetched(self, stage: Stage, found: Extraction) -> None:
        for error in found.errors:
            self._told.tell("error", error.text, current=shown(error.path))
        if found.clean or found.cancelled or self._stop.is_set():
            return
        told = os.fstatvfs(stage.fd)
        words = " ".join(error.text.lower() for error in found.errors)
        if told.f_bavail * told.f_frsize < 1 << 16 or "no space left" in words or "quota" in words:
            raise NoSpace(f"{shown(stage.part.place)} is full", hint="Live files are untouched. Make room, then start it again.")

    def _audit_and_plan(self) -> None:
        if self._stop.is_set():
            return
        self._told.begin("audit")
        audit = self._audit()
        if audit.bad and self._again and not self._stop.is_set():
            audit = self._mended()
        self._told.end("done" if audit.complete else "stopped")
        if self._stop.is_set():
            return
        self._moves = Moves.probe(self._stages[0].fd)
        if self._moves.sentence():
            self._told.tell("warning", self._moves.sentence())
        steps = self._planned(audit)
        if not any(step.deed in ("put", "replace", "remove", "folder") for step in steps) and audit.bad:
            raise Damaged(
                f"nothing of it could be proven: {shown(next(iter(audit.bad)))} {next(iter(audit.bad.values()))}",
                hint="Try an older snapshot, or have the repository checked; live files are untouched.",
            )
        for syncing in self._syncing:
            syncing.wait()
        for stage in self._stages:
            sync_filesystem(stage.fd)
        self._run.note("swapping", audited=audit.complete, exchange=self._moves.exchange, noreplace=self._moves.noreplace, tool=self._tool,
                       size=audit.bytes, files=audit.files, seconds=self._seconds, mended=audit.mended, attributes=audit.attributes)  # fmt: skip

    def _mended(self) -> Audit:
        """Of what was gone on with something was wrong and is out of the staging now: fetched once more, audited again."""
        source = self._source
        assert isinstance(source, GoesOn)
        self._told.say("some of what was kept is not the snapshot's: it is fetched anew")
        self._run.note("fetching", fetched=False)
        self._audited, self._syncing = False, []
        for stage in self._stages:
            self._fetched(stage, self._extracted(stage, source.go_on))
        return self._audit()

    def _audit(self) -> Audit:
        whole = Audit(complete=True)
        for stage in self._stages:
            auditing = Auditing(stage, lambda stage=stage: self._lines_of(stage), self._source.extract_capabilities(), self._stop, self._seconds)  # type: ignore[misc]
            found = auditing.whole(
                self._source, self._plan.wanted.snapshot, lambda done, total: self._told.tell("progress", "auditing", files=done, files_total=total)
            )
            whole.bad |= found.bad
            whole.lost |= found.lost
            whole.foreign += found.foreign
            whole.files, whole.bytes, whole.mended = whole.files + found.files, whole.bytes + found.bytes, whole.mended + found.mended
            whole.complete = whole.complete and found.complete
            whole.attributes = (whole.attributes[0] + found.attributes[0], whole.attributes[1] + found.attributes[1])
        for path, why in list(whole.bad.items())[:200]:
            self._told.tell("error", why, current=shown(path))
        self._run.note("audited", bad=len(whole.bad), lost=len(whole.lost))
        self._audited = True
        return whole

    def _lines_of(self, stage: Stage) -> Iterator[Line]:
        for line in spooled(self._run):
            if line.status != "extra" and is_plain(line.path) and any(inside(line.path, chosen) for chosen in stage.part.selection):
                yield line

    def _planned(self, audit: Audit) -> Sequence[Step]:
        found: list[list[str]] = []

        def say(outcome: PathOutcome) -> None:
            found.append(packed(outcome))

        compare = self._plan.wanted.policy in ("differs", "exact") and not self._plan.wanted.thorough
        planning = Planning(self._stages, self._targets, audit, compare, say)
        for path in audit.foreign:
            say(PathOutcome(self._targets.live(path), "failed", FOREIGN))
        try:
            self._run.spool(STEPS, (step.packed() for step in planning.steps(spooled(self._run))))
        finally:
            planning.close()
        self._run.spool(PLANNED, found)
        return steps_of(self._run)

    def _ended(self, error: BackendError) -> RestoreReport:
        """Before the swap: cancelled after all, stopped and kept where a person can mend it, else given up. Raises it but for a cancel."""
        why = why_stopped(error)
        if why and self._stop.wait(HEARD if isinstance(error, ToolDied) else 0):  # who asked us to stop may have asked the tool first
            return self._give_up("cancelled", "stopped before the swap")
        if not why or not self._setting.keeps or self._audited or self._run.state() == "loading" or not self._run.said("identities"):
            self._give_up("failed", error.sentence())
        else:
            self._stand_by(error, error.text if self._told.phase == "preflight" else why)
        raise error from None

    def _stand_by(self, error: BackendError, why: str) -> None:
        """Nothing is wrong with the backup or with what was fetched: the run can be gone on with, in its staging if the tool can."""
        self._told.end("stopped")
        whole, until = bool(self._syncing) or self._run.state() not in FETCHES, kept_until(self._setting.undo_days)
        try:
            for syncing in self._syncing:
                syncing.wait()
        except OSError:
            whole = False
        with contextlib.suppress(BackendError):
            self._stages = self._stages or stages_of(self._run)
        kept = self._stages and (whole or (isinstance(self._source, GoesOn) and self._source.can_go_on()))
        words = kept_words(self._stages, until) if kept else f"nothing of it is kept: {self._source.extract_capabilities().tool} fetches it anew"
        for stage in self._stages:
            stage.close()
        self._stages = []
        left: list[str] = []
        if not kept:
            discard(self._run, left.append)
        text = " ".join([f"Live files untouched; {words}.", *left, f"`deskside backups restores {self._run.ident} --resume` goes on, `--discard` gives it up."])
        finish(self._run, self._plan, "stopped", (), audited=False, phases=self._told.phases, tool=self._tool, undo_days=0, left_behind=text, why=f"Stopped: {why}.")
        self._run.note("stopped", why=f"{why}; {words}", kept=until.isoformat(), fetched=whole, tool=self._tool, **({} if kept else {"identities": []}))
        error.hint = text
        self._told.tell("finished", f"stopped: {why}. {text}")

    def _give_up(self, result: Result, why: str) -> RestoreReport:
        """Nothing live was touched: take the staging away and say so."""
        self._told.end(result)
        for stage in self._stages:
            stage.close()
        self._stages = []
        left: list[str] = []
        discard(self._run, left.append)
        text = " ".join(["Live files untouched;", *left]) if left else UNTOUCHED
        report = finish(self._run, self._plan, result, (), audited=False, phases=self._told.phases, tool=self._tool, undo_days=0, left_behind=text, why=why)
        self._run.note(result, text=why)
        self._told.tell("finished", f"{result}: {why}. {text}")
        return report

    # -- the swap ---------------------------------------------------------------------------------------

    def _swap_and_report(self) -> RestoreReport:
        self._told.begin("swap")
        self._stages = self._stages or stages_of(self._run)
        steps = steps_of(self._run)
        check_all_there(steps, self._stages)
        self._moves = Moves(bool(self._run.said("exchange")), bool(self._run.said("noreplace")))
        swapping = Swapping(self._stages, self._moves, self._stop)
        try:
            swapping.all(steps, lambda done, total: self._told.tell("progress", "swapping", files=done, files_total=total))
        finally:
            swapping.close()
        mark = self._mark()
        sync_folders(steps, self._stages)
        self._run.note("swapped", mark=mark, stopped=swapping.stopped)
        self._told.end("stopped" if swapping.stopped else "done")
        return self._report(swapping, steps)

    def _mark(self) -> int:
        """The filesystem's own time now: what changes later has a later ctime."""
        descriptor = os.open(b"mark", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=self._stages[0].fd)
        try:
            os.utime(descriptor)
            return os.fstat(descriptor).st_ctime_ns
        finally:
            os.close(descriptor)

    def _report(self, swapping: Swapping, steps: Sequence[Step]) -> RestoreReport:
        self._told.begin("report")
        tops = {step.path for step in steps if step.deed == "put" and step.staged is not None and step.staged[1] & 0o170000 == 0o040000}
        swapped = (item for item in swapping.outcomes if not (item.word == "put" and item.path in tops))
        told = chain((unpacked(found) for found in self._run.lines(PLANNED)), swapped)
        stopped = swapping.stopped
        warned = [f"{shown(step.path)} was written to while it was replaced: what was written last lies in the undo copy" for step in swapping.changed_while]
        for text in warned:
            self._told.tell("warning", text)
        compared, folders = self._run.said("attributes") or (0, 0)
        note = [sentence(compared, folders, str(self._run.said("tool") or "the tool")), self._moves.sentence(), *warned]
        outcomes = _where_moved(told, tops - {item.path for item in swapping.outcomes if item.word == "put"})
        report = finish(
            self._run, self._plan, "cancelled" if stopped else None, outcomes, audited=bool(self._run.said("audited")), phases=self._told.phases,
            tool=str(self._run.said("tool") or ""), undo_days=self._setting.undo_days, size=int(self._run.said("size") or 0), losses=self._source.extract_capabilities().losses,
            left_behind="Stopped in the middle of the swap: each file is the old or the new one. Undo takes it all back." if stopped else "",
            why=" ".join(text for text in note if text),
        )  # fmt: skip
        seconds, files = float(self._run.said("seconds") or 0.0), int(self._run.said("files") or 0)
        if report.result == "done" and seconds > 0:
            Rates(self._setting.base).learn(self._plan.wanted.backend, files, report.bytes, seconds)
        self._run.note(report.result, until=report.undo_until.isoformat() if report.undo_until else None)
        self._told.end(report.result)
        self._told.tell("finished", report.private.split("\n")[0])
        return report


def _where_moved(outcomes: Iterable[PathOutcome], failed: set[bytes]) -> Iterator[PathOutcome]:
    """What lies in a folder that could not be moved in is not there."""
    for item in outcomes:
        if failed and item.word == "put" and any(inside(item.path, top) for top in failed):
            yield PathOutcome(item.path, "failed", "its folder was not moved in")
        else:
            yield item
