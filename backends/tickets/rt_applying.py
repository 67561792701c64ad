"""Carrying plans out on Request Tracker, and finding out what became of them. Never imports textual.

RT compares the tag of a ticket before it looks at what is to be changed, and not in one step with changing it: two who write in the same
instant both pass. So after a change its history is read: whoever's value came between what we saw and what we wrote is named (`overwrote`),
and whoever was overwritten finds another value when they read back. One of the two is always told.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from backends.contract import Outcome, Plan
from backends.errors import BackendError, Conflict, Damaged, NotFound, Refused, Uncertain
from backends.http_json import Answer
from backends.text import clean
from backends.threads import in_thread
from backends.tickets import rt_edits, rt_reading
from backends.tickets.events import iso
from backends.tickets.model import Ticket
from backends.tickets.rt_http import RtHttp, listed, words
from backends.tickets.rt_writing import NOTHING, readers_of

AGAIN = 5
"""Times a change is sent anew with a fresh tag while others change what it is not about."""
RECENT = 300
"""Seconds in which a new ticket of ours is looked for after its answer was lost."""
FILES = 60.0
_MINUTES = "at least "


class Reads(Protocol):
    """What of the adapter is needed here."""

    async def bare(self, id: str) -> Ticket:
        """The ticket without its text and files."""

    def words_known_at(self, ident: str) -> int:
        """The transaction up to which text and files are remembered."""

    async def completed(self, ticket: Ticket, since: Sequence[Mapping[str, Any]] | None = None) -> Ticket:
        """With text and files."""

    async def all_of(self, path: str, most: int = 0, **params: Any) -> list[Mapping[str, Any]]:
        """The items of all pages."""


class Applying:
    """Applies the plans of one adapter. `me` gives our login in RT."""

    def __init__(self, http: RtHttp, reads: Reads, me: Callable[[], Awaitable[str]]) -> None:
        self._http, self._reads, self._me = http, reads, me

    async def apply(self, plan: Plan) -> Outcome:
        """Send what was planned, one after the other. Conflict when what it is about was changed since, Uncertain when an answer was lost."""
        requests, target = plan.change.values["requests"], plan.change.target
        if not target:
            return await self._create(requests[0]["body"])
        applied: dict[str, Any] = {}
        for place, request in enumerate(requests):
            try:
                answer = await self._send(plan, request, applied)
            except Uncertain:
                raise
            except BackendError as error:
                if not place:
                    raise
                return Outcome("partial", f"the words could not be written: {error.text}", target, applied)
            if request["method"] == "PUT" and not await self._took(plan, request, place + 1 < len(requests)):
                return Outcome("refused", clean(words(answer.body))[:300], target, applied)
        return Outcome("done", "", target, applied)

    async def _create(self, body: Mapping[str, Any]) -> Outcome:
        answer = await self._http.write("POST", "/ticket", body)
        ident = str(answer.body.get("id", "")) if isinstance(answer.body, Mapping) else ""
        if not ident.isdigit():
            raise Uncertain("RT answered, but did not say which ticket it made")
        return Outcome("done", f"#{ident}", ident)

    async def _send(self, plan: Plan, request: Mapping[str, Any], applied: dict[str, Any]) -> Answer:
        values, target = plan.change.values, plan.change.target
        if not request["tagged"]:
            if values["was"]:
                await self._looked_at(plan, only=("readers",) if applied else ())
            files = await in_thread(FILES, rt_edits.contents, values.get("files") or ())
            answer = await self._http.write("POST", f"/ticket/{target}{request['path']}", request["body"], files=files)
            applied["transaction"] = answer.headers.get("location", "").rsplit("/", 1)[-1]
            return answer
        etag = values["etag"]
        for _ in range(AGAIN):
            applied["since"] = etag
            try:
                return await self._http.write("PUT", f"/ticket/{target}{request['path']}", request["body"], etag)
            except Conflict:
                etag = (await self._looked_at(plan)).row.version
        raise Conflict("others change the ticket all the time", mine=_mine(plan), hint="Try again in a moment; what you typed is kept.")

    async def _looked_at(self, plan: Plan, only: Sequence[str] = ()) -> Ticket:
        """The ticket as it is now, where what the plan is about is as it was. Conflict says what is not."""
        ticket = await self._reads.bare(plan.change.target)
        if ticket.row.id != plan.change.target:
            raise Conflict(f"it was merged into {ticket.row.number} meanwhile", mine=_mine(plan), theirs={"lives on as": ticket.row.number})
        was = {name: value for name, value in plan.change.values["was"].items() if not only or name in only}
        theirs = {name: found for name, value in was.items() if (found := reading(ticket, name)) != value}
        if theirs:
            mine = {name: plan.expected.get(name, was[name]) for name in theirs}
            text = ", ".join(f"{name.removeprefix('field ')} is {_shown(value)} now" for name, value in theirs.items())
            raise Conflict(f"somebody else changed the ticket: {text}", mine=mine, theirs=theirs)
        return ticket

    async def _took(self, plan: Plan, request: Mapping[str, Any], more: bool) -> bool:
        """Whether a change took effect, asked where something depends on it. Conflict when somebody else was given the ticket."""
        owner = request["path"] in ("/take", "/steal", "/untake")
        if not owner and not more:
            return True
        ticket = await self._reads.bare(plan.change.target)
        if owner and (has := ticket.row.assignee) != plan.expected["assignee"] and has != plan.change.values["was"]["assignee"]:
            raise Conflict(f"{has or 'nobody'} has it", mine={"assignee": plan.expected["assignee"]}, theirs={"assignee": has}, hint="Take it over with S if it is yours now.")
        return all(reading(ticket, name) == value for name, value in plan.expected.items() if name == "status" or name.startswith("field "))

    # -- afterwards -----------------------------------------------------------------------------------------

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[dict[str, Any], Ticket]:
        """The expected fields as they are now."""
        target = outcome.target or plan.change.target or await self._made(plan)
        ticket = await self._reads.bare(target)
        history = await self._history(plan, outcome, ticket.row.id) if "overwrote" in plan.expected else None
        since = _since(plan, outcome) if history is not None else 0
        ours = [item for item in history or () if rt_reading.number_of(item.get("id")) > since]
        if ours and later(ours, plan.change.values["raw"], await self._me()):
            ticket = await self._reads.bare(target)
        ticket = await self._reads.completed(ticket, history)
        found: dict[str, Any] = {}
        for name, wanted in plan.expected.items():
            if name == "body":
                found[name] = wanted if await self._is_there(plan, outcome, str(wanted)) else None
            elif name == "overwrote":
                stands = {field: reading(ticket, field) == value for field, value in plan.expected.items()}
                found[name] = overwritten(ours, plan.change.values["raw"], await self._me(), stands)
            elif name == "files":
                there = [[file.name, file.size] for file in ticket.attachments if str(file.event) == outcome.applied.get("transaction", str(file.event))]
                found[name] = sorted(file for file in wanted if file in there)
            elif name == "time spent":
                least = int(str(wanted).removeprefix(_MINUTES).split()[0])
                found[name] = wanted if ticket.time_spent >= least else f"{ticket.time_spent} min"
            else:
                found[name] = reading(ticket, name)
        return found, ticket

    async def _made(self, plan: Plan) -> str:
        """The ticket we made, when the answer that would have told its number was lost. NotFound when there is none, or more than one."""
        from backends.tickets.rt_query import quoted

        title = plan.change.values["requests"][0]["body"]["Subject"]
        query = f"Creator = '__CurrentUser__' AND Subject = {quoted(title)} AND Created > '{RECENT} seconds ago'"
        items = listed((await self._http.get("/tickets", query=query, per_page=5)).body)
        if len(items) != 1:
            raise NotFound("no new ticket of yours has this subject" if not items else "several new tickets of yours have this subject")
        return str(items[0].get("id"))

    async def _is_there(self, plan: Plan, outcome: Outcome, body: str) -> bool:
        """Whether the words are on the ticket: in the transaction RT named, else among what we wrote there since the plan was made."""
        transaction, target = str(outcome.applied.get("transaction") or ""), plan.change.target
        if transaction.isdigit():
            found = await self._reads.all_of(f"/transaction/{transaction}/attachments", fields="TransactionId,ContentType,Filename,Content")
            return _same(body, rt_reading.texts(found).values())
        me, since = await self._me(), rt_reading.number_of(plan.change.values.get("etag"))
        query = f"ObjectType = 'RT::Ticket' AND ObjectId = {int(target)} AND id > {since}"
        for item in await self._reads.all_of("/transactions", query=query, fields="Type,Creator", orderby="id"):
            if item.get("Type") in ("Comment", "Correspond") and rt_reading.name_of(item.get("Creator")) == me:
                found = await self._reads.all_of(f"/transaction/{int(str(item['id']))}/attachments", fields="TransactionId,ContentType,Filename,Content")
                if _same(body, rt_reading.texts(found).values()):
                    return True
        return False

    async def _history(self, plan: Plan, outcome: Outcome, ident: str) -> list[Mapping[str, Any]]:
        """What RT wrote down since the ticket was looked at, or since its words were read where that is longer ago. Oldest first."""
        since, known = _since(plan, outcome), self._reads.words_known_at(ident)
        query = f"ObjectType = 'RT::Ticket' AND ObjectId = {int(ident)} AND id > {min(since, known) if known else since}"
        return await self._reads.all_of("/transactions", query=query, fields="Type,Field,OldValue,NewValue,Creator", orderby="id")


def _since(plan: Plan, outcome: Outcome) -> int:
    return rt_reading.number_of(outcome.applied.get("since") or plan.change.values["etag"])


def overwritten(history: Sequence[Mapping[str, Any]], raw: Mapping[str, Sequence[Any]], me: str, stands: Mapping[str, bool]) -> str:
    """Values of others that ours wiped out; "nothing" when there are none. `history` is RT's since the ticket was looked at, oldest first.

    `raw` as in a plan. What others wrote before us and we had not seen is lost. RT changes a ticket and only then notes it, so what stands
    after ours in its history may have come before: it is lost where ours is still there (`stands`) when the ticket is read after the history.
    """
    found = []
    for name, (old, new, field) in raw.items():
        entries, place = _entries(history, name, new, me)
        if place is None:
            continue
        others = [item for item in (entries if stands.get(field) else entries[:place]) if item.get("NewValue") not in (new, old)]
        if others:
            found.append(f"{name}: {clean(str(others[-1].get('NewValue')))} of {rt_reading.name_of(others[-1].get('Creator'))}")
        elif old is not None and (seen := entries[place].get("OldValue")) not in (old, None):
            found.append(f"{name}: {clean(str(seen))}")
    return "; ".join(found) or NOTHING


def later(history: Sequence[Mapping[str, Any]], raw: Mapping[str, Sequence[Any]], me: str) -> bool:
    """Whether something stands after ours in RT's history, so that the ticket must be read once more."""
    places = [_entries(history, name, new, me) for name, (_, new, _) in raw.items()]
    return any(place is not None and place + 1 < len(entries) for entries, place in places)


def _entries(history: Sequence[Mapping[str, Any]], name: str, new: Any, me: str) -> tuple[list[Mapping[str, Any]], int | None]:
    """The changes of a field, and the place of ours among them, None where it took no effect."""
    entries = [item for item in history if str(item.get("Field")) == name and item.get("Type") in ("Set", "Status", "CustomField")]
    ours = [place for place, item in enumerate(entries) if item.get("NewValue") == new and rt_reading.name_of(item.get("Creator")) == me]
    return entries, ours[-1] if ours else None


def reading(ticket: Ticket, name: str) -> Any:
    """A field of a plan as the ticket has it."""
    line = ticket.row
    if name in ("subject", "queue", "status", "assignee", "priority"):
        return getattr(line, name)
    if name == "due":
        return iso(line.due_at) if line.due_at else ""
    if name == "has a requester":
        return bool(ticket.requester.login or ticket.requester.email)
    if name == "readers":
        return readers_of(ticket)
    if name == "watchers":
        return sorted(one.email or one.login for one in ticket.watchers)
    if name == "followers":
        return sorted(ticket.followers)
    if name == "lives on as":
        return line.number
    if name.startswith("field "):
        return sorted(ticket.fields.get(name.removeprefix("field "), ()))
    if name.startswith("link "):
        _, kind, other = name.split(" ")
        return any((link.kind, link.to) == (kind, other) for link in ticket.links)
    return getattr(ticket, name, None)


def _mine(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in plan.expected.items() if name != "overwrote"}


def _same(body: str, found: Any) -> bool:
    wanted = " ".join(clean(body, one_line=False).split())
    return any(" ".join(str(text).split()) == wanted for text in found)


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else repr(value)


def decoded(body: Mapping[str, Any]) -> bytes:
    """A file as RT gives a single one: in base64. (In lists it is plain.) Damaged, Refused."""
    content = body.get("Content")
    if not isinstance(content, str):
        raise Refused("RT gave no content for it")
    try:
        return base64.b64decode("".join(content.split()), validate=True)
    except ValueError:
        raise Damaged("the attachment is not what RT promises") from None

