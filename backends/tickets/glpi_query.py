"""A ticket query as GLPI's numbered criteria, and what has to be judged here. Pure; never imports an adapter.

Times are sent in the account's zone, as GLPI knows none. Words of lists (entities, categories, groups) are looked up first and asked for by
their numbers. A group of criteria is one with alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from backends.tickets.model import Phase, Term, TicketQuery
from backends.tickets.row_filter import terms_of

FIELDS: Mapping[str, int] = {
    "subject": 1, "id": 2, "priority": 3, "requester": 4, "owner": 5, "vendor": 6, "category": 7, "team": 8, "status": 12, "kind": 14, "created": 15, "due": 18,
    "updated": 19, "queue": 80, "own": 155,
}  # fmt: skip
"""Numbers of the search options we use; what the server lists at the start decides whether they are there."""
UIDS: Mapping[str, str] = {"Ticket.name": "subject", "Ticket.id": "id", "Ticket.status": "status", "Ticket.priority": "priority", "Ticket.date_mod": "updated",
                           "Ticket.date": "created", "Ticket.time_to_resolve": "due", "Ticket.time_to_own": "own", "Ticket.type": "kind"}  # fmt: skip
STATUSES: Mapping[int, tuple[str, Phase]] = {
    1: ("New", Phase.NEW), 2: ("Processing (assigned)", Phase.ACTIVE), 3: ("Processing (planned)", Phase.ACTIVE), 4: ("Pending", Phase.PAUSED), 5: ("Solved", Phase.RESOLVED),
    6: ("Closed", Phase.CLOSED),
}  # fmt: skip
KINDS = {"incident": 1, "request": 2}
PRIORITIES: Mapping[int, tuple[int, ...]] = {1: (5, 6), 2: (4,), 3: (3,), 4: (2, 1)}
"""Our level -> GLPI's numbers, the first is the one that is set."""
SORTS: Mapping[str, str] = {
    "number": "id", "subject": "subject", "status": "status", "priority": "priority", "queue": "queue", "requester": "requester", "assignee": "owner",
    "created_at": "created", "updated_at": "updated", "due_at": "due",
}  # fmt: skip
UNKNOWN = ("ref", "location", "tag", "origin", "pending")
Criterion = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """What the site's GLPI knows: names with their ids, numbers of search options, custom ones by their label, its zone, people looked up."""

    entities: Mapping[str, int]
    categories: Mapping[str, int]
    groups: Mapping[str, int]
    suppliers: Mapping[str, int]
    options: Mapping[str, int]
    labels: Mapping[str, int]
    zone: tzinfo
    people: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Asked:
    """`criteria` for the server, `here` for us, `nothing`: no ticket can match, `unknown`: fields its lists do not have."""

    criteria: list[Criterion]
    here: list[Term]
    nothing: bool = False
    unknown: list[str] = field(default_factory=list)


def stamp(at: datetime, zone: tzinfo) -> str:
    """A moment as GLPI writes it."""
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def asked(query: TicketQuery, words: Words, at: datetime) -> Asked:
    """The query taken apart."""
    out = Asked([], [])
    if query.overdue:
        out.criteria += [one("due", "lessthan", stamp(at, words.zone), words), alternatives(one("status", "equals", number, words) for number in (1, 2, 3))]
    for term in terms_of(query):
        found = _term(term, words)
        if found is None:
            out.here.append(term)
            if term.field in UNKNOWN or (term.field == "field" and term.values and term.values[0].casefold() not in words.labels):
                out.unknown.append(term.field)
        elif found:
            out.criteria.append(negated(found) if term.negated else found)
        elif not term.negated:
            out.nothing = True
    if query.text.strip():
        each = [_word(word, words) for word in query.text.split()]
        group: Criterion = {"criteria": each}
        out.criteria.append(negated(group) if query.inverse else group)
    return out


def one(name: str, how: str, value: Any, words: Words, link: str = "AND") -> Criterion:
    """One criterion on one of our fields."""
    return {"link": link, "field": words.options[name], "searchtype": how, "value": str(value)}


def alternatives(parts: Iterable[Criterion]) -> Criterion:
    """Any of these; {} when there are none."""
    group = [{**part, "link": "OR"} for part in parts]
    return {"link": "AND", "criteria": group} if group else {}


def negated(criterion: Criterion) -> Criterion:
    """Not this."""
    return {**criterion, "link": "AND NOT"}


def _word(word: str, words: Words) -> Criterion:
    parts = [one("subject", "contains", word, words)]
    if word.lstrip("#").isdigit():
        parts.append(one("id", "equals", word.lstrip("#"), words))
    parts += [one("requester", "equals", ident, words) for ident in words.people.get(word, ())]
    return alternatives(parts)


def _term(term: Term, words: Words) -> Criterion | None:
    """The criterion, {} for one that nothing can match, None where GLPI can't say it."""
    name = term.field
    if name in UNKNOWN or (name not in words.options and name not in ("phase", "number", "text", "field")):
        return None
    if term.op in ("before", "after"):
        value = stamp(datetime.fromisoformat(term.values[0]), words.zone)
        return None if term.negated else one(name, "lessthan" if term.op == "before" else "morethan", value, words)
    if term.op == "none":
        return one(name, "equals", 0, words) if name in ("category", "team", "vendor", "owner") else None
    if name == "text":
        return alternatives({"criteria": [_word(word, words) for word in value.split()]} for value in term.values if value.split())
    if name == "subject":
        return alternatives(one(name, "contains", value, words) for value in term.values) if term.op == "has" else None
    if name == "field":
        option = words.labels.get(term.values[0].casefold()) if term.values else None
        return alternatives({"field": option, "searchtype": "contains", "value": f"^{value}$"} for value in term.values[1:]) if option else None
    if name == "number":
        return alternatives(one("id", "equals", value.lstrip("#"), words) for value in term.values if value.lstrip("#").isdigit())
    return alternatives(one("status" if name == "phase" else name, "equals", number, words) for number in sorted(_numbers(term, words)))


def _numbers(term: Term, words: Words) -> set[int]:
    """What the values of a term are in GLPI's numbers."""
    name, values = term.field, [value.casefold() for value in term.values]
    if name == "phase":
        return {number for number, (_, phase) in STATUSES.items() if phase.value in values}
    if name == "priority":
        return {number for level, numbers in PRIORITIES.items() if str(level) in values for number in numbers}
    if name in ("owner", "requester"):
        return {ident for value in term.values for ident in ((0,) if not value and name == "owner" else words.people.get(value, ()))}
    known: Mapping[str, int] = {
        "status": {word: number for number, (word, _) in STATUSES.items()}, "kind": KINDS, "queue": words.entities, "category": words.categories, "team": words.groups,
        "vendor": words.suppliers,
    }.get(name, {})  # fmt: skip
    return {ident for word, ident in known.items() if any(value in word.casefold() if term.op == "has" else value == word.casefold() for value in values)}


def params(criteria: Sequence[Criterion], prefix: str = "criteria") -> list[tuple[str, str]]:
    """The criteria as the parameters of a request."""
    out: list[tuple[str, str]] = []
    for place, criterion in enumerate(criteria):
        here = f"{prefix}[{place}]"
        link = str(criterion.get("link") or "AND")
        if place or "NOT" in link:
            out.append((f"{here}[link]", "AND" if not place and link == "OR" else link))
        if "criteria" in criterion:
            out += params(criterion["criteria"], f"{here}[criteria]")
        else:
            out += [(f"{here}[{key}]", str(criterion[key])) for key in ("field", "searchtype", "value")]
    return out


def people_asked(query: TicketQuery) -> set[str]:
    """The names that a query asks for, to be looked up before `asked`."""
    names = {value for term in terms_of(query) if term.field in ("owner", "requester") for value in term.values if value}
    texts = [query.text, *(value for term in query.terms if term.field == "text" for value in term.values)]
    return names | {word for text in texts for word in text.split()}
