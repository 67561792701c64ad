"""Replies as mails, and handing one to an SMTP server. Only a public word can be composed: nothing internal has a type that fits.

What is known of the outcome is exact: until the final dot of a mail has been sent it was not accepted; from there until the server's
answer it is uncertain. Sources: RFC 5321 (4.2.1, 6.1), RFC 5322, RFC 3834. Never imports an adapter.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Literal

from backends.errors import BackendError, Refused
from backends.text import clean
from backends.tickets.clock import AUTOMATIC
from backends.tickets.files import Files
from backends.tickets.mail_settings import MailSettings, Server

SENT_TYPES = ("replied",)
MOST_ATTACHED = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class PublicWord:
    """A public event of a ticket. One can't be made of anything else: Refused."""

    key: str
    event: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.event.get("public") is not True or self.event.get("type") not in SENT_TYPES or not self.event.get("mail"):
            raise Refused("that is no public reply: it does not leave the house")

    @property
    def automatic(self) -> bool:
        """No person wrote it."""
        return self.event.get("via") == AUTOMATIC

    def attached(self) -> list[Mapping[str, Any]]:
        """The files this event added to its ticket."""
        before = {file.get("sha256") for file in (self.event.get("was") or {}).get("attachments") or ()}
        return [file for file in self.event.get("set", {}).get("attachments") or () if file.get("sha256") not in before]


def compose(
    word: PublicWord, ticket: Mapping[str, Any], number: str, to: str, everybody: Sequence[str], message_id: str, references: Sequence[str], settings: MailSettings,
    files: Files, at: datetime,
) -> bytes:  # fmt: skip
    """The mail as it is sent, lines ended as SMTP wants them."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = Address(settings.name, addr_spec=settings.address)
    mail["To"] = everybody[0] if everybody else to
    if everybody[1:]:
        mail["Cc"] = ", ".join(everybody[1:])
    subject = " ".join(clean(str(ticket.get("subject") or "")).split())
    mail["Subject"] = f"[{number}] {subject}" if f"[{number.lower()}]" not in subject.lower() else subject
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{message_id}>"
    usable = [one for one in references if re.fullmatch(r"[!-~]{1,200}", one)]
    if usable:
        mail["In-Reply-To"] = f"<{usable[-1]}>"
        mail["References"] = " ".join(f"<{one}>" for one in usable)
    mail["X-Loop"] = settings.address
    if word.automatic:
        mail["Auto-Submitted"] = "auto-replied"
        mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(clean(str(word.event.get("body") or ""), one_line=False, limit=400_000), cte="quoted-printable")
    left = MOST_ATTACHED
    for file in word.attached():
        data = b"".join(files.read(str(file["sha256"])))
        left -= len(data)
        if left < 0:
            raise Refused("its attachments are larger than 20 MB together")
        main, _, sub = str(file.get("mime") or "application/octet-stream").partition("/")
        main, sub = (main, sub) if re.fullmatch(r"[a-z]+", main) and main not in ("multipart", "message") and re.fullmatch(r"[A-Za-z0-9.+-]+", sub) else ("application", "octet-stream")
        mail.add_attachment(data, maintype=main, subtype=sub, filename=str(file["name"]))
    return mail.as_bytes()


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of handing it over: later = known not to be accepted, tried again; `server`: nobody's mail would go now."""

    state: Literal["sent", "later", "failed", "uncertain"]
    text: str = ""
    server: bool = False


def deliver(settings: MailSettings, to: str, raw: bytes) -> Delivery:
    """Hand one mail to the server. Never raises a library's exception; a password never stands in a text."""
    assert settings.smtp is not None
    if not to.isascii():
        return Delivery("failed", f"{to}: addresses beyond ASCII are not sent to")
    smtp: smtplib.SMTP | None = None
    try:
        smtp = _connected(settings.smtp, settings)
    except BackendError as error:
        return Delivery("later", error.sentence(), server=True)
    except smtplib.SMTPAuthenticationError as error:
        return Delivery("later", f"{settings.smtp.place}: the log-in of {settings.smtp.user} is refused ({error.smtp_code})", server=True)
    except ssl.SSLCertVerificationError as error:
        return Delivery("later", f"{settings.smtp.place}: its certificate is not trusted ({clean(str(error.verify_message))})", server=True)
    except (smtplib.SMTPException, OSError, UnicodeError) as error:
        return Delivery("later", f"{settings.smtp.place}: {_said(error)}", server=True)
    try:
        return _transfer(smtp, settings.address, to, raw)
    finally:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            smtp.close()


def _connected(server: Server, settings: MailSettings) -> smtplib.SMTP:
    if server.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, local_hostname=settings.domain, timeout=settings.timeout, context=settings.tls())
    else:
        smtp = smtplib.SMTP(server.host, server.port, local_hostname=settings.domain, timeout=settings.timeout)
    try:
        if server.security == "starttls":
            try:
                smtp.starttls(context=settings.tls())
            except (smtplib.SMTPNotSupportedError, smtplib.SMTPResponseException):
                raise Refused(f"{server.place}: STARTTLS is refused; nothing was sent", hint="Set smtp_security to tls, or correct the server.") from None
        if server.password is not None:
            smtp.login(server.user or settings.address, server.password().reveal())
    except BaseException:
        smtp.close()
        raise
    return smtp


def _transfer(smtp: smtplib.SMTP, sender: str, to: str, raw: bytes) -> Delivery:
    dotted = re.sub(rb"(?m)^\.", b"..", raw if raw.endswith(b"\r\n") else raw + b"\r\n")
    try:
        smtp.ehlo_or_helo_if_needed()
        for code, text in (smtp.mail(sender), smtp.rcpt(to), smtp.docmd("DATA")):
            if code not in (250, 251, 252, 354):
                return _judged(code, text)
        smtp.send(dotted)
    except (smtplib.SMTPException, OSError) as error:
        return Delivery("later", f"cut off before it was handed over: {_said(error)}", server=True)
    try:
        smtp.send(b".\r\n")
        code, text = smtp.getreply()
    except (smtplib.SMTPException, OSError) as error:
        return Delivery("uncertain", f"handed over, and no answer came: {_said(error)}")
    if code == 250:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            smtp.docmd("QUIT")
        return Delivery("sent", _plain(text))
    return _judged(code, text)


def _judged(code: int, text: bytes) -> Delivery:
    said = f"{code} {_plain(text)}"
    if code in (421, -1):
        return Delivery("later", said, server=True)
    return Delivery("later" if 400 <= code < 500 else "failed", said)


def _plain(text: bytes) -> str:
    return clean(text.decode("utf-8", "replace"))[:200]


def _said(error: BaseException) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {clean(error.smtp_error.decode('utf-8', 'replace') if isinstance(error.smtp_error, bytes) else str(error.smtp_error))[:160]}"
    return clean(str(error))[:160] or type(error).__name__
