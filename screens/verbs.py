"""The verbs on records: each asks what it must know, makes a `Change`, and gives it to the one write path.

No verb here touches a backend: `console.perform` plans, the bottom line confirms, and what was read back is shown.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backends.contract import Change, Plan, Ref
from backends.errors import BackendError
from console.perform import Confirmation, Performed, perform
from screens.plan_lines import plan_lines
from screens.ticket_verbs import TicketVerbs
from widgets.toned import Line

if TYPE_CHECKING:
    from screens.base import ConsoleScreen, Handler

_OUTCOME_TONE = {"done": "ok", "partial": "warn", "refused": "bad", "unknown": "bad"}


class Verbs:
    """Write verbs on the screen's targets (references); `after` shows what changed."""

    def __init__(self, screen: ConsoleScreen, targets: Callable[[], list[str]], after: Callable[[], None]) -> None:
        self._screen = screen
        self.targets = targets
        self._after = after

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {
            **TicketVerbs(self._screen, self).handlers(),
            "devices.check": lambda: self.plain("check"), "devices.ack": self.acknowledge, "devices.unack": lambda: self.plain("unack"),
            "devices.downtime": self.downtime, "devices.ticket": self.ticket_about, "accounts.ticket": self.ticket_about,
            "accounts.unlock": lambda: self.plain("unlock"), "accounts.enable": lambda: self.plain("enable"),
            "accounts.disable": lambda: self.plain("disable"), "accounts.add-member": lambda: self._membership("add-member"),
            "accounts.remove-member": lambda: self._membership("remove-member"), "accounts.expiry": self.expiry,
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
            return await self._bulk(verb, changes)
        return await self.one(changes[0])

    async def _bulk(self, verb: str, changes: list[Change]) -> bool:
        """All of them planned and shown at once, one yes, then a result for each."""
        plans: list[Plan] = []
        refused: list[str] = []
        for change in changes:
            try:
                plans.append((await perform(self._screen.desk, change, confirm=self._confirm, dry_run=True)).plan)
            except BackendError as error:
                refused.append(f"{change.target[:12]}: {error.text}")
        lines: list[Line] = [((f" {verb} {len(plans)} of {len(changes)} marked", "title"),)]
        lines += [((f"   {plan.summary}", ""), ("  " + plan.public if plan.public else "", "public")) for plan in plans]
        lines += [((f"   not possible: {text}", "warn"),) for text in refused]
        word = str(len(plans)) if any(plan.danger >= 2 for plan in plans) else ""
        if not plans or not await self._screen.bottom.confirm(lines, word):
            self._screen.say("Left; nothing was done." if plans else f"Not possible: {'; '.join(refused)}", "dim" if plans else "warn")
            return False
        failed = list(refused)
        for plan in plans:
            await self._bulk_one(plan, word, failed)
        self._after()
        done = len(changes) - len(failed)
        self._screen.say(f"{done} done" + (f", {len(failed)} not: {'; '.join(failed)}" if failed else ""), "warn" if failed else "ok")
        return not failed

    async def _bulk_one(self, plan: Plan, reason: str, failed: list[str]) -> None:
        async def yes(fresh: Plan) -> Confirmation | None:
            return Confirmation(fresh.confirm_word, "marked together" if reason else "")

        name = (plan.change.label or plan.change.target).split(" ")[0]
        try:
            performed = await perform(self._screen.desk, replace(plan.change, values=self._asked(plan)), confirm=yes)
        except BackendError as error:
            failed.append(f"{name}: {error.text}")
            return
        if performed.outcome is None or performed.outcome.word != "done":
            failed.append(f"{name}: {performed.outcome.word if performed.outcome else 'left'}")

    @staticmethod
    def _asked(plan: Plan) -> dict[str, Any]:
        """What was wanted, without what the planning added."""
        return {name: value for name, value in plan.change.values.items() if name not in ("event", "was", "other", "new")}

    async def one(self, change: Change) -> bool:
        """Plan, confirm, do, read back, say."""
        performed = await perform(self._screen.desk, change, confirm=self._confirm)
        self._say(performed)
        self._after()
        return performed.outcome is not None and performed.outcome.word == "done"

    async def _confirm(self, plan: Plan) -> Confirmation | None:
        word = plan.confirm_word if plan.danger >= 2 else ""
        if not await self._screen.bottom.confirm(plan_lines(plan), word):
            return None
        needs_reason = plan.danger >= 2 and not plan.change.values.get("reason")
        reason = await self._screen.bottom.ask("Why? (goes into the record)") if needs_reason else ""
        return None if reason is None else Confirmation(typed=word, reason=reason)

    def _say(self, performed: Performed) -> None:
        if performed.outcome is None:
            self._screen.say("Left; nothing was done.", "dim")
            return
        outcome = performed.outcome
        differs = "; ".join(f"{field}: wanted {want}, is {found}" for field, (want, found) in outcome.differs.items())
        text = " - ".join(part for part in (outcome.text, differs) if part)
        self._screen.say(
            f"{outcome.word.capitalize()}: {performed.plan.summary}" + (f" - {text}" if text else ""), _OUTCOME_TONE[outcome.word]
        )

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

    # -- writing ----------------------------------------------------------------------------------------

    def compose(self, verb: str, title: str, tone: str, values: Callable[[str], Awaitable[dict[str, Any]]] | None = None) -> None:
        """A text on its own screen; `values` makes the change's values of it."""
        from screens.compose import ComposeScreen

        targets = self.targets()[:1]
        if not targets:
            return
        label = self._label()

        async def send(text: str) -> bool:
            composing = Verbs(screen, lambda: targets, self._after)
            done = await composing.change(verb, await values(text) if values else {"body": text}, targets=targets)
            if done:
                self._screen.say(f"Done: {verb} on {label}", "ok")
            return done

        screen = ComposeScreen(f"{title} {label}", tone, f"{verb}:{targets[0]}", send)
        self._screen.app.push_screen(screen)

    def _label(self) -> str:
        label = getattr(self._screen, "label", None)
        if callable(label):
            return str(label())
        return self.targets()[0].split(":", 2)[2]

    async def ticket_about(self) -> None:
        """A new ticket about the device or account under the cursor."""
        await self.new_ticket(self.targets()[:1])

    async def new_ticket(self, about: list[str]) -> None:
        """A new ticket about these records: subject, requester, a line of text."""
        bottom = self._screen.bottom
        names = [opened.name for opened in self._screen.desk.backends("tickets") if opened.backend is not None]
        if not names:
            self._screen.say("No ticket system is open.", "warn")
            return
        subject = await bottom.ask("New ticket, subject:")
        if not subject or not subject.strip():
            return
        who = await bottom.ask("Requester (login, name or address; empty: yourself):")
        if who is None:
            return
        body = await bottom.ask("What happened? (one line; empty is fine)")
        if body is None:
            return
        person = (
            {"email": who.strip()}
            if "@" in who
            else {"login": who.strip() or self._screen.desk.actor.login, "name": who.strip() or self._screen.desk.actor.display}
        )
        values = {"subject": subject.strip(), "body": body.strip(), "requester": person, "refs": about}
        await self.one(Change("tickets", names[0], "create", values=values))

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
