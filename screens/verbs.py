"""The verbs on records: each asks what it must know, makes a `Change`, and gives it to the one write path.

No verb here touches a backend: `console.perform` plans, the bottom line confirms, and what was read back is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.contract import Change, Plan, Ref
from backends.errors import Conflict
from console.batch import Batch, Deed
from console.perform import Performed, perform
from screens.confirming import confirm_on
from screens.settle import settle
from screens.ticket_intake import TicketIntake
from screens.ticket_verbs import TicketVerbs
from screens.ticket_words import TicketWords

if TYPE_CHECKING:
    from screens.base import ConsoleScreen, Handler

_OUTCOME_TONE = {"done": "ok", "partial": "warn", "refused": "bad", "unknown": "bad"}


class Verbs:
    """Write verbs on the screen's targets (references); `after` shows what changed."""

    def __init__(self, screen: ConsoleScreen, targets: Callable[[], list[str]], after: Callable[[], None]) -> None:
        self._screen = screen
        self.targets = targets
        self.after = after
        self._shown: Plan | None = None
        self.last: Performed | None = None
        """What was done last through this one."""
        self.batch: Batch | None = None
        """What was done together last through this one."""

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {
            **TicketVerbs(self._screen, self).handlers(), **TicketWords(self._screen, self).handlers(), **TicketIntake(self._screen, self).handlers(),
            "devices.check": lambda: self.plain("check"), "devices.ack": self.acknowledge, "devices.unack": lambda: self.plain("unack"),
            "devices.downtime": self.downtime,
            "accounts.unlock": lambda: self.plain("unlock"), "accounts.enable": lambda: self.plain("enable"),
            "accounts.disable": lambda: self.plain("disable"), "accounts.add-member": lambda: self._membership("add-member"),
            "accounts.remove-member": lambda: self._membership("remove-member"), "accounts.expiry": self.expiry, "list.undo": self.undo,
            **{f"{domain}.restore": self.restore for domain in ("tickets", "devices", "accounts")},
        }  # fmt: skip

    # -- the one way ------------------------------------------------------------------------------------

    async def change(self, verb: str, values: Mapping[str, Any] | None = None, *, targets: list[str] | None = None) -> bool:
        """Do a verb to every target, one after the other; True when all were done."""
        refs = [Ref.parse(target) for target in (self.targets() if targets is None else targets)]
        if not refs:
            self._screen.say("Nothing is selected.", "warn")
            return False
        changes = [Change(ref.domain, ref.backend, verb, ref.id, values=dict(values or {})) for ref in refs]
        if len(changes) > 1:
            return await self.together(verb.replace("-", " "), [Deed(self.number(target), change) for target, change in zip(map(str, refs), changes, strict=True)])
        return await self.one(changes[0])

    async def together(self, title: str, deeds: Sequence[Deed], brief: bool = False) -> bool:
        """All of them shown on a screen of their own, one yes, then a result for each. True when all were done.

        `brief`: that screen goes by itself when all was done.
        """
        from screens.results import ResultScreen

        ended: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        screen = ResultScreen(Batch(self._screen.desk, title, deeds), lambda batch: None if ended.done() else ended.set_result(batch), brief)
        self._screen.app.push_screen(screen)
        batch = self.batch = await ended
        if not batch.begun:
            self._screen.say("Left; nothing was done.", "dim")
            return False
        self.keep_undo([deed.plan for deed in batch.deeds if deed.plan is not None and deed.word == "done"])
        self.after()
        self._screen.say(batch.sentence(), "ok" if batch.exit_code() == 0 else "warn")
        return batch.exit_code() == 0

    def number(self, target: str) -> str:
        """What people call a record of the list, without asking its system: its first cell, else its id."""
        for pane in self._screen.console.desk_screen().panes:
            for _, row in pane.grid.window.rows():
                if row.key == target:
                    return row.cells[0].rstrip("*") if pane.source.domain == "tickets" else row.cells[1]
        return target.split(":", 2)[2][:12]

    async def one(self, change: Change) -> bool:
        """Plan, confirm, do, read back, say. A conflict is shown field by field, and what is kept of mine is planned anew."""
        wanted: Change | None = change
        while wanted is not None:
            self._shown = None
            try:
                performed = await perform(self._screen.desk, wanted, confirm=confirm_on(self._screen, self._ask))
            except Conflict as error:
                wanted = await settle(self._screen, wanted, error, self._shown)
                self.after()
                continue
            return self._did(performed)
        return False

    def _did(self, performed: Performed) -> bool:
        done = performed.outcome is not None and performed.outcome.word == "done"
        if done:
            self.keep_undo([performed.plan])
        self._say(performed)
        self.after()
        acted = getattr(self._screen, "acted", None)
        if done and acted is not None:
            acted(performed)
        self.last = performed
        return done

    def keep_undo(self, plans: Sequence[Plan]) -> None:
        """What can be taken back of what was just done."""
        found = [replace(plan.inverse, label=plan.change.label) for plan in plans if plan.inverse is not None]
        self._screen.console.undoable = found if len(found) == len(plans) else []

    async def undo(self) -> None:
        """Take back what was done last, where it can be; it is planned and shown as anything else."""
        changes, self._screen.console.undoable = self._screen.console.undoable, []
        if not changes:
            self._screen.say("Nothing to take back: what was done last can't be, or nothing was done yet.", "dim")
        elif len(changes) == 1:
            await self.one(changes[0])
        else:
            await self.together("Take back", [Deed(change.label.split(" ")[0] or change.target[:12], change) for change in changes])

    def _ask(self, plan: Plan) -> None:
        self._shown = plan

    def _say(self, performed: Performed) -> None:
        if performed.outcome is None:
            self._screen.say("Left; nothing was done.", "dim")
            return
        outcome = performed.outcome
        differs = "; ".join(f"{field}: wanted {want}, is {found}" for field, (want, found) in outcome.differs.items())
        taken_back = "Z takes it back" if self._screen.console.undoable and outcome.word == "done" else ""
        text = " - ".join(part for part in (outcome.text, differs, performed.note, taken_back) if part)
        self._screen.say(
            f"{outcome.word.capitalize()}: {performed.plan.summary}" + (f" - {text}" if text else ""), _OUTCOME_TONE[outcome.word]
        )

    async def by_name(self, name: str, rest: str) -> None:
        """`assign`, `macro` and `template` of the command line, with what stands behind them."""
        if name == "assign":
            work = TicketVerbs(self._screen, self)
            await (work.assign_to(rest) if rest else work.assign())
            return
        config = self._screen.desk.config
        if name == "macro":
            found = next((one for one in config.macros if one.name == rest), None)
            words = TicketWords(self._screen, self)
            await (words.run_macro(found) if found else words.choose_macro())
            return
        made = next((one for one in config.templates if one.name == rest), None)
        intake = TicketIntake(self._screen, self)
        await (intake.use(made) if made else intake.choose())

    async def plain(self, verb: str) -> None:
        """A verb that asks nothing."""
        await self.change(verb)

    def backend(self, target: str = "") -> Any:
        """The backend of a target; without one the first ticket system."""
        ref = Ref.parse(target) if target else None
        for opened in self._screen.desk.backends(ref.domain if ref else "tickets"):
            if opened.backend is not None and (ref is None or opened.name == ref.backend):
                return opened.backend
        return None

    async def restore(self) -> None:
        """Files for the record: it stands open below, so that the restore knows its ticket, host or mailbox."""
        from screens.restore_choice import restore_of

        targets = self.targets()
        if targets:
            await restore_of(self._screen, Ref.parse(targets[0]))

    # -- devices and accounts ---------------------------------------------------------------------------

    async def acknowledge(self) -> None:
        """Say that somebody is on it."""
        comment = await self._screen.bottom.ask("Acknowledge with the comment:")
        if comment is not None:
            await self.change("ack", {"comment": comment.strip()})

    async def downtime(self) -> None:
        """Planned work from now for a time."""
        from datetime import timedelta

        from backends.contract import now
        from backends.options import seconds

        length = await self._screen.bottom.ask("Downtime from now for how long (90m, 2h, 1d):", "2h")
        if length is None:
            return
        comment = await self._screen.bottom.ask("What is done meanwhile:")
        if comment is None:
            return
        try:
            end = now() + timedelta(seconds=seconds(length.strip()))
        except ValueError as error:
            self._screen.say(str(error), "warn")
            return
        await self.change("downtime", {"start": now().isoformat(), "end": end.isoformat(), "comment": comment.strip()})

    async def _membership(self, verb: str) -> None:
        targets = self.targets()
        if not targets:
            return
        groups = await self.backend(targets[0]).groups()
        names = [group.name for group in groups]
        group = await self._screen.bottom.ask(
            "Into which group:" if verb == "add-member" else "Out of which group:",
            complete=lambda head: [name for name in names if name.startswith(head.split(" ")[-1])],
        )
        if group:
            await self.change(verb, {"group": group.strip()})

    async def expiry(self) -> None:
        """The day an account ends."""
        day = await self._screen.bottom.ask("Ends on (YYYY-MM-DD, empty: never):")
        if day is not None:
            await self.change("expiry", {"expires": day.strip()})
