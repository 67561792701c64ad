"""Saving an attachment on this machine: its own safe name, nothing overwritten, readable by its owner alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backends.errors import BackendError, Invalid, NoSpace
from backends.threads import in_thread

TRIES = 100


async def save_attachment(backend: Any, ticket: str, file: Any, folder: str) -> Path:
    """The path it was saved as. Invalid when the folder is none, NoSpace when it can't be written; half a file is taken away again."""
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise Invalid(f"{folder} is no folder on this machine")
    path, descriptor = await in_thread(5.0, _fresh, place, file.name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            async for piece in backend.fetch(ticket, file.id):
                await in_thread(30.0, out.write, piece)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise NoSpace(f"{path} can't be written: {error.strerror}") from None
    except BackendError:
        path.unlink(missing_ok=True)
        raise
    return path


def _fresh(folder: Path, name: str) -> tuple[Path, int]:
    plain = os.path.basename(name.replace("\\", "/")).lstrip(".") or "file"
    stem, dot, ending = plain.rpartition(".")
    for number in range(TRIES):
        tried = plain if not number else f"{stem if dot else plain}-{number}{'.' + ending if dot else ''}"
        try:
            return folder / tried, os.open(folder / tried, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            raise NoSpace(f"{folder} can't be written: {error.strerror}") from None
    raise Invalid(f"{folder} has {TRIES} files of that name")
