"""Request Tracker: the contract of ticket systems against a real RT 5, and what is RT's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backends.contract import Actor
from backends.tickets.rt import RequestTracker
from tests.contracts.test_tickets import Local, TicketContract
from tests.servers.rt_server import RtServer

pytestmark = [pytest.mark.server]
ONE, TWO = Actor("tech1", "Tech One"), Actor("tech2", "Tech Two")
LACKS = frozenset({
    "link", "unlink", "unmerge", "split", "approve", "decide", "check", "position", "once", "starts", "pending", "reopened", "first answer", "finality",
    "solve waiting", "impact", "sla", "team", "dedupe",
})  # fmt: skip


@pytest.fixture
def local(rt_server: RtServer) -> Local:
    """RT's words, in two queues of the test's own."""
    queues = (rt_server.queue(), rt_server.queue())
    return Local(
        ana=ONE, bob=TWO, queue=queues[0], other_queue=queues[1], scope=queues, new_number="999999", opened="open", waiting="vendor", resolved="resolved", closed="closed",
        too_early="RT offers: open, rejected", lacks=LACKS,
    )  # fmt: skip


@pytest.fixture
async def backend(rt_server: RtServer, local: Local) -> AsyncIterator[RequestTracker]:
    """tech1's adapter; tech2's beside it, as RT knows people by their own token."""
    opened: Any = rt_server.adapter("tech1")
    other = rt_server.adapter("tech2")
    await asyncio.gather(opened.open(), other.open())
    opened.seats, opened.first_actor, opened.usual = {"tech2": other}, ONE, {"queue": local.queue}
    yield opened
    await asyncio.gather(opened.close(), other.close())


class TestRequestTracker(TicketContract):
    """The contract."""

    @pytest.fixture
    def local(self, local: Local) -> Local:
        """RT's, not our own."""
        return local
