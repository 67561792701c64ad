"""`Form`: questions on the bottom line whose answers are kept on disk while they are typed: a half-answered form comes back after esc, kill and log-out."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backends.errors import BackendError
from backends.threads import in_thread
from widgets.toned import Line

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

SAVE_AFTER = 0.6
"""Seconds after the last key until an answer is on disk."""
PREFIX = "form:"


class Form:
    """The answers to a few questions under one draft key, such as "form:refer:tickets:desk:ID"."""

    def __init__(self, screen: ConsoleScreen, key: str) -> None:
        self._screen, self._key = screen, PREFIX + key
        self._loaded = False
        self._answers: dict[str, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def _load(self) -> None:
        self._loaded = True
        text = await in_thread(5.0, self._screen.console.drafts.load, self._key)
        try:
            found = json.loads(text) if text else {}
        except ValueError:
            found = {}
        self._answers = {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}
        if any(self._answers.values()):
            self._screen.say("What you had typed is back; ctrl+u empties a line.", "accent")

    async def ask(
        self, name: str, label: str, text: str = "", words: Sequence[str] = (), *, above: Sequence[Line] = (), heard: Callable[[str], None] | None = None,
        complete: Callable[[str], Sequence[str]] | None = None,
    ) -> str | None:  # fmt: skip
        """A line, stripped; None when it was left (what was typed stays in the draft). `words` complete its last word."""
        if not self._loaded:
            await self._load()
        if words and complete is None:
            complete = completing(words)

        def live(typed: str) -> None:
            self.keep(name, typed)
            if heard is not None:
                heard(typed)

        start = self._answers.get(name) or text
        if heard is not None and start:
            heard(start)
        typed = await self._screen.bottom.ask(label, start, complete=complete, live=live, above=above)
        if typed is None:
            await self.save()
            return None
        self.keep(name, typed)
        await self.save()
        return typed.strip()

    async def kept(self, name: str) -> str:
        """What was typed for it before, or ""."""
        if not self._loaded:
            await self._load()
        return self._answers.get(name, "")

    def keep(self, name: str, text: str) -> None:
        """What is typed now; on disk a moment after the last key."""
        self._answers[name] = text
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(SAVE_AFTER, lambda: self._screen.flow(self.save()))
        self._screen.keeping[self._key] = self._flush

    def _flush(self) -> None:
        """At once, as the screen goes."""
        if any(self._answers.values()):
            with contextlib.suppress(BackendError):
                self._screen.console.drafts.save(self._key, json.dumps(self._answers))

    async def save(self) -> None:
        """The answers onto the disk; a disk that is full is said."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._screen.keeping.pop(self._key, None)
        try:
            if any(self._answers.values()):
                await in_thread(5.0, self._screen.console.drafts.save, self._key, json.dumps(self._answers))
            else:
                await in_thread(5.0, self._screen.console.drafts.drop, self._key)
        except BackendError as error:
            self._screen.fail(error)

    async def done(self) -> None:
        """It was sent: the draft goes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._answers.clear()
        self._screen.keeping.pop(self._key, None)
        await in_thread(5.0, self._screen.console.drafts.drop, self._key)


def completing(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Candidates for the last word of a line, letter case aside."""
    return lambda head: [word for word in words if word.lower().startswith(head.split(" ")[-1].lower())]
