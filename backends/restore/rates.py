"""How fast restores are here, learned from those that were: by backend, bytes and files a second. Start values until the first one."""

from __future__ import annotations

import json
from pathlib import Path

from backends.restore.run_folder import durable

BYTES, FILES, FIXED = 100e6, 2000.0, 1.0
WEIGHT = 0.4
"""Of the newest run in the average."""


class Rates:
    """The file of learned rates."""

    def __init__(self, base: Path) -> None:
        self._path = base / "rates.json"

    def _read(self) -> dict[str, list[float]]:
        try:
            found = json.loads(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def known(self, backend: str) -> bool:
        """Whether one was measured."""
        return backend in self._read()

    def estimate(self, backend: str, files: int, size: int) -> float:
        """Seconds: the slower of the two rates, and what any run costs."""
        by_bytes, by_files = self._read().get(backend, (BYTES, FILES))
        return FIXED + max(size / max(by_bytes, 1.0), files / max(by_files, 0.1))

    def learn(self, backend: str, files: int, size: int, seconds: float) -> None:
        """From a run that was audited. A small one says nothing about bytes, one of few files nothing about files."""
        rates = self._read()
        by_bytes, by_files = rates.get(backend, (BYTES, FILES))
        working = max(0.05, seconds - FIXED)
        if size > 20e6:
            by_bytes += WEIGHT * (size / working - by_bytes)
        if files > 200:
            by_files += WEIGHT * (files / working - by_files)
        rates[backend] = [by_bytes, by_files]
        durable(self._path, json.dumps(rates).encode("ascii"))
