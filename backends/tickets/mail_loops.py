"""Which mails no person wrote, and when nothing may be answered by itself. Sources: RFC 3834, RFC 2076 (Precedence). Never imports an adapter."""

from __future__ import annotations

import re

from backends.tickets.mail_message import Mail

_NOBODY = re.compile(r"^(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|postmaster|bounces?)(?:[+\-_.].*)?$|[-_.+](?:bounces?|noreply)$")


def own(mail: Mail, address: str) -> str:
    """Why this is a mail of our own that came back, or ""."""
    headers = dict(mail.headers)
    if mail.sender == address:
        return "it comes from the desk's own address"
    if address in headers.get("x-loop", "").lower():
        return "it carries our own X-Loop mark"
    return ""


def automatic(mail: Mail) -> str:
    """Why this was written by a machine or a list, or ""."""
    headers = dict(mail.headers)
    if headers.get("return-path", "-").strip() in ("<>", ""):
        return "it has an empty return path: a delivery report"
    said = headers.get("auto-submitted", "no").split(";")[0].strip().lower()
    if said not in ("no", ""):
        return f"it says Auto-Submitted: {said}"
    precedence = headers.get("precedence", "").strip().lower()
    if precedence in ("bulk", "junk", "list"):
        return f"it says Precedence: {precedence}"
    for name in ("x-autoreply", "x-autorespond"):
        if headers.get(name, "no").strip().lower() not in ("no", ""):
            return f"it says {name}"
    if _NOBODY.search(mail.sender.partition("@")[0]):
        return f"nobody reads {mail.sender}"
    return ""


def unanswered(mail: Mail) -> bool:
    """Its sender asks that nothing is answered by itself."""
    asked = dict(mail.headers).get("x-auto-response-suppress", "").lower()
    return any(word.strip() in ("all", "autoreply", "oof", "dr") for word in asked.split(",")) or "list-id" in dict(mail.headers)
