"""`RestoreCheckScreen`: the check card on a screen of its own, the yes of a person by the size of the harm, then the job and its view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from backends.contract import Plan
from backends.restore.model import RestorePlan
from console.perform import Confirmation, perform
from console.restoring import Restores, Started
from screens.base import Handler
from screens.paper import PaperScreen
from screens.restore_card import card_lines
from widgets.toned import Line
from widgets.wrap import prose

if TYPE_CHECKING:
    from screens.restore_flow import Chosen


class RestoreCheckScreen(PaperScreen):
    """Looks first, by name, which may take a while and is left with esc; then shows the card and asks. Nothing is written before the yes."""

    TITLE_LINE = "Restore: before it is done"
    LEGEND: ClassVar[tuple[str, ...]] = ("restores.go", "list.down", "list.page-down", "global.back", "global.help")

    def __init__(self, chosen: Chosen) -> None:
        super().__init__()
        self._chosen = chosen
        self.plan: RestorePlan | None = None
        self._work: Restores | None = None
        self._asking = False
        self.bottom.unmatched = self._scroll

    def scopes(self) -> tuple[str, ...]:
        """Its own key, moving, everything."""
        return ("restores", "list", "global")

    def own_handlers(self) -> Mapping[str, Handler]:
        """Enter goes on to the question."""
        return {**super().own_handlers(), "restores.go": self.go, "list.open": self.go}

    def _scroll(self, name: str) -> None:
        by = {"j": 1, "down": 1, "k": -1, "up": -1}.get(name)
        if by:
            self.view.move(by)
        elif name in ("pagedown", "pageup"):
            self.view.turn(1 if name == "pagedown" else -1)

    async def load(self) -> None:
        """Preview by name; then the question, where a single key answers it."""
        self.plan = None
        self._work = Restores(self.desk)
        self._work.ticket = self._chosen.ticket
        self.say("Looking at what is there, by name; esc leaves it ...", "dim")
        self.plan = plan = await self._work.preview(self._chosen.wanted)
        danger, word = self._work.danger(plan)
        if plan.preview.refusals:
            self.say("It is refused; the reasons are above. esc goes back", "bad")
        elif danger < 2:
            self.say("")
            self.flow(self.go())
        else:
            self.say(f"Read it, then enter: {word!r} is to be typed." + (" A second person must agree." if danger == 3 else ""), "warn")

    def build(self, width: int) -> Sequence[Line]:
        """The card."""
        if self.plan is None:
            return [(), ((" Looking at what is there ...", "dim"),)]
        chosen = self._chosen
        why = " ".join(text for text in (chosen.number, chosen.reason) if text)
        return card_lines(self.plan, self.desk.actor.login, why, self.desk.config.timezone, width)

    async def go(self) -> None:
        """The yes, the job, its view."""
        plan, work, chosen = self.plan, self._work, self._chosen
        if plan is None or work is None or self._asking:
            return
        self._asking = True
        try:
            done = await perform(
                self.desk, work.change(plan, chosen.tell_requester), confirm=self._confirm, ticket=chosen.ticket or None, reason=chosen.reason, via=work
            )
        finally:
            self._asking = False
        if done.outcome is None:
            self.say("Nothing was done. enter asks again, esc goes back", "dim")
            return
        started = done.outcome.record
        if done.outcome.word != "done" or not isinstance(started, Started):
            self.say(f"{done.outcome.word}: {done.outcome.text}", "bad")
            return
        from screens.restore_view import RestoreScreen

        self.app.switch_screen(RestoreScreen(started.run, started.job, done.note))

    async def _confirm(self, plan: Plan) -> Confirmation | None:
        """Enter; or the word; and who else agreed."""
        word = plan.confirm_word if plan.danger >= 2 else ""
        lines: list[Line] = prose(plan.summary, self.size.width - 2, "title", " ")
        lines += [((f"   {plan.public}", "public"),)] if plan.public else []
        lines += [((f"   {what}", ""),) for what in _harm(self.plan)]
        if not await self.bottom.confirm(lines, word):
            return None
        approver = ""
        if plan.danger == 3:
            approver = (await self.bottom.ask("Who agreed to it (login of the second person)?") or "").strip()
            if not approver:
                return None
        return Confirmation(word, self._chosen.reason, approver)


def _harm(plan: RestorePlan | None) -> list[str]:
    if plan is None:
        return []
    preview = plan.preview
    newer = preview.counts.get("newer", 0)
    said = []
    if preview.replaces:
        said.append(f"{preview.replaces:,} live files are replaced" + (f", {newer:,} of them newer than the backup" if newer else "") + "; kept for undo")
    if preview.removes:
        said.append(f"{preview.removes:,} live files are taken away; kept for undo")
    return said or ["no live file is touched"]
