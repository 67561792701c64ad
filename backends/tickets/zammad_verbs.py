"""The writing verbs of Zammad: a ticket's fields and the text go in one request, which Zammad does in one step. Never imports an adapter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from backends.contract import Actor, Change, Outcome, Plan, Step
from backends.errors import Conflict, Invalid, Refused, Uncertain
from backends.text import clean
from backends.tickets import zammad_reading, zammad_writing
from backends.tickets.model import Phase
from backends.tickets.planning import LONGEST_BODY, minutes_of, subject
from backends.tickets.remote import quietly
from backends.tickets.remote_plans import known, level, planned
from backends.tickets.zammad_http import ZammadHttp
from backends.tickets.zammad_query import NOBODY
from backends.tickets.zammad_reading import number_of

LOOKS = 4
"""How often is looked whether a ticket taken in the same moment is given back."""


class ZammadVerbs:
    """What is planned and sent. The adapter gives reading, the wire and its words."""

    name: str
    _http: ZammadHttp
    _me: str
    _my_id: int
    _by_mail: bool
    _act_as: bool

    _words: Any
    _id: Any
    ticket: Any
    _item: Any
    _users: Any
    _login: Any
    _ways: Any
    _acts: Any

    # -- planning -----------------------------------------------------------------------------------------

    async def plan_create(self, change: Change, actor: Actor) -> Plan:
        """A new ticket; an address Zammad does not know becomes a customer."""
        values, words = change.values, self._words()
        title, body = subject(values.get("subject")), str(values.get("body") or "").strip()[:LONGEST_BODY]
        queue = known("queue", values.get("queue") or next(iter(words.groups), ""), tuple(words.groups))
        customer, shown = await self._customer(values.get("requester") or {})
        request: dict[str, Any] = {"title": title, "group": queue, "customer_id": customer}
        expected: dict[str, Any] = {"subject": title, "queue": queue, "holds requester": shown}
        if values.get("priority") is not None:
            names = self._priorities()
            expected["priority"] = level("priority", values["priority"], tuple(names))
            request["priority"] = names[expected["priority"]]
        if values.get("assignee"):
            request["owner_id"] = await self._user_id(str(values["assignee"]))
            expected["assignee"] = str(values["assignee"])
        if values.get("tags"):
            expected["tags"] = sorted({clean(str(tag))[:40].replace(",", " ") for tag in values["tags"]})
            request["tags"] = ",".join(expected["tags"])
        request |= {clean(str(key)): value for key, value in dict(values.get("fields") or {}).items()}
        called = values.get("origin") in ("phone", "walk-in")
        article: dict[str, Any] = {"type": "phone" if called else "web", "sender": "Customer", "internal": False, "body": body or title, "content_type": "text/plain"}
        if minutes_of(change):
            article["time_unit"] = str(minutes_of(change))
        request["article"] = article
        lost = [name for name in ("category", "kind", "impact", "urgency", "team", "due") if values.get(name)]
        effects = (f"Zammad has no {', '.join(lost)}: left out",) if lost else ()
        steps = (Step("subject", "", title), Step("queue", "", queue), Step("requester", "", shown), *(Step(name, "", str(expected[name])) for name in ("priority", "assignee") if name in expected))
        made = Change(change.domain, change.backend, "create", "", f"new ticket {title}", {**values, "request": request})
        return Plan(made, f"New ticket {title}", steps, side_effects=effects, expected=expected)

    async def _customer(self, person: Mapping[str, Any]) -> tuple[Any, str]:
        """(what Zammad is told of the requester, how they will be known)."""
        email, login, name = (clean(str(person.get(key) or "").strip())[:200] for key in ("email", "login", "name"))
        if not (email or login or name):
            return self._my_id, self._me
        for asked in filter(None, (login, email, name)):
            for user in await self._users(asked):
                known_as = zammad_reading.person(user)
                if asked.casefold() in (known_as.login.casefold(), known_as.email.casefold(), known_as.name.casefold()):
                    return number_of(user.get("id")), known_as.login
        if "@" not in email:
            raise Invalid(fields={"requester": f"Zammad does not know {login or name}: an e-mail address is needed"})
        return f"guess:{email}", email.lower()

    def _priorities(self) -> dict[int, str]:
        """Level -> the word that is set for it."""
        words = self._words()
        return {words.levels[name]: name for name in reversed(list(words.priorities)) if name in words.levels}

    async def plan_merge(self, change: Change, actor: Actor) -> Plan:
        """This one ends as merged; its articles move to the other."""
        ticket = await self.ticket(change.target)
        other = await self.ticket(str(change.values.get("into") or ""))
        if other.row.id == ticket.row.id:
            raise Invalid(fields={"into": "it is the same ticket"})
        if other.row.phase is Phase.CLOSED or ticket.row.phase is Phase.CLOSED:
            raise Refused(f"{other.row.number if other.row.phase is Phase.CLOSED else ticket.row.number} has ended")
        effects = ("its articles move to the other ticket", "Zammad can't undo it")
        step = Step("lives on as", "", f"{other.row.number} {other.row.subject}")
        return planned(change, ticket, await self._ways(ticket), f"Merge into {other.row.number}:", {}, (step,), expected={"merged_into": other.row.id},
                       side_effects=effects, danger=2, confirm_word=other.row.number)  # fmt: skip

    # -- sending ------------------------------------------------------------------------------------------

    async def _send(self, plan: Plan, actor: Actor) -> Outcome:
        change, acts = plan.change, actor.login if self._act_as else ""
        if change.verb == "create":
            body = await self._http.write("POST", "/tickets", change.values["request"], acts, {"expand": "true"})
            number = zammad_reading.line(body.get("number"), 40) if isinstance(body, dict) else ""
            if not number:
                raise Uncertain("Zammad made a ticket and did not say which")
            return Outcome("done", f"#{number}", number)
        ident = await self._id(change.target)
        if change.verb == "merge":
            return await self._merge(plan, ident, acts)
        set_ = change.values.get("set") or {}
        owner = (await self._user_id(set_["assignee"]) if set_["assignee"] else NOBODY) if "assignee" in set_ else None
        fields = zammad_writing.fields(set_, owner, self._priorities())
        article = await self._article(plan)
        event = ""
        if fields:
            body = await self._http.write("PUT", f"/tickets/{ident}", {**fields, **({"article": article} if article else {})}, acts, {"expand": "true"})
            if article and isinstance(body, dict) and body.get("article_ids"):
                event = f"article-{max(map(number_of, body['article_ids']))}"
        elif article:
            body = await self._http.write("POST", "/ticket_articles", {"ticket_id": ident, **article}, acts)
            event = f"article-{number_of(body.get('id'))}" if isinstance(body, dict) else ""
        elif change.verb == "time":
            await self._http.write("POST", f"/tickets/{ident}/time_accountings", {"time_unit": str(change.values["minutes"])}, acts)
        await self._beside(plan, ident, acts)
        if change.verb == "take":
            await self._settle(ident, acts, self._acts(actor))
        return Outcome("done", "", change.target, {"event": event} if event and "body" in plan.expected else {})

    async def _article(self, plan: Plan) -> dict[str, Any]:
        values = plan.change.values
        say, text, minutes, files = values.get("say"), str(values.get("text") or ""), int(values.get("minutes") or 0), values.get("files") or ()
        if say == "reply":
            ticket = await self.ticket(plan.change.target)
            return zammad_writing.reply(text, minutes, files, ticket, [str(one) for one in values.get("cc") or ()], self._by_mail)
        if say == "call":
            return zammad_writing.call(text, minutes)
        return zammad_writing.note(text, minutes, files) if text else {}

    async def _beside(self, plan: Plan, ident: int, acts: str) -> None:
        """What Zammad keeps beside the ticket: tags, ties, who watches."""
        values = plan.change.values
        set_, was = values.get("set") or {}, values.get("was") or {}
        for name, value in set_.items():
            if name == "tags":
                for method, path, tags in (("POST", "/tags/add", set(value) - set(was["tags"])), ("DELETE", "/tags/remove", set(was["tags"]) - set(value))):
                    for tag in sorted(tags):
                        await self._http.write(method, path, {"item": tag, "object": "Ticket", "o_id": ident}, acts)
            elif name.startswith("link "):
                _, kind, other = name.split(" ", 2)
                if value:
                    await self._http.write("POST", "/links/add", zammad_writing.link(kind, ident, other), acts)
                else:
                    await self._http.write("DELETE", "/links/remove", zammad_writing.untie(kind, ident, await self._id(other)), acts)
            elif name == "watching":
                await self._watch(ident, self._me in value, acts)

    async def _watch(self, ident: int, wanted: bool, acts: str) -> None:
        if wanted:
            await self._http.write("POST", "/mentions", {"mentionable_type": "Ticket", "mentionable_id": ident}, acts)
            return
        body = await self._http.get("/mentions", mentionable_type="Ticket", mentionable_id=ident)
        for one in body.get("mentions") or () if isinstance(body, dict) else ():
            if number_of(one.get("user_id")) == self._my_id:
                await self._http.write("DELETE", f"/mentions/{number_of(one.get('id'))}", None, acts)

    async def _merge(self, plan: Plan, ident: int, acts: str) -> Outcome:
        body = await self._http.write("PUT", f"/ticket_merge/{ident}/{plan.expected['merged_into']}", {}, acts)
        if not isinstance(body, dict) or body.get("result") != "success":
            raise Refused(clean(str(body.get("message") or ""))[:300] or "Zammad did not merge them" if isinstance(body, dict) else "Zammad did not merge them")
        return Outcome("done", "", plan.change.target)

    async def _user_id(self, login: str) -> int:
        """The id of a login. Invalid."""
        if login == self._me:
            return self._my_id
        for user in await self._users(login):
            if login.casefold() in (str(user.get("login")).casefold(), str(user.get("email")).casefold()):
                return number_of(user.get("id"))
        raise Invalid(fields={"assignee": f"Zammad knows no {login!r}"})

    async def _settle(self, ident: int, acts: str, me: str) -> None:
        """After a take: who came from nobody first keeps it, who overwrote them gives it back. Conflict for the second one."""
        mine = await self._user_id(me)
        history = await quietly(self._http.get(f"/ticket_history/{ident}"), {})
        entries = [one for one in (history.get("history") or () if isinstance(history, dict) else ()) if one.get("attribute") == "owner"]
        last: dict[str, Any] = next((one for one in reversed(entries) if number_of(one.get("id_to")) == mine), {})
        before = number_of(last.get("id_from"))
        if before not in (0, NOBODY, mine):
            await self._http.write("PUT", f"/tickets/{ident}", {"owner_id": before}, acts)
            holder = await self._login(before)
            raise Conflict(f"{holder} took it a moment before you, and has it again", mine={"assignee": me}, theirs={"assignee": holder})
        holder_id = mine
        for look in range(LOOKS):
            holder_id = number_of((await self._http.get(f"/tickets/{ident}", expand="true")).get("owner_id"))
            if holder_id == mine:
                return
            await asyncio.sleep(0.1 * (look + 1))
        holder = await self._login(holder_id) or "nobody"
        raise Conflict(f"{holder} has it: it was taken from you in the same moment", mine={"assignee": me}, theirs={"assignee": holder})
