"""`deskside backups ...`: what is protected, in plain text. Reading only."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from backends.backups.model import BackupQuery, Entry, Snapshot, SnapshotQuery
from backends.errors import BackendError, NotFound
from backends.text import clean
from console.ages import age
from console.cli import restores
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk
from console.sizes import size


def add_verbs(verbs: Any) -> None:
    """list, repositories, snapshots, files, find, diff."""
    listing = read_options(verbs.add_parser("list", help="jobs with their last success against the RPO"))
    listing.add_argument("--text", default="")
    listing.add_argument("--faults", action="store_true")
    listing.set_defaults(run=list_backups)
    read_options(verbs.add_parser("repositories", help="where backups are kept")).set_defaults(run=repositories)
    snaps = read_options(verbs.add_parser("snapshots", help="the newest first"))
    for name in ("job", "host", "text", "backend"):
        snaps.add_argument(f"--{name}", default="")
    snaps.add_argument("--limit", type=int, default=50)
    snaps.set_defaults(run=snapshots)
    files_ = read_options(verbs.add_parser("files", help="a directory of a snapshot"))
    files_.add_argument("snapshot")
    files_.add_argument("path", nargs="?", default="/")
    files_.set_defaults(run=files)
    find_ = read_options(verbs.add_parser("find", help="a name through the snapshots"))
    find_.add_argument("pattern")
    find_.add_argument("--snapshot", default="")
    find_.set_defaults(run=find)
    diff_ = read_options(verbs.add_parser("diff", help="what changed between two snapshots"))
    diff_.add_argument("old")
    diff_.add_argument("new")
    diff_.set_defaults(run=diff)
    restores.add_verbs(verbs)


async def list_backups(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """All backends together; one that fails is said, the others are shown (exit code 3)."""
    rows: list[dict[str, Any]] = []
    code = 0
    for place in desk.backends("backups"):
        try:
            backend = await desk.backend("backups", place.name)
            page = await backend.backups(BackupQuery(args.text, faults=args.faults), 0, 1000)
        except BackendError as error:
            out.warn(f"{place.name}: {error.sentence()}")
            code = error.exit_code if len(desk.backends("backups")) == 1 else 3
            continue
        if page.note:
            out.warn(f"{place.name}: {page.note}")
        rows += [
            {**dataclasses.asdict(row), "protection": str(row.protection), "age": age(row.last_success), "shown": size(row.size)}
            for row in page.items
        ]
    columns = (
        ("protection", "STATE"),
        ("age", "LAST"),
        ("name", "JOB"),
        ("snapshots", "KEPT"),
        ("shown", "SIZE"),
        ("stale", "STALE"),
        ("text", "WHY"),
    )
    out.rows("backups", columns, rows)
    return code


async def repositories(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Reachable or not."""
    rows: list[dict[str, Any]] = []
    for place in desk.backends("backups"):
        try:
            rows += [dataclasses.asdict(item) for item in await (await desk.backend("backups", place.name)).repositories()]
        except BackendError as error:
            rows.append(
                {"id": place.name, "name": place.name, "tool": place.adapter, "location": "", "reachable": False, "text": error.sentence()}
            )
    out.rows(
        "repositories",
        (
            ("name", "NAME"),
            ("tool", "TOOL"),
            ("location", "WHERE"),
            ("reachable", "REACHABLE"),
            ("snapshots", "SNAPSHOTS"),
            ("text", "FOUND"),
        ),
        rows,
    )
    return 0


def _item(snapshot: Snapshot) -> dict[str, Any]:
    return {**dataclasses.asdict(snapshot), "shown": size(snapshot.size)}


async def snapshots(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Of all backends, or one."""
    rows: list[dict[str, Any]] = []
    for place in desk.backends("backups"):
        if args.backend in ("", place.name):
            backend = await desk.backend("backups", place.name)
            rows += [
                _item(item) for item in (await backend.snapshots(SnapshotQuery(args.job, args.host, None, args.text), 0, args.limit)).items
            ]
    rows.sort(key=lambda row: row["time"], reverse=True)
    out.rows(
        "snapshots",
        (
            ("time", "TAKEN"),
            ("short_id", "SNAPSHOT"),
            ("backend", "WHERE"),
            ("host", "HOST"),
            ("paths", "PATHS"),
            ("shown", "SIZE"),
            ("note", "NOTE"),
        ),
        rows[: args.limit],
    )
    return 0


async def _with(desk: Desk, snapshot: str) -> Any:
    for place in desk.backends("backups"):
        backend = await desk.backend("backups", place.name)
        try:
            await backend.snapshot(snapshot)
        except NotFound:
            continue
        return backend
    raise NotFound(f"snapshot {clean(snapshot)}")


def _file(entry: Entry) -> dict[str, Any]:
    return {
        **dataclasses.asdict(entry),
        "path": clean(entry.path.decode("utf-8", "surrogateescape")),
        "path_hex": entry.path.hex(),
        "shown": size(entry.size),
    }


async def files(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Direct children."""
    backend = await _with(desk, args.snapshot)
    listed = await backend.files(args.snapshot, args.path.encode("utf-8", "surrogateescape"))
    out.rows(
        "files",
        (("kind", "KIND"), ("shown", "SIZE"), ("modified", "CHANGED"), ("user", "OWNER"), ("name", "NAME")),
        [_file(entry) for entry in listed],
    )
    return 0


async def find(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """0 when something was found, 5 when not."""
    rows: list[dict[str, Any]] = []
    for place in desk.backends("backups"):
        backend = await desk.backend("backups", place.name)
        rows += [{"snapshot": found.snapshot[:8], **_file(found.entry)} for found in await backend.find(args.pattern, args.snapshot)]
    out.rows("found", (("snapshot", "SNAPSHOT"), ("shown", "SIZE"), ("modified", "CHANGED"), ("path", "PATH")), rows)
    return 0 if rows else 5


async def diff(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """+ added, - removed, M changed, T type, U metadata."""
    backend = await _with(desk, args.old)
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
