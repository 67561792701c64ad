"""What a ticket system can do, one Protocol a verb. A write verb is a `plan_<verb>`; see `backends.contract.Writes`.

Values of the changes (all plain JSON):
create {subject, body, queue, requester: {name,email,...}, priority, impact, urgency, kind, category, refs: [..]};
take {}; release {}; assign {assignee}; status {status, reason?, until?}; reply {body, status?, minutes?}; note {body, minutes?};
edit {subject|queue|category|priority|impact|urgency|tags: ...}; link/unlink {ref}.
`conflict` says how the system notices that somebody else was faster: atomic, etag, compare or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol, runtime_checkable

from backends.contract import Actor, Change, Page, Plan
from backends.tickets.model import Event, QueueCount, Ticket, TicketQuery, TicketRow, Vocabulary

ConflictCheck = Literal["atomic", "etag", "compare", "none"]


@runtime_checkable
class ListsTickets(Protocol):
    """Lists, counts and opens tickets."""

    conflict: ClassVar[ConflictCheck]

    async def tickets(self, query: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """A window of the list; `total` counts all that match."""

    async def position(self, query: TicketQuery, id: str) -> int | None:
        """Where a ticket stands in that list, or None."""

    async def ticket(self, id: str) -> Ticket:
        """The ticket by id or by number ("1042", "T-1042"). NotFound."""

    async def timeline(self, id: str) -> Sequence[Event]:
        """All its events, oldest first."""

    async def vocabulary(self) -> Vocabulary:
        """The site's words."""

    async def counts(self) -> QueueCount:
        """Figures over all open tickets."""

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """(newest cursor, ids changed after `since`); `since` -1 gives the cursor and no ids. Cheap: asked each second."""


@runtime_checkable
class CreatesTickets(Protocol):
    """New tickets."""

    async def plan_create(self, change: Change, actor: Actor) -> Plan:
        """Values as in the module's head; Invalid names missing fields."""


@runtime_checkable
class TakesTickets(Protocol):
    """Take (only when nobody has it; Conflict names who does) and release."""

    async def plan_take(self, change: Change, actor: Actor) -> Plan:
        """Become its assignee."""

    async def plan_release(self, change: Change, actor: Actor) -> Plan:
        """Give it back to the queue."""


@runtime_checkable
class AssignsTickets(Protocol):
    """Give a ticket to somebody."""

    async def plan_assign(self, change: Change, actor: Actor) -> Plan:
        """`assignee` "" is nobody."""


@runtime_checkable
class SetsStatus(Protocol):
    """Move a ticket along; Invalid says which statuses are offered."""

    async def plan_status(self, change: Change, actor: Actor) -> Plan:
        """A paused status needs `reason`; a resolved one `reason` as its resolution."""


@runtime_checkable
class RepliesToTickets(Protocol):
    """Public replies. The plan's `public` names the recipients."""

    async def plan_reply(self, change: Change, actor: Actor) -> Plan:
        """What the requester will read."""


@runtime_checkable
class NotesTickets(Protocol):
    """Internal notes; they can never leave the house."""

    async def plan_note(self, change: Change, actor: Actor) -> Plan:
        """A note for colleagues."""


@runtime_checkable
class EditsTickets(Protocol):
    """Change of plain fields."""

    async def plan_edit(self, change: Change, actor: Actor) -> Plan:
        """Only the named fields change."""
