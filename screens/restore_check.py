"""`RestoreCheckScreen`: the check card on a screen of its own, the yes of a person by the size of the harm, then the job and its view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from backends.contract import Plan
from backends.errors import BackendError
from backends.restore.model import RestorePlan
from console.ages import local
from console.perform import Confirmation, perform
from console.restore_rights import lacking
from console.restoring import Restores, Started
from screens.base import Handler
from screens.confirming import second_person
from screens.paper import PaperScreen
from screens.restore_card import card_lines
from widgets.toned import Line
from widgets.wrap import prose

if TYPE_CHECKING:
    from screens.restore_flow import Chosen


class RestoreCheckScreen(PaperScreen):
    """Looks first, by name, which may take a while and is left with esc; then shows the card and asks. Nothing is written before the yes."""

    TITLE_LINE = "Restore: before it is done"
    LEGEND: ClassVar[tuple[str, ...]] = ("restores.go", "restores.thorough", "restores.override", "list.down", "list.page-down", "global.back", "global.help")

    def __init__(self, chosen: Chosen) -> None:
        super().__init__()
        self._chosen = chosen
        self.plan: RestorePlan | None = None
        self.wrong: BackendError | None = None
        """Why it could not be looked at: an unknown host key, a server that does not answer."""
        self._work: Restores | None = None
        self._asking = False
        self.bottom.unmatched = self._scroll

    def scopes(self) -> tuple[str, ...]:
        """Its own keys, moving, everything."""
        return ("restores", "list", "global")

    def own_handlers(self) -> Mapping[str, Handler]:
        """Enter goes on to the question."""
        own: dict[str, Handler] = {"restores.go": self.go, "list.open": self.go, "restores.thorough": self.thorough, "restores.override": self.override}
        return {**super().own_handlers(), **own}

    def _scroll(self, name: str) -> None:
        by = {"j": 1, "down": 1, "k": -1, "up": -1}.get(name)
        if by:
            self.view.move(by)
        elif name in ("pagedown", "pageup"):
            self.view.turn(1 if name == "pagedown" else -1)

    async def load(self) -> None:
        """Preview by name; then the question, where a single key answers it."""
        self.plan, self.wrong = None, None
        self.view.show(self.build)
        self._work = Restores(self.desk)
        self._work.ticket = self._chosen.ticket
        self.say("Looking at what is there, by name; esc leaves it ...", "dim")
        try:
            self.plan = plan = await self._work.preview(self._chosen.wanted)
        except BackendError as error:
            self.wrong = error
            self.say("Nothing was done. enter looks again, esc goes back", "bad")
            return
        danger, word = self._work.danger(plan)
        if plan.preview.refusals:
            some = "O sets a refusal aside (an admin, with a reason)" if any(item.name for item in plan.preview.refusals) else "no key sets this aside"
            self.say(f"It is refused; the reasons are above. {some}, esc goes back", "bad")
        elif self._work.lacking(plan):
            self.say("It is not yours to do; who may is above. esc goes back", "bad")
        elif danger < 2:
            self.say("")
            self.flow(self.go())
        else:
            self.say(f"Read it, then enter: {word!r} is to be typed." + (" A second person must agree." if danger == 3 else ""), "warn")

    async def thorough(self) -> None:
        """Look again, with the content of files that look the same compared."""
        if self.plan is None or self._asking:
            return
        if self._chosen.wanted.thorough:
            self.say("The content was compared already.", "dim")
            return
        await self._again(thorough=True)

    async def override(self) -> None:
        """Set one refusal aside: an admin, with a reason that stands in the plan and the report."""
        if self.plan is None or self._asking:
            return
        able = [item for item in self.plan.preview.refusals if item.name]
        why = lacking(self.desk, self.desk.actor, ["override"])
        if not able:
            self.say("Nothing here can be set aside." if self.plan.preview.refusals else "Nothing is refused.", "dim")
            return
        if why:
            self.say(why, "warn")
            return
        name: str | None = able[0].name
        if len(able) > 1:
            name = await self.bottom.choose("Set aside which refusal?", [(str(place + 1), item.name, item.text) for place, item in enumerate(able[:9])])
        if name is None:
            return
        reason = await self.bottom.ask(f"Why is {name!r} set aside (goes into plan, report and ledger)?", self._chosen.wanted.override_reason or self._chosen.reason)
        if reason and reason.strip():
            await self._again(overrides=(*self._chosen.wanted.overrides, name), override_reason=reason.strip())

    async def _again(self, **changed: Any) -> None:
        self._chosen = replace(self._chosen, wanted=replace(self._chosen.wanted, **changed))
        await self._load()

    def build(self, width: int) -> Sequence[Line]:
        """The card."""
        if self.wrong is not None:
            texts = [(f"{self.wrong.title}: {self.wrong.text}", "bad"), (self.wrong.hint, "warn"), ("Nothing was written, here or there.", "dim")]
            return [line for text, tone in texts for line in ([], *prose(text, width - 2, tone, " "))]
        if self.plan is None:
            return [(), ((" Looking at what is there ...", "dim"),)]
        chosen = self._chosen
        why = " ".join(text for text in (chosen.number, chosen.reason) if text)
        lacks = self._work.lacking(self.plan) if self._work is not None else ""
        return card_lines(self.plan, self.desk.actor.login, why, lacks, self.desk.config.timezone, width)

    async def go(self) -> None:
        """The yes, the job, its view."""
        plan, work, chosen = self.plan, self._work, self._chosen
        if self.wrong is not None:
            await self._load()
            return
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
        lines: list[Line] = prose(local(plan.summary, self.desk.config.timezone), self.size.width - 2, "title", " ")
        lines += [((f"   {plan.public}", "public"),)] if plan.public else []
        lines += [((f"   {what}", ""),) for what in _harm(self.plan)]
        if not await self.bottom.confirm(lines, word):
            return None
        approver = await second_person(self) if plan.danger == 3 else ""
        return None if approver is None else Confirmation(word, self._chosen.reason, approver)


def _harm(plan: RestorePlan | None) -> list[str]:
    if plan is None:
        return []
    preview = plan.preview
    newer = preview.counts.get("newer", 0)
    said = []
    if preview.replaces:
        said.append(("1 live file is replaced" if preview.replaces == 1 else f"{preview.replaces:,} live files are replaced") + (", newer than the backup" if preview.replaces == newer == 1 else f", {newer:,} of them newer than the backup" if newer else "") + "; kept for undo")
    if preview.removes:
        said.append(("1 live file is" if preview.removes == 1 else f"{preview.removes:,} live files are") + " taken away; kept for undo")
    return said or ["no live file is touched"]
