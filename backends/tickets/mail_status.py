"""How the mail of a desk stands: what came, what waits, what is stuck and since when. Never imports an adapter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backends.store.contract import Order, Store, Test
from backends.text import clean
from backends.tickets.events import moment
from backends.tickets.mail_fetch import STATE
from backends.tickets.mail_intake import ASIDE
from backends.tickets.mail_settings import MailSettings
from backends.tickets.outbox import OUTBOX

FAULT_AFTER, SILENT_AFTER, WAITING_AFTER = timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=10)
STATES = ("queued", "sending", "sent", "uncertain", "failed")


@dataclass(frozen=True, slots=True)
class MailStatus:
    """Counts of the outbox by state, mails put aside, and `stuck`: sentences with their age, the worst first."""

    address: str
    imap: str = ""
    smtp: str = ""
    fetched_at: datetime | None = None
    error: str = ""
    failing_since: datetime | None = None
    outbox: Mapping[str, int] = field(default_factory=dict)
    oldest_queued: datetime | None = None
    aside: int = 0
    stuck: Sequence[str] = ()
    stuck_since: datetime | None = None
    """Since when the oldest of what is stuck is so."""


def mail_status(name: str, store: Store, settings: MailSettings, at: datetime) -> MailStatus:
    """The status at a moment."""
    record = store.get(STATE, f"imap-{name}")
    doc = record.doc if record is not None else {}
    counts = {state: store.count(OUTBOX, Test("state", "eq", state)) for state in STATES}
    waiting = store.select(OUTBOX, Test("state", "eq", "queued"), [Order("queued_at")], limit=1)
    queued = moment(waiting[0].doc["queued_at"]) if waiting else None
    fetched, since = moment(doc.get("ok_at")), moment(doc.get("since") or None)
    stuck: list[tuple[datetime, str]] = []
    if settings.imap and since and at - since >= FAULT_AFTER:
        stuck.append((since, f"no mail comes in for {age(at - since)}: {clean(str(doc.get('error', '')))}"))
    elif settings.imap and not since and fetched and at - fetched >= SILENT_AFTER:
        stuck.append((fetched, f"nobody has fetched mail for {age(at - fetched)}: is a collector running?"))
    if queued and at - queued >= WAITING_AFTER:
        stuck.append((queued, f"{counts['queued']} replies wait, the oldest for {age(at - queued)}: {clean(str(waiting[0].doc.get('text') or 'nobody sends'))}"))
    for state, words in (("uncertain", "may not have gone out"), ("failed", "could not be sent")):
        if counts[state]:
            first = store.select(OUTBOX, Test("state", "eq", state), [Order("queued_at")], limit=1)
            tried = moment(first[0].doc.get("tried_at") or first[0].doc["queued_at"]) if first else at
            stuck.append((tried or at, f"{counts[state]} mails {words}, the oldest {age(at - (tried or at))} ago"))
    stuck.sort()
    return MailStatus(
        settings.address, settings.imap.place if settings.imap else "", settings.smtp.place if settings.smtp else "", fetched, clean(str(doc.get("error") or "")),
        since, counts, queued, store.count(ASIDE, Test("state", "eq", None)), [text for _, text in stuck], stuck[0][0] if stuck else None,
    )  # fmt: skip


def age(span: timedelta) -> str:
    """"40m", "3h", "2d"."""
    minutes = int(span.total_seconds() // 60)
    return f"{minutes}m" if minutes < 120 else f"{minutes // 60}h" if minutes < 2880 else f"{minutes // 1440}d"
