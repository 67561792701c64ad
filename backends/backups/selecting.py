"""What both tools do with a selection before a process is started. Pure but for the look at the target."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from backends.backups.extraction import Known
from backends.errors import Invalid

ARGUMENTS = 100_000
"""Bytes of paths in one call: argv may hold 2 MB, a single word 128 KB."""
COUNT = 2000
NOT_THERE = "the tool says that it is done, and it is not there"


def checked_selection(selection: Sequence[bytes]) -> list[bytes]:
    """Whole paths without repetition or what lies inside another. Invalid for an empty selection: both tools take it for "everything"."""
    if not selection:
        raise Invalid("nothing is selected", hint="Choose at least one file or directory.")
    wanted: list[bytes] = []
    for path in sorted({b"/" + path.strip(b"/") for path in selection}):
        if b"\0" in path or b".." in path.split(b"/"):
            raise Invalid("a path with '..' or a zero byte can't be asked for")
        if not any(path == parent or path.startswith(parent.rstrip(b"/") + b"/") for parent in wanted):
            wanted.append(path)
    return wanted


def empty_directory(into: bytes) -> None:
    """Invalid when it is not an empty directory."""
    try:
        with os.scandir(into) as found:
            taken = next(found, None) is not None
    except OSError as error:
        raise Invalid(f"{os.fsdecode(into)}: {error.strerror}", hint="Give an empty directory.") from None
    if taken:
        raise Invalid("the directory to extract into is not empty", hint="Give an empty directory.")


def enterable(into: bytes) -> None:
    """Every directory below may be written to by its owner: a tool that was cut off had set some of them as in the backup. Invalid."""
    if os.geteuid() == 0:
        return
    try:
        for here, folders, _ in os.walk(into):
            for name in folders:
                path = os.path.join(here, name)
                mode = os.lstat(path).st_mode
                if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
                    os.chmod(path, 0o700)
    except OSError as error:
        raise Invalid(f"{os.fsdecode(into)}: {error.strerror}", hint="Give a directory that may be written to.") from None


def batches(paths: Sequence[bytes]) -> Iterator[list[bytes]]:
    """As many as fit into one command line."""
    group: list[bytes] = []
    size = 0
    for path in paths:
        if group and (size + len(path) > ARGUMENTS or len(group) >= COUNT):
            yield group
            group, size = [], 0
        group.append(path)
        size += len(path) + 16
    if group:
        yield group


def is_there(into: bytes, path: bytes) -> bool:
    """Whether a path exists below a directory, links not followed."""
    return os.path.lexists(into + path)


def kinds_of(wanted: Sequence[bytes], known: Iterable[Known]) -> dict[bytes, str]:
    """The kinds of the selected paths themselves, as far as they are known; reads no further than it must."""
    found: dict[bytes, str] = {}
    left = set(wanted) - {b"/"}
    for entry in known if left else ():
        if entry.path in left:
            left.discard(entry.path)
            found[entry.path] = entry.kind
            if not left:
                break
    return found


def lost(wanted: Sequence[bytes], restored: Sequence[bytes], well: bool) -> list[bytes]:
    """What was asked for and did not come though the tool says that all is `well`."""
    there = set(restored)
    return [path for path in wanted if path not in there] if well else []
