"""A plan as the lines that stand above its confirmation: what changes, what else happens, what leaves the house."""

from __future__ import annotations

from backends.contract import Plan
from console.ages import local
from widgets.toned import Line

_DANGER = {0: "", 1: "", 2: "HARD TO UNDO", 3: "PROTECTED: a second person must agree"}


def plan_lines(plan: Plan, timezone: str = "UTC") -> list[Line]:
    """The summary, each step, side effects, and what is missing; moments as they are read at the site."""
    tone = "bad" if plan.danger >= 2 else "dim"
    word = _DANGER[plan.danger] or ("can be undone" if plan.inverse is not None else "")
    out: list[Line] = [((" " + local(plan.summary, timezone), "title"), ("   " + word, tone))]
    for step in plan.steps[:12]:
        told = plan.before(step)
        before = ((_short(local(told, timezone)), "dim"), (" → ", "dim")) if told else ()
        out.append(((f"   {step.what}: ", "dim"), *before, (_short(local(step.after, timezone)) or "nothing", "")))
    if len(plan.steps) > 12:
        out.append(((f"   and {len(plan.steps) - 12} more", "dim"),))
    out += [((f"   also: {local(effect, timezone)}", "warn"),) for effect in plan.side_effects]
    if plan.public:
        out.append(((f"   {plan.public}", "public"),))
    out += [((f"   missing: {what}", "bad"),) for what in plan.missing]
    return out


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 160 else line[:157] + "..."
