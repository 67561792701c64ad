"""`Lane`: one backend's part of a merged list: read by pages with a deadline, its last rows kept for when it fails. Never imports textual."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from backends.contract import Page
from backends.errors import BackendError, Unreachable
from console.ages import span

PAGE = 100
KEPT = 12
"""Pages held beside the first."""
DEADLINE = 20.0
"""Seconds a page may take."""

Read = Callable[[int, int], Awaitable[Page[Any]]]
"""(offset, limit) -> a page. Raises a BackendError."""


class Lane:
    """A backend's list as it stands in one reading. `live` is False while it waits and once it failed: then it has only `rows`."""

    def __init__(self, name: str, read: Read, before: Lane | None = None) -> None:
        self.name = name
        self._read = read
        self.error: BackendError | None = None
        self.answered = False
        self.live = False
        self.rows: tuple[Any, ...] = before.prefix() if before is not None else ()
        """What it had when it last answered."""
        self.good_at: float | None = before.good_at if before is not None else None
        self.page_note = ""
        self._total: int | None = None
        self._seen = 0
        self._pages: OrderedDict[int, tuple[Any, ...]] = OrderedDict()
        self._reading: dict[int, asyncio.Task[None]] = {}

    @property
    def total(self) -> int | None:
        """How many rows; None while it can't say."""
        return self._total if self.live else len(self.rows)

    @property
    def least(self) -> int:
        """How many there are at least."""
        return self._seen if self.live and self._total is None else self.total or 0

    def prefix(self) -> tuple[Any, ...]:
        """Its rows from the first on, as far as they are held."""
        if not self.live:
            return self.rows
        found: list[Any] = []
        for number in range(len(self._pages)):
            if number not in self._pages:
                break
            found += self._pages[number]
        return tuple(found)

    async def begin(self) -> None:
        """The first page; never raises: `answered` or `error` says how it went. It counts from `join` on."""
        self.error = None
        try:
            if 0 not in self._pages:
                await self._load(0)
            self.answered = True
        except BackendError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - one adapter's fault must not take the others' lists away
            self.error = BackendError(f"failed inside the adapter ({type(error).__name__})")

    def join(self) -> None:
        """From now on its rows stand in the list, if it answered."""
        self.live = self.answered and self.error is None

    async def get(self, place: int) -> Any | None:
        """The row at a place, or None beyond the end. A page that can't be read ends the lane: it falls back to what it has."""
        if not self.live:
            return self.rows[place] if 0 <= place < len(self.rows) else None
        if place < 0 or (self._total is not None and place >= self._total):
            return None
        number = place // PAGE
        if number not in self._pages:
            try:
                await self._load(number)
            except BackendError as error:
                self._fail(error)
                return await self.get(place)
        else:
            self._pages.move_to_end(number)
        page = self._pages.get(number, ())
        return page[place % PAGE] if place % PAGE < len(page) else None

    def _fail(self, error: BackendError) -> None:
        self.rows = self.prefix()
        self.error, self.live = error, False

    async def _load(self, number: int) -> None:
        """Several who want one page wait for one reading."""
        task = self._reading.get(number)
        if task is None:
            task = self._reading[number] = asyncio.ensure_future(self._load_page(number))
            task.add_done_callback(lambda _: self._reading.pop(number, None))
        await asyncio.shield(task)

    async def _load_page(self, number: int) -> None:
        try:
            page = await asyncio.wait_for(self._read(number * PAGE, PAGE), DEADLINE)
        except TimeoutError:
            raise Unreachable(f"no answer within {DEADLINE:g} s") from None
        items = tuple(page.items)[:PAGE]
        end = number * PAGE + len(items)
        self._seen = max(self._seen, end)
        if len(items) < PAGE:
            self._total = end if items or number == 0 else min(self._total or end, end)
        elif page.total is not None and (number == 0 or self._total is None or end > self._total):
            self._total = max(page.total, end)
        if number == 0:
            self.page_note = page.note
        self.good_at = time.monotonic()
        self._pages[number] = items
        self._pages.move_to_end(number)
        while len(self._pages) > KEPT + 1:
            del self._pages[next(held for held in self._pages if held != 0)]

    def note(self, several: bool) -> str:
        """What its part of the list lacks, in words, or ""."""
        name = f"{self.name}: " if several else ""
        if self.live:
            return name + self.page_note if self.page_note else ""
        reason = self.error.text if self.error is not None else "no answer yet"
        if self.good_at is None or not self.rows:
            return f"{self.name}: left out: {reason}" if self.error is not None else f"{self.name}: {reason}"
        return f"{self.name}: stale {span(time.monotonic() - self.good_at)}: {reason}"
