"""What is kept here beside remote tickets: one document a ticket in the record store, `backend:id`, with the events that made it.

Fields: refs (and ref_first, ref_second, ref_more), checklist, approvals, followers, referrals, wake_at, pending_reason, waking; `events`
holds {seq, at, actor, type, set, was, body, op_id}, oldest first. One write is one document, so an operation is there whole or not at
all. Synchronous. Never imports an adapter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from backends.errors import Busy, Conflict
from backends.store.contract import All, Record, Store, Test, Where
from backends.tickets.events import iso
from backends.tickets.planning import refs_fields

SIDECAR, DUES, LINKS = "sidecar", "sidecar_dues", "links"
TRIES = 20
MOST = 300
"""Tickets of one list that is made here, each read from the server by itself."""
LISTS = ("refs", "checklist", "approvals", "followers", "referrals")
Json = dict[str, Any]


class SideStore:
    """The documents of one backend."""

    def __init__(self, store: Store, backend: str) -> None:
        self._store, self._backend = store, backend

    def declare(self) -> None:
        """What is looked for."""
        self._store.index(SIDECAR, "backend", "ref_first", "ref_second", "ref_more", "wake_at", "number")
        self._store.index(DUES, "key")

    def key(self, ident: str) -> str:
        """The document's id."""
        return f"{self._backend}:{ident}"

    def doc(self, ident: str) -> Mapping[str, Any]:
        """What is kept of a ticket, by its id or its number; empty when nothing is."""
        record = self._store.get(SIDECAR, self.key(ident))
        if record is None:
            found = self._store.select(SIDECAR, All((self._mine(), Test("number", "eq", ident))), limit=1)
            record = found[0] if found else None
        return record.doc if record is not None else {}

    def _mine(self) -> Where:
        return Test("backend", "eq", self._backend)

    def done(self, ident: str, op_id: str) -> bool:
        """Whether an operation was carried out earlier."""
        return any(event.get("op_id") == op_id for event in self.doc(ident).get("events", ()))

    def append(self, ident: str, number: str, event: Mapping[str, Any], was: Mapping[str, Any], at: datetime) -> Json:
        """One event: its `set` into the document. Nothing when its op_id was there already; Conflict when the fields moved on from `was`."""

        def change(doc: Json) -> Json | None:
            if any(known.get("op_id") == event["op_id"] for known in doc["events"]):
                return None
            theirs = {name: doc.get(name) for name in event["set"] if name in was and (doc.get(name) or None) != (was.get(name) or None)}
            if theirs:
                mine = {name: event["set"][name] for name in theirs}
                raise Conflict("what is kept here was changed meanwhile: " + ", ".join(theirs), mine=mine, theirs=theirs)
            stored = {**event, "seq": len(doc["events"]) + 1, "at": iso(at), "was": dict(was)}
            return {**doc, **event["set"], "number": number, "events": [*doc["events"], stored]}

        return self.edit(ident, change)

    def edit(self, ident: str, change: Callable[[Json], Json | None]) -> Json:
        """The document after `change`, which is asked again when somebody was faster; None from it leaves all as it is."""
        for _ in range(TRIES):
            record = self._store.get(SIDECAR, self.key(ident))
            before: Json = dict(record.doc) if record is not None else {"backend": self._backend, "id": ident, "events": []}
            after = change(before)
            if after is None:
                return before
            after = {name: value for name, value in after.items() if value not in (None, "", [], {}) or name == "events"}
            with contextlib.suppress(Conflict):
                if record is None:
                    self._store.insert(SIDECAR, after, id=self.key(ident))
                else:
                    self._store.update(SIDECAR, record.id, after, rev=record.rev)
                return after
        raise Busy(f"what is kept of ticket {ident} is changed by others all the time", hint="Try again in a moment.")

    def about(self, wheres: Iterable[Where]) -> list[str]:
        """Ids of the tickets whose documents fit all of these, at most `MOST`."""
        return [str(record.doc["id"]) for record in self._store.select(SIDECAR, All((self._mine(), *wheres)), limit=MOST, fields=("id",))]

    def waking(self, at: datetime) -> list[Record]:
        """Documents that are to wake, or began to and were not done."""
        due = self._store.select(SIDECAR, All((self._mine(), Test("wake_at", "le", iso(at)))), limit=MOST)
        begun = self._store.select(SIDECAR, All((self._mine(), Test("wake_at", "eq", "begun"))), limit=MOST)
        return [*due, *begun]

    # -- merged tickets ---------------------------------------------------------------------------------

    def follow(self, old: str, new: str) -> None:
        """A ticket lives on under another id: what was kept of it goes there, and so do its links. Done again it changes nothing."""
        source = self._store.get(SIDECAR, self.key(old))
        if source is None or source.doc.get("moved_to") == new:
            return
        moved = dict(source.doc)

        def joined(doc: Json) -> Json | None:
            if old in doc.get("merged", ()):
                return None
            lists = {name: _both(doc.get(name, ()), moved.get(name, ())) for name in LISTS}
            number = len(doc["events"])
            events = [*doc["events"], *({**event, "seq": number + place} for place, event in enumerate(moved.get("events", ()), 1))]
            kept: Json = {name: moved[name] for name in ("wake_at", "pending_reason") if name in moved and name not in doc}
            return {**doc, **lists, **refs_fields(lists["refs"]), **kept, "events": events, "merged": [*doc.get("merged", ()), old]}

        self.edit(new, joined)
        self._relink(f"tickets:{self.key(old)}", f"tickets:{self.key(new)}")
        self.edit(old, lambda doc: {"backend": self._backend, "id": old, "events": [], "moved_to": new})

    def _relink(self, old: str, new: str) -> None:
        for field in ("one", "other"):
            for record in self._store.select(LINKS, Test(field, "eq", old)):
                ends = sorted((new, str(record.doc["other" if field == "one" else "one"])))
                if ends[0] != ends[1]:
                    self._store.put(LINKS, f"{ends[0]}|{ends[1]}", {**record.doc, "one": ends[0], "other": ends[1]})
                self._store.delete(LINKS, record.id)

    # -- due times --------------------------------------------------------------------------------------

    def keep_due(self, ident: str, due: datetime | None) -> None:
        """The due time of a ticket as it was last worked out, for lists."""
        wanted = {"key": self.key(ident), "due_at": iso(due) if due is not None else ""}
        known = self._store.get(DUES, self.key(ident))
        if (known.doc if known is not None else {"key": self.key(ident), "due_at": ""}) != wanted:
            self._store.put(DUES, self.key(ident), wanted)

    def dues(self, idents: Sequence[str]) -> dict[str, datetime]:
        """Id -> due time, of those that have one."""
        if not idents:
            return {}
        found = self._store.select(DUES, Test("key", "any", tuple(map(self.key, idents))))
        start = len(self._backend) + 1
        return {str(record.doc["key"])[start:]: datetime.fromisoformat(record.doc["due_at"]) for record in found if record.doc.get("due_at")}


def _both(one: Sequence[Any], other: Sequence[Any]) -> list[Any]:
    """All of both; approvals of the second are numbered on, so that each has an id of its own."""
    out = list(one)
    for item in other:
        if isinstance(item, Mapping) and "id" in item:
            out.append({**item, "id": str(len(out) + 1)})
        elif item not in out:
            out.append(item)
    return out
