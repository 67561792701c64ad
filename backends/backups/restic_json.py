"""What restic prints, as records: tolerant of all versions from 0.14 on, never of a lie. Pure: bytes in, records out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from backends.backups.listing import in_order
from backends.backups.model import Diff, Difference, Entry, EntryKind, Lock, Snapshot
from backends.backups.stale import staleness
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


def nanoseconds(text: Any) -> int | None:
    """The same since 1970, exact, also for years that a datetime does not hold."""
    found = re.fullmatch(r"(\d{4})(-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)", str(text))
    if not found:
        return None
    zone = "+00:00" if found.group(4) == "Z" else found.group(4)
    try:
        at = datetime.fromisoformat(f"{found.group(1)}{found.group(2)}{zone}")
    except ValueError:
        return None
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**9 + int((found.group(3) or "0")[:9].ljust(9, "0"))


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WRITTEN = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)").fullmatch


def times(text: Any) -> tuple[datetime | None, int | None]:
    """`moment` and `nanoseconds` of the same text, read once: a directory may have 20,000."""
    found = _WRITTEN(text) if isinstance(text, str) else None
    if found is None:
        return moment(text), nanoseconds(text)
    whole, part, zone = found.groups("")
    try:
        at = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
        since, nano = at - _EPOCH, int(part.ljust(9, "0")) if part else 0
        return _EPOCH + timedelta(since.days, since.seconds, nano // 1000), (since.days * 86400 + since.seconds) * 10**9 + nano
    except (ValueError, OverflowError):
        return None, None


def one(raw: bytes) -> dict[str, Any]:
    """A JSON object. Damaged for anything else."""
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Damaged(f"restic printed what is no JSON object: {plain(raw[:80])!r}", hint="Run the same by hand and look.")
    return found


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
        (ended - started).total_seconds() if started and ended else None, uid=clean(str(item.get("original") or ident)),
    )  # fmt: skip


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def unreadable(errors: tuple[str, ...], backend: str) -> list[Snapshot]:
    """Damaged snapshots: restic leaves them out with exit code 0, only standard error names them."""
    named = dict.fromkeys(match.group(1) for line in errors for match in _UNREADABLE.finditer(line))
    idents = [ident for ident in named if not any(other != ident and other.startswith(ident) for other in named)]
    return [
        Snapshot(backend, ident, ident[:8], datetime.fromtimestamp(0, UTC), "", readable=False, note="UNREADABLE: its record is damaged")
        for ident in idents
    ]


_KINDS: dict[str, EntryKind] = {"dir": "dir", "file": "file", "symlink": "link"}


def directories(lines: Iterable[bytes], paths: Sequence[bytes]) -> dict[bytes, list[Entry]]:
    """Direct children of each of `paths` from the lines of `ls --json SNAP PATH ...`. One that is not there is not in the answer."""
    asked = dict.fromkeys(b"/" + path.strip(b"/") for path in paths)
    children: dict[bytes, dict[bytes, Entry]] = {path: {} for path in asked}
    there = {b"/"}
    for line in lines:
        item = one(line) if line.strip() else {}
        if item.get("struct_type") != "node" and item.get("message_type") != "node":
            continue
        path = str(item.get("path", "")).encode("utf-8", "surrogateescape")
        if item.get("type") == "dir" and path in asked:
            there.add(path)
        held = children.get(path.rpartition(b"/")[0] or b"/")
        if held is not None and path not in held:
            held[path] = entry_of(item, path)
    there.update(path for path, held in children.items() if held)
    found = {path: in_order(children[path].values()) for path in asked if path in there}
    return {path: found[b"/" + path.strip(b"/")] for path in paths if b"/" + path.strip(b"/") in found}


def renamed(entry: Entry, path: bytes) -> Entry:
    """The entry under its exact path."""
    return entry if entry.path == path else replace(entry, path=path)


_SPECIAL: dict[str, Literal["fifo", "chardev", "blockdev", "socket"]] = {
    "fifo": "fifo", "chardev": "chardev", "dev": "blockdev", "blockdev": "blockdev", "socket": "socket",
}  # fmt: skip


def entry_of(item: Mapping[str, Any], raw: bytes) -> Entry:
    """A node of the tool's JSON as an entry; `raw` is its exact path."""
    get = item.get
    mode, kind, name = int(get("mode") or 0), str(get("type")), get("name")
    bits = (0o4000 if mode & 1 << 23 else 0) | (0o2000 if mode & 1 << 22 else 0) | (0o1000 if mode & 1 << 20 else 0)
    linked = kind != "dir" and get("inode") and int(get("links") or 0) > 1
    modified, mtime = times(get("mtime"))
    return Entry(
        raw, clean(str(name) if name else raw.rsplit(b"/", 1)[-1].decode("utf-8", "replace")), _KINDS.get(kind, "other"),
        int(get("size") or 0), mode & 0o777 | bits, clean(str(get("user") or get("uid", ""))), clean(str(get("group") or get("gid", ""))), modified,
        clean(str(get("linktarget", ""))) if kind == "symlink" else "", _number(get("uid")), _number(get("gid")), mtime,
        _link(item) if kind == "symlink" else None, _SPECIAL.get(kind, ""), f"{get('device_id', 0)}:{item['inode']}" if linked else "",
    )  # fmt: skip


def _link(item: Mapping[str, Any]) -> bytes:
    """`linktarget_raw` (base64) is there where the target is no UTF-8, from 0.16 on."""
    raw = item.get("linktarget_raw")
    try:
        return base64.b64decode(raw) if isinstance(raw, str) else str(item.get("linktarget", "")).encode("utf-8", "surrogateescape")
    except ValueError:
        return str(item.get("linktarget", "")).encode()


def diff(lines: Iterable[bytes]) -> Diff:
    """`diff --json` (0.15 on) or its text (0.14)."""
    items: list[Difference] = []
    counts = {"+": 0, "-": 0, "M": 0}
    added = removed = 0
    truncated = False
    for line in lines:
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


def lock(ident: str, item: Mapping[str, Any], here: str) -> Lock:
    """`cat lock`, with the proof that it is stale, or why it is not."""
    host, since = clean(str(item.get("hostname", ""))), moment(item.get("time"))
    pid = _number(item.get("pid")) or 0
    stale, proof = staleness(host, here, pid, since, datetime.now(UTC))
    return Lock(ident, bool(item.get("exclusive")), host, clean(str(item.get("username", ""))), pid, since, stale, proof)
