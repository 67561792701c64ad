"""A file of a snapshot against the one on this host now, line by line. Read only; what is no text is said to be none."""

from __future__ import annotations

import difflib
import os
import stat

from backends.backups.model import Content
from backends.errors import BackendError, Invalid, NotFound
from backends.text import clean

LIMIT = 65536
"""Bytes of each side that are compared."""
MOST_LINES = 4000


def read_live(path: bytes, limit: int = LIMIT) -> Content:
    """The beginning of a file of this host. Blocks. No link is followed, nothing but a plain file is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise NotFound(f"{clean(path.decode('utf-8', 'backslashreplace'))} is not there any more") from None
    except OSError as error:
        raise BackendError(f"{clean(path.decode('utf-8', 'backslashreplace'))}: {error.strerror}", title="Can't be read", hint="Compare it as a user who may read it.") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Invalid("what is there now is no file", hint="Only files are compared line by line.")
        data = file.read(limit + 1)
    return Content(data[:limit], len(data) > limit)


def text_difference(then: Content, now: Content) -> list[str] | None:
    """Lines of a unified diff, cleaned; [] where the texts are the same, None where one of them is no text."""
    before, after = _text(then), _text(now)
    if before is None or after is None:
        return None
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), "in the snapshot", "now", n=3, lineterm="")
    found = [_shown(line) for _, line in zip(range(MOST_LINES + 1), lines, strict=False)]
    return found if len(found) <= MOST_LINES else [*found[:MOST_LINES], "... there is more"]


def _text(content: Content) -> str | None:
    if b"\0" in content.data:
        return None
    for short in range(4 if content.cut else 1):  # a cut may fall into a character
        try:
            return content.data[: len(content.data) - short].decode("utf-8")
        except UnicodeDecodeError:
            continue
    return None


def _shown(line: str) -> str:
    """Signs that steer a terminal as their escapes, so that a difference in them is seen."""
    line = line.expandtabs(4)
    return clean("".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line))
