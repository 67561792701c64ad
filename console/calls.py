"""The one-line log of a telephone call or a walk-in: who, what, where from, about which device; category and queue proposed.

Everything found is a proposal that the plan shows before it is written. What does not answer in time is left out. Never imports textual.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backends.accounts.model import AccountQuery
from backends.devices.model import DeviceQuery
from backends.errors import BackendError, Invalid
from backends.threads import in_thread
from backends.tickets.model import OPEN_PHASES, Person, Phase, TicketQuery, TicketRow
from console.desk import Desk

LOOK_SECONDS = 2.0
PEERS = 8
"""Earlier solved tickets that are asked for their category."""
KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "printing": ("print", "toner", "scan", "copier", "paper jam"), "account": ("password", "log in", "login", "locked", "account", "sign in", "mfa"),
    "e-mail": ("mail", "outlook", "calendar", "spam"), "network": ("network", "wifi", "wi-fi", "internet", "vpn", "cable"),
    "phone": ("phone", "dial", "voicemail", "headset"), "web site": ("web", "page", "site"), "software": ("install", "update", "program", "excel", "word", "crash"),
    "hardware": ("monitor", "screen", "keyboard", "mouse", "laptop", "projector", "battery", "dead"), "training": ("how do", "show me", "training"),
    "purchase": ("buy", "order", "purchase", "quote", "new laptop"),
}  # fmt: skip
COMMON = frozenset({
    "the", "and", "for", "with", "does", "not", "from", "since", "every", "again", "into", "can't", "cant", "after", "before", "please", "need", "needs", "have",
    "this", "that", "when", "room", "there", "their", "what", "will", "won't", "doesn't", "very", "some", "new", "old", "out", "off",
})  # fmt: skip
_ROOM = re.compile(r"\b(?:in|at|room|rm\.?)\s+(?:room\s+)?([A-Za-z]?\d{1,4}[A-Za-z]?)\b", re.IGNORECASE)
_KINDS = {"print": "printer", "toner": "printer", "switch": "switch", "wifi": "ap", "wi-fi": "ap", "camera": "camera", "phone": "phone", "server": "server", "ups": "ups"}


@dataclass(frozen=True, slots=True)
class CallLine:
    """What was typed behind `:call`: who, what, and where it was given a category (`#printing`) and priority (`!2`)."""

    who: str = ""
    subject: str = ""
    category: str = ""
    priority: int = 0


def read_call(text: str) -> CallLine:
    """`jdoe printer jam in 214 #printing !2`; a name of several words stands in quotes. Nothing is refused: it is read as it is typed."""
    line = text.strip()
    if line.startswith('"'):
        who, _, rest = line[1:].partition('"')
    else:
        who, _, rest = line.partition(" ")
    category, priority, words = "", 0, []
    for word in rest.split():
        if len(word) > 1 and word[0] == "#":
            category = word[1:]
        elif re.fullmatch(r"!p?[1-4]", word, re.IGNORECASE):
            priority = int(word[-1])
        else:
            words.append(word)
    return CallLine(who.strip(), " ".join(words), category, priority)


def chosen_category(word: str, categories: Sequence[str]) -> str:
    """The site's category for what was typed behind #. Invalid where none or several begin so."""
    fits = [name for name in categories if name.casefold().replace(" ", "-") == word.casefold()] or [
        name for name in categories if name.casefold().replace(" ", "-").startswith(word.casefold())
    ]
    if len(fits) != 1:
        raise Invalid(fields={"category": f"#{word} is {'several' if fits else 'none'} of {', '.join(fits or categories)}"})
    return fits[0]


async def who_is(desk: Desk, text: str, limit: int = 9) -> list[Person]:
    """People by a part of login, name, address or number: directory accounts first, then who asked before. What does not answer is left out."""
    if not text.strip():
        return []
    found: dict[str, Person] = {}

    async def accounts(backend: Any) -> None:
        for row in (await backend.accounts(AccountQuery(text=text), 0, limit)).items:
            account = await backend.account(row.id)
            found[row.login.casefold()] = Person(row.name, row.mail, account.phone, row.login, account.room, row.department)

    async def before(backend: Any) -> None:
        for person in await backend.people(text, limit):
            found.setdefault((person.login or person.email or person.name).casefold(), person)

    await _all([accounts(opened.backend) for opened in desk.backends("accounts") if opened.backend is not None])
    await _all([before(opened.backend) for opened in desk.backends("tickets") if hasattr(opened.backend, "people")])
    exact = text.strip().casefold()
    ranked = sorted(found.values(), key=lambda person: (person.login.casefold() != exact, not person.login.casefold().startswith(exact)))
    return ranked[:limit]


def only_one(found: Sequence[Person], text: str) -> Person | None:
    """The person meant beyond doubt: the exact login or address, or the only one there is."""
    exact = [person for person in found if text.strip().casefold() in (person.login.casefold(), person.email.casefold())]
    return exact[0] if len(exact) == 1 else found[0] if len(found) == 1 else None


def as_typed(text: str) -> Person:
    """Somebody nobody knows, taken as typed."""
    return Person(email=text) if "@" in text else Person(name=text, login=text if " " not in text else "")


async def _all(looks: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All looks at once; one that fails or takes too long is left out."""

    async def one(look: Coroutine[Any, Any, None]) -> None:
        try:
            await asyncio.wait_for(look, LOOK_SECONDS)
        except (BackendError, TimeoutError):
            return

    await asyncio.gather(*(one(look) for look in looks))


# -- what is proposed ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Proposal:
    """What was found around a caller: (reference, words) of devices, the likeliest first; where they are; category and queue; their open tickets."""

    devices: tuple[tuple[str, str], ...] = ()
    location: str = ""
    category: str = ""
    queue: str = ""
    why: str = ""
    """Where category and queue come from, in words."""
    open: tuple[TicketRow, ...] = ()


async def propose(desk: Desk, person: Person, subject: str, categories: Sequence[str]) -> Proposal:
    """Everything at once, within two seconds."""
    found = Proposal(location=room_of(subject, person), category=likely(subject, categories))
    found.why = "by its words" if found.category else ""
    named: dict[str, str] = {}
    linked: dict[str, str] = {}
    earlier: dict[str, str] = {}

    async def theirs(backend: Any) -> None:
        await _their_tickets(backend, person, found, earlier)

    tickets = [opened.backend for opened in desk.backends("tickets") if opened.backend is not None]
    looks = [_alike(backend, subject, categories, found) for backend in tickets]
    looks += [_named_devices(opened.backend, subject, person, named) for opened in desk.backends("devices") if opened.backend is not None]
    looks += [_linked_devices(desk, opened.name, opened.backend, person, linked) for opened in desk.backends("accounts") if opened.backend is not None]
    looks += [theirs(backend) for backend in tickets] if person.login or person.email else []
    await _all(looks)
    found.devices = tuple({**named, **linked, **earlier}.items())[:6]
    return found


def room_of(subject: str, person: Person) -> str:
    """Where it is: a room in the words ("in 214"), else where the person sits."""
    said = _ROOM.search(subject)
    if said is None:
        return person.location
    return person.location if said.group(1).casefold() in person.location.casefold().split() else f"Room {said.group(1)}"


def words_of(subject: str) -> list[str]:
    """The telling words of a subject, the longest first."""
    found = [word for word in re.findall(r"[\w'-]+", subject.casefold()) if len(word) > 3 and word not in COMMON and not word.isdigit()]
    return sorted(dict.fromkeys(found), key=len, reverse=True)[:3]


def likely(subject: str, categories: Sequence[str]) -> str:
    """The category its words point to, of those the site has; "" when none does."""
    text = subject.casefold()
    scores = {name: sum(word in text for word in words) for name, words in KEYWORDS.items() if name in categories}
    best = max(scores, key=lambda name: scores[name], default="")
    return best if best and scores[best] else ""


async def _alike(backend: Any, subject: str, categories: Sequence[str], found: Proposal) -> None:
    """Category and queue of earlier solved tickets with the same words, where most of them agree."""
    rows: dict[str, TicketRow] = {}
    for word in words_of(subject):
        page = await backend.tickets(TicketQuery(phases=(Phase.RESOLVED, Phase.CLOSED), text=word), 0, PEERS)
        rows |= {row.id: row for row in page.items}
    queues = Counter(row.queue for row in rows.values() if row.queue)
    votes: Counter[str] = Counter()
    for ident in list(rows)[:PEERS]:
        category = (await backend.ticket(ident)).category
        if category in categories:
            votes[category] += 1
    if votes and votes.most_common(1)[0][1] * 2 > sum(votes.values()):
        found.category = votes.most_common(1)[0][0]
        found.why = f"as {votes[found.category]} of {sum(votes.values())} solved before"
    if queues and queues.most_common(1)[0][1] * 2 > sum(queues.values()):
        found.queue = queues.most_common(1)[0][0]


async def _their_tickets(backend: Any, person: Person, found: Proposal, devices: dict[str, str]) -> None:
    """Their open tickets, and devices and place of the last ones."""
    who = person.login or person.email
    found.open = (*found.open, *(await backend.tickets(TicketQuery(phases=OPEN_PHASES, requester=who), 0, 5)).items)
    for row in (await backend.tickets(TicketQuery(requester=who), 0, 3)).items:
        found.location = found.location or row.location
        for ref in (await backend.ticket(row.id)).refs:
            if ref.startswith("devices:"):
                devices.setdefault(ref, f"{ref.split(':', 2)[2]}  as in {row.number}")


async def _linked_devices(desk: Desk, name: str, backend: Any, person: Person, devices: dict[str, str]) -> None:
    """Devices their account is linked to."""
    if not person.login:
        return
    for row in (await backend.accounts(AccountQuery(text=person.login), 0, 5)).items:
        if row.login.casefold() == person.login.casefold():
            for ref in await in_thread(LOOK_SECONDS, lambda row=row: desk.links.of(f"accounts:{name}:{row.id}")):  # type: ignore[misc]
                if ref.startswith("devices:"):
                    devices.setdefault(ref, f"{ref.split(':', 2)[2]}  linked to {person.login}")


async def _named_devices(backend: Any, subject: str, person: Person, devices: dict[str, str]) -> None:
    """Devices named in the words, of the kind and room in the words, or named after the person."""
    text = subject.casefold()
    for word in [word for word in re.findall(r"[\w.-]+", text) if "-" in word or (re.search(r"\d", word) and re.search(r"[a-z]", word))][:3]:
        for row in (await backend.devices(DeviceQuery(text=word), 0, 3)).items:
            if row.name.casefold() == word:
                devices[f"devices:{row.backend}:{row.id}"] = f"{row.name}  {row.state}"
    room = _ROOM.search(subject)
    kind = next((kind for word, kind in _KINDS.items() if word in text), "")
    if room is not None and kind:
        for row in (await backend.devices(DeviceQuery(text=f"{kind} {room.group(1)}"), 0, 3)).items:
            devices.setdefault(f"devices:{row.backend}:{row.id}", f"{row.name}  {row.state}  {row.site}")
    if len(person.login) > 2:
        for row in (await backend.devices(DeviceQuery(text=person.login), 0, 3)).items:
            devices.setdefault(f"devices:{row.backend}:{row.id}", f"{row.name}  {row.state}")


def call_values(
    person: Person, subject: str, category: str, minutes: int, body: str, origin: str = "phone", proposal: Proposal | None = None, refs: Sequence[str] = (), priority: int = 0
) -> dict[str, Any]:
    """The values of the new ticket."""
    requester = {name: getattr(person, name) for name in ("name", "email", "phone", "login", "location", "department") if getattr(person, name)}
    values: dict[str, Any] = {"subject": subject, "requester": requester, "category": category, "minutes": minutes, "body": body, "origin": origin}
    if proposal is not None and proposal.location:
        requester["location"] = proposal.location
    if proposal is not None and proposal.queue:
        values["queue"] = proposal.queue
    if refs:
        values["refs"] = list(refs)
    if priority:
        values["priority"] = priority
    return values
