"""`Typeahead`: keys that come before what they are meant for is there. They wait; they never run as other commands.

Whoever types `:tickets all` faster than the line opens must not take a ticket with its `t`. Keys are held while an action is about
to ask, go into the question once it is open, and are thrown away before a confirmation: nobody agrees to what was not on screen.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from textual import events

HOLD_SECONDS = 1.5
"""How long keys wait for an action that asks a server first. Later ones count as commands again, the held ones are dropped."""
MOST = 500
"""Keys that are held; a paste without brackets must not pile up."""


class Typeahead:
    """Holds keys for one screen. `press` gives a key to what is there now; `asking` and `fresh` describe the open question."""

    def __init__(self, press: Callable[[events.Key], Any], asking: Callable[[], bool], fresh: Callable[[], bool]) -> None:
        self._press, self._asking, self._fresh = press, asking, fresh
        self._held: list[events.Key] = []
        self._flow: asyncio.Task[None] | None = None
        self._until = 0.0
        self.ready = False
        """The screen stands; before, every key waits."""

    def expect(self, flow: asyncio.Task[None]) -> None:
        """An action has begun that may ask something."""
        self._flow = flow
        self._until = time.monotonic() + HOLD_SECONDS
        flow.add_done_callback(lambda _: self.drain())
        asyncio.get_running_loop().call_later(HOLD_SECONDS, self._give_up)

    def holds(self) -> bool:
        """Keys have to wait now."""
        if not self.ready:
            return True
        pending = self._flow is not None and not self._flow.done() and time.monotonic() < self._until
        return pending and not self._asking()

    def take(self, event: events.Key) -> bool:
        """Hold the key if it has to wait; esc throws away what waits. False: it is to be pressed now."""
        if not self.holds() and not self._held:
            return False
        if event.key == "escape" and self.ready:
            self._held.clear()
            self._flow = None
        elif len(self._held) < MOST:
            self._held.append(event)
        self.drain()
        return True

    def opened(self) -> None:
        """A question was opened: what was typed for it goes in, unless it is a confirmation."""
        if self._fresh():
            self._held.clear()
        elif self._held:
            asyncio.get_running_loop().call_soon(self.drain)

    def drain(self) -> None:
        """Press what no longer has to wait, in its order."""
        while self._held and not self.holds():
            if self._asking() and self._fresh():
                self._held.clear()
                return
            self._press(self._held.pop(0))

    def _give_up(self) -> None:
        if self._flow is not None and not self._flow.done() and not self._asking():
            self._held.clear()
