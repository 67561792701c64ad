"""The number of a ticket as people say it, from its reference."""

from __future__ import annotations

from backends.contract import Ref
from backends.errors import BackendError
from console.desk import Desk


async def ticket_number(desk: Desk, reference: str) -> str:
    """"T-1042" of "tickets:desk:...", its id where the system does not answer, "" for ""."""
    if not reference:
        return ""
    ref = Ref.parse(reference)
    try:
        return str((await (await desk.backend("tickets", ref.backend)).ticket(ref.id)).row.number)
    except BackendError:
        return ref.id
