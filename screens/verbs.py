"""The verbs on records: each asks what it must know, makes a `Change`, and gives it to the one write path.

No verb here touches a backend: `console.perform` plans, the bottom line confirms, and what was read back is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from backends.contract import Change, Plan, Ref
from console.perform import Confirmation, Performed, perform
from screens.plan_lines import plan_lines

if TYPE_CHECKING:
    from screens.base import ConsoleScreen, Handler

_OUTCOME_TONE = {"done": "ok", "partial": "warn", "refused": "bad", "unknown": "bad"}


class Verbs:
    """Write verbs on the screen's targets (references); `after` shows what changed."""

    def __init__(self, screen: ConsoleScreen, targets: Callable[[], list[str]], after: Callable[[], None]) -> None:
        self._screen = screen
        self._targets = targets
        self._after = after

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {
            "tickets.take": lambda: self._plain("take"), "tickets.release": lambda: self._plain("release"),
            "tickets.assign": self.assign, "tickets.status": self.status, "tickets.reply": self.reply, "tickets.note": self.note,
            "tickets.create": self.create, "tickets.edit": self.edit,
            "devices.check": lambda: self._plain("check"), "devices.ack": self.acknowledge, "devices.unack": lambda: self._plain("unack"),
            "devices.downtime": self.downtime, "devices.ticket": self.ticket_about, "accounts.ticket": self.ticket_about,
            "accounts.unlock": lambda: self._plain("unlock"), "accounts.enable": lambda: self._plain("enable"),
            "accounts.disable": lambda: self._plain("disable"), "accounts.add-member": lambda: self._membership("add-member"),
            "accounts.remove-member": lambda: self._membership("remove-member"), "accounts.expiry": self.expiry,
        }  # fmt: skip

    # -- the one way ------------------------------------------------------------------------------------

    async def change(self, verb: str, values: Mapping[str, Any] | None = None, *, targets: list[str] | None = None) -> bool:
        """Do a verb to every target, one after the other; True when all were done."""
        refs = [Ref.parse(target) for target in (self._targets() if targets is None else targets)]
        if not refs:
            self._screen.say("Nothing is selected.", "warn")
            return False
        done = 0
        for ref in refs:
            change = Change(ref.domain, ref.backend, verb, ref.id, values=dict(values or {}))
            done += await self.one(change)
        if len(refs) > 1:
            self._screen.say(f"{done} of {len(refs)} done.", "ok" if done == len(refs) else "warn")
        return done == len(refs)

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

    async def _plain(self, verb: str) -> None:
        await self.change(verb)

    def _backend(self, target: str = "") -> Any:
        ref = Ref.parse(target) if target else None
        for opened in self._screen.desk.backends(ref.domain if ref else "tickets"):
            if opened.backend is not None and (ref is None or opened.name == ref.backend):
                return opened.backend
        return None

    # -- tickets ----------------------------------------------------------------------------------------

    async def assign(self) -> None:
        """To whom, with the names the desk knows."""
        words = await self._backend().vocabulary()
        who = await self._screen.bottom.ask(
            "Assign to:", complete=lambda head: [name for name in words.agents if name.startswith(head.split(" ")[-1])]
        )
        if who is not None:
            await self.change("assign", {"assignee": who.strip()})

    async def status(self) -> None:
        """One of the statuses offered; a waiting or solved one asks why."""
        targets = self._targets()
        if not targets:
            return
        ticket = await self._backend(targets[0]).ticket(Ref.parse(targets[0]).id)
        words = await self._backend(targets[0]).vocabulary()
        items = [(str(place + 1), name, name) for place, name in enumerate(ticket.offered[:9])]
        status = await self._screen.bottom.choose(f"{ticket.row.number} is {ticket.row.status}. Which status?", items)
        if status is None:
            return
        values: dict[str, Any] = {"status": status}
        phase = words.statuses.get(status)
        if phase in ("paused", "resolved"):
            reason = await self._screen.bottom.ask("Waiting for what?" if phase == "paused" else "What solved it?")
            if reason is None:
                return
            values["reason"] = reason.strip()
        await self.change("status", values)

    async def edit(self) -> None:
        """One field to a new value."""
        items = [("s", "subject", "subject"), ("q", "queue", "queue"), ("c", "category", "category"), ("i", "impact", "impact (1 widest to 4)"),
                 ("u", "urgency", "urgency (1 most urgent to 4)"), ("p", "priority", "priority (1 to 4)")]  # fmt: skip
        field = await self._screen.bottom.choose("Change which field?", items)
        if field is None:
            return
        value = await self._screen.bottom.ask(f"New {field}:")
        if value is not None:
            number = field in ("impact", "urgency", "priority") and value.strip().isdigit()
            await self.change("edit", {field: int(value) if number else value.strip()})

    def reply(self) -> None:
        """A public reply, written on its own screen."""
        self._compose("reply", "PUBLIC reply to", "public")

    def note(self) -> None:
        """An internal note, written on its own screen."""
        self._compose("note", "Internal note on", "internal")

    def _compose(self, verb: str, title: str, tone: str) -> None:
        from screens.compose import ComposeScreen

        targets = self._targets()[:1]
        if not targets:
            return
        label = self._label()

        async def send(text: str) -> bool:
            composing = Verbs(screen, lambda: targets, self._after)
            done = await composing.change(verb, {"body": text}, targets=targets)
            if done:
                self._screen.say(f"Done: {verb} on {label}", "ok")
            return done

        screen = ComposeScreen(f"{title} {label}", tone, f"{verb}:{targets[0]}", send)
        self._screen.app.push_screen(screen)

    def _label(self) -> str:
        label = getattr(self._screen, "label", None)
        if callable(label):
            return str(label())
        return self._targets()[0].split(":", 2)[2]

    async def create(self) -> None:
        """A new ticket: subject, requester, then the text."""
        await self._new_ticket([])

    async def ticket_about(self) -> None:
        """A new ticket about the device or account under the cursor."""
        await self._new_ticket(self._targets()[:1])

    async def _new_ticket(self, about: list[str]) -> None:
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
        targets = self._targets()
        if not targets:
            return
        groups = await self._backend(targets[0]).groups()
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
