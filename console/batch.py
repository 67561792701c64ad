"""`Batch`: several changes as one piece of work - planned and shown together, one yes, then a result for each. Never imports textual.

Each change goes through `perform` on its own; what is done differs from what was shown only by a refusal. Deeds of one group (the
steps of a macro on one ticket) stop at the first that fails; other groups go on. It can be stopped between two deeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from backends.contract import Change, Plan
from backends.errors import BackendError, Refused
from console.conflicts import asked
from console.perform import Confirmation, perform

if TYPE_CHECKING:
    from console.desk import Desk

MOST = 100
"""Deeds at once: a slip of the hand must not change the whole county."""
Word = Literal["waiting", "later", "done", "partial", "refused", "unknown", "skipped", "stopped"]
"""later: can't be planned before the deeds in front of it are done. skipped: one in front of it failed."""


@dataclass(slots=True)
class Deed:
    """One change with its state. `label` is the ticket's number, `group` what stops together, `note` a warning to be shown with it."""

    label: str
    change: Change
    group: str = ""
    note: str = ""
    plan: Plan | None = None
    word: Word = "waiting"
    text: str = ""

    def summary(self) -> str:
        """In words, planned or not."""
        return self.plan.summary if self.plan is not None else f"{self.change.verb.replace('-', ' ')} {self.label}"


Progress = Callable[["Batch"], None]


class Batch:
    """Plans and does a list of deeds. `stop()` ends it after the deed that is under way."""

    def __init__(self, desk: Desk, title: str, deeds: Sequence[Deed]) -> None:
        if len(deeds) > MOST:
            raise Refused(f"{len(deeds)} at once are too many: at most {MOST}", hint="Mark fewer, or do it in portions.")
        self._desk = desk
        self.title = title
        self.deeds = list(deeds)
        self.planned = self.begun = self.running = self.stopped = False

    async def plan(self) -> None:
        """Plan everything; what can't be done is refused now, and not tried later."""
        begun: set[str] = set()
        for deed in self.deeds:
            try:
                deed.plan = (await perform(self._desk, deed.change, confirm=_nobody, dry_run=True)).plan
                if deed.plan.missing:
                    raise Refused("; ".join(deed.plan.missing))
            except BackendError as error:
                first = not deed.group or deed.group not in begun
                deed.plan, deed.word, deed.text = None, "refused" if first else "later", error.text
            begun.add(deed.group)
        self.planned = True

    def public(self) -> list[str]:
        """What leaves the house, each sentence once."""
        return list(dict.fromkeys(f"{deed.label} {deed.plan.public}" for deed in self.deeds if deed.plan is not None and deed.plan.public))

    def danger(self) -> int:
        """The highest of all."""
        return max((deed.plan.danger for deed in self.deeds if deed.plan is not None), default=0)

    def possible(self) -> int:
        """How many can be tried."""
        return sum(deed.word in ("waiting", "later") for deed in self.deeds)

    def stop(self) -> None:
        """End it after the deed that is under way."""
        self.stopped = True

    async def run(self, reason: str = "", progress: Progress | None = None) -> None:
        """Do what was shown, one after the other; `progress` hears of each result."""
        self.begun = self.running = True
        try:
            await self._each(reason, progress)
        finally:
            self.running = False
        if progress is not None:
            progress(self)

    async def _each(self, reason: str, progress: Progress | None) -> None:
        failed = {deed.group for deed in self.deeds if deed.group and deed.word == "refused"}
        for deed in self.deeds:
            if deed.word in ("waiting", "later"):
                if self.stopped:
                    deed.word, deed.text = "stopped", ""
                elif deed.group and deed.group in failed:
                    deed.word, deed.text = "skipped", ""
                elif not await self._one(deed, reason) and deed.group:
                    failed.add(deed.group)
            if progress is not None:
                progress(self)

    async def _one(self, deed: Deed, reason: str) -> bool:
        async def yes(fresh: Plan) -> Confirmation:
            _as_shown(deed.plan, fresh)
            return Confirmation(fresh.confirm_word, reason)

        change = replace(deed.change, values=asked(deed.change.values))
        try:
            performed = await perform(self._desk, change, confirm=yes)
        except BackendError as error:
            deed.word, deed.text = "refused", error.text
            return False
        deed.plan = performed.plan
        outcome = performed.outcome
        assert outcome is not None
        deed.word, deed.text = outcome.word, outcome.text or performed.note
        return outcome.word == "done"

    def counts(self) -> dict[str, int]:
        """Word -> how many."""
        out: dict[str, int] = {}
        for deed in self.deeds:
            out[deed.word] = out.get(deed.word, 0) + 1
        return out

    def sentence(self) -> str:
        """ "4 done, 1 refused (T-1042: it is Closed)"."""
        parts = []
        for word, count in sorted(self.counts().items(), key=lambda pair: pair[0] != "done"):
            why = [f"{deed.label}: {deed.text}" for deed in self.deeds if deed.word == word and deed.text and word != "done"]
            parts.append(f"{count} {word if self.begun or word == 'refused' else 'possible'}" + (f" ({'; '.join(why[:3])}{'; ...' if len(why) > 3 else ''})" if why else ""))
        return ", ".join(parts)

    def exit_code(self) -> int:
        """0 all done, 3 some, 9 where an outcome is not known, 7 none."""
        counted = self.counts()
        if counted.get("unknown"):
            return 9
        done = counted.get("done", 0)
        return 0 if done == len(self.deeds) else 3 if done else 7


async def _nobody(plan: Plan) -> Confirmation | None:
    return None


def _as_shown(shown: Plan | None, fresh: Plan) -> None:
    """Refused where the plan grew since it was agreed to: other readers, more danger, other fields."""
    if shown is None:
        if fresh.danger > 1 or fresh.public:
            raise Refused("it could not be shown before, and is not done unseen")
        return
    if fresh.public != shown.public:
        raise Refused(f"others would read it than was shown: {fresh.public or 'nobody'}")
    if fresh.danger > shown.danger or [step.what for step in fresh.steps] != [step.what for step in shown.steps]:
        raise Refused("the ticket was changed since this was shown")
