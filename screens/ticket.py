"""The view of one ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from backends.contract import Ref
from backends.errors import BackendError
from backends.tickets.model import OPEN_PHASES, Event, Phase, Ticket, TicketQuery, TicketRow
from screens.base import Handler
from screens.record import RecordScreen
from screens.ticket_lines import Around, ticket_lines
from widgets.toned import Line

_COMMON = frozenset({"the", "and", "for", "with", "does", "not", "from", "since", "every", "again", "into", "can't", "after", "before", "please"})
LOOK_SECONDS = 5.0


class TicketScreen(RecordScreen):
    """Header facts, promises, links and the timeline, newest first; beside them what else the requester has and what was solved alike."""

    TRAIL = "Tickets"
    LEGEND: ClassVar[tuple[str, ...]] = (
        "tickets.reply", "tickets.note", "tickets.take", "tickets.status", "tickets.solve", "tickets.next", "list.jump", "global.back", "global.help",
    )  # fmt: skip
    record: Ticket | None = None
    events: Sequence[Event] = ()
    around = Around()

    def own_handlers(self) -> Mapping[str, Handler]:
        """The verbs, and the next and the previous ticket of the list."""
        return {**super().own_handlers(), "tickets.next": lambda: self._step(1), "tickets.previous": lambda: self._step(-1)}

    def _step(self, by: int) -> None:
        grid = self.console.desk_screen().panes[0].grid
        before = grid.cursor
        grid.move(by)
        key = grid.cursor_key
        if key is None or grid.cursor == before:
            self.say("That was the last one of the list." if by > 0 else "That was the first one of the list.", "dim")
            return
        self.app.switch_screen(TicketScreen(Ref.parse(key)))

    def label(self) -> str:
        """Its number and subject."""
        return f"{self.record.row.number} {self.record.row.subject}" if self.record else self.ref.id

    async def read(self) -> None:
        """The ticket and its timeline; what stands around it follows."""
        backend = self.backend()
        self.record = await backend.ticket(self.ref.id)
        self.events = await backend.timeline(self.ref.id)
        self.flow(self._look_around(self.record))

    async def _look_around(self, ticket: Ticket) -> None:
        from backends.threads import in_thread

        await in_thread(5.0, self.desk.live.note_seat, self.desk.actor.login, ticket.row.number)
        here = await in_thread(5.0, self.desk.live.seats)
        others = tuple(sorted({seat.login for seat in here if seat.what == ticket.row.number and seat.login != self.desk.actor.login}))
        who = ticket.requester.login or ticket.requester.email
        theirs = await self._rows(TicketQuery(phases=OPEN_PHASES, requester=who)) if who else ()
        words = [word for word in ticket.row.subject.lower().split() if len(word) > 3 and word not in _COMMON][:3]
        alike = await self._rows(TicketQuery(phases=(Phase.RESOLVED, Phase.CLOSED), text=" ".join(words))) if words else ()
        self.around = Around(tuple(row for row in theirs if row.id != ticket.row.id)[:5], tuple(row for row in alike if row.id != ticket.row.id)[:4], others)
        if self.is_attached and self.record is not None:
            self.view.show(self.build)

    async def _rows(self, query: TicketQuery) -> tuple[TicketRow, ...]:
        try:
            page = await asyncio.wait_for(self.backend().tickets(query, 0, 6), LOOK_SECONDS)
        except (BackendError, TimeoutError):
            return ()
        found: tuple[TicketRow, ...] = page.items
        return found

    def build(self, width: int) -> list[Line]:
        """Lines for a width."""
        assert self.record is not None
        return ticket_lines(self.record, self.events, self.links, self.desk.config.timezone, width, self.around)
