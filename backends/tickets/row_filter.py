"""A ticket query judged here, on what a server sent: for conditions that the server can't filter by. Pure; never imports an adapter.

The rules are those of our own store: letter case does not matter, "is" is the whole value, "has" a part of it, nothing compares with a
missing value, and a negated condition holds for a missing one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from backends.tickets.model import Term, TicketQuery, TicketRow

Facts = Mapping[str, Any]
"""Field of a term -> value: a text, a number, a list, a moment or None. "text" is what plain words are looked for in; "fields" the custom ones."""
Judge = Callable[[Facts], bool]


def facts_of(row: TicketRow, **more: Any) -> dict[str, Any]:
    """What a list row tells; `more` adds what the adapter knows beyond it (tag, kind, category, requester as a list of names, ...)."""
    return {
        "subject": row.subject, "queue": row.queue, "status": row.status, "phase": row.phase.value, "owner": row.assignee, "team": row.team,
        "requester": row.requester, "location": row.location, "priority": str(row.priority), "number": row.number.lstrip("#"),
        "created": row.created_at, "updated": row.updated_at, "due": row.due_at, "text": f"{row.number} {row.subject} {row.requester}", **more,
    }  # fmt: skip


def fits(term: Term, facts: Facts) -> bool:
    """Whether one condition holds."""
    return _holds(term, facts) is not term.negated


def _holds(term: Term, facts: Facts) -> bool:
    if term.field == "field":
        value, wanted = dict(facts.get("fields") or {}).get(term.values[0]) if term.values else None, term.values[1:]
    else:
        value, wanted = facts.get(term.field), term.values
    if term.op == "none":
        return value is None or value == "" or value == []
    if term.op in ("before", "after"):
        at = datetime.fromisoformat(term.values[0])
        return isinstance(value, datetime) and (value < at if term.op == "before" else value > at)
    if term.field == "text":
        return any(has_words(text, str(value or "")) for text in wanted)
    return any(_is(term, str(item or ""), text) for item in _list(value) for text in wanted)


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _is(term: Term, value: str, wanted: str) -> bool:
    value, wanted = value.casefold(), wanted.casefold()
    if term.field == "number":
        return value.lstrip("#").removeprefix("t-") == wanted.lstrip("#").removeprefix("t-")
    if term.field == "requester":
        return value == wanted or ("@" not in value and wanted in value)
    return wanted in value if term.op == "has" else value == wanted


def has_words(words: str, text: str) -> bool:
    """Whether each word is somewhere in the text."""
    low = text.casefold()
    return all(word in low for word in words.casefold().split())


def text_judge(query: TicketQuery) -> Judge | None:
    """The plain words of a query, or None where there are none."""
    if not query.text.strip():
        return None
    return lambda facts: has_words(query.text, str(facts.get("text") or "")) is not query.inverse


def terms_of(query: TicketQuery) -> tuple[Term, ...]:
    """The fields of a query as terms, its terms after them; `text` and `overdue` are left to the adapter."""
    out: list[Term] = []
    for name, values in (("phase", tuple(phase.value for phase in query.phases)), ("status", query.statuses), ("queue", query.queues),
                         ("owner", query.assignees), ("priority", tuple(map(str, query.priorities)))):  # fmt: skip
        if values:
            out.append(Term(name, "is", values))  # type: ignore[arg-type]
    if query.requester:
        out.append(Term("requester", "has", (query.requester,)))
    if query.ref:
        out.append(Term("ref", "is", (query.ref,)))
    return (*out, *query.terms)


def said_here(fields: Sequence[str]) -> str:
    """The sentence for `Page.note`."""
    return f"filtered here, not on the server: {', '.join(dict.fromkeys(fields))}" if fields else ""
