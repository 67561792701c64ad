"""Our own tickets, on the record store: every change is an event, the ticket is their fold. Never imports textual."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from backends.contract import Actor, Change, Health, Outcome, Page, Plan, Site, now, plan_by_verb
from backends.errors import BackendError, Conflict, NotFound
from backends.options import Option
from backends.store.contract import Record, Store, Test
from backends.threads import in_thread
from backends.tickets import planning, query, records
from backends.tickets.appending import EVENTS, TICKETS, append, caught_up, timeline
from backends.tickets.contract import ConflictCheck
from backends.tickets.events import event_id, fold, iso, read_event
from backends.tickets.model import OPEN_PHASES, Event, Phase, QueueCount, Ticket, TicketQuery, TicketRow, Vocabulary
from backends.tickets.numbers import heard, next_number
from backends.tickets.planning import House
from backends.tickets.workflow import Statuses, Targets

DEADLINE = 10.0
COUNT_KEPT = 20.0
"""Seconds a count is kept while nothing changes: "overdue" moves with the clock."""
QUEUES = ("Service desk", "Network", "Systems", "Applications", "Web", "Facilities AV")
CATEGORIES = ("hardware", "software", "account", "e-mail", "network", "printing", "phone", "web site", "training", "purchase", "other")
_OPEN = tuple(phase.value for phase in OPEN_PHASES)


class EmbeddedTickets:
    """The whole contract; conflicts are noticed atomically, as two writers can't make the same next event."""

    domain: ClassVar[str] = "tickets"
    adapter: ClassVar[str] = "embedded"
    conflict: ClassVar[ConflictCheck] = "atomic"
    HALF: ClassVar[Mapping[str, str]] = MappingProxyType({})
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("queues", "list", "names of the queues, the first is the usual one", default=QUEUES),
        Option("categories", "list", "what tickets are about", default=CATEGORIES),
        Option("statuses", "list", 'status words with their phase, such as "active: In progress"'),
        Option("response", "list", "targets for the first answer, P1 to P4", default=("1h", "4h", "8h", "24h")),
        Option("resolution", "list", "targets for the resolution, P1 to P4", default=("8h", "24h", "72h", "168h")),
        Option("agents", "list", "logins a ticket can be assigned to, beside those who have some", default=()),
    )

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self._store: Store = site.store
        self._agents = tuple(options.get("agents") or ())
        self._house = House(
            Statuses.read(options.get("statuses")), Targets.read(options.get("response"), options.get("resolution")),
            tuple(options.get("queues") or QUEUES), tuple(options.get("categories") or CATEGORIES),
        )  # fmt: skip
        self._counted: tuple[int, float, QueueCount] | None = None

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Declare what lists filter and sort by."""
        await in_thread(60.0, self._declare)

    def _declare(self) -> None:
        self._store.index(TICKETS, *query.INDEXES, "updated_at,search")
        self._store.index(EVENTS, "ticket,seq", "op_id")

    async def health(self) -> Health:
        """Says when the store is outgrown."""
        try:
            problems = await in_thread(DEADLINE, self._outgrown)
        except BackendError as error:
            return Health("down", error.sentence())
        return Health("warn", problems[0]) if problems else Health("ok", f"{self._store.engine} store")

    def _outgrown(self) -> list[str]:
        return self._store.check() if self._store.engine == "tinydb" else []

    async def close(self) -> None:
        """The store is the desk's."""

    # -- reading ----------------------------------------------------------------------------------------

    async def tickets(self, query_: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """A window of the list."""
        return await in_thread(DEADLINE, self._page, query_, offset, limit)

    def _page(self, asked: TicketQuery, offset: int, limit: int) -> Page[TicketRow]:
        where, order = query.where(asked, now()), query.order(asked)
        found = self._store.select(TICKETS, where, order, offset=offset, limit=limit, fields=records.ROW_FIELDS)
        whole = offset == 0 and len(found) < limit
        total = len(found) if whole else self._store.count(TICKETS, where)
        return Page(tuple(records.row(self.name, record) for record in found), offset, total)

    async def position(self, asked: TicketQuery, id: str) -> int | None:
        """Where it stands in the list."""
        return await in_thread(DEADLINE, lambda: self._store.position(TICKETS, id, query.where(asked, now()), query.order(asked)))

    async def ticket(self, id: str) -> Ticket:
        """By uid or number."""
        return await in_thread(DEADLINE, lambda: records.ticket(self.name, self._record(id), self._house.statuses))

    def _record(self, id: str) -> Record:
        number = heard(id)
        if number is not None:
            found = self._store.select(TICKETS, Test("number", "eq", number), limit=1, fields=("number",))
            if not found:
                raise NotFound(f"ticket {id}")
            id = found[0].id
        return caught_up(self._store, id)

    async def timeline(self, id: str) -> Sequence[Event]:
        """Oldest first."""
        return await in_thread(DEADLINE, lambda: [_cleaned(read_event(doc)) for doc in timeline(self._store, self._record(id).id)])

    async def vocabulary(self) -> Vocabulary:
        """The site's words; people are those configured and those who have open tickets."""
        counted = await self.counts()
        agents = tuple(sorted({*self._agents, *counted.by_assignee} - {""}))
        return Vocabulary(self._house.queues, dict(self._house.statuses.phases), agents, self._house.categories)

    async def counts(self) -> QueueCount:
        """Figures over the open ones, kept until something changes."""
        return await in_thread(DEADLINE, self._count)

    def _count(self) -> QueueCount:
        seq = self._store.seq()
        kept = self._counted
        if kept is not None and kept[0] == seq and time.monotonic() - kept[1] < COUNT_KEPT:
            return kept[2]
        open_ = self._store.select(TICKETS, Test("phase", "any", _OPEN), fields=("phase", "assignee", "due_at"))
        moment = iso(now())
        people: dict[str, int] = {}
        for record in open_:
            who = str(record.doc.get("assignee", ""))
            people[who] = people.get(who, 0) + 1
        counted = QueueCount(
            len(open_), sum(record.doc["phase"] == Phase.NEW for record in open_),
            sum((record.doc.get("due_at") or "~") < moment for record in open_), people.pop("", 0), people,
        )  # fmt: skip
        self._counted = (seq, time.monotonic(), counted)
        return counted

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """The store's feed."""
        return await in_thread(DEADLINE, self._changes, since)

    def _changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        seq = self._store.seq()
        if since < 0 or seq <= since:
            return seq, ()
        return seq, tuple(item.id for item in self._store.changes(since, collection=TICKETS))

    # -- writing ----------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """What would happen."""
        return await plan_by_verb(self, change, actor)

    async def _planned(self, how: Callable[[Change, Record, Actor, House], Plan], change: Change, actor: Actor) -> Plan:
        record = await in_thread(DEADLINE, self._record, change.target)
        return how(change, record, actor, self._house)

    async def plan_create(self, change: Change, actor: Actor) -> Plan:
        """A new ticket."""
        return planning.plan_create(change, actor, self._house)

    async def plan_take(self, change: Change, actor: Actor) -> Plan:
        """Become its assignee."""
        return await self._planned(planning.plan_take, change, actor)

    async def plan_release(self, change: Change, actor: Actor) -> Plan:
        """Give it back."""
        return await self._planned(planning.plan_release, change, actor)

    async def plan_assign(self, change: Change, actor: Actor) -> Plan:
        """To somebody."""
        return await self._planned(planning.plan_assign, change, actor)

    async def plan_status(self, change: Change, actor: Actor) -> Plan:
        """Move it along."""
        return await self._planned(planning.plan_status, change, actor)

    async def plan_reply(self, change: Change, actor: Actor) -> Plan:
        """Public."""
        return await self._planned(planning.plan_reply, change, actor)

    async def plan_note(self, change: Change, actor: Actor) -> Plan:
        """Internal."""
        return await self._planned(planning.plan_note, change, actor)

    async def plan_edit(self, change: Change, actor: Actor) -> Plan:
        """Plain fields."""
        return await self._planned(planning.plan_edit, change, actor)

    async def plan_link(self, change: Change, actor: Actor) -> Plan:
        """About one more record."""
        return await self._planned(planning.plan_link, change, actor)

    async def plan_unlink(self, change: Change, actor: Actor) -> Plan:
        """About one record less."""
        return await self._planned(planning.plan_unlink, change, actor)

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Append the planned event, or make the planned ticket."""
        work = self._create if plan.change.verb == "create" else self._append
        return await in_thread(DEADLINE, work, plan, actor, op_id)

    def _create(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        ident = uuid.uuid5(uuid.NAMESPACE_OID, op_id).hex
        event = {
            **plan.change.values["event"],
            "ticket": ident,
            "seq": 1,
            "at": iso(now()),
            "actor": actor.login,
            "via": "ui",
            "op_id": op_id,
        }
        known = self._store.get(EVENTS, event_id(ident, 1))
        if known is None:
            event["set"] = {**event["set"], "number": next_number(self._store)}
            known = self._store.insert(EVENTS, event, id=event_id(ident, 1), op_id=op_id)
        if self._store.get(TICKETS, ident) is None:
            self._store.put(TICKETS, ident, fold(None, known.doc))
        number = known.doc["set"]["number"]
        return Outcome("done", f"T-{number}", ident)

    def _append(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        event = {**plan.change.values["event"], "at": iso(now()), "actor": actor.login, "via": "ui"}
        was: Mapping[str, Any] = plan.change.values.get("was") or {}

        def guard(doc: Mapping[str, Any]) -> None:
            theirs = {name: doc.get(name) for name in event["set"] if (doc.get(name) or None) != (was.get(name) or None)}
            if theirs:
                mine = {name: event["set"][name] for name in theirs}
                raise Conflict("the ticket was changed meanwhile: " + ", ".join(theirs), mine=mine, theirs=theirs)

        record, key = append(self._store, plan.change.target, event, op_id, guard)
        return Outcome("done", "", record.id, {"event": key})

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """The expected fields as they are now."""
        return await in_thread(DEADLINE, self._read_back, plan, outcome)

    def _read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        record = caught_up(self._store, outcome.target or plan.change.target)
        found = {name: record.doc.get(name) for name in plan.expected}
        for name, wanted in plan.expected.items():
            if not wanted and not found[name]:
                found[name] = wanted
        key = outcome.applied.get("event")
        if "body" in plan.expected and key:
            event = self._store.get(EVENTS, str(key))
            found["body"] = event.doc.get("body") if event else None
        return found, records.ticket(self.name, record, self._house.statuses)


def _cleaned(event: Event) -> Event:
    from dataclasses import replace

    from backends.text import clean

    return replace(event, actor=clean(event.actor), body=clean(event.body, one_line=False))
