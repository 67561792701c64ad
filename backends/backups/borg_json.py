"""What borg prints, as records: archives, items with names exact in bytes, what a policy keeps. Pure: lines in, records out."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from backends.backups.model import Entry, EntryKind, Snapshot
from backends.errors import Damaged
from backends.text import clean, plain

HELD = "held-"
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


def exact(text: Any) -> bytes:
    """A string of `debug dump-archive`: what is no printable UTF-8 is 0x7f and hexadecimal digits. Bytes are what they are."""
    if isinstance(text, bytes):
        return text
    value = str(text)
    if value.startswith("\x7f"):
        try:
            return bytes.fromhex(value[1:])
        except ValueError:
            raise Damaged(f"borg printed a name that can't be read: {clean(value[:60])!r}") from None
    return value.encode("utf-8", "surrogateescape")


def dumped_items(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The items of `debug dump-archive ARCHIVE -`, one at a time. Damaged where the document ends too early or is none."""
    inside, ended = False, False
    kept: list[bytes] = []
    for line in lines:
        if not inside:
            inside = line.strip() == b'"_items": [' or line.strip() == b'"_items":' or line.rstrip() == b'    "_items": ['
            continue
        if kept:
            kept.append(line)
            if line.rstrip() in (b"    }", b"    },"):
                yield _loaded(kept)
                kept = []
        elif line.rstrip() == b"    {":
            kept = [line]
        elif line.strip() in (b"]", b"],"):
            ended = True
            break
    if not ended:
        raise Damaged("borg's list of files was cut off", hint="Check the repository: an archive may be damaged.")


def _loaded(lines: Sequence[bytes]) -> dict[str, Any]:
    try:
        found = json.loads(b"\n".join(lines).rstrip().rstrip(b","))
    except ValueError:
        raise Damaged(f"borg printed an item that is no JSON: {plain(lines[1][:80]) if len(lines) > 1 else ''!r}") from None
    return found if isinstance(found, dict) else {}


_KINDS: dict[int, EntryKind] = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
_SPECIAL: dict[int, Literal["fifo", "chardev", "blockdev", "socket"]] = {
    stat.S_IFIFO: "fifo", stat.S_IFCHR: "chardev", stat.S_IFBLK: "blockdev", stat.S_IFSOCK: "socket",
}  # fmt: skip


def items(dumped: Iterable[Mapping[str, Any]]) -> Iterator[Item]:
    """Entries in the archive's order, exact. Only the first name of a hard link has content: the others get its size and digest."""
    masters: dict[bytes, tuple[int, bytes]] = {}
    for found in dumped:
        path, mode = b"/" + exact(found.get("path", "")).lstrip(b"/"), int(found.get("mode") or 0)
        kind, source = stat.S_IFMT(mode), found.get("source")
        chunks = found.get("chunks")
        size = int(found.get("size") or sum(int(chunk[1]) for chunk in chunks or ()))
        content = hashlib.blake2b(b"".join(_chunk(chunk[0]) for chunk in chunks or ()), digest_size=16).digest()
        inode = b""
        if source is not None and kind != stat.S_IFLNK:
            inode = b"/" + exact(source).lstrip(b"/")
            size, content = masters.get(inode, (size, content))
        elif found.get("hardlink_master") and kind != stat.S_IFDIR:
            inode = path
            masters[path] = (size, content)
        yield Item(_entry(found, path, mode, size, inode.decode("utf-8", "surrogateescape")), content)


def _chunk(ident: Any) -> bytes:
    return ident if isinstance(ident, bytes) else exact(ident)


def _words(value: Any) -> str:
    return clean(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _entry(found: Mapping[str, Any], path: bytes, mode: int, size: int, inode: str) -> Entry:
    kind = stat.S_IFMT(mode)
    link = exact(found.get("source", "")) if kind == stat.S_IFLNK else None
    mtime = found.get("mtime") or 0
    mtime = int.from_bytes(mtime, "little", signed=True) if isinstance(mtime, bytes) else int(mtime)
    return Entry(
        path, clean(path.rsplit(b"/", 1)[-1].decode("utf-8", "replace")), _KINDS.get(kind, "other"), size if kind == stat.S_IFREG else 0,
        stat.S_IMODE(mode), _words(found.get("user") or found.get("uid", "")), _words(found.get("group") or found.get("gid", "")),
        as_moment(mtime), clean((link or b"").decode("utf-8", "replace")), found.get("uid"), found.get("gid"), mtime, link,
        _SPECIAL.get(kind, ""), inode,
    )  # fmt: skip


_LETTERS: dict[str, int] = {"d": stat.S_IFDIR, "-": stat.S_IFREG, "l": stat.S_IFLNK, "p": stat.S_IFIFO, "c": stat.S_IFCHR, "b": stat.S_IFBLK}


def printed_items(lines: Iterable[bytes]) -> Iterator[Item]:
    """`list --json-lines`: times to the microsecond, no contents."""
    for line in lines:
        found = document(line)
        kind, letters = str(found.get("type", "-")), str(found.get("mode", ""))
        at = moment(found.get("mtime"))
        mtime = int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000 if at is not None else 0
        path = b"/" + str(found.get("path", "")).encode("utf-8", "surrogateescape").lstrip(b"/")
        yield Item(_entry({**found, "mtime": mtime}, path, _LETTERS.get(kind, stat.S_IFREG) | _bits(letters), int(found.get("size") or 0), ""), b"")


def _bits(letters: str) -> int:
    """rwxr-s--T as bits."""
    bits = 0
    for place, letter in enumerate(letters[1:10]):
        bits |= 1 << (8 - place) if letter not in "-ST" else 0
        bits |= {2: 0o4000, 5: 0o2000, 8: 0o1000}.get(place, 0) if letter in "sStT" else 0
    return bits


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
