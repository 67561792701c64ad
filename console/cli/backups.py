"""`deskside backups ...`: what is protected, in plain text. What writes is in `backup_work`."""

from __future__ import annotations

import argparse
import dataclasses
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from backends.backups.contract import ComparesLive, FindsVersions, ListsRuns, ManagesLocks, ReadsFiles, RunsBackups
from backends.backups.model import BackupQuery, Entry, LiveDifference, RunQuery, Snapshot, SnapshotQuery
from backends.errors import BackendError, Invalid, Unsupported
from backends.text import clean, size
from console.ages import last
from console.cli import restores
from console.cli.backup_choice import can, with_snapshot
from console.cli.backup_work import add_work
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk


def add_verbs(verbs: Any) -> None:
    """What is looked at, then what changes something."""

    def reading(name: str, text: str, run: Any, *words: str) -> argparse.ArgumentParser:
        parser = read_options(verbs.add_parser(name, help=text))
        for word in words:
            parser.add_argument(word)
        parser.set_defaults(run=run)
        return parser

    listing = reading("list", "jobs with their last success against the RPO", list_backups)
    listing.add_argument("--text", default="")
    listing.add_argument("--faults", action="store_true")
    reading("repositories", "where backups are kept, with growth and checks", repositories)
    reading("jobs", "what is configured to be backed up", jobs)
    runs_ = reading("runs", "what ran, the newest first", runs)
    runs_.add_argument("--faults", action="store_true")
    for parser in (runs_, reading("snapshots", "the newest first", snapshots)):
        for name in ("job", "host", "text", "backend"):
            parser.add_argument(f"--{name}", default="")
        parser.add_argument("--limit", type=int, default=50)
    reading("files", "a directory of a snapshot", files, "snapshot").add_argument("path", nargs="?", default="/")
    reading("find", "a name through the snapshots", find, "pattern").add_argument("--snapshot", default="")
    reading("versions", "one file through the snapshots", versions, "path").add_argument("--job", default="")
    show_ = reading("cat", "the beginning of a file", cat, "snapshot", "path")
    show_.add_argument("--limit", type=int, default=65536, help="bytes")
    diff_ = reading("diff", "what changed between two snapshots, or from one to now", diff, "old")
    diff_.add_argument("new", nargs="?")
    diff_.add_argument("--live", metavar="PATH", help="against what is on this host now, below a path")
    reading("locks", "who holds a repository, and whether that is stale", locks)
    add_work(verbs)
    restores.add_verbs(verbs)


Ask = Callable[[Any], Awaitable[list[dict[str, Any]]]]


async def _of_all(desk: Desk, out: Output, ask: Ask, only: str = "") -> tuple[list[dict[str, Any]], int]:
    """(rows, exit code) of all repositories together: one that fails is said and stops no other (exit code 3)."""
    rows: list[dict[str, Any]] = []
    places = [place for place in desk.backends("backups") if only in ("", place.name)]
    if not places:
        desk.place("backups", only or None)
    failed: list[BackendError] = []
    for place in places:
        try:
            rows += await ask(await desk.backend("backups", place.name))
        except BackendError as error:
            failed.append(error)
            out.warn(f"{place.name}: {error.sentence()}")
    if not failed:
        return rows, 0
    return rows, failed[0].exit_code if len(failed) == len(places) else 3


async def _now(backend: Any, out: Output, read: Callable[[], Awaitable[Any]], old: list[str]) -> Any:
    """A page of the repository as it is. Where it can't be asked, what the collector saw last: that is said, and its name goes into `old`."""
    if not hasattr(backend, "look"):
        return await read()
    try:
        await backend.look()
    except BackendError as error:
        page = await read()
        out.warn(f"{backend.name}: {error.sentence()} What is shown of it was seen before that.")
        old.append(backend.name)
        return page
    return await read()


async def list_backups(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """All repositories together; one that fails is said, the others are shown (exit code 3)."""

    async def ask(backend: Any) -> list[dict[str, Any]]:
        page = await backend.backups(BackupQuery(args.text, faults=args.faults), 0, 1000)
        if page.note:
            out.warn(f"{backend.name}: {page.note}")
        return [
            {**dataclasses.asdict(row), "protection": str(row.protection), "age": last(row.last_success), "shown": size(row.size)}
            for row in page.items
        ]

    rows, code = await _of_all(desk, out, ask)
    columns = (
        ("protection", "STATE"),
        ("age", "LAST"),
        ("name", "JOB"),
        ("snapshots", "KEPT"),
        ("shown", "SIZE"),
        ("schedule", "RUNS"),
        ("stale", "STALE"),
        ("text", "WHY"),
    )
    out.rows("backups", columns, rows)
    return code


async def repositories(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Reachable or not: 3 when one is not."""
    rows: list[dict[str, Any]] = []
    for place in desk.backends("backups"):
        try:
            backend, old = await desk.backend("backups", place.name), list[str]()
            for item in await _now(backend, out, backend.repositories, old):
                item = dataclasses.replace(item, reachable=False, text=item.text or "does not answer now; seen before") if old else item
                rows.append({**dataclasses.asdict(item), "shown": size(item.size), "grew": _grew(item.growth), "check": item.check_text or "never checked from here"})
        except BackendError as error:
            rows.append({"id": place.name, "name": place.name, "tool": place.adapter, "location": "", "reachable": False, "text": error.sentence()})
    out.rows(
        "repositories",
        (
            ("name", "NAME"), ("tool", "TOOL"), ("version", "VERSION"), ("location", "WHERE"), ("reachable", "REACHABLE"), ("snapshots", "SNAPSHOTS"),
            ("shown", "SIZE"), ("grew", "GROWTH"), ("check", "CHECK"), ("text", "FOUND"),
        ),
        rows,
    )  # fmt: skip
    return 0 if all(row["reachable"] for row in rows) else 3


def _grew(points: Any) -> str:
    """In words, over what was measured."""
    if len(points) < 2:
        return ""
    (first, before), (last, after) = points[0], points[-1]
    days = max(1, round((last - first).total_seconds() / 86400))
    sign = "+" if after >= before else "-"
    return f"{sign}{size(abs(after - before))} in {days}d"


async def jobs(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """From our own configuration, and from the tools' that were named in it."""

    async def ask(backend: Any) -> list[dict[str, Any]]:
        found = await backend.jobs() if can(backend, RunsBackups) else ()
        return [{"backend": backend.name, **dataclasses.asdict(job)} for job in found]

    rows, code = await _of_all(desk, out, ask)
    columns = (("name", "JOB"), ("backend", "WHERE"), ("schedule", "RUNS"), ("paths", "PATHS"), ("keep", "KEEPS"), ("source", "FROM"), ("why_not", "NOTE"))
    out.rows("jobs", columns, rows)
    return code


async def runs(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """From the repositories, with what was noted here; 3 when one could not be asked."""
    old: list[str] = []

    async def ask(backend: Any) -> list[dict[str, Any]]:
        if not can(backend, ListsRuns):
            raise Unsupported("runs", f"{backend.name} does not list runs")
        page = await _now(backend, out, lambda: backend.runs(RunQuery(args.job, args.faults), 0, args.limit), old)
        return [{**dataclasses.asdict(run), "shown": size(run.added), "short": run.snapshot[:8]} for run in page.items]

    rows, code = await _of_all(desk, out, ask, args.backend)
    rows.sort(key=lambda row: row["started"], reverse=True)
    columns = (("started", "STARTED"), ("result", "RESULT"), ("backend", "WHERE"), ("job", "JOB"), ("short", "SNAPSHOT"), ("shown", "ADDED"), ("text", "NOTE"))
    out.rows("runs", columns, rows[: args.limit])
    return code or (3 if old else 0)


def _item(snapshot: Snapshot) -> dict[str, Any]:
    return {**dataclasses.asdict(snapshot), "shown": size(snapshot.size)}


async def snapshots(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Of all repositories, or one; one that fails is said, the others are shown (exit code 3)."""
    old: list[str] = []

    async def ask(backend: Any) -> list[dict[str, Any]]:
        page = await _now(backend, out, lambda: backend.snapshots(SnapshotQuery(args.job, args.host, None, args.text), 0, args.limit), old)
        return [_item(item) for item in page.items]

    rows, code = await _of_all(desk, out, ask, args.backend)
    rows.sort(key=lambda row: row["time"], reverse=True)
    out.rows(
        "snapshots",
        (
            ("time", "TAKEN"), ("short_id", "SNAPSHOT"), ("backend", "WHERE"), ("host", "HOST"), ("paths", "PATHS"), ("shown", "SIZE"),
            ("hold", "HELD"), ("note", "NOTE"),
        ),
        rows[: args.limit],
    )  # fmt: skip
    return code or (3 if old else 0)


def _file(entry: Entry) -> dict[str, Any]:
    return {
        **dataclasses.asdict(entry),
        "path": clean(entry.path.decode("utf-8", "surrogateescape")),
        "path_hex": entry.path.hex(),
        "shown": "" if entry.kind == "dir" else size(entry.size),
    }


async def files(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Direct children."""
    backend = await with_snapshot(desk, args.snapshot)
    listed = await backend.files(args.snapshot, args.path.encode("utf-8", "surrogateescape"))
    out.rows(
        "files",
        (("kind", "KIND"), ("shown", "SIZE"), ("modified", "CHANGED"), ("user", "OWNER"), ("name", "NAME")),
        [_file(entry) for entry in listed],
    )
    return 0


async def find(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """0 when something was found, 5 when not, 3 when a repository could not be asked."""
    chosen = (await with_snapshot(desk, args.snapshot)).name if args.snapshot else ""

    async def ask(backend: Any) -> list[dict[str, Any]]:
        return [{"snapshot": found.snapshot[:8], **_file(found.entry)} for found in await backend.find(args.pattern, args.snapshot)]

    rows, code = await _of_all(desk, out, ask, chosen)
    out.rows("found", (("snapshot", "SNAPSHOT"), ("shown", "SIZE"), ("modified", "CHANGED"), ("path", "PATH")), rows)
    return code or (0 if rows else 5)


async def versions(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """0 when a snapshot has it, 5 when none has."""

    async def ask(backend: Any) -> list[dict[str, Any]]:
        if not can(backend, FindsVersions):
            raise Unsupported("versions", f"{backend.name} can't look for versions")
        taken = {one.id: one.time for one in (await backend.snapshots(SnapshotQuery(), 0, 100_000)).items}
        found = await backend.versions(args.path.encode("utf-8", "surrogateescape"), args.job)
        return [{"snapshot": one.snapshot[:8], "taken": taken.get(one.snapshot), **_file(one.entry)} for one in found]

    rows, code = await _of_all(desk, out, ask)
    out.rows("versions", (("taken", "TAKEN"), ("snapshot", "SNAPSHOT"), ("shown", "SIZE"), ("modified", "CHANGED"), ("path", "PATH")), rows)
    return code or (0 if rows else 5)


async def cat(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Its text, cleaned; with --json its bytes in hexadecimal digits too."""
    backend = await with_snapshot(desk, args.snapshot)
    if not can(backend, ReadsFiles):
        raise Unsupported("read", f"{backend.name} can't show content")
    found = await backend.read(args.snapshot, args.path.encode("utf-8", "surrogateescape"), max(1, args.limit))
    if out.json:
        out.record("content", {"hex": found.data.hex(), "cut": found.cut, "text": clean(found.data.decode("utf-8", "replace"), one_line=False)})
        return 0
    out.say(found.data.decode("utf-8", "replace"))
    if found.cut:
        out.warn(f"cut after {size(len(found.data))}; --limit gives more")
    return 0


async def locks(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """With the proof of staleness, where there is one."""

    async def ask(backend: Any) -> list[dict[str, Any]]:
        if not can(backend, ManagesLocks):
            return []
        return [{"backend": backend.name, **dataclasses.asdict(lock), "short": lock.id[:12]} for lock in await backend.locks()]

    rows, code = await _of_all(desk, out, ask)
    columns = (("short", "LOCK"), ("backend", "WHERE"), ("host", "HOST"), ("user", "USER"), ("pid", "PROCESS"), ("since", "SINCE"), ("stale", "STALE"), ("proof", "WHY"))
    out.rows("locks", columns, rows)
    return code


async def diff(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """+ added, - removed, M changed, T type, U metadata."""
    if args.live is not None:
        return await diff_live(desk, args, out)
    if args.new is None:
        raise Invalid("one snapshot alone can't be compared", hint="Name a second one, or give --live PATH.")
    backend = await with_snapshot(desk, args.old)
    found = await backend.diff(args.old, args.new)
    rows = [{"mark": item.mark, "path": clean(item.path.decode("utf-8", "surrogateescape"))} for item in found.items]
    figures = {
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "bytes_added": found.bytes_added,
        "bytes_removed": found.bytes_removed,
    }
    out.rows("diff", (("mark", ""), ("path", "PATH")), rows, **figures)
    out.say(f"{found.added} added, {found.removed} removed, {found.changed} changed")
    return 0


async def diff_live(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """By name, in the order of the paths. 3 when something could not be looked at."""
    if args.new is not None:
        raise Invalid("two snapshots and --live don't go together", hint="Name one snapshot.")
    backend = await with_snapshot(desk, args.old)
    if not can(backend, ComparesLive):
        raise Unsupported("diff --live", f"{backend.name} can't compare with what is live")
    found: list[LiveDifference] = []
    count = await backend.compare_live(args.old, args.live.encode("utf-8", "surrogateescape"), found.append, threading.Event())
    rows = [
        {**dataclasses.asdict(one), "path": clean(one.path.decode("utf-8", "surrogateescape")), "path_hex": one.path.hex(), "then": size(one.size), "now": size(one.live_size)}
        for one in sorted(found, key=lambda one: one.path)
    ]
    columns = (("word", "WHAT"), ("kind", "KIND"), ("then", "THEN"), ("now", "NOW"), ("path", "PATH"))
    out.rows("live-diff", columns, rows, counts=dict(count.words), same=count.same)
    out.say(", ".join([*(f"{number} {word}" for word, number in sorted(count.words.items())), f"{count.same} the same"]))
    return 3 if count.words.get("unread") else 0
