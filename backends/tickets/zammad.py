"""`ZammadTickets`: tickets of a Zammad by its REST interface. It checks no versions: read before, compared after, the loser is told.

Never imports textual.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar

from backends.contract import Actor, Health, Site
from backends.errors import BackendError, Damaged, NotFound
from backends.options import Option
from backends.threads import in_thread
from backends.tickets import zammad_reading
from backends.tickets.contract import ConflictCheck
from backends.tickets.model import Event, Person, Phase, Ticket, Vocabulary
from backends.tickets.remote import RemoteTickets, quietly
from backends.tickets.remote_plans import Ways
from backends.tickets.zammad_http import ZammadHttp, rows_of
from backends.tickets.zammad_lists import ZammadLists, checked_ticket
from backends.tickets.zammad_query import Words
from backends.tickets.zammad_reading import number_of
from backends.tickets.zammad_verbs import ZammadVerbs
from backends.tickets.zammad_writing import LINKS

LADDERS: Mapping[int, tuple[int, ...]] = {1: (3,), 2: (2, 3), 3: (2, 3, 4), 4: (1, 2, 3, 4)}
"""So many priorities, the highest first -> their levels."""
PERSON_KEPT = 300.0


class ZammadTickets(ZammadVerbs, ZammadLists, RemoteTickets):
    """The contract on Zammad. A ticket's id here is its number, which never changes; Zammad's own ids stay inside."""

    domain: ClassVar[str] = "tickets"
    adapter: ClassVar[str] = "zammad"
    conflict: ClassVar[ConflictCheck] = "compare"
    HALF: ClassVar[Mapping[str, str]] = MappingProxyType({
        "conflict": "Zammad checks no versions: the planned fields are compared just before a write and read again after it, which is not one step",
        "take": "the last one wins there; who came second is told and gives it back", "status": "any active state is offered; a workflow of the site may still refuse one",
        "changes": "by the time of the last change, looked at with two minutes of overlap", "total": "older versions do not count long lists",
        "search": "words in more than 1,000 tickets are found by its search index, which lags and ends at 10,000", "sla": "three due times, none while it waits; the sum is Zammad's",
        "refer": "a pending reminder and an internal note", "relate": "only parent, child and relates", "merge": "can't be undone", "watch": "only for yourself",
        "time": "in the unit the site has set, taken as minutes", "status reason": "kept as an internal note", "impact": "it has a priority only",
    })  # fmt: skip
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("url", "text", "address of Zammad", required=True), Option("token", "secret", "access token with the permission ticket.agent"),
        Option("user", "text", "instead of a token, where Basic is allowed", default=""), Option("password", "secret", "its password"),
        Option("deadline", "duration", "time a call may take", default="15s"), Option("refresh", "duration", "how often changes are asked for", default="15s"),
        Option("act_as", "bool", "write under the login of who works here (the token needs admin.user)", default=False),
        Option("reply", "text", '"email", or "web" where replies are read on the portal', default="email"),
        Option("wait", "duration", "how long a reminder waits when no day is given", default="2d"), Option("agents", "list", "logins a ticket can be assigned to, beside those of the groups", default=()),
        Option("priorities", "table", 'levels of priorities other than the usual ones, such as "3 high" = 1', default={}),
    )  # fmt: skip

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        RemoteTickets.__init__(self)
        ZammadLists.__init__(self)
        self.name, self._me, self._my_id = name, "", 0
        self._url = str(options["url"]).rstrip("/")
        self._http = ZammadHttp(self._url, float(options.get("deadline") or 15.0), options.get("token"), str(options.get("user") or ""), options.get("password"))
        self._refresh = float(options["refresh"]) if options.get("refresh") is not None else 15.0
        self._act_as, self._by_mail = bool(options.get("act_as")), options.get("reply") != "web"
        self._wait = timedelta(seconds=float(options.get("wait") or 172800.0))
        self._more_agents, self._levels = tuple(options.get("agents") or ()), dict(options.get("priorities") or {})
        self._known: Words | None = None
        self._agents: tuple[str, ...] = ()
        self._offered: tuple[str, ...] = ()
        self._persons: dict[int, tuple[float, dict[str, Any]]] = {}

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Who we are, and the site's words."""
        me = await self._http.get("/users/me", expand="true")
        if not isinstance(me, dict) or not number_of(me.get("id")):
            raise Damaged("Zammad did not say who we are")
        self._me, self._my_id = zammad_reading.login(me.get("login")), number_of(me.get("id"))
        await self._learn()

    async def _learn(self) -> None:
        states, groups, priorities = await asyncio.gather(*(self._http.list(path) for path in ("/ticket_states", "/groups", "/ticket_priorities")))
        self._read_words(states, groups, priorities)

    def _read_words(self, states: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]], priorities: Sequence[Mapping[str, Any]]) -> None:
        names = {zammad_reading.line(one.get("name"), 100): one for one in states}
        types = {name: str(one.get("state_type") or zammad_reading.TYPE_IDS.get(number_of(one.get("state_type_id")), "")) for name, one in names.items()}
        phases = {name: zammad_reading.TYPES.get(types[name], zammad_reading.USUAL.get(name, Phase.ACTIVE)) for name in names}
        self._offered = tuple(name for name, one in names.items() if one.get("active", True) and phases[name] is not Phase.CLOSED)
        ranked = sorted((one for one in priorities if one.get("active", True)), key=lambda one: -number_of(one.get("id")))
        ladder = LADDERS.get(len(ranked), (1, 2, 3, *(4,) * len(ranked)))
        levels = {zammad_reading.line(one.get("name"), 100): level for one, level in zip(ranked, ladder, strict=False)}
        levels.update({str(name): int(level) for name, level in self._levels.items() if level in (1, 2, 3, 4)})
        active = [one for one in groups if one.get("active", True)]
        self._known = Words(
            {name: number_of(one.get("id")) for name, one in names.items()}, phases, {zammad_reading.line(one.get("name"), 200): number_of(one.get("id")) for one in active},
            {zammad_reading.line(one.get("name"), 100): number_of(one.get("id")) for one in ranked}, levels,
        )  # fmt: skip
        users = {zammad_reading.login(user) for one in active for user in one.get("users") or ()}
        self._agents = tuple(sorted({*users, *self._more_agents, self._me} - {""}))

    async def health(self) -> Health:
        """Whether it knows us; which version it is, it tells administrators only."""
        try:
            me = await self._http.get("/users/me", expand="true")
        except BackendError as error:
            return Health("down", error.sentence())
        who = zammad_reading.login(me.get("login")) if isinstance(me, dict) else ""
        return Health("ok", f"Zammad, as {who}") if who else Health("down", "Zammad does not say who we are")

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    def _words(self) -> Words:
        if self._known is None:
            raise Damaged("Zammad's words were not read yet", hint="Open it first.")
        return self._known

    def _acts(self, actor: Actor) -> str:
        return actor.login if self._act_as else self._me

    async def _ways(self, ticket: Ticket | None) -> Ways:
        words = self._words()
        started = next((name for name in self._offered if words.phases[name] is Phase.ACTIVE), "")
        return Ways(
            "Zammad", words.phases, tuple(words.groups), levels=tuple(sorted({level for name, level in words.levels.items() if name in words.priorities})), links=tuple(LINKS),
            edits=frozenset({"subject", "queue", "priority", "tags", "fields"}), started=started, returned=started, wakes=self._wait, anyone=False,
            effects={"take": ("if somebody takes it in the same moment, who came second gives it back and is told",), "log-call": ("it counts as an answer to the requester",)},
            reply_effects=() if self._by_mail else ("it is read on the portal; no mail is sent by this",),
        )  # fmt: skip

    # -- one ticket -------------------------------------------------------------------------------------

    async def _id(self, text: str) -> int:
        """Zammad's id of a number. NotFound."""
        number = text.strip().lstrip("#")
        if not number.isdigit() or len(number) > 30:
            raise NotFound(f"ticket {text}")
        if number not in self._numbers:
            await self._page({"ticket.number": {"operator": "is", "value": [number]}}, {}, 1, 2)
        if number not in self._numbers:
            raise NotFound(f"ticket #{number}")
        return self._numbers[number]

    async def _item(self, id: str) -> dict[str, Any]:
        return checked_ticket(await self._http.get(f"/tickets/{await self._id(id)}", expand="true"))

    async def _version(self, id: str) -> str:
        return zammad_reading.line((await self._item(id)).get("updated_at"), 60)

    async def ticket(self, id: str) -> Ticket:
        """The whole ticket; the number of a merged one gives the one it lives on as."""
        item = await self._item(id)
        tied: Any = None
        for _ in range(5):
            tied = await quietly(self._http.get("/links", link_object="Ticket", link_object_value=item["id"]), {})
            parent = next((link.to for link in zammad_reading.links(tied, self._words().phases) if link.kind == "parent"), "")
            if zammad_reading.line(item.get("state"), 100) != self._merged() or not parent:
                break
            self._remember((tied.get("assets") or {}).get("Ticket", {}).values())
            item = await self._item(parent)
        return await self._whole(item, tied)

    def _merged(self) -> str:
        return next((name for name, phase in self._words().phases.items() if phase is Phase.CLOSED and "merged" in name.casefold()), "merged")

    async def _whole(self, item: Mapping[str, Any], tied: Any) -> Ticket:
        ident = item["id"]
        articles, tags, requester, mentions = await asyncio.gather(
            self._articles(ident), quietly(self._http.get("/tags", object="Ticket", o_id=ident), {}), self._person(number_of(item.get("customer_id"))),
            quietly(self._http.get("/mentions", mentionable_type="Ticket", mentionable_id=ident), {}),
        )  # fmt: skip
        self._remember(((tied or {}).get("assets") or {}).get("Ticket", {}).values())
        told = mentions.get("mentions") if isinstance(mentions, dict) else None
        followers = [(await self._login(number_of(one.get("user_id")))) for one in told or () if isinstance(one, dict)]
        words = self._words()
        beside = {
            "requester": requester, "tags": tuple(zammad_reading.line(tag, 60) for tag in (tags.get("tags") if isinstance(tags, dict) else None) or ()),
            "links": zammad_reading.links(tied, words.phases), "followers": tuple(sorted(filter(None, followers))), "files": zammad_reading.files(articles),
            "offered": self._offered, "minutes": zammad_reading.whole(item.get("time_unit") or 0),
        }  # fmt: skip
        events = await self._in_thread(articles, lambda: zammad_reading.events(articles, (), (), {}))
        return zammad_reading.ticket(self._row(item), item, events, beside, f"{self._url}/#ticket/zoom/{ident}")

    async def _in_thread(self, articles: Sequence[Mapping[str, Any]], reading: Any) -> Any:
        """Long bodies are made readable beside the loop, so that no key waits for them."""
        if sum(len(str(one.get("body") or "")) for one in articles) < 20_000:
            return reading()
        return await in_thread(60.0, reading)

    async def _articles(self, ident: int) -> list[dict[str, Any]]:
        return sorted(await self._http.list(f"/ticket_articles/by_ticket/{ident}"), key=lambda one: number_of(one.get("id")))

    async def _user(self, ident: int) -> dict[str, Any]:
        kept = self._persons.get(ident)
        if kept is not None and time.monotonic() - kept[0] < PERSON_KEPT:
            return kept[1]
        found = await quietly(self._http.get(f"/users/{ident}", expand="true"), {})
        user = found if isinstance(found, dict) else {}
        self._persons[ident] = (time.monotonic(), user)
        return user

    async def _person(self, ident: int) -> Person:
        return zammad_reading.person(await self._user(ident)) if ident > 1 else Person()

    async def _login(self, ident: int) -> str:
        return zammad_reading.login((await self._user(ident)).get("login")) if ident > 1 else ""

    async def timeline(self, id: str) -> Sequence[Event]:
        """Oldest first: articles, changes of fields, time."""
        ident = (await self._item(id))["id"]
        articles, history, minutes = await asyncio.gather(
            self._articles(ident), quietly(self._http.get(f"/ticket_history/{ident}"), {}), quietly(self._http.get(f"/tickets/{ident}/time_accountings"), []),
        )  # fmt: skip
        entries = history.get("history") if isinstance(history, dict) else history
        entries = [one for one in entries or () if isinstance(one, dict)]
        spent = rows_of(minutes) if isinstance(minutes, list | dict) and minutes else []
        ids = {number_of(one.get(name)) for one in (*articles, *entries, *spent) for name in ("created_by_id",)}
        ids |= {number_of(one.get(name)) for one in entries if one.get("attribute") == "owner" for name in ("id_from", "id_to")}
        people = {ident: await self._login(ident) for ident in ids if ident}
        found: list[Event] = await self._in_thread(articles, lambda: zammad_reading.events(articles, entries, spent, people))
        return found

    async def vocabulary(self) -> Vocabulary:
        """Groups, states, agents of the groups: read again, as they change."""
        await self._learn()
        words = self._words()
        return Vocabulary(tuple(words.groups), {name: words.phases[name] for name in words.phases if name in self._offered or words.phases[name] is Phase.CLOSED}, self._agents)

    async def _users(self, text: str, limit: int = 20) -> list[dict[str, Any]]:
        if not text.strip():
            return []
        return rows_of(await self._http.get("/users/search", query=text.strip()[:200], expand="true", limit=limit))

    async def people(self, text: str, limit: int = 20) -> Sequence[Person]:
        """By a part of name, login or address."""
        return tuple(zammad_reading.person(user) for user in await self._users(text, limit) if user.get("login") != "-")[:limit]

    async def fetch(self, ticket: str, attachment: str) -> AsyncIterator[bytes]:
        """A file in pieces. NotFound when it is not one of this ticket."""
        ident = await self._id(ticket)
        if attachment not in [file.id for file in zammad_reading.files(await self._articles(ident))]:
            raise NotFound("it is not attached to this ticket")
        article, _, file = attachment.partition("-")
        async for piece in self._http.pieces(f"/ticket_attachment/{ident}/{article}/{file}"):
            yield piece
