"""A ticket query as a condition that Zammad answers from its database, and what has to be judged here. Pure; never imports an adapter.

The condition is a flat table, one test an attribute: exact and immediate, where its search index lags, ends at 10,000 rows and knows
nothing when no Elasticsearch is there. What does not fit is filtered here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backends.contract import now
from backends.tickets.events import iso
from backends.tickets.model import Phase, Term, TicketQuery
from backends.tickets.row_filter import terms_of

NOBODY = 1
"""The user id that stands for no owner."""
SORTS: Mapping[str, str] = {
    "number": "number", "subject": "title", "status": "state_id", "priority": "priority_id", "queue": "group_id", "requester": "customer_id",
    "assignee": "owner_id", "created_at": "created_at", "updated_at": "updated_at", "due_at": "escalation_at",
}  # fmt: skip
_BY_NUMBER = ("status", "queue", "requester", "assignee")
_DATES = {"created": "created_at", "updated": "updated_at", "due": "escalation_at", "pending": "pending_time"}
UNKNOWN = ("location", "team", "kind", "category", "ref", "vendor", "tag")
"""What the rows of a list do not tell: a condition on it that the server does not take matches nothing."""
Condition = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Words:
    """What the site's Zammad knows: names with their ids; states with their phase, priorities with their level."""

    states: Mapping[str, int]
    phases: Mapping[str, Phase]
    groups: Mapping[str, int]
    priorities: Mapping[str, int]
    levels: Mapping[str, int]
    people: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Login or part of a name, as asked -> ids of the users that fit."""


@dataclass(slots=True)
class Asked:
    """`condition` for the server, `here` for us; `nothing`: no ticket can match; `unknown`: fields it has not."""

    condition: Condition
    here: list[Term]
    nothing: bool = False
    unknown: list[str] = field(default_factory=list)


def everything() -> Condition:
    """A condition that all tickets fit: an empty one is refused."""
    return {"ticket.created_at": {"operator": "before (absolute)", "value": iso(now() + timedelta(days=2))}}


def asked(query: TicketQuery, words: Words, at: datetime) -> Asked:
    """The query taken apart."""
    out = Asked({}, [])
    sets: dict[str, set[int]] = {}
    if query.overdue:
        out.condition["ticket.escalation_at"] = {"operator": "before (absolute)", "value": iso(at)}
    for term in terms_of(query):
        choice = _choice(term, words)
        if choice is not None:
            attribute, ids = choice
            sets[attribute] = sets[attribute] & ids if attribute in sets else ids
            continue
        test = _test(term, words)
        if test is not None and test[0] in out.condition:
            test = _both(test[0], out.condition[test[0]], test[1])
        if test is None:
            if term.field in UNKNOWN:
                out.unknown.append(term.field)
            out.here.append(term)
        else:
            out.condition[test[0]] = test[1]
    for attribute, ids in sets.items():
        out.condition[attribute] = {"operator": "is", "value": [str(ident) for ident in sorted(ids)]}
        out.nothing = out.nothing or not ids
    out.condition = out.condition or everything()
    return out


def _both(attribute: str, one: dict[str, Any], other: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Two tests of one attribute as one, where that can be said."""
    if one == other:
        return attribute, one
    if attribute == "ticket.tags" and (one["operator"] in ("contains one", "contains all")) and other["operator"] == "contains one" and "," not in f"{one['value']}{other['value']}":
        return attribute, {"operator": "contains all", "value": f"{one['value']},{other['value']}"}
    if attribute not in ("ticket.owner_id", "ticket.customer_id"):
        return None
    ids, more = set(one["value"]), set(other["value"])
    first, second = (test["operator"] == "is" for test in (one, other))
    left = ids & more if first and second else ids - more if first else more - ids if second else ids | more
    return attribute, {**one, "operator": "is" if first or second else "is not", "value": sorted(left) or ["0"]}


def _choice(term: Term, words: Words) -> tuple[str, set[int]] | None:
    """A condition on one of the site's word lists: any number of them is one set of ids."""
    if term.field == "phase":
        return _those("ticket.state_id", words.states, lambda name: words.phases.get(name, Phase.ACTIVE).value in term.values, term)
    if term.field in ("status", "queue") and term.op in ("is", "has"):
        known, attribute = (words.states, "ticket.state_id") if term.field == "status" else (words.groups, "ticket.group_id")
        return _those(attribute, known, lambda name: any(_fits(term.op, name, value) for value in term.values), term)
    if term.field == "priority" and term.op == "is":
        return _those("ticket.priority_id", words.priorities, lambda name: str(words.levels.get(name, 3)) in term.values, term)
    return None


def _those(attribute: str, known: Mapping[str, int], fits: Callable[[str], bool], term: Term) -> tuple[str, set[int]]:
    return attribute, {ident for name, ident in known.items() if fits(name) is not term.negated}


def _fits(op: str, name: str, value: str) -> bool:
    return value.casefold() in name.casefold() if op == "has" else value.casefold() == name.casefold()


def _test(term: Term, words: Words) -> tuple[str, dict[str, Any]] | None:
    if term.op in ("before", "after") and term.field in _DATES and not term.negated:
        value = iso(datetime.fromisoformat(term.values[0]))
        return f"ticket.{_DATES[term.field]}", {"operator": f"{term.op} (absolute)", "value": value}
    if term.op == "none":
        return None
    if term.field in ("owner", "requester"):
        return _people(term, words)
    if term.field == "number":
        return "ticket.number", {"operator": _is(term), "value": [value.lstrip("#") for value in term.values]}
    if term.field == "subject" and len(term.values) == 1 and term.op == "has":
        return "ticket.title", {"operator": "contains not" if term.negated else "contains", "value": term.values[0]}
    if term.field == "tag" and not any("," in value for value in term.values):
        return "ticket.tags", {"operator": "contains one not" if term.negated else "contains one", "value": ",".join(term.values)}
    return None


def _people(term: Term, words: Words) -> tuple[str, dict[str, Any]] | None:
    ids: list[int] = []
    for value in term.values:
        ids += [NOBODY] if not value and term.field == "owner" else list(words.people.get(value, ()))
    attribute = "ticket.owner_id" if term.field == "owner" else "ticket.customer_id"
    return attribute, {"operator": _is(term), "pre_condition": "specific", "value": [str(ident) for ident in ids or [0]]}


def _is(term: Term) -> str:
    return "is not" if term.negated else "is"


def sorting(query: TicketQuery) -> tuple[dict[str, str], str]:
    """(sort_by and order_by, what is said of it). P1 is the highest number there; the id settles ties."""
    down = query.descending is not (query.sort == "priority")
    way = "desc" if down else "asc"
    note = f"sorted by Zammad's numbers of {query.sort}, not by the words" if query.sort in _BY_NUMBER else ""
    return {"sort_by": f"{SORTS[query.sort]},id", "order_by": f"{way},{way}"}, note


def people_asked(query: TicketQuery) -> set[str]:
    """The names and logins that a query asks for, to be looked up before `asked`."""
    return {value for term in terms_of(query) if term.field in ("owner", "requester") and term.op != "none" for value in term.values if value}
