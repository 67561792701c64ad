"""Queues with their figures over all ticket systems: open, new and overdue, for choosing one. Never imports textual."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from backends.errors import BackendError
from backends.tickets.model import OPEN_PHASES, Phase, QueueCount, TicketQuery

PATIENCE = 0.6
"""Seconds a chooser waits; a system that is slower gives no figures."""
MOST = 40
Figures = tuple[int, ...]
"""Open, new, overdue; empty where they are not known."""


async def queue_figures(backends: Sequence[Any], patience: float = PATIENCE) -> dict[str, Figures]:
    """Queue -> its figures, summed over the systems that have a queue of that name, in the systems' own order."""
    found: dict[str, Figures] = {}
    for one in await asyncio.gather(*(_asked(backend, patience) for backend in backends)):
        for name, figures in one.items():
            known = found.get(name)
            found[name] = figures if known is None else tuple(a + b for a, b in zip(known, figures, strict=True)) if known and figures else ()
    return found


async def _asked(backend: Any, patience: float) -> Mapping[str, Figures]:
    names: dict[str, Figures] = {}
    try:
        async with asyncio.timeout(patience):
            names = dict.fromkeys((await backend.vocabulary()).queues, ())
            counted: QueueCount = await backend.counts()
            if counted.by_queue:
                return {name: counted.by_queue.get(name, (0, 0, 0)) for name in [*names, *(name for name in counted.by_queue if name and name not in names)]}
            return {name: await _counted(backend, name) for name in list(names)[:MOST]}
    except (BackendError, TimeoutError):
        return names


async def _counted(backend: Any, queue: str) -> Figures:
    """By three lists of one row each; a system that does not count gives no figures."""
    asked = (TicketQuery(queues=(queue,), phases=OPEN_PHASES), TicketQuery(queues=(queue,), phases=(Phase.NEW,)), TicketQuery(queues=(queue,), phases=OPEN_PHASES, overdue=True))
    totals = [(await backend.tickets(query, 0, 1)).total for query in asked]
    return () if None in totals else tuple(total for total in totals if total is not None)
