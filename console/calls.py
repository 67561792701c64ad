"""The one-line log of a telephone call or a walk-in: who, what, where from; category and queue proposed. Never imports textual."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from backends.accounts.model import AccountQuery
from backends.errors import BackendError
from backends.tickets.model import Person
from console.desk import Desk

LOOK_SECONDS = 2.0
KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "printing": ("print", "toner", "scan", "copier", "paper jam"), "account": ("password", "log in", "login", "locked", "account", "sign in", "mfa"),
    "e-mail": ("mail", "outlook", "calendar", "spam"), "network": ("network", "wifi", "wi-fi", "internet", "vpn", "cable"),
    "phone": ("phone", "dial", "voicemail", "headset"), "web site": ("web", "page", "site"), "software": ("install", "update", "program", "excel", "word", "crash"),
    "hardware": ("monitor", "screen", "keyboard", "mouse", "laptop", "projector", "battery", "dead"), "training": ("how do", "show me", "training"),
    "purchase": ("buy", "order", "purchase", "quote", "new laptop"),
}  # fmt: skip


async def who_is(desk: Desk, text: str, limit: int = 9) -> list[Person]:
    """People by a part of login, name, address or number: directory accounts first, then who asked before. What does not answer is left out."""
    found: dict[str, Person] = {}

    async def accounts(backend: Any) -> None:
        for row in (await backend.accounts(AccountQuery(text=text), 0, limit)).items:
            account = await backend.account(row.id)
            person = Person(row.name, row.mail, account.phone, row.login, account.room, row.department)
            found[row.login.casefold()] = person

    async def before(backend: Any) -> None:
        for person in await backend.people(text, limit):
            found.setdefault((person.login or person.email or person.name).casefold(), person)

    looks = [accounts(opened.backend) for opened in desk.backends("accounts") if opened.backend is not None]
    await _all(looks)
    await _all([before(opened.backend) for opened in desk.backends("tickets") if hasattr(opened.backend, "people")])
    exact = text.casefold()
    return sorted(found.values(), key=lambda person: person.login.casefold() != exact)[:limit]


async def _all(looks: Sequence[Any]) -> None:
    for look in looks:
        try:
            await asyncio.wait_for(look, LOOK_SECONDS)
        except (BackendError, TimeoutError):
            continue


def likely(subject: str, categories: Sequence[str]) -> str:
    """The category its words point to, of those the site has; "" when none does."""
    text = subject.casefold()
    scores = {name: sum(word in text for word in words) for name, words in KEYWORDS.items() if name in categories}
    best = max(scores, key=lambda name: scores[name], default="")
    return best if best and scores[best] else ""


def call_values(person: Person, subject: str, category: str, minutes: int, body: str, origin: str = "phone") -> dict[str, Any]:
    """The values of the new ticket."""
    requester = {name: getattr(person, name) for name in ("name", "email", "phone", "login", "location", "department") if getattr(person, name)}
    return {"subject": subject, "requester": requester, "category": category, "minutes": minutes, "body": body, "origin": origin}
