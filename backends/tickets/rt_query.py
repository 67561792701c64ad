"""A ticket query as TicketSQL. What RT can't filter exactly it is asked for a little more of, and a test picks from that here. Pure; never imports an adapter.

Traps (seen on RT 5.0.3): absolute times are read in the time zone of RT's user, and what can't be parsed matches everything, so times are
sent as so many seconds from now. LIKE takes % and _ as wildcards and on SQLite folds only ASCII letters, and other databases take a
backslash as an escape: such characters are sent as the wildcard for one character, and looked at here. There is no NOT before a bracket.
Columns to sort by are from a fixed list, as an unknown one gives an empty list without a word. Nobody is a user like any other.
Each group of conditions on who asked is a join of its own over all users and groups, and five of them kept RT busy for minutes with 43 tickets:
only one is ever sent, the others are looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from backends.contract import now
from backends.tickets.model import OPEN_PHASES, Person, Phase, Term, TicketQuery, TicketRow

SORTS: Mapping[str, str] = {
    "number": "id", "subject": "Subject", "status": "Status", "priority": "Priority", "queue": "Queue", "assignee": "Owner", "created_at": "Created",
    "updated_at": "LastUpdated", "due_at": "Due",
}  # fmt: skip
EVERYTHING, NOTHING = "id > 0", "id = 0"
ACTIVE = "Status = '__Active__'"
_SPECIAL = re.compile(r"[^ -~]|[%_\\]")
"""Characters that LIKE does not take as themselves everywhere."""
FARTHEST = 1_000_000_000
"""Seconds: beyond it RT can't count (about 31 years)."""
_MOMENTS = {"created": "Created", "updated": "LastUpdated", "due": "Due"}
_OF_FIELD = {"category": "category", "tag": "tags", "vendor": "vendor", "location": "location", "kind": "kind", "team": "team", "pending": "follow_up"}
"""Term -> our name of the custom field that may hold it."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a test here sees of a ticket."""

    row: TicketRow
    askers: Sequence[Person] = ()
    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)


Test = Callable[[Line], bool]


@dataclass(frozen=True, slots=True)
class Part:
    """One condition: for RT, exact or a little too wide (EVERYTHING: RT can't at all), and as a test here."""

    sql: str
    exact: bool
    test: Test
    what: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """What the site's RT knows: statuses with their phase, queues, custom fields by our names, lowest number of P1 to P3."""

    statuses: Mapping[str, Phase]
    queues: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    levels: Sequence[int] = (80, 60, 30)


@dataclass(frozen=True, slots=True)
class Asked:
    """TicketSQL, and the tests that are left to be done here with what they are about."""

    sql: str
    tests: tuple[Test, ...] = ()
    here: tuple[str, ...] = ()


def quoted(text: str) -> str:
    """A TicketSQL string; control characters are no part of a search."""
    plain = re.sub(r"[\x00-\x1f\x7f]", " ", text).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{plain}'"


def ticket_sql(query: TicketQuery, words: Words) -> Asked:
    """The query for RT, and what is left to be done here."""
    parts: list[Part] = []
    if query.phases:
        parts.append(_exact(_phases(query.phases, words)))
    for column, values in (("Status", query.statuses), ("Queue", query.queues)):
        if values:
            parts.append(_exact(_or(f"{column} = {quoted(value)}" for value in values)))
    if query.assignees:
        parts.append(_exact(_or(f"Owner = {quoted(who or 'Nobody')}" for who in query.assignees)))
    if query.priorities:
        parts.append(_exact(_or(_level(level, words) for level in query.priorities)))
    if query.overdue:
        parts.append(_exact(f"{ACTIVE} AND Due < 'now' AND Due > '1971-01-01'"))
    if query.requester:
        parts.append(_requester(query.requester, False))
    if query.ref:
        parts.append(_exact(NOTHING))
    if query.text.split():
        parts.append(_phrase(query.text, query.inverse))
    parts += [_term(term, words) for term in query.terms]
    parts = _one_join(parts)
    here = [part for part in parts if not part.exact]
    sql = " AND ".join(f"({part.sql})" for part in parts if part.sql != EVERYTHING) or EVERYTHING
    return Asked(sql, tuple(part.test for part in here), tuple(dict.fromkeys(part.what for part in here)))


def _joins(sql: str) -> int:
    return sql.count("Requestor.EmailAddress")


def _one_join(parts: Sequence[Part]) -> list[Part]:
    """The parts with only one join over who asked among them."""
    out: list[Part] = []
    for part in parts:
        left = 1 - sum(_joins(other.sql) for other in out)
        out.append(part if _joins(part.sql) <= left else Part(EVERYTHING, False, part.test, part.what))
    return out


def _bracketed(sql: str) -> str:
    """As a part of a longer condition. Simple ones stay without brackets: RT makes one join of what stands side by side."""
    return f"({sql})" if re.search(r" (AND|OR) ", re.sub(r"'(?:[^'\\]|\\.)*'", "", sql)) else sql


def _exact(sql: str) -> Part:
    return Part(sql, True, lambda line: True)


def _or(parts: Iterable[str]) -> str:
    return " OR ".join(parts) or NOTHING


def _either(parts: Sequence[Part], what: str) -> Part:
    """Any of them. As wide as its widest."""
    sqls = [part.sql for part in parts if part.sql != NOTHING]
    sql = EVERYTHING if EVERYTHING in sqls else _or(_bracketed(one) for one in sqls)
    return Part(sql, all(part.exact for part in parts), lambda line: any(part.test(line) for part in parts), what)


def _both(parts: Sequence[Part], what: str) -> Part:
    """All of them."""
    sqls = [part.sql for part in parts if part.sql != EVERYTHING]
    sql = " AND ".join(_bracketed(one) for one in sqls) or EVERYTHING
    return Part(sql, all(part.exact for part in parts), lambda line: all(part.test(line) for part in parts), what)


def _like(column: str, value: str, negated: bool, read: Callable[[Line], Iterable[str]], what: str) -> Part:
    """Contains, letter case aside."""
    pattern, plain, wanted = _SPECIAL.sub("_", value), _SPECIAL.search(value) is None, value.lower()

    def test(line: Line) -> bool:
        return any(wanted in text.lower() for text in read(line)) is not negated

    if negated:
        return Part(f"{column} NOT LIKE {quoted(pattern)}" if plain else EVERYTHING, plain, test, what)
    return Part(f"{column} LIKE {quoted(pattern)}", plain, test, what)


def _same(column: str, value: str, negated: bool, read: Callable[[Line], Iterable[str]], what: str) -> Part:
    """Equal, letter case aside."""
    plain, wanted = value.isascii(), value.lower()

    def test(line: Line) -> bool:
        return any(wanted == text.lower() for text in read(line)) is not negated

    if not plain:
        return Part(EVERYTHING if negated else _like(column, value, False, read, what).sql, False, test, what)
    return Part(f"{column} {'!=' if negated else '='} {quoted(value)}", True, test, what)


def _phases(phases: Sequence[Phase], words: Words) -> str:
    """Words that we don't know are active where RT says so, and closed where it says they are over."""
    wanted = set(phases)
    if wanted == set(OPEN_PHASES):
        return ACTIVE
    if not wanted or wanted == set(Phase):
        return EVERYTHING if wanted else NOTHING
    parts = [f"Status = {quoted(word)}" for word, phase in words.statuses.items() if phase in wanted and phase not in (Phase.ACTIVE, Phase.CLOSED)]
    for phase, pseudo in ((Phase.ACTIVE, "__Active__"), (Phase.CLOSED, "__Inactive__")):
        if phase in wanted:
            others = [f"Status != {quoted(word)}" for word, other in words.statuses.items() if other is not phase]
            parts.append("(" + " AND ".join([f"Status = '{pseudo}'", *others]) + ")")
    return _or(parts)


def _level(level: int, words: Words) -> str:
    lows = [*words.levels, 0]
    high = lows[level - 2] if 1 < level <= 4 else None
    bounds = [f"Priority >= {lows[level - 1]}"] if level < 4 else []
    return "(" + " AND ".join([*bounds, *([f"Priority < {high}"] if high is not None else [])]) + ")"


def _asker_words(line: Line) -> list[str]:
    return [text for one in line.askers for text in (one.login, one.email, one.name) if text]


def _requester(who: str, negated: bool) -> Part:
    """By login or address, or by a part of the name."""
    parts = [
        _same("Requestor.Name", who, negated, lambda line: [text for one in line.askers for text in (one.login or one.email,)], "requester"),
        _same("Requestor.EmailAddress", who, negated, lambda line: [one.email for one in line.askers], "requester"),
        _like("Requestor.RealName", who, negated, lambda line: [one.name for one in line.askers], "requester"),
    ]
    return (_both if negated else _either)(parts, "requester")


def _text(piece: str, negated: bool) -> Part:
    """In the subject, in who asked, or the number."""
    columns = ("Requestor.EmailAddress", "Requestor.Name", "Requestor.RealName")
    parts = [_like("Subject", piece, negated, lambda line: [line.row.subject], "text")]
    parts += [_like(column, piece, negated, _asker_words, "text") for column in columns]
    digits = piece.lstrip("#")
    if digits.isascii() and digits.isdigit() and len(digits) < 12:
        parts.append(_number(digits, negated))
    return (_both if negated else _either)(parts, "text")


def _number(digits: str, negated: bool) -> Part:
    return Part(f"id {'!=' if negated else '='} {int(digits)}", True, lambda line: (line.row.id == str(int(digits))) is not negated, "number")


def _constant(holds: bool) -> Part:
    return Part(EVERYTHING if holds else NOTHING, True, lambda line: holds)


def _term(term: Term, words: Words) -> Part:
    if term.field in _MOMENTS:
        return _exact(_moment(term))
    if term.field == "phase":
        phases = [Phase(value) for value in term.values]
        return _exact(_phases([phase for phase in Phase if (phase in phases) != term.negated], words))
    if term.field == "priority":
        levels = [int(value) for value in term.values if value in ("1", "2", "3", "4")]
        return _exact(_or(_level(level, words) for level in (1, 2, 3, 4) if (level in levels) != term.negated))
    if term.field == "field" or term.field in _OF_FIELD:
        return _custom(term, words)
    if term.field == "origin":
        return _constant((term.op != "none" and "rt" in term.values) is not term.negated)
    if term.field == "ref":
        return _constant((term.op == "none") is not term.negated)
    if term.op == "none":
        return _none(term)
    parts = [_plain(term, value) for value in term.values]
    return (_both if term.negated else _either)(parts, term.field)


def _none(term: Term) -> Part:
    if term.field == "owner":
        return _owner("", term)
    if term.field == "requester":
        sql = f"Requestor.EmailAddress IS {'NOT ' if term.negated else ''}NULL"
        return Part(sql, True, lambda line: (not line.askers) is not term.negated, "requester")
    if term.field == "subject":
        return _exact(f"Subject {'!=' if term.negated else '='} ''")
    return _constant(term.negated)


def _plain(term: Term, value: str) -> Part:
    how = _same if term.op == "is" else _like
    if term.field == "text":
        return _phrase(value, term.negated)
    if term.field == "requester":
        return _requester(value, term.negated)
    if term.field == "number":
        digits = value.lstrip("#")
        return _number(digits, term.negated) if digits.isascii() and digits.isdigit() and len(digits) < 12 else _constant(term.negated)
    if term.field == "owner":
        return _owner(value, term)
    columns: Mapping[str, tuple[str, Callable[[Line], Iterable[str]]]] = {
        "subject": ("Subject", lambda line: [line.row.subject]), "queue": ("Queue", lambda line: [line.row.queue]), "status": ("Status", lambda line: [line.row.status]),
    }  # fmt: skip
    column, read = columns[term.field]
    return how(column, value, term.negated, read, term.field)


def _phrase(value: str, negated: bool) -> Part:
    """Each of the words must be there, as in our own search. RT looks for the longest, as it makes a join of each."""
    parts = sorted((_text(piece, negated) for piece in value.split()), key=lambda part: len(part.sql), reverse=True)
    if len(parts) < 2:
        return parts[0] if parts else _constant(not negated)

    def test(line: Line) -> bool:
        return (any if negated else all)(part.test(line) for part in parts)

    return Part(EVERYTHING if negated else parts[0].sql, False, test, "text")


def _owner(value: str, term: Term) -> Part:
    if not value:
        return Part(f"Owner {'!=' if term.negated else '='} 'Nobody'", True, lambda line: (not line.row.assignee) is not term.negated, "owner")
    if term.op == "is":
        return _same("Owner", value, term.negated, lambda line: [line.row.assignee], "owner")
    part = _like("Owner.Name", value, term.negated, lambda line: [line.row.assignee], "owner")
    nobody = "Owner = 'Nobody'" if term.negated else "Owner != 'Nobody'"
    joined = EVERYTHING if part.sql == EVERYTHING else f"{part.sql} {'OR' if term.negated else 'AND'} {nobody}"
    return Part(joined, part.exact, part.test, part.what)


def relative(text: str) -> str:
    """A moment as RT reads it rightly wherever it stands: so many seconds from now."""
    span = round((datetime.fromisoformat(text) - now()).total_seconds())
    return f"'{min(-span, FARTHEST)} seconds ago'" if span < 0 else f"'+{min(span, FARTHEST)} seconds'"


def _moment(term: Term) -> str:
    column = _MOMENTS[term.field]
    if term.op == "none":
        unset = "(Due IS NULL OR Due < '1971-01-01')" if term.field == "due" else NOTHING
        known = "Due > '1971-01-01'" if term.field == "due" else EVERYTHING
        return known if term.negated else unset
    before = term.op == "before"
    sign = {(True, False): "<", (False, False): ">", (True, True): ">=", (False, True): "<="}[(before, term.negated)]
    sql = f"{column} {sign} {relative(term.values[0])}"
    if term.field != "due":
        return sql
    return f"{sql} OR Due IS NULL OR Due < '1971-01-01'" if term.negated else f"{sql} AND Due > '1971-01-01'"


def _custom(term: Term, words: Words) -> Part:
    """A custom field: the one named, or the one that holds what the term asks. Where there is none, no ticket has it."""
    name = (term.values[0] if term.values else "") if term.field == "field" else words.fields.get(_OF_FIELD[term.field], "")
    values = term.values[1:] if term.field == "field" else term.values
    if not name:
        return _constant((term.op == "none") is not term.negated)
    known = re.fullmatch(r"[^{}'\"\\\x00-\x1f]+", name) is not None
    column, what = f"CF.{{{name}}}", term.field if term.field != "field" else name

    def read(line: Line) -> Sequence[str]:
        return line.fields.get(name, ())

    if term.op == "none":
        parts = [Part(EVERYTHING, False, lambda line: (not any(read(line))) is not term.negated, what)]
    elif term.op in ("before", "after"):
        parts = [Part(EVERYTHING, False, lambda line: _by_day(read(line), term) is not term.negated, what)]
    else:
        how = _same if term.op == "is" or term.field == "field" else _like
        parts = [how(column, value, term.negated, read, what) for value in values]
    if not known:
        parts = [Part(EVERYTHING, False, part.test, what) for part in parts]
    return (_both if term.negated else _either)(parts, what)


def _by_day(values: Sequence[str], term: Term) -> bool:
    """A date field against a moment, both as ISO text."""
    wanted = term.values[0][:10]
    return any((value[:10] < wanted) if term.op == "before" else (value[:10] > wanted) for value in values if value)
