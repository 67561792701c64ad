"""`:call jdoe printer jam in 214` - a caller on the line becomes a ticket in one line; the clock runs meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from backends.contract import Change
from backends.tickets.model import Person
from console.calls import call_values, likely, who_is
from widgets.toned import Line

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

_KEYS = "123456789"


async def take_call(screen: ConsoleScreen, typed: str, origin: str = "phone") -> None:
    """Who and what; then one yes. Whoever nobody knows is taken as typed."""
    from screens.verbs import Verbs

    started = time.monotonic()
    who, _, subject = typed.strip().partition(" ")
    if not who or not subject.strip():
        screen.say("call who what: `call jdoe printer jam in 214`", "warn")
        return
    opened = next((item for item in screen.desk.backends("tickets") if item.backend is not None), None)
    if opened is None:
        screen.say("No ticket system is open.", "warn")
        return
    person = await _who(screen, who)
    if person is None:
        return
    words = await opened.backend.vocabulary()
    category = likely(subject, words.categories)
    facts = "  ".join(part for part in (person.phone, person.location, person.department, category or "no category") if part)
    above: list[Line] = [((f" {person.label()}  ", "title"), (facts, "dim")), ((f" {subject.strip()}", ""), ("   the call is timed until enter", "dim"))]
    body = await screen.bottom.ask("Notes:", above=above)
    if body is None:
        return
    minutes = max(1, round((time.monotonic() - started) / 60 + 0.49))
    values = call_values(person, subject.strip(), category, minutes, body.strip(), origin)
    await Verbs(screen, list, lambda: screen.console.data_changed({"tickets"})).one(Change("tickets", opened.name, "create", values=values))


async def _who(screen: ConsoleScreen, text: str) -> Person | None:
    found = await who_is(screen.desk, text)
    exact = [person for person in found if person.login.casefold() == text.casefold()]
    if len(exact) == 1 or len(found) == 1:
        return (exact or found)[0]
    if not found:
        return Person(name=text, login="" if "@" in text else text, email=text if "@" in text else "")
    items = [(_KEYS[place], str(place), f"{person.label()}  {person.login}  {person.department}  {person.location}") for place, person in enumerate(found)]
    answer = await screen.bottom.choose(f"Who is {text!r}?", [*items, ("n", "-1", f"none of them: take {text!r} as typed")])
    if answer is None:
        return None
    return found[int(answer)] if answer != "-1" else Person(name=text, login=text)
