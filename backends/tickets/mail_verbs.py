"""What our own ticket store answers about mail, and its plans: recipients of a reply, sending again, taking in what was put aside.

Never imports an adapter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from backends.contract import Actor, Change, Outcome, Plan, Step, now
from backends.errors import BackendError, Conflict, NotFound, Refused, Unsupported
from backends.store.contract import All, Order, Record, Store, Test
from backends.text import clean
from backends.threads import in_thread
from backends.tickets.appending import TICKETS
from backends.tickets.applying import Applying
from backends.tickets.closing import Ending
from backends.tickets.events import iso
from backends.tickets.files import Files
from backends.tickets.mail_fetch import Fetched, Fetcher
from backends.tickets.mail_intake import ASIDE, Intake
from backends.tickets.mail_settings import ADDRESS, MailSettings
from backends.tickets.mail_status import MailStatus, age, mail_status
from backends.tickets.mail_threads import MAIL_IDS
from backends.tickets.numbers import spoken
from backends.tickets.outbox import OUTBOX, Outbox
from backends.tickets.planning import House

VERBS = ("mail-retry", "mail-drop")
DEADLINE = 20.0
ROUND_SECONDS = 110.0


class Mailing:
    """The mail of one adapter: intake, outbox, status."""

    def __init__(self, name: str, store: Store, house: House, applying: Applying, files: Files, folder: Path, settings: MailSettings, ending: Ending) -> None:
        self.name, self.store, self.settings, self._files = name, store, settings, files
        self.intake = Intake(name, store, house, applying, files, folder, settings, ending)
        self.outbox = Outbox(name, store, files, settings, house.promise)
        self.fetcher = Fetcher(name, store, settings, self.intake.take, self.intake.put_aside)

    def declare(self) -> None:
        """What is looked up by."""
        self.store.index(TICKETS, "email")
        self.store.index(MAIL_IDS, "ticket")
        self.store.index(OUTBOX, "state,queued_at")
        self.outbox.begin()

    def run(self, at: datetime) -> None:
        """A round of the collector. What fails is noted in the store, and shown."""
        with contextlib.suppress(BackendError):
            self.fetcher.fetch(at)
        self.outbox.run(at)

    def status(self, at: datetime) -> MailStatus:
        """How it stands."""
        return mail_status(self.name, self.store, self.settings, at)

    def addressed(self, plan: Plan, doc: Mapping[str, Any]) -> Plan:
        """The plan of a reply with the people its mail goes to; their addresses are the last thing seen before it goes."""
        if self.settings.smtp is None:
            return plan
        wanted = [str(doc.get("email") or ""), *map(str, doc.get("watchers", ())), *map(str, plan.change.values.get("cc") or ())]
        people = [one.strip().lower() for one in wanted if ADDRESS.fullmatch(one.strip()) and one.strip().lower() != self.settings.address]
        people = list(dict.fromkeys(people))[:50]
        if not people:
            return replace(plan, public="PUBLIC, and no mail goes: nobody has an address here")
        event = {**plan.change.values["event"], "mail": {"to": people}}
        return replace(plan, change=replace(plan.change, values={**plan.change.values, "event": event}), public=f"PUBLIC mail to {', '.join(map(clean, people))}")

    # -- a person's deeds -------------------------------------------------------------------------------

    def find(self, ident: str) -> tuple[str, Record]:
        """(collection, record) of a mail of the outbox or one that was put aside, by the beginning of its id. NotFound."""
        for collection in (OUTBOX, ASIDE):
            record = self.store.get(collection, ident)
            if record is not None:
                return collection, record
        if len(ident) >= 6:
            near = [(collection, one) for collection in (OUTBOX, ASIDE) for one in self.store.select(collection, limit=5000) if one.id.startswith(ident)]
            if len(near) == 1:
                return near[0]
        raise NotFound(f"mail {clean(ident)}", hint="`deskside mail outbox` and `deskside mail aside` show them.")

    def plan_retry(self, change: Change, at: datetime) -> Plan:
        """Send again, or take in."""
        collection, record = self.find(change.target)
        doc = record.doc
        target = replace(change, target=record.id, label=f"mail to {doc['to']}" if collection == OUTBOX else f"mail of {doc['sender'] or 'somebody'}", values={**change.values, "in": collection})
        if collection == ASIDE:
            if doc.get("state"):
                raise Refused(f"it is {doc['state']} already")
            facts = (Step("from", "", str(doc["sender"])), Step("subject", "", str(doc["subject"])), Step("put aside", str(doc["why"]), "taken in as a ticket"))
            return Plan(target, "Take in the mail that was put aside", facts, version=str(record.rev), expected={"state": "taken"})
        if doc["state"] in ("sent", "sending"):
            raise Refused(f"it is {doc['state']}" + (" already" if doc["state"] == "sent" else "; wait for its end"))
        effects = ("it may arrive twice: nobody knows whether it went out",) if doc["state"] == "uncertain" else ()
        steps = (Step("state", str(doc["state"]), "queued"), Step("last", str(doc.get("text", "")), ""))
        return Plan(target, f"Send the mail to {doc['to']} again", steps, effects, version=str(record.rev), expected={"again": True}, public=f"PUBLIC mail to {doc['to']}")

    def plan_drop(self, change: Change, at: datetime) -> Plan:
        """Not sent, not taken in: it stays in the store and is not shown as waiting any more."""
        collection, record = self.find(change.target)
        state = str(record.doc.get("state") or "")
        if state in ("sent", "sending", "dropped", "taken"):
            raise Refused(f"it is {state} already")
        target = replace(change, target=record.id, values={**change.values, "in": collection})
        return Plan(target, "Drop this mail", (Step("state", state or "put aside", "dropped"),), version=str(record.rev), expected={"state": "dropped"})

    def apply(self, plan: Plan, actor: Actor, op_id: str, at: datetime) -> Outcome:
        """Do what was planned. Conflict when the mail went on meanwhile."""
        collection, ident = str(plan.change.values["in"]), plan.change.target
        record = self.store.get(collection, ident)
        if record is None or str(record.rev) != plan.version:
            raise Conflict("this mail went on meanwhile", theirs=dict(record.doc) if record is not None else {})
        if plan.change.verb == "mail-drop":
            self.store.update(collection, ident, {**record.doc, "state": "dropped", "dropped_by": actor.login}, rev=record.rev)
            return Outcome("done", "", ident)
        if collection == OUTBOX:
            again = {**record.doc, "state": "queued", "next_at": iso(at), "queued_at": iso(at), "attempts": 0, "again_by": actor.login, "again_op": op_id}
            self.store.update(OUTBOX, ident, again, rev=record.rev)
            return Outcome("done", "the collector sends it", ident)
        raw = b"".join(self._files.read(str(record.doc["raw"])))
        taken = self.intake.take(raw, at, source=str(record.doc.get("source", "")), forced=True)
        if not taken.ticket:
            taken = self.intake.as_file(raw, record.doc, at)
        self.store.update(ASIDE, ident, {**record.doc, "state": "taken", "ticket": taken.ticket, "taken_by": actor.login}, rev=record.rev)
        ticket = self.store.get(TICKETS, taken.ticket)
        return Outcome("done", spoken(int(ticket.doc["number"])) if ticket is not None else "", ident)

    def read_back(self, plan: Plan, outcome: Outcome) -> tuple[dict[str, Any], Any]:
        """The state as it is now."""
        record = self.store.get(str(plan.change.values["in"]), plan.change.target)
        doc = record.doc if record is not None else {}
        found = {"state": doc.get("state"), "again": bool(doc.get("again_op"))}
        return {name: found[name] for name in plan.expected}, doc


class MailVerbs:
    """The adapter's side: None without a configured address."""

    _mailing: Mailing | None

    def mailing(self) -> Mailing:
        """The configured mail. Unsupported."""
        if self._mailing is None:
            raise Unsupported("mail", "no mail is configured", hint="mail_address, imap_server and smtp_server of the ticket table; docs/mail.md has them.")
        return self._mailing

    async def mail_status(self) -> MailStatus | None:
        """None: no mail is configured."""
        found = self._mailing
        return await in_thread(DEADLINE, lambda: found.status(now())) if found is not None else None

    async def mail_fetch(self) -> Fetched:
        """A round now, beside the collector; nothing comes in twice. Unreachable, AuthFailed."""
        mailing = self.mailing()
        fetched = await in_thread(ROUND_SECONDS, mailing.fetcher.fetch, now())
        await in_thread(ROUND_SECONDS, mailing.outbox.run, now())
        return fetched

    async def mail_outbox(self, state: str = "", limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """Mails to send or sent, the newest first."""
        return await in_thread(DEADLINE, self._listed, OUTBOX, "queued_at", state, limit)

    async def mail_aside(self, limit: int = 200) -> Sequence[Mapping[str, Any]]:
        """Mails that became no ticket, the newest first, with the reason."""
        return await in_thread(DEADLINE, self._listed, ASIDE, "at", "", limit)

    def _listed(self, collection: str, by: str, state: str, limit: int) -> list[Mapping[str, Any]]:
        store = self.mailing().store
        where = Test("state", "eq", state) if state else All()
        out: list[Mapping[str, Any]] = []
        for record in store.select(collection, where, [Order(by, descending=True)], limit=limit):
            ticket = store.get(TICKETS, str(record.doc.get("ticket") or "")) if record.doc.get("ticket") else None
            plain = {name: clean(value) if isinstance(value, str) else value for name, value in record.doc.items()}
            out.append({"id": record.id, **plain, "number": spoken(int(ticket.doc["number"])) if ticket is not None else ""})
        return out

    async def plan_mail_retry(self, change: Change, actor: Actor) -> Plan:
        """Send again what is uncertain or failed; take in what was put aside."""
        return await in_thread(DEADLINE, self.mailing().plan_retry, change, now())

    async def plan_mail_drop(self, change: Change, actor: Actor) -> Plan:
        """Leave it."""
        return await in_thread(DEADLINE, self.mailing().plan_drop, change, now())


def health_text(status: MailStatus | None, at: datetime) -> str:
    """What is stuck, in one line with its age, or ""."""
    if status is None or not status.stuck:
        return ""
    return f"mail stuck {age(at - (status.stuck_since or at))}: {'; '.join(status.stuck)}"
