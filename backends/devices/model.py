"""Devices and their states: frozen records, aware UTC times. Never imports an adapter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """The word on the screen."""

    OK = "OK"
    WARN = "WARN"
    DOWN = "DOWN"
    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    UNREACHABLE = "UNREACHABLE"


SEVERITY: Mapping[State, int] = {
    State.DOWN: 5, State.UNREACHABLE: 4, State.WARN: 3, State.UNKNOWN: 2, State.PENDING: 1, State.OK: 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured value with its unit ("%", "B", "B/s", "°C", "s", "") and thresholds."""

    name: str
    value: float
    unit: str = ""
    warn: float | None = None
    crit: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is watched on a device, as it stands: hard/soft, attempt of max, since when."""

    id: str
    name: str
    state: State
    output: str = ""
    hard: bool = True
    attempt: int = 1
    max_attempts: int = 3
    since: datetime | None = None
    last_check: datetime | None = None
    metrics: tuple[Metric, ...] = ()
    flapping: bool = False


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A line of the list."""

    backend: str
    id: str
    name: str
    kind: str
    """switch, ap, router, printer, ups, server, workstation, camera, phone, other."""
    address: str
    site: str
    state: State
    since: datetime | None = None
    at: datetime | None = None
    """When it was last known."""
    output: str = ""
    """The worst check in one line."""
    handled: str = ""
    """"ack", "downtime" or ""."""
    stale: str = ""
    """Why the value is old ("timeout"), or ""."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known about a device: group ("Memory"), name, value in words."""

    group: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """A change of state in its history."""

    at: datetime
    check: str
    before: State
    after: State
    text: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """The whole device."""

    row: DeviceRow
    checks: tuple[Check, ...] = ()
    facts: tuple[Fact, ...] = ()
    metrics: tuple[Metric, ...] = ()
    events: tuple[DeviceEvent, ...] = ()
    tags: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """Which devices. `faults` = only those not OK and not pending; sort: severity, name, kind, site, since."""

    text: str = ""
    inverse: bool = False
    states: tuple[State, ...] = ()
    kinds: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    faults: bool = False
    sort: str = "severity"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class DeviceCount:
    """Figures for the wall: how many in each state."""

    total: int = 0
    by_state: Mapping[State, int] = field(default_factory=dict)
