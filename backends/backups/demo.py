"""`DemoBackups`: a county's nightly backups that do not exist, from a seed and the clock: nights pass, some fail. Never imports textual."""

from __future__ import annotations

import fnmatch
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

from backends.backups.demo_extract import DemoExtracts
from backends.backups.demo_files import NIGHTS, DemoTree, draw
from backends.backups.listing import page_of_jobs, page_of_snapshots
from backends.backups.model import (
    BackupQuery,
    BackupRow,
    BackupRun,
    Content,
    Diff,
    Difference,
    Entry,
    Found,
    Protection,
    Repository,
    RunQuery,
    Snapshot,
    SnapshotQuery,
)  # fmt: skip
from backends.backups.protection import protection
from backends.contract import Actor, Change, Health, Outcome, Page, Plan, Site, Step, now, plan_by_verb
from backends.errors import Invalid, NotFound
from backends.options import Option
from backends.text import clean

JOBS = (
    ("fs01", "/srv/share"), ("fs01", "/srv/home"), ("mail01", "/var/vmail"), ("sql01", "/var/backups/sql"), ("gis01", "/srv/gis"), ("web01", "/var/www"),
    ("dc01", "/var/lib/directory"), ("dc02", "/var/lib/directory"), ("app01", "/opt/permits"), ("app01", "/opt/payroll"), ("print01", "/etc"),
    ("school-fs", "/srv/students"), ("school-fs", "/srv/staff"), ("cad01", "/opt/dispatch"), ("backup01", "/etc"), ("library01", "/srv/catalog"),
    ("court01", "/srv/calendar"), ("tax01", "/srv/taxroll"), ("recorder01", "/srv/deeds"), ("phone01", "/etc/asterisk"), ("cam01", "/srv/video-index"),
    ("fleet01", "/opt/fleet"), ("water01", "/opt/scada-config"), ("airport01", "/srv/ops"), ("health01", "/srv/clinic"), ("rec01", "/srv/bookings"),
    ("museum01", "/srv/archive"), ("fire01", "/srv/reports"), ("jail01", "/srv/rosters"), ("dev01", "/srv/test"),
)  # fmt: skip
RPO = 26 * 3600.0


class DemoBackups(DemoExtracts):
    """The backups domain without a repository. File trees are drawn by hash when they are looked at, and can be restored as such."""

    domain: ClassVar[str] = "backups"
    adapter: ClassVar[str] = "demo"
    OPTIONS: ClassVar[tuple[Option, ...]] = (Option("seed", "int", "the same seed makes the same history", default=7),)

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self._seed = int(options.get("seed") or 7)
        self.tree = DemoTree(self._seed)
        self._kept: tuple[datetime, dict[str, list[Snapshot]]] | None = None
        self._holds: dict[str, str] = {}
        """Snapshot -> why it is held: kept as long as the console runs."""

    async def open(self) -> None:
        """Nothing to connect to."""

    async def health(self) -> Health:
        """Always there."""
        return Health("ok", f"{len(JOBS)} jobs that do not exist")

    async def close(self) -> None:
        """Nothing to let go of."""

    # -- history ----------------------------------------------------------------------------------------

    def _history(self) -> dict[str, list[Snapshot]]:
        """Job -> snapshots, newest first; made anew each hour."""
        hour = now().replace(minute=0, second=0, microsecond=0)
        if self._kept is None or self._kept[0] != hour:
            self._kept = (hour, {f"{host}:{path}": self._nights(place, host, path) for place, (host, path) in enumerate(JOBS)})
        return {job: [replace(one, hold=self._holds.get(one.id, "")) for one in listed] for job, listed in self._kept[1].items()} if self._holds else self._kept[1]

    def _nights(self, place: int, host: str, path: str) -> list[Snapshot]:
        if host == "dev01":
            return []
        moment = now()
        chance = random.Random(f"{self._seed}-{host}-{path}")
        size = int(10 ** chance.uniform(8.2, 12.3))
        files = max(20, size // chance.randrange(80_000, 900_000))
        out: list[Snapshot] = []
        for back in range(NIGHTS):
            night = (moment - timedelta(days=back)).replace(hour=1, minute=0, second=0, microsecond=0) + timedelta(minutes=place * 7 % 240)
            late = host == "museum01" and back < 3
            hole = draw(self._seed, host, path, night.date()) % 100 < 2
            if night > moment or late or hole:
                continue
            ident = hashlib.sha256(f"{self._seed}{host}{path}{night:%Y%m%d}".encode()).hexdigest()
            shrink = 0.2 if host == "rec01" and not out else 1.0
            now_size = int(size * shrink * (1 - back * 0.0012))
            partial = "PARTIAL: 12 files could not be read" if host == "school-fs" and path.endswith("staff") and not out else ""
            out.append(
                Snapshot(
                    self.name,
                    ident,
                    ident[:8],
                    night,
                    host,
                    "root",
                    (path,),
                    ("nightly",),
                    int(files * shrink),
                    now_size,
                    now_size // 300,
                    60 + now_size / 9e7,
                    True,
                    partial,
                )
            )
        return out

    def _row(self, job: str, snapshots: list[Snapshot]) -> BackupRow:
        host, _, path = job.partition(":")
        word, text = protection([snapshot.time for snapshot in snapshots], [snapshot.size for snapshot in snapshots], RPO, now())
        newest = snapshots[0] if snapshots else None
        if newest and newest.note.startswith("PARTIAL") and word in (Protection.OK, Protection.DUE):
            word, text = Protection.PARTIAL, newest.note.removeprefix("PARTIAL: ")
        if host == "jail01":
            word, text = Protection.FAILED, "last night failed: the repository was full"
        return BackupRow(self.name, job, f"{host} {path}", "sftp:backup@vault:/srv/restic", "demo", word, newest.time if newest else None, RPO,
                         len(snapshots), newest.size if newest else None, host, text, now(), "")  # fmt: skip

    async def backups(self, query: BackupQuery, offset: int = 0, limit: int = 100) -> Page[BackupRow]:
        """Thirty jobs."""
        return page_of_jobs([self._row(job, snapshots) for job, snapshots in self._history().items()], query, offset, limit)

    async def repositories(self) -> Sequence[Repository]:
        """One."""
        total = sum(len(snapshots) for snapshots in self._history().values())
        return [Repository(self.name, self.name, "demo", "sftp:backup@vault:/srv/restic", "", True, "", None, total)]

    async def snapshots(self, query: SnapshotQuery, offset: int = 0, limit: int = 100) -> Page[Snapshot]:
        """Newest first."""
        history = self._history()
        listed = (
            history.get(query.job, [])
            if query.job
            else sorted((s for found in history.values() for s in found), key=lambda s: s.time, reverse=True)
        )
        return page_of_snapshots(listed, query, offset, limit)

    async def snapshot(self, id: str) -> Snapshot:
        """By full or short id."""
        return self.by_id(id)

    def by_id(self, id: str) -> Snapshot:
        """The same, for those that block."""
        for snapshots in self._history().values():
            for snapshot in snapshots:
                if len(id) >= 4 and snapshot.id.startswith(id):
                    return snapshot
        raise NotFound(f"snapshot {clean(id)}")

    # -- files ------------------------------------------------------------------------------------------

    async def files(self, snapshot: str, path: bytes = b"/") -> Sequence[Entry]:
        """Drawn by hash: the same path holds the same files, some change from night to night."""
        found = await self.snapshot(snapshot)
        return self.tree.children(found, path.rstrip(b"/") or b"/")

    async def find(self, pattern: str, snapshot: str = "") -> Sequence[Found]:
        """In one snapshot, or in the newest of each job."""
        chosen = [await self.snapshot(snapshot)] if snapshot else [snapshots[0] for snapshots in self._history().values() if snapshots]
        return [
            Found(one.id, entry)
            for one in chosen
            for entry in self.tree.walk(one, one.paths[0].encode())
            if fnmatch.fnmatch(entry.name, pattern)
        ][:500]

    async def versions(self, path: bytes, job: str = "") -> Sequence[Found]:
        """One file through the nights, newest first."""
        chosen = [one for name, listed in self._history().items() if job in ("", name) for one in listed if self.tree.inside(one, path)]
        found = ((one, self.tree.entry_of(one, path)) for one in sorted(chosen, key=lambda one: one.time, reverse=True))
        return [Found(one.id, entry) for one, entry in found if entry is not None and entry.kind == "file"]

    async def read(self, snapshot: str, path: bytes, limit: int = 65536) -> Content:
        """Its beginning, as a restore would bring it back."""
        entry = self.file_of(snapshot, path)
        data = b""
        for block in self.tree.content(entry):
            data += block
            if len(data) >= limit:
                break
        return Content(data[:limit], entry.size > limit)

    async def runs(self, query: RunQuery, offset: int = 0, limit: int = 100) -> Page[BackupRun]:
        """A run a snapshot, and the night that failed."""
        found: list[BackupRun] = []
        for job, listed in self._history().items():
            if query.job not in ("", job):
                continue
            if job.startswith("jail01") and listed:
                failed = min(max(one.time for one in listed) + timedelta(minutes=12), now() - timedelta(minutes=1))
                found.append(BackupRun(self.name, job, "", failed, failed + timedelta(seconds=41), "failed", text="the repository was full", errors=("write /srv/restic/data: no space left on device",), error_count=1))
            for one in listed:
                text = one.note.removeprefix("PARTIAL: ")
                found.append(BackupRun(self.name, job, one.id, one.time, one.time + timedelta(seconds=one.duration or 0), "partial" if text else "ok", one.files, one.size, one.added, text))
        found = sorted((run for run in found if not query.faults or run.result != "ok"), key=lambda run: run.started, reverse=True)
        return Page(tuple(found[offset : offset + limit]), len(found))

    async def diff(self, old: str, new: str) -> Diff:
        """By path and version."""
        first, second = await self.snapshot(old), await self.snapshot(new)
        before = {entry.path: entry for entry in self.tree.walk(first, first.paths[0].encode()) if entry.kind == "file"}
        after = {entry.path: entry for entry in self.tree.walk(second, second.paths[0].encode()) if entry.kind == "file"}
        items = [Difference(path, "+") for path in sorted(after.keys() - before.keys())] + [
            Difference(path, "-") for path in sorted(before.keys() - after.keys())
        ]
        changed = [path for path in sorted(after.keys() & before.keys()) if after[path].size != before[path].size]
        items += [Difference(path, "M") for path in changed]
        return Diff(tuple(items), len(after.keys() - before.keys()), len(before.keys() - after.keys()), len(changed),
                    sum(after[path].size for path in after.keys() - before.keys()), sum(before[path].size for path in before.keys() - after.keys()))  # fmt: skip

    # -- holds ------------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """By the verb; the demo knows holds."""
        return await plan_by_verb(self, change, actor)

    async def plan_hold(self, change: Change, actor: Actor) -> Plan:
        """Kept as long as the console runs."""
        one, reason = await self.snapshot(change.target), clean(str(change.values.get("reason") or "")).strip()
        if not reason:
            raise Invalid(fields={"reason": "say why it must stay"})
        back = Change("backups", self.name, "unhold", one.id)
        return Plan(change, f"Hold {one.short_id} of {one.time:%Y-%m-%d %H:%M} UTC", (Step("hold", one.hold or "none", reason),), ("the demo forgets it when it ends",), 1,
                    inverse=back, expected={"hold": reason})  # fmt: skip

    async def plan_unhold(self, change: Change, actor: Actor) -> Plan:
        """A policy may let it go again."""
        one = await self.snapshot(change.target)
        if not one.hold:
            raise Invalid(f"{one.short_id} is not held")
        back = Change("backups", self.name, "hold", one.id, values={"reason": one.hold})
        return Plan(change, f"Release {one.short_id} of {one.time:%Y-%m-%d %H:%M} UTC", (Step("hold", one.hold, "none"),), (), 2, inverse=back, expected={"hold": ""}, confirm_word=one.short_id)

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Only what was planned."""
        self._holds[plan.change.target] = str(plan.expected["hold"])
        return Outcome("done", "", plan.change.target)

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """As it is listed."""
        one = await self.snapshot(outcome.target)
        return {"hold": one.hold}, one
