"""The yes of a person at a screen: the plan above the bottom line, a word to type where it is hard to undo, then why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.contract import Plan
from console.perform import Confirmation, Confirmer
from screens.plan_lines import plan_lines

if TYPE_CHECKING:
    from screens.base import ConsoleScreen


def confirm_on(screen: ConsoleScreen) -> Confirmer:
    """What `perform` asks with on this screen."""

    async def confirm(plan: Plan) -> Confirmation | None:
        word = plan.confirm_word if plan.danger >= 2 else ""
        if not await screen.bottom.confirm(plan_lines(plan), word):
            return None
        needs_reason = plan.danger >= 2 and not plan.change.values.get("reason")
        reason = await screen.bottom.ask("Why? (goes into the record)") if needs_reason else ""
        return None if reason is None else Confirmation(typed=word, reason=reason)

    return confirm
