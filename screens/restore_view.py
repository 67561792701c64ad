"""`RestoreScreen`: a restore that is followed - phases, files, rate, errors as they come - and its report when it is over. It may be left at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from backends.errors import BackendError
from backends.restore.model import RestorePlan, RestoreReport, RunRow
from console.actions import Action
from console.restoring import Restores
from console.ticket_number import ticket_number
from screens.base import Handler
from screens.paper import PaperScreen
from screens.restore_lines import Progress, view_lines
from screens.restore_verbs import RestoreVerbs
from widgets.toned import Line

EVERY = 0.5
_ENDED_TONE = {"done": "ok", "undone": "ok", "partial": "warn", "cancelled": "warn", "stopped": "warn"}


class RestoreScreen(PaperScreen):
    """Reads what the restore's own folder says, twice a second while somebody works on it. The work goes on when the screen goes."""

    TITLE_LINE = "Restore"
    LEGEND: ClassVar[tuple[str, ...]] = ("restores.cancel", "restores.undo", "restores.resume", "restores.discard", "list.down", "global.back", "global.help")

    def __init__(self, run: str, job: str = "", note: str = "") -> None:
        super().__init__()
        self._run, self._job, self._note = run, job, note
        self.row: RunRow | None = None
        self._plan: RestorePlan | None = None
        self._report: RestoreReport | None = None
        self._progress = Progress()
        self._number = ""
        self._reading = False
        self._waits = bool(job)
        self._verbs = RestoreVerbs(self, lambda: self.row, self._begun, self._lacks)

    def scopes(self) -> tuple[str, ...]:
        """Its verbs, moving, everything."""
        return ("restores", "list", "global")

    def own_handlers(self) -> Mapping[str, Handler]:
        """Stop, take back, go on, give up."""
        return {**super().own_handlers(), **self._verbs.handlers()}

    def why_not(self, action: Action) -> str | None:
        """The verbs of this restore as it stands."""
        return self._verbs.why_not(action.id) or super().why_not(action)

    def greyed(self, action: Action) -> bool:
        """Those that can't be used now."""
        return self._verbs.why_not(action.id) is not None

    def _lacks(self, run: str) -> str:
        return Restores(self.desk).lacking(self._plan) if self._plan is not None else ""

    def _begun(self, run: str, job: str) -> None:
        self._job, self._waits = job, bool(job)
        self.flow(self._load())

    def on_mount(self) -> None:
        """Follow it."""
        super().on_mount()
        if self._note:
            self.say(self._note, "warn")
        self.set_interval(EVERY, self._look)

    def _look(self) -> None:
        if not self._reading and (self._waits or self.row is None or self.row.alive):
            self.flow(self._load())

    async def load(self) -> None:
        """The restore, and what it told since."""
        if self._reading:
            return
        self._reading = True
        try:
            work = Restores(self.desk)
            ended = await self._ended(work)
            self.row, self._plan, self._report = await work.show(self._run)
            self.trail.show([(" Restores › ", "bar-dim"), (self._run, "bar"), (f"  to {self.row.where}", "bar-dim")])
            self.show_bars()
            self._progress.hear(await work.events(self._run, self._progress.seq))
            if self.row.ticket and not self._number:
                self._number = await ticket_number(self.desk, self.row.ticket)
            if ended:
                self._waits = False
                self._say_end(ended)
        finally:
            self._reading = False

    async def _ended(self, work: Restores) -> str:
        """What the job says at its end; "" while it works or when none is followed."""
        from backends.threads import in_thread

        if not self._waits:
            return ""
        try:
            job = await in_thread(5.0, self.desk.jobs.show, self._job)
        except BackendError:
            return ""
        return "" if job.state in ("running", "starting") else str(job.text) or job.state

    def _say_end(self, text: str) -> None:
        row = self.row
        word = row.state if row is not None else ""
        can = row.can if row is not None else ()
        hint = "   U takes it back" if "undo" in can else "   e goes on, x gives it up" if word == "stopped" else ""
        self.say(f"{word}: {text}{hint}" if word == "failed" else f"It stopped and can be gone on with.{hint}" if word == "stopped" else f"It is over: {word}.{hint}", _ENDED_TONE.get(word, "bad"))

    def build(self, width: int) -> Sequence[Line]:
        """The view for a width."""
        if self.row is None or self._plan is None:
            return [(), ((" Reading ...", "dim"),)]
        return view_lines(replace(self.row, ticket=self._number), self._plan, self._report, self._progress, self.desk.config.timezone, width)
