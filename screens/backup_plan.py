"""`BackupPlanScreen`: what a forget or a prune would do, as a table one can read to its end; then the question. Nothing is done before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from backends.contract import Change, Plan, Step
from backends.errors import BackendError
from console.ages import local
from console.perform import Confirmation, perform
from screens.base import Handler
from screens.confirming import confirm_on
from screens.paper import PaperScreen
from widgets.toned import Line, fit
from widgets.wrap import heading, prose

Begin = Callable[[Change, Plan, Confirmation], object]


class BackupPlanScreen(PaperScreen):
    """The tool computes it; `aside` is the value that allows one refusal on purpose, with its words; `begin` starts the job of exactly this plan."""

    TITLE_LINE = "Before it is done"
    LEGEND: ClassVar[tuple[str, ...]] = ("restores.go", "restores.override", "list.down", "list.page-down", "global.refresh", "global.back", "global.help")

    def __init__(self, change: Change, aside: tuple[str, str], begin: Begin) -> None:
        super().__init__()
        self._change, self._aside, self._begin = change, aside, begin
        self.plan: Plan | None = None
        self.wrong: BackendError | None = None
        self._asking = False

    def scopes(self) -> tuple[str, ...]:
        """The keys of a check card."""
        return ("restores", "list", "global")

    def own_handlers(self) -> Mapping[str, Handler]:
        """On to the question; one refusal set aside."""
        own: dict[str, Handler] = {"restores.go": self.go, "list.open": self.go, "restores.override": self.override}
        return {**super().own_handlers(), **own}

    async def load(self) -> None:
        """Let the tool compute it."""
        self.plan, self.wrong = None, None
        self.view.show(self.build)
        self.say("The tool computes what would happen ...", "dim")
        try:
            self.plan = (await perform(self.desk, self._change, confirm=confirm_on(self), dry_run=True)).plan
        except BackendError as error:
            self.wrong = error
            self.say("Nothing was done. enter looks again, esc goes back", "bad")
            return
        self.trail.show([(f" {local(self.plan.summary, self.desk.config.timezone)}", "bar")])
        if self.plan.missing:
            self.say(f"It is refused; the reasons are above. O: {self._aside[1]}", "bad")
        else:
            self.say(f"Read it, then enter: {self.plan.confirm_word!r} is to be typed.", "warn")

    def build(self, width: int) -> Sequence[Line]:
        """Refusals, what goes, what stays and why, what else."""
        if self.wrong is not None:
            return [(), *prose(self.wrong.sentence(), width - 2, "bad", " ")]
        if self.plan is None:
            return [(), ((" The tool computes it ...", "dim"),)]
        zone = self.desk.config.timezone
        out: list[Line] = [()]
        for text in self.plan.missing:
            out += prose(f"REFUSED: {text}", width - 2, "bad", " ")
        for effect in self.plan.side_effects:
            out += prose(local(effect, zone), width - 2, "warn", " ")
        room = max(10, min(34, width - 50))
        goes = [step for step in self.plan.steps if not step.after.startswith("kept")]
        stays = [step for step in self.plan.steps if step.after.startswith("kept")]
        for title, steps, tone in (("Goes" if stays or self._change.verb == "forget" else "What changes", goes, "bad"), ("Stays, and why", stays, "ok")):
            fits = min(room, max((len(step.after.removeprefix("kept: ")) for step in steps), default=0))
            out += [*heading(title, width, str(len(steps))), *(_row(replace(step, what=local(step.what, zone)), tone, fits) for step in steps)] if steps else []
        return out

    async def override(self) -> None:
        """Plan it again with the one refusal allowed that may be."""
        name, words = self._aside
        if self.plan is None or self._asking:
            return
        if not self.plan.missing:
            self.say("Nothing is refused.", "dim")
        elif self._change.values.get(name):
            self.say("What is still refused can't be set aside.", "warn")
        elif await self.bottom.confirm([((f" {words}?", "title"),), *[((f"   {text}", "bad"),) for text in self.plan.missing]]):
            self._change = replace(self._change, values={**self._change.values, name: True})
            await self._load()

    async def go(self) -> None:
        """The yes; then back, with the job begun."""
        if self.wrong is not None:
            await self._load()
            return
        if self.plan is None or self._asking:
            return
        if self.plan.missing:
            self.say(f"It is refused; the reasons are above. O: {self._aside[1]}", "bad")
            return
        self._asking = True
        try:
            said = await confirm_on(self)(replace(self.plan, steps=()))
        finally:
            self._asking = False
        if said is None:
            self.say("Nothing was done.", "dim")
            return
        self._begin(self._change, self.plan, said)
        self.app.pop_screen()


def _row(step: Step, tone: str, room: int) -> Line:
    """A snapshot's line: "<id> <day> <time> <group>" and what becomes of it."""
    ident, _, rest = step.what.partition(" ")
    if len(rest) < 16 or rest[4:5] != "-":
        return ((f"  {step.what}  ", ""), (step.before + " → " if step.before else "", "dim"), (step.after, tone))
    word = step.after.removeprefix("kept: ")
    return ((f"  {fit(ident, 10)}", "accent"), (f" {rest[:16]}  ", "dim"), (f"{fit(word, room)} ", tone), (rest[17:], "dim"))
