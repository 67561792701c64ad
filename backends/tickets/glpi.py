"""`GlpiTickets`: tickets of a GLPI by its first REST interface. It checks no versions: read before, compared after, the loser is told.

Never imports textual.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backends.contract import Health, Site
from backends.errors import BackendError, BadConfig, Damaged, NotFound
from backends.options import Option
from backends.text import clean
from backends.threads import in_thread
from backends.tickets import glpi_reading
from backends.tickets.contract import ConflictCheck
from backends.tickets.glpi_http import GlpiHttp
from backends.tickets.glpi_lists import GlpiLists, status_word
from backends.tickets.glpi_query import FIELDS, KINDS, STATUSES, UIDS, Words
from backends.tickets.glpi_reading import Parts, number_of
from backends.tickets.glpi_verbs import LINKS, GlpiVerbs
from backends.tickets.model import Event, Phase, Ticket, Vocabulary
from backends.tickets.remote import RemoteTickets, quietly
from backends.tickets.remote_plans import Ways


class GlpiTickets(GlpiVerbs, GlpiLists, RemoteTickets):
    """The contract on GLPI 10 and 11."""

    domain: ClassVar[str] = "tickets"
    adapter: ClassVar[str] = "glpi"
    conflict: ClassVar[ConflictCheck] = "compare"
    beside: ClassVar[tuple[str, ...]] = ("watching", "assignee", "team", "vendor")
    HALF: ClassVar[Mapping[str, str]] = MappingProxyType({
        "conflict": "GLPI checks no versions: the planned fields are compared just before a write and read again after it, which is not one step",
        "take": "GLPI lets several people have a ticket; who was added second is told and taken off again", "queue": "its entity; a ticket can't be moved to another one here",
        "status": "what your GLPI profile allows; a status and its text are two steps", "changes": "by the time of the last change, in whole seconds, looked at with an overlap",
        "merge": "a tie \"duplicate\" and closing; nothing is moved", "refer": "the supplier, the status Pending and an internal note; it does not come back by itself",
        "relate": "parent, child, relates and duplicates", "log-call": "kept as a private task: GLPI does not count it as an answer", "approvals": "shown; asked for and decided in GLPI itself",
        "sla": "time to own and time to resolve; the sum is GLPI's", "reply": "who is mailed follows GLPI's own rules; an answer that solves is kept as the solution", "attach": "sizes are not told",
        "fields": "custom fields of plug-ins can be searched, not set", "priority": "GLPI sets it anew when impact or urgency change",
    })  # fmt: skip
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("url", "text", "address of GLPI, or of its apirest.php", required=True), Option("user_token", "secret", "remote access key of the account"),
        Option("app_token", "secret", "application token, where the API client demands one"), Option("user", "text", "instead of a key, where that is allowed", default=""),
        Option("password", "secret", "its password"), Option("timezone", "text", "zone of the account in GLPI; that of the site when it is left out", default=""),
        Option("deadline", "duration", "time a call may take", default="20s"), Option("refresh", "duration", "how often changes are asked for", default="15s"),
        Option("agents", "list", "logins a ticket can be assigned to", default=()),
    )  # fmt: skip

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        RemoteTickets.__init__(self)
        GlpiLists.__init__(self)
        self.name, self._me, self._my_id = name, "", 0
        self._url = str(options["url"]).rstrip("/")
        self._http = GlpiHttp(
            self._url, float(options.get("deadline") or 20.0), options.get("user_token"), options.get("app_token"), str(options.get("user") or ""), options.get("password")
        )  # fmt: skip
        self._refresh = float(options["refresh"]) if options.get("refresh") is not None else 15.0
        try:
            self._zone = ZoneInfo(str(options.get("timezone") or site.timezone))
        except (ZoneInfoNotFoundError, ValueError):
            raise BadConfig(f"timezone: {options.get('timezone')!r} is no zone such as Europe/Berlin") from None
        self._agents = tuple(options.get("agents") or ())
        self._known_words: Words | None = None
        self._matrix: Mapping[str, Any] = {}
        self._skew: timedelta | None = None

    # -- life -------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin the session; read who we are, what we may, and the site's words."""
        session = await self._http.get("/getFullSession")
        told = session.get("session") if isinstance(session, dict) else None
        if not isinstance(told, dict):
            raise Damaged("GLPI did not say who we are")
        self._me, self._my_id = glpi_reading.line(told.get("glpiname"), 100), number_of(told.get("glpiID"))
        profile = await self._http.get("/getActiveProfile")
        active = profile.get("active_profile") if isinstance(profile, dict) else None
        self._matrix = _matrix(active.get("ticket_status") if isinstance(active, dict) else None)
        await self._read_words()

    async def _read_words(self) -> None:
        listed = await self._http.get("/listSearchOptions/Ticket")
        options = {name: number for name, number in FIELDS.items() if isinstance(listed, dict) and str(number) in listed}
        labels: dict[str, int] = {}
        for key, option in listed.items() if isinstance(listed, dict) else ():
            if str(key).isdigit() and isinstance(option, dict):
                options.update({UIDS[str(option.get("uid"))]: int(key)} if str(option.get("uid")) in UIDS else {})
                labels[glpi_reading.line(option.get("name"), 100).casefold()] = int(key)
        if not {"id", "subject", "status", "updated"} <= set(options):
            raise Damaged("GLPI lists no search options of tickets that we know", hint="The account's profile may not see tickets.")
        entities, categories, groups, suppliers = await asyncio.gather(*(self._names(path) for path in ("Entity", "ITILCategory", "Group", "Supplier")))
        self._known_words = Words(entities, categories, groups, suppliers, options, labels, self._zone)

    async def _names(self, itemtype: str) -> dict[str, int]:
        """Name -> id of all items of a kind; none where the account may not see them."""
        rows = await quietly(self._http.rows(f"/{itemtype}"), [])
        return {glpi_reading.line(row.get("completename") or row.get("name"), 200): number_of(row.get("id")) for row in rows}

    def _words(self) -> Words:
        if self._known_words is None:
            raise Damaged("GLPI's words were not read yet", hint="Open it first.")
        return self._known_words

    async def health(self) -> Health:
        """Whether the session lives, and whether GLPI's times fit the zone that is configured, as far as a write has shown it."""
        try:
            await self._http.get("/getActiveProfile")
        except BackendError as error:
            return Health("down", error.sentence())
        if self._skew is not None and abs(self._skew) > timedelta(minutes=5):
            return Health("warn", f"GLPI's times are {round(self._skew.total_seconds() / 60):+d} min off the zone {self._zone.key}: set timezone to that of its account")  # type: ignore[attr-defined]
        return Health("ok", f"GLPI, as {self._me}" + ("" if self._skew is not None else "; the zone of its times is not measured yet"))

    async def close(self) -> None:
        """End the session."""
        await self._http.close()

    def _measure(self, item: Mapping[str, Any]) -> None:
        """After a write: the time it has against the server's own clock. Whole quarters of an hour are a wrong zone."""
        at = glpi_reading.moment(item.get("date_mod"), self._zone)
        try:
            clock = parsedate_to_datetime(self._http.date)
        except (ValueError, TypeError):
            return
        clock = clock if clock.tzinfo else clock.replace(tzinfo=UTC)
        if at is not None:
            self._skew = timedelta(minutes=15 * round((at - clock).total_seconds() / 900))

    async def _ways(self, ticket: Ticket | None) -> Ways:
        words = self._words()
        return Ways(
            "GLPI", dict(STATUSES.values()), tuple(words.entities), tuple(words.categories), tuple(words.groups), tuple(words.suppliers),
            links=LINKS, edits=frozenset({"subject", "category", "kind", "impact", "urgency", "priority"}), kinds=tuple(KINDS), returned=status_word(2), final=True,
            effects={
                "take": ("GLPI moves a new ticket to Processing (assigned)", "if somebody takes it in the same moment, who came second is taken off again and told"),
                "release": ("everybody who has it is taken off, and GLPI puts it back to New",), "log-call": ("GLPI keeps it as a private task: it is no answer to its targets",),
                "edit": ("GLPI sets the priority anew when impact or urgency change",) if ticket is not None else (),
            },
            reply_effects=("who is mailed follows GLPI's own rules", "an answer that solves is kept as the solution"),
        )  # fmt: skip

    # -- one ticket -------------------------------------------------------------------------------------

    @staticmethod
    def _id(text: str) -> int:
        number = text.strip().lstrip("#")
        if not number.isdigit() or len(number) > 15:
            raise NotFound(f"ticket {text}")
        return int(number)

    async def _version(self, id: str) -> str:
        body = await self._http.get(f"/Ticket/{self._id(id)}", [("get_sha1", "true")])
        return clean(str(body))[:80]

    async def _parts(self, ident: int, log: bool) -> Parts:
        """The rows beside a ticket; what the account may not see is left out."""
        kinds = ("ITILFollowup", "TicketTask", "ITILSolution", "Ticket_User", "Group_Ticket", "Supplier_Ticket", "Document_Item", "TicketValidation")
        sides = ("tickets_id_1", "tickets_id_2")  # a session that is only read from may be asked several things at once
        reads = [self._http.rows(f"/Ticket/{ident}/{kind}") for kind in kinds] + [self._http.rows("/Ticket_Ticket", [(f"searchText[{side}]", f"^{ident}$")]) for side in sides]
        read = await asyncio.gather(*(quietly(one, []) for one in reads))
        found = dict(zip(kinds, read, strict=False))
        ties = {number_of(row.get("id")): row for side, rows in zip(sides, read[len(kinds) :], strict=True) for row in rows if number_of(row.get(side)) == ident}
        documents = []
        for link in found["Document_Item"]:
            document = await quietly(self._http.get(f"/Document/{number_of(link.get('documents_id'))}"), {})
            documents.append((link, document if isinstance(document, dict) else {}))
        others = {number_of(row.get(side)) for row in ties.values() for side in ("tickets_id_1", "tickets_id_2")} - {ident}
        titles = {other: str((await quietly(self._http.get(f"/Ticket/{other}"), {})).get("name") or "") for other in others}
        words = self._words()
        names = {"groups": {value: name for name, value in words.groups.items()}, "suppliers": {value: name for name, value in words.suppliers.items()}, "tickets": titles}
        rows = await quietly(self._http.rows(f"/Ticket/{ident}/Log"), []) if log else []
        by_id = {kind: sorted(items, key=lambda row: number_of(row.get("id"))) for kind, items in found.items()}
        return Parts(by_id["ITILFollowup"], by_id["TicketTask"], by_id["ITILSolution"], by_id["Ticket_User"], by_id["Group_Ticket"], by_id["Supplier_Ticket"], documents,
                     list(ties.values()), by_id["TicketValidation"], rows, names)  # fmt: skip

    async def _item(self, ident: int) -> dict[str, Any]:
        body = await self._http.get(f"/Ticket/{ident}", [("expand_dropdowns", "true")])
        if not isinstance(body, dict) or number_of(body.get("id")) != ident:
            raise Damaged("GLPI's answer is no ticket")
        return body

    async def _people_in(self, item: Mapping[str, Any], parts: Parts) -> Any:
        rows = (*parts.followups, *parts.tasks, *parts.solutions, *parts.users, *(link for link, _ in parts.documents))
        ids = {number_of(row.get("users_id")) for row in rows} | {number_of(row.get("users_id_validate")) for row in parts.validations}
        said = json.dumps([[row.get(name) for name in ("user_name", "old_value", "new_value")] for row in parts.log])
        import re

        ids |= {int(found) for found in re.findall(r"\((\d{1,9})\)", said)} | {number_of(item.get("users_id_recipient"))}
        return await self._known(ids)

    async def ticket(self, id: str) -> Ticket:
        """The whole ticket."""
        ident = self._id(id)
        item = await self._item(ident)
        version, parts = await self._version(id), await self._parts(ident, False)
        people = await self._people_in(item, parts)
        status = number_of(item.get("status"))
        url = f"{self._url.split('/apirest.php')[0].split('/api.php')[0]}/front/ticket.form.php?id={ident}"
        return await self._made_readable(parts, lambda: glpi_reading.ticket(self.name, item, parts, people, self._offered(status), self._zone, version, url))  # type: ignore[no-any-return]

    def _offered(self, status: int) -> list[str]:
        """Statuses that the profile lets us set from this one."""
        row = self._matrix.get(str(status)) or {}
        allowed = [number for number in STATUSES if number not in (status, 1) and str(row.get(str(number), 1)) != "0"]
        return [status_word(number) for number in allowed]

    async def _made_readable(self, parts: Parts, reading: Any) -> Any:
        """Long texts are made readable beside the loop, so that no key waits for them."""
        if sum(len(str(row.get("content") or "")) for row in (*parts.followups, *parts.tasks, *parts.solutions)) < 20_000:
            return reading()
        return await in_thread(60.0, reading)

    async def timeline(self, id: str) -> Sequence[Event]:
        """Oldest first: follow-ups, tasks, solutions, files, changes."""
        ident = self._id(id)
        item, parts = await self._item(ident), await self._parts(ident, True)
        people = await self._people_in(item, parts)
        return await self._made_readable(parts, lambda: glpi_reading.events(item, parts, people, self._zone))  # type: ignore[no-any-return]

    async def vocabulary(self) -> Vocabulary:
        """Entities, statuses, categories, groups, suppliers, and who is configured or has open tickets."""
        await self._read_words()
        words, counted = self._words(), await self.counts()
        agents = tuple(sorted({*self._agents, *counted.by_assignee, self._me} - {""}))
        return Vocabulary(tuple(words.entities), {word: phase for word, phase in STATUSES.values() if phase in tuple(Phase)}, agents, tuple(words.categories), tuple(words.groups),
                          vendors=tuple(words.suppliers))  # fmt: skip

    async def fetch(self, ticket: str, attachment: str) -> AsyncIterator[bytes]:
        """A file in pieces. NotFound when it is not one of this ticket."""
        rows = await self._http.rows(f"/Ticket/{self._id(ticket)}/Document_Item")
        if attachment not in [str(number_of(row.get("documents_id"))) for row in rows]:
            raise NotFound("it is not attached to this ticket")
        async for piece in self._http.pieces(f"/Document/{attachment}?alt=media"):
            yield piece


def _matrix(value: Any) -> Mapping[str, Any]:
    """The allowed moves: status -> status -> 0 for a move that is not; sent as an object or as its text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return {str(key): row for key, row in value.items() if isinstance(row, dict)} if isinstance(value, dict) else {}
