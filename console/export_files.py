"""A file that is there whole or not at all: written beside its place under another name, durable, then put there. Never imports textual."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from backends.errors import NoSpace, Refused

READABLE = 0o640


def check_place(path: Path, force: bool) -> None:
    """Refused when something is there already and `force` was not given, or when it can't be written to: said before the work."""
    if path.is_dir():
        raise Refused(f"{path} is a folder", hint="Name a file in it.")
    if not path.parent.is_dir():
        raise Refused(f"the folder {path.parent} does not exist", hint="Make it, or name another file.")
    if path.exists() and not force:
        raise Refused(f"{path} exists", hint="Name another file, or give --force to replace it.")


@contextlib.contextmanager
def new_file(path: Path, force: bool = False) -> Iterator[TextIO]:
    """A text file (UTF-8, line ends as written) that appears at `path` when the block ends well; otherwise nothing is left.

    Refused when the place is taken, also when it was taken meanwhile. NoSpace.
    """
    check_place(path, force)
    temporary = path.with_name(f".{path.name[:100]}.{uuid.uuid4().hex[:8]}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, READABLE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _put(temporary, path, force)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
    except FileExistsError:
        raise Refused(f"{path} exists", hint="Name another file, or give --force to replace it.") from None
    except OSError as error:
        raise NoSpace(f"{path} can't be written: {error.strerror}") from None


def _put(temporary: Path, path: Path, force: bool) -> None:
    """A link is refused where a name exists, so that two exports never overwrite one another."""
    if force:
        os.replace(temporary, path)
    else:
        try:
            os.link(temporary, path)
        except PermissionError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(path) from None
            os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
