"""What both tools do with a selection before a process is started. Pure but for the look at the target."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

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


def lost(wanted: Sequence[bytes], restored: Sequence[bytes], well: bool) -> list[bytes]:
    """What was asked for and did not come though the tool says that all is `well`."""
    there = set(restored)
    return [path for path in wanted if path not in there] if well else []
