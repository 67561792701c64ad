"""What borg prints, as records: archives, items with names exact in bytes, what a policy keeps. Pure: lines in, records out."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal, cast

from backends.backups import borg_rows
from backends.backups.attributes import of_borg
from backends.backups.model import Attributes, Entry, EntryKind, Snapshot
from backends.errors import Damaged
from backends.text import clean, plain

HELD = "held-"
Special = Literal["", "fifo", "chardev", "blockdev", "socket"]
_DATE = re.compile(r"[-_.@ ]*\d{4}-?\d\d-?\d\d.*$|[-_.@ ]*\d{8,}.*$")
_VALUED = {
    "-e", "--exclude", "--exclude-from", "--pattern", "--patterns-from", "--comment", "-C", "--compression", "--timestamp", "-c",
    "--checkpoint-interval", "--chunker-params", "--files-cache", "--stdin-name", "--stdin-user", "--stdin-group", "--stdin-mode", "--lock-wait",
    "--remote-path", "--rsh", "--umask", "--filter", "--upload-ratelimit", "--remote-ratelimit", "--exclude-if-present", "--debug-topic",
}  # fmt: skip


def document(raw: bytes) -> dict[str, Any]:
    """A JSON document. Damaged for anything else."""
    try:
        found = json.loads(raw)
    except ValueError:
        found = _among_others(raw)
    if not isinstance(found, dict):
        raise Damaged(f"borg printed what is no JSON object: {plain(raw[:80])!r}", hint="Run the same by hand and look.")
    return found


def _among_others(raw: bytes) -> Any:
    """The document among lines that are not borg's: it is indented, so only its own braces stand alone on a line."""
    lines = raw.split(b"\n")
    if b"{" not in lines or b"}" not in lines:
        return None
    try:
        return json.loads(b"\n".join(lines[lines.index(b"{") : len(lines) - lines[::-1].index(b"}")]))
    except ValueError:
        return None


def series(name: str) -> str:
    """An archive's name without its date and our mark: what belongs together."""
    name = name.removeprefix(HELD)
    return _DATE.sub("", name) or name


def moment(text: Any) -> datetime | None:
    """borg is run with TZ=UTC and writes times without a zone."""
    try:
        return datetime.fromisoformat(str(text)).replace(tzinfo=UTC)
    except ValueError:
        return None


def archives(raw: bytes) -> list[Snapshot]:
    """`list --json`: names, ids and times, from the manifest alone; newest first."""
    items = document(raw).get("archives")
    if not isinstance(items, list):
        raise Damaged("borg's list of archives is not what it should be", hint="Run `borg list --json` by hand and look.")
    found = []
    for item in items:
        at, ident, name = moment(item.get("start") or item.get("time")), str(item.get("id", "")), str(item.get("archive") or item.get("name") or "")
        if at is not None and re.fullmatch(r"[0-9a-f]{64}", ident) and name:
            uid = f"{at:%Y-%m-%dT%H:%M:%S} {name.removeprefix(HELD)}"
            found.append(Snapshot("", ident, ident[:8], at, "", note=clean(name), uid=clean(uid), name=name))
    return sorted(found, key=lambda one: (one.time, one.name), reverse=True)


def detailed(snapshot: Snapshot, item: Mapping[str, Any]) -> Snapshot:
    """With what `info --json` says of it."""
    stats: Mapping[str, Any] = item.get("stats") or {}
    size, files, added = stats.get("original_size"), stats.get("nfiles"), stats.get("deduplicated_size")
    return replace(
        snapshot, host=clean(str(item.get("hostname", ""))), user=clean(str(item.get("username", ""))),
        paths=source_paths([str(word) for word in item.get("command_line") or ()], str(item.get("cwd") or "")),
        files=files if isinstance(files, int) else None, size=size if isinstance(size, int) else None, added=added if isinstance(added, int) else None,
        duration=float(item["duration"]) if isinstance(item.get("duration"), int | float) else None,
    )  # fmt: skip


def source_paths(words: Sequence[str], cwd: str = "") -> tuple[str, ...]:
    """The sources out of a recorded command line, as they are in the archive: from "/" on."""
    start = next((place + 1 for place, word in enumerate(words) if "::" in word), len(words))
    found: list[str] = []
    rest = iter(words[start:])
    for word in rest:
        if word == "--":
            found += rest
        elif word in _VALUED:
            next(rest, None)
        elif not word.startswith("-"):
            found.append(word)
    return tuple(clean("/" + os.path.normpath(path).lstrip("/")) for path in found)


@dataclass(frozen=True, slots=True)
class Item:
    """An entry with a digest of its content's chunks: equal digests, equal content."""

    entry: Entry
    content: bytes


def items(raw: Iterable[Mapping[Any, Any]]) -> Iterator[Item]:
    """Entries in the archive's order, exact, with their extended attributes; hard links have the size and digest of their first name."""
    current: Mapping[Any, Any] = {}

    def each() -> Iterator[Mapping[Any, Any]]:
        nonlocal current
        for found in raw:
            current = found
            yield found

    try:
        for path, row in borg_rows.rows(each()):
            item = item_of(path, row)
            yield Item(replace(item.entry, xattrs=_attributes(current)), item.content)
    except borg_rows.Unreadable as error:
        raise Damaged(clean(str(error)), hint="Check the repository: an archive may be damaged.") from None


def _attributes(found: Mapping[Any, Any]) -> Attributes | None:
    try:
        return of_borg(found)
    except (AttributeError, TypeError, ValueError, LookupError, struct.error):
        return None


def item_of(path: bytes, row: borg_rows.Row) -> Item:
    """A row under its path, its texts cleaned for the screen."""
    name, kind, size, mode, user, group, uid, gid, at, link, special, inode, content = row
    return Item(Entry(
        path, clean(name.decode("utf-8", "replace")), cast("EntryKind", kind), size, mode, _words(user), _words(group), as_moment(at),
        clean(link.decode("utf-8", "replace")) if link else "", uid, gid, at, link, cast("Special", special), inode.decode("utf-8", "surrogateescape"),
    ), content)  # fmt: skip


def _words(value: Any) -> str:
    return clean(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def as_moment(nanoseconds: int) -> datetime | None:
    """None for what a datetime does not hold."""
    try:
        return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return None


_KEPT = re.compile(r"Keeping (?:checkpoint )?archive(?: \(rule: ([^)]*)\))?:\s.*\[([0-9a-f]{64})\]")
_GONE = re.compile(r"(?:Would prune|Pruning archive[^:]*):\s.*\[([0-9a-f]{64})\]")


def policy(messages: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """`prune --dry-run --list`: (id -> the rule that keeps it, ids that would go)."""
    keep: dict[str, str] = {}
    gone: list[str] = []
    for text in messages:
        kept, removed = _KEPT.search(text), _GONE.search(text)
        if kept:
            keep[kept.group(2)] = kept.group(1) or "kept"
        elif removed:
            gone.append(removed.group(1))
    return keep, gone
