"""The yes of a person at a screen: the plan above the bottom line, a word to type where it is hard to undo, then why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backends.contract import Plan
from console.perform import Confirmation, Confirmer
from screens.plan_lines import plan_lines

if TYPE_CHECKING:
    from screens.base import ConsoleScreen


def confirm_on(screen: ConsoleScreen, shown: Callable[[Plan], None] = lambda plan: None) -> Confirmer:
    """What `perform` asks with on this screen; `shown` hears of the plan that is asked about."""

    async def confirm(plan: Plan) -> Confirmation | None:
        shown(plan)
        word = plan.confirm_word if plan.danger >= 2 else ""
        if not await screen.bottom.confirm(plan_lines(plan, screen.desk.config.timezone), word):
            return None
        needs_reason = plan.danger >= 2 and not plan.change.values.get("reason")
        reason = await screen.bottom.ask("Why? (goes into the record)") if needs_reason else ""
        if reason is None:
            return None
        approver = await second_person(screen) if plan.danger == 3 else ""
        return None if approver is None else Confirmation(word, reason, approver)

    return confirm


async def second_person(screen: ConsoleScreen) -> str | None:
    """The login of who agreed, for the record; None when it was left. Asked again for the own login or nothing."""
    wrong = ""
    while True:
        above = [((" " + wrong, "warn"),)] if wrong else ()
        typed = await screen.bottom.ask("Who agreed to it (login of the second person)?", above=above)
        if typed is None:
            return None
        if typed.strip() and typed.strip() != screen.desk.actor.login:
            return typed.strip()
        wrong = "A second person must agree: not you yourself. Their login goes into the record."
