"""Tickets out of device alerts: one a fault ("device:check"), later alerts are added to it while it is open, recovery is noted.

Each change of a fault has a number, given out once by the record store; what it does to a ticket is an operation named after it, so
that two collectors, or one that was killed, tell of it once. Never imports an adapter or a device backend.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backends.contract import Actor, Change
from backends.errors import BackendError, BadConfig, Conflict
from backends.options import Option
from backends.store.contract import All, Record, Store, Test
from backends.text import clean
from backends.tickets.appending import EVENTS, TICKETS, append
from backends.tickets.applying import Applying, ident_of
from backends.tickets.events import event_id, iso
from backends.tickets.model import OPEN_PHASES
from backends.tickets.planning import House, plan_create
from backends.tickets.waking import BY

ALERTS = "alerts"
LONGEST_KEY = 100
OPTIONS = (
    Option("alerts", "list", 'states of a device that make a ticket, such as ["DOWN", "WARN"]; none: no tickets by themselves', default=()),
    Option("alert_queue", "text", "queue of those tickets; without it the usual one", default=""),
)
_OPEN = tuple(phase.value for phase in OPEN_PHASES)
_PRIORITY = {"DOWN": 2, "UNREACHABLE": 2, "WARN": 3, "UNKNOWN": 3}


STATES = ("DOWN", "UNREACHABLE", "WARN", "UNKNOWN")


def states(words: Iterable[Any]) -> tuple[str, ...]:
    """The option's words. BadConfig names one that is no state of a device."""
    found = tuple(str(word).strip().upper() for word in words)
    wrong = [word for word in found if word not in STATES]
    if wrong:
        raise BadConfig(f"alerts: {wrong[0]!r} is not one of {', '.join(STATES)}")
    return found


@dataclass(frozen=True, slots=True)
class Alert:
    """A fault as it is now: of which device (its reference `devices:backend:id` and name), which check, the state's word and its line."""

    ref: str
    device: str
    check: str
    state: str
    output: str = ""
    location: str = ""

    @property
    def key(self) -> str:
        """The dedupe key: "backend:device:check"."""
        return dedupe_key(self.ref, self.check)


def dedupe_key(ref: str, check: str) -> str:
    """"backend:device:check" of a device's reference; very long ones are shortened, and still tell each from each."""
    key = clean(f"{ref.partition(':')[2]}:{check or 'state'}")
    return key if len(key) <= LONGEST_KEY else f"{key[: LONGEST_KEY - 17]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def alert_values(alert: Alert, queue: str = "") -> dict[str, Any]:
    """The values of `create` for a ticket about a fault; a known open one gets the alert instead."""
    return {
        "subject": f"{alert.device} {alert.check} {alert.state}"[:200], "body": alert.output or f"{alert.check} is {alert.state}", "refs": [alert.ref],
        "dedupe_key": alert.key, "origin": "monitor", "kind": "incident", "priority": _PRIORITY.get(alert.state, 3),
        "requester": {"name": alert.device, "location": alert.location}, **({"queue": queue} if queue else {}),
    }  # fmt: skip


class Alerting:
    """Carries what is seen on devices into the tickets of one adapter."""

    def __init__(self, name: str, store: Store, house: House, applying: Applying, queue: str = "") -> None:
        self._name, self._store, self._house, self._applying, self._queue = name, store, house, applying, queue

    def observe(self, alerts: Iterable[Alert], looked: Collection[str], at: datetime, unsettled: Collection[str] = ()) -> int:
        """All faults there are now, and the references of the devices that were looked at; how many changes were told of.

        A known fault of a device that was looked at and is not among `alerts` has recovered, but for the keys in `unsettled`.
        """
        now = {alert.key: alert for alert in alerts}
        for key, alert in now.items():
            self._turn(key, {"state": alert.state, "ref": alert.ref, "device": alert.device, "check": alert.check, "output": alert.output[:2000], "location": alert.location}, at)
        for record in self._store.select(ALERTS, Test("state", "ne", "OK")):
            if record.id not in now and record.id not in unsettled and record.doc["ref"] in looked:
                self._turn(record.id, {**_facts(record.doc), "state": "OK", "output": ""}, at)
        told = 0
        for record in self._store.select(ALERTS, Test("owed", "eq", True)):
            try:
                self._tell(record, at)
            except BackendError:
                continue
            told += 1
        return told

    def _turn(self, key: str, facts: Mapping[str, Any], at: datetime) -> None:
        """Note another state once; the same state again is no news. Somebody faster has noted it."""
        known = self._store.get(ALERTS, key)
        if known is not None and (known.doc["state"] == facts["state"] or known.doc.get("owed")):
            return
        if known is None and facts["state"] == "OK":
            return
        number = int(known.doc["number"]) + 1 if known is not None else 1
        doc = {**facts, "number": number, "at": iso(at), "owed": True}
        try:
            if known is None:
                self._store.insert(ALERTS, doc, id=key)
            else:
                self._store.update(ALERTS, key, doc, rev=known.rev)
        except Conflict:
            return

    def _tell(self, record: Record, at: datetime) -> None:
        doc = record.doc
        operation = f"alert-{record.id}-{doc['number']}"
        made = ident_of(operation)
        if self._store.get(EVENTS, event_id(made, 1)) is None:
            open_ = self._store.select(TICKETS, All((Test("dedupe_key", "eq", record.id), Test("phase", "any", _OPEN))), limit=1)
            if open_:
                self._add(open_[0], doc, operation, made, at)
            elif doc["state"] != "OK":
                self._create(doc, operation)
        else:
            self._applying.create({}, Actor(BY), operation)  # the first event is there: see that its ticket is
        try:
            self._store.update(ALERTS, record.id, {**doc, "owed": False}, rev=record.rev)
        except Conflict:
            return

    def _create(self, doc: Mapping[str, Any], operation: str) -> None:
        actor = Actor(BY, "deskside")
        alert = Alert(doc["ref"], doc["device"], doc["check"], doc["state"], doc.get("output", ""), doc.get("location", ""))
        change = Change("tickets", self._name, "create", values=alert_values(alert, self._queue))
        event = plan_create(change, actor, self._house).change.values["event"]
        self._applying.create({**event, "via": "monitor"}, actor, operation)

    def _add(self, ticket: Record, doc: Mapping[str, Any], operation: str, made: str, at: datetime) -> None:
        if ticket.id == made:
            return
        body = f"{doc['device']} {doc['check']} is {doc['state']} again" if doc["state"] == "OK" else f"{doc['device']} {doc['check']} {doc['state']}: {doc.get('output', '')}"
        event = {"type": "alerted", "set": {}, "at": iso(at), "actor": BY, "via": "monitor", "body": body.rstrip(": ")}
        append(self._store, ticket.id, event, operation, lambda now: None, self._house.promise)


def _facts(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {name: doc.get(name, "") for name in ("ref", "device", "check", "location")}
