"""Fields in the site's own texts: `{requester.name}` becomes the requester's name. Unknown ones are found when the file is read.

`{{` and `}}` stand for the brackets themselves. What is put in is never looked at for fields again. Never imports textual.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from backends.contract import Actor
    from backends.tickets.model import Ticket

KNOWN = (
    "ticket.number", "ticket.subject", "ticket.status", "ticket.queue", "ticket.category", "ticket.priority", "ticket.due", "ticket.location",
    "requester.name", "requester.first", "requester.login", "requester.email", "requester.phone", "requester.location", "requester.department",
    "vendor.name", "vendor.reference", "me.name", "me.login", "site.name", "today", "now",
)  # fmt: skip
_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_.]*)\}")


class Wrong(ValueError):
    """A mistake in the site's texts: the sentence, and the word of the file it is about, to find its line."""

    def __init__(self, text: str, word: str = "") -> None:
        super().__init__(text)
        self.word = word


def fields_of(text: str) -> list[str]:
    """The fields of a text, each once, in their order."""
    return list(dict.fromkeys(found.group(1) for found in _FIELD.finditer(text) if found.group(1)))


def check_fields(text: str, more: Sequence[str] = ()) -> str:
    """The text, if all its fields are known (`more`: others than `KNOWN`). Wrong names the one that is not."""
    for name in fields_of(text):
        if name not in KNOWN and name not in more:
            near = [known for known in KNOWN if known.split(".")[-1] == name.split(".")[-1]] or list(KNOWN)
            raise Wrong(f"unknown field {{{name}}}; there are {', '.join(f'{{{known}}}' for known in near)}", f"{{{name}}}")
    return text


def fill(text: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """(the text with its fields filled in, the fields there was nothing for)."""
    empty: dict[str, None] = {}

    def one(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return found.group(0)[0]
        value = values.get(name, "")
        if not value:
            empty[name] = None
        return value

    return _FIELD.sub(one, text), tuple(empty)


def plain_values(actor: Actor, site: str, moment: datetime, timezone: str) -> dict[str, str]:
    """What is known without a ticket."""
    from console.ages import stamp

    here = stamp(moment, timezone)
    return {"me.name": actor.display or actor.login, "me.login": actor.login, "site.name": site, "today": here[:10], "now": here}


def ticket_values(ticket: Ticket, actor: Actor, site: str, moment: datetime, timezone: str) -> dict[str, str]:
    """Field -> value for a ticket; times in the site's zone."""
    from console.ages import stamp

    row, person = ticket.row, ticket.requester
    vendor = next((one for one in reversed(ticket.referrals) if one.open), None) or (ticket.referrals[-1] if ticket.referrals else None)
    return {
        **plain_values(actor, site, moment, timezone), "ticket.number": row.number, "ticket.subject": row.subject, "ticket.status": row.status,
        "ticket.queue": row.queue, "ticket.category": ticket.category, "ticket.priority": f"P{row.priority}", "ticket.due": stamp(row.due_at, timezone),
        "ticket.location": row.location, "requester.name": person.name, "requester.first": person.name.split(" ")[0], "requester.login": person.login,
        "requester.email": person.email, "requester.phone": person.phone, "requester.location": person.location, "requester.department": person.department,
        "vendor.name": vendor.vendor if vendor else "", "vendor.reference": vendor.reference if vendor else "",
    }  # fmt: skip
