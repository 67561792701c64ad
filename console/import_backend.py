"""Any ticket backend as incoming tickets, through its contract alone: lists by pages, ticket, timeline, files, ties. Never imports textual."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from backends.errors import AuthFailed, BackendError, NotFound, RateLimited, Unreachable
from backends.threads import in_thread
from backends.tickets.files import Files
from backends.tickets.imports import Entry, Fault, Incoming
from backends.tickets.model import Attachment, Event, Ticket, TicketQuery, TicketRow
from backends.tickets.plans_work import BIGGEST_FILE, safe_name
from console.export_cells import utc

PAGE = 100
IN_A_ROW = 5
"""Tickets that may fail one after the other before the whole system is taken to be away."""
FILE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Known:
    """A ticket that was imported in this version already: it was not fetched again."""

    label: str


Item = Incoming | Fault | Known


class BackendSource:
    """Reads another system. `known(id, version)` says what need not be fetched; without `files` nothing is downloaded (a dry run)."""

    def __init__(self, backend: Any, query: TicketQuery, known: Callable[[str, str], bool], files: Files | None, folder: Path) -> None:
        self._backend, self._query, self._known, self._files, self._folder = backend, query, known, files, folder
        self.total = 0

    async def read(self) -> AsyncIterator[Item]:
        """Ticket by ticket, by number. Raises what a backend raises for the list, and when one ticket after the other fails."""
        offset = failed = 0
        met: set[str] = set()
        while True:
            page = await self._backend.tickets(self._query, offset, PAGE)
            self.total = page.total or 0
            fresh = [row for row in page.items if row.id not in met]
            met = {row.id for row in page.items}
            for row in fresh:
                try:
                    item = await self._item(row)
                    failed = 0
                except BackendError as error:
                    failed = failed + 1 if isinstance(error, Unreachable | AuthFailed | RateLimited) else 0
                    if failed >= IN_A_ROW:
                        raise
                    item = Fault(row.number, error.sentence(), (row.id, row.number, row.subject), row.id)
                yield item
            offset += len(page.items)
            if not fresh or (page.total is not None and offset >= page.total):
                return

    async def _item(self, row: TicketRow) -> Item:
        version = f"{row.version}|{utc(row.updated_at)}"
        if await in_thread(FILE_SECONDS, self._known, row.id, version):
            return Known(row.number)
        ticket: Ticket = await self._backend.ticket(row.id)
        events = await self._backend.timeline(row.id)
        files, lost = await self._attached(ticket) if self._files is not None else ((), ())
        return incoming(ticket, events, row, version, files, lost)

    async def _attached(self, ticket: Ticket) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
        kept: list[Attachment] = []
        lost: list[str] = []
        for one in ticket.attachments:
            if one.size > BIGGEST_FILE or not hasattr(self._backend, "fetch"):
                lost.append(f"the file {one.name} is left out: " + ("larger than 50 MB" if one.size > BIGGEST_FILE else "the system gives no files"))
                continue
            try:
                kept.append(await self._fetch(ticket, one))
            except NotFound:
                lost.append(f"the file {one.name} is left out: it is not there any more")
        return tuple(kept), tuple(lost)

    async def _fetch(self, ticket: Ticket, one: Attachment) -> Attachment:
        """Its content under its hash, and a name that can be written anywhere."""
        assert self._files is not None
        digest, size = hashlib.sha256(), 0
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o770)
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix="file-")
        try:
            with os.fdopen(descriptor, "wb") as out:
                async for piece in self._backend.fetch(ticket.row.id, one.id):
                    size += len(piece)
                    if size > BIGGEST_FILE:
                        raise NotFound("larger than 50 MB")
                    digest.update(piece)
                    await in_thread(FILE_SECONDS, out.write, piece)
            await in_thread(FILE_SECONDS, self._files.keep, Path(name), digest.hexdigest())
        finally:
            os.unlink(name)
        return replace(one, id=digest.hexdigest(), sha256=digest.hexdigest(), size=size, name=safe_name(one.name))


def incoming(ticket: Ticket, events: Any, row: TicketRow, version: str, files: tuple[Attachment, ...], lost: tuple[str, ...]) -> Incoming:
    """The ticket in its own words."""
    person, facts = ticket.requester, ticket.row
    fields = {
        "subject": facts.subject, "body": ticket.body, "status": facts.status, "queue": facts.queue, "category": ticket.category, "kind": ticket.kind,
        "priority": facts.priority, "impact": ticket.impact, "urgency": ticket.urgency, "assignee": facts.assignee, "team": facts.team,
        "requester": person.name or facts.requester, "login": person.login, "email": person.email, "phone": person.phone,
        "location": person.location or facts.location, "department": person.department, "origin": ticket.origin, "tags": list(ticket.tags),
        "watchers": [one.email for one in ticket.watchers if one.email], "refs": list(ticket.refs), "fields": {**ticket.fields, **({"imported_number": facts.number} if facts.number not in ("", facts.id) else {})},
        "resolution": ticket.resolution, "pending_reason": ticket.pending_reason, "pending_until": utc(ticket.pending_until),
        "estimate": ticket.estimate, "time_spent": ticket.time_spent,
    }  # fmt: skip
    return Incoming(
        facts.id, facts.number, version, fields, facts.created_at, facts.updated_at, ticket.first_response_at, ticket.resolved_at, ticket.closed_at,
        phase=facts.phase.value, entries=tuple(map(_entry, events)), attachments=files, links=tuple((link.kind, link.to) for link in ticket.links),
        lost=lost, raw=(facts.id, facts.number, facts.subject),
    )  # fmt: skip


def _entry(event: Event) -> Entry:
    old = {change.field: change.old for change in event.changes}
    new = {change.field: change.new for change in event.changes}
    return Entry(event.seq, event.at, event.actor, event.type, event.public, event.body, event.minutes, event.via, old, new)
