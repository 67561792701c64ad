"""`ToolBackend`: what the adapters of restic and borg share. One repository is one [backups.NAME] table. Never imports textual.

The program itself is a `BackupTool`, which blocks; everything here calls it in a thread with a deadline.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from backends.backups.archive_names import ArchiveNames
from backends.backups.browsing import SLACK, Browsing
from backends.backups.configured import configured_jobs
from backends.backups.extraction import ExtractCapabilities, Extraction, ExtractsFiles, HashesFiles, Heard, Known, ToolEvent
from backends.backups.listing import page_of_jobs, page_of_snapshots
from backends.backups.model import (
    BackupJob,
    BackupQuery,
    BackupRow,
    BackupRun,
    Entry,
    Found,
    Lock,
    Protection,
    Repository,
    RunQuery,
    Snapshot,
    SnapshotQuery,
)
from backends.backups.plans import BackupPlans
from backends.backups.protection import of_snapshots
from backends.backups.published import as_json, from_json
from backends.backups.records import Records
from backends.backups.selecting import checked_selection
from backends.backups.site_files import tables_of
from backends.backups.tools import BackupTool
from backends.contract import Health, Page, Site, now
from backends.errors import BackendError, BadConfig, Invalid, NotFound
from backends.polling import LiveReader, Polled
from backends.text import amount, clean
from backends.threads import in_thread

FRESH = 60.0


class ToolBackend(Browsing, BackupPlans):
    """Jobs, snapshots, files, differences, runs, locks. Reads take no lock."""

    domain: ClassVar[str] = "backups"
    adapter: ClassVar[str]

    def __init__(self, name: str, options: Mapping[str, Any], site: Site, tool: BackupTool) -> None:
        Browsing.__init__(self)
        self.name = name
        self.tool = tool
        self._options = options
        notes = "; ".join(clean(str(note)) for note in options.get("notes") or ())
        self._left_out = f"not shown: {notes}" if notes else ""
        self.records = Records(site.store, name)
        self.poll_every = float(options.get("every") or 300.0)
        self._rpo = float(options["rpo"]) if options.get("rpo") else None
        self._deadline = float(options.get("deadline") or 30.0)
        self._scan = float(options.get("scan_deadline") or 900.0)
        self.poll_deadline = self._scan + SLACK
        self._expected = tuple(str(job) for job in options.get("expect") or ())
        self._declared: list[BackupJob] = [*configured_jobs(options.get("jobs") or {}, name), *(options.get("known_jobs") or ())]
        self._live: LiveReader | None = None
        self._known: tuple[float, list[Snapshot]] | None = None
        self._looked = False
        self._by_full_id: dict[str, Snapshot] = {}
        """What was asked for in this process: a snapshot of one id never changes."""
        self._names = ArchiveNames(Path(site.data) / "backups" / name / "archives.json" if site.data else None)
        self._tell: Callable[[ToolEvent], None] | None = None
        self._stop: threading.Event | None = None

    def use_live(self, reader: LiveReader) -> None:
        """Jobs come from what the collector published."""
        self._live = reader

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """The program is there and new enough; the repository is asked by the first list."""
        await in_thread(20.0, self.tool.open)

    async def refuse(self, option: str) -> None:
        """Say why the file of another tool that the option names gives no repository. Always raises BadConfig, or MissingTool."""
        file = str(self._options[option])
        if not self._options.get("problem"):
            await in_thread(10.0, tables_of, self.adapter, {option: file})
        raise BadConfig(clean(str(self._options.get("problem") or "")) or f"names no repository: {file}", hint="Correct that file, or name the repository in [backups.NAME] itself.")

    async def health(self) -> Health:
        """By what the collector found; the tool is not called for it."""
        row = self._live.get("backups", self.name, "repository") if self._live is not None else None
        if row is not None and row.state == "stale":
            return Health("down", row.error)
        if row is not None and row.value.get("alarm"):
            return Health("down", str(row.value["alarm"]))
        if self._left_out:
            return Health("warn", self._left_out)
        return Health("ok", f"{self.tool.name} {self.tool.capabilities.words}, {self.tool.location()}")

    async def close(self) -> None:
        """Nothing stays open."""
        with contextlib.suppress(BackendError):
            await in_thread(5.0, self.tool.close)

    def forget_cached(self) -> None:
        """What is known of the repository is asked anew."""
        self._known = None

    # -- snapshots --------------------------------------------------------------------------------------

    async def poll(self) -> list[Polled]:
        """The list of snapshots, for the collector; once a day the repository's own id and size."""
        self.forget_cached()
        listed = await self.all_snapshots()
        alarm, size = await in_thread(self._scan + SLACK, self._measure)
        metrics = {"snapshots": float(len(listed)), **({"size": float(size)} if size is not None else {})}
        return [Polled("repository", {"snapshots": [as_json(one) for one in listed], "alarm": alarm}, metrics)]

    def _measure(self) -> tuple[str, int | None]:
        state = self.records.state()
        if not self.records.due_for_measuring():
            return str(state.get("alarm") or ""), None
        ident = self.tool.repository_id()
        known = str(state.get("repository") or ident)
        alarm = "" if known == ident else f"another repository is at this place: {ident[:10]}, it was {known[:10]}"
        size = self.tool.size()
        self.records.measured(size)
        self.records.note(repository=known, alarm=alarm)
        return alarm, size

    def _listed(self) -> list[Snapshot]:
        return self._with_holds([replace(one, backend=self.name) for one in self._asked()])

    def _asked(self) -> list[Snapshot]:
        found = self.tool.snapshots()
        self._names.keep({one.id: one.name for one in found if one.name})
        return found

    def _with_holds(self, listed: Sequence[Snapshot]) -> list[Snapshot]:
        holds = self.records.holds()
        return [replace(one, hold=holds.get(one.uid) or ("marked as held in the repository" if self.tool.is_marked(one) else "")) for one in listed]

    async def all_snapshots(self) -> list[Snapshot]:
        """From the repository, at most a minute old."""
        if self._known is not None and time.monotonic() - self._known[0] < FRESH:
            return self._known[1]
        listed = await in_thread(self._deadline + SLACK, self._listed)
        self._known = (time.monotonic(), listed)
        return listed

    async def look(self) -> None:
        """Ask the repository itself; from then on lists are as it is now, not as the collector saw it. Its errors."""
        await self.all_snapshots()
        self._looked = True

    async def published(self) -> tuple[list[Snapshot], str, datetime]:
        """(snapshots, why they are old, when they were read): what the collector published, else asked now."""
        if self._looked:
            return await self.all_snapshots(), "", now()
        row = self._live.get("backups", self.name, "repository") if self._live is not None else None
        if row is None or "snapshots" not in row.value:
            return await self.all_snapshots(), "", now()
        old = time.time() - row.at > 3 * self.poll_every
        why = row.error if row.state == "stale" else "the collector is silent" if old else ""
        listed = [from_json(item) for item in row.value["snapshots"]]
        return await in_thread(self._deadline, self._with_holds, listed), why, datetime.fromtimestamp(row.at, UTC)

    async def snapshots(self, query: SnapshotQuery, offset: int = 0, limit: int = 100) -> Page[Snapshot]:
        """Of one job, or all."""
        listed, stale, _ = await self.published()
        if query.job:
            runs = await in_thread(self._deadline, self.records.runs)
            listed = [one for one in listed if not one.readable or self._job_of(one, runs) == query.job]
        return page_of_snapshots(listed, query, offset, limit, f"stale: {stale}" if stale else "")

    async def snapshot(self, id: str) -> Snapshot:
        """By full or short id; also by the id it had before it was marked as held."""
        good = re.fullmatch(r"[0-9a-f]{4,64}", id)
        found = [one for one in (await self.published())[0] if one.id.startswith(id)] if good else []
        if not found and good:
            listed = await self.all_snapshots()
            found = [one for one in listed if one.id.startswith(id)] or [one for one in listed if len(one.uid) == 64 and one.uid.startswith(id)]
        if not found:
            raise NotFound(f"snapshot {clean(id)}")
        if len(found) > 1:
            raise Invalid(f"{id} could be {', '.join(one.short_id for one in found[:5])}", hint="Give more of the id.")
        return found[0]

    # -- jobs, runs, repositories -----------------------------------------------------------------------

    async def jobs(self) -> Sequence[BackupJob]:
        """From the configuration."""
        return self._declared

    async def backups(self, query: BackupQuery, offset: int = 0, limit: int = 100) -> Page[BackupRow]:
        """Each job that left a snapshot, is configured or is expected."""
        listed, stale, at = await self.published()
        damaged = sum(not one.readable for one in listed)
        note = f"{amount(damaged, 'snapshot')} can't be read" if damaged else ""
        runs = await in_thread(self._deadline, self.records.runs)
        return page_of_jobs(self._rows(listed, runs, stale, at), query, offset, limit, note)

    def _rows(self, listed: Sequence[Snapshot], runs: Sequence[BackupRun], stale: str, at: datetime) -> list[BackupRow]:
        jobs: dict[str, list[Snapshot]] = {self.tool.job_id(job): [] for job in self._declared}
        for one in listed:
            if one.readable:
                jobs.setdefault(self._job_of(one, runs), []).append(one)
        for expected in self._expected:
            if not any(expected in (job, *(f"{found[0].host}:{path}" for path in found[0].paths)) for job, found in jobs.items() if found):
                jobs.setdefault(expected, [])
        return [self._row(job, found, runs, stale, at) for job, found in jobs.items()]

    def _job_of(self, one: Snapshot, runs: Sequence[BackupRun]) -> str:
        """By what was noted when it was started here, by the configuration (a source may have been missing), by the tool's own rule."""
        noted = next((run.job for run in runs if run.snapshot == one.id), "")
        own = self.tool.job_of(one)
        if noted or not self._declared or any(self.tool.job_id(job) == own for job in self._declared):
            return noted or own
        return next((self.tool.job_id(job) for job in self._declared if self.tool.covers(job, one)), own)

    def _row(self, job: str, found: Sequence[Snapshot], runs: Sequence[BackupRun], stale: str, at: datetime) -> BackupRow:
        declared = next((one for one in self._declared if self.tool.job_id(one) == job), None)
        newest = found[0] if found else None
        rpo = declared.rpo if declared is not None and declared.rpo else self._rpo
        last = next((run for run in runs if run.job == job and run.result != "cancelled"), None)
        partial = last.text if last is not None and newest is not None and last.result == "partial" and last.snapshot == newest.id else ""
        failed = last is not None and last.result == "failed" and (newest is None or last.started > newest.time)
        word, text = of_snapshots(found, rpo, now(), partial, last.text if failed and last is not None else "")
        if stale and word in (Protection.OK, Protection.DUE):
            word, text = Protection.UNKNOWN, f"could not look: {stale}"
        noted = next((run.size for run in runs if newest is not None and run.snapshot == newest.id), None)
        size = newest.size if newest is not None and newest.size is not None else noted
        host = newest.host if newest else declared.host if declared else job.partition(":")[0]
        return BackupRow(
            self.name, job, self.tool.job_name(job, newest), self.tool.location(), self.tool.name, word, newest.time if newest else None, rpo,
            len(found), size, host, text, at, stale, declared.schedule if declared else "",
        )  # fmt: skip

    async def runs(self, query: RunQuery, offset: int = 0, limit: int = 100) -> Page[BackupRun]:
        """A run for each snapshot, joined with what was noted when it was started here."""
        listed, stale, _ = await self.published()
        own = await in_thread(self._deadline, self.records.runs)
        noted = {run.snapshot: run for run in own if run.snapshot}
        runs = [noted.get(one.id) or self._seen(one) for one in listed if one.readable]
        there = {one.id for one in listed}
        runs += [run for run in own if run.snapshot not in there]
        runs = [run for run in runs if query.job in ("", run.job) and not (query.faults and run.result == "ok")]
        runs.sort(key=lambda run: run.started, reverse=True)
        return Page(tuple(runs[offset : offset + limit]), offset, len(runs), f"stale: {stale}" if stale else "")

    def _seen(self, one: Snapshot) -> BackupRun:
        ended = datetime.fromtimestamp(one.time.timestamp() + one.duration, UTC) if one.duration is not None else None
        return BackupRun(self.name, self._job_of(one, ()), one.id, one.time, ended, "ok", one.files, one.size, one.added, "it left a snapshot")

    async def repositories(self) -> Sequence[Repository]:
        """This one; what is wrong with it in words."""
        tool, version = self.tool, self.tool.capabilities.words
        try:
            listed, stale, _ = await self.published()
            state = await in_thread(self._deadline, self.records.state)
            growth = await in_thread(self._deadline, self.records.growth)
        except BackendError as error:
            return [Repository(self.name, self.name, tool.name, tool.location(), version, False, error.sentence(), missing=tool.capabilities.missing)]
        checked = datetime.fromisoformat(state["checked"]) if state.get("checked") else None
        text = str(state.get("alarm") or "") or stale or self._left_out
        return [Repository(
            self.name, self.name, tool.name, tool.location(), version, not stale, text, growth[-1][1] if growth else None, len(listed), growth,
            str(state.get("repository") or ""), tool.capabilities.missing, checked, str(state.get("check_text") or ""),
        )]  # fmt: skip

    async def locks(self) -> Sequence[Lock]:
        """Those there are now."""
        return await in_thread(self._deadline + SLACK, self.tool.locks)

    async def versions(self, path: bytes, job: str = "") -> Sequence[Found]:
        """The file in each snapshot, newest first."""
        chosen = [one for one in await self.all_snapshots() if one.readable and job in ("", self._job_of(one, ()))]
        return await in_thread(self._scan + SLACK, self.tool.versions, path, chosen)

    # -- extraction: blocking, see `extraction` ---------------------------------------------------------

    def _by_id(self, id: str) -> Snapshot:
        """By its full id, without a call of the tool where that is enough for it. NotFound at the latest from the tool itself."""
        found = self._by_full_id.get(id) or self.tool.by_id(id, self._names.get(id))
        if found is None:
            found = next((one for one in self._asked() if id and one.id == id), None)
        if found is None:
            raise NotFound(f"snapshot {clean(id)}", hint="Give its full id.")
        self._by_full_id[id] = found
        return found

    def extract(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        """As the contract says."""
        checked_selection(selection)
        return self.tool.extract(self._by_id(snapshot), selection, into, tell, stop)

    def can_go_on(self) -> bool:
        """As `GoesOn` says."""
        return self.tool.can_go_on()

    def go_on(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        """As `GoesOn` says."""
        return self.tool.extract(self._by_id(snapshot), selection, into, tell, stop, again=True)

    def entries(self, snapshot: str, selection: Sequence[bytes]) -> Iterator[Entry]:
        """As the contract says."""
        checked_selection(selection)
        return self.tool.entries(self._by_id(snapshot), selection)

    def content_hash(self, snapshot: str, path: bytes) -> bytes:
        """As the contract says."""
        return self.tool.content_hash(self._by_id(snapshot), path)

    def content_hashes(
        self, snapshot: str, selection: Sequence[bytes], stop: threading.Event, known: Iterable[Known] | None = None,
        heard: Heard | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
        """As the contract says."""
        checked_selection(selection)
        return self.tool.content_hashes(self._by_id(snapshot), selection, stop, known, heard)

    def extract_capabilities(self) -> ExtractCapabilities:
        """As the contract says."""
        return self.tool.extract_capabilities()


_KEEPS: tuple[type[ExtractsFiles], type[HashesFiles]] = (ToolBackend, ToolBackend)
"""The type checker holds it to both contracts: at run time only the names of methods are looked at."""
