"""The verbs on tickets: each asks what it must know and gives its change to the one write path. No verb here touches a backend's data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backends.contract import Change, Ref
from console.batch import Deed
from console.fair import Load, ranked
from console.macros import FAIR
from console.saving import save_attachment
from screens.form import Form

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
            **plain, "tickets.assign": self.assign, "tickets.status": self.status, "tickets.edit": self.edit, "tickets.refer": self.refer,
            "tickets.vendor-return": self.vendor_return, "tickets.relate": self.relate,
            "tickets.merge": self.merge, "tickets.split": self.split, "tickets.watch": self.watch, "tickets.approve": self.approve,
            "tickets.decide": self.decide, "tickets.check": self.check, "tickets.attach": self.attach, "tickets.save": self.save,
        }  # fmt: skip

    def _plain(self, verb: str) -> Handler:
        return lambda: self._verbs.plain(verb)

    def _form(self, verb: str) -> Form:
        """Questions of a verb on its target: what was typed is kept until it is done."""
        targets = self._verbs.targets()
        return Form(self._screen, f"{verb}:{targets[0] if len(targets) == 1 else 'marked'}")

    async def _done(self, form: Form, verb: str, values: Mapping[str, Any]) -> None:
        """The change; what was typed for it goes when it was made."""
        if await self._verbs.change(verb, values):
            await form.done()

    async def _ticket(self) -> Any:
        """The first target, whole; None when there is none."""
        targets = self._verbs.targets()
        if not targets:
            self._screen.say("No ticket is selected.", "warn")
            return None
        return await self._verbs.backend(targets[0]).ticket(Ref.parse(targets[0]).id)

    # -- moving it along --------------------------------------------------------------------------------

    async def assign(self) -> None:
        """To somebody, to a team with @ in front, or to whoever has the least."""
        targets = self._verbs.targets()
        words = await self._verbs.backend(targets[0] if targets else "").vocabulary()
        teams = dict.fromkeys([*words.teams, *self._screen.desk.config.teams])
        who = await self._form("assign").ask("who", "Assign to (a login, @team, fair: who has least; empty: nobody):", words=["fair", *words.agents, *(f"@{team}" for team in teams)])
        if who is not None:
            await self.assign_to(who)

    async def assign_to(self, who: str) -> None:
        """What was typed: a login, a team (its people with the least are proposed), `fair`."""
        targets = self._verbs.targets()
        form = self._form("assign")
        if who != FAIR and not who.startswith("@"):
            await self._done(form, "assign", {"assignee": who})
            return
        if not targets:
            self._screen.say("No ticket is selected.", "warn")
            return
        team = who[1:] if who.startswith("@") else ""
        people = await ranked(self._screen.desk, self._verbs.backend(targets[0]), team) if not team or self._team_known(team) else []
        if len(targets) > 1 and people:
            if await self._share(targets, people, team):
                await form.done()
            return
        chosen = await self._which(people, team)
        if chosen is not None:
            await self._done(form, "assign", {**({"team": team} if team else {}), **({"assignee": chosen} if chosen else {})})

    def _team_known(self, team: str) -> bool:
        return team.casefold() in [name.casefold() for name in self._screen.desk.config.teams]

    async def _which(self, people: Sequence[Load], team: str) -> str | None:
        """Who of them, the one with the least first; "" the team alone; None when it was left."""
        if not people:
            if not team:
                self._screen.say("Nobody is known who is here: name them as `agents` of the ticket system.", "warn")
            return "" if team else None
        items = [(str(place), load.login, f"{load.login}  {load.open} open") for place, load in enumerate(people[:9], 1)]
        items += [("t", "", f"only to the team {team}")] if team else []
        return await self._screen.bottom.choose("Who? The one with the least comes first.", items)

    async def _share(self, targets: Sequence[str], people: Sequence[Load], team: str) -> bool:
        """Marked tickets one by one to whoever has the least then."""
        have = {load.login: load.open for load in people}
        planned: list[Deed] = []
        for target in targets:
            login = min(have, key=lambda name: (have[name], name))
            have[login] += 1
            ref = Ref.parse(target)
            values = {"assignee": login, **({"team": team} if team else {})}
            planned.append(Deed(self._verbs.number(target), Change(ref.domain, ref.backend, "assign", ref.id, values=values)))
        return await self._verbs.together("Assign fairly", planned)

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
        form = self._form(f"status-{phase}")
        if phase in ("paused", "resolved"):
            reason = await form.ask("reason", "Waiting for what?" if phase == "paused" else "What solved it?")
            if reason is None:
                return
            values["reason"] = reason
        if phase == "paused":
            until = await form.ask("until", "Until when (2026-12-01, 3d, empty: open end)? It comes back by itself then:")
            if until is None:
                return
            values |= {"until": day_of(until)} if until else {}
        await self._done(form, "status", values)

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
        form = self._form(f"edit-{field}")
        value = await form.ask("value", f"New {field}:", self._now(field), words=known)
        if value is None:
            return
        values: dict[str, Any] = {field: int(value) if field in ("impact", "urgency", "priority") and value.isdigit() else value}
        if field == "tags":
            values = {"tags": value.replace(",", " ").split()}
        if field == "priority":
            reason = await form.ask("reason", "Why, other than impact and urgency say?")
            if reason is None:
                return
            values["priority_reason"] = reason
        await self._done(form, "edit", values)

    def _now(self, field: str) -> str:
        """The value as it stands on the screen, to be edited; "" in lists."""
        ticket = getattr(self._screen, "record", None)
        if ticket is None or len(self._verbs.targets()) != 1 or not hasattr(ticket, "tags"):
            return ""
        found = ", ".join(ticket.tags) if field == "tags" else ticket.row.location if field == "location" else getattr(ticket.row, field, "") or getattr(ticket, field, "")
        return str(found)

    # -- others -----------------------------------------------------------------------------------------

    async def refer(self) -> None:
        """To a vendor, with the day of the follow-up."""
        targets = self._verbs.targets()
        words = await self._verbs.backend(targets[0] if targets else "").vocabulary()
        values: dict[str, Any] = {}
        form = self._form("refer")
        for name, label in (("vendor", "Refer to which vendor?"), ("contact", "Contact there (empty is fine):"), ("reference", "Their reference (empty is fine):"),
                            ("promised", "Promised for (2026-12-01 or 3d, empty: nothing promised):"), ("follow_up", "Follow up on (2026-12-01 or 3d; it comes back to the queue then):")):  # fmt: skip
            value = await form.ask(name, label, words=words.vendors if name == "vendor" else ())
            if value is None or (name == "vendor" and not value):
                return
            if value:
                values[name] = day_of(value) if name in ("promised", "follow_up") else value
        await self._done(form, "refer", values)

    async def vendor_return(self) -> None:
        """Back from the vendor."""
        form = self._form("vendor-return")
        body = await form.ask("body", "Back from the vendor. What did they do?")
        if body:
            await self._done(form, "vendor-return", {"body": body})

    async def watch(self) -> None:
        """Who is told of public replies, or follows it."""
        form = self._form("watch")
        names = await form.ask("names", "Tell also (addresses or logins; - in front takes one off):", words=[self._screen.desk.actor.login])
        if names:
            words = names.replace(",", " ").split()
            await self._done(form, "watch", {"add": [word for word in words if word[0] != "-"], "remove": [word[1:] for word in words if word[0] == "-"]})

    async def approve(self) -> None:
        """Ask for authority."""
        form = self._form("approve")
        what = await form.ask("what", "Authority for what?")
        by = await form.ask("by", "Who decides (login)?") if what else None
        if by:
            await self._done(form, "approve", {"what": what, "by": by})

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
        form = self._form("decide")
        document = await form.ask("document", "The document it stands on (empty: your own word):") if decision else None
        if document is not None:
            await self._done(form, "decide", {"id": ident, "decision": decision, "document": document})

    # -- ties -------------------------------------------------------------------------------------------

    async def relate(self) -> None:
        """A tie to another ticket."""
        kind = await self._screen.bottom.choose("How are they tied?", _RELATIONS)
        form = self._form("relate")
        other = await form.ask("other", "To which ticket (number)?") if kind else None
        if other:
            await self._done(form, "relate", {"kind": kind, "to": other})

    async def merge(self) -> None:
        """Into another one; marked ones all into it."""
        form = self._form("merge")
        other = await form.ask("other", "Merge into which ticket (number)? It carries on, this one ends:")
        if other:
            await self._done(form, "merge", {"into": other})

    async def split(self) -> None:
        """A new ticket out of some entries."""
        ticket = await self._ticket()
        if ticket is None:
            return
        form = self._form("split")
        numbers = await form.ask("entries", "Split off which entries (their numbers in the timeline, such as 3 5)?")
        subject = await form.ask("subject", "Subject of the new ticket:") if numbers else None
        if subject:
            seqs = [int(word) for word in (numbers or "").replace(",", " ").split() if word.isdigit()]
            await self._done(form, "split", {"seqs": seqs, "subject": subject})

    # -- lists and files --------------------------------------------------------------------------------

    async def check(self) -> None:
        """Tick an item of the checklist, or add one."""
        ticket = await self._ticket()
        if ticket is None:
            return
        form = self._form("check")
        items = [(str(place), text, f"{'[x]' if done else '[ ]'} {text}") for place, (text, done) in enumerate(ticket.checklist[:9], 1)]
        item = await self._screen.bottom.choose("Which item?", [*items, ("n", "", "a new one")]) if items else ""
        if item is None:
            return
        done = not dict(ticket.checklist).get(item, True)
        if not item:
            item = await form.ask("item", "New item:") or ""
        if item:
            await self._done(form, "check", {"item": item, "done": done})

    async def attach(self) -> None:
        """Files of this machine."""
        form = self._form("attach")
        path = await form.ask("path", "Attach which file (path on this machine)?")
        if path:
            await self._done(form, "attach", {"files": [{"path": path}]})

    async def save(self) -> None:
        """An attachment to a folder of this machine; nothing is overwritten."""
        ticket = await self._ticket()
        if ticket is None or not ticket.attachments:
            self._screen.say("Nothing is attached to it.", "warn")
            return
        items = [(str(place), file.id, f"{file.name}  {file.size:,} bytes") for place, file in enumerate(ticket.attachments[:9], 1)]
        ident = await self._screen.bottom.choose("Save which file?", items)
        folder = await self._screen.bottom.ask("Into which folder?", "~") if ident else None
        if folder:
            file = next(one for one in ticket.attachments if one.id == ident)
            where = await save_attachment(self._verbs.backend(self._verbs.targets()[0]), ticket.row.id, file, folder)
            self._screen.say(f"Saved as {where}", "ok")


def day_of(text: str) -> str:
    """A day ("2026-12-01": its noon) or a time from now ("3d", "4h") as a moment; anything else as it is, for the plan to refuse."""
    from datetime import timedelta

    from backends.contract import now
    from backends.options import seconds

    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return f"{text}T12:00:00+00:00"
    if re.fullmatch(r"\d{1,3}[hdw]", text):
        return (now() + timedelta(seconds=seconds(text))).isoformat(timespec="seconds")
    return text
