"""A ticket query as conditions and an order of the record store. Never imports an adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from backends.store.contract import All, AnyOf, Not, Order, Test, Where
from backends.store.values import dump, field_name
from backends.tickets.events import iso
from backends.tickets.model import Term, TicketQuery

INDEXES = (
    "number", "phase,updated_at", "queue,updated_at", "assignee,updated_at", "status", "priority", "updated_at", "created_at", "due_at",
    "login", "ref_first", "ref_second", "ref_more", "dedupe_key", "pending_until", "team", "requester", "subject", "category", "kind,updated_at", "location", "origin,updated_at",
    "email", "pending_reason", "tags,updated_at", "fields", "updated_at,search",
)  # fmt: skip
"""What lists filter and sort by: declared to the store, so that a page of 100,000 tickets reads only itself."""


def where(query: TicketQuery, at: datetime) -> Where:
    """The conditions; `at` is what "overdue" is measured by."""
    parts: list[Where] = []
    for field, wanted in (
        ("phase", tuple(phase.value for phase in query.phases)), ("status", query.statuses), ("queue", query.queues),
        ("assignee", query.assignees), ("priority", query.priorities),
    ):  # fmt: skip
        if wanted:
            parts.append(Test(field, "eq", wanted[0]) if len(wanted) == 1 else Test(field, "any", tuple(wanted)))
    if query.overdue:
        parts.append(Test("due_at", "lt", iso(at)))
    if query.requester:
        parts.append(requested_by(query.requester))
    if query.ref:
        parts.append(about(query.ref))
    parts += [condition(term) for term in query.terms]
    if query.text.strip():
        words: Where = All(tuple(Test("search", "has", word) for word in query.text.lower().split()))
        parts.append(Not(words) if query.inverse else words)
    return All(tuple(parts))


_STORED = {
    "owner": "assignee", "created": "created_at", "updated": "updated_at", "due": "due_at", "pending": "pending_until", "vendor": "pending_reason", "tag": "tags",
    "ref": "refs", "text": "search",
}  # fmt: skip
_CASES: tuple[Callable[[str], str], ...] = (str, str.lower, str.upper, str.capitalize)


def condition(term: Term) -> Where:
    """One condition of a query on stored tickets."""
    found = _condition(term)
    return Not(found) if term.negated else found


def _condition(term: Term) -> Where:
    if term.field == "field":
        return _custom(term.values[0], term.values[1:], term.op)
    field = _STORED.get(term.field, term.field)
    if term.op == "none":
        return AnyOf((Test(field, "eq", None), Test(field, "eq", "")))
    if term.op in ("before", "after"):
        return Test(field, "lt" if term.op == "before" else "gt", iso(datetime.fromisoformat(term.values[0])))
    return AnyOf(tuple(_value(term.field, field, term.op, value) for value in term.values))


def _value(name: str, field: str, op: str, value: str) -> Where:
    if name == "requester":
        return requested_by(value)
    if name == "ref":
        return about(value)
    if name in ("tag", "mentioned", "follower"):
        stored = {"tag": "tags", "mentioned": "mentioned", "follower": "followers"}[name]
        return AnyOf(tuple(Test(stored, "member", word) for word in _cased(value)))
    if name in ("priority", "number"):
        digits = value.upper().removeprefix("T-").removeprefix("P").removeprefix("#")
        return Test(field, "eq", int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 16 else -1)
    if name == "text":
        return All(tuple(Test("search", "has", word) for word in value.lower().split()))
    if op == "has":
        return Test(field, "has", value)
    return Test(field, "any", tuple(_cased(value))) if value else Test(field, "eq", value)


def _cased(value: str) -> list[str]:
    """The word as it is written here or there: the store compares letter by letter."""
    return list(dict.fromkeys(case(value) for case in _CASES))


def _custom(name: str, values: Sequence[str], op: str) -> Where:
    """A custom field: one value or a list of them, words or numbers."""
    field = f"fields.{name}"
    try:
        field_name(field)
        if "." in name:
            raise ValueError(name)
    except ValueError:  # a name that is no path: looked for in the text of all fields
        key = dump(name)
        found: Where = AnyOf(tuple(Test("fields", "has", f"{key}:{dump(value)}") for value in values)) if op != "none" else Not(Test("fields", "has", f"{key}:"))
        return found
    if op == "none":
        return AnyOf((Test(field, "eq", None), Test(field, "eq", "")))
    parts: list[Where] = []
    for value in values:
        parts += [Test(field, "any", tuple(_cased(value))), *(Test(field, "member", word) for word in _cased(value))]
        if value.isascii() and value.isdecimal() and len(value) < 16:
            parts.append(Test(field, "eq", int(value)))
    return AnyOf(tuple(parts))


def requested_by(who: str) -> Where:
    """Asked for by this login or address, or by a person whose name holds the text."""
    return AnyOf((Test("login", "eq", who), Test("email", "eq", who), Test("requester", "has", who)))


def about(ref: str) -> Where:
    """About this record. The first two references of a ticket are fields of their own, as only those can be found by an index."""
    return AnyOf((
        Test("ref_first", "eq", ref), Test("ref_second", "eq", ref), All((Test("ref_more", "eq", True), Test("refs", "member", ref))),
    ))  # fmt: skip


def order(query: TicketQuery) -> list[Order]:
    """The sort the query asks for."""
    return [Order(query.sort, query.descending)]
