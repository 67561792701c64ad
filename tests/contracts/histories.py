"""A checker of recorded histories: was an update lost without anybody being told? Plain data in, sentences out.

An operation is one actor's change of one field of one record: it looks (`begin`, `old` is the value it saw), writes `new`, reads
back and is told a verdict (`end`). `begin` and `end` are numbers of one counter that all actors of the history share. Values written
to a field must differ from each other and from the first one, so that a value says who wrote it.

What must hold, for each field of each record:
- what was refused (`conflict`) took no effect;
- no two operations that were told "done" replaced the same value: the second would have wiped out the first without knowing;
- a value that was acknowledged as `done` is there at the end, or whoever replaced it had seen it, or was told (`differs`,
  `uncertain`), or never looked (`old` None: a blind writer, who can't know) and came after the acknowledgement's own look;
- where the system keeps a log of its own, it tells who replaced whom, and the last one in it is what is there at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

Verdict = Literal["done", "conflict", "differs", "uncertain"]
Place = tuple[str, str]
"""(record, field)."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One change of one field. `old` None: written without looking. `told`: what the actor was told besides the verdict, for the message only."""

    actor: str
    record: str
    field: str
    begin: int
    end: int
    old: Any
    new: Any
    verdict: Verdict
    told: str = ""

    def __str__(self) -> str:
        return f"{self.actor} [{self.begin}..{self.end}] {self.record}.{self.field}: {self.old!r} -> {self.new!r} {self.verdict} {self.told}".rstrip()


def violations(
    operations: Iterable[Operation], first: Mapping[Place, Any], last: Mapping[Place, Any], log: Mapping[Place, Sequence[Any]] | None = None
) -> list[str]:  # fmt: skip
    """Sentences, empty when nothing was lost unnoticed.

    `first` and `last` are the values before and after; `log` holds, oldest first, the values the system itself says it was given.
    """
    places: dict[Place, list[Operation]] = {}
    for operation in operations:
        places.setdefault((operation.record, operation.field), []).append(operation)
    found: list[str] = []
    for place, ops in places.items():
        name = ".".join(place)
        values = [op.new for op in ops]
        if len(set(values)) != len(values) or first[place] in values:
            raise ValueError(f"{name}: values must differ, else they don't say who wrote them")
        found += _refused(name, ops, last[place], log[place] if log else ())
        found += _twice(ops)
        if log is None:
            found += _vanished(name, ops, first[place], last[place])
        else:
            found += _by_log(name, ops, first[place], last[place], log[place])
    return found


def _refused(name: str, ops: Sequence[Operation], last: Any, log: Sequence[Any]) -> list[str]:
    seen = {op.old for op in ops}
    return [f"{name}: refused, and yet it took effect: {op}" for op in ops if op.verdict == "conflict" and (op.new == last or op.new in log or op.new in seen)]


def _twice(ops: Sequence[Operation]) -> list[str]:
    """Two that replaced one value, both told that all is well."""
    by_old: dict[Any, Operation] = {}
    found = []
    for op in sorted(ops, key=lambda op: op.begin):
        if op.verdict != "done" or op.old is None:
            continue
        other = by_old.setdefault(op.old, op)
        if other is not op:
            found.append(f"an update was lost unnoticed, both replaced {op.old!r}: {other} | {op}")
    return found


def _vanished(name: str, ops: Sequence[Operation], first: Any, last: Any) -> list[str]:
    found = []
    if last != first and last not in [op.new for op in ops]:
        found.append(f"{name}: {last!r} was written by nobody")
    for op in ops:
        if op.verdict != "done" or op.new == last:
            continue
        others = [other for other in ops if other is not op]
        if not any(other.old == op.new and other.verdict != "conflict" for other in others) and not any(_may_replace(op, other) for other in others):
            found.append(f"{name}: done, gone, and nobody who knew of it replaced it: {op}")
    return found


def _may_replace(op: Operation, other: Operation) -> bool:
    """The other one was told, or never looked; and it was not over before this one began."""
    return (other.verdict in ("differs", "uncertain") or (other.old is None and other.verdict == "done")) and other.end > op.begin


def _by_log(name: str, ops: Sequence[Operation], first: Any, last: Any, log: Sequence[Any]) -> list[str]:
    by_value = {op.new: op for op in ops}
    found = [f"{name}: {value!r} was written by nobody" for value in log if value not in by_value and value != first]
    if (log[-1] if log else first) != last:
        found.append(f"{name}: the log ends with {log[-1] if log else first!r}, and {last!r} is there")
    found += [f"{name}: done, and the log knows nothing of it: {op}" for op in ops if op.verdict == "done" and op.new not in log]
    for value, after in pairwise(log):
        op, other = by_value.get(value), by_value.get(after)
        if op is None or other is None or op.verdict != "done" or other.old is None or other.old == op.new or other.verdict in ("differs", "uncertain"):
            continue
        found.append(f"{name}: an update was lost unnoticed: {op} | replaced by {other}")
    return found
