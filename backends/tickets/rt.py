"""`RequestTracker`: tickets of an RT 5 by its REST 2.0. Every write is read back and compared; a list asks for columns only.

Never imports textual.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import quote

from backends.contract import Actor, Change, Health, Outcome, Page, Plan, plan_by_verb
from backends.contract import Site as House
from backends.errors import BackendError, BadConfig, NotAllowed, NotFound
from backends.options import Option
from backends.threads import in_thread
from backends.tickets import rt_edits, rt_reading, rt_writing
from backends.tickets.contract import ConflictCheck
from backends.tickets.model import Attachment, Event, Person, Phase, QueueCount, Ticket, TicketQuery, TicketRow, Vocabulary
from backends.tickets.rt_applying import FILES, Applying, decoded
from backends.tickets.rt_http import RtHttp, listed, one
from backends.tickets.rt_lists import Lists, tied
from backends.tickets.rt_query import Words
from backends.tickets.rt_reading import Item, Names

STATUSES: Mapping[str, Phase] = MappingProxyType({
    "new": Phase.NEW, "open": Phase.ACTIVE, "stalled": Phase.PAUSED, "waiting": Phase.PAUSED, "vendor": Phase.PAUSED, "resolved": Phase.RESOLVED,
    "closed": Phase.CLOSED, "rejected": Phase.CLOSED, "deleted": Phase.CLOSED,
})  # fmt: skip
LEVELS = (80, 60, 30)
TEXTS = "TransactionId,ContentType,Filename,Content"
KEPT = 2000
"""People and texts that are remembered."""
QUIET = frozenset({"Set", "Status", "CustomField", "SetWatcher", "AddWatcher", "DelWatcher"})
"""Transactions that bring neither words nor files."""


class RequestTracker:
    """The contract on RT. `conflict` is "etag": RT looks at the tag, but two writes in the same instant may both pass, so each is looked at again."""

    domain: ClassVar[str] = "tickets"
    adapter: ClassVar[str] = "rt"
    conflict: ClassVar[ConflictCheck] = "etag"
    HALF: ClassVar[Mapping[str, str]] = MappingProxyType({
        "conflict": "RT's check is not atomic: two changes in the same instant may both pass; each is read back, and who was overwritten is said",
        "note": "RT checks nothing for words: the ticket is looked at just before", "reply": "RT keeps the words also when it refuses the status",
        "log-call": "kept as an internal comment", "refer": "a status, a comment and custom fields; it does not come back by itself",
        "merge": "RT can't undo it", "sla": "RT shows one due time", "status": "RT names its labelled actions only; more by configuration",
        "counts": "open tickets per person are counted over the newest thousand", "create": "RT can't tell a repeated one from a new one",
    })  # fmt: skip
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("url", "text", "address of RT, without /REST", required=True), Option("token", "secret", "authentication token of the person"),
        Option("user", "text", "login in RT, for a session instead of a token", default=""), Option("password", "secret", "its password in RT"),
        Option("deadline", "duration", "time a call may take", default="15s"),
        Option("statuses", "list", 'status words with their phase that RT does not offer as an action, such as "paused: on hold"', default=()),
        Option("vendor_status", "text", "status of what a vendor has", default="vendor"),
        Option("agents", "list", "logins a ticket can be assigned to", default=()),
        Option("levels", "list", "lowest priority numbers of P1, P2 and P3", default=LEVELS),
        Option("requesters", "bool", "show in lists who asked: twice the work for RT", default=True),
        Option("fields", "table", f"custom fields by what they hold: {', '.join(rt_edits.CUSTOM)}", default={}),
    )  # fmt: skip

    def __init__(self, name: str, options: Mapping[str, Any], site: House) -> None:
        self.name = name
        self._url = str(options["url"]).rstrip("/").removesuffix("/REST/2.0")
        self._http = RtHttp(self._url, float(options.get("deadline") or 15.0), options.get("token"), str(options.get("user") or ""), options.get("password"))
        self._agents = tuple(options.get("agents") or ())
        more, levels = _more(options.get("statuses") or ()), _levels(options.get("levels") or LEVELS)
        custom = {str(ours): str(theirs) for ours, theirs in dict(options.get("fields") or {}).items()}
        unknown = sorted(set(custom) - set(rt_edits.CUSTOM))
        if unknown:
            raise BadConfig(f"fields: {unknown[0]!r} is not known; known: {', '.join(rt_edits.CUSTOM)}")
        vendor = str(options.get("vendor_status") or "")
        self._site = rt_reading.Site(name, {**STATUSES, **more}, levels, custom, tuple(more), vendor)
        self._queues: dict[str, str] = {}
        self._people: dict[str, Person] = {}
        self._logins: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        self._said: dict[str, tuple[int, str, tuple[Attachment, ...]]] = {}
        self._me = str(options.get("user") or "") if not options.get("token") else ""
        self._lists = Lists(self._http, self._site, bool(options.get("requesters", True)))
        self._applying = Applying(self._http, self, self.me)

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Log in and read the queues."""
        await self._http.get("/rt")
        items = await self.all_of("/queues/all", fields="Name,Lifecycle")
        self._queues = {rt_reading.word(item.get("id")): name for item in items if (name := rt_reading.word(item.get("Name")))}
        await self.me()

    async def health(self) -> Health:
        """RT's version and who we are there, or what is wrong."""
        try:
            body = one((await self._http.get("/rt")).body)
        except BackendError as error:
            return Health("down", error.sentence())
        return Health("ok", f"RT {rt_reading.word(body.get('Version'))[:40] or '?'}" + (f" as {self._me}" if self._me else ""))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def me(self) -> str:
        """Our login in RT: configured, or of the user whose number stands in the token; "" where it can't be found."""
        if not self._me and self._http.user_id:
            name = await self._numbered(self._http.user_id)
            self._me = "" if name.startswith("user ") else name
        return self._me

    def _words(self) -> Words:
        return Words(self._site.statuses, tuple(self._queues.values()), self._site.custom, self._site.levels)

    # -- reading ----------------------------------------------------------------------------------------

    async def all_of(self, path: str, most: int = 0, **params: Any) -> list[Item]:
        """Items of every page."""
        return await self._lists.all_of(path, most, **params)

    async def tickets(self, query: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """A window. What RT can't filter is filtered here among the first thousand it gives, and the page's note says so."""
        return await self._lists.page(query, self._words(), offset, limit)

    async def position(self, query: TicketQuery, id: str) -> int | None:
        """RT can't tell."""
        return None

    async def _read(self, id: str) -> tuple[Item, str]:
        ident = id.strip().lstrip("#")
        ident = ident[3:] if ident[:3].upper() == "RT-" else ident
        if not (ident.isascii() and ident.isdigit() and len(ident) < 12):
            raise NotFound(f"ticket {id}")
        answer = await self._http.get(f"/ticket/{ident}")
        return one(answer.body), answer.etag

    async def _seen(self, id: str) -> tuple[Ticket, Item]:
        """The ticket without text, files, and the names of ties, with RT's own form of it."""
        item, etag = await self._read(id)
        line = rt_reading.row(self._site, item, etag)
        people = {ident: await self._person(ident) for ident in _members(item)}
        askers = rt_reading.members(item, "Requestor", people)
        line = replace(line, queue=await self._queue(item), requester=askers[0].label() if askers else "")
        return rt_reading.ticket(self._site, line, item, people, "", (), f"{self._url}/Ticket/Display.html?id={line.id}"), item

    async def bare(self, id: str) -> Ticket:
        """The ticket without its text and files: what a write is checked against."""
        return (await self._seen(id))[0]

    async def ticket(self, id: str) -> Ticket:
        """The whole ticket; the number of a merged one gives the one it lives on as."""
        return await self.completed(await self.bare(id))

    def words_known_at(self, ident: str) -> int:
        """The transaction up to which text and files of a ticket are remembered, 0 where they are not."""
        return self._said[ident][0] if ident in self._said else 0

    async def completed(self, ticket: Ticket, since: Sequence[Item] | None = None) -> Ticket:
        """A bare ticket with text, files and the names of its ties. `since`: all transactions after `words_known_at`; nothing is read again when none brought words."""
        ident = ticket.row.id
        if since is None or ident not in self._said or any(item.get("Type") not in QUIET for item in since):
            attached = await self.all_of(f"/ticket/{ident}/attachments", fields="TransactionId,ContentType,Filename,ContentLength")
            mails: set[str] = set()
            if any(item.get("Filename") for item in attached):
                mails = {rt_reading.word(item.get("id")) for item in await self.all_of(f"/ticket/{ident}/history", fields="Type") if item.get("Type") in rt_reading.HIDDEN}
            body = await self._text(attached)
            _kept(self._said)[ident] = (rt_reading.number_of(ticket.row.version), body, tuple(rt_reading.files(attached, mails)))
        _, body, files = self._said[ident]
        return replace(ticket, body=body, attachments=files, links=tuple(await tied(self._lists, self._site, ticket.links)))

    async def _text(self, attached: Sequence[Item]) -> str:
        """What the ticket began with: it never changes, so it is read once. Where nothing was written, the first text is that of RT's own mail."""
        written = [rt_reading.number_of(item.get("TransactionId")) for item in attached if str(item.get("ContentType", "")).startswith("text/")]
        if not written:
            return ""
        first = str(min(written))
        if first not in self._texts:
            begun = one((await self._http.get(f"/transaction/{first}")).body).get("Type") == "Create"
            found = await self.all_of(f"/transaction/{first}/attachments", fields=TEXTS) if begun else []
            _kept(self._texts)[first] = next(iter(rt_reading.texts(found).values()), "")
        return self._texts[first]

    async def _queue(self, item: Item) -> str:
        queue = item.get("Queue")
        ident = rt_reading.word(queue.get("id")) if isinstance(queue, Mapping) else rt_reading.word(queue)
        if ident and ident not in self._queues:
            self._queues[ident] = rt_reading.word(one((await self._http.get(f"/queue/{_part(ident)}")).body).get("Name")) or ident
        return self._queues.get(ident, ident)

    async def _person(self, ident: str) -> Person:
        """Somebody by what RT calls the id of a user, which is the login; who may not be looked up is known by that alone."""
        if ident not in self._people:
            _kept(self._people)[ident] = rt_reading.person(await self._user(ident) or {"id": ident})
        return self._people[ident]

    async def _user(self, ident: str) -> Item | None:
        try:
            if not ident.isdigit():
                return one((await self._http.get(f"/user/{_part(ident)}")).body)
            # RT takes digits for a number, so a login of digits is searched for.
            condition = [{"field": "Name", "operator": "=", "value": ident}]
            found = listed((await self._http.search("/users", condition, fields="Name,EmailAddress,RealName")).body)
            return next((item for item in found if rt_reading.word(item.get("Name")) == ident), None)
        except (NotAllowed, NotFound):
            return None

    async def _numbered(self, number: str) -> str:
        """The login of the user with a number: histories speak in those."""
        if number not in self._logins:
            try:
                name = rt_reading.word(one((await self._http.get(f"/user/{number}")).body).get("Name"))
            except (NotAllowed, NotFound):
                name = ""
            _kept(self._logins)[number] = name or f"user {number}"
        return self._logins[number]

    async def timeline(self, id: str) -> Sequence[Event]:
        """Oldest first, with the texts."""
        item, _ = await self._read(id)
        ident = rt_reading.word(item.get("id"))
        history = await self.all_of(f"/ticket/{ident}/history", fields="Type,Field,OldValue,NewValue,Data,TimeTaken,Created,Creator", orderby="id", order="DESC")
        logins = {number: await self._numbered(number) for number in rt_reading.numbers_in(history)}
        names = Names(logins, self._queues, rt_reading.custom_names(item))
        return rt_reading.events(history, rt_reading.texts(await self._lists.texts(ident)), names)

    async def vocabulary(self) -> Vocabulary:
        """Queues, statuses, and who is configured or has open tickets."""
        agents = self._agents or tuple(sorted((await self.counts()).by_assignee))
        return Vocabulary(tuple(self._queues.values()), dict(self._site.statuses), agents, fields=tuple(self._site.custom.values()))

    async def counts(self) -> QueueCount:
        """Figures over the active ones, by RT's own counting; by assignee of the newest thousand."""
        return await self._lists.counts()

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """By the number of the newest transaction: no clocks."""
        return await self._lists.changes(since)

    async def people(self, text: str, limit: int = 20) -> Sequence[Person]:
        """By a part of address, name or login."""
        return await self._lists.people(text, limit)

    async def fetch(self, ticket: str, attachment: str) -> AsyncIterator[bytes]:
        """The file, at once: RT sends it as one text."""
        item, _ = await self._read(ticket)
        attached = await self.all_of(f"/ticket/{rt_reading.word(item.get('id'))}/attachments", fields="Filename,ContentLength")
        size = next((rt_reading.number_of(one_.get("ContentLength")) for one_ in attached if rt_reading.word(one_.get("id")) == attachment and attachment), None)
        if size is None:
            raise NotFound("it is not attached to this ticket")
        yield await in_thread(FILES, decoded, one((await self._http.file(f"/attachment/{attachment}", size)).body))

    # -- writing ----------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """What would happen."""
        return await plan_by_verb(self, change, actor)

    async def _made_from(self, change: Change, actor: Actor, other: str = "") -> rt_writing.Seen:
        ticket, item = await self._seen(change.target)
        second = await self.bare(str(change.values[other])) if other and str(change.values.get(other) or "").strip() else None
        me, ids = await self.me() or actor.login, {name: number for number, name in self._queues.items()}
        return rt_writing.Seen(ticket, item, me, self._words(), rt_reading.custom_names(item), ids, self._site.vendor, second)

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Send it. Conflict when the ticket moved on since the plan was made."""
        return await self._applying.apply(plan)

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """The expected fields as they are now."""
        return await self._applying.read_back(plan, outcome)

    async def plan_create(self, change: Change, actor: Actor) -> Plan:
        """A new ticket."""
        return rt_edits.create(change, actor, await self.me(), self._words())

    async def plan_take(self, change: Change, actor: Actor) -> Plan:
        """Become its owner."""
        return rt_writing.take(change, await self._made_from(change, actor))

    async def plan_steal(self, change: Change, actor: Actor) -> Plan:
        """From whoever has it."""
        return rt_writing.steal(change, await self._made_from(change, actor))

    async def plan_release(self, change: Change, actor: Actor) -> Plan:
        """Back to the queue."""
        return rt_writing.release(change, await self._made_from(change, actor))

    async def plan_assign(self, change: Change, actor: Actor) -> Plan:
        """To somebody."""
        return rt_writing.assign(change, await self._made_from(change, actor))

    async def plan_status(self, change: Change, actor: Actor) -> Plan:
        """Move it along."""
        return rt_writing.status(change, await self._made_from(change, actor))

    async def plan_note(self, change: Change, actor: Actor) -> Plan:
        """Internal."""
        return rt_writing.note(change, await self._made_from(change, actor))

    async def plan_reply(self, change: Change, actor: Actor) -> Plan:
        """Public."""
        return rt_writing.reply(change, await self._made_from(change, actor))

    async def plan_log_call(self, change: Change, actor: Actor) -> Plan:
        """A call with the requester."""
        return rt_writing.log_call(change, await self._made_from(change, actor))

    async def plan_time(self, change: Change, actor: Actor) -> Plan:
        """Minutes."""
        return rt_writing.time(change, await self._made_from(change, actor))

    async def plan_edit(self, change: Change, actor: Actor) -> Plan:
        """Fields."""
        return rt_edits.edit(change, await self._made_from(change, actor))

    async def plan_refer(self, change: Change, actor: Actor) -> Plan:
        """To a vendor."""
        return rt_writing.refer(change, await self._made_from(change, actor))

    async def plan_vendor_return(self, change: Change, actor: Actor) -> Plan:
        """Back from the vendor."""
        return rt_writing.vendor_return(change, await self._made_from(change, actor))

    async def plan_relate(self, change: Change, actor: Actor) -> Plan:
        """A tie."""
        return rt_writing.relate(change, await self._made_from(change, actor, "to"))

    async def plan_unrelate(self, change: Change, actor: Actor) -> Plan:
        """A tie less."""
        return rt_writing.unrelate(change, await self._made_from(change, actor, "to"))

    async def plan_merge(self, change: Change, actor: Actor) -> Plan:
        """One ticket out of two."""
        return rt_writing.merge(change, await self._made_from(change, actor, "into"))

    async def plan_watch(self, change: Change, actor: Actor) -> Plan:
        """Who is told."""
        return rt_writing.watch(change, await self._made_from(change, actor))

    async def plan_attach(self, change: Change, actor: Actor) -> Plan:
        """Files."""
        seen = await self._made_from(change, actor)
        return await in_thread(FILES, rt_edits.attach, change, seen)


def _members(item: Item) -> list[str]:
    """RT's ids of the people on a ticket."""
    found = [rt_reading.word(who.get("id")) for role in ("Requestor", "Cc", "AdminCc") for who in rt_reading.items(item.get(role)) if who.get("type") != "group"]
    return [ident for ident in dict.fromkeys(found) if ident]


def _kept(memory: dict[str, Any]) -> dict[str, Any]:
    """The memory with room for one more: what was first goes first."""
    while len(memory) >= KEPT:
        memory.pop(next(iter(memory)))
    return memory


def _part(text: str) -> str:
    return quote(text, safe="")


def _levels(numbers: Sequence[Any]) -> tuple[int, ...]:
    if len(numbers) != 3 or not all(isinstance(number, int) for number in numbers) or sorted(numbers, reverse=True) != list(numbers):
        raise BadConfig("levels: three falling numbers, such as [80, 60, 30]")
    return tuple(numbers)


def _more(lines: Sequence[str]) -> dict[str, Phase]:
    out: dict[str, Phase] = {}
    for line in lines:
        phase, colon, word = str(line).partition(":")
        if not colon or phase.strip() not in [known.value for known in Phase]:
            raise BadConfig(f'statuses: {line!r} is not "phase: word"')
        out[word.strip()] = Phase(phase.strip())
    return out

