"""Jobs: long work in processes of its own. A job goes on when the line drops; here it is followed and cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from backends.text import clean
from backends.threads import in_thread
from screens.base import Handler
from screens.paper import PaperScreen
from widgets.toned import Line, fit
from widgets.wrap import heading, prose

_TONE = {"running": "accent", "done": "ok", "failed": "bad", "interrupted": "bad", "partial": "warn", "cancelled": "warn"}
EVERY = 1.0


class JobsScreen(PaperScreen):
    """All jobs with their last line of progress, read again each second while one runs."""

    TITLE_LINE = "Jobs"
    LEGEND: ClassVar[tuple[str, ...]] = ("jobs.start", "jobs.cancel", "list.down", "global.back", "global.help")
    jobs: Sequence[Any] = ()

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
        """Two lines a job."""
        if not self.jobs:
            return [(), *prose("No jobs yet. n starts one: probing all backends, verifying the ledger, exporting tickets.", width, "dim", "  ")]
        out: list[Line] = heading("Jobs", width, f"{len(self.jobs)}")
        for job in self.jobs:
            share = f"{job.done}/{job.total}" if job.total else ""
            out.append((
                (" " + fit(job.state, 12), _TONE.get(job.state, "")), (fit(job.kind, 14), ""), (fit(job.actor, 12), "accent"),
                (fit(str(job.started)[:16].replace("T", " "), 17), "dim"), (fit(share, 12), ""), (clean(job.text), "dim"),
            ))  # fmt: skip
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
        items = [(str(place + 1), job.id, f"{job.kind} of {job.actor}: {clean(job.text)}") for place, job in enumerate(running[:9])]
        ident = await self.bottom.choose("Cancel which job?", items)
        if ident is not None:
            await in_thread(5.0, self.desk.jobs.cancel, ident, self.desk.actor)
            self.say("Asked it to stop; it says so when it has.", "warn")
