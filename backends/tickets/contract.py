"""What a ticket system can do, one Protocol a verb. A write verb is a `plan_<verb>`; see `backends.contract.Writes`.

Values of the changes (all plain JSON; moments are UTC ISO text, minutes whole numbers):
create {subject, body, queue, requester: {name, email, phone, login, location, department}, priority?, impact?, urgency?, kind?, category?,
assignee?, team?, tags?, fields?, refs?, origin?, due?, dedupe_key?, minutes?}; take {}; steal {}; release {};
assign {assignee} or {team} or both; status {status, reason?, until?}; reply {body, status?, reason?, minutes?, cc?, files?}; note {body, minutes?, files?};
log-call {body, minutes} (a telephone call with the requester: public work, not sent); edit {subject | queue | category | kind | tags | location | due |
estimate | impact | urgency | priority with priority_reason | fields: {name: value or values}}; time {minutes, body?};
refer {vendor, contact?, reference?, promised?, follow_up?, body?}; vendor-return {body?}; relate / unrelate {kind, to}; link / unlink {ref};
merge {into}; unmerge {}; split {seqs, subject}; watch {add: [..], remove: [..]} (addresses: told of replies; logins: colleagues);
approve {what, by} asks, decide {id, decision, document} answers; check {item, done}; attach {files}.
`files`: [{name, path, sha256, size}], read from `path` when applied. `conflict` says how the system notices that somebody else was faster:
atomic, etag, compare or none. `HALF` says in words what it can do only half.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import ClassVar, Literal, Protocol, runtime_checkable

from backends.contract import Actor, Change, Page, Plan
from backends.tickets.model import Event, Occurrence, Person, QueueCount, Schedule, Ticket, TicketQuery, TicketRow, Vocabulary

ConflictCheck = Literal["atomic", "etag", "compare", "none"]


@runtime_checkable
class ListsTickets(Protocol):
    """Lists, counts and opens tickets."""

    conflict: ClassVar[ConflictCheck]
    HALF: ClassVar[Mapping[str, str]]
    """Verb or feature -> what is only half so, as a sentence for the screen ("take": "the last one wins; looked at again after")."""

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


@runtime_checkable
class FindsPeople(Protocol):
    """Looks people up by a part of name, login, address or telephone number."""

    async def people(self, text: str, limit: int = 20) -> Sequence[Person]:
        """Those who asked before or are known to the system; the likeliest first."""


@runtime_checkable
class FetchesAttachments(Protocol):
    """Reads the files of tickets."""

    def fetch(self, ticket: str, attachment: str) -> AsyncIterator[bytes]:
        """Its bytes in pieces. NotFound."""


@runtime_checkable
class StealsTickets(Protocol):
    """Takes a ticket from whoever has it."""

    async def plan_steal(self, change: Change, actor: Actor) -> Plan:
        """Refused when nobody has it (take it) or the actor has it."""


@runtime_checkable
class RefersTickets(Protocol):
    """Gives work to a vendor and takes it back."""

    async def plan_refer(self, change: Change, actor: Actor) -> Plan:
        """Pauses the ticket until the day of the follow-up, when it comes back by itself."""

    async def plan_vendor_return(self, change: Change, actor: Actor) -> Plan:
        """The vendor is done, or gave it back."""


@runtime_checkable
class LogsTime(Protocol):
    """Time spent."""

    async def plan_time(self, change: Change, actor: Actor) -> Plan:
        """Minutes, with a word about them."""


@runtime_checkable
class LogsCalls(Protocol):
    """Telephone calls on a ticket."""

    async def plan_log_call(self, change: Change, actor: Actor) -> Plan:
        """Counts as an answer to the requester; nothing is sent."""


@runtime_checkable
class RelatesTickets(Protocol):
    """Ties between tickets."""

    async def plan_relate(self, change: Change, actor: Actor) -> Plan:
        """`kind` is a `LinkKind`; both sides show it afterwards."""

    async def plan_unrelate(self, change: Change, actor: Actor) -> Plan:
        """The tie is gone on both sides."""


@runtime_checkable
class MergesTickets(Protocol):
    """One ticket out of two."""

    async def plan_merge(self, change: Change, actor: Actor) -> Plan:
        """This ticket goes into `into`; what it says about undoing stands in the side effects."""


@runtime_checkable
class SplitsTickets(Protocol):
    """Two tickets out of one."""

    async def plan_split(self, change: Change, actor: Actor) -> Plan:
        """A new ticket with copies of the events `seqs`, tied to this one."""


@runtime_checkable
class WatchesTickets(Protocol):
    """People who are kept in the picture."""

    async def plan_watch(self, change: Change, actor: Actor) -> Plan:
        """Add and remove sets, never the whole list."""


@runtime_checkable
class ApprovesTickets(Protocol):
    """Documentation of authority."""

    async def plan_approve(self, change: Change, actor: Actor) -> Plan:
        """Ask `by` for `what`."""

    async def plan_decide(self, change: Change, actor: Actor) -> Plan:
        """Only who was asked, or an admin, decides; `document` is what it rests on."""


@runtime_checkable
class ChecksItems(Protocol):
    """Checklists."""

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """Set one item done or open; an unknown item is added."""


@runtime_checkable
class AttachesFiles(Protocol):
    """Files of a ticket."""

    async def plan_attach(self, change: Change, actor: Actor) -> Plan:
        """Size and sha256 are in the plan; the file is read again when it is applied."""


@runtime_checkable
class SchedulesTickets(Protocol):
    """Tickets that come again and again. Values: schedule {rule, start?, zone?, lead?, within? (seconds), and what create takes:
    subject, body?, queue?, category?, kind?, priority?, impact?, urgency?, assignee?, team?, requester?, refs?, checklist?: [item]};
    schedule-pause {reason?}; schedule-resume {}; schedule-skip {at? (UTC ISO; the next without it), reason}; schedule-run {}; schedule-remove {}.
    The target is the schedule's id or number.
    """

    async def schedules(self) -> Sequence[Schedule]:
        """All of them, the next due first."""

    async def schedule(self, id: str) -> Schedule:
        """By id or number. NotFound."""

    async def occurrences(self, id: str, coming: int = 5, past: int = 50) -> Sequence[Occurrence]:
        """The next `coming`, then what became of the last `past`, the newest first."""

    async def plan_schedule(self, change: Change, actor: Actor) -> Plan:
        """A new one, or other values of one (only those named); the plan shows its next five dates."""

    async def plan_schedule_pause(self, change: Change, actor: Actor) -> Plan:
        """Nothing is made until it is resumed."""

    async def plan_schedule_resume(self, change: Change, actor: Actor) -> Plan:
        """What was due meanwhile is recorded as skipped."""

    async def plan_schedule_skip(self, change: Change, actor: Actor) -> Plan:
        """One occurrence to come makes no ticket."""

    async def plan_schedule_run(self, change: Change, actor: Actor) -> Plan:
        """A ticket now, beside the rule."""

    async def plan_schedule_remove(self, change: Change, actor: Actor) -> Plan:
        """It is gone; its tickets stay."""
