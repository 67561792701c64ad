"""Fair assignment: who has the least open work, of those who are here. Never imports textual.

Absences come from `[desk] absent`: a login, or a login with the days it is about ("bob 2026-12-01..2026-12-08").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from console.placeholders import Wrong

if TYPE_CHECKING:
    from console.desk import Desk

_ABSENT = re.compile(r"(\S+)(?:\s+(\d{4}-\d\d-\d\d)(?:\.\.(\d{4}-\d\d-\d\d))?)?")


@dataclass(frozen=True, slots=True)
class Load:
    """A person and how many open tickets they have."""

    login: str
    open: int


@dataclass(frozen=True, slots=True)
class Absence:
    """Somebody who is away: always, or from one day to another, both included."""

    login: str
    first: date | None = None
    last: date | None = None

    def on(self, day: date) -> bool:
        """Away on that day."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


def read_absence(text: str) -> Absence:
    """From the configuration. Wrong says how it is written."""
    found = _ABSENT.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        first = date.fromisoformat(found.group(2)) if found.group(2) else None
        last = date.fromisoformat(found.group(3)) if found.group(3) else first
        if first and last and last < first:
            raise ValueError
    except ValueError:
        raise Wrong(f'absent: {text!r} is not a login, or a login with days such as "bob 2026-12-01..2026-12-08"', text) from None
    return Absence(found.group(1), first, last)


def loads(people: Sequence[str], open_: Mapping[str, int], absent: Iterable[Absence], day: date) -> list[Load]:
    """Those who are here, the one with the least first; equal ones by their login."""
    away = {one.login for one in absent if one.on(day)}
    found = [Load(login, open_.get(login, 0)) for login in dict.fromkeys(people) if login and login not in away]
    return sorted(found, key=lambda load: (load.open, load.login))


async def ranked(desk: Desk, backend: Any, team: str = "") -> list[Load]:
    """The people of a team, or all a ticket can be given to where the team has no list, by `loads`."""
    from backends.contract import now
    from console.ages import zone

    members = {name.casefold(): people for name, people in desk.config.teams.items()}.get(team.casefold(), ())
    people = members or (await backend.vocabulary()).agents
    open_ = (await backend.counts()).by_assignee
    return loads(people, open_, desk.config.absent, now().astimezone(zone(desk.config.timezone)).date())
