"""What a backend needs to be refreshed by the collector, and to read back what the collector found.

In the collector's process a backend that `Polls` is asked again and again; in the consoles the same adapter answers from what
was published, through the `LiveReader` it is handed (`ReadsLive`), so that twenty consoles cost the network one poller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

LiveState = Literal["ok", "stale", "unknown", "never", "gone"]
"""ok = refreshed; stale = the last refresh failed, the value is the last one known; unknown = the backend can't tell;
never = not read yet; gone = the backend does not have it any more (its row is empty)."""


@dataclass(frozen=True, slots=True)
class Polled:
    """One value of a poll: plain JSON under the record's stable id, and figures worth a history (name -> number).

    `at` (Unix seconds) is when it was found, None for now. A backend that reads many things sets `state` and `error` of the one
    that could not be read instead of failing as a whole; with an empty `value` the last known one stays.
    """

    key: str
    value: Mapping[str, Any]
    metrics: Mapping[str, float] = field(default_factory=dict)
    at: float | None = None
    state: LiveState = "ok"
    error: str = ""


class LiveRow(NamedTuple):
    """A published value. `at` is Unix seconds of when it was last confirmed; `source` says who read it; `rev` grows with each change."""

    domain: str
    backend: str
    key: str
    value: dict[str, Any]
    at: float
    state: LiveState
    error: str
    rev: int
    source: str = ""


@runtime_checkable
class Polls(Protocol):
    """A backend that wants to be refreshed by the collector.

    It may also have `poll_deadline: float` (seconds a poll may take; twice `poll_every`, 10 to 120, when it has none) and
    `poll_partial = True`: a poll then returns only what it looked at, and what is missing in it stays as it was.
    """

    poll_every: float
    """Seconds between two polls."""

    async def poll(self) -> Sequence[Polled]:
        """Everything the backend knows now; a key that is missing is gone. Raises a BackendError: all values become stale."""


@runtime_checkable
class FetchesHistory(Protocol):
    """Where the recorded figures of a record can be read: `key` is its reference `domain:backend:id`."""

    def history(self, key: str, metric: str, since: float) -> list[tuple[float, float]]:
        """(Unix seconds, value) from `since` on, oldest first: each value for a day, five-minute averages for thirty."""


@runtime_checkable
class LiveReader(FetchesHistory, Protocol):
    """The published values, as a backend in a console may use them. Calls are short (under a millisecond for what changed)."""

    def get(self, domain: str, backend: str, key: str) -> LiveRow | None:
        """One value, or None."""

    def rows(self, domain: str, backend: str | None = None) -> list[LiveRow]:
        """All values of a domain or of one backend that are not gone."""

    def changed_since(self, rev: int) -> tuple[int, list[LiveRow]]:
        """(newest rev, rows changed after `rev`); 0 gives all that are not gone."""

    def want(self, domain: str, backend: str) -> bool:
        """Ask for a refresh now; False where one was asked for or made a moment ago."""


@runtime_checkable
class ReadsLive(Protocol):
    """A backend that answers from the published values in a console. It is handed the reader after its constructor, before `open`."""

    def use_live(self, reader: LiveReader) -> None:
        """Read from here instead of asking the network."""
