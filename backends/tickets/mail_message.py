"""A mail out of its bytes: bounded, never failing on what the world sends, everything as plain text. Never imports an adapter.

What can't be parsed at all is `Unreadable`; what is only odd (an unknown character set, broken base64) is read as far as it goes and said
in `notes`. Sources: RFC 5322 (Message-ID, In-Reply-To, References), RFC 2045-2047, RFC 3834 (automatic mail), RFC 3464 (delivery reports).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import getaddresses

from backends.text import clean
from backends.tickets.mail_settings import ADDRESS
from backends.tickets.plans_work import safe_name

MOST_PARTS = 200
MOST_FILES = 40
MOST_IDS = 100
LONGEST_TEXT = 95_000
"""Characters of words that are kept: what is said about them still fits into a text."""
_ID = re.compile(r"<([^<>\s]{1,300})>")


class Unreadable(Exception):
    """These bytes are no mail that can be read; the text says why."""


@dataclass(frozen=True, slots=True)
class File:
    """An attachment: a name that can be written anywhere, its type, its bytes."""

    name: str
    mime: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it is worked with. Ids are without their angle brackets; addresses are in small letters."""

    key: str
    """The same for the same mail, however often it comes; different for another mail that only has its Message-ID."""
    message_id: str
    answers: tuple[str, ...]
    """Ids it refers to, the nearest first: In-Reply-To, then References from the end; then what a delivery report is about."""
    sender: str
    sender_name: str
    others: tuple[str, ...]
    """Addresses of To and Cc."""
    subject: str
    text: str
    quoted: str
    files: tuple[File, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    """Those that automatic mail is known by, names in small letters."""
    notes: tuple[str, ...] = ()


_KNOWN_BY = ("auto-submitted", "precedence", "x-loop", "return-path", "x-auto-response-suppress", "list-id", "x-autoreply", "x-autorespond", "feedback-id")


def read_mail(raw: bytes) -> Mail:
    """The mail in these bytes. Unreadable."""
    try:
        message = BytesParser(policy=compat32).parsebytes(raw)
        return _read(message)
    except Unreadable:
        raise
    except RecursionError:
        raise Unreadable("its parts are nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - the library's parser fails in many ways on hostile mail
        raise Unreadable(f"its form is broken ({type(error).__name__})") from None


def _read(message: Message) -> Mail:
    sender_name, sender = _sender(message)
    if not sender:
        raise Unreadable("it has no sender's address")
    notes: list[str] = []
    parts = _parts(message)
    if len(parts) >= MOST_PARTS:
        notes.append(f"only its first {MOST_PARTS} parts were read")
    body, files, about = _bodies(parts, notes)
    text, quoted = split_quoted(clean(body, one_line=False, limit=LONGEST_TEXT))
    subject = clean(header(message, "Subject"))[:300].strip()
    message_id = next(iter(_ids(header(message, "Message-ID"))), "")
    digest = hashlib.sha256()
    for piece in (message_id, sender, subject, text, quoted, *(hashlib.sha256(file.data).hexdigest() for file in files)):
        digest.update(piece.encode("utf-8", "surrogatepass") + b"\0")
    if not message_id:
        digest.update(header(message, "Date").encode("utf-8", "replace"))
    answers = [*_ids(header(message, "In-Reply-To")), *reversed(_ids(header(message, "References"))), *about]
    addresses = getaddresses([header(message, name) for name in ("To", "Cc")])
    others = tuple(dict.fromkeys(address.lower() for _, address in addresses[:200] if ADDRESS.fullmatch(address)))
    known = tuple((name, clean(header(message, name))[:300]) for name in _KNOWN_BY if message.get(name) is not None)
    return Mail(digest.hexdigest(), message_id, tuple(dict.fromkeys(answers))[:MOST_IDS], sender, sender_name, others, subject, text, quoted, tuple(files), known, tuple(notes))


def header(message: Message, name: str) -> str:
    """A header as text, encoded words decoded as far as they can be."""
    raw = str(message.get(name) or "")[:20_000]
    raw = raw.encode("ascii", "surrogateescape").decode("utf-8", "replace") if not raw.isascii() and "\udc80" <= max(raw) <= "\udcff" else raw
    raw = re.sub(r"\r?\n[ \t]*", " ", raw)
    try:
        return "".join(_word(piece, charset) for piece, charset in decode_header(raw))
    except Exception:  # noqa: BLE001 - broken encoded words: as they stand
        return raw


def _word(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    try:
        return piece.decode(charset or "ascii", "replace") if charset not in ("unknown-8bit",) else piece.decode("utf-8", "replace")
    except LookupError:
        return piece.decode("utf-8", "replace")


def _sender(message: Message) -> tuple[str, str]:
    """(name, address) of From; of Sender where From has none. Reply-To is not trusted with who somebody is."""
    for name in ("From", "Sender"):
        for spoken, address in getaddresses([header(message, name)])[:5]:
            if ADDRESS.fullmatch(address):
                return clean(spoken)[:100].strip(), address.lower()
    return "", ""


def _ids(text: str) -> list[str]:
    return [clean(found) for found in _ID.findall(text)[:MOST_IDS]]


def _parts(message: Message) -> list[Message]:
    """The leaves of the tree, without what is inside an attached mail."""
    found: list[Message] = []
    waiting = [message]
    while waiting and len(found) < MOST_PARTS:
        part = waiting.pop(0)
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting[:0] = [inner for inner in payload if isinstance(inner, Message)]
        else:
            found.append(part)
    return found


def _bodies(parts: list[Message], notes: list[str]) -> tuple[str, list[File], list[str]]:
    """(the words, the attachments, ids a delivery report is about)."""
    plain: list[str] = []
    html: list[str] = []
    files: list[File] = []
    about: list[str] = []
    for part in parts:
        mime, name = part.get_content_type(), _file_name(part)
        if mime in ("message/rfc822", "text/rfc822-headers", "message/delivery-status"):
            about += _ids("\n".join(re.findall(r"(?im)^message-id:\s*(\S+)", _inner(part)[:200_000])))
        attached = (part.get_content_disposition() == "attachment") or bool(name) or mime.partition("/")[0] not in ("text", "multipart")
        if not attached and mime == "text/plain":
            plain.append(_text(part, notes))
        elif not attached and mime == "text/html":
            html.append(_text(part, notes))
        elif len(files) < MOST_FILES:
            data = _data(part)
            if data:
                files.append(File(safe_name(name or _usual_name(mime, len(files) + 1)), clean(mime)[:100], data))
        else:
            notes.append(f"only its first {MOST_FILES} attachments were kept")
            break
    if any(text.strip() for text in plain):
        return "\n\n".join(plain), files, about
    if html:
        from backends.tickets.html_text import html_text

        return "\n\n".join(html_text(source) for source in html[:10]), files, about
    return "", files, about


def _inner(part: Message) -> str:
    payload = part.get_payload()
    if isinstance(payload, list):
        return "\n".join(f"{name}: {value}" for inner in payload if isinstance(inner, Message) for name, value in inner.items())
    return str(payload)


def _data(part: Message) -> bytes:
    if part.is_multipart():
        return part.as_bytes()
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message, notes: list[str]) -> str:
    data, charset = _data(part), str(part.get_content_charset() or "utf-8")
    if part.defects:
        notes.append(f"a part is damaged ({type(part.defects[0]).__name__})")
    try:
        text = data.decode(charset)
    except (LookupError, UnicodeDecodeError, ValueError):
        text = data.decode("utf-8", "replace")
        notes.append(f"the character set {clean(charset)[:40]!r} did not fit")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename() or ""
    except Exception:  # noqa: BLE001 - broken RFC 2231 parameters
        return "file"
    return "".join(_word(piece, charset) for piece, charset in decode_header(name)) if "=?" in name else name


def _usual_name(mime: str, number: int) -> str:
    ending = {"message/rfc822": "eml", "text/calendar": "ics", "text/html": "html", "message/delivery-status": "txt"}.get(mime, "bin")
    return f"part-{number}.{ending}"


# -- what a mail repeats of earlier ones --------------------------------------------------------------------

_MARKS = (
    re.compile(r"^\s*(?:On|Am|Le|El|Il|Op)\b.{4,200}(?:wrote|schrieb.{0,80}|écrit|escribió|ha scritto|schreef.{0,80})\s*:\s*$", re.IGNORECASE),
    re.compile(r"^\s*-{2,}\s*(?:Original Message|Forwarded message|Urspr.{1,3}ngliche Nachricht|Reply above this line).{0,40}$", re.IGNORECASE),
    re.compile(r"^\s*_{20,}\s*$"),
)
_BLOCK = re.compile(r"^\s*\*?(?:From|Von|De)\*?:\s.{2,}$")
_SENT = re.compile(r"^\s*\*?(?:Sent|Date|Gesendet|Datum|Envoyé)\*?:\s.{2,}$", re.IGNORECASE)


def split_quoted(text: str) -> tuple[str, str]:
    """(what is new, what is repeated of earlier mails). An answer below or between quotes stays whole; nothing is dropped."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _begins_quote(lines, number, line):
            rest = [one for one in lines[number + 1 :] if one.strip()]
            if rest and _MARKS[0].match(line) and not rest[-1].lstrip().startswith(">") and any(one.lstrip().startswith(">") for one in rest) and not _all_quoted(rest):
                break  # answered below the quote
            head = "\n".join(lines[:number]).rstrip()
            return (head, "\n".join(lines[number:]).strip("\n")) if head.strip() else (text.strip("\n"), "")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith(">")):
        end -= 1
    if end and any(one.lstrip().startswith(">") for one in lines[end:]):
        return "\n".join(lines[:end]).strip("\n"), "\n".join(lines[end:]).strip("\n")
    return text.strip("\n"), ""


def _begins_quote(lines: list[str], number: int, line: str) -> bool:
    if any(mark.match(line) for mark in _MARKS):
        return True
    if number + 1 < len(lines) and line.lstrip().startswith(("On ", "Am ", "Le ")) and len(line) < 200 and _MARKS[0].match(f"{line} {lines[number + 1]}"):
        return True
    return bool(_BLOCK.match(line)) and any(_SENT.match(one) for one in lines[number + 1 : number + 4])


def _all_quoted(lines: list[str]) -> bool:
    """Quoted, with at most a signature behind it."""
    last = max((place for place, one in enumerate(lines) if one.lstrip().startswith(">")), default=-1)
    return len(lines) - last - 1 <= 4 and lines[last + 1 : last + 2] in ([], ["--"], ["-- "])
