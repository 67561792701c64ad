"""What is sent to Zammad for a plan. An article of type email is sent even when it is internal: only notes are internal here.

Pure; never imports an adapter.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from backends.tickets.model import Ticket
from backends.tickets.remote import content_of

_PLAIN = {"subject": "title", "queue": "group", "status": "state", "pending_until": "pending_time"}
LINKS: Mapping[str, str] = {"relates": "normal", "parent": "parent", "child": "child"}


def fields(set_: Mapping[str, Any], owner_id: int | None, words: Mapping[int, str]) -> dict[str, Any]:
    """The ticket's own fields. `words`: level -> name of the priority."""
    out: dict[str, Any] = {}
    for name, value in set_.items():
        if name in _PLAIN:
            out[_PLAIN[name]] = value
        elif name == "assignee":
            out["owner_id"] = owner_id
        elif name == "priority":
            out["priority"] = words[value]
        elif name.startswith("field "):
            out[name[6:]] = value
    return out


def note(text: str, minutes: int = 0, files: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """An internal note: nobody outside reads it, and nothing is sent."""
    return _article("note", True, text, minutes, files)


def call(text: str, minutes: int) -> dict[str, Any]:
    """A telephone call: public, nothing is sent."""
    return _article("phone", False, text, minutes, ())


def reply(text: str, minutes: int, files: Sequence[Mapping[str, Any]], ticket: Ticket, cc: Sequence[str], by_mail: bool) -> dict[str, Any]:
    """A public answer: by mail where there is an address, else to be read on the web."""
    if not by_mail or not ticket.requester.email:
        return _article("web", False, text, minutes, files)
    return {**_article("email", False, text, minutes, files), "to": ticket.requester.email, "cc": ", ".join(cc), "subject": ticket.row.subject}


def _article(kind: str, internal: bool, text: str, minutes: int, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {"type": kind, "internal": internal, "sender": "Agent", "body": text, "content_type": "text/plain"}
    if minutes:
        out["time_unit"] = str(minutes)
    if files:
        out["attachments"] = [{"filename": file["name"], "data": base64.b64encode(content_of(file)).decode(), "mime-type": file["mime"]} for file in files]
    return out


def link(kind: str, target_id: int, source_number: str) -> dict[str, Any]:
    """A tie "this ticket `kind` that one": this one is the target (by its id), that one the source (by its number)."""
    return {"link_type": LINKS[kind], "link_object_target": "Ticket", "link_object_target_value": target_id, "link_object_source": "Ticket", "link_object_source_number": source_number}


def untie(kind: str, target_id: int, source_id: int) -> dict[str, Any]:
    """The same, taken away: both by their ids."""
    return {"link_type": LINKS[kind], "link_object_target": "Ticket", "link_object_target_value": target_id, "link_object_source": "Ticket", "link_object_source_value": source_id}
