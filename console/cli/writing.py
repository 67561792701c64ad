"""How a command writes: the same `perform` as the screens, the plan printed, the yes from the terminal or from --yes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from backends.contract import Change, Plan
from backends.errors import Conflict, Refused
from console.cli.output import Output
from console.conflicts import differences
from console.desk import Desk
from console.perform import Confirmation, Performed, check_ticket, perform

EXIT = {"done": 0, "partial": 3, "refused": 7, "unknown": 9}


async def run_change(desk: Desk, args: argparse.Namespace, out: Output, change: Change) -> int:
    """Plan, show, confirm, do, read back; the exit code says how it ended."""
    ticket = await check_ticket(desk, args.ticket) if args.ticket else None
    asked = Asking(args, out)
    try:
        performed = await perform(
            desk, change, confirm=asked.confirm, ticket=ticket, reason=args.reason, approver=getattr(args, "approver", ""), dry_run=args.dry_run
        )
    except Conflict as error:
        for one in differences(error):
            out.warn(f"  {one.field}: yours {one.mine}, theirs {one.theirs}")
        raise
    if args.dry_run:
        show_plan(performed.plan, out)
    elif performed.outcome is None:
        out.warn("Left; nothing was done.")
        return 1
    show_performed(performed, out)
    return 0 if performed.outcome is None else EXIT[performed.outcome.word]


class Asking:
    """The yes of a command: --yes, else the plan and a question on the terminal."""

    def __init__(self, args: argparse.Namespace, out: Output) -> None:
        self._args, self._out = args, out

    async def confirm(self, plan: Plan) -> Confirmation | None:
        """None: left. Refused where there is no terminal to ask on."""
        if self._args.yes:
            return Confirmation(plan.confirm_word, self._args.reason, getattr(self._args, "approver", ""))
        if not sys.stdin.isatty():
            raise Refused("there is no terminal to ask on", hint="Add --yes to do it, or --dry-run to see what would happen.")
        show_plan(plan, self._out)
        if plan.confirm_word and plan.danger >= 2:
            typed = input(f"Type {plan.confirm_word} to do it: ").strip()
            return Confirmation(typed, self._args.reason) if typed == plan.confirm_word else None
        return Confirmation("", self._args.reason) if input("Do it? [y/N] ").strip().lower() in ("y", "yes") else None


def show_plan(plan: Plan, out: Output) -> None:
    """What will happen, a line a step."""
    if out.json:
        return
    out.say(plan.summary)
    for step in plan.steps:
        out.say(f"  {plan.told(step)}")
    for effect in plan.side_effects:
        out.say(f"  also: {effect}")
    if plan.public:
        out.say(f"  {plan.public}")
    for what in plan.missing:
        out.say(f"  missing: {what}")


def show_performed(performed: Performed, out: Output) -> None:
    """How it ended, or would end."""
    outcome, plan = performed.outcome, performed.plan
    record: dict[str, Any] = {
        "summary": plan.summary, "danger": plan.danger, "dry_run": outcome is None,
        "steps": [{"what": step.what, "before": step.before, "after": step.after} for step in plan.steps],
        "side_effects": list(plan.side_effects), "missing": list(plan.missing),
    }  # fmt: skip
    if outcome is not None:
        record |= {
            "outcome": outcome.word, "text": outcome.text, "target": outcome.target, "applied": dict(outcome.applied),
            "differs": {name: list(pair) for name, pair in outcome.differs.items()}, "op_id": performed.op_id,
        }  # fmt: skip
    if out.json:
        out.record("change", record)
    elif outcome is not None:
        differs = "; ".join(f"{name}: wanted {want}, is {found}" for name, (want, found) in outcome.differs.items())
        out.say(f"{plan.ended(outcome.word).capitalize()}: {plan.summary}" + "".join(f" - {part}" for part in (outcome.text, differs) if part))
    if performed.note:
        out.warn(performed.note)
