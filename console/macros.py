"""Macros: several deeds on a ticket as one, from `[macros.NAME]`. Pure: a macro and a ticket give changes; nothing here writes.

A step is a table with one deed and what belongs to it: {status = "Waiting on vendor", reason = "toner"}, {reply = "...", status =
"Resolved"}. Texts may have fields. Never imports textual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from console.placeholders import Wrong, check_fields, fill

if TYPE_CHECKING:
    from backends.tickets.model import Ticket

_TEXT, _LIST, _NUMBER, _YES = (str,), (list,), (int,), (bool,)
DEEDS: Mapping[str, tuple[tuple[Any, ...], Mapping[str, tuple[Any, ...]]]] = {
    "take": (_YES, {}), "release": (_YES, {}), "assign": (_TEXT, {}), "team": (_TEXT, {}), "status": (_TEXT, {"reason": _TEXT, "until": _TEXT}),
    "reply": (_TEXT, {"status": _TEXT, "reason": _TEXT, "until": _TEXT, "minutes": _NUMBER}), "note": (_TEXT, {"minutes": _NUMBER}),
    "tags": (_LIST, {}), "untag": (_LIST, {}), "queue": (_TEXT, {}), "category": (_TEXT, {}), "kind": (_TEXT, {}), "priority": (_NUMBER, {"reason": _TEXT}),
    "impact": (_NUMBER, {}), "urgency": (_NUMBER, {}), "check": (_TEXT, {}), "time": (_TEXT, {}), "watch": (_LIST, {}),
    "refer": (_TEXT, {"contact": _TEXT, "reference": _TEXT, "follow_up": _TEXT, "body": _TEXT}),
}  # fmt: skip
"""Deed -> (what its value is, what may stand beside it)."""
WITH_FIELDS = ("reason", "reply", "note", "check", "body", "contact", "reference")
FAIR = "fair"


@dataclass(frozen=True, slots=True)
class Step:
    """One deed of a macro."""

    deed: str
    value: Any
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Macro:
    """A name, words for the menu, and the steps in their order."""

    name: str
    steps: tuple[Step, ...]
    text: str = ""

    def words(self) -> str:
        """What it does, for a menu."""
        return self.text or ", ".join(f"{step.deed} {_short(step.value)}".strip() for step in self.steps)


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is True else str(value)
    line = " ".join(text.split())
    return line if len(line) <= 30 else line[:29] + "…"


@dataclass(frozen=True, slots=True)
class Deed:
    """A step for one ticket: the verb, its values, and the fields there was nothing for."""

    verb: str
    values: Mapping[str, Any]
    empty: tuple[str, ...] = ()


def read_macro(name: str, table: Mapping[str, Any]) -> Macro:
    """From `[macros.NAME]`. Wrong says what is not understood, and which word it is about."""
    for key in table:
        if key not in ("text", "steps"):
            raise Wrong(f"unknown key {key!r}; known: text, steps", key)
    steps, text = table.get("steps"), table.get("text", "")
    if not isinstance(text, str):
        raise Wrong("text: must be text", "text")
    if not isinstance(steps, list) or not steps:
        raise Wrong('steps: is missing; such as steps = [{status = "Open"}, {note = "seen"}]', "steps")
    return Macro(name, tuple(_step(number, step) for number, step in enumerate(steps, 1)), text)


def _step(number: int, table: Any) -> Step:
    if not isinstance(table, dict) or not table:
        raise Wrong(f"step {number}: must be a table with one deed", "steps")
    first = next(iter(table))
    deed = first if first in DEEDS else next((key for key in table if key in DEEDS), "")
    if not deed:
        raise Wrong(f"step {number}: unknown deed {first!r}; there are {', '.join(DEEDS)}", first)
    kinds, beside = DEEDS[deed]
    for key, value in table.items():
        wanted = kinds if key == deed else beside.get(key)
        if wanted is None:
            raise Wrong(f"step {number}: {key!r} does not go with {deed}" + (f"; {', '.join(beside)} do" if beside else ""), key)
        if not isinstance(value, wanted) or (wanted is _NUMBER and isinstance(value, bool)):
            raise Wrong(f"step {number}: {key} must be {wanted[0].__name__}, not {type(value).__name__}", key)
        if key in WITH_FIELDS and isinstance(value, str):
            check_fields(value)
    return Step(deed, table[deed], {key: value for key, value in table.items() if key != deed})


def deeds(macro: Macro, ticket: Ticket, values: Mapping[str, str], me: str, fairest: str = "") -> list[Deed]:
    """What the macro does to this ticket: each step as a verb with its values. `fairest` is who gets `assign = "fair"`."""
    out: list[Deed] = []
    tags = list(ticket.tags)
    for step in macro.steps:
        empty: list[str] = []

        def filled(text: str, empty: list[str] = empty) -> str:
            done, lacking = fill(text, values)
            empty += lacking
            return done

        more = {key: filled(value) if key in WITH_FIELDS and isinstance(value, str) else value for key, value in step.more.items()}
        if step.deed in ("tags", "untag"):
            tags = [tag for tag in tags if tag not in step.value] + (list(step.value) if step.deed == "tags" else [])
        verb, wanted = _change(step, more, filled, tags, me, fairest)
        out.append(Deed(verb, wanted, tuple(empty)))
    return out


def _change(step: Step, more: Mapping[str, Any], filled: Any, tags: list[str], me: str, fairest: str) -> tuple[str, dict[str, Any]]:
    deed, value = step.deed, step.value
    if deed in ("take", "release"):
        return deed, {}
    if deed == "assign":
        return "assign", {"assignee": me if value == "me" else fairest if value == FAIR else value}
    if deed == "team":
        return "assign", {"team": value}
    if deed == "status":
        return "status", {"status": value, **more}
    if deed in ("reply", "note"):
        return deed, {"body": filled(value), **more}
    if deed in ("tags", "untag"):
        return "edit", {"tags": list(tags)}
    if deed == "priority":
        return "edit", {"priority": value, "priority_reason": more.get("reason") or "set by a macro"}
    if deed == "check":
        return "check", {"item": filled(value), "done": False}
    if deed == "time":
        from console.spent import minutes_spent

        minutes, body = minutes_spent(value)
        return "time", {"minutes": minutes, "body": body}
    if deed == "watch":
        return "watch", {"add": list(value)}
    if deed == "refer":
        return "refer", {"vendor": value, **more}
    return "edit", {deed: value}
