"""Making the tickets that are due, and carrying out what was planned on schedules. Never imports an adapter.

Who inserts an occurrence's record has decided what becomes of it; the ticket is then made under an operation named after the
occurrence, by whoever comes first. A collector that is killed between any two steps leaves what the next one finishes, once.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from backends.contract import Actor, Outcome, Plan
from backends.errors import BackendError, Conflict, NotFound
from backends.store.contract import All, Record, Store, Test
from backends.text import clean
from backends.tickets.applying import Applying
from backends.tickets.events import iso, moment
from backends.tickets.numbers import spoken
from backends.tickets.planning import House
from backends.tickets.schedules import OCCURRENCES, PREFIX, SCHEDULES, all_of, find, occurrence_id, rule_of
from backends.tickets.schedules_plans import event_of
from backends.tickets.waking import BY

ITSELF = Actor(BY, "deskside")
COUNTER = "schedules"


class Scheduling:
    """Runs and changes the schedules of one adapter."""

    def __init__(self, name: str, store: Store, house: House, applying: Applying) -> None:
        self._name, self._store, self._house, self._applying = name, store, house, applying

    # -- by itself --------------------------------------------------------------------------------------

    def run(self, at: datetime) -> int:
        """Make what is due; how many tickets those were. A schedule that fails says so and stops no other."""
        made = 0
        for record in all_of(self._store):
            if record.doc.get("paused"):
                continue
            try:
                made += self._run_one(record, at)
            except BackendError as error:
                with contextlib.suppress(BackendError):
                    self._note(record.id, {"error": clean(error.text)[:300]})
        return made

    def _run_one(self, record: Record, at: datetime) -> int:
        next_at = moment(record.doc.get("next_at"))
        due = next_at is not None and at >= next_at - timedelta(seconds=int(record.doc.get("lead", 0)))
        if due:
            self._decide(record, at)
        made = self._finish(record)
        if due or record.doc.get("error"):
            self._go_on(record, at)
        return made

    def _decide(self, record: Record, at: datetime) -> None:
        """Claim what is due: of those that are past only the newest gets a ticket, each of those to come (lead time) its own."""
        since = moment(record.doc.get("since")) or at
        due = rule_of(record.doc).between(since, at + timedelta(seconds=int(record.doc.get("lead", 0))))
        past = [one for one in due if one <= at]
        for one in due:
            if one in past[:-1]:
                self._claim(record.id, {"at": iso(one), "state": "skipped", "reason": f"missed: nothing ran until {iso(at)}", "by": BY})
            else:
                self._claim(record.id, {"at": iso(one), "state": "making", "by": BY})

    def _claim(self, schedule: str, doc: Mapping[str, Any]) -> bool:
        """True for the one writer who decides about an occurrence."""
        try:
            self._store.insert(OCCURRENCES, {**doc, "schedule": schedule}, id=occurrence_id(schedule, doc["at"]))
        except Conflict:
            return False
        return True

    def _finish(self, record: Record) -> int:
        """Make the tickets that were decided and are not there yet, also those a killed collector left."""
        open_ = self._store.select(OCCURRENCES, All((Test("schedule", "eq", record.id), Test("state", "eq", "making"))))
        for one in open_:
            event = event_of(record.doc["ticket"], self._name, ITSELF, self._house)
            outcome = self._applying.create(event, ITSELF, f"schedule-{one.id}")
            with contextlib.suppress(Conflict):
                self._store.update(OCCURRENCES, one.id, {**one.doc, "state": "made", "ticket": outcome.target}, rev=one.rev)
            last = {"at": one.doc["at"], "ticket": outcome.target, "number": outcome.text}
            self._note(record.id, {"last": last, "error": ""})
        return len(open_)

    def _go_on(self, record: Record, at: datetime) -> None:
        """Move the cursor behind what was decided."""
        until = at + timedelta(seconds=int(record.doc.get("lead", 0)))
        dates = rule_of(record.doc).following(until)
        self._note(record.id, {"since": iso(until), "next_at": iso(dates[0]) if dates else None, "error": ""}, rule=str(record.doc["rule"]))

    def _note(self, ident: str, fields: Mapping[str, Any], rule: str = "") -> None:
        """Write fields into a schedule, whoever else writes; not the cursor of a rule that was changed meanwhile."""
        for _ in range(20):
            record = self._store.get(SCHEDULES, ident)
            if record is None or (rule and record.doc["rule"] != rule):
                return
            doc = {**record.doc, **fields}
            if "since" in fields and str(record.doc.get("since") or "") > fields["since"]:
                return
            if "last" in fields:
                if str((record.doc.get("last") or {}).get("at") or "") > fields["last"]["at"]:
                    doc["last"] = record.doc["last"]
                doc["made"] = self._store.count(OCCURRENCES, All((Test("schedule", "eq", ident), Test("state", "eq", "made"))))
            if doc == record.doc:
                return
            try:
                self._store.update(SCHEDULES, ident, doc, rev=record.rev)
                return
            except Conflict:
                continue

    # -- by a person ------------------------------------------------------------------------------------

    def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Do what was planned. Conflict when the schedule moved on; replaying changes nothing more."""
        values, ident = plan.change.values, plan.change.target
        if plan.change.verb == "schedule" and not ident:
            return self._insert(values["doc"], op_id)
        rev = int(plan.version or 0) if plan.version else None
        for occurrence in values.get("skipped") or ():
            if not self._claim(ident, occurrence) and plan.change.verb == "schedule-skip":
                known = self._store.get(OCCURRENCES, occurrence_id(ident, occurrence["at"]))
                if known is None or known.doc.get("reason") != occurrence["reason"]:
                    raise Conflict("this occurrence is decided already", mine=occurrence, theirs=known.doc if known else {})
        if values.get("run"):
            return self._now(ident, values["run"], actor, op_id)
        if values.get("remove"):
            self._store.delete(SCHEDULES, ident, rev=rev)
        elif values.get("doc"):
            self._store.update(SCHEDULES, ident, values["doc"], rev=rev, op_id=op_id)
        return Outcome("done", "", ident)

    def _insert(self, doc: Mapping[str, Any], op_id: str) -> Outcome:
        ident = uuid.uuid5(uuid.NAMESPACE_OID, op_id).hex[:12]
        record = self._store.get(SCHEDULES, ident)
        if record is None:
            record = self._store.insert(SCHEDULES, {**doc, "number": self._store.next_number(COUNTER)}, id=ident, op_id=op_id)
        return Outcome("done", spoken(int(record.doc["number"]), PREFIX), ident)

    def _now(self, ident: str, event: Mapping[str, Any], actor: Actor, op_id: str) -> Outcome:
        from backends.contract import now

        outcome = self._applying.create(event, actor, f"schedule-{ident}-{op_id}")
        at = iso(now())
        doc = {"schedule": ident, "at": at, "state": "made", "ticket": outcome.target, "by": actor.login, "reason": "run by hand"}
        with contextlib.suppress(Conflict):
            self._store.insert(OCCURRENCES, doc, id=f"{ident}.now-{op_id}")
        self._note(ident, {"last": {"at": at, "ticket": outcome.target, "number": outcome.text}})
        return Outcome("done", outcome.text, ident, {"occurrence": f"{ident}.now-{op_id}"})

    def read_back(self, plan: Plan, outcome: Outcome) -> tuple[dict[str, Any], Any]:
        """The expected fields as they are now, and the schedule's record (None when it is gone)."""
        ident = outcome.target or plan.change.target
        try:
            record = find(self._store, ident)
        except NotFound:
            return {"there": False}, None
        found = {name: record.doc.get(name, name == "there") for name in plan.expected}
        key = str(outcome.applied.get("occurrence") or "")
        if plan.change.verb == "schedule-skip":
            key = occurrence_id(ident, plan.change.values["skipped"][0]["at"])
        if key:
            one = self._store.get(OCCURRENCES, key)
            found = {name: one.doc.get(name) if one is not None else None for name in plan.expected}
        return found, record
