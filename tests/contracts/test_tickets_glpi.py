"""The ticket contract on GLPI, against a fake that speaks its first REST interface over real HTTP; then its own traps, one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Site
from backends.options import read_options
from backends.secret import Secret
from backends.tickets.glpi import GlpiTickets
from tests.contracts.test_tickets import Local, TicketContract, do, new
from tests.servers.fakes.glpi import FakeGlpi

ANA, BOB = Actor("ana", "Ana"), Actor("bob", "Bob")


async def adapter(server: FakeGlpi, login: str = "ana", **options: Any) -> GlpiTickets:
    table = {"url": server.url, "user_token": "env:X", "refresh": "0s", "deadline": "5s", "timezone": "America/Chicago", **options}
    checked = read_options(GlpiTickets.OPTIONS, table)
    made = GlpiTickets("glpi", {**checked, "user_token": Secret(f"token-{login}"), **({"app_token": Secret(server.app_token)} if server.app_token else {})}, Site())
    await made.open()
    return made


@pytest.fixture
def server() -> Iterator[FakeGlpi]:
    with FakeGlpi() as fake:
        yield fake


@pytest.fixture
async def backend(server: FakeGlpi) -> AsyncIterator[GlpiTickets]:
    ana, bob = await adapter(server), await adapter(server, "bob")
    ana.seats = {"bob": bob}  # type: ignore[attr-defined]
    yield ana
    await ana.close()
    await bob.close()


class TestGlpi(TicketContract):
    """The suite, in GLPI's words; what GLPI does otherwise is asserted here in its own way."""

    @pytest.fixture
    def local(self) -> Local:
        return Local(
            ANA, BOB, new_number="#99999999", opened="Processing (assigned)", waiting="Pending", resolved="Solved", closed="Closed", too_early="offered",
            lacks=frozenset({"link", "split", "unmerge", "approve", "decide", "check", "reopened", "sla", "dedupe"}),
        )  # fmt: skip
