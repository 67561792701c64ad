"""`Restic`: a restic repository, read only. One repository is one [backups.NAME] table. Never imports textual."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from backends.backups import restic_json
from backends.backups.listing import page_of_jobs, page_of_snapshots
from backends.backups.model import BackupQuery, BackupRow, Diff, Entry, Found, Protection, Repository, Snapshot, SnapshotQuery
from backends.backups.protection import protection
from backends.backups.restic_tree import UNKNOWN, tree_entries
from backends.backups.tool import Ran, find_program, run_program
from backends.contract import Health, Page, Site, now
from backends.errors import AuthFailed, BackendError, Damaged, Invalid, NotFound, Unreachable
from backends.options import Option
from backends.polling import LiveReader, Polled
from backends.secret import Secret
from backends.text import clean
from backends.threads import in_thread

FRESH = 60.0
DIRECTORIES = 200
OLDEST = (0, 14)


class Restic:
    """Jobs (a host with its paths), snapshots, files, differences. Reads take no lock."""

    domain: ClassVar[str] = "backups"
    adapter: ClassVar[str] = "restic"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("repository", "text", "where it is, as restic takes it; without a password in it", required=True),
        Option("password", "secret", "how to get its password", required=True),
        Option("rpo", "duration", "how old the newest backup may be", default="26h"),
        Option("program", "text", "the restic program", default="restic"),
        Option("every", "duration", "how often the collector looks", default="5m"),
        Option("deadline", "duration", "how long a call may take", default="30s"),
        Option("expect", "list", 'jobs that must be there ("host:/path"), though they never ran', default=()),
    )

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self.poll_every = float(options.get("every") or 300.0)
        self._repository = str(options["repository"])
        self._password: Secret = options["password"]
        self._rpo = float(options["rpo"]) if options.get("rpo") else None
        self._program = str(options.get("program") or "restic")
        self._deadline = float(options.get("deadline") or 30.0)
        self.poll_deadline = self._deadline + 10
        self._expected = tuple(str(job) for job in options.get("expect") or ())
        self._cache = f"{site.data}/backups/{name}/cache" if site.data else ""
        self._live: LiveReader | None = None
        self._known: tuple[float, list[Snapshot]] | None = None
        self._directories: OrderedDict[tuple[str, bytes], list[Entry]] = OrderedDict()
        self._version: tuple[int, int] | None = None

    def use_live(self, reader: LiveReader) -> None:
        """Jobs come from what the collector published."""
        self._live = reader

    # -- the program ------------------------------------------------------------------------------------

    async def _run(self, *words: str | bytes) -> Ran:
        program = find_program(self._program)
        environment = {
            "RESTIC_REPOSITORY": self._repository,
            "RESTIC_PROGRESS_FPS": "1",
            **({"RESTIC_CACHE_DIR": self._cache} if self._cache else {}),
        }
        ran = await in_thread(self._deadline + 8, run_program, [program, *words], self._password, environment, self._deadline)
        if ran.code not in (0, 3):
            raise self._failure(ran)
        return ran

    def _failure(self, ran: Ran) -> BackendError:
        said = " ".join(ran.errors)
        where = self.location()
        if ran.code == 12 or "wrong password" in said:
            return AuthFailed(f"the password does not open {where}", hint="Check what the password option refers to.")
        if (
            ran.code == 10
            or "Is there a repository at" in said
            or "repository does not exist" in said
            or "unable to open config file" in said
        ):
            return NotFound(f"there is no restic repository at {where}", hint="Check the address; `restic init` makes a new one.")
        if any(
            word in said
            for word in ("connection refused", "no such host", "timed out", "unexpected EOF", "retrying after", "ssh:", "dial ")
        ):
            return Unreachable(f"{where}: {ran.said()}")
        if "no matching ID found" in said or "ambiguous" in said or "not found" in said:
            return NotFound(ran.said())
        if any(word in said for word in ("ciphertext verification failed", "invalid data returned", "load", "damaged", "corrupt")):
            return Damaged(f"{where}: {ran.said()}", hint="Run `restic check` on it before anything else.")
        return BackendError(f"{where}: {ran.said()}", title="restic failed", hint="Run the same by hand to see more.")

    def location(self) -> str:
        """The address without what looks like a password."""
        return clean(re.sub(r"(://[^/:@\s]+):[^@\s]+@", r"\1:***@", self._repository))

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """The program is there and new enough; the repository is asked by the first list."""
        program = find_program(self._program)
        ran = await in_thread(15.0, run_program, [program, "version"], None, {}, 10.0)
        found = re.match(rb"restic (\d+)\.(\d+)", ran.out)
        if not found:
            raise BackendError(
                f"{self._program} does not say its version", title="Not restic", hint='Name the program with program = "/path/to/restic".'
            )
        self._version = (int(found.group(1)), int(found.group(2)))
        if self._version < OLDEST:
            raise BackendError(
                f"restic {self._version[0]}.{self._version[1]} is too old, 0.14 is needed", title="Too old", hint="Install a newer restic."
            )

    async def health(self) -> Health:
        """By the worst job the collector found; the tool is not called for it."""
        row = self._live.get("backups", self.name, "repository") if self._live is not None else None
        if row is not None and row.state == "stale":
            return Health("down", row.error)
        return Health("ok", f"restic {'.'.join(map(str, self._version or ()))}, {self.location()}")

    async def close(self) -> None:
        """Nothing stays open."""

    # -- reading ----------------------------------------------------------------------------------------

    async def poll(self) -> list[Polled]:
        """The list of snapshots, for the collector."""
        self._known = None
        listed = await self._snapshots()
        items = [
            [
                s.id,
                s.time.timestamp(),
                s.host,
                s.user,
                list(s.paths),
                list(s.tags),
                s.files,
                s.size,
                s.added,
                s.duration,
                s.readable,
                s.note,
            ]
            for s in listed
        ]
        return [Polled("repository", {"snapshots": items}, {"snapshots": float(len(items))})]

    async def _snapshots(self) -> list[Snapshot]:
        if self._known is not None and time.monotonic() - self._known[0] < FRESH:
            return self._known[1]
        ran = await self._run("snapshots", "--json", "--no-lock")
        listed = [*restic_json.snapshots(ran.out, self.name), *restic_json.unreadable(ran.errors, self.name)]
        self._known = (time.monotonic(), listed)
        return listed

    async def _published(self) -> tuple[list[Snapshot], str, datetime]:
        """(snapshots, why they are old, when they were read): what the collector published, else asked now."""
        row = self._live.get("backups", self.name, "repository") if self._live is not None else None
        if row is None or "snapshots" not in row.value:
            return await self._snapshots(), "", now()
        old = time.time() - row.at > 3 * self.poll_every
        why = row.error if row.state == "stale" else "the collector is silent" if old else ""
        return [_published(self.name, item) for item in row.value["snapshots"]], why, datetime.fromtimestamp(row.at, UTC)

    async def backups(self, query: BackupQuery, offset: int = 0, limit: int = 100) -> Page[BackupRow]:
        """A job is a host with its paths."""
        listed, stale, at = await self._published()
        damaged = sum(not snapshot.readable for snapshot in listed)
        note = f"{damaged} snapshots can't be read" if damaged else ""
        return page_of_jobs(self._jobs(listed, stale, at), query, offset, limit, note)

    def _jobs(self, listed: list[Snapshot], stale: str, at: datetime) -> list[BackupRow]:
        jobs: dict[str, list[Snapshot]] = {}
        for snapshot in listed:
            if snapshot.readable:
                jobs.setdefault(_job(snapshot), []).append(snapshot)
        for expected in self._expected:
            if not any(expected in (f"{snapshots[0].host}:{path}" for path in snapshots[0].paths) for snapshots in jobs.values()):
                jobs.setdefault(expected, [])
        return [self._row(job, snapshots, stale, at) for job, snapshots in jobs.items()]

    def _row(self, job: str, snapshots: list[Snapshot], stale: str, at: datetime) -> BackupRow:
        word, text = protection([s.time for s in snapshots], [s.size for s in snapshots], self._rpo, now())
        newest = snapshots[0] if snapshots else None
        host = newest.host if newest else job.partition(":")[0]
        name = f"{host} {' '.join(newest.paths)}" if newest else job.replace(":", " ", 1)
        return BackupRow(
            self.name, job, name, self.location(), "restic", word if not stale or word is not Protection.OK else Protection.UNKNOWN,
            newest.time if newest else None, self._rpo, len(snapshots), newest.size if newest else None, host, text, at, stale,
        )  # fmt: skip

    async def repositories(self) -> Sequence[Repository]:
        """This one; what is wrong with it in words."""
        version = ".".join(map(str, self._version or ()))
        try:
            listed, stale, _ = await self._published()
        except BackendError as error:
            return [Repository(self.name, self.name, "restic", self.location(), version, False, error.sentence())]
        return [Repository(self.name, self.name, "restic", self.location(), version, not stale, stale, None, len(listed))]

    async def snapshots(self, query: SnapshotQuery, offset: int = 0, limit: int = 100) -> Page[Snapshot]:
        """Of one job, or all."""
        listed, stale, _ = await self._published()
        if query.job:
            listed = [snapshot for snapshot in listed if not snapshot.readable or _job(snapshot) == query.job]
        return page_of_snapshots(listed, query, offset, limit, f"stale: {stale}" if stale else "")

    async def snapshot(self, id: str) -> Snapshot:
        """By full or short id."""
        found = (
            [snapshot for snapshot in (await self._published())[0] if snapshot.id.startswith(id)]
            if re.fullmatch(r"[0-9a-f]{4,64}", id)
            else []
        )
        if not found:
            raise NotFound(f"snapshot {clean(id)}")
        if len(found) > 1:
            raise Invalid(f"{id} could be {', '.join(snapshot.short_id for snapshot in found[:5])}", hint="Give more of the id.")
        return found[0]

    async def files(self, snapshot: str, path: bytes = b"/") -> Sequence[Entry]:
        """One call of the tool a directory, kept."""
        full = (await self.snapshot(snapshot)).id
        key = (full, path.rstrip(b"/") or b"/")
        if key in self._directories:
            self._directories.move_to_end(key)
            return self._directories[key]
        listed = await self._listed(full, key[1])
        self._directories[key] = listed
        while len(self._directories) > DIRECTORIES:
            self._directories.popitem(last=False)
        return listed

    async def _listed(self, full: str, path: bytes) -> list[Entry]:
        if not _is_text(path):
            return await self._exact(full, path)
        ran = await self._run("ls", "--json", "--no-lock", full, "--", path)
        listed = restic_json.entries(ran.out, path)
        if any(UNKNOWN in entry.path for entry in listed):
            return await self._exact(full, path)
        if not listed and path != b"/" and not any("node" in (item.get("struct_type"), item.get("message_type")) for item in restic_json.objects(ran.out)):
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
        return listed

    async def _exact(self, full: str, path: bytes) -> list[Entry]:
        async def read(*words: str) -> bytes:
            return (await self._run(words[0], "--no-lock", *words[1:])).out

        return await tree_entries(read, full, path)

    async def find(self, pattern: str, snapshot: str = "") -> Sequence[Found]:
        """A shell pattern through one or all snapshots."""
        words = ["find", "--json", "--no-lock", *(["--snapshot", (await self.snapshot(snapshot)).id] if snapshot else []), "--", pattern]
        return restic_json.found_files((await self._run(*words)).out)

    async def diff(self, old: str, new: str) -> Diff:
        """From the older to the newer."""
        first, second = await self.snapshot(old), await self.snapshot(new)
        words = ["diff", "--no-lock", *(["--json"] if (self._version or OLDEST) >= (0, 15) else []), first.id, second.id]
        return restic_json.diff((await self._run(*words)).out)


def _is_text(path: bytes) -> bool:
    try:
        return "\ufffd" not in path.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _job(snapshot: Snapshot) -> str:
    return f"{snapshot.host}:{','.join(sorted(snapshot.paths))}"


def _published(backend: str, item: Sequence[Any]) -> Snapshot:
    ident, at, host, user, paths, tags, files, size, added, duration, readable, note = item
    return Snapshot(
        backend,
        ident,
        ident[:8],
        datetime.fromtimestamp(at, UTC),
        host,
        user,
        tuple(paths),
        tuple(tags),
        files,
        size,
        added,
        duration,
        readable,
        note,
    )
