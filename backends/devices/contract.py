"""What a monitoring system can do, one Protocol a verb. Write verbs are `plan_<verb>` (see `backends.contract.Writes`).

Values of the changes: ack {comment, until?}; unack {}; downtime {start, end, comment}; check {} (look again now).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from backends.contract import Actor, Change, Page, Plan
from backends.devices.model import Device, DeviceCount, DeviceQuery, DeviceRow


@runtime_checkable
class ListsDevices(Protocol):
    """Lists, counts and opens devices."""

    async def devices(self, query: DeviceQuery, offset: int = 0, limit: int = 100) -> Page[DeviceRow]:
        """A window of the list."""

    async def device(self, id: str) -> Device:
        """The device by id or name. NotFound."""

    async def count(self) -> DeviceCount:
        """Figures over all devices."""


@runtime_checkable
class FollowsDevices(Protocol):
    """A change feed, so that a list redraws only what moved."""

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """(newest cursor, ids changed after `since`)."""


@runtime_checkable
class KeepsHistory(Protocol):
    """Metrics over time."""

    async def history(self, id: str, metric: str, since: datetime) -> Sequence[tuple[datetime, float]]:
        """Points, oldest first."""


@runtime_checkable
class ChecksDevices(Protocol):
    """Look again now."""

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """Runs the checks of one device at once."""


@runtime_checkable
class AcknowledgesDevices(Protocol):
    """Say that somebody is on it."""

    async def plan_ack(self, change: Change, actor: Actor) -> Plan:
        """Kept until the device is OK again."""

    async def plan_unack(self, change: Change, actor: Actor) -> Plan:
        """Take it back."""


@runtime_checkable
class SchedulesDowntime(Protocol):
    """Planned work."""

    async def plan_downtime(self, change: Change, actor: Actor) -> Plan:
        """From `start` to `end`."""
