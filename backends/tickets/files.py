"""Attached files by their content: each content once, under its hash, whatever its name was. Never imports an adapter."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from backends.errors import Conflict, NoSpace, NotFound

PIECE = 1 << 20


class Files:
    """A folder of contents: `<first two of the hash>/<hash>`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, sha256: str) -> Path:
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise NotFound("that is no attachment")
        return self._folder / sha256[:2] / sha256

    def keep(self, source: Path, sha256: str) -> None:
        """Copy a file in, durably. Conflict when it is not what was planned any more; NoSpace."""
        path = self._path(sha256)
        if path.exists():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o770)
            with source.open("rb") as file, tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as copy:
                digest = hashlib.sha256()
                while piece := file.read(PIECE):
                    digest.update(piece)
                    copy.write(piece)
                copy.flush()
                os.fsync(copy.fileno())
        except OSError as error:
            raise NoSpace(f"{source.name} can't be kept: {error.strerror}") from None
        if digest.hexdigest() != sha256:
            with contextlib.suppress(OSError):
                os.unlink(copy.name)
            raise Conflict(f"{source.name} was changed since it was chosen")
        os.chmod(copy.name, 0o640)
        os.replace(copy.name, path)

    def read(self, sha256: str) -> Iterator[bytes]:
        """Its bytes in pieces. NotFound."""
        try:
            with self._path(sha256).open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece
        except OSError:
            raise NotFound("the file is not in the store any more") from None
