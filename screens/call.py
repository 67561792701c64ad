"""`:call jdoe printer jam in 214` - a caller on the line becomes a ticket in one line; the clock runs from the first key of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backends.contract import Change
from backends.tickets.model import Person
from console.calls import CallLine, Proposal, call_values, chosen_category, propose, read_call
from screens.form import Form
from screens.person_line import PersonFinder, which
from widgets.toned import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from screens.base import ConsoleScreen

WORDS = ("call", "walkin")
_KEYS = "123456789"


def is_call(typed: str) -> bool:
    """A command line that has begun to be a call."""
    return typed.partition(" ")[0] in WORDS and " " in typed


class CallTyping:
    """Hears the command line: from `call ` on it looks for who is meant, and the clock runs."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._finder = PersonFinder(screen, lambda text: read_call(text.partition(" ")[2]).who, lambda text: not _described(text))
        self._screen = screen
        self.started: float | None = None

    def hear(self, typed: str) -> None:
        """What stands in the line now."""
        if is_call(typed):
            self.started = self.started or time.monotonic()
            self._finder.hear(typed)
        elif self.started is not None:
            self.started = None
            self._screen.bottom.show_above([])

    def complete(self, head: str) -> Sequence[str]:
        """The login, while the name is typed."""
        return self._finder.complete(head) if is_call(head) and not _described(head) else []


def _described(text: str) -> bool:
    return len(read_call(text.partition(" ")[2]).subject) > 3


async def take_call(screen: ConsoleScreen, typed: str, origin: str = "phone", started: float | None = None) -> bool:
    """Who and what; then one yes. Whoever nobody knows is taken as typed. True when the ticket is made."""
    from screens.verbs import Verbs

    started = started or time.monotonic()
    line = read_call(typed)
    if not line.who or not line.subject:
        screen.say("Who and what: `call jdoe printer jam in 214`; #printing gives a category, !2 a priority.", "warn")
        return False
    opened = next((item for item in screen.desk.backends("tickets") if item.backend is not None), None)
    if opened is None:
        screen.say("No ticket system is open.", "warn")
        return False
    person = await which(screen, line.who)
    if person is None:
        return False
    words = await opened.backend.vocabulary()
    category = chosen_category(line.category, words.categories) if line.category else ""
    found = await propose(screen.desk, person, line.subject, words.categories)
    if category:
        found.category, found.why, found.queue = category, "as typed", ""
    refs = await _about(screen, found)
    if refs is None:
        return False
    form = Form(screen, "call")
    body = await form.ask("notes", "Notes (enter: none):", above=_lines(person, line, found, refs))
    if body is None:
        return False
    minutes = max(1, -(-int(time.monotonic() - started) // 60))
    values = call_values(person, line.subject, found.category, minutes, body, origin, found, refs, line.priority)
    if await Verbs(screen, list, lambda: screen.console.data_changed({"tickets"})).one(Change("tickets", opened.name, "create", values=values)):
        await form.done()
        return True
    return False


async def _about(screen: ConsoleScreen, found: Proposal) -> list[str] | None:
    """The one device there is; with several the person says which. None when it was left."""
    if len(found.devices) < 2:
        return [ref for ref, _ in found.devices]
    items = [(_KEYS[place], ref, words) for place, (ref, words) in enumerate(found.devices)]
    answer = await screen.bottom.choose("About which device?", [*items, ("n", "", "none of them")])
    return None if answer is None else [answer] if answer else []


def _lines(person: Person, line: CallLine, found: Proposal, refs: list[str]) -> list[Line]:
    """What is known, before anything is written."""
    facts = "  ".join(part for part in (person.phone, person.email, person.department) if part)
    about = [words for ref, words in found.devices if ref in refs]
    out: list[Line] = [((f" {person.label()}  ", "title"), (facts, "dim"))]
    out.append(((f" {line.subject}", ""), ("   timed until enter", "dim")))
    out.append(((" where ", "dim"), (found.location or "not known", ""), ("   device ", "dim"), (", ".join(about) or "none", "")))
    queue = f"   queue {found.queue}" if found.queue else ""
    out.append(((" category ", "dim"), (found.category or "none", ""), (f"  {found.why}{queue}", "dim")))
    if found.open:
        out.append(((" open already: ", "warn"), (", ".join(f"{row.number} {row.subject}" for row in found.open[:3]), "")))
    return out
