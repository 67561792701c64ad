"""Carrying plans out on our own tickets: the event, the second ticket's event, the new ticket, the files. Never imports an adapter."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.contract import Actor, Change, Outcome, Plan, now
from backends.errors import BackendError, Conflict
from backends.store.contract import Record, Store
from backends.tickets.appending import EVENTS, TICKETS, append, caught_up
from backends.tickets.events import event_id, fold, iso
from backends.tickets.files import Files
from backends.tickets.numbers import next_number, spoken
from backends.tickets.planning import House


def ident_of(op_id: str) -> str:
    """The id of the ticket an operation makes: the same for whoever does it again."""
    return uuid.uuid5(uuid.NAMESPACE_OID, op_id).hex


class Applying:
    """Applies the plans of one adapter. Replaying an operation changes nothing more."""

    def __init__(self, store: Store, house: House, files: Files) -> None:
        self._store, self._house, self._files = store, house, files

    def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Do what was planned. Conflict when a field moved on, NoSpace when a file can't be kept."""
        change = plan.change
        for file in change.values.get("files") or ():
            self._files.keep(Path(file["path"]), file["sha256"])
        if not change.target:
            return self.create(change.values["event"], actor, op_id)
        record, key = self._add(change.target, change.values["event"], change.values.get("was") or {}, actor, op_id)
        text = self._second(change, actor, op_id)
        return Outcome("done", text, record.id, {"event": key})

    def _second(self, change: Change, actor: Actor, op_id: str) -> str:
        """The other ticket's side; a fault there is said, the first side stands."""
        try:
            other = change.values.get("other")
            if other:
                self._add(other["id"], other["event"], other["was"], actor, f"{op_id}-other")
            if change.values.get("new"):
                return self.create(change.values["new"], actor, f"{op_id}-new").text
        except BackendError as error:
            return f"this ticket is written, the other one is not: {error.text}"
        return ""

    def create(self, event: Mapping[str, Any], actor: Actor, op_id: str) -> Outcome:
        """A ticket out of its first event, with the next number."""
        ident = ident_of(op_id)
        known = self._store.get(EVENTS, event_id(ident, 1))
        if known is None:
            first = {"via": "ui", **event, "ticket": ident, "seq": 1, "at": iso(now()), "actor": actor.login, "op_id": op_id}
            first["set"] = {**event["set"], "number": next_number(self._store)}
            try:
                known = self._store.insert(EVENTS, first, id=event_id(ident, 1), op_id=op_id)
            except Conflict:  # another process does the same operation, and was faster
                known = self._store.get(EVENTS, event_id(ident, 1))
                if known is None:
                    raise
        if self._store.get(TICKETS, ident) is None:
            with contextlib.suppress(Conflict):
                self._store.insert(TICKETS, fold(None, known.doc, self._house.promise), id=ident)
        return Outcome("done", spoken(int(known.doc["set"]["number"])), ident)

    def _add(self, ident: str, planned: Mapping[str, Any], was: Mapping[str, Any], actor: Actor, op_id: str) -> tuple[Record, str]:
        event = {"via": "ui", **planned, "at": iso(now()), "actor": actor.login}

        def guard(doc: Mapping[str, Any]) -> None:
            theirs = {name: doc.get(name) for name in event["set"] if (doc.get(name) or None) != (was.get(name) or None)}
            if theirs:
                mine = {name: event["set"][name] for name in theirs}
                raise Conflict("the ticket was changed meanwhile: " + ", ".join(theirs), mine=mine, theirs=theirs)

        return append(self._store, ident, event, op_id, guard, self._house.promise)

    def read_back(self, plan: Plan, outcome: Outcome) -> tuple[dict[str, Any], Record]:
        """The expected fields as they are now, and the ticket."""
        record = caught_up(self._store, outcome.target or plan.change.target, self._house.promise)
        found = {name: record.doc.get(name) for name in plan.expected}
        for name, wanted in plan.expected.items():
            if not wanted and not found[name]:
                found[name] = wanted
        key = outcome.applied.get("event")
        if "body" in plan.expected and key:
            event = self._store.get(EVENTS, str(key))
            found["body"] = event.doc.get("body") if event else None
        other = plan.change.values.get("other")
        if other:
            there = caught_up(self._store, str(other["id"]), self._house.promise).doc
            missing = [name for name, value in other["event"]["set"].items() if there.get(name) != value and (value or there.get(name))]
            for name in missing:
                found[name] = None
        return found, record
