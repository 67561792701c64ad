"""`ResultScreen`: several changes as one piece of work - all of them shown, one yes, progress, and what became of each. X stops it between two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import ClassVar

from console.batch import Batch, Deed
from screens.base import Handler
from screens.paper import PaperScreen
from widgets.toned import Line, fit
from widgets.wrap import wrap

_TONE = {"done": "ok", "partial": "warn", "refused": "bad", "unknown": "bad", "skipped": "warn", "stopped": "warn", "waiting": "dim", "later": "dim"}
_WORDS = {"later": "waiting", "skipped": "not tried", "stopped": "stopped"}


class ResultScreen(PaperScreen):
    """Plans a `Batch`, asks once, does it, and keeps the results in view. While it runs nothing leads away. `after` hears how it ended.

    `brief`: it goes by itself when all was done; what was refused is always left to be read.
    """

    TITLE_LINE = "Together"
    LEGEND: ClassVar[tuple[str, ...]] = ("results.stop", "list.down", "list.page-down", "global.back", "global.help")

    def __init__(self, batch: Batch, after: Callable[[Batch], None], brief: bool = False) -> None:
        super().__init__()
        self._batch, self._ended, self._brief = batch, after, brief
        self.bottom.unmatched = self._scroll

    def scopes(self) -> tuple[str, ...]:
        """Its own key, moving, and everything."""
        return ("results", "list", "global")

    def own_handlers(self) -> Mapping[str, Handler]:
        """The usual ones; those that lead away wait until it has ended."""
        usual = super().own_handlers()
        guarded = {name: handler if name.startswith("list.") else self._when_ended(handler) for name, handler in usual.items()}
        return {**guarded, "results.stop": self._stop}

    def _when_ended(self, handler: Handler) -> Handler:
        def run() -> Awaitable[None] | None:
            if self._batch.running:
                self.say("It is still running: X stops it after the one that is under way.", "warn")
                return None
            return handler()

        return run

    def _stop(self) -> None:
        if self._batch.running:
            self._batch.stop()
            self.say("It stops after the one that is under way.", "warn")
        else:
            self.say("It has ended.", "dim")

    def _scroll(self, name: str) -> None:
        by = {"j": 1, "down": 1, "k": -1, "up": -1}.get(name)
        if by:
            self.view.move(by)
        elif name in ("pagedown", "pageup"):
            self.view.turn(1 if name == "pagedown" else -1)

    async def load(self) -> None:
        """Plan, and go on to the question."""
        if not self._batch.planned:
            self.say("Planning ...", "dim")
            await self._batch.plan()
            self.say("")
            self.flow(self._ask())
        self.progressed(self._batch)

    async def _ask(self) -> None:
        batch = self._batch
        possible, danger = batch.possible(), batch.danger()
        if not possible:
            self.say("Not possible: " + batch.sentence() + "   esc goes back", "warn")
            return
        lines: list[Line] = [((f" {batch.title}: {possible} of {len(batch.deeds)}", "title"), ("   j k scroll the list above", "dim"))]
        lines += [((f"   {text}", "public"),) for text in batch.public()[:4]]
        word = str(possible) if danger >= 2 else ""
        if not await self.bottom.confirm(lines, word):
            self._left()
            return
        reason = await self.bottom.ask("Why? (goes into the record)") if danger >= 2 else ""
        if reason is None:
            self._left()
            return
        await batch.run(reason, self.progressed)
        self._ended(batch)
        if self._brief and batch.exit_code() == 0:
            self.dismiss(None)

    def _left(self) -> None:
        self.dismiss(None)

    def on_unmount(self) -> None:
        """However it was left, whoever waits for it hears."""
        super().on_unmount()
        self._ended(self._batch)

    def progressed(self, batch: Batch) -> None:
        """One more is done."""
        if not self.is_attached:
            return
        ended = len(batch.deeds) - batch.possible()
        note = f"{ended} of {len(batch.deeds)}" if batch.begun else f"{batch.possible()} of {len(batch.deeds)} possible"
        self.trail.show([(f" {batch.title}", "bar"), (f"   {note}", "bar-dim")])
        self.view.show(self.build)
        if batch.begun and not batch.running:
            good = batch.counts().get("done", 0) == len(batch.deeds)
            self.say(batch.sentence() + "   esc goes back", "ok" if good else "warn")

    def build(self, width: int) -> Sequence[Line]:
        """A line a deed; its text, warning and reason wrap below it."""
        out: list[Line] = [()]
        for deed in self._batch.deeds:
            word = _WORDS.get(deed.word, deed.word) if self._batch.begun else "no" if deed.word == "refused" else "will"
            out.append(((f" {fit(word, 9)}", _TONE[deed.word] if self._batch.begun or deed.word == "refused" else "dim"), (f" {fit(deed.label, 8)} ", "accent"), *_what(deed)))
            for text, tone in ((deed.note, "warn"), (deed.text if deed.word != "done" else "", "warn" if deed.word != "later" else "dim")):
                out += [((" " * 20 + line, tone),) for line in (wrap(text, max(20, width - 21)) if text else [])]
        return out


def _what(deed: Deed) -> Line:
    """What it changes; the subject behind it."""
    plan = deed.plan
    if plan is None:
        return ((deed.change.verb.replace("-", " "), ""),)
    steps = ", ".join(f"{step.what} → {' '.join(step.after.split())[:60] or 'nothing'}" for step in plan.steps[:4])
    subject = plan.change.label.removeprefix(deed.label).strip()
    return ((steps or plan.change.verb.replace("-", " "), "public" if plan.public else ""), (f"   {subject}", "dim"))
