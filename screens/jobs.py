"""Jobs: long work in processes of its own. A job goes on when the line drops; here it is followed and cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from backends.text import clean
from backends.threads import in_thread
from console.ages import local
from console.jobs import Job
from screens.base import Handler
from screens.paper import PaperScreen
from widgets.toned import Line, fit
from widgets.wrap import heading, prose, wrap

_TONE = {"running": "accent", "done": "ok", "failed": "bad", "interrupted": "bad", "partial": "warn", "cancelled": "warn", "refused": "bad", "unknown": "bad"}
EVERY = 1.0


class JobsScreen(PaperScreen):
    """All jobs with their last line of progress, read again each second while one runs."""

    TITLE_LINE = "Jobs"
    LEGEND: ClassVar[tuple[str, ...]] = ("jobs.start", "jobs.cancel", "list.down", "global.back", "global.help")
    jobs: Sequence[Job] = ()

    def own_handlers(self) -> Mapping[str, Handler]:
        """Start and cancel."""
        return {**super().own_handlers(), "jobs.start": self.start, "jobs.cancel": self.cancel}

    def scopes(self) -> tuple[str, ...]:
        """Job verbs, moving, everything."""
        return ("jobs", "list", "global")

    def on_mount(self) -> None:
        """Keep up with running jobs."""
        super().on_mount()
        self.set_interval(EVERY, lambda: self.flow(self._load()))

    async def load(self) -> None:
        """The jobs, the newest first."""
        self.jobs = await in_thread(5.0, self.desk.jobs.list)

    def build(self, width: int) -> Sequence[Line]:
        """Each with what it says."""
        if not self.jobs:
            return [(), *prose("No jobs yet. n starts one: probing all backends, verifying the ledger, exporting tickets.", width, "dim", "  ")]
        out: list[Line] = heading("Jobs", width, f"{len(self.jobs)}")
        for job in self.jobs:
            out += job_lines(job, self.desk.config.timezone, width)
        return out

    async def start(self) -> None:
        """One of the kinds that need nothing else."""
        items = [
            ("p", "probe", "probe all backends"),
            ("v", "verify-ledger", "verify the ledger"),
            ("e", "export", "export the tickets as CSV"),
        ]
        kind = await self.bottom.choose("Start which job?", items)
        if kind is not None:
            ident = await in_thread(5.0, self.desk.jobs.start, kind, {}, self.desk.actor)
            self.say(f"Started {kind} ({ident}). It goes on when you log out.", "ok")
            await self._load()

    async def cancel(self) -> None:
        """A running job, by choice."""
        running = [job for job in self.jobs if job.state == "running"]
        if not running:
            self.say("No job is running.")
            return
        items = [(str(place + 1), job.id, f"{said(job, self.desk.config.timezone)[0]}, {job.actor}: {clean(job.text)}") for place, job in enumerate(running[:9])]
        ident = await self.bottom.choose("Cancel which job?", items)
        if ident is not None:
            await in_thread(5.0, self.desk.jobs.cancel, ident, self.desk.actor)
            self.say("Asked it to stop; it says so when it has.", "warn")


def said(job: Job, timezone: str) -> tuple[str, str]:
    """(what it does, what it says without saying that again), moments as they are read at the site."""
    label, text = local(clean(job.label or job.kind), timezone), local(clean(job.text), timezone)
    short = text.partition(": ")[2] if text.casefold().startswith((f"{job.state}: ", "partial: ")) else text
    return label, short.removeprefix(f"{label} - ")


def job_lines(job: Job, timezone: str, width: int) -> list[Line]:
    """How it stands, what it does, whose it is, since when and how far; below, what it says last, at most two lines of it."""
    outcome = str(job.result.get("outcome", ""))
    word = outcome if job.state == "done" and outcome not in ("", "done") else job.state
    label, text = said(job, timezone)
    share = f"{min(99, job.done * 100 // job.total)} %" if job.total and job.state == "running" else ""
    began = local(job.started, timezone)[0 if width >= 100 else 5 : 16]
    room = max(16, min(70, width - 32 - len(began)))
    lines = wrap(text, max(20, width - 14))
    shown = [*lines[:1], lines[1] if len(lines) == 2 else fit(" ".join(lines[1:]), max(20, width - 14))] if len(lines) > 1 else lines
    head: Line = (
        (" " + fit(word, 12), _TONE.get(word, "")), (fit(label, room) + " ", ""), (fit(job.actor, 10) + " ", "accent"),
        (began + " ", "dim"), (fit(share, 5, "right"), "accent"),
    )  # fmt: skip
    return [head, *(((" " * 13 + line, "dim"),) for line in shown if line)]
