"""The verbs a ticket system lacks, planned here: the pure plans of our own tickets, on what is kept here of a remote one.

What the server can do about it is done there too: a referral pauses the ticket by a status of its own, and an internal note says on both
sides what happened. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from backends.contract import Actor, Change, Plan
from backends.errors import Invalid, Refused
from backends.store.contract import Record
from backends.text import clean
from backends.threads import in_thread
from backends.tickets import planning, plans_work
from backends.tickets.events import USUAL
from backends.tickets.model import Phase, Ticket, Vocabulary
from backends.tickets.planning import House
from backends.tickets.sidecar_store import SideStore
from backends.tickets.workflow import Statuses

DEADLINE = 10.0
KEPT = "kept in this house's store, not on the server"
How = Callable[[Change, Record, Actor, House], Plan]
GROUPS: Mapping[str, tuple[str, ...]] = {
    "refs": ("link", "unlink"), "vendors": ("refer", "vendor_return"), "authority": ("approve", "decide"), "checklists": ("check",), "followers": ("watch",),
}  # fmt: skip
"""What is kept here -> its verbs, as in `plan_<verb>`."""
HALF: Mapping[str, str] = {
    "refs": f"what a ticket is about is {KEPT}",
    "vendors": f"referrals and their follow-up days are {KEPT}; an internal note there says so",
    "authority": f"who authorised what is {KEPT}; an internal note there says so",
    "checklists": f"checklists are {KEPT}",
    "followers": f"colleagues who follow a ticket are {KEPT}",
}  # fmt: skip
_SAID = ("refer", "vendor-return", "approve", "decide")


class SidecarVerbs:
    """What `plan` finds for a verb the server lacks."""

    inner: Any
    name: str
    _side: SideStore

    async def _planned(self, how: How, change: Change, actor: Actor) -> tuple[Plan, Ticket]:
        """The pure plan on the ticket as it is there and here, its values in the form `apply` wants."""
        ticket: Ticket = await self.inner.ticket(change.target)
        doc = await in_thread(DEADLINE, self._side.doc, ticket.row.id)
        house = await self._house()
        if ticket.row.phase is Phase.CLOSED and change.verb not in ("link", "unlink"):
            raise Refused(f"{ticket.row.number} is {ticket.row.status}: open a new ticket that refers to it")
        row = ticket.row
        here = {"number": 0, "subject": row.subject, "status": row.status, "phase": row.phase.value, "assignee": row.assignee}
        plan = how(replace(change, target=row.id), Record(row.id, 1, 0, {**doc, **here}), actor, house)
        return self._own(plan, ticket, doc), ticket

    def _own(self, plan: Plan, ticket: Ticket, doc: Mapping[str, Any]) -> Plan:
        row, values = ticket.row, plan.change.values
        label = f"{row.number} {row.subject}"
        set_ = {name: value for name, value in values["event"]["set"].items() if name not in ("status", "phase", "pending_until", "pending_reason")}
        if "pending_until" in values["event"]["set"]:
            set_["wake_at"] = values["event"]["set"]["pending_until"]
        event = {**values["event"], "set": set_}
        summary = f"{plan.summary.removesuffix(plan.change.label).strip()} {label}"
        note = _said(plan.change.verb, plan) if hasattr(self.inner, "plan_note") else ""
        kept = {**{key: value for key, value in values.items() if key not in ("event", "was")}, "side": True, "event": event, "note": note, "server": [],
                "number": row.number, "was": {name: doc.get(name) for name in set_}}  # fmt: skip
        change = replace(plan.change, label=label, values=kept)
        effects = (*plan.side_effects, KEPT + ("; an internal note there says so" if note else ""))
        return replace(plan, change=change, summary=summary, side_effects=effects, expected=dict(set_), version=row.version or None, ticket=f"tickets:{self.name}:{row.id}")

    async def _house(self) -> House:
        words: Vocabulary = await self.inner.vocabulary()
        return House(Statuses(dict(words.statuses) or Statuses().phases), USUAL, words.queues or ("",), words.categories)

    # -- plain ones -------------------------------------------------------------------------------------

    async def plan_link(self, change: Change, actor: Actor) -> Plan:
        """About one more record."""
        return (await self._planned(planning.plan_link, change, actor))[0]

    async def plan_unlink(self, change: Change, actor: Actor) -> Plan:
        """About one record less."""
        return (await self._planned(planning.plan_unlink, change, actor))[0]

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """An item of the checklist."""
        return (await self._planned(plans_work.plan_check, change, actor))[0]

    async def plan_approve(self, change: Change, actor: Actor) -> Plan:
        """Ask for authority."""
        return (await self._planned(plans_work.plan_approve, change, actor))[0]

    async def plan_decide(self, change: Change, actor: Actor) -> Plan:
        """Give or refuse it."""
        return (await self._planned(plans_work.plan_decide, change, actor))[0]

    async def plan_watch(self, change: Change, actor: Actor) -> Plan:
        """Colleagues only: the server would not tell an address."""
        outside = [str(name) for name in change.values.get("add") or () if "@" in str(name)]
        if outside:
            raise Invalid(fields={"add": f"{', '.join(outside)}: this server tells no further addresses of replies; logins of colleagues are kept here"})
        return (await self._planned(plans_work.plan_watch, change, actor))[0]

    # -- vendors ----------------------------------------------------------------------------------------

    async def plan_refer(self, change: Change, actor: Actor) -> Plan:
        """Kept here with its follow-up; on the server it waits, if there is a status for that."""
        plan, ticket = await self._planned(plans_work.plan_refer, change, actor)
        words = (await self._house()).statuses.of(Phase.PAUSED)
        word = next((word for word in words if "vendor" in word.casefold()), words[0] if words else "")
        vendor = str(change.values["vendor"]).strip()
        plan = _with(plan, {"pending_reason": f"vendor: {vendor}", "vendor": vendor})
        return self._moved(plan, ticket, word, f"vendor: {vendor}")

    async def plan_vendor_return(self, change: Change, actor: Actor) -> Plan:
        """Work goes on here; on the server too, if it waited."""
        plan, ticket = await self._planned(plans_work.plan_vendor_return, change, actor)
        plan = _with(plan, {"wake_at": None, "pending_reason": None, "vendor": None})
        word = working((await self._house()).statuses) if ticket.row.phase is Phase.PAUSED else ""
        return self._moved(plan, ticket, word, "back from the vendor")

    def _moved(self, plan: Plan, ticket: Ticket, word: str, reason: str) -> Plan:
        """With the change of status on the server, where it is offered."""
        offered = word and word != ticket.row.status and hasattr(self.inner, "plan_status") and (not ticket.offered or word in ticket.offered)
        steps = tuple(step for step in plan.steps if step.what != "status" or offered)
        if not offered:
            return replace(plan, steps=steps)
        values = {**plan.change.values, "server": [{"verb": "status", "values": {"status": word, "reason": reason}}]}
        return replace(plan, steps=steps, change=replace(plan.change, values=values), expected={**plan.expected, "status": word})


def working(statuses: Statuses) -> str:
    """The word for work that goes on: the second active one where there are two, "In progress"."""
    words = statuses.of(Phase.ACTIVE)
    return words[1] if len(words) > 1 else words[0] if words else ""


def _with(plan: Plan, set_: Mapping[str, Any]) -> Plan:
    """More fields that are kept, without being expected: they follow from the others."""
    values = plan.change.values
    event = {**values["event"], "set": {**values["event"]["set"], **set_}}
    return replace(plan, change=replace(plan.change, values={**values, "event": event}))


def _said(verb: str, plan: Plan) -> str:
    """The internal note for the server, or "" where a verb is not worth one."""
    if verb not in _SAID:
        return ""
    steps = "; ".join(f"{step.what}: {step.after}" for step in plan.steps if step.after and step.what != "status")
    body = str(plan.change.values["event"].get("body") or "")
    return clean(f"{plan.summary.removesuffix(plan.change.label).strip(': ')} - {steps}" + (f"\n{body}" if body and body not in steps else ""), one_line=False)
