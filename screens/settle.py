"""Settling a conflict: mine and theirs field by field above the bottom line, and what shall stand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from backends.contract import Change, Plan
from backends.errors import Conflict
from console.conflicts import Difference, asked, differences, fields_asked, kept
from widgets.toned import Line, fit

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

_TEXTS = ("subject", "location", "body", "reason")


def conflict_lines(error: Conflict, found: list[Difference]) -> list[Line]:
    """What happened, then was, mine and theirs of each field."""
    out: list[Line] = [((f" {error.title}: {error.text}", "warn"),)]
    for one in found:
        name = fit(one.field, 14)
        if one.was != "nothing":
            out.append(((f"   {name}", "dim"), ("was    ", "dim"), (one.was[:200], "dim")))
            name = " " * 14
        out.append(((f"   {name}", "dim"), ("mine   ", "accent"), (one.mine[:200], "")))
        out.append(((f"   {' ' * 14}", "dim"), ("theirs ", "warn"), (one.theirs[:200], "")))
    return out


async def settle(screen: ConsoleScreen, change: Change, error: Conflict, shown: Plan | None) -> Change | None:
    """The change to plan anew, or None: theirs stands, or it was left. What was typed elsewhere (a draft) stays in any case."""
    found = differences(error, shown)
    fields = fields_asked(change)
    again = "take it over from them" if change.verb == "take" else "keep mine: planned again on the ticket as it is now"
    items = [("m", "mine", again), ("t", "theirs", "take theirs: mine is dropped")]
    if len(fields) > 1:
        items.append(("f", "fields", "field by field"))
    editable = next((name for name in _TEXTS if isinstance(asked(change.values).get(name), str)), "")
    if editable and change.verb == "edit":
        items.append(("e", "edit", f"edit my {editable} first"))
    answer = await screen.bottom.choose("Which shall stand?", items, above=conflict_lines(error, found))
    if answer == "mine":
        return kept(change)
    if answer == "fields":
        return await _by_field(screen, change, found, fields)
    if answer == "edit":
        text = await screen.bottom.ask(f"{editable.capitalize()}:", str(change.values[editable]), above=conflict_lines(error, found))
        return kept(replace(change, values={**change.values, editable: text.strip()})) if text is not None else None
    screen.say("Theirs stands; yours was not written." if answer == "theirs" else "Left; nothing was done.", "dim")
    return None


async def _by_field(screen: ConsoleScreen, change: Change, found: list[Difference], fields: list[str]) -> Change | None:
    """Each field that both changed, one after the other; the others stay mine."""
    drop: list[str] = []
    for one in found:
        name = one.field.replace(" ", "_")
        if name not in fields:
            continue
        answer = await screen.bottom.choose(f"{one.field}: which one?", [("m", "mine", f"mine: {one.mine[:120]}"), ("t", "theirs", f"theirs: {one.theirs[:120]}")])
        if answer is None:
            return None
        if answer == "theirs":
            drop.append(name)
    after = kept(change, drop)
    if after is None:
        screen.say("Theirs stands everywhere; nothing was written.", "dim")
    return after
