"""The verbs on tickets: each asks what it must know and gives its change to the one write path. No verb here touches a backend's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.contract import Ref
from console.saving import save_attachment

if TYPE_CHECKING:
    from screens.base import ConsoleScreen, Handler
    from screens.verbs import Verbs

_RELATIONS = (
    ("p", "parent", "that one is the parent"), ("c", "child", "that one is a child"), ("b", "blocks", "this one blocks it"),
    ("w", "blocked_by", "this one waits for it"), ("r", "relates", "they belong together"), ("d", "duplicates", "this one is the same again"),
)  # fmt: skip


class TicketVerbs:
    """Asks on the bottom line of a screen, acts on the targets of its `Verbs`."""

    def __init__(self, screen: ConsoleScreen, verbs: Verbs) -> None:
        self._screen, self._verbs = screen, verbs

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        plain = {f"tickets.{verb}": self._plain(verb) for verb in ("take", "release", "steal", "unmerge")}
        return {
            **plain, "tickets.assign": self.assign, "tickets.status": self.status, "tickets.reply": self.reply, "tickets.note": self.note,
            "tickets.solve": self.solve, "tickets.create": self.create, "tickets.edit": self.edit, "tickets.refer": self.refer,
            "tickets.vendor-return": self.vendor_return, "tickets.time": self.time, "tickets.log-call": self.call, "tickets.relate": self.relate,
            "tickets.merge": self.merge, "tickets.split": self.split, "tickets.watch": self.watch, "tickets.approve": self.approve,
            "tickets.decide": self.decide, "tickets.check": self.check, "tickets.attach": self.attach, "tickets.save": self.save,
        }  # fmt: skip

    def _plain(self, verb: str) -> Handler:
        return lambda: self._verbs.plain(verb)

    async def _ask(self, label: str, text: str = "", words: Sequence[str] = ()) -> str | None:
        """A line, with completion of its last word; None when it was left."""
        complete = (lambda head: [word for word in words if word.lower().startswith(head.split(" ")[-1].lower())]) if words else None
        typed = await self._screen.bottom.ask(label, text, complete=complete)
        return typed.strip() if typed is not None else None

    async def _ticket(self) -> Any:
        """The first target, whole; None when there is none."""
        targets = self._verbs.targets()
        if not targets:
            self._screen.say("No ticket is selected.", "warn")
            return None
        return await self._verbs.backend(targets[0]).ticket(Ref.parse(targets[0]).id)

    # -- moving it along --------------------------------------------------------------------------------

    async def assign(self) -> None:
        """To somebody, or to a team with @ in front."""
        targets = self._verbs.targets()
        words = await self._verbs.backend(targets[0] if targets else "").vocabulary()
        who = await self._ask("Assign to (a login, @team, empty: nobody):", words=[*words.agents, *(f"@{team}" for team in words.teams)])
        if who is not None:
            await self._verbs.change("assign", {"team": who[1:]} if who.startswith("@") else {"assignee": who})

    async def status(self) -> None:
        """One of the statuses offered; a waiting or solved one asks why."""
        ticket = await self._ticket()
        if ticket is None:
            return
        words = await self._verbs.backend(self._verbs.targets()[0]).vocabulary()
        items = [(str(place + 1), name, name) for place, name in enumerate(ticket.offered[:9])]
        status = await self._screen.bottom.choose(f"{ticket.row.number} is {ticket.row.status}. Which status?", items)
        if status is None:
            return
        values: dict[str, Any] = {"status": status}
        phase = words.statuses.get(status)
        if phase in ("paused", "resolved"):
            reason = await self._ask("Waiting for what?" if phase == "paused" else "What solved it?")
            if reason is None:
                return
            values["reason"] = reason
        if phase == "paused":
            until = await self._ask("Until when (2026-12-01, empty: open end)? It comes back by itself then:")
            if until is None:
                return
            values |= {"until": _day(until)} if until else {}
        await self._verbs.change("status", values)

    async def edit(self) -> None:
        """One field to a new value."""
        items = [("s", "subject", "subject"), ("q", "queue", "queue"), ("c", "category", "category"), ("k", "kind", "kind (incident, request, problem, change, task)"),
                 ("i", "impact", "impact (1 widest to 4)"), ("u", "urgency", "urgency (1 most urgent to 4)"), ("p", "priority", "priority (1 to 4), by hand"),
                 ("w", "location", "where"), ("t", "tags", "tags")]  # fmt: skip
        field = await self._screen.bottom.choose("Change which field?", items)
        if field is None:
            return
        targets = self._verbs.targets()
        words = await self._verbs.backend(targets[0] if targets else "").vocabulary()
        known = {"queue": words.queues, "category": words.categories}.get(field, ())
        value = await self._ask(f"New {field}:", words=known)
        if value is None:
            return
        values: dict[str, Any] = {field: int(value) if field in ("impact", "urgency", "priority") and value.isdigit() else value}
        if field == "tags":
            values = {"tags": value.replace(",", " ").split()}
        if field == "priority":
            reason = await self._ask("Why, other than impact and urgency say?")
            if reason is None:
                return
            values["priority_reason"] = reason
        await self._verbs.change("edit", values)

    # -- words ------------------------------------------------------------------------------------------

    def reply(self) -> None:
        """A public reply, written on its own screen."""
        self._verbs.compose("reply", "PUBLIC reply to", "public")

    def solve(self) -> None:
        """A public reply that solves the ticket, in one step."""
        self._verbs.compose("reply", "PUBLIC reply that solves", "public", self._solved)

    async def _solved(self, text: str) -> dict[str, Any]:
        words = await self._verbs.backend(self._verbs.targets()[0]).vocabulary()
        status = next((word for word, phase in words.statuses.items() if phase == "resolved"), "Resolved")
        return {"body": text, "status": status, "reason": text.strip().splitlines()[0][:300]}

    def note(self) -> None:
        """An internal note, written on its own screen."""
        self._verbs.compose("note", "Internal note on", "internal")

    async def call(self) -> None:
        """A telephone call with the requester."""
        minutes = await self._ask("Call: how many minutes?", "5")
        body = await self._ask("Call: what was said?") if minutes is not None else None
        if body is not None:
            await self._verbs.change("log-call", {"minutes": _number(minutes), "body": body})

    async def time(self) -> None:
        """Minutes spent."""
        minutes = await self._ask("Minutes spent:")
        if minutes:
            await self._verbs.change("time", {"minutes": _number(minutes)})

    # -- others -----------------------------------------------------------------------------------------

    async def refer(self) -> None:
        """To a vendor, with the day of the follow-up."""
        targets = self._verbs.targets()
        words = await self._verbs.backend(targets[0] if targets else "").vocabulary()
        values: dict[str, Any] = {}
        for name, label in (("vendor", "Refer to which vendor?"), ("contact", "Contact there (empty is fine):"), ("reference", "Their reference (empty is fine):"),
                            ("promised", "Promised for (2026-12-01, empty: nothing promised):"), ("follow_up", "Follow up on (2026-12-01; it comes back to the queue then):")):  # fmt: skip
            value = await self._ask(label, words=words.vendors if name == "vendor" else ())
            if value is None or (name == "vendor" and not value):
                return
            if value:
                values[name] = value
        await self._verbs.change("refer", values)

    async def vendor_return(self) -> None:
        """Back from the vendor."""
        body = await self._ask("Back from the vendor. What did they do?")
        if body:
            await self._verbs.change("vendor-return", {"body": body})

    async def watch(self) -> None:
        """Who is told of public replies, or follows it."""
        names = await self._ask("Tell also (addresses or logins; - in front takes one off):", words=[self._screen.desk.actor.login])
        if names:
            words = names.replace(",", " ").split()
            await self._verbs.change("watch", {"add": [word for word in words if word[0] != "-"], "remove": [word[1:] for word in words if word[0] == "-"]})

    async def approve(self) -> None:
        """Ask for authority."""
        what = await self._ask("Authority for what?")
        by = await self._ask("Who decides (login)?") if what else None
        if by:
            await self._verbs.change("approve", {"what": what, "by": by})

    async def decide(self) -> None:
        """Give or refuse authority."""
        ticket = await self._ticket()
        open_ = [one for one in ticket.approvals if not one.decision] if ticket is not None else []
        if not open_:
            self._screen.say("Nothing waits for a decision here.", "warn")
            return
        items = [(str(place), one.id, f"{one.what}, asked of {one.by}") for place, one in enumerate(open_[:9], 1)]
        ident = await self._screen.bottom.choose("Decide on what?", items) if len(open_) > 1 else open_[0].id
        decision = await self._screen.bottom.choose("Which decision?", [("y", "approved", "approve it"), ("n", "refused", "refuse it")]) if ident else None
        document = await self._ask("The document it stands on (empty: your own word):") if decision else None
        if document is not None:
            await self._verbs.change("decide", {"id": ident, "decision": decision, "document": document})

    # -- ties -------------------------------------------------------------------------------------------

    async def relate(self) -> None:
        """A tie to another ticket."""
        kind = await self._screen.bottom.choose("How are they tied?", _RELATIONS)
        other = await self._ask("To which ticket (number)?") if kind else None
        if other:
            await self._verbs.change("relate", {"kind": kind, "to": other})

    async def merge(self) -> None:
        """Into another one; marked ones all into it."""
        other = await self._ask("Merge into which ticket (number)? It carries on, this one ends:")
        if other:
            await self._verbs.change("merge", {"into": other})

    async def split(self) -> None:
        """A new ticket out of some entries."""
        ticket = await self._ticket()
        if ticket is None:
            return
        numbers = await self._ask("Split off which entries (their numbers in the timeline, such as 3 5)?")
        subject = await self._ask("Subject of the new ticket:") if numbers else None
        if subject:
            seqs = [int(word) for word in (numbers or "").replace(",", " ").split() if word.isdigit()]
            await self._verbs.change("split", {"seqs": seqs, "subject": subject})

    # -- lists and files --------------------------------------------------------------------------------

    async def check(self) -> None:
        """Tick an item of the checklist, or add one."""
        ticket = await self._ticket()
        if ticket is None:
            return
        items = [(str(place), text, f"{'[x]' if done else '[ ]'} {text}") for place, (text, done) in enumerate(ticket.checklist[:9], 1)]
        item = await self._screen.bottom.choose("Which item?", [*items, ("n", "", "a new one")]) if items else ""
        if item is None:
            return
        done = not dict(ticket.checklist).get(item, True)
        if not item:
            item = await self._ask("New item:") or ""
        if item:
            await self._verbs.change("check", {"item": item, "done": done})

    async def attach(self) -> None:
        """Files of this machine."""
        path = await self._ask("Attach which file (path on this machine)?")
        if path:
            await self._verbs.change("attach", {"files": [{"path": path}]})

    async def save(self) -> None:
        """An attachment to a folder of this machine; nothing is overwritten."""
        ticket = await self._ticket()
        if ticket is None or not ticket.attachments:
            self._screen.say("Nothing is attached to it.", "warn")
            return
        items = [(str(place), file.id, f"{file.name}  {file.size:,} bytes") for place, file in enumerate(ticket.attachments[:9], 1)]
        ident = await self._screen.bottom.choose("Save which file?", items)
        folder = await self._ask("Into which folder?", "~") if ident else None
        if folder:
            file = next(one for one in ticket.attachments if one.id == ident)
            where = await save_attachment(self._verbs.backend(self._verbs.targets()[0]), ticket.row.id, file, folder)
            self._screen.say(f"Saved as {where}", "ok")

    async def create(self) -> None:
        """A new ticket: subject, requester, then the text."""
        await self._verbs.new_ticket([])


def _number(text: str | None) -> int:
    digits = (text or "").strip().removesuffix("m")
    return int(digits) if digits.isdigit() else 0


def _day(text: str) -> str:
    return f"{text}T12:00:00+00:00" if len(text) == 10 else text

