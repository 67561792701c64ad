"""Words on tickets: reply, reply that solves, note, call, time, and macros. Each becomes a change of the one write path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.contract import Change, Ref, now
from backends.tickets.model import Phase, Ticket
from console.batch import Deed
from console.fair import ranked
from console.macros import FAIR, Macro, deeds
from console.placeholders import ticket_values
from console.spent import minutes_spent
from screens.compose import ComposeScreen, Way, Written
from screens.form import Form

if TYPE_CHECKING:
    from screens.base import ConsoleScreen, Handler
    from screens.verbs import Verbs

_KEYS = "123456789abcdefghijklm"


class TicketWords:
    """Asks on the screen, writes on a screen of its own, acts on the targets of its `Verbs`."""

    def __init__(self, screen: ConsoleScreen, verbs: Verbs) -> None:
        self._screen, self._verbs = screen, verbs

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {
            "tickets.reply": self.reply, "tickets.solve": self.solve, "tickets.note": self.note, "tickets.log-call": self.call, "tickets.time": self.time,
            "tickets.macro": self.choose_macro,
        }  # fmt: skip

    # -- writing ----------------------------------------------------------------------------------------

    def reply(self) -> None:
        """A public reply; it may solve the ticket or set it waiting in the same step."""
        ways = (Way("c", "send and solve it", self._solved), Way("w", "send and wait for the requester", self._waiting))
        self._compose("reply", "PUBLIC reply to", "public", Way("s", "send it", self._plain), ways)

    def solve(self) -> None:
        """A public reply that solves the ticket, in one step."""
        self._compose("reply", "PUBLIC reply that solves", "public", Way("s", "send and solve it", self._solved))

    def note(self) -> None:
        """An internal note."""
        self._compose("note", "Internal note on", "internal", Way("s", "keep it on the ticket", self._plain))

    def _compose(self, verb: str, title: str, tone: str, way: Way, more: tuple[Way, ...] = ()) -> None:
        targets = self._verbs.targets()
        if not targets:
            self._screen.say("No ticket is selected.", "warn")
            return
        one = targets[0] if len(targets) == 1 else ""
        label = self._label(one) if one else f"{len(targets)} marked tickets"

        async def send(text: str, chosen: Way) -> bool:
            return await self._send(screen, verb, targets, await chosen.values(text) | screen.beside(), label)

        key, seat = f"{verb}:{one or 'marked'}", f"{label.split(' ')[0]} writes" if one else ""
        screen = ComposeScreen(f"{title} {label}", tone, key, send, (way, *more), lambda: self._written(one, verb), seat)
        self._screen.app.push_screen(screen)

    async def _send(self, screen: ComposeScreen, verb: str, targets: list[str], values: dict[str, Any], label: str) -> bool:
        """On one ticket, or on all that were marked; what was sent to some of them is not there to be sent to them again."""
        from screens.verbs import Verbs

        composing = Verbs(screen, lambda: targets, self._verbs.after)
        done = await composing.change(verb, values, targets=targets)
        if composing.batch is not None and composing.batch.counts().get("done"):
            self._screen.say(composing.batch.sentence(), "ok" if done else "warn")
            return True
        if done and composing.last is not None:
            self._screen.say(f"Done: {verb} on {label}", "ok")
            acted = getattr(self._screen, "acted", None)
            if acted is not None:
                acted(composing.last)
        return done

    async def _written(self, target: str, verb: str) -> Written:
        """Who will read it, and the fields of canned text; `target` "" for several tickets."""
        if not target:
            return Written("to the requester of each, shown before it goes" if verb == "reply" else "colleagues only; @login tells one", None)
        ticket = await self._verbs.backend(target).ticket(Ref.parse(target).id)
        person = ticket.requester
        readers = [person.email or person.label(), *(one.email or one.label() for one in ticket.watchers)]
        told = f"to {', '.join(readers)}" if verb == "reply" else "colleagues only; @login tells one"
        return Written(told, values_of(self._screen, ticket), tuple(ticket.followers))

    def _label(self, target: str) -> str:
        label = getattr(self._screen, "label", None)
        return str(label()) if callable(label) else target.split(":", 2)[2]

    async def _plain(self, text: str) -> dict[str, Any]:
        return {"body": text}

    async def _solved(self, text: str) -> dict[str, Any]:
        return {"body": text, "status": await self._word(Phase.RESOLVED), "reason": text.strip().splitlines()[0][:300]}

    async def _waiting(self, text: str) -> dict[str, Any]:
        return {"body": text, "status": await self._word(Phase.PAUSED, "request"), "reason": "an answer of the requester"}

    async def _word(self, phase: Phase, part: str = "") -> str:
        """The site's word for a phase, one that holds `part` before others."""
        words = await self._verbs.backend(self._verbs.targets()[0]).vocabulary()
        fits = [word for word, its in words.statuses.items() if its == phase]
        return next((word for word in fits if part and part in word.casefold()), fits[0] if fits else str(phase))

    # -- in one line ------------------------------------------------------------------------------------

    async def call(self) -> None:
        """A telephone call with the requester: minutes and words in one line, or two."""
        form = self._form("log-call")
        typed = await form.ask("call", "Call (time, then what was said: 5 will try again tomorrow):", "5 ")
        if typed is None:
            return
        minutes, body = minutes_spent(typed)
        if not body:
            body = await form.ask("said", "What was said?") or ""
        if body and await self._verbs.change("log-call", {"minutes": minutes, "body": body}):
            await form.done()

    async def time(self) -> None:
        """Time spent, in one line with a word about it."""
        form = self._form("time")
        typed = await form.ask("time", "Time spent (45, 1h15m, 1.5h; a word about it may follow):")
        if not typed:
            return
        minutes, body = minutes_spent(typed)
        if await self._verbs.change("time", {"minutes": minutes, "body": body}):
            await form.done()

    def _form(self, verb: str) -> Form:
        targets = self._verbs.targets()
        return Form(self._screen, f"{verb}:{targets[0] if len(targets) == 1 else 'marked'}")

    # -- macros -----------------------------------------------------------------------------------------

    async def choose_macro(self) -> None:
        """A macro by its key."""
        macros = self._screen.desk.config.macros
        if not macros:
            self._screen.say("No macros yet: [macros.NAME] in the configuration; docs/configuration.md has one.", "warn")
            return
        items = [(_KEYS[place], macro.name, f"{macro.name}  {macro.words()}") for place, macro in enumerate(macros[: len(_KEYS)])]
        name = await self._screen.bottom.choose("Which macro?", items)
        if name is not None:
            await self.run_macro(next(macro for macro in macros if macro.name == name))

    async def run_macro(self, macro: Macro) -> None:
        """All its steps on every target: shown together, one yes, a result a step."""
        targets = self._verbs.targets()
        if not targets:
            self._screen.say("No ticket is selected.", "warn")
            return
        planned: list[Deed] = []
        for target in targets:
            planned += await self._steps(macro, target)
        done = await self._verbs.together(f"Macro {macro.name}", planned, brief=len(targets) == 1)
        acted = getattr(self._screen, "acted", None)
        if done and acted is not None:
            acted(None)

    async def _steps(self, macro: Macro, target: str) -> list[Deed]:
        ref, backend = Ref.parse(target), self._verbs.backend(target)
        ticket = await backend.ticket(ref.id)
        fairest = ""
        if any(step.deed == "assign" and step.value == FAIR for step in macro.steps):
            fairest = next((load.login for load in await ranked(self._screen.desk, backend, ticket.row.team)), "")
        found = deeds(macro, ticket, values_of(self._screen, ticket), self._screen.desk.actor.login, fairest)
        return [
            Deed(ticket.row.number, Change(ref.domain, ref.backend, one.verb, ref.id, ticket.row.number, one.values), target, _lacking(one.empty)) for one in found
        ]  # fmt: skip


def _lacking(empty: tuple[str, ...]) -> str:
    return f"nothing is known for {', '.join(f'{{{name}}}' for name in empty)}: left empty" if empty else ""


def values_of(screen: ConsoleScreen, ticket: Ticket) -> dict[str, str]:
    """The fields of the site's texts for a ticket, as this person sees it."""
    config = screen.desk.config
    return ticket_values(ticket, screen.desk.actor, config.site_name, now(), config.timezone)


