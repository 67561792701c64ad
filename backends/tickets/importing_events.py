"""An incoming ticket as the events it would have had here: so that a ticket is the fold of its events, wherever it comes from.

The first event holds the fields as they were in the beginning (told by the first change of each), the entries follow with the times and
authors they had, and a last one sets what the entries do not explain. Each carries the mark `imported`. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backends.contract import now
from backends.text import clean
from backends.tickets.events import event_id, fold, iso
from backends.tickets.imports import Entry, Incoming, Words, complete, ident_of, translated
from backends.tickets.model import Phase
from backends.tickets.planning import LONGEST_BODY, House, deed

Json = dict[str, Any]
_ENDED = (Phase.RESOLVED, Phase.CLOSED)
FOLLOWED = ("status", "queue", "category", "priority", "impact", "urgency", "assignee", "team", "subject", "location", "kind", "pending_reason", "resolution")
"""Fields whose changes in the other system's timeline become changes here."""
VIA = "import"
_DERIVED = ("time_spent",)
_ALWAYS = ("status", "queue", "priority", "impact", "urgency", "subject", "kind")
"""Fields that have a value at any time: where their first one is not known, it is what they are now."""


class Story:
    """Writes the events of one incoming ticket."""

    def __init__(self, source: str, incoming: Incoming, fields: Mapping[str, Any], words: Words, house: House, by: str) -> None:
        self._source, self._incoming, self._words, self._house, self._by = source, incoming, words, house, by
        self.ident = ident_of(source, incoming.id)
        self.wanted = complete(dict(fields), house)
        for name, phases in (("resolution", _ENDED), ("pending_reason", (Phase.PAUSED,)), ("pending_until", (Phase.PAUSED,))):
            if self.wanted["phase"] not in phases:
                self.wanted.pop(name, None)
        self.wanted["fields"] = {**self.wanted.get("fields", {}), "imported_from": f"{source}:{incoming.id}"}
        self.events: list[Json] = []
        self.ticket: Json = {}
        self._kept: list[Json] = []

    def write(self, number: int) -> None:
        """All events, and the ticket they make, with this number."""
        told = sorted(self._incoming.entries, key=lambda entry: (entry.at, entry.seq))
        changes = [self._change(entry) for entry in told]
        moves = any("status" in change for change in changes)
        self._first(number, told, changes, moves)
        for entry, change in zip(told, changes, strict=True):
            if entry.type != "created":
                self._entry(entry, change)
        if not moves:
            self._ends(told)
        self._rest()

    def entries(self, after: int) -> list[tuple[Entry, Json]]:
        """(entry, event without its place) of those that came after the entry `after`: words only, what they changed is compared field by field."""
        return [(entry, self._deed(entry, {})) for entry in self._incoming.entries if entry.seq > after]

    def newest(self) -> int:
        """The number of its newest entry, 0 for none."""
        return max((entry.seq for entry in self._incoming.entries), default=0)

    # -- the parts ---------------------------------------------------------------------------------------

    def _change(self, entry: Entry) -> Json:
        """What an entry changes, in our words; what has none here is left to its text."""
        wanted = {name: value for name, value in entry.new.items() if name in FOLLOWED}
        return self._ours(wanted) if wanted else {}

    def _ours(self, fields: Mapping[str, Any]) -> Json:
        wrong: dict[str, str] = {}
        quiet = Words()
        quiet._tables = self._words._tables  # words of history are not counted as unknown: nothing is refused for them
        found = translated({name: value for name, value in fields.items() if value is not None}, "", quiet, self._house, wrong)
        return {name: value for name, value in found.items() if name not in wrong and not (name == "queue" and not value)}

    def _first(self, number: int, told: list[Entry], changes: list[Json], moves: bool) -> None:
        beginning = {name: value for name, value in self.wanted.items() if name not in _DERIVED}
        known: set[str] = set()
        for entry, change in zip(told, changes, strict=True):
            for name in change:
                if name in known or entry.type == "created":
                    continue
                known.add(name)
                if name in entry.old:
                    old = entry.old[name]
                    beginning |= self._ours({name: old}) if old else {} if name in _ALWAYS else {name: ""}
        if not moves and self.wanted["phase"] not in (Phase.NEW, Phase.ACTIVE):
            beginning |= {"status": self._house.statuses.first(Phase.NEW), "phase": Phase.NEW.value}
        for name in ("resolution", "pending_reason", "pending_until"):
            if beginning["phase"] not in (Phase.RESOLVED, Phase.CLOSED, Phase.PAUSED):
                beginning.pop(name, None)
        born = next((entry for entry in told if entry.type == "created"), None)
        at = self._incoming.created_at or (born.at if born else told[0].at if told else self._incoming.updated_at or self._incoming.resolved_at or now())
        actor = self._words.person(self._incoming.author or (born.actor if born else "") or str(self.wanted.get("login") or "")) or self._by
        files = self._files(born.seq if born else 0, at_first=True)
        set_ = {**beginning, "number": number, "imported_from": f"{self._source}:{self._incoming.id}", **({"attachments": files} if files else {})}
        event = deed("created", set_, body=str(beginning.get("body", "")), minutes=born.minutes if born else 0, via=born.via if born and born.via else VIA)
        self._add(event, at, actor, f"{born.seq if born else 0}")

    def _entry(self, entry: Entry, change: Json) -> None:
        files = self._files(entry.seq)
        set_ = {name: value for name, value in change.items() if self.ticket.get(name) != value}
        if "status" in set_:
            set_["phase"] = change["phase"]
        event = self._deed(entry, {**set_, **({"attachments": files} if files else {})})
        self._add(event, entry.at, self._words.person(entry.actor) or self._source, str(entry.seq))

    def _deed(self, entry: Entry, set_: Mapping[str, Any]) -> Json:
        kind = clean(entry.type)[:40] or "noted"
        body = clean(entry.body, one_line=False, limit=LONGEST_BODY)
        return deed(kind, set_, body=body, minutes=max(0, entry.minutes), public=entry.public, via=self._via(entry))

    def _via(self, entry: Entry) -> str:
        """What the requester wrote came from outside: it is not an answer of the desk."""
        own = {str(self._incoming.fields.get(name) or "").casefold() for name in ("login", "email", "requester")} - {""}
        return "portal" if entry.actor.casefold() in own and entry.via in ("", "ui", "api", VIA) else entry.via or VIA

    def _ends(self, told: list[Entry]) -> None:
        """Without a history of its status: what its dates say of the first answer, the resolution and the end."""
        incoming, phase, statuses = self._incoming, self.wanted["phase"], self._house.statuses
        spoke = incoming.first_response_at
        if spoke is not None and not any(entry.public for entry in told):
            self._add(deed("replied", {}, body=f"first answer, as recorded in {self._source}", public=True, via=VIA), spoke, self.wanted["assignee"] or self._source, "answer")
        if phase not in _ENDED:
            return
        usual = self.wanted["status"] == statuses.first(Phase.CLOSED) or phase == Phase.RESOLVED
        solved = incoming.resolved_at or (incoming.closed_at if usual else None)
        if solved is not None and usual:
            word = self.wanted["status"] if phase == Phase.RESOLVED else statuses.first(Phase.RESOLVED)
            set_ = {"status": word, "phase": Phase.RESOLVED.value, **({"resolution": self.wanted["resolution"]} if self.wanted.get("resolution") else {})}
            self._add(deed("status_changed", set_, via=VIA), solved, self.wanted["assignee"] or self._source, "resolved")
        if phase == Phase.CLOSED and incoming.closed_at is not None:
            set_ = {"status": self.wanted["status"], "phase": phase}
            self._add(deed("closed", set_, via=VIA), incoming.closed_at, self.wanted["assignee"] or self._source, "closed")

    def _rest(self) -> None:
        """What the entries do not explain, as one event at the time of the last change there."""
        set_ = {
            name: value for name, value in self.wanted.items()
            if name not in _DERIVED and name not in ("body", "origin") and (self.ticket.get(name) or None) != (value or None)
        }  # fmt: skip
        minutes = max(0, int(self.wanted.get("time_spent") or 0) - int(self.ticket.get("time_spent", 0)))
        if "status" in set_ or "phase" in set_:
            set_ |= {"status": self.wanted["status"], "phase": self.wanted["phase"]}
        if set_ or minutes:
            at = self._incoming.updated_at or datetime.fromisoformat(self.ticket["updated_at"])
            self._add(deed("imported", set_, body=f"as it stood in {self._source}", minutes=minutes, via=VIA), at, self._by, "rest")

    def _files(self, seq: int, at_first: bool = False) -> list[Json]:
        """All attached files once those of entry `seq` are there; [] when none is new. The first event has those of no known entry."""
        known = {entry.seq for entry in self._incoming.entries if entry.type != "created"}
        new = [
            {"name": file.name, "size": file.size, "sha256": file.sha256, "mime": file.mime}
            for file in self._incoming.attachments
            if file.event == seq or (at_first and file.event not in known)
        ]
        self._kept += new
        return list(self._kept) if new else []

    def _add(self, event: Json, at: datetime, actor: str, part: str) -> None:
        """Time does not run backwards in a timeline: a moment before the last one is set to it, the mark keeps what was said."""
        said, last = iso(at), str(self.ticket.get("updated_at", ""))
        seq = len(self.events) + 1
        stored = {**event, "ticket": self.ident, "seq": seq, "at": max(said, last), "actor": actor, "op_id": f"import-{self.ident}-{part}"}
        stored["imported"] = {"from": f"{self._source}:{self._incoming.id}", "version": self._incoming.version, **({"at": said} if said < last else {})}
        if seq > 1:
            stored["was"] = {name: self.ticket.get(name) for name in event["set"]}
        self.events.append(stored)
        self.ticket = fold(self.ticket or None, stored, self._house.promise)

    def keyed(self) -> list[tuple[str, Json]]:
        """The events under their keys."""
        return [(event_id(self.ident, event["seq"]), event) for event in self.events]
