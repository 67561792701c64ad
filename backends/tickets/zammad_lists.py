"""Lists, counts and changes of Zammad: exact from its database, judged here where it can't, its search index only for words in many tickets.

Never imports an adapter.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.contract import Page, now
from backends.errors import Damaged
from backends.tickets import zammad_reading
from backends.tickets.events import iso
from backends.tickets.model import OPEN_PHASES, QueueCount, TicketQuery, TicketRow
from backends.tickets.remote import SCANNED, ChangeFeed
from backends.tickets.row_filter import facts_of, fits, said_here, text_judge
from backends.tickets.zammad_http import MOST, ZammadHttp, rows_of
from backends.tickets.zammad_query import Asked, Condition, Words, asked, people_asked, sorting

OVERLAP = timedelta(minutes=2)
COUNT_KEPT = 20.0
FEW = 1000
"""Up to so many rows words are looked for here, exactly; beyond it the search index is asked."""


class ZammadLists:
    """Reads lists. The adapter gives the wire and the site's words."""

    name: str
    wrote: int
    _http: ZammadHttp
    _refresh: float

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._people_ids: dict[str, list[int]] = {}
        self._feed, self._fed, self._fed_wrote = ChangeFeed(), -1e9, -1
        self._counted: tuple[int, float, QueueCount] | None = None
        self._totals = True

    def _words(self) -> Words:
        raise TypeError("the adapter knows its words")

    async def _users(self, text: str, limit: int = 20) -> list[dict[str, Any]]:
        raise TypeError("the adapter looks people up")

    # -- windows ------------------------------------------------------------------------------------------

    async def _page(self, condition: Condition, sort: Mapping[str, str], page: int, size: int, **more: Any) -> list[dict[str, Any]]:
        body = await self._http.search({"condition": condition, "expand": True, "page": page, "per_page": size, **sort, **more})
        items = rows_of(body)
        self._remember(items)
        return items

    def _remember(self, items: Iterable[Mapping[str, Any]]) -> None:
        for item in items:
            number, ident = str(item.get("number") or ""), item.get("id")
            if number and isinstance(ident, int):
                self._numbers[number] = ident

    def _row(self, item: Mapping[str, Any]) -> TicketRow:
        words = self._words()
        return zammad_reading.row(self.name, item, words.phases, words.levels)

    async def _total(self, condition: Condition) -> int | None:
        """How many there are; None from versions that do not count."""
        if not self._totals:
            return None
        body = await self._http.search({"condition": condition, "expand": True, "only_total_count": True, "page": 1, "per_page": 1})
        if isinstance(body, dict) and isinstance(body.get("total_count"), int):
            return int(body["total_count"])
        self._totals = False
        return None

    async def tickets(self, query: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """A window of the list. `note` says what was filtered here, and where the search index was used."""
        words = await self._looked_up(query)
        wanted, (sort, said) = asked(query, words, now()), sorting(query)
        if wanted.nothing:
            return Page((), offset, 0, said)
        if wanted.here or text_judge(query) is not None:
            return await self._scanned(query, wanted, sort, said, offset, limit)
        size = limit if limit <= MOST and offset % limit == 0 else MOST
        first = offset // size
        rows: list[dict[str, Any]] = []
        while True:
            items = await self._page(wanted.condition, sort, first + len(rows) // size + 1, size)
            rows += items
            if len(items) < size or len(rows) >= offset - first * size + limit:
                break
        found = rows[offset - first * size :][:limit]
        whole = len(rows) < offset - first * size + limit or (len(items) < size)
        total = first * size + len(rows) if whole and (rows or not offset) else await self._total(wanted.condition)
        return Page(tuple(map(self._row, found)), offset, total, said)

    async def _looked_up(self, query: TicketQuery) -> Words:
        """The words, with the people that the query names: kept, as a list is asked for again and again."""
        from dataclasses import replace

        people: dict[str, Sequence[int]] = {}
        for name in people_asked(query):
            if name not in self._people_ids:
                low = name.casefold()
                self._people_ids[name] = [
                    int(user["id"]) for user in await self._users(name, 50) if isinstance(user.get("id"), int)
                    and (low in (str(user.get("login")).casefold(), str(user.get("email")).casefold()) or low in zammad_reading.person(user).name.casefold())
                ]  # fmt: skip
            people[name] = self._people_ids[name]
            if not people[name]:
                del self._people_ids[name]
        return replace(self._words(), people=people)

    async def _scanned(self, query: TicketQuery, wanted: Asked, sort: Mapping[str, str], said: str, offset: int, limit: int) -> Page[TicketRow]:
        """Rows judged one by one, as far as `SCANNED`; words in more than `FEW` tickets are left to the index first."""
        judge, notes = text_judge(query), [said]
        items, whole = await self._all(wanted.condition, sort, FEW if judge is not None and not query.inverse else SCANNED)
        if judge is not None and not whole and not query.inverse:
            items, whole = await self._indexed(query.text, sort)
            wanted.here = [*wanted.here, *self._all_terms(query)]
            notes.append("words found by Zammad's search index, which may lag some seconds")
        kept: list[TicketRow] = []
        for item in items:
            row = self._row(item)
            facts = facts_of(row, fields={key: value for key, value in item.items() if isinstance(value, str)}, origin=item.get("create_article_type"),
                             pending=zammad_reading.moment(item.get("pending_time")), due=zammad_reading.moment(item.get("escalation_at")))  # fmt: skip
            if all(fits(term, facts) for term in wanted.here) and (judge is None or judge(facts)):
                kept.append(row)
        here = [*(["words"] if judge is not None else []), *(term.field for term in wanted.here if term.field not in wanted.unknown)]
        notes.append(said_here(here))
        if wanted.unknown:
            notes.append(f"Zammad's lists do not tell {', '.join(dict.fromkeys(wanted.unknown))}: nothing has it")
        if not whole:
            notes.append(f"only the first {len(items):,} were looked at")
        return Page(tuple(kept[offset : offset + limit]), offset, len(kept) if whole else None, "; ".join(filter(None, notes)))

    def _all_terms(self, query: TicketQuery) -> list[Any]:
        from backends.tickets.row_filter import terms_of

        return list(terms_of(query))

    async def _all(self, condition: Condition, sort: Mapping[str, str], most: int) -> tuple[list[dict[str, Any]], bool]:
        """(rows, whether these are all): page after page up to `most`; a row that a page repeats is taken once."""
        found: dict[str, dict[str, Any]] = {}
        for page in range(1, most // MOST + 1):
            items = await self._page(condition, sort, page, MOST)
            found.update((str(item.get("id")), item) for item in items)
            if len(items) < MOST:
                return list(found.values()), True
        return list(found.values()), False

    async def _indexed(self, text: str, sort: Mapping[str, str]) -> tuple[list[dict[str, Any]], bool]:
        plain = " ".join("".join(letter if letter.isalnum() or letter in "@._-" else " " for letter in text).split())
        found: list[dict[str, Any]] = []
        for page in range(1, SCANNED // MOST + 1):
            body = await self._http.search({"query": plain, "expand": True, "page": page, "per_page": MOST, **sort})
            items = rows_of(body)
            self._remember(items)
            found += items
            if len(items) < MOST:
                return found, True
        return found, False

    # -- figures ------------------------------------------------------------------------------------------

    async def counts(self) -> QueueCount:
        """Figures over the open ones, kept for some seconds; beyond `SCANNED` the split by assignee is of the newest."""
        kept = self._counted
        if kept is not None and kept[0] == self.wrote and time.monotonic() - kept[1] < COUNT_KEPT:
            return kept[2]
        query, words, moment = TicketQuery(phases=OPEN_PHASES), self._words(), now()
        condition = asked(query, words, moment).condition
        items, whole = await self._all(condition, {"sort_by": "updated_at,id", "order_by": "desc,desc"}, SCANNED)
        rows = [self._row(item) for item in items]
        people: dict[str, int] = {}
        for row in rows:
            people[row.assignee] = people.get(row.assignee, 0) + 1
        figures = [len(rows), sum(row.phase.value == "new" for row in rows), sum(row.due_at is not None and row.due_at < moment for row in rows), people.pop("", 0)]
        if not whole:
            more = (TicketQuery(phases=OPEN_PHASES), TicketQuery(phases=OPEN_PHASES[:1]), TicketQuery(phases=OPEN_PHASES, overdue=True), TicketQuery(phases=OPEN_PHASES, assignees=("",)))
            for place, one in enumerate(more):
                total = await self._total(asked(one, words, moment).condition)
                figures[place] = total if total is not None else figures[place]
        counted = QueueCount(figures[0], figures[1], figures[2], figures[3], people)
        self._counted = (self.wrote, time.monotonic(), counted)
        return counted

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """By the time of the last change, with two minutes of overlap for what was written late; the cursor is milliseconds."""
        if since >= 0 and self._fed_wrote == self.wrote and time.monotonic() - self._fed < self._refresh:
            return since, ()
        sort = {"sort_by": "updated_at,id", "order_by": "desc,desc"}
        if since < 0:
            newest = await self._page(asked(TicketQuery(), self._words(), now()).condition, sort, 1, 1)
            at = zammad_reading.moment(newest[0].get("updated_at")) if newest else None
        else:
            at = datetime.fromtimestamp(since / 1000, UTC)
        after = (at or now()) - OVERLAP
        items, _ = await self._all({"ticket.updated_at": {"operator": "after (absolute)", "value": iso(after)}}, sort, SCANNED)
        self._fed, self._fed_wrote = time.monotonic(), self.wrote
        return self._feed.news(since, [(str(item.get("number")), str(item.get("updated_at")), zammad_reading.moment(item.get("updated_at"))) for item in items])


def checked_ticket(body: Any) -> dict[str, Any]:
    """A ticket out of an answer. Damaged."""
    if not isinstance(body, dict) or not isinstance(body.get("id"), int):
        raise Damaged("Zammad's answer is no ticket")
    return body
