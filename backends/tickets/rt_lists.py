"""Lists of Request Tracker: pages, windows, counts, changes, people. Never imports an adapter.

Traps (seen on RT 5): at most 100 a page; beyond the end newer versions give the last page again; `total` is null where one may not see
all; `pages` may be a fraction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from backends.contract import Page
from backends.tickets import rt_reading
from backends.tickets.model import Person, QueueCount, TicketLink, TicketQuery, TicketRow
from backends.tickets.rt_http import RtHttp, listed, one
from backends.tickets.rt_query import ACTIVE, SORTS, Asked, Line, Words, ticket_sql
from backends.tickets.rt_reading import Item

PAGE = 100
MOST_SCANNED = 1000
"""Tickets looked at where RT can't filter."""
MOST_ITEMS = 5000
OVERLAP = 50
"""Transactions looked at again: databases give numbers before they show what has them, so a lower one may turn up after a higher one."""
COLUMNS = "Subject,Status,Owner,Priority,Created,LastUpdated,Due,Queue"


class Lists:
    """Reads the lists of one RT."""

    def __init__(self, http: RtHttp, site: rt_reading.Site, requesters: bool) -> None:
        self._http, self._site, self._requesters = http, site, requesters
        self._told: dict[int, None] = {}

    async def all_of(self, path: str, most: int = 0, **params: Any) -> list[Item]:
        """Items of every page, up to `most`; pages are followed while they are full and bring something new."""
        out: dict[str, Item] = {}
        page = 1
        while len(out) < (most or MOST_ITEMS):
            found = listed((await self._http.get(path, per_page=PAGE, page=page, **params)).body)
            before = len(out)
            out.update((str(item.get("id")), item) for item in found)
            if len(found) < PAGE or len(out) == before:
                break
            page += 1
        return list(out.values())

    async def texts(self, ident: str) -> list[Item]:
        """What was written on a ticket, without its files."""
        conditions = [{"field": "ContentType", "operator": "LIKE", "value": "text/"}, {"field": "Filename", "operator": "IS", "value": "NULL"}, {"field": "Filename", "operator": "=", "value": ""}]
        out: list[Item] = []
        page = 1
        while len(out) < MOST_ITEMS:
            body = (await self._http.search(f"/ticket/{ident}/attachments", conditions, fields="TransactionId,ContentType,Filename,Content", per_page=PAGE, page=page)).body
            found = listed(body)
            out += found
            if len(found) < PAGE or not _is_page(body, page):
                break
            page += 1
        return out

    # -- windows ------------------------------------------------------------------------------------------

    def _params(self, asked: Asked, query: TicketQuery) -> dict[str, Any]:
        who, fields = self._requesters or bool(asked.tests), "CustomFields" if asked.tests else ""
        columns = ",".join(filter(None, (COLUMNS, "Requestor" if who else "", fields)))
        down = query.descending is not (query.sort == "priority")  # P1 is RT's highest number
        order = "DESC" if down else "ASC"
        orderby = [SORTS.get(query.sort, "LastUpdated")]
        orderby += ["id"] if orderby != ["id"] else []
        return {
            "query": asked.sql, "fields": columns, "fields[Queue]": "Name", "fields[Owner]": "Name", "fields[Requestor]": "Name,RealName,EmailAddress",
            "orderby": orderby, "order": [order] * len(orderby), "per_page": PAGE,
        }  # fmt: skip

    async def page(self, query: TicketQuery, words: Words, offset: int, limit: int) -> Page[TicketRow]:
        """A window of the list."""
        asked = ticket_sql(query, words)
        if asked.tests:
            return await self._scanned(asked, query, offset, limit)
        first = offset // PAGE + 1
        items, total, _ = await self._pages(self._params(asked, query), first, offset % PAGE + limit)
        rows = tuple(rt_reading.row(self._site, item) for item in items[offset % PAGE : offset % PAGE + limit])
        known = total if total is not None else offset + len(rows) if len(rows) < limit else None
        return Page(rows, offset, known, _sorting(query))

    async def _scanned(self, asked: Asked, query: TicketQuery, offset: int, limit: int) -> Page[TicketRow]:
        items, total, whole = await self._pages(self._params(asked, query), 1, MOST_SCANNED)
        lines = [Line(rt_reading.row(self._site, item), [rt_reading.person(who) for who in rt_reading.items(item.get("Requestor"))], rt_reading.custom_values(item)) for item in items]
        rows = [line.row for line in lines if all(test(line) for test in asked.tests)]
        seen = "" if whole else f"; the first {len(items):,}" + (f" of {total:,}" if total is not None else "") + " were looked at"
        note = ". ".join(filter(None, (f"filtered here, not on the server: {', '.join(asked.here)}{seen}", _sorting(query))))
        return Page(tuple(rows[offset : offset + limit]), offset, len(rows) if whole else None, note)

    async def _pages(self, params: dict[str, Any], first: int, wanted: int) -> tuple[list[Item], int | None, bool]:
        """(items from page `first` on, how many there are by RT's count, whether the end was reached)."""
        out: list[Item] = []
        total: int | None = None
        page = first
        while len(out) < wanted:
            body = one((await self._http.get("/tickets", page=page, **params)).body)
            items = listed(body)
            total = rt_reading.number_of(body["total"]) if body.get("total") is not None else total
            if not _is_page(body, page):
                return out, total, True
            out += items
            if len(items) < PAGE:
                return out, total, True
            page += 1
        return out, total, total is not None and total <= (first - 1) * PAGE + len(out)

    # -- figures ------------------------------------------------------------------------------------------

    async def _count(self, sql: str) -> int:
        """RT's own count; where it does not tell, what can be paged through."""
        total = one((await self._http.get("/tickets", query=sql, per_page=1)).body).get("total")
        return rt_reading.number_of(total) if total is not None else len(await self.all_of("/tickets", query=sql))

    async def counts(self) -> QueueCount:
        """Figures over the active ones; by assignee of the newest thousand."""
        new, overdue, free = (f"{ACTIVE} AND {more}" for more in ("Status = 'new'", "Due < 'now' AND Due > '1971-01-01'", "Owner = 'Nobody'"))
        people: dict[str, int] = {}
        taken = f"{ACTIVE} AND Owner != 'Nobody'"
        for item in await self.all_of("/tickets", MOST_SCANNED, query=taken, fields="Owner", **{"fields[Owner]": "Name", "orderby": "LastUpdated", "order": "DESC"}):
            who = rt_reading.holder(item.get("Owner"))
            if who:
                people[who] = people.get(who, 0) + 1
        return QueueCount(await self._count(ACTIVE), await self._count(new), await self._count(overdue), await self._count(free), people)

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """(number of the newest transaction, tickets with transactions that were not told yet)."""
        start = max(0, since - OVERLAP)
        order = {"orderby": "id", "order": "DESC" if since < 0 else "ASC"}
        size = OVERLAP if since < 0 else PAGE
        query = f"ObjectType = 'RT::Ticket' AND id > {start}"
        items = listed((await self._http.get("/transactions", query=query, fields="ObjectId,Type", per_page=size, **order)).body)
        numbers = {rt_reading.number_of(item.get("id")): item for item in items}
        fresh = [number for number in numbers if number not in self._told]
        self._told.update(dict.fromkeys(numbers))
        for number in sorted(self._told)[: -4 * PAGE]:
            del self._told[number]
        ids = [rt_reading.word(numbers[number].get("ObjectId")) for number in fresh if numbers[number].get("Type") not in ("EmailRecord", "CommentEmailRecord")]
        return max([since, 0, *numbers]), () if since < 0 else tuple(dict.fromkeys(ident for ident in ids if ident))

    async def people(self, text: str, limit: int) -> Sequence[Person]:
        """By a part of address, name or login: RT looks for the longest word, the others are looked for in what it gives."""
        pieces = sorted(text.casefold().split(), key=len, reverse=True)
        found: dict[str, Person] = {}
        for name in ("RealName", "EmailAddress", "Name") if pieces else ():
            body = (await self._http.search("/users", [{"field": name, "operator": "LIKE", "value": pieces[0]}], fields="Name,EmailAddress,RealName", per_page=PAGE)).body
            for item in listed(body):
                who = rt_reading.person(item)
                if all(piece in f"{who.name} {who.email} {who.login}".casefold() for piece in pieces):
                    found.setdefault(who.login or who.email, who)
            if len(found) >= limit:
                break
        return tuple(found.values())[:limit]


def _is_page(body: Any, page: int) -> bool:
    """Whether RT gave the page that was asked for, and not its last one again."""
    said = body.get("page") if isinstance(body, dict) else None
    return said is None or rt_reading.number_of(said) == page


def _sorting(query: TicketQuery) -> str:
    return f"RT can't sort by {query.sort.replace('_', ' ')}: sorted by the last change" if query.sort not in SORTS else ""


async def tied(lists: Lists, site: rt_reading.Site, links: Sequence[TicketLink]) -> list[TicketLink]:
    """Ties with subject and status of the other tickets; those that may not be seen keep their number."""
    numbers = [link.to for link in links if link.to.isdigit()][:PAGE]
    if not numbers:
        return list(links)
    items = await lists.all_of("/tickets", query=" OR ".join(f"id = {number}" for number in numbers), fields="Subject,Status")
    known = {line.id: line for line in (rt_reading.row(site, item) for item in items)}
    return [replace(link, subject=known[link.to].subject, status=known[link.to].status) if link.to in known else link for link in links]
