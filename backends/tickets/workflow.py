"""States, moves, priorities and due times of our own tickets: pure rules, no store. Never imports an adapter.

A status is the site's word; its phase is what code decides by. Moves go by phase:
new -> active, paused, resolved, cancelled; active and paused -> active, paused, resolved, cancelled;
resolved -> active (reopen), closed; closed is the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from backends.errors import BadConfig
from backends.tickets.model import Phase

DEFAULT_STATUSES: Mapping[str, Phase] = MappingProxyType({
    "New": Phase.NEW,
    "Open": Phase.ACTIVE,
    "In progress": Phase.ACTIVE,
    "Waiting on requester": Phase.PAUSED,
    "Waiting on vendor": Phase.PAUSED,
    "Scheduled": Phase.PAUSED,
    "Resolved": Phase.RESOLVED,
    "Closed": Phase.CLOSED,
    "Cancelled": Phase.CLOSED,
    "Merged": Phase.CLOSED,
})  # fmt: skip
MERGED = "Merged"
"""Set by a merge, never by hand: it says that the ticket lives on elsewhere."""

PRIORITY = ((1, 1, 2, 3), (1, 2, 3, 3), (2, 3, 3, 4), (3, 3, 4, 4))
"""PRIORITY[impact - 1][urgency - 1]: 1 is the widest, the most urgent, the first to be done."""

_NEXT: Mapping[Phase, tuple[Phase, ...]] = {
    Phase.NEW: (Phase.ACTIVE, Phase.PAUSED, Phase.RESOLVED, Phase.CLOSED),
    Phase.ACTIVE: (Phase.ACTIVE, Phase.PAUSED, Phase.RESOLVED, Phase.CLOSED),
    Phase.PAUSED: (Phase.ACTIVE, Phase.PAUSED, Phase.RESOLVED, Phase.CLOSED),
    Phase.RESOLVED: (Phase.ACTIVE, Phase.CLOSED),
    Phase.CLOSED: (),
}


def priority_of(impact: int, urgency: int) -> int:
    """P1 to P4 from the matrix; both arguments 1 to 4."""
    return PRIORITY[impact - 1][urgency - 1]


@dataclass(frozen=True, slots=True)
class Statuses:
    """The site's status words in their order, with phases, and the moves between them."""

    phases: Mapping[str, Phase] = field(default_factory=lambda: DEFAULT_STATUSES)

    @classmethod
    def read(cls, lines: Iterable[str] | None) -> Statuses:
        """From the option's lines ("active: In progress"), or the default words. BadConfig says what is wrong or missing."""
        if not lines:
            return cls()
        words: dict[str, Phase] = {}
        for line in lines:
            phase, colon, word = str(line).partition(":")
            if not colon or not word.strip() or phase.strip() not in [known.value for known in Phase]:
                raise BadConfig(f'statuses: {line!r} is not "phase: Word" with a phase of {", ".join(Phase)}')
            words[word.strip()] = Phase(phase.strip())
        lacking = [phase.value for phase in Phase if phase not in words.values()]
        if lacking:
            raise BadConfig(f"statuses: no word for {', '.join(lacking)}")
        return cls(words)

    def of(self, phase: Phase) -> tuple[str, ...]:
        """The words of a phase, in the site's order."""
        return tuple(word for word, its in self.phases.items() if its is phase)

    def first(self, phase: Phase) -> str:
        """The usual word of a phase."""
        return self.of(phase)[0]

    def find(self, word: str) -> str | None:
        """The site's spelling of a word, whatever its case; None when there is none."""
        return next((known for known in self.phases if known.casefold() == word.strip().casefold()), None)

    def offered(self, status: str, phase: Phase) -> tuple[str, ...]:
        """The words a ticket may go to: closing follows resolving, and work that is not resolved can only be cancelled."""
        closed = self.of(Phase.CLOSED)
        ends = closed[:1] if phase is Phase.RESOLVED else tuple(word for word in closed[1:] if word != MERGED)
        out: list[str] = []
        for after in _NEXT[phase]:
            out += ends if after is Phase.CLOSED else self.of(after)
        return tuple(word for word in out if word != status)

    def refusal(self, status: str, phase: Phase, wanted: str) -> str:
        """Why a move is not offered, and what is, in one sentence."""
        offered = self.offered(status, phase)
        if wanted == status:
            return f"it is {status} already"
        if phase is Phase.CLOSED:
            return f"{status} is the end: open a new ticket that refers to it"
        if wanted == MERGED:
            return "set by a merge, not by hand"
        why = (
            "resolve it first" if self.phases.get(wanted) is Phase.CLOSED and phase is not Phase.RESOLVED else f"not offered from {status}"
        )
        return f"{why}; offered: {', '.join(offered)}"
