"""Lists, counts, people and changes of GLPI by its search engine. Never imports an adapter."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from backends.contract import Page, now
from backends.errors import Damaged
from backends.tickets import glpi_reading
from backends.tickets.glpi_http import WINDOW, GlpiHttp
from backends.tickets.glpi_query import (
    KINDS,
    SORTS,
    STATUSES,
    Asked,
    Criterion,
    Words,
    alternatives,
    asked,
    one,
    params,
    people_asked,
    stamp,
)
from backends.tickets.glpi_reading import number_of
from backends.tickets.model import OPEN_PHASES, Person, QueueCount, TicketQuery, TicketRow
from backends.tickets.remote import SCANNED, ChangeFeed
from backends.tickets.row_filter import facts_of, fits, said_here

OVERLAP = timedelta(minutes=2)
COUNT_KEPT = 20.0
PERSON_KEPT = 300.0
_USER_COLUMNS = (1, 2, 3, 5, 6, 9, 34)


class GlpiLists:
    """Reads lists. The adapter gives the wire and the site's words."""

    name: str
    wrote: int
    _http: GlpiHttp
    _refresh: float
    _zone: tzinfo

    def __init__(self) -> None:
        self._persons: dict[int, tuple[float, Person]] = {}
        self._found: dict[str, tuple[float, list[int]]] = {}
        self._feed, self._fed, self._fed_wrote = ChangeFeed(), -1e9, -1
        self._counted: tuple[int, float, QueueCount] | None = None

    def _words(self) -> Words:
        raise TypeError("the adapter knows its words")

    # -- people -------------------------------------------------------------------------------------------

    async def _users(self, criteria: Sequence[Criterion], limit: int) -> dict[int, Person]:
        columns = [(f"forcedisplay[{place}]", str(number)) for place, number in enumerate(_USER_COLUMNS)]
        body = await self._http.window("/search/User", 0, limit, [*params(criteria), *columns])
        people = dict(glpi_reading.person(item) for item in _data(body))
        people.pop(0, None)
        self._persons.update({ident: (time.monotonic(), person) for ident, person in people.items()})
        return people

    async def _known(self, idents: Iterable[int]) -> dict[int, Person]:
        """These users, those not known yet looked up together."""
        wanted, fresh = {ident for ident in idents if ident > 0}, time.monotonic() - PERSON_KEPT
        missing = sorted(ident for ident in wanted if ident not in self._persons or self._persons[ident][0] < fresh)
        for start in range(0, len(missing), 50):
            part = missing[start : start + 50]
            found = await self._users([alternatives({"field": 2, "searchtype": "equals", "value": str(ident)} for ident in part)], len(part))
            gone = {ident: (time.monotonic(), Person(login=f"user {ident}")) for ident in part if ident not in found}
            self._persons.update(gone)
        return {ident: self._persons[ident][1] for ident in wanted}

    async def _matching(self, text: str, limit: int = 50) -> dict[int, Person]:
        """Users each of whose words is in their login, names or addresses."""
        words = text.split()
        each = [alternatives({"field": number, "searchtype": "contains", "value": word} for number in (1, 9, 34, 5)) for word in words]
        return await self._users(each, limit) if each else {}

    async def people(self, text: str, limit: int = 20) -> Sequence[Person]:
        """By a part of name, login or address."""
        return tuple((await self._matching(text, limit)).values())

    async def _looked_up(self, query: TicketQuery) -> Words:
        people: dict[str, Sequence[int]] = {}
        for name in people_asked(query):
            kept = self._found.get(name)
            if kept is None or time.monotonic() - kept[0] > 30.0:
                found = await self._matching(name)
                exact = [ident for ident, person in found.items() if name.casefold() in (person.login.casefold(), person.email.casefold())]
                kept = self._found[name] = (time.monotonic(), exact or [ident for ident, person in found.items() if name.casefold() in f"{person.name} {person.login}".casefold()])
            people[name] = kept[1]
        return replace(self._words(), people=people)

    # -- windows ------------------------------------------------------------------------------------------

    async def _window(self, criteria: Sequence[Criterion], sort: int, down: bool, start: int, size: int) -> tuple[list[dict[str, Any]], int]:
        """(rows, how many there are)."""
        options = self._words().options
        columns = [(f"forcedisplay[{place}]", str(number)) for place, number in enumerate(sorted(set(options.values())))]
        order = [("sort", str(sort)), ("order", "DESC" if down else "ASC")]
        body = await self._http.window("/search/Ticket", start, size, [*params(criteria), *columns, *order])
        return _data(body), number_of(body.get("totalcount")) if isinstance(body, dict) else start

    async def _rows(self, items: Sequence[Mapping[str, Any]]) -> list[TicketRow]:
        options = self._words().options
        cells = [item.get(str(options[name])) for item in items for name in ("requester", "owner") if name in options]
        people = await self._known(number_of(part) for one_ in cells for part in glpi_reading.cell(one_))
        return [glpi_reading.row(self.name, item, options, self._zone, people) for item in items]

    async def tickets(self, query: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """A window of the list. `note` says what was filtered here."""
        words = await self._looked_up(query)
        wanted = asked(query, words, now())
        if wanted.nothing:
            return Page((), offset, 0)
        sort, down = words.options[SORTS[query.sort]], query.descending is not (query.sort == "priority")
        if wanted.here:
            return await self._scanned(wanted, sort, down, offset, limit)
        items, total = await self._window(wanted.criteria, sort, down, offset, limit)
        if not items and offset:  # beyond the end GLPI does not say how many there are
            _, total = await self._window(wanted.criteria, sort, down, 0, 1)
        return Page(tuple(await self._rows(items)), offset, total)

    async def _scanned(self, wanted: Asked, sort: int, down: bool, offset: int, limit: int) -> Page[TicketRow]:
        """Rows judged one by one, as far as `SCANNED`."""
        items, total = await self._all(wanted.criteria, sort, down)
        kept = []
        for item, row in zip(items, await self._rows(items), strict=True):
            kind = number_of(item.get(str(self._words().options.get("kind", -1))))
            facts = facts_of(row, kind=next((name for name, number in KINDS.items() if number == kind), ""), vendor=glpi_reading.cell(item.get(str(self._words().options.get("vendor", -1)))),
                             category=glpi_reading.line(item.get(str(self._words().options.get("category", -1)))))  # fmt: skip
            if all(fits(term, facts) for term in wanted.here):
                kept.append(row)
        notes = [said_here([term.field for term in wanted.here if term.field not in wanted.unknown])]
        if wanted.unknown:
            notes.append(f"GLPI's lists do not tell {', '.join(dict.fromkeys(wanted.unknown))}: nothing has it")
        if total > len(items):
            notes.append(f"only the first {len(items):,} of {total:,} were looked at")
        return Page(tuple(kept[offset : offset + limit]), offset, len(kept) if total <= len(items) else None, "; ".join(filter(None, notes)))

    async def _all(self, criteria: Sequence[Criterion], sort: int, down: bool) -> tuple[list[dict[str, Any]], int]:
        out: dict[int, dict[str, Any]] = {}
        total, ident = 0, str(self._words().options["id"])
        for start in range(0, SCANNED, WINDOW):
            items, found = await self._window(criteria, sort, down, start, WINDOW)
            total = max(total, found if items else 0)
            out.update((number_of(item.get(ident)), item) for item in items)
            if len(items) < WINDOW:
                return list(out.values()), len(out)
        return list(out.values()), total

    # -- figures ------------------------------------------------------------------------------------------

    async def counts(self) -> QueueCount:
        """Figures over the open ones, kept for some seconds; beyond `SCANNED` the split by assignee is of the newest."""
        kept = self._counted
        if kept is not None and kept[0] == self.wrote and time.monotonic() - kept[1] < COUNT_KEPT:
            return kept[2]
        words, moment = self._words(), now()
        open_ = asked(TicketQuery(phases=OPEN_PHASES), words, moment).criteria
        items, total = await self._all(open_, words.options["updated"], True)
        rows = await self._rows(items)
        people: dict[str, int] = {}
        for row in rows:
            people[row.assignee] = people.get(row.assignee, 0) + 1
        figures = [len(rows), sum(row.phase.value == "new" for row in rows), sum(row.due_at is not None and row.due_at < moment for row in rows), people.pop("", 0)]
        if total > len(rows):
            more = (TicketQuery(phases=OPEN_PHASES), TicketQuery(phases=OPEN_PHASES[:1]), TicketQuery(overdue=True), TicketQuery(phases=OPEN_PHASES, assignees=("",)))
            figures = [(await self._window(asked(query, words, moment).criteria, words.options["updated"], True, 0, 1))[1] for query in more]
        counted = QueueCount(figures[0], figures[1], figures[2], figures[3], people)
        self._counted = (self.wrote, time.monotonic(), counted)
        return counted

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """By the time of the last change, which has whole seconds: with an overlap, and a wider one where the clocks were set back."""
        if since >= 0 and self._fed_wrote == self.wrote and time.monotonic() - self._fed < self._refresh:
            return since, ()
        words, moment = self._words(), now()
        if since < 0:
            newest, _ = await self._window([], words.options["updated"], True, 0, 1)
            at = glpi_reading.moment(newest[0].get(str(words.options["updated"])), self._zone) if newest else None
        else:
            at = datetime.fromtimestamp(since / 1000, UTC)
        back = moment.astimezone(self._zone).utcoffset() != (moment - timedelta(hours=2)).astimezone(self._zone).utcoffset()
        after = (at or moment) - OVERLAP - (timedelta(hours=1) if back else timedelta(0))
        items, _ = await self._all([one("updated", "morethan", stamp(after, self._zone), words)], words.options["updated"], True)
        self._fed, self._fed_wrote = time.monotonic(), self.wrote
        ident, changed = str(words.options["id"]), str(words.options["updated"])
        seen = [(str(number_of(item.get(ident))), json.dumps(item, sort_keys=True, default=str), glpi_reading.moment(item.get(changed), self._zone)) for item in items]
        return self._feed.news(since, seen)


def _data(body: Any) -> list[dict[str, Any]]:
    """The rows of a search; none where the window lies beyond the end. Damaged."""
    if body is None:
        return []
    data = body.get("data", []) if isinstance(body, dict) else None
    if isinstance(data, dict):
        data = list(data.values())
    if not isinstance(data, list):
        raise Damaged("GLPI's answer holds no rows")
    return [item for item in data if isinstance(item, dict)]


def status_word(number: int) -> str:
    """A status in words."""
    return STATUSES[number][0] if number in STATUSES else f"status {number}"
