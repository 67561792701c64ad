"""What restic prints, as records: tolerant of all versions from 0.14 on, never of a lie. Pure: bytes in, records out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from backends.backups.model import Diff, Difference, Entry, EntryKind, Found, Snapshot
from backends.errors import Damaged
from backends.text import clean, plain

DIFF_LIMIT = 20_000
_UNREADABLE = re.compile(r"(?:Ignoring \"?|could not load snapshot \"?|failed to load snapshot \"?)([0-9a-f]{8,64})")


def moment(text: Any) -> datetime | None:
    """RFC 3339 with up to nine decimals, as Go writes it."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", str(text))
    if not found:
        return None
    micro = (found.group(2) or "0")[:6].ljust(6, "0")
    zone = "+00:00" if found.group(3) == "Z" else found.group(3)
    return datetime.fromisoformat(f"{found.group(1)}.{micro}{zone}").astimezone(UTC)


def objects(raw: bytes) -> Iterator[dict[str, Any]]:
    """JSON objects, a line each; lines that are none are passed over."""
    for line in raw.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def snapshots(raw: bytes, backend: str) -> list[Snapshot]:
    """`snapshots --json`, newest first. Damaged for anything that is not an array of snapshots."""
    try:
        items = json.loads(raw or b"null")
    except ValueError:
        items = None
    if not isinstance(items, list):
        raise Damaged(f"restic's list of snapshots is not JSON: {plain(raw[:80])!r}", hint="Run `restic snapshots` by hand and look.")
    found = [snapshot for snapshot in (_snapshot(item, backend) for item in items if isinstance(item, dict)) if snapshot is not None]
    return sorted(found, key=lambda snapshot: (snapshot.time, snapshot.id), reverse=True)


def _snapshot(item: dict[str, Any], backend: str) -> Snapshot | None:
    at, ident = moment(item.get("time")), str(item.get("id", ""))
    if at is None or not re.fullmatch(r"[0-9a-f]{8,64}", ident):
        return None
    raw = item.get("summary")
    summary: dict[str, Any] = raw if isinstance(raw, dict) else {}
    started, ended = moment(summary.get("backup_start")), moment(summary.get("backup_end"))
    return Snapshot(
        backend, ident, ident[:8], at, clean(str(item.get("hostname", ""))), clean(str(item.get("username", ""))),
        tuple(clean(str(path)) for path in item.get("paths") or ()), tuple(clean(str(tag)) for tag in item.get("tags") or ()),
        _number(summary.get("total_files_processed")), _number(summary.get("total_bytes_processed")), _number(summary.get("data_added")),
        (ended - started).total_seconds() if started and ended else None,
    )  # fmt: skip


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def unreadable(errors: tuple[str, ...], backend: str) -> list[Snapshot]:
    """Damaged snapshots: restic leaves them out with exit code 0, only standard error names them."""
    idents = dict.fromkeys(match.group(1) for line in errors for match in _UNREADABLE.finditer(line))
    return [
        Snapshot(backend, ident, ident[:8], datetime.fromtimestamp(0, UTC), "", readable=False, note="UNREADABLE: its record is damaged")
        for ident in idents
    ]


_KINDS: dict[str, EntryKind] = {"dir": "dir", "file": "file", "symlink": "link"}


def entries(raw: bytes, path: bytes) -> list[Entry]:
    """Direct children from `ls --json SNAP PATH`; the directory itself is left out. Directories first, then by name."""
    found = [_entry(item) for item in objects(raw) if item.get("struct_type") == "node" or item.get("message_type") == "node"]
    inside = path.rstrip(b"/") + b"/"
    children = [entry for entry in found if entry.path.startswith(inside) and b"/" not in entry.path[len(inside) :]]
    return sorted(children, key=lambda entry: (entry.kind != "dir", entry.name.casefold(), entry.path))


def _entry(item: dict[str, Any]) -> Entry:
    return entry_of(item, str(item.get("path", "")).encode("utf-8", "surrogateescape"))


def entry_of(item: Mapping[str, Any], raw: bytes) -> Entry:
    """A node of the tool's JSON as an entry; `raw` is its exact path."""
    mode = int(item.get("mode") or 0)
    special = (0o4000 if mode & 1 << 23 else 0) | (0o2000 if mode & 1 << 22 else 0) | (0o1000 if mode & 1 << 20 else 0)
    return Entry(
        raw, clean(str(item.get("name", "")) or raw.rsplit(b"/", 1)[-1].decode("utf-8", "replace")), _KINDS.get(str(item.get("type")), "other"),
        int(item.get("size") or 0), mode & 0o777 | special, clean(str(item.get("user") or item.get("uid", ""))),
        clean(str(item.get("group") or item.get("gid", ""))), moment(item.get("mtime")), clean(str(item.get("linktarget", ""))),
    )  # fmt: skip


def found_files(raw: bytes) -> list[Found]:
    """`find --json`: an array of {matches, snapshot}."""
    try:
        groups = json.loads(raw or b"[]")
    except ValueError:
        raise Damaged("restic's answer to find is not JSON") from None
    return [Found(str(group.get("snapshot", "")), _entry(match)) for group in groups or () for match in group.get("matches") or ()]


def diff(raw: bytes) -> Diff:
    """`diff --json` (0.15 on) or its text (0.14)."""
    items: list[Difference] = []
    counts = {"+": 0, "-": 0, "M": 0}
    added = removed = 0
    truncated = False
    for line in raw.splitlines():
        mark, path, statistics = _diff_line(line)
        if statistics is not None:
            added, removed = _bytes(statistics, "added"), _bytes(statistics, "removed")
        elif mark:
            key = mark[:1] if mark[:1] in "+-" else "M"
            counts[key] += 1
            if len(items) < DIFF_LIMIT:
                items.append(Difference(path, mark))
            else:
                truncated = True
    return Diff(tuple(items), counts["+"], counts["-"], counts["M"], added, removed, truncated)


def _bytes(statistics: dict[str, Any], side: str) -> int:
    part = statistics.get(side)
    return int(part.get("bytes") or 0) if isinstance(part, dict) else 0


def _diff_line(line: bytes) -> tuple[str, bytes, dict[str, Any] | None]:
    if line.startswith(b"{"):
        try:
            item = json.loads(line)
        except ValueError:
            return "", b"", None
        if item.get("message_type") == "statistics":
            return "", b"", item
        return str(item.get("modifier", "")), str(item.get("path", "")).encode("utf-8", "surrogateescape"), None
    match = re.fullmatch(rb"([+\-MTUC?]+) +(/.*)", line)
    return (match.group(1).decode(), match.group(2), None) if match else ("", b"", None)
