"""Our own tickets, on the record store: every change is an event, the ticket is their fold. Never imports textual."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from backends.contract import Actor, Change, Health, Outcome, Page, Plan, Site, now, plan_by_verb
from backends.errors import BackendError, Conflict, NotFound
from backends.options import Option
from backends.polling import Polled
from backends.store.contract import All, Record, Store, Test
from backends.text import clean
from backends.threads import in_thread
from backends.tickets import alerts, closing, query, records
from backends.tickets.appending import EVENTS, TICKETS, caught_up, timeline
from backends.tickets.applying import Applying
from backends.tickets.contract import ConflictCheck
from backends.tickets.embedded_verbs import EmbeddedVerbs
from backends.tickets.events import iso, read_event
from backends.tickets.files import Files
from backends.tickets.importing import Importer
from backends.tickets.imports import Words
from backends.tickets.mail_settings import OPTIONS as MAIL_OPTIONS
from backends.tickets.mail_settings import MailSettings
from backends.tickets.mail_verbs import ROUND_SECONDS, Mailing, MailVerbs, health_text
from backends.tickets.mail_verbs import VERBS as MAIL_DEEDS
from backends.tickets.model import OPEN_PHASES, Event, Person, Phase, QueueCount, Ticket, TicketLink, TicketQuery, TicketRow, Vocabulary
from backends.tickets.numbers import heard, spoken
from backends.tickets.planning import House
from backends.tickets.promise import Promise
from backends.tickets.schedules_plans import VERBS as SCHEDULE_VERBS
from backends.tickets.schedules_run import Scheduling
from backends.tickets.schedules_verbs import ScheduleVerbs
from backends.tickets.waking import wake
from backends.tickets.workflow import Statuses

DEADLINE = 10.0
AT_ONCE = 200
COUNT_KEPT = 20.0
"""Seconds a count is kept while nothing changes: "overdue" moves with the clock."""
QUEUES = ("Service desk", "Network", "Systems", "Applications", "Web", "Facilities AV")
CATEGORIES = ("hardware", "software", "account", "e-mail", "network", "printing", "phone", "web site", "training", "purchase", "other")
_OPEN = tuple(phase.value for phase in OPEN_PHASES)
SETTINGS = "ticket_settings"
_DEFAULTS = {"response": ("1h", "4h", "9h", "18h"), "resolution": ("9h", "18h", "45h", "90h")}


class EmbeddedTickets(EmbeddedVerbs, ScheduleVerbs, MailVerbs):
    """The whole contract; conflicts are noticed atomically, as two writers can't make the same next event."""

    domain: ClassVar[str] = "tickets"
    adapter: ClassVar[str] = "embedded"
    conflict: ClassVar[ConflictCheck] = "atomic"
    HALF: ClassVar[Mapping[str, str]] = MappingProxyType({})
    poll_every = 60.0
    poll_deadline = 240.0
    poll_partial = True
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("queues", "list", "names of the queues, the first is the usual one", default=QUEUES),
        Option("categories", "list", "what tickets are about", default=CATEGORIES),
        Option("statuses", "list", 'status words with their phase, such as "active: In progress"'),
        Option("response", "list", "open hours until the first answer, P1 to P4", default=("1h", "4h", "9h", "18h")),
        Option("resolution", "list", "open hours until the resolution, P1 to P4", default=("9h", "18h", "45h", "90h")),
        Option("calendars", "table", "opening hours by name: zone, week, holidays, yearly, special"),
        Option("policies", "list", "promises in their order, instead of response and resolution"),
        Option("teams", "list", "teams a ticket can be given to", default=()),
        Option("vendors", "list", "vendors work is referred to", default=()),
        Option("agents", "list", "logins a ticket can be assigned to, beside those who have some", default=()),
        *closing.OPTIONS,
        *alerts.OPTIONS,
        *MAIL_OPTIONS,
    )

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self._store: Store = site.store
        self._agents = tuple(options.get("agents") or ())
        self._house = House(
            Statuses.read(options.get("statuses")), Promise.read({**_DEFAULTS, **{key: value for key, value in options.items() if value}}, site.timezone),
            tuple(options.get("queues") or QUEUES), tuple(options.get("categories") or CATEGORIES),
        )  # fmt: skip
        self._teams, self._vendors = tuple(options.get("teams") or ()), tuple(options.get("vendors") or ())
        self._files = Files(Path(site.data or ".") / "tickets" / name / "files")
        self._applying = Applying(self._store, self._house, self._files)
        self._zone = site.timezone
        self._scheduling = Scheduling(name, self._store, self._house, self._applying)
        self._ending = closing.Ending.read(options)
        self._alerting = alerts.Alerting(name, self._store, self._house, self._applying, str(options.get("alert_queue") or ""))
        self.alert_states = alerts.states(options.get("alerts") or ())
        self._demo = site.demo
        mail, folder = MailSettings.read(options), Path(site.data or ".") / "tickets" / name
        self._mailing = Mailing(name, self._store, self._house, self._applying, self._files, folder, mail, self._ending) if mail is not None else None
        self._counted: tuple[int, float, QueueCount] | None = None

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Declare what lists filter and sort by."""
        await in_thread(60.0, self._declare)

    def _declare(self) -> None:
        self._store.index(TICKETS, *query.INDEXES)
        self._store.index(EVENTS, "ticket,seq", "op_id")
        self._promised()
        if self._mailing is not None:
            self._mailing.declare()

    def _promised(self) -> None:
        """After another promise was configured the open tickets are due anew; resolved and closed ones are not judged again."""
        print_ = self._house.promise.fingerprint()
        known = self._store.get(SETTINGS, f"promise-{self.name}")
        if known is not None and known.doc.get("is") == print_:
            return
        for record in self._open_ones():
            due = self._house.promise.due(record.doc)
            wanted = iso(due) if due is not None else None
            if record.doc.get("due_at") != wanted:
                doc = {key: value for key, value in {**record.doc, "due_at": wanted}.items() if value is not None}
                with contextlib.suppress(Conflict):
                    self._store.update(TICKETS, record.id, doc, rev=record.rev)
        self._store.put(SETTINGS, f"promise-{self.name}", {"is": print_})

    def _open_ones(self) -> Iterator[Record]:
        """The open tickets, a few at a time: there may be very many."""
        for offset in itertools.count(0, AT_ONCE):
            found = self._store.select(TICKETS, Test("phase", "any", _OPEN), offset=offset, limit=AT_ONCE)
            yield from found
            if len(found) < AT_ONCE:
                return

    async def health(self) -> Health:
        """Says when the store is outgrown."""
        try:
            problems = await in_thread(DEADLINE, self._outgrown)
        except BackendError as error:
            return Health("down", error.sentence())
        stuck = health_text(await self.mail_status(), now())
        if stuck:
            return Health("warn", "; ".join([*problems, stuck]))
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
        moment, promise = now(), self._house.promise
        rows = (records.row(self.name, record) for record in found)
        return Page(tuple(replace(row, left=promise.left(record.doc, row.due_at, moment)) for row, record in zip(rows, found, strict=True)), offset, total)

    async def position(self, asked: TicketQuery, id: str) -> int | None:
        """Where it stands in the list."""
        return await in_thread(DEADLINE, lambda: self._store.position(TICKETS, id, query.where(asked, now()), query.order(asked)))

    async def ticket(self, id: str) -> Ticket:
        """By uid or number."""
        return await in_thread(DEADLINE, lambda: self._whole(self._record(id)))

    def _record(self, id: str) -> Record:
        number = heard(id)
        if number is not None:
            found = self._store.select(TICKETS, Test("number", "eq", number), limit=1, fields=("number",))
            if not found:
                raise NotFound(f"ticket {id}")
            id = found[0].id
        return caught_up(self._store, id, self._house.promise)

    def _whole(self, record: Record) -> Ticket:
        ticket = records.ticket(self.name, record, self._house.statuses)
        links = tuple(self._link(link) for link in record.doc.get("links", ()))
        moment, promise = now(), self._house.promise
        row = replace(ticket.row, left=promise.left(record.doc, ticket.row.due_at, moment))
        return replace(ticket, row=row, links=links, sla=promise.targets(record.doc, moment))

    def _link(self, link: Mapping[str, Any]) -> TicketLink:
        other = self._store.get(TICKETS, str(link["to"]))
        if other is None:
            return TicketLink(str(link["kind"]), str(link["to"]))
        return TicketLink(str(link["kind"]), other.id, spoken(int(other.doc["number"])), clean(other.doc["subject"]), clean(other.doc["status"]), str(other.doc["phase"]))

    async def people(self, text: str, limit: int = 20) -> Sequence[Person]:
        """Who asked before, the newest first."""
        return await in_thread(DEADLINE, self._people, text, limit)

    def _people(self, text: str, limit: int) -> Sequence[Person]:
        number = "".join(letter for letter in text if letter.isdigit())
        words = [number] if len(number) >= 4 and not any(letter.isalpha() for letter in text) else text.lower().split()
        if not words:
            return ()
        where = Test("email", "has", words[0]) if "@" in words[0] else All(tuple(Test("search", "has", word) for word in words))
        found: dict[str, Person] = {}
        for record in self._store.select(TICKETS, where, query.order(TicketQuery()), limit=300):
            person = records.person(record.doc)
            digits = "".join(letter for letter in person.phone if letter.isdigit())
            if all(word in f"{person.name} {person.login} {person.email} {person.phone} {digits}".lower() for word in words):
                found.setdefault(person.login or person.email or person.name, person)
            if len(found) >= limit:
                break
        return tuple(found.values())

    async def fetch(self, ticket: str, attachment: str) -> AsyncIterator[bytes]:
        """The file in pieces."""
        record = await in_thread(DEADLINE, self._record, ticket)
        if attachment not in [item["sha256"] for item in record.doc.get("attachments", ())]:
            raise NotFound("it is not attached to this ticket")
        pieces = self._files.read(attachment)
        while (piece := await in_thread(DEADLINE, next, pieces, b"")):
            yield piece

    async def timeline(self, id: str) -> Sequence[Event]:
        """Oldest first."""
        return await in_thread(DEADLINE, lambda: [_cleaned(read_event(doc)) for doc in timeline(self._store, self._record(id).id)])

    async def vocabulary(self) -> Vocabulary:
        """The site's words; people are those configured and those who have open tickets."""
        counted = await self.counts()
        agents = tuple(sorted({*self._agents, *counted.by_assignee} - {""}))
        return Vocabulary(
            self._house.queues, dict(self._house.statuses.phases), agents, self._house.categories, self._teams, vendors=self._vendors,
        )  # fmt: skip

    async def counts(self) -> QueueCount:
        """Figures over the open ones, kept until something changes."""
        return await in_thread(DEADLINE, self._count)

    def _count(self) -> QueueCount:
        seq = self._store.seq()
        kept = self._counted
        if kept is not None and kept[0] == seq and time.monotonic() - kept[1] < COUNT_KEPT:
            return kept[2]
        open_ = Test("phase", "any", _OPEN)
        late = self._store.tally(TICKETS, All((open_, Test("due_at", "lt", iso(now())))), "queue")
        people: dict[str, int] = {}
        queues: dict[str, tuple[int, int, int]] = {str(queue or ""): (0, 0, number) for (queue,), number in late.items()}
        for (queue, phase, who), number in self._store.tally(TICKETS, open_, "queue", "phase", "assignee").items():
            people[str(who or "")] = people.get(str(who or ""), 0) + number
            opened, fresh, overdue = queues.get(str(queue or ""), (0, 0, 0))
            queues[str(queue or "")] = (opened + number, fresh + (number if phase == Phase.NEW else 0), overdue)
        counted = QueueCount(
            sum(one[0] for one in queues.values()), sum(one[1] for one in queues.values()), sum(late.values()), people.pop("", 0), people, queues,
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

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Append the planned event, or make the planned ticket, or change the schedule."""
        if plan.change.verb in SCHEDULE_VERBS:
            return await in_thread(DEADLINE, self._scheduling.apply, plan, actor, op_id)
        if plan.change.verb in MAIL_DEEDS:
            return await in_thread(DEADLINE, self.mailing().apply, plan, actor, op_id, now())
        outcome = await in_thread(DEADLINE, self._applying.apply, plan, actor, op_id)
        if self._mailing is not None and (plan.change.values.get("event") or {}).get("mail"):
            with contextlib.suppress(BackendError):  # the collector queues it when this can't
                await in_thread(DEADLINE, self._mailing.outbox.collect, now())
        return outcome

    async def plan_reply(self, change: Change, actor: Actor) -> Plan:
        """Public; with mail the plan names who gets it."""
        plan = await super().plan_reply(change, actor)
        if self._mailing is None:
            return plan
        record = await in_thread(DEADLINE, self._record, change.target)
        return self._mailing.addressed(plan, record.doc)

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """The expected fields as they are now."""
        return await in_thread(DEADLINE, self._read_back, plan, outcome)

    def _read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        if plan.change.verb in SCHEDULE_VERBS:
            return self._scheduling.read_back(plan, outcome)
        if plan.change.verb in MAIL_DEEDS:
            return self.mailing().read_back(plan, outcome)
        found, record = self._applying.read_back(plan, outcome)
        return found, self._whole(record)

    def importer(self, source: str, words: Words, by: str) -> Importer:
        """Takes over the tickets of another system."""
        return Importer(self._store, self._house, self._files, source, words, by)

    async def poll(self) -> Sequence[Polled]:
        """The collector's side: what waited comes back, what is due is made, what is done is closed."""
        await in_thread(60.0, self._by_itself)
        if self._mailing is not None:
            await in_thread(ROUND_SECONDS, self._mailing.run, now())
        return ()

    def _by_itself(self) -> None:
        wake(self._store, self._house, now())
        self._scheduling.run(now())
        if not self._demo:  # a demo's resolved tickets are as old as they were made
            closing.close(self._store, self._house, self._ending, now())

    async def observe_alerts(self, seen: Sequence[alerts.Alert], looked: Collection[str], unsettled: Collection[str] = ()) -> int:
        """Faults of devices as they are now; see `alerts.Alerting.observe`."""
        return await in_thread(60.0, self._alerting.observe, seen, looked, now(), unsettled)


def _cleaned(event: Event) -> Event:
    return replace(event, actor=clean(event.actor), body=clean(event.body, one_line=False), quoted=clean(event.quoted, one_line=False))
