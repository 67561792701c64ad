"""`BorgReads`: archives, files, names, differences and content of a borg repository. Reads wait for no lock. Never imports an adapter."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from backends.backups import borg_json
from backends.backups.borg_json import HELD, Item, series
from backends.backups.borg_program import BorgProgram
from backends.backups.index import Failure, Index, Indexes, build
from backends.backups.listing import in_order
from backends.backups.model import BackupJob, Content, Diff, Difference, Entry, Found, Glimpse, Lock, Snapshot, Tally
from backends.backups.passing_items import passing_items
from backends.backups.process import Command
from backends.backups.scratch import passing_folder
from backends.backups.stale import staleness
from backends.errors import BackendError, Busy, Damaged, Invalid, NoSpace, NotFound, Unsupported
from backends.text import clean

DIFF_LIMIT = 20_000
READ = "--bypass-lock"
PROBED = 40
"""Archives that are asked for one by one when they can't be asked for together."""


def archive_word(snapshot: Snapshot) -> str:
    """The archive as an argument; braces would be placeholders."""
    return "::" + snapshot.name.replace("{", "{{").replace("}", "}}")


def pattern(path: bytes) -> bytes:
    """A path as borg's pattern for itself and what is below it. Its kind is always said: "re:x" is a path too."""
    return b"pp:" + path.lstrip(b"/")


class BorgReads(BorgProgram):
    """What is only looked at."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._indexes = Indexes()
        self._details: dict[str, Snapshot] = {}
        self._repository = ""

    def close(self) -> None:
        """The indexes go."""
        self._indexes.close()

    def repository_id(self) -> str:
        """As `list` says it."""
        if not self._repository:
            self.snapshots()
        return self._repository

    # -- archives ---------------------------------------------------------------------------------------

    def snapshots(self) -> list[Snapshot]:
        """All that the manifest names; an archive whose own record can't be read is listed as unreadable."""
        ran = self.run("list", READ, "--json", "::", warnings=True)
        self._repository = str((borg_json.document(ran.out).get("repository") or {}).get("id", ""))
        listed = borg_json.archives(ran.out)
        unknown = [one for one in listed if one.id not in self._details]
        if unknown:
            self._learn(listed, unknown)
        return [self._details.get(one.id, one) for one in listed]

    def _learn(self, listed: Sequence[Snapshot], unknown: Sequence[Snapshot]) -> None:
        """Hosts, sizes and sources of new archives: archives never change, so each is asked for once."""
        last = max(listed.index(one) for one in unknown) + 1
        by_id = {one.id: one for one in unknown}
        try:
            ran = self.run("info", READ, "--json", "--last", str(last), "::", deadline=self.scan_deadline, warnings=True)
            for item in borg_json.document(ran.out).get("archives") or ():
                one = by_id.get(str(item.get("id")))
                if one is not None:
                    self._details[one.id] = borg_json.detailed(one, item)
        except BackendError as error:
            if not isinstance(error, Damaged | NotFound):
                raise
            self._probe(unknown[:PROBED])

    def _probe(self, unknown: Sequence[Snapshot]) -> None:
        from dataclasses import replace

        for one in unknown:
            try:
                ran = self.run("info", READ, "--json", archive_word(one), warnings=True)
                for item in borg_json.document(ran.out).get("archives") or ():
                    self._details[one.id] = borg_json.detailed(one, item)
            except BackendError as error:
                self._details[one.id] = replace(one, readable=False, note=f"UNREADABLE: {error.text[:200]}")

    def job_of(self, snapshot: Snapshot) -> str:
        """What its name has before the date."""
        return clean(series(snapshot.name))

    def job_id(self, job: BackupJob) -> str:
        """The same of its archive's name."""
        return clean(series(self.archive_name(job).split("{now")[0].rstrip("-_.@: ") or job.name))

    def archive_name(self, job: BackupJob) -> str:
        """With {hostname} filled in, {now} left for borg."""
        template = job.archive or "{hostname}-" + job.name + "-{now:%Y-%m-%dT%H:%M:%S}"
        return template.replace("{hostname}", job.host or platform.node())

    def covers(self, job: BackupJob, snapshot: Snapshot) -> bool:
        """By its name alone."""
        return self.job_of(snapshot) == self.job_id(job)

    def job_name(self, job: str, newest: Snapshot | None) -> str:
        """The series, with its sources."""
        return f"{job} {' '.join(newest.paths)}" if newest and newest.paths else job

    def is_marked(self, snapshot: Snapshot) -> bool:
        """By its name."""
        return snapshot.name.startswith(HELD)

    # -- files ------------------------------------------------------------------------------------------

    def items(self, snapshot: Snapshot) -> Iterator[Item]:
        """All of an archive in one pass, exact: `list` prints "?" for each byte that is no UTF-8."""
        with self._item_files(snapshot) as (command, folder):
            yield from borg_json.items(passing_items(command, folder, self._no_items(folder), self.scan_deadline))

    @contextlib.contextmanager
    def _item_files(self, snapshot: Snapshot) -> Iterator[tuple[Command, str]]:
        """(the call that writes the archive's items as they are kept, the folder it writes them into)."""
        with passing_folder("items") as folder:
            yield self.command("debug", "dump-archive-items", archive_word(snapshot), cwd=folder), folder

    def _no_items(self, folder: str) -> Failure:
        """How it fails: what it writes is only there."""

        def failure(code: int, errors: tuple[str, ...]) -> BackendError:
            found = self.failure(code, errors)
            if isinstance(found, NoSpace):
                return NoSpace(f"{os.path.dirname(folder)}: no room for the archive's list of files", hint="Free some space there, or set TMPDIR to a folder with more.")
            return found

        return failure

    def _fill(self, snapshot: Snapshot) -> Callable[[Index], None]:
        """One pass of borg into an index."""

        def fill(index: Index) -> None:
            with self._item_files(snapshot) as (command, folder):
                build(index, (command, "raw", folder), self._no_items(folder), self.scan_deadline)

        return fill

    def _fill_by_list(self, snapshot: Snapshot) -> Callable[[Index], None]:
        """The same by `list`, which reads past a lock, but neither contents nor names that are no UTF-8: Busy for such a name."""
        command = self.command("list", READ, "--json-lines", archive_word(snapshot))
        return lambda index: build(index, (command, "printed", ""), self.failure, self.scan_deadline)

    def exact_index(self, snapshot: Snapshot) -> Index:
        """The archive's index; the first look costs one pass. Busy while a backup runs."""
        return self._indexes.get(snapshot.id, self._fill(snapshot))

    def index(self, snapshot: Snapshot) -> Index:
        """To look at: good enough while somebody holds the lock."""
        try:
            return self.exact_index(snapshot)
        except Busy:
            return self._indexes.get(snapshot.id + "~", self._fill_by_list(snapshot))

    def glimpse(self, snapshot: Snapshot, path: bytes) -> Glimpse | None:
        """What is known of a directory yet, while the archive is read; the first call begins to read it."""
        for ident, fill in ((snapshot.id, self._fill), (snapshot.id + "~", self._fill_by_list)):
            index = self._indexes.reading(ident) or self._indexes.start(ident, fill(snapshot))
            if not isinstance(index.error, Busy):
                break
        whole = index.built.is_set()
        if whole and index.error is not None:
            self._indexes.forget(snapshot.id, snapshot.id + "~")  # said once; who asks again begins again
            raise index.error
        items = index.folder(b"/" + path.strip(b"/")) if index.error is None else None
        if whole and items is None:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the archive")
        return Glimpse(tuple(in_order([item.entry for item in items or ()])), index.count, whole)

    def directories(self, snapshot: Snapshot, paths: Sequence[bytes], stop: threading.Event | None = None, quick: bool = False) -> dict[bytes, list[Entry]]:
        """From the index."""
        index, found = self.index(snapshot), {}
        for path in paths:
            items = None if stop is not None and stop.is_set() else index.folder(b"/" + path.strip(b"/"))
            if items is not None:
                found[path] = in_order([item.entry for item in items])
        return found

    def folders(self, snapshot: Snapshot, path: bytes, stop: threading.Event) -> Iterator[tuple[bytes, list[Entry]]]:
        """Every directory at or below a path with its children, exact."""
        index = self.exact_index(snapshot)
        for below in index.paths(b"/" + path.strip(b"/")):
            if stop.is_set():
                return
            yield below, [item.entry for item in index.folder(below) or ()]

    def tally(self, snapshot: Snapshot, paths: Sequence[bytes], tell: Callable[[int], None], stop: threading.Event) -> dict[bytes, Tally]:
        """From the index; `tell` hears how many entries were read while there is none yet."""
        index = self._indexes.start(snapshot.id, self._fill(snapshot))
        while not index.built.wait(0.3) and not stop.is_set():
            tell(index.count)
        if stop.is_set():
            return {}
        index = self.index(snapshot)
        return {path: index.tally(b"/" + path.strip(b"/")) for path in paths}

    def entry(self, snapshot: Snapshot, path: bytes) -> Item:
        """One entry. NotFound."""
        path = b"/" + path.strip(b"/")
        found = Item(Entry(b"/", "/", "dir"), b"") if path == b"/" else self.index(snapshot).entry(path)
        if found is None:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the archive")
        return found

    def entries(self, snapshot: Snapshot, selection: Sequence[bytes]) -> Iterator[Entry]:
        """From a pass of its own: nothing is kept."""
        wanted = [b"/" + path.strip(b"/") for path in selection]
        if not wanted:
            raise Invalid("nothing is selected")
        insides = tuple(path.rstrip(b"/") + b"/" for path in wanted)
        missing = set(wanted)
        for item in self.items(snapshot):
            path = item.entry.path
            if path in missing or path.startswith(insides) or path in wanted:
                missing -= {one for one in missing if path == one or path.startswith(one.rstrip(b"/") + b"/")}
                yield item.entry
        if missing:
            raise NotFound(f"{clean(next(iter(missing)).decode('utf-8', 'replace'))} is not in the archive")

    def find(self, pattern: str, snapshots: Sequence[Snapshot], stop: threading.Event | None = None) -> Iterator[Found]:
        """Through the indexes."""
        for snapshot in snapshots:
            for entry in self.index(snapshot).find(pattern, stop):
                yield Found(snapshot.id, entry)

    def versions(self, path: bytes, snapshots: Sequence[Snapshot]) -> list[Found]:
        """Through the indexes."""
        path = b"/" + path.strip(b"/")
        found = [(one, self.index(one).entry(path)) for one in sorted(snapshots, key=lambda one: one.time, reverse=True)]
        return [Found(one.id, item.entry) for one, item in found if item is not None]

    def diff(self, old: Snapshot, new: Snapshot) -> Diff:
        """Of the two indexes, folder by folder: exact in bytes, contents by their chunks."""
        before, after = self.exact_index(old), self.exact_index(new)
        items: list[Difference] = []
        counts = {"+": 0, "-": 0, "M": 0}
        moved = {"+": 0, "-": 0}
        more = 0
        for path in _merged(before, after):
            first = {item.entry.path: item for item in before.folder(path) or ()}
            second = {item.entry.path: item for item in after.folder(path) or ()}
            for name in sorted(first.keys() | second.keys()):
                mark = _mark(first.get(name), second.get(name))
                if not mark:
                    continue
                counts[mark if mark in "+-" else "M"] += 1
                moved["+"] += second[name].entry.size if mark in "+M" and name in second else 0
                moved["-"] += first[name].entry.size if mark in "-M" and name in first else 0
                if len(items) < DIFF_LIMIT:
                    items.append(Difference(name, mark))
                else:
                    more += 1
        return Diff(tuple(items), counts["+"], counts["-"], counts["M"], moved["+"], moved["-"], more > 0)

    # -- content ----------------------------------------------------------------------------------------

    def read(self, snapshot: Snapshot, path: bytes, limit: int) -> Content:
        """The beginning; the rest is not fetched."""
        self._file(snapshot, path)
        ran = self.run("extract", READ, "--stdout", archive_word(snapshot), pattern(path), limit=limit, deadline=self.scan_deadline)
        return Content(ran.out, ran.cut)

    def _file(self, snapshot: Snapshot, path: bytes) -> None:
        found = self.entry(snapshot, path).entry
        if found.kind != "file":
            raise Invalid(f"{found.name} is no file", hint="Choose a file.")

    def content_hash(self, snapshot: Snapshot, path: bytes) -> bytes:
        """SHA-256 of what `extract --stdout` gives."""
        self._file(snapshot, path)
        digest = hashlib.sha256()
        for _, part in self.lines("extract", READ, "--stdout", archive_word(snapshot), pattern(path), separator=None):
            digest.update(part)
        return digest.digest()

    # -- the repository ---------------------------------------------------------------------------------

    def size(self) -> int:
        """Compressed and without duplicates, as borg's cache knows it."""
        ran = self.run("info", READ, "--json", "::", deadline=self.scan_deadline, warnings=True)
        stats = (borg_json.document(ran.out).get("cache") or {}).get("stats") or {}
        if not isinstance(stats.get("unique_csize"), int):
            raise Damaged("borg does not say how large its repository is")
        return int(stats["unique_csize"])

    def locks(self) -> list[Lock]:
        """What lies in the repository's folder; borg has no command for it."""
        if not self.local:
            raise Unsupported("locks", "whether it is locked is not known: borg shows locks only where the repository's folder can be looked at", hint="Look on the machine that has it.")
        found = []
        exclusive = os.path.join(self.local, "lock.exclusive")
        for name in _names(exclusive):
            host, _, process = name.rpartition(".")
            found.append(_lock(host, process.partition("-")[0], True, os.path.join(exclusive, name)))
        try:
            with open(os.path.join(self.local, "lock.roster"), encoding="utf-8") as file:
                roster = json.load(file)
        except (OSError, ValueError):
            roster = {}
        for host, pid, *_ in (roster.get("shared") or []) if isinstance(roster, dict) else []:
            found.append(_lock(str(host), str(pid), False, os.path.join(self.local, "lock.roster")))
        return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _lock(host: str, pid: str, exclusive: bool, path: str) -> Lock:
    """borg names a machine as name@number of its network card, and never refreshes a lock: only a dead process is proof."""
    here = f"{platform.node()}@{uuid.getnode()}"
    try:
        since = datetime.fromtimestamp(os.stat(path).st_mtime, UTC)
    except OSError:
        since = None
    number = int(pid) if pid.isdigit() else 0
    stale, proof = staleness(host, here, number, since, datetime.now(UTC), refreshed=False)
    return Lock(f"{'exclusive' if exclusive else 'shared'}-{clean(host).partition('@')[0]}-{number}", exclusive, clean(host.partition("@")[0]), "", number,
                since, stale, proof)  # fmt: skip


def _merged(before: Index, after: Index) -> list[bytes]:
    return sorted({path for index in (before, after) for path in index.paths()})


def _mark(old: Item | None, new: Item | None) -> str:
    if old is None or new is None:
        return "+" if old is None else "-"
    first, second = old.entry, new.entry
    if (first.kind, first.special) != (second.kind, second.special):
        return "T"
    if (first.kind == "file" and old.content != new.content) or first.link != second.link:
        return "M"
    same = all(getattr(first, name) == getattr(second, name) for name in ("mode", "uid", "gid", "user", "group", "mtime_ns"))
    return "" if same or (first.kind == "dir" and first.mode == second.mode and first.uid == second.uid and first.gid == second.gid) else "U"
