"""What comes in from another system: a ticket in its own words, and the table that turns them into the site's. Never imports an adapter.

`Incoming.fields` has the names of a stored ticket (subject, body, status, queue, category, kind, priority, impact, urgency, assignee,
team, requester, login, email, phone, location, department, origin, tags, watchers, refs, fields, resolution, pending_reason,
pending_until, estimate, time_spent) with the words of where it comes from.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from backends.contract import Ref
from backends.errors import BadConfig
from backends.text import clean
from backends.tickets.model import Attachment, Phase
from backends.tickets.planning import KINDS, LONGEST_BODY, LONGEST_SUBJECT, House, refs_fields
from backends.tickets.workflow import priority_of

COLUMNS = ("status", "queue", "category", "kind", "priority", "person", "team")
"""Of the table: each a list of their word -> ours; "*" stands for every word that is not known; "" as ours leaves it out."""
ANY = "*"
LINES = frozenset({"requester", "login", "email", "phone", "location", "department", "team", "assignee", "origin", "pending_reason"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the other system's timeline; `seq` counts up in it. `old` and `new` are fields, in its words."""

    seq: int
    at: datetime
    actor: str
    type: str
    public: bool = False
    body: str = ""
    minutes: int = 0
    via: str = ""
    old: Mapping[str, Any] = field(default_factory=dict)
    new: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A ticket of another system. `version` changes when anything of it does; `label` names it in a report ("row 12", "T-1042")."""

    id: str
    label: str
    version: str
    fields: Mapping[str, Any]
    created_at: datetime | None = None
    updated_at: datetime | None = None
    first_response_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    author: str = ""
    phase: str = ""
    """What its status means there, where the system says so."""
    entries: tuple[Entry, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    """With the hash under which their content is kept here already."""
    links: tuple[tuple[str, str], ...] = ()
    """(kind, id in its system)."""
    lost: tuple[str, ...] = ()
    """Sentences about what could not be brought along."""
    raw: tuple[str, ...] = ()
    """The cells as they were, to be mended."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A ticket that can't be imported, and why."""

    label: str
    why: str
    raw: tuple[str, ...] = ()
    id: str = ""


def ident_of(source: str, id: str) -> str:
    """The id a ticket of another system has here: always the same one, which is why nothing comes twice."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"import\0{source}\0{id}").hex


def digest(value: Any) -> str:
    """A short print of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).hexdigest()[:20]


class Words:
    """The table of words, and a tally of those it did not have."""

    def __init__(self, tables: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._tables = {name: {str(word).casefold(): ours for word, ours in table.items()} for name, table in (tables or {}).items()}
        self.unknown: Counter[str] = Counter()
        """ "status: Wartet" -> how often it was met and had to be guessed or refused."""
        self.print = digest(self._tables)

    @classmethod
    def read(cls, tables: Mapping[str, Any], where: str = "") -> Words:
        """From plain TOML values: a table a column. BadConfig."""
        for name, table in tables.items():
            if name not in COLUMNS or not isinstance(table, Mapping):
                raise BadConfig(f"{name!r} is no table of words; there are: {', '.join(f'[{column}]' for column in COLUMNS)}", where=where)
            for word, ours in table.items():
                if not isinstance(ours, str | int) or isinstance(ours, bool):
                    raise BadConfig(f"[{name}] {word!r}: {ours!r} is no word", where=where)
        return cls(tables)

    def said(self, column: str, word: str) -> Any | None:
        """Our word for theirs where the table has one; None where it has none."""
        table = self._tables.get(column, {})
        return table.get(word.casefold(), table.get(ANY))

    def person(self, name: str) -> str:
        """A login; one that the table does not have is kept as it is."""
        found = self.said("person", name) if name else None
        return clean(str(name if found is None else found).strip())[:100]

    def known(self, column: str, word: str, ours: Sequence[str], wrong: dict[str, str]) -> str:
        """One of our words; what is not known is put into `wrong`."""
        said = self.said(column, word)
        wanted = word if said is None else str(said)
        if not wanted:
            return ""
        found = next((known for known in ours if known.casefold() == wanted.strip().casefold()), None)
        if found is None:
            self.unknown[f"{column}: {clean(wanted)[:60]}"] += 1
            wrong[column] = f"{clean(wanted)[:60]!r} is not known here; there are: {', '.join(ours)}"
            return ""
        return found

    def status(self, word: str, phase: str, house: House, wrong: dict[str, str]) -> dict[str, str]:
        """Status and phase. A word that is not known is guessed by its phase where the system says one, and told."""
        said = self.said("status", word)
        wanted = word if said is None else str(said)
        found = house.statuses.find(wanted)
        if found is None and phase in Phase.__members__.values():
            found = house.statuses.first(Phase(phase))
            self.unknown[f"status: {clean(wanted)[:60]} (taken for {found})"] += 1
        if found is None:
            self.unknown[f"status: {clean(wanted)[:60]}"] += 1
            wrong["status"] = f"{clean(wanted)[:60]!r} is not known here; there are: {', '.join(house.statuses.phases)}"
            return {}
        return {"status": found, "phase": house.statuses.phases[found].value}


def translated(fields: Mapping[str, Any], phase: str, words: Words, house: House, wrong: dict[str, str]) -> dict[str, Any]:
    """The fields as they are stored here; what can't be is put into `wrong` by its name. Only named fields come out."""
    out: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "status":
            out |= words.status(str(value or ""), phase, house, wrong) if value or phase else {}
        elif name == "queue":
            out[name] = words.known(name, str(value), house.queues, wrong) if value else ""
        elif name in ("category", "kind"):
            out[name] = words.known(name, str(value), house.categories if name == "category" else KINDS, wrong) if value else ""
        elif name in ("priority", "impact", "urgency"):
            out |= _level(name, value, words, wrong)
        elif name in ("estimate", "time_spent"):
            out[name] = _minutes(name, value, wrong)
        elif name in LINES:
            text = words.person(str(value or "")) if name in ("assignee", "login") else str(value or "")
            said = words.said("team", text) if name == "team" and text else None
            out[name] = clean(str(text if said is None else said).strip())[:200]
        else:
            out |= _other(name, value, wrong)
    return out


def complete(fields: dict[str, Any], house: House) -> dict[str, Any]:
    """What every stored ticket has, where the other system gave nothing."""
    impact, urgency = fields.get("impact") or 3, fields.get("urgency") or 3
    usual = {
        "subject": "", "body": "", "queue": house.queues[0], "kind": "incident", "status": house.statuses.first(Phase.NEW), "phase": Phase.NEW.value,
        "impact": impact, "urgency": urgency, "priority": priority_of(impact, urgency), "assignee": "", "origin": "import",
        "requester": fields.get("login") or fields.get("email") or "unknown",
    }  # fmt: skip
    return {**usual, **{name: value for name, value in fields.items() if value not in ("", None, [], {}) or name not in usual}}


def _level(name: str, value: Any, words: Words, wrong: dict[str, str]) -> dict[str, int]:
    text = str(value if value is not None else "").strip()
    if not text:
        return {}
    said = words.said("priority", text) if name == "priority" else None
    plain = str(text if said is None else said).upper().removeprefix("P")
    if not plain:
        return {}
    if plain not in ("1", "2", "3", "4"):
        words.unknown[f"{name}: {clean(text)[:60]}"] += 1
        wrong[name] = f"{clean(text)[:60]!r} is not 1 to 4"
        return {}
    return {name: int(plain)}


def _minutes(name: str, value: Any, wrong: dict[str, str]) -> int:
    text = str(value or "0").strip()
    if not text.isascii() or not text.isdigit() or int(text) > 10_000_000:
        wrong[name] = f"{clean(text)[:60]!r} are no minutes"
        return 0
    return int(text)


def _other(name: str, value: Any, wrong: dict[str, str]) -> dict[str, Any]:
    if name == "subject":
        text = " ".join(clean(str(value or "")).split())
        if not text:
            wrong[name] = "is empty"
        return {name: text if len(text) <= LONGEST_SUBJECT else text[: LONGEST_SUBJECT - 1] + "…"}
    if name in ("body", "resolution"):
        return {name: clean(str(value or "").strip(), one_line=False, limit=LONGEST_BODY)}
    if name in ("tags", "watchers"):
        return {name: list(dict.fromkeys(clean(str(item).strip())[:200] for item in value or () if str(item).strip()))}
    if name == "fields":
        return {name: {clean(str(key))[:40]: item for key, item in (value or {}).items()}}
    if name == "refs":
        return _refs(value or (), wrong)
    if name == "pending_until":
        return {name: value} if value else {}
    wrong[name] = "is no field of a ticket here"
    return {}


def _refs(refs: Any, wrong: dict[str, str]) -> dict[str, Any]:
    try:
        return refs_fields(list(dict.fromkeys(str(Ref.parse(str(ref).strip())) for ref in refs if str(ref).strip())))
    except ValueError as error:
        wrong["refs"] = str(error)
        return {}
