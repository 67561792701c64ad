"""The view of one ticket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from backends.tickets.model import Event, Ticket
from screens.record import RecordScreen
from screens.ticket_lines import ticket_lines
from widgets.toned import Line


class TicketScreen(RecordScreen):
    """Header facts, links and the timeline, newest first."""

    TRAIL = "Tickets"
    LEGEND: ClassVar[tuple[str, ...]] = (
        "tickets.reply", "tickets.note", "tickets.take", "tickets.status", "tickets.assign", "list.jump", "global.back", "global.help",
    )  # fmt: skip
    record: Ticket | None = None
    events: Sequence[Event] = ()

    def label(self) -> str:
        """Its number and subject."""
        return f"{self.record.row.number} {self.record.row.subject}" if self.record else self.ref.id

    async def read(self) -> None:
        """The ticket and its timeline."""
        backend = self.backend()
        self.record = await backend.ticket(self.ref.id)
        self.events = await backend.timeline(self.ref.id)
        self.desk.live.note_seat(self.desk.actor.login, self.record.row.number)

    def build(self, width: int) -> list[Line]:
        """Lines for a width."""
        assert self.record is not None
        return ticket_lines(self.record, self.events, self.links, self.desk.config.timezone, width)
