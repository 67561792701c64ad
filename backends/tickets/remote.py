"""What adapters of systems without a version check share: reading before a write, comparing after it, and never sending twice.

The adapter says how a ticket is read and how a planned change is sent. Never imports an adapter.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from backends.contract import Actor, Change, Outcome, Page, Plan, now, plan_by_verb
from backends.errors import BackendError, Conflict, Invalid, NotAllowed, NotFound, Uncertain
from backends.threads import in_thread
from backends.tickets.model import Event, Ticket, TicketQuery, TicketRow
from backends.tickets.remote_plans import Ways, field_of, plan_of

SAME = timedelta(minutes=2)
"""How old a text may be and still be the one that was sent without an answer."""
REMEMBERED = 500
SCANNED = 2000
"""Rows that are looked at for what the server can't say."""


class RemoteTickets:
    """The write path. `_me` is the login that acts; `_send` does what a plan's `set` and `say` ask for, and nothing else."""

    name: str
    _me: str
    _http: Any
    """The wire; `written` counts the writes that were answered well."""
    beside: ClassVar[tuple[str, ...]] = ("tags", "watching")
    """Fields that the system keeps beside the ticket: a change of them does not show in its version."""

    def __init__(self) -> None:
        self._done: OrderedDict[str, Outcome] = OrderedDict()
        self._unsure: dict[str, float] = {}
        self.wrote = 0
        """Grows with each write: what was counted before is old."""

    # -- the adapter's part ---------------------------------------------------------------------------------

    async def ticket(self, id: str) -> Ticket:
        """The whole ticket."""
        raise TypeError("the adapter reads tickets")

    async def timeline(self, id: str) -> Sequence[Event]:
        """Its events."""
        raise TypeError("the adapter reads timelines")

    async def tickets(self, query: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """A window of a list."""
        raise TypeError("the adapter lists tickets")

    async def _send(self, plan: Plan, actor: Actor) -> Outcome:
        raise TypeError("the adapter sends")

    async def _version(self, id: str) -> str:
        """The version of a ticket, cheaply."""
        return (await self.ticket(id)).row.version

    async def _ways(self, ticket: Ticket | None) -> Ways:
        raise TypeError("the adapter knows its ways")

    def _acts(self, actor: Actor) -> str:
        """The login under which the actor works there."""
        return self._me or actor.login

    # -- planning -------------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """What would happen."""
        return await plan_by_verb(self, change, actor)

    async def _planned(self, change: Change, actor: Actor) -> Plan:
        ticket = await self.ticket(change.target)
        if change.verb in ("relate", "unrelate"):
            other = await self.ticket(str(change.values.get("to") or ""))
            change = replace(change, values={**change.values, "to": other.row.id, "number": other.row.number})
        return await in_thread(30.0, plan_of, change, ticket, self._acts(actor), await self._ways(ticket))

    plan_take = plan_steal = plan_release = plan_assign = plan_status = plan_note = plan_reply = plan_log_call = _planned
    plan_time = plan_edit = plan_refer = plan_vendor_return = plan_relate = plan_unrelate = plan_watch = plan_attach = _planned

    # -- applying -------------------------------------------------------------------------------------------

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Send what was planned, once. Conflict when a planned field moved on, Uncertain when no answer came."""
        known = self._done.get(op_id)
        if known is not None:
            return known
        print_ = _fingerprint(plan)
        if time.monotonic() - self._unsure.get(print_, -1e9) < SAME.total_seconds():
            arrived = await self._arrived(plan)
            if arrived is not None:
                return self._finished(op_id, arrived)
        await self._unmoved(plan)
        await in_thread(30.0, unchanged, plan.change.values.get("files") or ())
        before = self._http.written
        try:
            outcome = await self._send(plan, actor)
        except Uncertain:
            self._unsure[print_] = time.monotonic()
            raise
        except (Conflict, Invalid):
            raise
        except BackendError as error:
            if self._http.written == before:
                raise
            outcome = Outcome("partial", f"only a part of it was done: {error.text}", plan.change.target)  # what is there is read back
        finally:
            self.wrote += 1
        return self._finished(op_id, outcome)

    def _finished(self, op_id: str, outcome: Outcome) -> Outcome:
        self._done[op_id] = outcome
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        return outcome

    async def _unmoved(self, plan: Plan) -> None:
        """Conflict names the planned fields that somebody else changed meanwhile; other changes are no conflict."""
        target, was, wanted = plan.change.target, plan.change.values.get("was") or {}, plan.change.values.get("set") or {}
        if not target:
            return
        beside = any(name.startswith("link ") or name in self.beside for name in was)
        if not beside and await self._version(target) == plan.version:
            return
        ticket = await self.ticket(target)
        theirs = {name: field_of(ticket, name) for name in was if field_of(ticket, name) != was[name]}
        if theirs:
            mine = {name: wanted[name] for name in theirs}
            holder = f"{theirs['assignee'] or 'nobody'} has it; " if "assignee" in theirs else ""
            raise Conflict(f"{holder}the ticket was changed meanwhile: {', '.join(theirs)}", mine=mine, theirs=theirs)

    # -- looking again --------------------------------------------------------------------------------------

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """The expected fields as they are now. NotFound when a new ticket is not there."""
        target = outcome.target or plan.change.target or await self._made_by(plan)
        if not target:
            raise NotFound("no such new ticket is there", hint="It was not made, as far as can be seen; look again before you send it once more.")
        ticket = await self.ticket(target)
        found = {name: field_of(ticket, name) for name in plan.expected}
        if "body" in found:
            event = await self._said(ticket.row.id, str(plan.expected["body"]), str(outcome.applied.get("event") or ""))
            found["body"] = plan.expected["body"] if event is not None else None
        for name, wanted in plan.expected.items():
            if name.startswith("holds "):
                found[name] = wanted if str(wanted) in (ticket.requester.email, ticket.requester.login, ticket.requester.name) else ticket.requester.label()
        return found, ticket

    async def _said(self, id: str, text: str, event: str = "") -> Event | None:
        """The event with this text: the one that was made (its id), else the same words by the same person in the last minutes."""
        wanted, since = _plain(text), now() - SAME
        for one in reversed(await self.timeline(id)):
            if event and one.op_id != event:
                continue
            if _plain(one.body) == wanted and (event or (one.at >= since and (not self._me or one.actor == self._me))):
                return one
        return None

    async def _arrived(self, plan: Plan) -> Outcome | None:
        """The outcome of a write whose answer was lost, if what it wanted is there now: same words, same person, in the last minutes."""
        try:
            found, ticket = await self.read_back(plan, Outcome("unknown", "", plan.change.target))
        except NotFound:
            return None
        if any(found[name] != wanted for name, wanted in plan.expected.items()):
            return None
        return Outcome("done", "it had arrived: not sent again", ticket.row.id)

    async def _made_by(self, plan: Plan) -> str:
        """The id of a ticket made in the last minutes with the planned subject, or ""."""
        title = str(plan.expected.get("subject") or "")
        page = await self.tickets(TicketQuery(sort="created_at"), 0, 20)
        since = now() - SAME
        for row in page.items:
            if row.subject == title and row.created_at is not None and row.created_at >= since:
                return row.id
        return ""

    async def position(self, query: TicketQuery, id: str) -> int | None:
        """Where a ticket stands in a list, looked for in its first rows."""
        for start in range(0, SCANNED, 200):
            page = await self.tickets(query, start, 200)
            for place, row in enumerate(page.items, start):
                if row.id == id:
                    return place
            if len(page.items) < 200:
                return None
        return None


class ChangeFeed:
    """Turns "changed after a moment, with an overlap" into a feed: what was told before is not told again."""

    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def news(self, since: int, rows: Sequence[tuple[str, str, datetime | None]]) -> tuple[int, tuple[str, ...]]:
        """(cursor, ids) from (id, print, moment) of what the window holds; the cursor is milliseconds, and grows when something is told."""
        newest = max([since, 0, *(int(at.timestamp() * 1000) for _, _, at in rows if at is not None)])
        fresh = tuple(dict.fromkeys(ident for ident, print_, _ in rows if self._seen.get(ident) != print_))
        self._seen = {ident: print_ for ident, print_, _ in rows}
        if since < 0:
            return newest, ()
        return (max(newest, since + 1) if fresh else since), fresh


def _fingerprint(plan: Plan) -> str:
    values = {name: value for name, value in plan.change.values.items() if name not in ("was",)}
    return hashlib.sha256(json.dumps([plan.change.verb, plan.change.target, values], sort_keys=True, default=str).encode()).hexdigest()


def _plain(text: str) -> str:
    return " ".join(text.split())


def unchanged(files: Sequence[Mapping[str, Any]]) -> None:
    """Conflict when a file is not what was planned any more."""
    for file in files:
        if hashlib.sha256(content_of(file)).hexdigest() != file["sha256"]:
            raise Conflict(f"{file['name']} was changed since it was chosen")


def content_of(file: Mapping[str, Any]) -> bytes:
    """The bytes of a planned file. Invalid when it can't be read any more."""
    try:
        return Path(file["path"]).read_bytes()
    except OSError as error:
        raise Invalid(fields={"files": f"{file['name']}: {error.strerror}"}) from None


async def quietly(reading: Any, otherwise: Any) -> Any:
    """What is read beside the ticket; where the right to it is missing, `otherwise`."""
    try:
        return await reading
    except (NotAllowed, NotFound):
        return otherwise
