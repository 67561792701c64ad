"""What our own ticket store answers about schedules: the Protocol `SchedulesTickets`. Never imports an adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from backends.contract import Actor, Change, Plan, now
from backends.store.contract import Record
from backends.threads import in_thread
from backends.tickets import schedules, schedules_plans
from backends.tickets.model import Occurrence, Schedule
from backends.tickets.planning import House

DEADLINE = 20.0


class ScheduleVerbs:
    """What `plan_by_verb` finds; the adapter gives the store, the house and the site's zone."""

    _store: Any
    _house: House
    _zone: str

    async def schedules(self) -> Sequence[Schedule]:
        """The next due first."""
        return await in_thread(DEADLINE, lambda: [schedules.read(self._store, one, now()) for one in schedules.all_of(self._store)])

    async def schedule(self, id: str) -> Schedule:
        """By id or number."""
        return await in_thread(DEADLINE, lambda: schedules.read(self._store, schedules.find(self._store, id), now()))

    async def occurrences(self, id: str, coming: int = 5, past: int = 50) -> Sequence[Occurrence]:
        """What comes, then what was."""
        return await in_thread(DEADLINE, lambda: schedules.occurrences(self._store, schedules.find(self._store, id), now(), coming, past))

    async def _scheduled(self, how: Callable[[Record], Plan], change: Change) -> Plan:
        return await in_thread(DEADLINE, lambda: how(schedules.find(self._store, change.target)))

    async def plan_schedule(self, change: Change, actor: Actor) -> Plan:
        """New, or other values."""
        def plan() -> Plan:
            record = schedules.find(self._store, change.target) if change.target else None
            return schedules_plans.plan_schedule(change, record, actor, self._house, self._zone, now())

        return await in_thread(DEADLINE, plan)

    async def plan_schedule_pause(self, change: Change, actor: Actor) -> Plan:
        """Nothing is made."""
        return await self._scheduled(lambda record: schedules_plans.plan_pause(change, record, actor, now()), change)

    async def plan_schedule_resume(self, change: Change, actor: Actor) -> Plan:
        """From now on."""
        return await self._scheduled(lambda record: schedules_plans.plan_resume(change, record, actor, now()), change)

    async def plan_schedule_skip(self, change: Change, actor: Actor) -> Plan:
        """Once."""
        return await self._scheduled(lambda record: schedules_plans.plan_skip(change, record, actor, now()), change)

    async def plan_schedule_run(self, change: Change, actor: Actor) -> Plan:
        """Now."""
        return await self._scheduled(lambda record: schedules_plans.plan_run(change, record, actor, self._house), change)

    async def plan_schedule_remove(self, change: Change, actor: Actor) -> Plan:
        """For good."""
        return await self._scheduled(lambda record: schedules_plans.plan_remove(change, record, actor), change)
