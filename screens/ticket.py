"""The view of one ticket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from backends.contract import Ref
from backends.errors import BackendError
from backends.tickets.model import OPEN_PHASES, Event, Phase, Ticket, TicketQuery, TicketRow
from screens.base import Handler
from screens.drafts import split_key
from screens.record import RecordScreen
from screens.ticket_lines import Around, ticket_lines
from widgets.toned import Line

if TYPE_CHECKING:
    from console.perform import Performed

_ENDING = ("status", "reply", "refer", "assign", "release", "merge")
_COMMON = frozenset({"the", "and", "for", "with", "does", "not", "from", "since", "every", "again", "into", "can't", "after", "before", "please"})
LOOK_SECONDS = 5.0


class TicketScreen(RecordScreen):
    """Header facts, promises, links and the timeline, newest first; beside them what else the requester has and what was solved alike."""

    TRAIL = "Tickets"
    LEGEND: ClassVar[tuple[str, ...]] = (
        "tickets.reply", "tickets.note", "tickets.take", "tickets.status", "tickets.solve", "tickets.macro", "tickets.next", "global.back", "global.help",
    )  # fmt: skip
    record: Ticket | None = None
    events: Sequence[Event] = ()
    around = Around()
    _over = False

    def own_handlers(self) -> Mapping[str, Handler]:
        """The verbs, and the next and the previous ticket of the list."""
        return {**super().own_handlers(), "tickets.next": lambda: self._step(1), "tickets.previous": lambda: self._step(-1)}

    def _step(self, by: int) -> None:
        grid = self.console.desk_screen().panes[0].grid
        before = grid.cursor
        if grid.cursor_key == str(self.ref) or by < 0:
            grid.move(by)
        elif grid.cursor_key is not None:  # this one has left the list: the cursor stands on what came after it
            before = -1
        key = grid.cursor_key
        if key is None or grid.cursor == before:
            self.say("That was the last one of the list." if by > 0 else "That was the first one of the list.", "dim")
            return
        self.app.switch_screen(TicketScreen(Ref.parse(key)))

    def acted(self, performed: Performed | None) -> None:
        """After what ends the work here - solved, waiting, given away - the next ticket, where the site wants that."""
        record = performed.outcome.record if performed is not None and performed.outcome is not None else None
        row = record.row if isinstance(record, Ticket) else None
        over = row is None or row.phase in (Phase.PAUSED, Phase.RESOLVED, Phase.CLOSED) or row.assignee not in ("", self.desk.actor.login)
        if self.desk.config.next_after_action and over and (performed is None or performed.plan.change.verb in _ENDING):
            if self.app.screen is self:
                self._step(1)
            else:  # what was written on lies above; the next ticket comes when that has gone
                self._over = True

    def people_moved(self, numbers: set[str]) -> None:
        """Somebody came to this ticket, or left it."""
        if self.record is not None and self.record.row.number in numbers and self.is_attached:
            self.around = replace(self.around, watching=self.console.presence.words(self.record.row.number))
            self.view.show(self.build)

    def on_screen_resume(self) -> None:
        """Back from writing: what was kept as a draft is said."""
        super().on_screen_resume()
        if self._over:
            self._over = False
            self.call_later(self._step, 1)
        elif self.record is not None:
            self.read_again()

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

        if self.seat != ticket.row.number:
            self.seat = ticket.row.number
            self.console.sit(self.seat)
        kept = await in_thread(5.0, self.console.drafts.list)
        drafts = tuple(sorted(split_key(key)[0] for key in kept if key.endswith(str(self.ref))))
        who = ticket.requester.login or ticket.requester.email
        theirs = await self._rows(TicketQuery(phases=OPEN_PHASES, requester=who)) if who else ()
        words = [word for word in ticket.row.subject.lower().split() if len(word) > 3 and word not in _COMMON][:3]
        alike = await self._rows(TicketQuery(phases=(Phase.RESOLVED, Phase.CLOSED), text=" ".join(words))) if words else ()
        self.around = Around(tuple(row for row in theirs if row.id != ticket.row.id)[:5], tuple(row for row in alike if row.id != ticket.row.id)[:4], self.console.presence.words(ticket.row.number), drafts)
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
