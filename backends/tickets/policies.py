"""Service level policies: which tickets they are for and how much business time each target has. Pure; never imports an adapter.

The first policy of the list that fits is the ticket's. Targets are open time of the policy's calendar, so they are written in hours
and minutes: a "day" would be 24 business hours, which nobody means, and is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from backends.errors import BadConfig
from backends.options import seconds

TargetKind = Literal["first_response", "update", "resolution"]
KINDS: tuple[TargetKind, ...] = ("first_response", "update", "resolution")
USUAL_WARNING = 3600
"""Seconds before due of a warning nobody set, and never more than a quarter of the target."""
_MATCHES = ("queue", "kind", "priority", "department")
_KEYS = ("name", *_MATCHES, *KINDS, "calendar", "warn")


@dataclass(frozen=True, slots=True)
class Policy:
    """A promise. Targets in open seconds, 0 is no such target; an empty match fits every ticket."""

    name: str
    first_response: int = 0
    update: int = 0
    resolution: int = 0
    calendar: str = "office"
    warn: int | None = None
    """Open seconds before due at which it warns; 0 never, None the usual."""
    queue: tuple[str, ...] = ()
    kind: tuple[str, ...] = ()
    priority: tuple[int, ...] = ()
    department: tuple[str, ...] = ()

    def fits(self, values: Mapping[str, Any]) -> bool:
        """Whether a ticket with these values (queue, kind, priority, department) is this policy's; letter case aside."""
        if self.priority and values.get("priority") not in self.priority:
            return False
        words = ((self.queue, "queue"), (self.kind, "kind"), (self.department, "department"))
        return all(not wanted or str(values.get(name) or "").casefold() in map(str.casefold, wanted) for wanted, name in words)

    def target(self, kind: TargetKind) -> int:
        """Open seconds; 0 is none."""
        return {"first_response": self.first_response, "update": self.update, "resolution": self.resolution}[kind]

    def warning(self, kind: TargetKind) -> int:
        """Open seconds before due; 0 is no warning."""
        return min(USUAL_WARNING, self.target(kind) // 4) if self.warn is None else self.warn


def policy_of(policies: Sequence[Policy], values: Mapping[str, Any]) -> Policy | None:
    """The first that fits, or None: the ticket has no promise."""
    return next((policy for policy in policies if policy.fits(values)), None)


def usual_policies(
    response: Sequence[int] = (3600, 4 * 3600, 9 * 3600, 18 * 3600),
    resolution: Sequence[int] = (9 * 3600, 18 * 3600, 45 * 3600, 90 * 3600),
    calendar: str = "office",
) -> tuple[Policy, ...]:
    """One policy a priority, P1 to P4, from four targets each in open seconds: 1 h to 2 working days, 1 to 10 working days."""
    pairs = zip(response, resolution, strict=True)
    return tuple(
        Policy(f"P{number}", first, 0, last, calendar, priority=(number,)) for number, (first, last) in enumerate(pairs, start=1)
    )  # fmt: skip


def read_policies(tables: Any, calendars: Collection[str], where: str = "") -> tuple[Policy, ...]:
    """From plain TOML values, a list of tables in their order. BadConfig names the policy and the key.

    [{name = "network", queue = "Network", priority = [1, 2], first_response = "30m", update = "4h", resolution = "8h",
    calendar = "always", warn = "30m"}]
    """
    if not isinstance(tables, list | tuple):
        raise BadConfig("policies: must be a list of tables", where=where)
    found: list[Policy] = []
    for number, table in enumerate(tables, start=1):
        try:
            policy = _policy(table, calendars)
            if policy.name in [known.name for known in found]:
                raise ValueError("name: is given twice")
        except ValueError as error:
            label = table.get("name") if isinstance(table, Mapping) else None
            raise BadConfig(f"policy {label or number}: {error}", where=where) from None
        found.append(policy)
    return tuple(found)


def _policy(table: Any, calendars: Collection[str]) -> Policy:
    if not isinstance(table, Mapping):
        raise ValueError("must be a table")
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}; known: {', '.join(_KEYS)}")
    name, calendar = table.get("name"), table.get("calendar", "office")
    if not isinstance(name, str) or not name.strip():
        raise ValueError("name: is missing")
    if calendar not in calendars:
        raise ValueError(f"calendar: {calendar!r} is not known; there are: {', '.join(sorted(calendars))}")
    targets = {kind: _open_time(kind, table[kind]) for kind in KINDS if kind in table}
    if not any(targets.values()):
        raise ValueError(f"has no target; give one of {', '.join(KINDS)}")
    return Policy(
        name.strip(), targets.get("first_response", 0), targets.get("update", 0), targets.get("resolution", 0), calendar,
        _open_time("warn", table["warn"]) if "warn" in table else None, _words("queue", table), _words("kind", table), _priorities(table), _words("department", table),
    )  # fmt: skip


def _open_time(key: str, value: Any) -> int:
    if isinstance(value, str) and value[-1:] in ("d", "w"):
        raise ValueError(f"{key}: {value!r}: say it in hours or minutes of open time, as a day of 24 is not meant")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{key}: {value!r} is not a time such as 30m or 4h")
    try:
        found = seconds(value)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
    if not 0 <= found <= 10_000 * 3600:
        raise ValueError(f"{key}: {value!r} is not from 0 to 10000h")
    return int(found)


def _entries(key: str, table: Mapping[str, Any]) -> list[Any]:
    value = table.get(key, [])
    return list(value) if isinstance(value, list | tuple) else [value]


def _words(key: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    found = _entries(key, table)
    if not all(isinstance(word, str) and word.strip() for word in found):
        raise ValueError(f"{key}: must be a word or a list of words")
    return tuple(word.strip() for word in found)


def _priorities(table: Mapping[str, Any]) -> tuple[int, ...]:
    found = _entries("priority", table)
    if not all(isinstance(level, int) and not isinstance(level, bool) and 1 <= level <= 4 for level in found):
        raise ValueError("priority: must be a number from 1 to 4, or a list of them")
    return tuple(found)
