"""Fetching new mail by IMAP: one connection a round, a cursor in the store, every answer under a deadline. Never imports an adapter.

The cursor (UIDVALIDITY and the last UID) moves after a mail is taken in; a kill between the two shows the mail again, and its key tells
that it is known. Where there is no cursor yet only unread mails are taken, so that an old mailbox does not become tickets.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backends.errors import AuthFailed, BackendError, Unreachable
from backends.store.contract import Store
from backends.text import clean
from backends.tickets.events import iso
from backends.tickets.mail_intake import Taken
from backends.tickets.mail_settings import MEGABYTE, MailSettings, Server

STATE = "mail_state"
ROUND = 50
"""Mails taken in a round; the rest comes in the next."""
ROUND_SECONDS = 60.0
BEGINNING = 256 * 1024
"""Bytes read of a mail that is larger than what is taken in whole."""
Take = Callable[..., Taken]
Aside = Callable[[bytes, str, datetime, str], Taken]


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a round brought."""

    taken: tuple[Taken, ...] = ()
    more: bool = False


class Fetcher:
    """Fetches for one adapter; two rounds of one process never overlap."""

    def __init__(self, name: str, store: Store, settings: MailSettings, take: Take, aside: Aside) -> None:
        self._key, self._store, self._settings, self._take, self._aside = f"imap-{name}", store, settings, take, aside
        self._busy = threading.Lock()

    def fetch(self, at: datetime, most: int = ROUND) -> Fetched:
        """One round. Unreachable, AuthFailed; what was taken before stays taken."""
        if self._settings.imap is None or not self._busy.acquire(blocking=False):
            return Fetched()
        try:
            fetched = self._round(self._settings.imap, at, most)
            self._note(ok_at=iso(at), error="", since="")
            return fetched
        except BackendError as error:
            known = self._state()
            with contextlib.suppress(BackendError):
                self._note(error=error.sentence()[:400], since=known.get("since") or iso(at))
            raise
        finally:
            self._busy.release()

    def _state(self) -> dict[str, Any]:
        record = self._store.get(STATE, self._key)
        return dict(record.doc) if record is not None else {}

    def _note(self, **fields: Any) -> None:
        """What is known of the mailbox; two writers only race for messages about it, the cursor is judged by what is there."""
        known = self._state()
        if {**known, **fields, "ok_at": ""} != {**known, "ok_at": ""} or fields.get("ok_at", "")[:15] != str(known.get("ok_at", ""))[:15]:
            self._store.put(STATE, self._key, {**known, **fields, "by": f"{os.uname().nodename}"})

    # -- a round ----------------------------------------------------------------------------------------

    def _round(self, server: Server, at: datetime, most: int) -> Fetched:
        end = time.monotonic() + ROUND_SECONDS
        with mailbox(server, self._settings) as imap:
            uids, validity = self._new(imap, server)
            taken: list[Taken] = []
            for uid in uids[:most]:
                if time.monotonic() > end:
                    break
                taken.append(self._one(imap, uid, validity, at))
                self._note(uid=uid, uidvalidity=validity)
            return Fetched(tuple(taken), len(taken) < len(uids))

    def _new(self, imap: Any, server: Server) -> tuple[list[int], int]:
        """(UIDs after the cursor, UIDVALIDITY)."""
        folder = self._settings.folder.replace("\\", "\\\\").replace('"', '\\"')
        _ok(imap.select(f'"{folder}"'), f"folder {self._settings.folder}")
        validity, following = _number(imap.response("UIDVALIDITY")), _number(imap.response("UIDNEXT"))
        state = self._state()
        if state.get("uidvalidity") != validity:
            self._note(uidvalidity=validity, uid=0, begin=following)
            state = {"uid": 0, "begin": following}
        last, begin = int(state.get("uid", 0)), int(state.get("begin", 0))
        found: set[int] = set()
        for words in ([f"UID {last + 1}:{begin - 1}", "UNSEEN"] if last + 1 < begin else [], [f"UID {max(last + 1, begin, 1)}:*"]):
            if words:
                data = _ok(imap.uid("SEARCH", *words), "search")
                found |= {int(uid) for uid in b" ".join(part for part in data if part).split()}
        return sorted(uid for uid in found if uid > last), validity

    def _one(self, imap: Any, uid: int, validity: int, at: datetime) -> Taken:
        size = _number_in(rb"RFC822\.SIZE (\d+)", _ok(imap.uid("FETCH", str(uid), "(RFC822.SIZE)"), "size"))
        whole = size <= self._settings.largest
        answer = _ok(imap.uid("FETCH", str(uid), "(BODY.PEEK[])" if whole else f"(BODY.PEEK[]<0.{BEGINNING}>)"), "mail")
        raw = next((part[1] for part in answer if isinstance(part, tuple) and len(part) > 1), None)
        if not isinstance(raw, bytes):
            return Taken("known")  # removed by somebody else meanwhile
        cut = "" if whole else f"the mail has {size / MEGABYTE:.1f} MB: only its beginning is here, the whole mail is in the mailbox (UID {uid})"
        source = f"{self._settings.folder} {validity}/{uid}"
        try:
            taken = self._take(raw, at, source=source, cut=cut)
        except BackendError:
            raise
        except Exception as error:  # noqa: BLE001 - one mail that is too much for us must not hold up all that come after it
            taken = self._aside(raw, f"it failed inside deskside ({type(error).__name__})", at, source)
        with contextlib.suppress(imaplib.IMAP4.error):
            imap.uid("STORE", str(uid), "+FLAGS.SILENT", "(\\Seen)")
        return taken


@contextmanager
def mailbox(server: Server, settings: MailSettings) -> Iterator[Any]:
    """A logged-in connection; the family's errors instead of the library's. A password never stands in an error."""
    imap: Any = None
    try:
        imap = _connected(server, settings)
        _log_in(imap, server)
        yield imap
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"{server.place}: its certificate is not trusted ({clean(str(error.verify_message))})", hint="Give mail_ca, or correct the name.") from None
    except imaplib.IMAP4.abort as error:
        raise Unreachable(f"{server.place}: cut off ({clean(str(error))[:120]})", hint="It is tried again by itself.") from None
    except imaplib.IMAP4.error as error:
        raise Unreachable(f"{server.place}: {clean(str(error))[:200]}", hint="It is tried again by itself.") from None
    except (OSError, EOFError) as error:
        raise Unreachable(f"{server.place}: {clean(str(error))[:120] or type(error).__name__}", hint="It is tried again by itself.") from None
    finally:
        if imap is not None:
            with contextlib.suppress(imaplib.IMAP4.error, OSError, EOFError):
                imap.logout()


def _connected(server: Server, settings: MailSettings) -> Any:
    largest = settings.largest + MEGABYTE

    class Bounded:
        """No literal larger than what was asked for is read into memory."""

        def read(self, size: int) -> bytes:
            if size > largest:
                raise imaplib.IMAP4.abort(f"the server sends {size:,} bytes where at most {largest:,} were asked for")
            return super().read(size)  # type: ignore[misc,no-any-return]

    class Tls(Bounded, imaplib.IMAP4_SSL):
        pass

    class Plain(Bounded, imaplib.IMAP4):
        pass

    if server.security == "tls":
        return Tls(server.host, server.port, ssl_context=settings.tls(), timeout=settings.timeout)
    imap = Plain(server.host, server.port, timeout=settings.timeout)
    if server.security == "starttls":
        try:
            imap.starttls(settings.tls())
        except imaplib.IMAP4.abort as error:
            if "TLS" in str(error):
                raise Unreachable(f"{server.place}: STARTTLS is refused; the password was not sent", hint="Set imap_security to tls, or correct the server.") from None
            raise
        except imaplib.IMAP4.error:
            raise Unreachable(f"{server.place}: STARTTLS is refused; the password was not sent", hint="Set imap_security to tls, or correct the server.") from None
    return imap


def _log_in(imap: Any, server: Server) -> None:
    if server.password is None:
        raise AuthFailed(f"{server.place}: no password is configured", hint="Give imap_password by reference.")
    secret = server.password().reveal()
    try:
        imap.login(server.user, secret)
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as error:
        said = error.args[0] if error.args else ""
        text = clean(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)).replace(secret, "***")[:160]
        raise AuthFailed(f"{server.place}: the log-in of {server.user} is refused ({text})") from None
    except UnicodeError:
        raise AuthFailed(f"{server.place}: the password has letters this server can't take") from None


def _ok(answer: tuple[str, list[Any]], what: str) -> list[Any]:
    word, data = answer
    if word != "OK":
        text = clean(b" ".join(part for part in data if isinstance(part, bytes)).decode("utf-8", "replace"))[:200]
        raise Unreachable(f"the mail server refuses {what}: {text}", hint="It is tried again by itself.")
    return data


def _number(answer: tuple[str, list[Any]]) -> int:
    data = answer[1]
    return int(data[-1]) if data and data[-1] and re.fullmatch(rb"\d{1,15}", data[-1]) else 0


def _number_in(pattern: bytes, data: list[Any]) -> int:
    for part in data:
        found = re.search(pattern, part[0] if isinstance(part, tuple) else part or b"")
        if found:
            return int(found.group(1))
    return 0
