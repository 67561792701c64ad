"""What every adapter of every domain shares: life cycle, health, pages, and the vocabulary of a write.

A write is `Change -> Plan -> apply -> read back`. The adapter has, per verb, a method `plan_<verb>(change, actor)` (one
runtime-checkable Protocol a verb in each domain's `contract.py`), and the three methods of `Writes`. Only
`console.perform` calls `apply`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

from backends.domains import DOMAINS as DOMAINS
from backends.domains import Actor as Actor
from backends.domains import Domain as Domain
from backends.options import Option

T = TypeVar("T", covariant=True)


def now() -> datetime:
    """The current time, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Health:
    """How a backend is: `word` is what the header shows, `text` the sentence behind it, `at` when it was found."""

    word: Literal["ok", "warn", "down", "unknown"]
    text: str = ""
    at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A window of a list: `items` from `offset` on; `total` is None where the system can't count."""

    items: tuple[T, ...]
    offset: int = 0
    total: int | None = None
    note: str = ""
    """What the list lacks, in words ("shadow may not be read: lock state unknown"), or ""."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A pointer to a record anywhere: written `domain:backend:id`, the id being the system's stable one."""

    domain: str
    backend: str
    id: str

    def __str__(self) -> str:
        return f"{self.domain}:{self.backend}:{self.id}"

    @classmethod
    def parse(cls, text: str) -> Ref:
        """The inverse of `str`; ValueError for anything else."""
        domain, _, rest = text.partition(":")
        backend, _, ident = rest.partition(":")
        if not (domain and backend and ident):
            raise ValueError(f"not a reference: {text!r}")
        return cls(domain, backend, ident)


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants: `verb` on the record `target` ("" for a new one) of `backend`, with `values`.

    `values` hold plain JSON values, never a secret. `version` is the version the person looked at, None for "as it is now".
    """

    domain: str
    backend: str
    verb: str
    target: str = ""
    label: str = ""
    """The record in words ("T-1042 printer jam"), for the confirmation and the ledger."""
    values: Mapping[str, Any] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One visible difference: a field or deed, its value before and after, in words."""

    what: str
    before: str = ""
    after: str = ""


Danger = Literal[0, 1, 2, 3]
"""0 view, 1 reversible (Enter), 2 hard to undo (type the name), 3 protected (a second person)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen if it is applied. Making a plan writes nothing."""

    change: Change
    summary: str
    """One sentence: "Take T-1042 printer jam"."""
    steps: tuple[Step, ...] = ()
    side_effects: tuple[str, ...] = ()
    danger: Danger = 1
    missing: tuple[str, ...] = ()
    """What stands in the way (rights, fields); not empty = it can't be applied."""
    inverse: Change | None = None
    version: str | None = None
    """The version the plan was made against; `apply` raises Conflict when it moved on."""
    expected: Mapping[str, Any] = field(default_factory=dict)
    """Field -> value that `read_back` must show afterwards."""
    confirm_word: str = ""
    """What must be typed for danger 2 and 3."""
    ticket: str = ""
    """Ref of the ticket that the work belongs to, where the change itself is about a ticket."""
    public: str = ""
    """What leaves the house, in words with recipients ("PUBLIC reply to a@b.org"), or ""."""

    def before(self, step: Step) -> str:
        """What a step starts from, in words; "" where it only tells: what a new record gets, a time or a place in backup work."""
        return step.before or ("nothing" if self.change.target and self.change.domain != "backups" else "")

    def told(self, step: Step) -> str:
        """A step as plain text: "status: New -> Open", "time: about 1 s"."""
        before = self.before(step)
        return f"{step.what}: {before + ' -> ' if before else ''}{step.after or 'nothing'}"

    def ended(self, word: str) -> str:
        """The word of its outcome for people: what goes on in a job of its own has only started."""
        return "started" if word == "done" and self.expected.get("job") == "started" else word


OutcomeWord = Literal["done", "partial", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended, from comparing what was read back with what was expected; `text` may quote the system's words."""

    word: OutcomeWord
    text: str = ""
    target: str = ""
    """Id of the record afterwards (the new id for a create)."""
    applied: Mapping[str, Any] = field(default_factory=dict)
    differs: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    """Field -> (expected, found) where they are not the same."""
    record: Any = None
    """The changed record as read back (a domain dataclass), for the screens."""


@runtime_checkable
class Backend(Protocol):
    """The life cycle. The constructor takes `(name: str, options: Mapping[str, Any], site: Site)` and does no I/O."""

    domain: ClassVar[str]
    adapter: ClassVar[str]
    OPTIONS: ClassVar[tuple[Option, ...]]
    name: str

    async def open(self) -> None:
        """Connect or open what is needed. Raises a BackendError; may be called again after one."""

    async def health(self) -> Health:
        """A cheap probe; never raises."""

    async def close(self) -> None:
        """Let go of everything; never raises, never waits for a hung server."""


@runtime_checkable
class Writes(Protocol):
    """A backend that can be written to, the one way. `plan` dispatches to `plan_<verb>`."""

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """What would happen. Writes nothing. Raises Unsupported, NotFound, Invalid, NotAllowed, Conflict, Unreachable."""

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Do only what was planned. `op_id` makes a replay a no-op where the system can. Raises Conflict, Uncertain, ..."""

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """Fields of `plan.expected` as they are now, and the whole record."""


@dataclass(frozen=True, slots=True)
class Site:
    """What an adapter may know of the house: names, zone, folders, the record store, and a way to resolve secrets."""

    name: str = "deskside"
    timezone: str = "UTC"
    data: str = ""
    """Data folder; an adapter keeps its own files under `<data>/<domain>/<name>/`."""
    store: Any = None
    """The opened `backends.store.contract.Store`, for embedded adapters."""
    demo: bool = False


async def plan_by_verb(backend: Any, change: Change, actor: Actor) -> Plan:
    """The dispatch every `Writes.plan` uses: `plan_<verb>` with dashes as underscores, or Unsupported."""
    from backends.errors import Unsupported

    method = getattr(backend, "plan_" + change.verb.replace("-", "_"), None)
    if method is None:
        raise Unsupported(change.verb, f"{backend.adapter} can't {change.verb}")
    plan: Plan = await method(change, actor)
    return plan
