"""The words of all ticket systems together, for completion and for names of queues. Never imports textual."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from backends.errors import BackendError
from backends.tickets.model import Vocabulary

PATIENCE = 0.3
"""Seconds a line waits for the words before it opens."""


async def united(backends: Sequence[Any]) -> Vocabulary | None:
    """What the systems know, those that say so at once; None when none of them does."""
    found = [words for words in await asyncio.gather(*map(_asked, backends)) if words is not None]
    if not found:
        return None
    return Vocabulary(
        _all(words.queues for words in found), {status: phase for words in reversed(found) for status, phase in words.statuses.items()},
        _all(words.agents for words in found), _all(words.categories for words in found), _all(words.teams for words in found),
        _all(words.fields for words in found), _all(words.vendors for words in found),
    )  # fmt: skip


async def _asked(backend: Any) -> Vocabulary | None:
    try:
        words: Vocabulary = await asyncio.wait_for(backend.vocabulary(), PATIENCE)
    except (BackendError, TimeoutError):
        return None
    return words


def _all(parts: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for part in parts for word in part))
