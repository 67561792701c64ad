"""One line of text as a ticket query: `queue:net status:open owner:me due<2d "projector" !tag:spam`.

Plain words are looked for in subject, requester and number. `field:value` narrows (`,` between values is "or", `none` is "has none"),
`field<2d` and `field>2026-12-01` compare moments, `!` in front turns one condition round. A mistake names the word. Never imports textual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from backends.contract import now
from backends.errors import Invalid
from backends.options import seconds
from backends.tickets.model import OPEN_PHASES, Phase, Term, TermField, TicketQuery, Vocabulary

FIELDS: Mapping[str, TermField] = {
    "queue": "queue", "status": "status", "phase": "phase", "owner": "owner", "assignee": "owner", "team": "team", "requester": "requester", "from": "requester",
    "where": "location", "location": "location", "prio": "priority", "priority": "priority", "kind": "kind", "category": "category", "tag": "tag",
    "number": "number", "ref": "ref", "about": "ref", "vendor": "vendor", "by": "origin", "subject": "subject", "mentioned": "mentioned", "follower": "follower",
}  # fmt: skip
MOMENTS: Mapping[str, TermField] = {"due": "due", "created": "created", "updated": "updated", "pending": "pending"}
FLAGS = ("overdue", "mine", "unassigned")
_WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')


def read_ticket_query(text: str, base: TicketQuery, me: str) -> TicketQuery:
    """`base` with the line's conditions in place of those a line gave before. Invalid names the word that is not understood."""
    query = replace(base, text="", inverse=False, terms=())
    plain: list[str] = []
    for word in _WORD.findall(text):
        query = _take(query, word, plain, me)
    return replace(query, text=" ".join(plain))


def _take(query: TicketQuery, word: str, plain: list[str], me: str) -> TicketQuery:
    negated, rest = (True, word[1:]) if word.startswith("!") else (False, word)
    compared = re.fullmatch(r'(\w+)([<>])"?([^"]*)"?', rest)
    named = re.fullmatch(r"([A-Za-z_.]+):(.*)", rest, re.DOTALL)
    if rest.lower() in FLAGS:
        return _flag(query, rest.lower(), negated, me)
    if compared and compared.group(1).lower() in MOMENTS:
        return _with(query, _moment(compared.group(1).lower(), compared.group(2), compared.group(3), negated))
    if named and not rest.startswith('"') and not named.group(2).startswith("//"):
        return _named(query, named.group(1).lower(), named.group(2), negated, me)
    found = rest.strip('"').strip()
    if found and negated:
        return _with(query, Term("text", "has", (found.lower(),), True))
    if found:
        plain.append(found)
    return query


def _with(query: TicketQuery, term: Term) -> TicketQuery:
    return replace(query, terms=(*query.terms, term))


def _flag(query: TicketQuery, flag: str, negated: bool, me: str) -> TicketQuery:
    if flag == "overdue":
        return _with(query, Term("due", "before", (now().isoformat(),), negated)) if negated else replace(query, overdue=True)
    return _with(query, Term("owner", "is", (me if flag == "mine" else "",), negated))


def _named(query: TicketQuery, name: str, value: str, negated: bool, me: str) -> TicketQuery:
    values = tuple(part.strip('" ') for part in re.findall(r'"[^"]*"?|[^,]+', value))
    if name.startswith("field.") and values:
        return _with(query, Term("field", "is", (name[6:], *values), negated))
    if name not in FIELDS:
        raise Invalid(f"{name!r} is no field; there are {', '.join(sorted({*FIELDS, *MOMENTS}))}")
    if not values:
        raise Invalid(f"{name}: needs a value, such as {name}:x, or none")
    field = FIELDS[name]
    if values == ("none",) and field not in ("status", "phase"):
        return _with(query, Term("owner", "is", ("",), negated) if field == "owner" else Term(field, "none", (), negated))
    if field in ("status", "phase"):
        return _status(query, values, negated)
    if field == "owner":
        return _with(query, Term("owner", "is", tuple(me if part == "me" else "" if part == "nobody" else part for part in values), negated))
    if field == "priority":
        return _with(query, Term("priority", "is", tuple(_level(part) for part in values), negated))
    exact = field in ("number", "ref", "tag", "kind", "origin", "mentioned", "follower")
    return _with(query, Term(field, "is" if exact else "has", tuple(me if part == "me" else part for part in values), negated))


def _level(text: str) -> str:
    digits = text.upper().removeprefix("P")
    if digits not in ("1", "2", "3", "4"):
        raise Invalid(f"{text!r} is not a priority from 1 to 4")
    return digits


def _status(query: TicketQuery, values: Sequence[str], negated: bool) -> TicketQuery:
    """Phases by their words, `open` and `all`; anything else is a part of the site's own word."""
    phases: list[str] = []
    for value in values:
        word = value.lower()
        if word == "all":
            return replace(query, phases=())
        if word == "open":
            phases += [phase.value for phase in OPEN_PHASES]
        elif word in [phase.value for phase in Phase]:
            phases.append(word)
    if not phases:
        return _with(replace(query, phases=()), Term("status", "has", tuple(values), negated))
    if negated:
        return _with(query, Term("phase", "is", tuple(phases), True))
    return replace(query, phases=tuple(Phase(phase) for phase in dict.fromkeys(phases)))


def _moment(name: str, sign: str, value: str, negated: bool) -> Term:
    """`due<2d`: within two days from now. `created<7d`: in the last seven days. `updated>3d`: longer ago. A day compares as a day."""
    field = MOMENTS[name]
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            at, before = datetime.fromisoformat(f"{value}T00:00:00+00:00"), sign == "<"
        else:
            span = timedelta(seconds=seconds(value))
            ahead = field in ("due", "pending")
            at, before = (now() + span, sign == "<") if ahead else (now() - span, sign == ">")
    except ValueError:
        raise Invalid(f"{name}{sign}{value}: {value!r} is neither a time such as 2d nor a day such as 2026-12-01") from None
    return Term(field, "before" if before else "after", (at.isoformat(),), negated)


def completer(words: Vocabulary | None, me: str) -> Callable[[str], list[str]]:
    """Whole words for the last word of a line: fields, flags, and values the ticket system knows."""
    known: dict[str, Sequence[str]] = {"status": ("open", "all", *(phase.value for phase in Phase)), "owner": ("me", "nobody"), "prio": ("1", "2", "3", "4")}
    if words is not None:
        known |= {"queue": words.queues, "owner": ("me", "nobody", *words.agents), "category": words.categories, "team": words.teams, "vendor": words.vendors}
        known["status"] = (*known["status"], *words.statuses)

    def complete(head: str) -> list[str]:
        last = head.rsplit(" ", 1)[-1]
        mark, bare = ("!", last[1:]) if last.startswith("!") else ("", last)
        name, colon, value = bare.partition(":")
        if colon:
            return [f"{mark}{name}:{_quoted(word)}" for word in known.get(name, ()) if word.lower().startswith(value.lower().strip('"'))]
        names = [f"{field}:" for field in sorted(FIELDS)] + [f"{field}<" for field in MOMENTS] + list(FLAGS)
        return [mark + word for word in names if bare and word.startswith(bare.lower())]

    return complete


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def spoken_query(query: Any) -> str:
    """The conditions of a query as one would type them, for the head of a list."""
    parts = []
    for term in query.terms:
        sign = {"is": ":", "has": ":", "none": ":", "before": "<", "after": ">"}[term.op]
        values = ",".join(value[:10] if term.op in ("before", "after") else value or "none" for value in term.values) or "none"
        parts.append(f"{'!' if term.negated else ''}{term.field}{sign}{values}")
    return " ".join(parts)
