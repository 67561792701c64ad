"""`Following`: which domains changed since the last look. Asks change feeds, never lists; one look at a time, each with a deadline.

Never imports textual.
"""

from __future__ import annotations

import asyncio
import time

from backends.contract import Health
from backends.domains import DOMAINS
from backends.errors import BackendError
from console.desk import Desk, Opened

DEADLINE = 3.0
"""Seconds a feed may take; a hung one is asked again at the next look."""
SAID_AGAIN = 30.0
"""Seconds after which the lists of a system that does not answer show its age anew."""


class Following:
    """Cursors into every change feed the desk has. A feed that fails is a system that is down, until it answers again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._cursors: dict[tuple[str, str], int] = {}
        self._busy: set[tuple[str, str]] = set()
        self._silent: dict[tuple[str, str], float] = {}
        """Systems whose feed failed, with the moment their lists were last told so."""
        self._live_rev = -1
        self._failed: dict[tuple[str, str], str] = {}
        """What is polled and failed the last time, with why."""

    async def look(self) -> set[str]:
        """The domains in which something changed."""
        asks = []
        for domain in DOMAINS:
            for opened in self._desk.backends(domain):
                key = (domain, opened.name)
                if opened.backend is not None and hasattr(opened.backend, "changes") and key not in self._busy:
                    asks.append(self._ask(key, opened))
        found = set(await asyncio.gather(*asks)) - {""}
        return found | self._live() | await self._polls()

    async def _ask(self, key: tuple[str, str], opened: Opened) -> str:
        self._busy.add(key)
        try:
            known = self._cursors.get(key, -1)
            cursor, ids = await asyncio.wait_for(opened.backend.changes(known), DEADLINE)
            self._cursors[key] = cursor
            if self._silent.pop(key, None) is not None:
                opened.health = await asyncio.wait_for(opened.backend.health(), DEADLINE)
                return key[0]
            return key[0] if known >= 0 and ids else ""
        except BackendError as error:
            return self._down(key, opened, error.sentence())
        except TimeoutError:
            return self._down(key, opened, f"no answer within {DEADLINE:g} s")
        finally:
            self._busy.discard(key)

    def _down(self, key: tuple[str, str], opened: Opened, text: str) -> str:
        opened.health = Health("down", text)
        told = self._silent.get(key)
        if told is not None and time.monotonic() - told < SAID_AGAIN:
            return ""
        self._silent[key] = time.monotonic()
        return key[0]

    def _live(self) -> set[str]:
        if self._desk.live is None:
            return set()
        first = self._live_rev < 0
        self._live_rev, rows = self._desk.live.changed_since(max(0, self._live_rev))
        return set() if first else {row.domain for row in rows}

    async def _polls(self) -> set[str]:
        """What the collector polls is down while its last poll failed, also where none ever succeeded; well again when one does."""
        if self._desk.live is None:
            return set()
        failed = {(one.domain, one.backend): one.error for one in self._desk.live.sources() if one.state == "stale"}
        known, self._failed = self._failed, failed
        changed: set[str] = set()
        for domain in DOMAINS:
            for opened in self._desk.backends(domain):
                key = (domain, opened.name)
                if opened.backend is None:
                    self._failed.pop(key, None)  # it is still being opened
                if opened.backend is None or failed.get(key) == known.get(key):
                    continue
                changed.add(domain)
                try:
                    opened.health = Health("down", failed[key]) if key in failed else await asyncio.wait_for(opened.backend.health(), DEADLINE)
                except (BackendError, TimeoutError):
                    self._failed[key] = "not known"  # asked again at the next look
        return changed
