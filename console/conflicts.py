"""A conflict as something to choose from: mine and theirs, field by field, and the change that keeps what was chosen. Never imports textual."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from backends.contract import Change, Plan
from backends.errors import Conflict

_HIDDEN = frozenset({"phase", "ref_first", "ref_second", "ref_more"})


@dataclass(frozen=True, slots=True)
class Difference:
    """One field: as it was when I looked, what I want, what somebody else made of it."""

    field: str
    was: str
    mine: str
    theirs: str


def differences(error: Conflict, plan: Plan | None = None) -> list[Difference]:
    """The fields both wanted to change, in words."""
    was: Mapping[str, Any] = plan.change.values.get("was") or {} if plan is not None else {}
    before = {step.what.replace(" ", "_"): step.before for step in plan.steps} if plan is not None else {}
    names = [name for name in dict.fromkeys([*error.mine, *error.theirs]) if name not in _HIDDEN]
    return [
        Difference(name.replace("_", " "), words(was.get(name, before.get(name))), words(error.mine.get(name)), words(error.theirs.get(name))) for name in names
    ]  # fmt: skip


def words(value: Any) -> str:
    """A value as one line; "nothing" where there is none."""
    if value in (None, "", [], (), {}):
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={words(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(words(item) for item in value)
    return " ".join(str(value).split())


def kept(change: Change, drop: Collection[str] = ()) -> Change | None:
    """My change once more, on the ticket as it is now, without the fields that theirs shall stand for; None where nothing is left.

    A lost `take` becomes a `steal`: whoever has it now is named before it happens.
    """
    if change.verb == "take":
        return replace(change, verb="steal", values={}, version=None)
    values = {name: value for name, value in asked(change.values).items() if name not in drop}
    if change.verb == "edit" and not (set(values) - {"priority_reason"}):
        return None
    return replace(change, values=values, version=None)


def fields_asked(change: Change) -> list[str]:
    """The fields a person may give up one by one: those of an edit."""
    return [name for name in asked(change.values) if name != "priority_reason"] if change.verb == "edit" else []


def asked(values: Mapping[str, Any]) -> dict[str, Any]:
    """What was wanted, without what the planning added."""
    return {name: value for name, value in values.items() if name not in ("event", "was", "other", "new")}
