"""The list of tickets: columns, sorts, and a ticket as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.ages import age, left
from screens.sources import Source
from widgets.columns import Column, Row

if TYPE_CHECKING:
    from backends.tickets.model import TicketQuery, TicketRow

PHASE_TONE = {"new": "accent", "active": "", "paused": "dim", "resolved": "ok", "closed": "dim"}
PRIORITY_TONE = {1: "bad", 2: "warn", 3: "", 4: "dim"}


class TicketSource(Source):
    """Tickets of all ticket backends."""

    domain = "tickets"
    title = "Tickets"
    list_method = "tickets"
    first_sort = ("updated_at", True)
    first_view = "open"
    sorts = ("updated_at", "priority", "due_at", "created_at", "number", "status", "requester", "assignee", "queue", "subject")
    columns = (
        Column("number", "Ticket", 8),
        Column("priority", "P", 2, drop=2),
        Column("due_at", "Due", 5, align="right", drop=1),
        Column("subject", "Subject", 18, flex=3),
        Column("status", "Status", 11, drop=3),
        Column("requester", "Requester", 15, flex=1, drop=4),
        Column("assignee", "Assignee", 10, drop=5),
        Column("queue", "Queue", 12, drop=7),
        Column("updated_at", "Age", 4, align="right", drop=6),
        Column("location", "Location", 14, drop=8, wide=True),
        Column("created_at", "Made", 5, align="right", drop=8, wide=True),
        Column("backend", "Where", 9, drop=9, wide=True),
    )

    def first_query(self) -> TicketQuery:
        """Open tickets, the newest change first."""
        from backends.tickets.model import OPEN_PHASES, TicketQuery

        return TicketQuery(phases=OPEN_PHASES)

    def value(self, sort: str, item: Any) -> Any:
        """As the store sorts: words letter by letter, numbers as numbers."""
        from console.merging import ticket_value

        return ticket_value(sort, item)

    def kept_empty(self) -> frozenset[str]:
        """Nobody has it, no queue: those stand first."""
        from console.merging import EMPTY_TICKETS

        return EMPTY_TICKETS

    def row(self, item: Any, several: bool) -> Row:
        """A ticket's line: overdue in words and colour, priority as P1 to P4."""
        from backends.contract import now
        from backends.tickets.model import OPEN_PHASES

        ticket: TicketRow = item
        moment = now()
        late = ticket.due_at is not None and ticket.due_at < moment and ticket.phase in OPEN_PHASES
        remains = "late" if late and ticket.left == 0 else left(ticket.left, ticket.due_at, moment) if ticket.phase in OPEN_PHASES else ""
        urgent = PRIORITY_TONE.get(ticket.priority, "")
        here = self.presence is not None and ticket.number in self.presence.at
        cells = (
            ticket.number + ("*" if here else ""), f"P{ticket.priority}", remains, ticket.subject, ticket.status, ticket.requester, ticket.assignee or "-",
            ticket.queue, age(ticket.updated_at, moment), ticket.location, age(ticket.created_at, moment), ticket.backend,
        )  # fmt: skip
        tones = (
            "warn" if here else "accent", urgent, "bad" if late else "dim", "", PHASE_TONE.get(ticket.phase, ""), "dim", "" if ticket.assignee else "warn",
            "dim", "dim", "dim", "dim", "dim",
        )  # fmt: skip
        return Row(f"tickets:{ticket.backend}:{ticket.id}", cells, tones)
