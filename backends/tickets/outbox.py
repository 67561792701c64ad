"""The outbox: a public reply is stored first, then queued here, then sent; what became of each mail stands in the store.

One record a recipient under `<event>.<n>`: {ticket, event, to, everybody, state, ...}; the words stay in the event, never here. States:
queued (also after a temporary refusal), sending (claimed by one process), sent, uncertain (handed over and no answer, or its process
died: never sent again by itself), failed. Never imports an adapter.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from backends.errors import BackendError, Conflict, Refused
from backends.store.contract import Order, Record, Store, Test
from backends.tickets.appending import EVENTS, TICKETS, append
from backends.tickets.events import iso, moment
from backends.tickets.files import Files
from backends.tickets.mail_fetch import STATE
from backends.tickets.mail_sending import Delivery, PublicWord, compose, deliver
from backends.tickets.mail_settings import MailSettings
from backends.tickets.mail_threads import remember, thread
from backends.tickets.numbers import spoken
from backends.tickets.promise import Promise

OUTBOX = "outbox"
ROUND = 30
SENDING_LIMIT = timedelta(minutes=10)
GIVE_UP = timedelta(days=3)
LONGEST_PAUSE = 3600


class Outbox:
    """Queues and sends for one adapter."""

    def __init__(self, name: str, store: Store, files: Files, settings: MailSettings, promise: Promise) -> None:
        self._key, self._store, self._files, self._settings, self._promise = f"outbox-{name}", store, files, settings, promise
        self._busy = threading.Lock()

    def begin(self) -> None:
        """Replies from now on are sent; those of before there was mail are not."""
        if self._store.get(STATE, self._key) is None:
            with contextlib.suppress(Conflict):
                self._store.insert(STATE, {"since": self._store.seq()}, id=self._key)

    def run(self, at: datetime) -> int:
        """Queue what was said, send what is queued; how many went out."""
        if not self._busy.acquire(blocking=False):
            return 0
        try:
            self.collect(at)
            self._forsaken(at)
            return self._send(at) if self._settings.smtp is not None else 0
        finally:
            self._busy.release()

    # -- queueing ---------------------------------------------------------------------------------------

    def collect(self, at: datetime) -> int:
        """Queue the public words that were stored since the last look, each once; how many records that made."""
        self.begin()
        made = 0
        while True:
            state = self._store.get(STATE, self._key)
            since = int(state.doc.get("since", 0)) if state is not None else 0
            feed = self._store.changes(since, collection=EVENTS, limit=500)
            for item in feed:
                record = self._store.get(EVENTS, item.id)
                if record is not None and record.doc.get("mail"):
                    made += self._queue(item.id, record.doc, at)
            if not feed:
                return made
            self._move(feed[-1].seq)

    def _move(self, seq: int) -> None:
        """The cursor only goes forward; who is behind does nothing twice, as a mail has one key."""
        state = self._store.get(STATE, self._key)
        if state is not None and int(state.doc.get("since", 0)) < seq:
            with contextlib.suppress(Conflict):
                self._store.update(STATE, self._key, {**state.doc, "since": seq}, rev=state.rev)

    def _queue(self, key: str, event: Mapping[str, Any], at: datetime) -> int:
        try:
            PublicWord(key, event)
        except Refused:  # whatever made it so: it does not leave the house, and holds up nothing else
            return 0
        everybody = list(dict.fromkeys(str(address) for address in event["mail"].get("to", ())))
        ticket = self._store.get(TICKETS, str(event["ticket"]))
        number = spoken(int(ticket.doc["number"])) if ticket is not None else "T-0"
        message_id = f"{number}.{event['seq']}.{uuid.uuid5(uuid.NAMESPACE_OID, key).hex[:16]}@{self._settings.domain}"
        remember(self._store, message_id, str(event["ticket"]), iso(at), out=True)
        made = 0
        for place, address in enumerate(everybody, start=1):
            doc = {
                "ticket": event["ticket"], "event": key, "to": address, "everybody": everybody, "state": "queued", "message_id": message_id, "queued_at": iso(at),
                "next_at": iso(at), "attempts": 0, "by": event.get("actor", ""), "text": "",
            }  # fmt: skip
            with contextlib.suppress(Conflict):
                self._store.insert(OUTBOX, doc, id=f"{key}.{place}")
                made += 1
        return made

    # -- sending ----------------------------------------------------------------------------------------

    def _forsaken(self, at: datetime) -> None:
        """What a process was sending when it died may have gone out: uncertain, and a person decides."""
        for record in self._store.select(OUTBOX, Test("state", "eq", "sending")):
            doc = record.doc
            tried = moment(doc.get("tried_at")) or at
            here = doc.get("host") == os.uname().nodename
            if (here and not _alive(int(doc.get("pid", 0)))) or at - tried > SENDING_LIMIT:
                self._settle(record, {**doc, "state": "uncertain", "text": "the process that sent it ended in the middle"})

    def _send(self, at: datetime) -> int:
        sent = 0
        for record in self._store.select(OUTBOX, Test("state", "eq", "queued"), [Order("queued_at")], limit=ROUND * 4)[: ROUND * 4]:
            if str(record.doc.get("next_at") or "") > iso(at):
                continue
            delivery = self._one(record, at)
            sent += delivery is not None and delivery.state == "sent"
            if delivery is not None and delivery.server:
                break  # nobody's mail goes now: the others wait without being tried
            if sent >= ROUND:
                break
        return sent

    def _one(self, record: Record, at: datetime) -> Delivery | None:
        claim = {**record.doc, "state": "sending", "tried_at": iso(at), "host": os.uname().nodename, "pid": os.getpid(), "attempts": int(record.doc.get("attempts", 0)) + 1}
        try:
            claimed = self._store.update(OUTBOX, record.id, claim, rev=record.rev)
        except Conflict:
            return None
        try:
            raw = self._composed(claim, at)
        except BackendError as error:
            delivery = Delivery("failed", error.sentence())
        else:
            delivery = deliver(self._settings, str(claim["to"]), raw)
        self._settle(claimed, self._after(claim, delivery, at))
        if delivery.state in ("failed", "uncertain"):
            self._tell(record.id, claim, delivery, at)
        return delivery

    def _composed(self, doc: Mapping[str, Any], at: datetime) -> bytes:
        from backends.errors import NotFound

        event, ticket = self._store.get(EVENTS, str(doc["event"])), self._store.get(TICKETS, str(doc["ticket"]))
        if event is None or ticket is None:
            raise NotFound("the ticket of this mail is not there any more")
        word = PublicWord(event.id, event.doc)
        number = spoken(int(ticket.doc["number"]))
        references = thread(self._store, str(doc["ticket"]), but=str(doc["message_id"]))
        return compose(word, ticket.doc, number, str(doc["to"]), doc.get("everybody") or [doc["to"]], str(doc["message_id"]), references, self._settings, self._files, at)

    def _after(self, doc: Mapping[str, Any], delivery: Delivery, at: datetime) -> dict[str, Any]:
        after = {**doc, "text": delivery.text[:400]}
        if delivery.state != "later":
            return {**after, "state": delivery.state, **({"sent_at": iso(at)} if delivery.state == "sent" else {})}
        if at - (moment(str(doc["queued_at"])) or at) > GIVE_UP:
            return {**after, "state": "failed", "text": f"given up after 3 days: {delivery.text}"[:400]}
        pause = min(LONGEST_PAUSE, 60 * 2 ** min(int(doc["attempts"]) - 1, 6))
        return {**after, "state": "queued", "next_at": iso(at + timedelta(seconds=pause))}

    def _settle(self, record: Record, doc: Mapping[str, Any]) -> None:
        """What is known now; who waited so long that it was called uncertain meanwhile knows better."""
        for _ in range(5):
            try:
                self._store.update(OUTBOX, record.id, doc, rev=record.rev)
                return
            except Conflict:
                found = self._store.get(OUTBOX, record.id)
                if found is None or found.doc.get("state") not in ("sending", "uncertain") or found.doc.get("tried_at") != doc.get("tried_at"):
                    return
                record = found

    def _tell(self, ident: str, doc: Mapping[str, Any], delivery: Delivery, at: datetime) -> None:
        """The ticket says that its reply did not go out, or may not have."""
        word = "could not be sent" if delivery.state == "failed" else "may not have gone out: look before you send it again"
        event = {"type": "mail_failed", "set": {}, "at": iso(at), "actor": "deskside", "via": "mail", "body": f"The mail to {doc['to']} {word}. {delivery.text}"}
        with contextlib.suppress(BackendError):
            append(self._store, str(doc["ticket"]), event, f"told-{ident}-{doc['attempts']}", lambda now: None, self._promise)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return pid > 0
