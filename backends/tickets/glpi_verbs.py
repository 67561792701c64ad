"""The writing verbs of GLPI: people, groups and suppliers are rows beside a ticket, texts are items of their own. Never imports an adapter.

A change is answered with `true` also where nothing was changed: everything is read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.contract import Actor, Change, Outcome, Plan, Step
from backends.errors import Conflict, Invalid, Refused
from backends.text import clean
from backends.threads import in_thread
from backends.tickets.glpi_http import GlpiHttp, made
from backends.tickets.glpi_query import KINDS, PRIORITIES, STATUSES
from backends.tickets.glpi_reading import ASSIGNED, CALL, OBSERVER, SET_LEVELS, SPENT, number_of
from backends.tickets.html_text import text_html
from backends.tickets.model import Phase
from backends.tickets.planning import LONGEST_BODY, minutes_of, subject
from backends.tickets.remote import content_of
from backends.tickets.remote_plans import known, level, planned

LINKS = ("relates", "duplicates", "duplicated_by", "parent", "child")
_LINK_NUMBERS: Mapping[str, tuple[int, bool]] = {"relates": (1, True), "duplicates": (2, True), "duplicated_by": (2, False), "parent": (3, True), "child": (4, True)}
"""Kind -> (GLPI's number, whether this ticket is the first of the two)."""
DONE = 2
"""The state of a task that is done."""


class GlpiVerbs:
    """What is planned and sent. The adapter gives reading, the wire and its words."""

    name: str
    _http: GlpiHttp
    _me: str
    _my_id: int
    _words: Any
    _id: Any
    ticket: Any
    _item: Any
    _matching: Any
    _known: Any
    _ways: Any
    _measure: Any

    # -- planning -----------------------------------------------------------------------------------------

    async def plan_create(self, change: Change, actor: Actor) -> Plan:
        """A new ticket; GLPI makes the priority of impact and urgency unless one is given."""
        values, words = change.values, self._words()
        title, body = subject(values.get("subject")), str(values.get("body") or "").strip()[:LONGEST_BODY]
        queue = known("queue", values.get("queue") or next(iter(words.entities), ""), tuple(words.entities))
        fields: dict[str, Any] = {"name": title, "content": text_html(body or title), "entities_id": words.entities[queue]}
        expected: dict[str, Any] = {"subject": title, "queue": queue}
        if values.get("kind"):
            expected["kind"] = known("kind", values["kind"], tuple(KINDS))
            fields["type"] = KINDS[expected["kind"]]
        if values.get("category"):
            expected["category"] = known("category", values["category"], tuple(words.categories))
            fields["itilcategories_id"] = words.categories[expected["category"]]
        for name in ("impact", "urgency", "priority"):
            if values.get(name) is not None:
                expected[name] = level(name, values[name], (1, 2, 3, 4))
                fields[name] = PRIORITIES[expected[name]][0] if name == "priority" else SET_LEVELS[expected[name]]
        asked, shown = await self._requester(values.get("requester") or {})
        fields |= asked
        expected["holds requester"] = shown
        if values.get("assignee"):
            fields["_users_id_assign"] = await self._user_id(str(values["assignee"]))
            expected["assignee"] = str(values["assignee"])
        lost = [name for name in ("tags", "team", "due", "fields") if values.get(name)]
        effects = (f"GLPI takes no {', '.join(lost)} here: left out",) if lost else ()
        steps = (Step("subject", "", title), Step("queue", "", queue), Step("requester", "", shown), *(Step(name, "", str(expected[name])) for name in ("category", "priority") if name in expected))
        made_ = Change(change.domain, change.backend, "create", "", f"new ticket {title}", {**values, "fields": fields, "minutes": minutes_of(change)})
        return Plan(made_, f"New ticket {title}", steps, side_effects=effects, expected=expected)

    async def _requester(self, person: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """(fields of the requester, how they will be known)."""
        email, login, name = (clean(str(person.get(key) or "").strip())[:200] for key in ("email", "login", "name"))
        if not (email or login or name):
            return {"_users_id_requester": self._my_id}, self._me
        for asked in filter(None, (login, email, name)):
            for ident, one in (await self._matching(asked)).items():
                if asked.casefold() in (one.login.casefold(), one.email.casefold(), one.name.casefold()):
                    return {"_users_id_requester": ident}, one.login
        if "@" not in email:
            raise Invalid(fields={"requester": f"GLPI does not know {login or name}: an e-mail address is needed"})
        return {"_users_id_requester": 0, "_users_id_requester_notif": {"use_notification": [1], "alternative_email": [email]}}, email

    async def plan_merge(self, change: Change, actor: Actor) -> Plan:
        """GLPI's interface can't merge: the tie "duplicate", and closing."""
        ticket = await self.ticket(change.target)
        other = await self.ticket(str(change.values.get("into") or ""))
        if other.row.id == ticket.row.id:
            raise Invalid(fields={"into": "it is the same ticket"})
        if Phase.CLOSED in (ticket.row.phase, other.row.phase):
            raise Refused(f"{(other if other.row.phase is Phase.CLOSED else ticket).row.number} is closed")
        words = [word for word in ticket.offered if dict(STATUSES.values())[word] is Phase.CLOSED] or [word for word in ticket.offered if dict(STATUSES.values())[word] is Phase.RESOLVED]
        if not words:
            raise Refused(f"your profile in GLPI lets nobody close a ticket that is {ticket.row.status}")
        set_ = {f"link duplicates {other.row.id}": True, "status": words[0]}
        effects = (f"it is tied to {other.row.number} as its duplicate and becomes {words[0]}", "nothing is moved: its texts stay here")
        return planned(change, ticket, await self._ways(ticket), f"Duplicate of {other.row.number}:", set_, side_effects=effects, danger=2, confirm_word=other.row.number)

    # -- sending ------------------------------------------------------------------------------------------

    async def _send(self, plan: Plan, actor: Actor) -> Outcome:
        change, values = plan.change, plan.change.values
        if change.verb == "create":
            ident = made(await self._http.write("POST", "/Ticket", values["fields"]))
            self._measure(await self._item(ident))
            return Outcome("done", f"#{ident}", str(ident))
        ident, set_ = self._id(change.target), values.get("set") or {}
        solves = set_.get("status") == STATUSES[5][0] and values.get("say") in ("reply", "note") and bool(values.get("text"))
        await self._people(change.verb, ident, set_)
        await self._fields(ident, {name: value for name, value in set_.items() if name != "status" or not solves})
        event = await self._text(ident, plan, solves)
        for file in values.get("files") or ():
            content = await in_thread(30.0, content_of, file)
            document = await self._http.upload(file["name"], content, file["mime"])
            await self._http.write("POST", "/Document_Item", {"documents_id": document, "itemtype": "Ticket", "items_id": ident})
        self._measure(await self._item(ident))
        return Outcome("done", "", change.target, {"event": event} if event and "body" in plan.expected else {})

    async def _fields(self, ident: int, set_: Mapping[str, Any]) -> None:
        """The ticket's own fields in one request, ties one by one."""
        words, fields = self._words(), {}
        for name, value in set_.items():
            if name == "subject":
                fields["name"] = value
            elif name == "status":
                fields["status"] = next(number for number, (word, _) in STATUSES.items() if word == value)
            elif name == "category":
                fields["itilcategories_id"] = words.categories[value]
            elif name == "kind":
                fields["type"] = KINDS[value]
            elif name in ("impact", "urgency"):
                fields[name] = SET_LEVELS[value]
            elif name == "priority":
                fields["priority"] = PRIORITIES[value][0]
            elif name.startswith("link "):
                _, kind, other = name.split(" ", 2)
                await self._tie(ident, kind, self._id(other), bool(value))
        if fields:
            await self._http.write("PUT", f"/Ticket/{ident}", fields)

    async def _text(self, ident: int, plan: Plan, solves: bool) -> str:
        """The text as the item GLPI has for it; which one it was."""
        values = plan.change.values
        say, text, minutes = values.get("say"), str(values.get("text") or ""), int(values.get("minutes") or 0)
        if solves:
            body = text if say == "reply" else str(values.get("reason") or text)
            key = f"ITILSolution-{made(await self._http.write('POST', '/ITILSolution', {'itemtype': 'Ticket', 'items_id': ident, 'content': text_html(body)}))}"
        elif say == "call" or plan.change.verb == "time":
            shown = f"{CALL}{text}" if say == "call" else text or SPENT
            key = await self._task(ident, shown, minutes)
            minutes = 0
        elif text and plan.change.verb != "attach":
            fields = {"itemtype": "Ticket", "items_id": ident, "content": text_html(text), "is_private": 0 if say == "reply" else 1}
            key = f"ITILFollowup-{made(await self._http.write('POST', '/ITILFollowup', fields))}"
        else:
            return ""
        if minutes:
            await self._task(ident, SPENT, minutes)
        return key

    async def _task(self, ident: int, text: str, minutes: int) -> str:
        fields = {"tickets_id": ident, "content": text_html(text), "actiontime": minutes * 60, "state": DONE, "is_private": 1}
        return f"TicketTask-{made(await self._http.write('POST', '/TicketTask', fields))}"

    # -- rows beside the ticket ---------------------------------------------------------------------------

    async def _people(self, verb: str, ident: int, set_: Mapping[str, Any]) -> None:
        if "assignee" in set_:
            await self._assign(verb, ident, str(set_["assignee"]))
        if "team" in set_:
            groups = self._words().groups
            await self._replace(ident, "Group_Ticket", "groups_id", groups[set_["team"]] if set_["team"] else 0)
        if "vendor" in set_:
            suppliers = self._words().suppliers
            await self._replace(ident, "Supplier_Ticket", "suppliers_id", suppliers[set_["vendor"]] if set_["vendor"] else 0)
        if "watching" in set_:
            await self._watch(ident, {str(name) for name in set_["watching"]})

    async def _replace(self, ident: int, kind: str, column: str, wanted: int) -> None:
        """One row of this kind as assigned, added before the others are taken away."""
        rows = [row for row in await self._http.rows(f"/Ticket/{ident}/{kind}") if number_of(row.get("type")) == ASSIGNED]
        if wanted and wanted not in [number_of(row.get(column)) for row in rows]:
            await self._http.write("POST", f"/{kind}", {"tickets_id": ident, column: wanted, "type": ASSIGNED})
        for row in rows:
            if number_of(row.get(column)) != wanted:
                await self._http.write("DELETE", f"/{kind}/{number_of(row.get('id'))}")

    async def _assigned(self, ident: int) -> list[dict[str, Any]]:
        rows = [row for row in await self._http.rows(f"/Ticket/{ident}/Ticket_User") if number_of(row.get("type")) == ASSIGNED]
        return sorted(rows, key=lambda row: number_of(row.get("id")))

    async def _assign(self, verb: str, ident: int, login: str) -> None:
        """Added first, the others taken off after: with nobody left GLPI would put the status back. A take takes nobody off."""
        if verb != "take":
            await self._replace(ident, "Ticket_User", "users_id", await self._user_id(login) if login else 0)
            return
        mine = await self._user_id(login)
        row = made(await self._http.write("POST", "/Ticket_User", {"tickets_id": ident, "users_id": mine, "type": ASSIGNED}))
        first = next(iter(await self._assigned(ident)), {})
        if number_of(first.get("id")) != row and number_of(first.get("users_id")) not in (0, mine):
            await self._http.write("DELETE", f"/Ticket_User/{row}")
            other = number_of(first.get("users_id"))
            holder = (await self._known([other]))[other].login
            raise Conflict(f"{holder} took it a moment before you", mine={"assignee": login}, theirs={"assignee": holder})

    async def _watch(self, ident: int, wanted: set[str]) -> None:
        rows = [row for row in await self._http.rows(f"/Ticket/{ident}/Ticket_User") if number_of(row.get("type")) == OBSERVER]
        people = await self._known(number_of(row.get("users_id")) for row in rows)
        there = {people[number_of(row.get("users_id"))].login if number_of(row.get("users_id")) else str(row.get("alternative_email")): number_of(row.get("id")) for row in rows}
        for name in sorted(wanted - set(there)):
            who: dict[str, Any] = {"users_id": 0, "alternative_email": name, "use_notification": 1} if "@" in name else {"users_id": await self._user_id(name)}
            await self._http.write("POST", "/Ticket_User", {"tickets_id": ident, "type": OBSERVER, **who})
        for name in sorted(set(there) - wanted):
            await self._http.write("DELETE", f"/Ticket_User/{there[name]}")

    async def _tie(self, ident: int, kind: str, other: int, adds: bool) -> None:
        number, first = _LINK_NUMBERS[kind]
        one, two = (ident, other) if first else (other, ident)
        if adds:
            await self._http.write("POST", "/Ticket_Ticket", {"tickets_id_1": one, "tickets_id_2": two, "link": number})
            return
        opposite = {1: 1, 3: 4, 4: 3}.get(number)
        for side in ("tickets_id_1", "tickets_id_2"):
            for row in await self._http.rows("/Ticket_Ticket", [(f"searchText[{side}]", f"^{ident}$")]):
                found = (number_of(row.get("tickets_id_1")), number_of(row.get("tickets_id_2")), number_of(row.get("link")))
                if found in ((one, two, number), (two, one, opposite)):
                    await self._http.write("DELETE", f"/Ticket_Ticket/{number_of(row.get('id'))}")

    async def _user_id(self, login: str) -> int:
        """The id of a login. Invalid."""
        if login == self._me:
            return self._my_id
        for ident, person in (await self._matching(login)).items():
            if login.casefold() in (person.login.casefold(), person.email.casefold()):
                return int(ident)
        raise Invalid(fields={"assignee": f"GLPI knows no {login!r}"})
