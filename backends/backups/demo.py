"""`DemoBackups`: a county's nightly backups that do not exist, from a seed and the clock: nights pass, some fail. Never imports textual."""

from __future__ import annotations

import fnmatch
import hashlib
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from backends.backups.listing import page_of_jobs, page_of_snapshots
from backends.backups.model import BackupQuery, BackupRow, Diff, Difference, Entry, Found, Protection, Repository, Snapshot, SnapshotQuery
from backends.backups.protection import protection
from backends.contract import Health, Page, Site, now
from backends.errors import NotFound
from backends.options import Option

JOBS = (
    ("fs01", "/srv/share"), ("fs01", "/srv/home"), ("mail01", "/var/vmail"), ("sql01", "/var/backups/sql"), ("gis01", "/srv/gis"), ("web01", "/var/www"),
    ("dc01", "/var/lib/directory"), ("dc02", "/var/lib/directory"), ("app01", "/opt/permits"), ("app01", "/opt/payroll"), ("print01", "/etc"),
    ("school-fs", "/srv/students"), ("school-fs", "/srv/staff"), ("cad01", "/opt/dispatch"), ("backup01", "/etc"), ("library01", "/srv/catalog"),
    ("court01", "/srv/calendar"), ("tax01", "/srv/taxroll"), ("recorder01", "/srv/deeds"), ("phone01", "/etc/asterisk"), ("cam01", "/srv/video-index"),
    ("fleet01", "/opt/fleet"), ("water01", "/opt/scada-config"), ("airport01", "/srv/ops"), ("health01", "/srv/clinic"), ("rec01", "/srv/bookings"),
    ("museum01", "/srv/archive"), ("fire01", "/srv/reports"), ("jail01", "/srv/rosters"), ("dev01", "/srv/test"),
)  # fmt: skip
NIGHTS = 90
RPO = 26 * 3600.0
_DEPARTMENTS = ("Assessor", "Clerk", "Finance", "Health", "Library", "Public Works", "Sheriff", "Treasurer")
_WORDS = ("budget", "minutes", "agenda", "contract", "inventory", "roster", "permit", "invoice", "report", "plan", "map", "letter")
_ENDS = (".docx", ".xlsx", ".pdf", ".csv", ".png", ".txt")


def _draw(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


class DemoBackups:
    """The backups domain without a repository. File trees are drawn by hash when they are looked at."""

    domain: ClassVar[str] = "backups"
    adapter: ClassVar[str] = "demo"
    OPTIONS: ClassVar[tuple[Option, ...]] = (Option("seed", "int", "the same seed makes the same history", default=7),)

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self._seed = int(options.get("seed") or 7)
        self._kept: tuple[datetime, dict[str, list[Snapshot]]] | None = None

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
        return self._kept[1]

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
            hole = _draw(self._seed, host, path, night.date()) % 100 < 2
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
        for snapshots in self._history().values():
            for snapshot in snapshots:
                if len(id) >= 4 and snapshot.id.startswith(id):
                    return snapshot
        raise NotFound(f"snapshot {id}")

    # -- files ------------------------------------------------------------------------------------------

    async def files(self, snapshot: str, path: bytes = b"/") -> Sequence[Entry]:
        """Drawn by hash: the same path holds the same files, some change from night to night."""
        found = await self.snapshot(snapshot)
        return self._list(found, path.rstrip(b"/") or b"/")

    def _list(self, snapshot: Snapshot, path: bytes) -> list[Entry]:
        root = snapshot.paths[0].encode()
        if path != root and root.startswith(path.rstrip(b"/") + b"/"):
            name = root[len(path.rstrip(b"/")) + 1 :].split(b"/")[0]
            return [self._entry(snapshot, path.rstrip(b"/") + b"/" + name, True)]
        depth = path.count(b"/") - root.count(b"/")
        if not (path == root or path.startswith(root + b"/")) or depth > 3:
            raise NotFound(f"{path.decode('utf-8', 'replace')} is not in the snapshot")
        draw = _draw(self._seed, path)
        folders = (
            list(_DEPARTMENTS)
            if depth == 0
            else [str(2022 + n) for n in range(5)]
            if depth == 1
            else [word if word.endswith("s") else word.removesuffix("y") + "ies" if word.endswith("y") else word + "s" for word in _WORDS[: draw % 6]]
            if depth == 2
            else []
        )
        inside = path + b"/"
        entries = [self._entry(snapshot, inside + folder.encode(), True) for folder in folders]
        for number in range(draw % 14 + (3 if depth > 1 else 0)):
            word = _WORDS[_draw(path, number) % len(_WORDS)]
            born = _draw(path, number, "born") % (NIGHTS * 2)
            if (now() - snapshot.time).days < born:
                file = f"{word}-{_draw(path, number) % 900 + 100}{_ENDS[_draw(path, number, 'end') % len(_ENDS)]}"
                entries.append(self._entry(snapshot, inside + file.encode(), False))
        return sorted(entries, key=lambda entry: (entry.kind != "dir", entry.name))

    def _version(self, path: bytes, snapshot: Snapshot) -> int:
        """A file changes every few nights."""
        pace = _draw(path, "pace") % 60 + 2
        return (snapshot.time.toordinal() + _draw(path)) // pace

    def _entry(self, snapshot: Snapshot, path: bytes, folder: bool) -> Entry:
        draw = _draw(path, self._version(path, snapshot))
        pace = _draw(path, "pace") % 60 + 2
        days = draw % 30 if folder else (snapshot.time.toordinal() + _draw(path)) % pace
        changed = snapshot.time - timedelta(days=days, minutes=draw % 700)
        return Entry(
            path,
            path.rsplit(b"/", 1)[-1].decode(),
            "dir" if folder else "file",
            0 if folder else int(10 ** (2.5 + draw % 400 / 100)),
            0o750 if folder else 0o640,
            "share",
            "staff",
            changed,
        )

    def _walk(self, snapshot: Snapshot, path: bytes) -> list[Entry]:
        out: list[Entry] = []
        for entry in self._list(snapshot, path):
            out.append(entry)
            if entry.kind == "dir":
                out += self._walk(snapshot, entry.path)
        return out

    async def find(self, pattern: str, snapshot: str = "") -> Sequence[Found]:
        """In one snapshot, or in the newest of each job."""
        chosen = [await self.snapshot(snapshot)] if snapshot else [snapshots[0] for snapshots in self._history().values() if snapshots]
        return [
            Found(one.id, entry)
            for one in chosen
            for entry in self._walk(one, one.paths[0].encode())
            if fnmatch.fnmatch(entry.name, pattern)
        ][:500]

    async def diff(self, old: str, new: str) -> Diff:
        """By path and version."""
        first, second = await self.snapshot(old), await self.snapshot(new)
        before = {entry.path: entry for entry in self._walk(first, first.paths[0].encode()) if entry.kind == "file"}
        after = {entry.path: entry for entry in self._walk(second, second.paths[0].encode()) if entry.kind == "file"}
        items = [Difference(path, "+") for path in sorted(after.keys() - before.keys())] + [
            Difference(path, "-") for path in sorted(before.keys() - after.keys())
        ]
        changed = [path for path in sorted(after.keys() & before.keys()) if after[path].size != before[path].size]
        items += [Difference(path, "M") for path in changed]
        return Diff(tuple(items), len(after.keys() - before.keys()), len(before.keys() - after.keys()), len(changed),
                    sum(after[path].size for path in after.keys() - before.keys()), sum(before[path].size for path in before.keys() - after.keys()))  # fmt: skip
