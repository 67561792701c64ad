"""A ticket query as conditions and an order of the record store. Never imports an adapter."""

from __future__ import annotations

from datetime import datetime

from backends.store.contract import All, AnyOf, Not, Order, Test, Where
from backends.tickets.events import iso
from backends.tickets.model import Term, TicketQuery

INDEXES = (
    "number", "phase,updated_at", "queue,updated_at", "assignee,updated_at", "status", "priority", "updated_at", "created_at", "due_at",
    "login", "ref_first", "ref_second", "ref_more", "dedupe_key", "pending_until", "team",
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


_STORED = {"owner": "assignee", "created": "created_at", "updated": "updated_at", "due": "due_at", "pending": "pending_until", "vendor": "pending_reason"}


def condition(term: Term) -> Where:
    """One condition of a query on stored tickets."""
    found = _condition(term)
    return Not(found) if term.negated else found


def _condition(term: Term) -> Where:
    field = _STORED.get(term.field, term.field)
    if term.op == "none":
        return AnyOf((Test(field, "eq", None), Test(field, "eq", "")))
    if term.op in ("before", "after"):
        return Test(field, "lt" if term.op == "before" else "gt", iso(datetime.fromisoformat(term.values[0])))
    if term.field == "field":
        return AnyOf(tuple(Test(f"fields.{term.values[0]}", "eq", value) for value in term.values[1:]))
    return AnyOf(tuple(_value(term.field, field, term.op, value) for value in term.values))


def _value(name: str, field: str, op: str, value: str) -> Where:
    if name == "requester":
        return requested_by(value)
    if name == "ref":
        return about(value)
    if name in ("tag", "mentioned", "follower"):
        return Test({"tag": "tags", "mentioned": "mentioned", "follower": "followers"}[name], "member", value)
    if name in ("priority", "number"):
        digits = value.upper().removeprefix("T-").removeprefix("P")
        return Test(field, "eq", int(digits) if digits.isdigit() else -1)
    if name == "text":
        return All(tuple(Test("search", "has", word) for word in value.lower().split()))
    return Test(field, "has" if op == "has" else "eq", value)


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
