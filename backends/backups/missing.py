"""`missing`: what of a snapshot is not there yet in a directory that an extraction was cut off in. Reads no content, changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from backends.backups.model import Entry


def missing(entries: Iterable[Entry], into: bytes) -> list[bytes]:
    """Paths to fetch, whole folders where nothing of one is there.

    A file is there by its size and time: for tools that set the time when all of a file is written. It proves nothing: that is for the audit.
    """
    found: dict[bytes, None] = {}
    newest = b"//"
    for entry in entries:
        if entry.path.startswith(newest) or _inside(entry.path, found) or _is_there(into + entry.path, entry):
            continue
        found[entry.path] = None
        newest = entry.path.rstrip(b"/") + b"/"
    return list(found)


def _inside(path: bytes, folders: dict[bytes, None]) -> bool:
    """Whether one of the folders is the path or above it."""
    while path and path not in folders:
        path = path.rpartition(b"/")[0]
    return bool(path)


def _is_there(place: bytes, entry: Entry) -> bool:
    try:
        told = os.lstat(place)
        if entry.kind == "link":
            return stat.S_ISLNK(told.st_mode) and os.readlink(place) == entry.link
    except OSError:
        return False
    if entry.kind == "file":
        return stat.S_ISREG(told.st_mode) and (told.st_size, told.st_mtime_ns) == (entry.size, entry.mtime_ns)
    return stat.S_ISDIR(told.st_mode) if entry.kind == "dir" else not stat.S_ISDIR(told.st_mode)
