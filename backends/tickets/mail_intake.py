"""Mail into tickets, each mail once: what becomes of it is decided and written down first, then done under a name made of the mail.

A mail is known by its key (`mail_message.Mail.key`). Its record in `mails` holds the decision; a collector that is killed leaves a
decision that the next one carries out, and two at once do the same operation, which the store takes once. Never imports an adapter.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from backends.contract import Actor, Change
from backends.errors import Conflict, Refused
from backends.store.contract import Order, Record, Store, Test
from backends.text import clean, plain
from backends.tickets.appending import EVENTS, TICKETS, append
from backends.tickets.applying import Applying, ident_of
from backends.tickets.clock import AUTOMATIC, reason_of
from backends.tickets.closing import Ending, reopened
from backends.tickets.events import event_id, iso
from backends.tickets.files import Files
from backends.tickets.mail_loops import automatic, own, unanswered
from backends.tickets.mail_message import File, Mail, Unreadable, read_mail
from backends.tickets.mail_settings import MailSettings
from backends.tickets.mail_threads import is_ours, knows, remember, rooted, ticket_of
from backends.tickets.model import Phase
from backends.tickets.numbers import spoken
from backends.tickets.planning import House, plan_create

MAILS, ASIDE, ANSWERED = "mails", "mail_aside", "mail_answered"
TRIES = 5
MOST_WATCHERS = 20


class Taken(NamedTuple):
    """What became of a mail: appended, created, suppressed, aside or known; its ticket's id; why."""

    what: str
    ticket: str = ""
    why: str = ""


class Intake:
    """Takes mails into the tickets of one adapter."""

    def __init__(self, name: str, store: Store, house: House, applying: Applying, files: Files, folder: Path, settings: MailSettings, ending: Ending) -> None:
        self._name, self._store, self._house, self._applying = name, store, house, applying
        self._files, self._folder, self._settings, self._ending = files, folder, settings, ending

    def take(self, raw: bytes, at: datetime, *, source: str = "", cut: str = "", forced: bool = False) -> Taken:
        """One mail. `source` says where it lies, `cut` why only its beginning was read; `forced`: a person wants it in.

        Raises what the store raises (NoSpace, Busy, Damaged): then the mail is not taken, and comes again.
        """
        try:
            mail = read_mail(raw)
        except Unreadable as error:
            return self.put_aside(raw, f"{error}", at, source)
        decided = self._decision(mail, at, source, forced)
        if decided.doc["state"] == "done":
            return Taken("known", str(decided.doc.get("ticket", "")), str(decided.doc.get("why", "")))
        for _ in range(TRIES):
            taken = self._carry_out(decided, mail, raw, at, source, cut)
            if taken is not None:
                self._done(decided, taken, mail, at)
                return taken
            decided = self._again(decided, mail, at)
        raise Conflict("the ticket of a mail is changed by others all the time")

    # -- deciding ---------------------------------------------------------------------------------------

    def _decision(self, mail: Mail, at: datetime, source: str, forced: bool) -> Record:
        known = self._store.get(MAILS, mail.key)
        if known is None:
            doc = {"state": "taking", "at": iso(at), "source": source, "sender": mail.sender, "subject": mail.subject, **self._decide(mail, at, forced)}
            try:
                return self._store.insert(MAILS, doc, id=mail.key)
            except Conflict:
                known = self._store.get(MAILS, mail.key)
                assert known is not None
        if forced and known.doc["verdict"] == "aside":
            doc = {**known.doc, "state": "taking", **self._decide(mail, at, True)}
            return self._store.update(MAILS, mail.key, doc, rev=known.rev)
        return known

    def _again(self, decided: Record, mail: Mail, at: datetime) -> Record:
        """The ticket went another way meanwhile: decide anew, unless somebody else has."""
        try:
            return self._store.update(MAILS, decided.id, {**decided.doc, **self._decide(mail, at, bool(decided.doc.get("forced")))}, rev=decided.rev)
        except Conflict:
            found = self._store.get(MAILS, decided.id)
            assert found is not None
            return found

    def _decide(self, mail: Mail, at: datetime, forced: bool) -> dict[str, Any]:
        record = ticket_of(self._store, mail, self._house.promise)
        ticket = record.id if record is not None else ""
        back = "" if forced else own(mail, self._settings.address) or ("it is a mail of ours that came back" if is_ours(self._store, mail.message_id) else "")
        machine = back or ("" if forced else automatic(mail))
        if machine and ticket:
            return {"verdict": "suppress", "ticket": ticket, "why": machine}
        if back or (machine and self._settings.automatic == "aside"):
            return {"verdict": "aside", "ticket": "", "why": machine}
        if record is None:
            return {"verdict": "create", "ticket": "", "tie": "", "why": machine, "forced": forced}
        phase = record.doc["phase"]
        known = knows(record.doc, mail.sender)
        over = phase == Phase.CLOSED or (phase == Phase.RESOLVED and known)
        if over and not (known and self._ending.reopens(record.doc, at)):
            return {"verdict": "create", "ticket": "", "tie": ticket, "why": f"{spoken(int(record.doc['number']))} is {record.doc['status']}", "forced": forced}
        return {"verdict": "append", "ticket": ticket, "why": "", "forced": forced}

    # -- doing ------------------------------------------------------------------------------------------

    def _carry_out(self, decided: Record, mail: Mail, raw: bytes, at: datetime, source: str, cut: str) -> Taken | None:
        """None when the decision does not fit the ticket any more."""
        doc = decided.doc
        if doc["verdict"] == "aside":
            return self.put_aside(raw, str(doc["why"]), at, source, mail)
        if doc["verdict"] == "suppress":
            record = rooted(self._store, str(doc["ticket"]), self._house.promise)
            if record is None:
                return None
            body = f"not taken in as an answer: {doc['why']}\n\nFrom {mail.sender}: {mail.subject}\n\n{mail.text[:4000]}"
            event = {"type": "mail_suppressed", "set": {}, "at": iso(at), "actor": mail.sender, "via": "mail", "body": body}
            append(self._store, record.id, event, f"mail-{mail.key}", lambda now: None, self._house.promise)
            return Taken("suppressed", record.id, str(doc["why"]))
        kept = [] if cut else [self._keep(file) for file in mail.files]
        if doc["verdict"] == "append":
            return self._append(mail, str(doc["ticket"]), kept, cut, at)
        ident = self._create(mail, kept, cut, str(doc.get("tie") or ""), at)
        if not doc["why"] or doc.get("tie"):
            self._acknowledge(mail, ident, at)
        return Taken("created", ident, str(doc["why"]))

    def _append(self, mail: Mail, ident: str, kept: Sequence[dict[str, Any]], cut: str, at: datetime) -> Taken | None:
        for _ in range(TRIES):
            record = rooted(self._store, ident, self._house.promise)
            if record is None or (record.doc["phase"] == Phase.CLOSED and not self._ending.reopens(record.doc, at)):
                done = record is not None and self._store.select(EVENTS, Test("op_id", "eq", f"mail-{mail.key}"), limit=1, fields=["seq"])
                return Taken("appended", ident) if done else None
            now = record.doc
            event = {
                "type": "mail_in", "set": self._turn(mail, now, at), "at": iso(at), "actor": mail.sender, "via": "mail", "public": True,
                **_words(mail, cut, "" if knows(now, mail.sender) else f"[from {mail.sender}, who has not taken part in this ticket]"),
            }  # fmt: skip
            if kept:
                event["set"]["attachments"] = [*now.get("attachments", ()), *kept]

            def guard(doc: Mapping[str, Any], now: Mapping[str, Any] = now) -> None:
                if any(doc.get(name) != now.get(name) for name in ("phase", "status", "links", "attachments")):
                    raise Refused("somebody was faster")

            try:
                append(self._store, record.id, event, f"mail-{mail.key}", guard, self._house.promise)
            except Refused:
                continue
            return Taken("appended", record.id)
        return None

    def _turn(self, mail: Mail, doc: Mapping[str, Any], at: datetime) -> dict[str, Any]:
        """What a word of somebody who takes part does: it wakes what waits for the requester, and opens again what is over."""
        if not knows(doc, mail.sender):
            return {}
        if self._ending.reopens(doc, at):
            return reopened(self._house, doc)
        if doc["phase"] == Phase.PAUSED and reason_of(str(doc.get("pending_reason") or ""), str(doc.get("status") or "")) not in ("vendor", "scheduled", "part", "change"):
            return {"status": self._house.statuses.of(Phase.ACTIVE)[-1], "phase": Phase.ACTIVE.value}
        return {}

    def _create(self, mail: Mail, kept: Sequence[dict[str, Any]], cut: str, tie: str, at: datetime) -> str:
        operation = f"mail-{mail.key}"
        ident = ident_of(operation)
        if self._store.get(EVENTS, event_id(ident, 1)) is None:
            values = {
                "subject": mail.subject or "(no subject)", "requester": self._person(mail), "origin": "email",
                **({"queue": self._settings.queue} if self._settings.queue else {}), **_words(mail, cut, ""),
            }  # fmt: skip
            quoted = values.pop("quoted", "")
            event = dict(plan_create(Change("tickets", self._name, "create", values=values), Actor(mail.sender), self._house).change.values["event"])
            watchers = [address for address in mail.others if address not in (self._settings.address, mail.sender)][:MOST_WATCHERS]
            more = {"attachments": list(kept), "watchers": watchers, "links": [{"kind": "relates", "to": tie}] if tie else []}
            event = {**event, "via": "mail", "public": True, "quoted": quoted, "set": {**event["set"], **{name: value for name, value in more.items() if value}}}
        else:
            event = {}
        self._applying.create(event, Actor(mail.sender), operation)
        if tie:
            self._tie_back(tie, ident, at)
        return ident

    def _tie_back(self, tie: str, ident: str, at: datetime) -> None:
        link = {"kind": "relates", "to": ident}
        for _ in range(TRIES):
            record = self._store.get(TICKETS, tie)
            if record is None or link in record.doc.get("links", ()):
                return
            links = record.doc.get("links", [])
            event = {"type": "linked", "set": {"links": [*links, link]}, "at": iso(at), "actor": "deskside", "via": "mail", "body": "an answer came after it had ended"}

            def guard(doc: Mapping[str, Any], links: Any = links) -> None:
                if doc.get("links", []) != links:
                    raise Refused("somebody was faster")

            with contextlib.suppress(Refused):
                append(self._store, tie, event, f"tie-{ident}", guard, self._house.promise)
                return

    def _person(self, mail: Mail) -> dict[str, str]:
        """Who it is from, with what earlier tickets know of them."""
        person = {"name": mail.sender_name or mail.sender, "email": mail.sender}
        earlier = self._store.select(TICKETS, Test("email", "eq", mail.sender), [Order("updated_at", descending=True)], limit=1)
        if earlier:
            doc = earlier[0].doc
            person |= {name: str(doc[name]) for name in ("login", "phone", "location", "department") if doc.get(name)}
        return person

    def _acknowledge(self, mail: Mail, ident: str, at: datetime) -> None:
        """One automatic answer a sender and day, never to what asks for none."""
        if not (self._settings.acknowledge and self._settings.smtp) or unanswered(mail):
            return
        day = hashlib.sha256(f"{mail.sender}\0{at:%Y-%m-%d}".encode()).hexdigest()[:40]
        try:
            self._store.insert(ANSWERED, {"mail": mail.key, "at": iso(at)}, id=day)
        except Conflict:
            known = self._store.get(ANSWERED, day)
            if known is None or known.doc["mail"] != mail.key:
                return
        record = self._store.get(TICKETS, ident)
        number = spoken(int(record.doc["number"])) if record is not None else ""
        body = f"Your mail has reached us and has the number {number}.\nKeep [{number}] in the subject when you write again about it."
        event = {"type": "replied", "set": {}, "at": iso(at), "actor": "deskside", "via": AUTOMATIC, "public": True, "body": body, "mail": {"to": [mail.sender]}}
        append(self._store, ident, event, f"answer-{mail.key}", lambda now: None, self._house.promise)

    def as_file(self, raw: bytes, doc: Mapping[str, Any], at: datetime) -> Taken:
        """A mail that can't be read as a ticket with the mail attached: a person wants it."""
        operation = f"mail-raw-{doc['raw']}"
        values = {"subject": f"Mail that can't be read: {doc['why']}"[:200], "body": str(doc["subject"]), "requester": {"name": str(doc["sender"]) or "unknown"}, "origin": "email"}
        event = dict(plan_create(Change("tickets", self._name, "create", values=values), Actor("deskside"), self._house).change.values["event"])
        kept = {"name": "mail.eml", "size": len(raw), "sha256": str(doc["raw"]), "mime": "message/rfc822"}
        self._applying.create({**event, "via": "mail", "set": {**event["set"], "attachments": [kept]}}, Actor("deskside"), operation)
        return Taken("created", ident_of(operation))

    # -- keeping ----------------------------------------------------------------------------------------

    def _keep(self, file: File) -> dict[str, Any]:
        """The attachment in the files of this desk, and how a ticket names it."""
        return {"name": file.name, "size": len(file.data), "sha256": keep_bytes(self._files, self._folder, file.data), "mime": file.mime}

    def put_aside(self, raw: bytes, why: str, at: datetime, source: str, mail: Mail | None = None) -> Taken:
        """Keep the whole mail, with the reason, where a person sees it."""
        digest = keep_bytes(self._files, self._folder, raw)
        head = raw[:4000].split(b"\n\n")[0].split(b"\r\n\r\n")[0]
        doc = {
            "why": why, "at": iso(at), "source": source, "size": len(raw), "raw": digest, "key": mail.key if mail is not None else "",
            "sender": mail.sender if mail is not None else "", "subject": mail.subject if mail is not None else plain(head)[:200],
        }  # fmt: skip
        with contextlib.suppress(Conflict):
            self._store.insert(ASIDE, doc, id=digest[:16])
        return Taken("aside", "", why)

    def _done(self, decided: Record, taken: Taken, mail: Mail, at: datetime) -> None:
        if taken.ticket:
            remember(self._store, mail.message_id, taken.ticket, iso(at), out=False)
        with contextlib.suppress(Conflict):
            self._store.update(MAILS, decided.id, {**decided.doc, "state": "done", "ticket": taken.ticket}, rev=decided.rev)


def _words(mail: Mail, cut: str, first: str) -> dict[str, Any]:
    notes = [f"[{clean(note)}]" for note in (*mail.notes, cut) if note]
    body = "\n\n".join(part for part in (first, mail.text or "(the mail has no text)", "\n".join(notes)) if part)
    return {"body": body, **({"quoted": mail.quoted} if mail.quoted else {})}


def keep_bytes(files: Files, folder: Path, data: bytes) -> str:
    """Put bytes among the files of a desk; their sha256. NoSpace."""
    from backends.errors import NoSpace

    digest = hashlib.sha256(data).hexdigest()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o770)
        with tempfile.NamedTemporaryFile(dir=folder, prefix="mail-", delete=False) as file:
            file.write(data)
        try:
            files.keep(Path(file.name), digest)
        finally:
            os.unlink(file.name)
    except OSError as error:
        raise NoSpace(f"a mail can't be kept: {error.strerror}") from None
    return digest
