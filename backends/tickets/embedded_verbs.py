"""The verbs of our own tickets: each reads the ticket, and the second one where there is one, and hands both to the pure plans.

Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from backends.contract import Actor, Change, Plan
from backends.errors import Invalid
from backends.store.contract import All, Record, Test
from backends.threads import in_thread
from backends.tickets import planning, plans_ties, plans_words, plans_work
from backends.tickets.appending import EVENTS, TICKETS, timeline
from backends.tickets.events import event_id
from backends.tickets.model import OPEN_PHASES, Vocabulary
from backends.tickets.planning import House

DEADLINE = 20.0
_OPEN = tuple(phase.value for phase in OPEN_PHASES)


class EmbeddedVerbs:
    """What `plan_by_verb` finds. The adapter gives the store, the house and how a ticket is read."""

    _store: Any
    _house: House

    def _record(self, id: str) -> Record:
        raise TypeError("the adapter reads tickets")

    async def vocabulary(self) -> Vocabulary:
        """The site's words."""
        raise TypeError("the adapter knows its words")

    async def _planned(self, how: Callable[[Change, Record, Actor, House], Plan], change: Change, actor: Actor) -> Plan:
        record = await in_thread(DEADLINE, self._record, change.target)
        return how(change, record, actor, self._house)

    async def _tied(self, how: Callable[[Change, Record, Record, Actor, House], Plan], change: Change, actor: Actor, name: str) -> Plan:
        if not str(change.values.get(name) or "").strip():
            raise Invalid(fields={name: "which ticket?"})
        record = await in_thread(DEADLINE, self._record, change.target)
        other = await in_thread(DEADLINE, self._record, str(change.values[name]).strip())
        return how(change, record, other, actor, self._house)

    async def plan_create(self, change: Change, actor: Actor) -> Plan:
        """A new ticket; an alert that is known already is added to the ticket it made."""
        known = await in_thread(DEADLINE, self._alerted, str(change.values.get("dedupe_key") or ""))
        if known is not None:
            return planning.plan_alerted(change, known, actor, self._house)
        return planning.plan_create(change, actor, self._house)

    def _alerted(self, key: str) -> Record | None:
        if not key:
            return None
        found = self._store.select(TICKETS, All((Test("dedupe_key", "eq", key), Test("phase", "any", _OPEN))), limit=1)
        return found[0] if found else None

    async def plan_take(self, change: Change, actor: Actor) -> Plan:
        """Become its assignee."""
        return await self._planned(planning.plan_take, change, actor)

    async def plan_steal(self, change: Change, actor: Actor) -> Plan:
        """From whoever has it."""
        return await self._planned(plans_work.plan_steal, change, actor)

    async def plan_release(self, change: Change, actor: Actor) -> Plan:
        """Give it back."""
        return await self._planned(planning.plan_release, change, actor)

    async def plan_assign(self, change: Change, actor: Actor) -> Plan:
        """To somebody, or a team."""
        return await self._planned(planning.plan_assign, change, actor)

    async def plan_status(self, change: Change, actor: Actor) -> Plan:
        """Move it along; what that means for its family is said."""
        return await self._with_family(await self._planned(planning.plan_status, change, actor))

    async def plan_reply(self, change: Change, actor: Actor) -> Plan:
        """Public; with a status it is said what that means for its family."""
        return await self._with_family(await self._planned(planning.plan_reply, await self._with_files(change), actor))

    async def plan_note(self, change: Change, actor: Actor) -> Plan:
        """Internal; colleagues named with @ are told."""
        known = (await self.vocabulary()).agents
        return await self._planned(partial(planning.plan_note, known=known), await self._with_files(change), actor)

    async def _with_files(self, change: Change) -> Change:
        """The change with its files looked at: size and hash are part of the plan."""
        paths = [str(item["path"] if isinstance(item, Mapping) else item) for item in change.values.get("files") or ()]
        if not paths:
            return change
        files = [await in_thread(DEADLINE, plans_work.look_at, path) for path in paths]
        return replace(change, values={**change.values, "files": files})

    async def _with_family(self, plan: Plan) -> Plan:
        phase = str(plan.change.values["event"]["set"].get("phase") or "")
        return plans_words.with_effects(plan, await in_thread(DEADLINE, self._family, plan.change.target, phase))

    def _family(self, ident: str, phase: str) -> tuple[str, ...]:
        found = [(str(link["kind"]), self._store.get(TICKETS, str(link["to"]))) for link in self._record(ident).doc.get("links", ())]
        return plans_words.family([(kind, other.doc) for kind, other in found if other is not None], phase)

    async def plan_edit(self, change: Change, actor: Actor) -> Plan:
        """Plain fields."""
        return await self._planned(planning.plan_edit, change, actor)

    async def plan_link(self, change: Change, actor: Actor) -> Plan:
        """About one more record."""
        return await self._planned(planning.plan_link, change, actor)

    async def plan_unlink(self, change: Change, actor: Actor) -> Plan:
        """About one record less."""
        return await self._planned(planning.plan_unlink, change, actor)

    async def plan_time(self, change: Change, actor: Actor) -> Plan:
        """Minutes."""
        return await self._planned(plans_work.plan_time, change, actor)

    async def plan_log_call(self, change: Change, actor: Actor) -> Plan:
        """A call with the requester."""
        return await self._planned(plans_work.plan_log_call, change, actor)

    async def plan_refer(self, change: Change, actor: Actor) -> Plan:
        """To a vendor."""
        return await self._planned(plans_work.plan_refer, change, actor)

    async def plan_vendor_return(self, change: Change, actor: Actor) -> Plan:
        """Back from the vendor."""
        return await self._planned(plans_work.plan_vendor_return, change, actor)

    async def plan_watch(self, change: Change, actor: Actor) -> Plan:
        """Who is told."""
        return await self._planned(plans_work.plan_watch, change, actor)

    async def plan_approve(self, change: Change, actor: Actor) -> Plan:
        """Ask for authority."""
        return await self._planned(plans_work.plan_approve, change, actor)

    async def plan_decide(self, change: Change, actor: Actor) -> Plan:
        """Give or refuse it."""
        return await self._planned(plans_work.plan_decide, change, actor)

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """An item of the checklist."""
        return await self._planned(plans_work.plan_check, change, actor)

    async def plan_attach(self, change: Change, actor: Actor) -> Plan:
        """Files."""
        record = await in_thread(DEADLINE, self._record, change.target)
        return await in_thread(DEADLINE, plans_work.plan_attach, change, record, actor, self._house)

    async def plan_relate(self, change: Change, actor: Actor) -> Plan:
        """A tie."""
        return await self._tied(plans_ties.plan_relate, change, actor, "to")

    async def plan_unrelate(self, change: Change, actor: Actor) -> Plan:
        """A tie less."""
        return await self._tied(plans_ties.plan_unrelate, change, actor, "to")

    async def plan_merge(self, change: Change, actor: Actor) -> Plan:
        """One ticket out of two; a chain of merges leads to its end."""
        return await self._tied(plans_ties.plan_merge, change, actor, "into")

    async def plan_unmerge(self, change: Change, actor: Actor) -> Plan:
        """Two again."""
        return await in_thread(DEADLINE, self._unmerge, change, actor)

    def _unmerge(self, change: Change, actor: Actor) -> Plan:
        record = self._record(change.target)
        other = self._record(plans_ties.merged_into(record) or record.id)
        newest = self._store.get(EVENTS, event_id(other.id, int(other.doc.get("events", 1))))
        doc: Mapping[str, Any] = newest.doc if newest is not None else {}
        return plans_ties.plan_unmerge(change, record, other, doc, timeline(self._store, record.id), actor, self._house)

    async def plan_split(self, change: Change, actor: Actor) -> Plan:
        """A new ticket out of some entries."""
        record = await in_thread(DEADLINE, self._record, change.target)
        events = await in_thread(DEADLINE, timeline, self._store, record.id)
        return plans_ties.plan_split(change, record, events, actor, self._house)
