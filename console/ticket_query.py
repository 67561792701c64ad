"""One line of text as a ticket query: `queue:net status:open owner:me due<2d "projector" !tag:spam`.

Plain words are looked for in subject, requester and number. `field:value` narrows (`,` between values is "or", `none` is "has none",
quotes keep blanks, commas and special words), `field<2d` and `field>2026-12-01` compare moments, `!` in front turns one condition round.
A mistake names the word and where it stands. Never imports textual.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from backends.contract import now
from backends.options import seconds
from backends.tickets.model import OPEN_PHASES, Phase, Term, TermField, TicketQuery
from console.ages import zone as zone_of
from console.query_words import Value, Word, WrongWord, quoted, unquoted, values, words

FIELDS: Mapping[str, TermField] = {
    "queue": "queue", "status": "status", "phase": "phase", "owner": "owner", "assignee": "owner", "team": "team", "requester": "requester", "from": "requester",
    "where": "location", "location": "location", "prio": "priority", "priority": "priority", "kind": "kind", "category": "category", "tag": "tag",
    "number": "number", "ref": "ref", "about": "ref", "vendor": "vendor", "by": "origin", "subject": "subject", "mentioned": "mentioned", "follower": "follower",
}  # fmt: skip
MOMENTS: Mapping[str, TermField] = {"due": "due", "created": "created", "updated": "updated", "pending": "pending"}
FLAGS = ("overdue", "mine", "unassigned")
DAYS = {"yesterday": -1, "today": 0, "tomorrow": 1}
SPECIAL = ("none", "me", "nobody", "open", "all", *FLAGS)
_EXACT = ("number", "ref", "tag", "kind", "origin", "mentioned", "follower")
_PEOPLE = ("requester", "mentioned", "follower")
_COMPARED = re.compile(r"([A-Za-z_]\w*)([<>])(.*)", re.DOTALL)
_NAMED = re.compile(r'(field\.(?:"(?:\\.|[^"\\])*"|[^\s":])*|[A-Za-z_][\w.-]*):(.*)', re.DOTALL | re.IGNORECASE)


def read_ticket_query(text: str, base: TicketQuery, me: str, zone: str = "UTC") -> TicketQuery:
    """`base` narrowed by the line. Days begin at midnight in `zone`. WrongWord (an Invalid) names the word that is not understood."""
    if base.inverse and base.text:
        base = replace(base, text="", inverse=False, terms=(*base.terms, Term("text", "has", (base.text.lower(),), True)))
    reader = _Reader(text, base, me, zone, [base.text] if base.text else [])
    for word in words(text):
        reader.take(word)
    return replace(reader.query, text=" ".join(" ".join(reader.plain).split()))


@dataclass(slots=True)
class _Reader:
    """The query as the words go by."""

    line: str
    query: TicketQuery
    me: str
    zone: str
    plain: list[str]
    word: Word = field(default_factory=lambda: Word("", 0))
    negated: bool = False

    def wrong(self, text: str) -> WrongWord:
        """The error at the present word."""
        return WrongWord(text, self.line, self.word.start, self.word.end)

    def add(self, field: TermField, op: Any, found: Sequence[str] = ()) -> None:
        """One more condition."""
        self.query = replace(self.query, terms=(*self.query.terms, Term(field, op, tuple(found), self.negated)))

    def take(self, word: Word) -> None:
        """One word. A field's name that is not known is a mistake, a word with a colon and two slashes is an address."""
        self.word, self.negated = word, word.text.startswith("!") and len(word.text) > 1
        rest = word.text[1:] if self.negated else word.text
        compared, named = _COMPARED.fullmatch(rest), _NAMED.fullmatch(rest)
        if rest.lower() in FLAGS:
            self._flag(rest.lower())
        elif compared and compared.group(1).lower() in (*MOMENTS, *FIELDS):
            self._moment(compared.group(1).lower(), compared.group(2), unquoted(compared.group(3)).strip())
        elif named and not named.group(2).startswith("//"):
            self._named(named.group(1), values(named.group(2)))
        else:
            self._text(" ".join(unquoted(rest).split()))

    def _text(self, found: str) -> None:
        if found and self.negated:
            self.add("text", "has", (found.lower(),))
        elif found:
            self.plain.append(found)

    def _flag(self, flag: str) -> None:
        if flag == "overdue" and self.negated:
            self.add("due", "before", (now().replace(microsecond=0).isoformat(),))
        elif flag == "overdue":
            self.query = replace(self.query, overdue=True)
        else:
            self.add("owner", "is", (self.me if flag == "mine" else "",))

    def _named(self, written: str, found: list[Value]) -> None:
        name = written.lower()
        if name.startswith("field."):
            return self._custom(unquoted(written[6:]).strip(), found)
        if name in MOMENTS and found and found[0].word() == "none":
            return self.add(MOMENTS[name], "none")
        if name in MOMENTS:
            raise self.wrong(f"{name} is compared: {name}<2d, {name}>2026-12-01, or {name}:none")
        if name not in FIELDS:
            near = difflib.get_close_matches(name, [*FIELDS, *MOMENTS], 2)
            known = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(sorted({*FIELDS, *MOMENTS}))}, field.NAME"
            raise self.wrong(f"{name!r} is no field; {known}")
        if not found:
            raise self.wrong(f"{name}: needs a value, such as {name}:x, or none")
        return self._valued(name, FIELDS[name], found)

    def _valued(self, name: str, field: TermField, found: list[Value]) -> None:
        if field in ("status", "phase"):
            self._status(name, found)
        elif field == "owner":
            self.add("owner", "is", [self._person(value) for value in found])
        elif field == "priority":
            self.add("priority", "is", [self._level(value.text) for value in found])
        elif found[0].word() == "none" and len(found) == 1:
            self.add(field, "none")
        elif any(value.word() == "none" for value in found):
            raise self.wrong(f"{name}: none stands alone")
        elif field == "number" and not all(re.fullmatch(r"(?i)(t-|#)?[0-9]{1,12}", value.text) for value in found):
            raise self.wrong(f"{name}: a number such as T-1042")
        else:
            self.add(field, "is" if field in _EXACT else "has", [self.me if value.word() == "me" and field in _PEOPLE else value.text for value in found])

    def _custom(self, name: str, found: list[Value]) -> None:
        if not name or not found:
            raise self.wrong("a field of your own is written field.NAME:value, or field.NAME:none")
        if len(found) == 1 and found[0].word() == "none":
            return self.add("field", "none", (name,))
        return self.add("field", "is", (name, *(value.text for value in found)))

    def _person(self, value: Value) -> str:
        return self.me if value.word() == "me" else "" if value.word() in ("nobody", "none") else value.text

    def _level(self, text: str) -> str:
        digits = text.upper().removeprefix("P")
        if digits not in ("1", "2", "3", "4"):
            raise self.wrong(f"{text!r} is not a priority from 1 to 4")
        return digits

    def _status(self, name: str, found: list[Value]) -> None:
        """Phases by their words, `open` and `all`; anything else is a part of the site's own word."""
        phases: list[Phase] = []
        own: list[str] = []
        for value in found:
            if value.word() == "open":
                phases += OPEN_PHASES
            elif value.word() in [phase.value for phase in Phase]:
                phases.append(Phase(value.word()))
            elif value.word() != "all":
                own.append(value.text)
        everything = any(value.word() == "all" for value in found)
        if (own and (phases or everything)) or (own and name == "phase") or (everything and self.negated):
            known = ", ".join(("open", "all", *(phase.value for phase in Phase)))
            raise self.wrong(f"{name}: either {known}, or words of your own statuses")
        if own:
            self.add("status", "has", own)
        elif self.negated:
            return self.add("phase", "is", list(dict.fromkeys(phase.value for phase in phases)))
        if not self.negated:
            self.query = replace(self.query, phases=() if everything else tuple(dict.fromkeys(phases)))
        return None

    def _moment(self, name: str, sign: str, text: str) -> None:
        """`due<2d`: within two days from now. `created<7d`: in the last seven days. `updated>3d`: longer ago. A day compares as a day."""
        if name not in MOMENTS:
            raise self.wrong(f"{name} has no moment to compare; write {name}:value")
        field = MOMENTS[name]
        try:
            length = re.fullmatch(r"(-?)([0-9.]+[a-z])", text.lower())
            if length:
                span = timedelta(seconds=seconds(length.group(2))) * (-1 if length.group(1) else 1)
                ahead = field in ("due", "pending")
                at, before = (now() + span, sign == "<") if ahead else (now() - span, sign == ">")
                at = at.replace(microsecond=0)
            else:
                at, before = self._at(text), sign == "<"
            found = at.astimezone(zone_of("UTC")).isoformat()
        except (ValueError, OverflowError):
            raise self.wrong(f"{name}{sign}{text}: {text!r} is neither a time such as 2d nor a day such as 2026-12-01 or tomorrow") from None
        self.add(field, "before" if before else "after", (found,))

    def _at(self, text: str) -> datetime:
        word = text.lower()
        if word == "now":
            return now().replace(microsecond=0)
        if word in DAYS or re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = now().astimezone(zone_of(self.zone)).date() + timedelta(days=DAYS[word]) if word in DAYS else date.fromisoformat(text)
            return datetime.combine(day, time(), zone_of(self.zone))
        if not re.match(r"\d{4}-", text):
            raise ValueError(text)
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=zone_of(self.zone))


# -- speaking ---------------------------------------------------------------------------------------------


def spoken_query(query: TicketQuery, zone: str = "UTC") -> str:
    """The conditions of a query as one would type them: read again, onto nothing, they are the same query (moments by the second)."""
    parts: list[str] = []
    for name, found in (("status", query.statuses), ("queue", query.queues), ("owner", query.assignees), ("prio", tuple(map(str, query.priorities)))):
        if found:
            parts.append(f"{name}:{','.join(_value(word) for word in found)}")
    parts += ["overdue"] if query.overdue else []
    parts += [f"{name}:{_value(word)}" for name, word in (("from", query.requester), ("ref", query.ref)) if word]
    parts += [_spoken(term, zone) for term in query.terms]
    if query.text and query.inverse:
        parts.append(_spoken(Term("text", "has", (query.text,), True), zone))
    elif query.text:
        parts += [_plain(word) for word in query.text.split()]
    if query.phases:  # last: a status of one's own words stands for all phases, unless phases follow
        parts.append("status:open" if tuple(query.phases) == OPEN_PHASES else f"status:{','.join(query.phases)}")
    return " ".join(parts)


def _value(word: str) -> str:
    return quoted(word, (*SPECIAL, *(phase.value for phase in Phase))) if word else "none"


def _plain(word: str) -> str:
    odd = word.startswith("!") or word.lower() in FLAGS or _NAMED.fullmatch(word) or _COMPARED.fullmatch(word)
    return quoted(word, (word.lower(),) if odd else ())


def _spoken(term: Term, zone: str) -> str:
    mark = "!" if term.negated else ""
    if term.field == "text":
        return mark + " ".join(_plain(word) if not mark else quoted(word, (*FLAGS, word.lower())) for word in term.values)
    if term.field == "field":
        name, *found = term.values
        return f"{mark}field.{quoted(name, (name.lower(),))}:{','.join(map(_value, found)) or 'none'}"
    if term.op in ("before", "after"):
        return f"{mark}{term.field}{'<' if term.op == 'before' else '>'}{_day(term.values[0], zone)}"
    name = {"location": "where", "requester": "from", "origin": "by", "phase": "status", "priority": "prio"}.get(term.field, term.field)
    if term.field in ("phase", "priority"):
        return f"{mark}{name}:{','.join(term.values)}"
    return f"{mark}{name}:{','.join(map(_value, term.values)) or 'none'}"


def _day(moment: str, zone: str) -> str:
    at = datetime.fromisoformat(moment)
    try:
        local = at.astimezone(zone_of(zone))
    except OverflowError:  # the first and the last day there is
        local = at
    return local.date().isoformat() if local.time() == time() else at.astimezone(zone_of("UTC")).isoformat().replace("+00:00", "Z")


