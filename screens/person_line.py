"""Finding a person while their name is typed: candidates stand above the line, and come from directories and from earlier tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from backends.tickets.model import Person
from console.calls import as_typed, only_one, who_is
from widgets.toned import Line, fit

if TYPE_CHECKING:
    from screens.base import ConsoleScreen
    from screens.form import Form

PAUSE = 0.18
"""Seconds of no key until it is looked."""
SHOWN = 6
_KEYS = "123456789"


class PersonFinder:
    """Looks for who is meant by `who(text)`; the newest look wins."""

    def __init__(self, screen: ConsoleScreen, who: Callable[[str], str] = str.strip, enough: Callable[[str], bool] = lambda text: True) -> None:
        self._screen, self._who, self._enough = screen, who, enough
        self._timer: asyncio.TimerHandle | None = None
        self._asked = ""
        self.found: list[Person] = []

    def hear(self, text: str) -> None:
        """What is typed now."""
        who = self._who(text)
        if who == self._asked:
            return
        self._asked = who
        if self._timer is not None:
            self._timer.cancel()
        if len(who) < 2 or not self._enough(text):
            self.found = []
            self._screen.bottom.show_above([])
            return
        self._timer = asyncio.get_running_loop().call_later(PAUSE, lambda: self._screen.flow(self._look(who)))

    async def _look(self, who: str) -> None:
        found = await who_is(self._screen.desk, who, SHOWN + 1)
        if who != self._asked or not self._screen.bottom.asking:
            return
        self.found = found
        self._screen.bottom.show_above(candidate_lines(found, who))

    def complete(self, head: str) -> list[str]:
        """The logins of those who were found, for tab on the one word that is typed."""
        who = self._who(head)
        logins = [person.login for person in self.found if person.login]
        if not who or not head.rstrip().endswith(who):
            return []
        return [login for login in logins if login.startswith(who)] or logins[:1]


def candidate_lines(found: list[Person], who: str) -> list[Line]:
    """A line a person; the first is who tab takes."""
    if not found:
        return [((f" nobody is known as {who!r}: taken as typed", "dim"),)]
    out: list[Line] = []
    for place, person in enumerate(found[:SHOWN]):
        facts = "  ".join(part for part in (person.phone, person.location, person.department) if part)
        out.append(((f" {fit(person.login or person.email or '-', 14)}", "key" if place == 0 else "accent"), (f" {fit(person.label(), 24)} ", ""), (facts, "dim")))
    if len(found) > SHOWN:
        out[-1] = (*out[-1], ("   and more", "dim"))
    return out


async def which(screen: ConsoleScreen, text: str) -> Person | None:
    """The person behind what was typed: beyond doubt, by a choice, or as typed. None when it was left."""
    found = await who_is(screen.desk, text)
    sure = only_one(found, text)
    if sure is not None or not found:
        return sure or as_typed(text)
    items = [(_KEYS[place], str(place), f"{fit(person.label(), 24)} {fit(person.login, 12)} {person.department}  {person.location}") for place, person in enumerate(found[:9])]
    answer = await screen.bottom.choose(f"Who is {text!r}?", [*items, ("n", "-1", f"none of them: take {text!r} as typed")])
    if answer is None:
        return None
    return found[int(answer)] if answer != "-1" else as_typed(text)


async def ask_person(screen: ConsoleScreen, form: Form, label: str, usual: str = "") -> Person | None:
    """Asks for a person with candidates above the line; empty is who sits here. None when it was left."""
    finder = PersonFinder(screen)
    typed = await form.ask("who", label, usual, complete=finder.complete, heard=finder.hear)
    if typed is None:
        return None
    if not typed:
        actor = screen.desk.actor
        return Person(name=actor.display or actor.login, login=actor.login)
    return await which(screen, typed)
