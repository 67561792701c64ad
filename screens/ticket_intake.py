"""New tickets: typed, from a template, from a call, about a device or an account. Answers are kept until the ticket is made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.contract import Change, Ref, now
from backends.errors import BackendError
from console.placeholders import plain_values
from console.templates import Template, ticket_of
from screens.form import Form
from screens.person_line import ask_person

if TYPE_CHECKING:
    from backends.tickets.model import Person
    from screens.base import ConsoleScreen, Handler
    from screens.verbs import Verbs

_KEYS = "123456789abcdefghijklm"
_PERSON = ("name", "email", "phone", "login", "location", "department")


class TicketIntake:
    """Asks on the bottom line of a screen and makes one ticket."""

    def __init__(self, screen: ConsoleScreen, verbs: Verbs) -> None:
        self._screen, self._verbs = screen, verbs

    def handlers(self) -> Mapping[str, Handler]:
        """Action id -> handler."""
        return {
            "tickets.create": self.create, "tickets.template": self.choose, "tickets.intake": self.call,
            "devices.ticket": self.about, "accounts.ticket": self.about,
        }  # fmt: skip

    def _system(self) -> str:
        """The name of the ticket system new tickets go to, or "" with a word about it."""
        name = next((opened.name for opened in self._screen.desk.backends("tickets") if opened.backend is not None), "")
        if not name:
            self._screen.say("No ticket system is open.", "warn")
        return name

    async def call(self) -> None:
        """The command line with `call ` in it."""
        from screens.commands import Commands

        await Commands(self._screen).ask("call ")

    async def create(self) -> None:
        """Subject, requester, a line of text."""
        await self._new(Form(self._screen, "new"), {})

    async def about(self) -> None:
        """About the device or account under the cursor; a fault of a device gives its subject and its key, so that it is not made twice."""
        targets = self._verbs.targets()[:1]
        if not targets:
            self._screen.say("Nothing is selected.", "warn")
            return
        ref = Ref.parse(targets[0])
        values: dict[str, Any] = {"refs": targets}
        if ref.domain == "devices":
            values |= await self._fault(ref)
        elif ref.domain == "accounts":
            values |= await self._holder(ref)
        await self._new(Form(self._screen, f"new:{targets[0]}"), values)

    async def _fault(self, ref: Ref) -> dict[str, Any]:
        try:
            device = await self._verbs.backend(str(ref)).device(ref.id)
        except BackendError:
            return {}
        from console.alerting import ticket_values

        values = ticket_values(device)
        if "dedupe_key" not in values:
            return values
        return {**values, "requester": {**self._own(), "location": device.row.site}}

    async def _holder(self, ref: Ref) -> dict[str, Any]:
        try:
            account = await self._verbs.backend(str(ref)).account(ref.id)
        except BackendError:
            return {}
        row = account.row
        person = {"name": row.name, "email": row.mail, "phone": account.phone, "login": row.login, "location": account.room, "department": row.department}
        return {"requester": {name: value for name, value in person.items() if value}}

    def _own(self) -> dict[str, str]:
        actor = self._screen.desk.actor
        return {"name": actor.display or actor.login, "login": actor.login}

    async def _new(self, form: Form, values: dict[str, Any]) -> None:
        system = self._system()
        if not system:
            return
        subject = await form.ask("subject", "New ticket, subject:", str(values.get("subject", "")))
        if not subject:
            return
        if "requester" not in values:
            person = await ask_person(self._screen, form, "Requester (login, name, address or number; empty: yourself):")
            if person is None:
                return
            values["requester"] = _plain(person)
        body = await form.ask("body", "What happened? (one line; empty is fine)", str(values.get("body", "")))
        if body is None:
            return
        values |= {"subject": subject, "body": body}
        if await self._verbs.one(Change("tickets", system, "create", values=values)):
            await form.done()

    # -- templates ----------------------------------------------------------------------------------------

    async def choose(self) -> None:
        """A template by its key."""
        templates = self._screen.desk.config.templates
        if not templates:
            self._screen.say("No templates yet: [templates.NAME] in the configuration; docs/configuration.md has one.", "warn")
            return
        items = [(_KEYS[place], one.name, f"{one.name}  {one.text or one.subject}") for place, one in enumerate(templates[: len(_KEYS)])]
        name = await self._screen.bottom.choose("New ticket from which template?", items)
        if name is not None:
            await self.use(next(one for one in templates if one.name == name))

    async def use(self, template: Template) -> None:
        """Its questions one by one, who it is for, then one yes."""
        system = self._system()
        if not system:
            return
        form = Form(self._screen, f"template:{template.name}")
        answers: dict[str, str] = {}
        for name, question in template.questions():
            typed = await form.ask(f"field.{name}", question)
            if typed is None:
                return
            answers[name] = typed
        person = await ask_person(self._screen, form, "Requester (empty: yourself):", template.requester)
        if person is None:
            return
        config = self._screen.desk.config
        known = {**plain_values(self._screen.desk.actor, config.site_name, now(), config.timezone), **person_values(person)}
        values, empty = ticket_of(template, answers, known, hasattr(self._verbs.backend(), "plan_check"))
        if empty:
            self._screen.say(f"Nothing is known for {', '.join(f'{{{name}}}' for name in empty)}: left empty.", "warn")
        if await self._verbs.one(Change("tickets", system, "create", values={**values, "requester": _plain(person)})):
            await form.done()


def _plain(person: Person) -> dict[str, str]:
    return {name: value for name, value in dataclasses.asdict(person).items() if name in _PERSON and value}


def person_values(person: Person) -> dict[str, str]:
    """The fields of a requester."""
    return {f"requester.{name}": getattr(person, name) for name in _PERSON} | {"requester.first": person.name.split(" ")[0]}
