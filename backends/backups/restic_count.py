"""How many files and bytes are in folders, from the lines of `restic ls --json --recursive`: counted as they come, nothing kept. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from backends.backups.model import Tally
from backends.backups.process import Lines
from backends.backups.restic_json import one

TELL_EVERY = 20_000
_LINE = re.compile(rb'\{"name":"(?:[^"\\]|\\.)*","type":"(\w+)","path":"((?:[^"\\]|\\.)*)","uid":\d+,"gid":\d+(?:,"size":(\d+))?,').match
"""The order in which restic 0.14 to 0.19 writes a node; a line of another order is read as JSON."""


def tallies(chunks: Iterable[bytes], folders: Sequence[bytes], tell: Callable[[int], None]) -> list[Tally]:
    """Of each of the folders, as restic prints their paths; one inside another is counted in both. `tell` hears the lines read so far."""
    insides = [folder.rstrip(b"/") for folder in folders]
    files, sizes = [0] * len(insides), [0] * len(insides)
    last: bytes | None = None
    owners: list[int] = []
    for seen, (kind, path, size) in enumerate(_nodes(chunks)):
        parent = path.rpartition(b"/")[0]
        if parent != last:
            last = parent
            owners = [place for place, folder in enumerate(insides) if parent == folder or parent.startswith(folder + b"/")]
        if kind != b"dir":
            for place in owners:
                files[place] += 1
                sizes[place] += size
        if not seen % TELL_EVERY:
            tell(seen)
    return [Tally(*pair) for pair in zip(files, sizes, strict=True)]


def _nodes(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes, int]]:
    """(type, path, size)."""
    lines = Lines()
    for chunk in chunks:
        for line in lines.feed(chunk):
            found = _LINE(line)
            if found:
                kind, path, size = found.groups()
                yield kind, path if b"\\" not in path else json.loads(b'"' + path + b'"').encode("utf-8", "surrogateescape"), int(size or 0)
            elif line.strip():
                yield from _read(line)
    for line in lines.rest():
        yield from _read(line)


def _read(line: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    item = one(line)
    if item.get("struct_type") == "node" or item.get("message_type") == "node":
        yield str(item.get("type")).encode(), str(item.get("path")).encode("utf-8", "surrogateescape"), int(item.get("size") or 0)
