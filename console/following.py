"""`Following`: which domains changed since the last look. Asks change feeds, never lists; one look at a time, each with a deadline.

Never imports textual.
"""

from __future__ import annotations

import asyncio
from typing import Any

from backends.domains import DOMAINS
from backends.errors import BackendError
from console.desk import Desk

DEADLINE = 3.0
"""Seconds a feed may take; a hung one is asked again at the next look."""


class Following:
    """Cursors into every change feed the desk has."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._cursors: dict[tuple[str, str], int] = {}
        self._busy: set[tuple[str, str]] = set()
        self._live_rev = -1

    async def look(self) -> set[str]:
        """The domains in which something changed."""
        asks = []
        for domain in DOMAINS:
            for opened in self._desk.backends(domain):
                key = (domain, opened.name)
                if opened.backend is not None and hasattr(opened.backend, "changes") and key not in self._busy:
                    asks.append(self._ask(key, opened.backend))
        found = set(await asyncio.gather(*asks)) - {""}
        return found | self._live()

    async def _ask(self, key: tuple[str, str], backend: Any) -> str:
        self._busy.add(key)
        try:
            known = self._cursors.get(key, -1)
            cursor, ids = await asyncio.wait_for(backend.changes(known), DEADLINE)
            self._cursors[key] = cursor
            return key[0] if known >= 0 and ids else ""
        except (BackendError, TimeoutError):
            return ""
        finally:
            self._busy.discard(key)

    def _live(self) -> set[str]:
        if self._desk.live is None:
            return set()
        first = self._live_rev < 0
        self._live_rev, rows = self._desk.live.changed_since(max(0, self._live_rev))
        return set() if first else {row.domain for row in rows}
