"""Thresholds with hysteresis: a value that hovers around its limit must not flap. Pure rules, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from backends.devices.model import State

MARGIN = 0.05
"""Share of the limit a value must fall below before the state gets better again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """From `warn` on it is WARN, from `crit` on DOWN. None: never."""

    warn: float | None = None
    crit: float | None = None

    def state(self, value: float, before: State = State.OK) -> State:
        """The state of a value, given the one it had: worse at once, better only below the limit by the margin."""
        if self.crit is not None and value >= self._edge(self.crit, before is State.DOWN):
            return State.DOWN
        if self.warn is not None and value >= self._edge(self.warn, before in (State.DOWN, State.WARN)):
            return State.WARN
        return State.OK

    @staticmethod
    def _edge(limit: float, inside: bool) -> float:
        return limit * (1 - MARGIN) if inside else limit


MAX_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a check stands: the hard state people see, and how often another one was seen in a row."""

    state: State = State.PENDING
    since: float = 0.0
    attempt: int = 1
    soft: State | None = None

    def seen(self, found: State, at: float) -> Standing:
        """After one more look. A worse state must be seen `MAX_ATTEMPTS` times before it is believed; a better one at once."""
        if self.state is State.PENDING:
            return Standing(found, at)
        if found is self.state:
            return Standing(self.state, self.since)
        if found in (State.OK, State.PENDING):
            return Standing(found, at)
        attempt = self.attempt + 1 if self.soft is not None else 1
        if attempt >= MAX_ATTEMPTS:
            return Standing(found, at)
        return Standing(self.state, self.since, attempt, found)
