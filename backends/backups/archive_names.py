"""`ArchiveNames`: which name an archive's id stands for, kept beside the data so that a new process need not list the repository. Never imports an adapter.

An id never gets another name (a rename gives a new id), but an archive may be deleted and another made under its name: who reads by a
name from here proves it before the result counts.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

KEPT = 5000
"""The newest so many: a file of well under a megabyte."""


class ArchiveNames:
    """The file, read once. Without a file nothing is known; one that can't be read or written costs a listing, no more."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._names: dict[str, str] | None = None

    def get(self, id: str) -> str:
        """The name, "" when it is not known."""
        return self._all().get(id, "")

    def keep(self, names: Mapping[str, str]) -> None:
        """Those there are now, the newest first; written only when something is new."""
        known = self._all()
        if self._file is None or all(known.get(id) == name for id, name in names.items()):
            return
        self._names = dict(list({**names, **known}.items())[:KEPT])
        temporary = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._names), "ascii")
            os.replace(temporary, self._file)

    def _all(self) -> dict[str, str]:
        if self._names is None:
            self._names = {}
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(self._file.read_text("ascii")) if self._file is not None else {}
                self._names = {str(id): str(name) for id, name in found.items()} if isinstance(found, dict) else {}
        return self._names
