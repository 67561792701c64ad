"""`with_sidecar`: a remote ticket system together with what is kept here for what it lacks - references, vendors, authority, checklists,
followers, and promises worked out from its tickets' events.

The wrapper has the methods of the inner adapter, so the same Protocols, and in addition the verbs it lacks. Reads combine both; writes
the server knows go there unchanged. Never imports an adapter.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from backends.contract import Actor, Change, Outcome, Page, Plan, Ref, Site, Step, now
from backends.errors import BackendError, Invalid, Refused
from backends.options import Option
from backends.polling import Polled
from backends.threads import in_thread
from backends.tickets import records, sidecar_waking
from backends.tickets.events import read_event
from backends.tickets.model import OPEN_PHASES, Event, Phase, Ticket, TicketQuery, TicketRow, Vocabulary
from backends.tickets.planning import refs_fields
from backends.tickets.promise import Promise
from backends.tickets.sidecar_lists import by_kept, kept_here, page_of, with_dues
from backends.tickets.sidecar_store import SideStore
from backends.tickets.sidecar_verbs import GROUPS, HALF, SidecarVerbs

DEADLINE = 10.0
OWN_SEQ = 1_000_000
"""Entries of the timeline that are kept here are numbered from here on."""
EVENTS_KEPT = 50
DUES_A_POLL = 20
OPTIONS: tuple[Option, ...] = (
    Option("promises", "bool", "own due times for tickets the server gives none", default=True),
    Option("calendars", "table", "opening hours by name: zone, week, holidays, yearly, special"),
    Option("policies", "list", "promises in their order, instead of response and resolution"),
    Option("response", "list", "open hours until the first answer, P1 to P4", default=("1h", "4h", "9h", "18h")),
    Option("resolution", "list", "open hours until the resolution, P1 to P4", default=("9h", "18h", "45h", "90h")),
)
"""Beside the adapter's own options; one of the same name is the adapter's."""


def lacking(adapter: Any) -> frozenset[str]:
    """What a ticket adapter (or its class) has no verbs for: "refs", "vendors", "authority", "checklists", "followers"."""
    return frozenset(group for group, verbs in GROUPS.items() if not all(hasattr(adapter, f"plan_{verb}") for verb in verbs))


def with_sidecar(inner: Any, site: Site, options: Mapping[str, Any]) -> Any:
    """The adapter with a sidecar; itself where it lacks nothing. BadConfig for policies and calendars that can't be."""
    groups = lacking(inner)
    if not groups or not hasattr(inner, "ticket"):
        return inner
    body: dict[str, Any] = {"__doc__": type(inner).__doc__}
    for name in dir(type(inner)):
        if name.startswith("_") or name in _OWN:
            continue
        found = getattr(type(inner), name)
        if inspect.iscoroutinefunction(found):
            body[name] = _passed_on(name)
        elif callable(found) and not isinstance(found, type):
            body[name] = _plain(name)
        elif not isinstance(found, property):
            body[name] = found
    for group in groups:
        for verb in GROUPS[group]:
            body[f"plan_{verb}"] = getattr(SidecarVerbs, f"plan_{verb}")
    body["HALF"] = {**getattr(inner, "HALF", {}), **{group: HALF[group] for group in sorted(groups)}}
    if options.get("promises", True):
        body["HALF"].setdefault("promises", "due times the server lacks are worked out here; its own filter and sort by due time do not know them")
    kind = type(f"Sidecar{type(inner).__name__}", (_Sidecar,), body)
    return kind(inner, site, options, groups)


def _passed_on(name: str) -> Callable[..., Any]:
    async def method(self: Any, *args: Any, **named: Any) -> Any:
        return await getattr(self.inner, name)(*args, **named)

    return method


def _plain(name: str) -> Callable[..., Any]:
    return lambda self, *args, **named: getattr(self.inner, name)(*args, **named)


class _Sidecar(SidecarVerbs):
    """What is different from the inner adapter. `with_sidecar` puts the verbs on that the inner one has."""

    poll_every: float = 60.0
    poll_partial: ClassVar[bool] = True

    def __init__(self, inner: Any, site: Site, options: Mapping[str, Any], groups: frozenset[str]) -> None:
        self.inner, self.name, self.groups = inner, inner.name, groups
        self._side = SideStore(site.store, inner.name)
        self._promise = Promise.read({key: value for key, value in options.items() if value}, site.timezone) if options.get("promises", True) else None
        self._known: OrderedDict[str, tuple[str, tuple[Event, ...]]] = OrderedDict()
        self._cursor = -1

    def __getattr__(self, name: str) -> Any:
        if name == "inner":
            raise AttributeError(name)
        return getattr(self.inner, name)

    async def open(self) -> None:
        """The store's part first: it is here."""
        await in_thread(60.0, self._side.declare)
        await self.inner.open()

    # -- reading ----------------------------------------------------------------------------------------

    async def ticket(self, id: str) -> Ticket:
        """The server's ticket with what is kept here. A merged one's records go on to the ticket it lives on as."""
        found: Ticket = await self.inner.ticket(id)
        return await self._whole(found, id)

    async def _whole(self, found: Ticket, asked: str = "") -> Ticket:
        ident = found.row.id
        if asked and asked != ident:
            await in_thread(DEADLINE, self._side.follow, asked, ident)
        doc = await in_thread(DEADLINE, self._side.doc, ident)
        kept = records.kept(doc)
        joined: dict[str, Any] = {name: tuple(dict.fromkeys((*getattr(found, name), *kept[name]))) for name in ("refs", "checklist", "approvals", "followers", "referrals")}
        waits = {name: getattr(found, name) or kept[name] for name in ("pending_reason", "pending_until")}
        combined = replace(found, **joined, **waits)
        return await self._promised(combined)

    async def _promised(self, found: Ticket) -> Ticket:
        """With the promises of this house where the server has none for it."""
        if self._promise is None or found.sla or found.row.due_at is not None:
            return found
        try:
            events = await self._events(found)
            words: Vocabulary = await self.inner.vocabulary()
        except BackendError:
            return found
        targets, due = self._promise.of_events(events, now(), dict(words.statuses), found)
        due = due if found.row.phase in (Phase.NEW, Phase.ACTIVE) else None
        await in_thread(DEADLINE, self._side.keep_due, found.row.id, due)
        return replace(found, sla=targets, row=replace(found.row, due_at=due))

    async def _events(self, found: Ticket) -> tuple[Event, ...]:
        """The server's events, read again when the ticket has another version."""
        ident, version = found.row.id, found.row.version
        known = self._known.get(ident)
        if known is None or known[0] != version or not version:
            known = self._known[ident] = (version, tuple(await self.inner.timeline(ident)))
            while len(self._known) > EVENTS_KEPT:
                self._known.popitem(last=False)
        return known[1]

    async def timeline(self, id: str) -> Sequence[Event]:
        """The server's events and those kept here, by their time."""
        events = list(await self.inner.timeline(id))
        doc = await in_thread(DEADLINE, self._side.doc, id)
        own = [replace(read_event({**event, "seq": int(event["seq"]) + 1}), seq=OWN_SEQ + int(event["seq"])) for event in doc.get("events", ())]
        return sorted([*events, *own], key=lambda event: event.at) if own else events

    async def tickets(self, query: TicketQuery, offset: int = 0, limit: int = 100) -> Page[TicketRow]:
        """The server's list; by what is kept here a list of our own. Due times are put in where the server has none."""
        wheres, rest, lost = kept_here(query, self.groups)
        if wheres:
            found = await by_kept(self.inner, self._side, wheres, rest)
            page = page_of(found, offset, limit, lost)
        else:
            page = await self.inner.tickets(rest, offset, limit)
            page = replace(page, note="; ".join(part for part in (page.note, lost) if part))
        wanted = [row.id for row in page.items if row.due_at is None and row.phase in OPEN_PHASES] if self._promise is not None else []
        return with_dues(page, await in_thread(DEADLINE, self._side.dues, wanted)) if wanted else page

    async def position(self, query: TicketQuery, id: str) -> int | None:
        """Where it stands in that list."""
        wheres, rest, _ = kept_here(query, self.groups)
        if not wheres:
            place: int | None = await self.inner.position(rest, id)
            return place
        found = await by_kept(self.inner, self._side, wheres, rest)
        return next((place for place, ticket in enumerate(found) if ticket.row.id == id), None)

    # -- writing ----------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """The server's plan; ours for what it lacks."""
        own = f"plan_{change.verb.replace('-', '_')}"
        if any(own == f"plan_{verb}" for group in self.groups for verb in GROUPS[group]):
            plan: Plan = await getattr(self, own)(change, actor)
            return plan
        if change.verb != "create" or "refs" not in self.groups or not change.values.get("refs"):
            plan = await self.inner.plan(change, actor)
            return plan
        try:
            refs = refs_fields(list(dict.fromkeys(str(Ref.parse(str(ref))) for ref in change.values["refs"])))
        except ValueError as error:
            raise Invalid(fields={"refs": str(error)}) from None
        plan = await self.inner.plan(replace(change, values={key: value for key, value in change.values.items() if key != "refs"}), actor)
        steps = (*plan.steps, *(Step("about", "", ref) for ref in refs["refs"]))
        return replace(plan, steps=steps, change=replace(plan.change, values={**plan.change.values, "side_refs": refs}))

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Here, there, or both: the server first, so that nothing is kept of what it refused."""
        values = plan.change.values
        if values.get("side"):
            return await self._apply_own(plan, actor, op_id)
        if "side_refs" not in values:
            outcome: Outcome = await self.inner.apply(plan, actor, op_id)
            return outcome
        bare = replace(plan, change=replace(plan.change, values={key: value for key, value in values.items() if key != "side_refs"}))
        outcome = await self.inner.apply(bare, actor, op_id)
        if outcome.target:
            event = {"type": "linked", "set": values["side_refs"], "actor": actor.login, "via": "ui", "op_id": f"{op_id}-refs"}
            number = (await self.inner.ticket(outcome.target)).row.number
            await in_thread(DEADLINE, self._side.append, outcome.target, number, event, {}, now())
        return outcome

    async def _apply_own(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        change, values = plan.change, plan.change.values
        if await in_thread(DEADLINE, self._side.done, change.target, op_id):
            return Outcome("done", "", change.target)
        for item in values["server"]:
            wanted = Change("tickets", self.name, item["verb"], change.target, change.label, item["values"], plan.version)
            inner_plan = await self.inner.plan(wanted, actor)
            if inner_plan.missing:
                raise Refused("; ".join(inner_plan.missing))
            await self.inner.apply(inner_plan, actor, f"{op_id}-{item['verb']}")
        event = {"via": "ui", **values["event"], "actor": actor.login, "op_id": op_id}
        await in_thread(DEADLINE, self._side.append, change.target, str(values["number"]), event, values["was"], now())
        return Outcome("done", await self._say(change, actor, op_id), change.target)

    async def _say(self, change: Change, actor: Actor, op_id: str) -> str:
        """The internal note on the server; that it failed is said, what is kept here stands."""
        if not change.values["note"]:
            return ""
        body = f"{change.values['note']}\n(deskside {op_id[:8]})"
        try:
            plan = await self.inner.plan(Change("tickets", self.name, "note", change.target, change.label, {"body": body}), actor)
            await self.inner.apply(plan, actor, f"{op_id}-note")
        except BackendError as error:
            return f"kept here; the note on the server is not written: {error.text}"
        return ""

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """What is there now, and the whole ticket."""
        if not plan.change.values.get("side"):
            found, record = await self.inner.read_back(plan, outcome)
            return found, await self._whole(record) if isinstance(record, Ticket) else record
        ticket = await self.ticket(plan.change.target)
        doc = await in_thread(DEADLINE, self._side.doc, plan.change.target)
        now_ = {"status": ticket.row.status, **{name: doc.get(name) for name in plan.expected if name != "status"}}
        return {name: wanted if not wanted and not now_.get(name) else now_.get(name) for name, wanted in plan.expected.items()}, ticket

    # -- the collector's side ---------------------------------------------------------------------------

    async def poll(self) -> Sequence[Polled]:
        """The server's own poll, then what is to wake, then the due times of what changed."""
        polled: Sequence[Polled] = await self.inner.poll() if hasattr(self.inner, "poll") else ()
        await sidecar_waking.wake(self.inner, self.name, self._side, now())
        if self._promise is not None:
            self._cursor, ids = await self.inner.changes(self._cursor)
            for ident in ids[-DUES_A_POLL:]:
                await self.ticket(ident)
        return polled


_OWN = frozenset(name for name in vars(_Sidecar) if not name.startswith("_")) - {"poll_every", "poll_partial"} | {"inner", "name", "groups", "HALF"}
