"""Who looks at which ticket now: seats of the live state by ticket number. Never imports textual.

A seat's words are the ticket's number, and behind it what is done there ("T-1042 writes a reply").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Presence:
    """Colleagues at their tickets; the own log-in is left out. `look` is asked each second and reads a few rows."""

    def __init__(self, login: str) -> None:
        self._login = login
        self.at: Mapping[str, tuple[str, ...]] = {}
        """Number -> "ana", or "ana writes a reply"."""

    def look(self, live: Any) -> set[str]:
        """The numbers at which something changed since the last look."""
        found: dict[str, list[str]] = {}
        for seat in live.seats() if live is not None else ():
            number, _, doing = seat.what.partition(" ")
            if number and seat.login != self._login:
                found.setdefault(number, []).append(f"{seat.login} {doing}".strip())
        after = {number: tuple(sorted(set(people))) for number, people in found.items()}
        before, self.at = self.at, after
        return {number for number in {*before, *after} if before.get(number) != after.get(number)}

    def words(self, number: str) -> str:
        """ "ana writes a reply, bob looks at it"; "" where nobody is."""
        return ", ".join(person if " " in person else f"{person} looks at it" for person in self.at.get(number, ()))
