"""`LocalMachine`: this machine as a device. In the collector it reads; in a console it shows what the collector published."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from backends.contract import Actor, Change, Health, Outcome, Page, Plan, Site, Step, now, plan_by_verb
from backends.devices.acks import Acks
from backends.devices.local_reading import Machine, Reading
from backends.devices.model import (
    SEVERITY,
    Check,
    Device,
    DeviceCount,
    DeviceEvent,
    DeviceQuery,
    DeviceRow,
    Fact,
    Metric,
    State,
)
from backends.devices.thresholds import MAX_ATTEMPTS, Limits, Standing
from backends.errors import NotFound
from backends.options import Option
from backends.polling import LiveReader, Polled
from backends.threads import in_thread

DEADLINE = 8.0
EVENTS_KEPT = 50
STALE_AFTER = 3.0
"""Polls that may be missed before a value counts as old."""

_FLEETING = ("CPU", "Load")
"""Checks whose first value says nothing: a sample of a moment, taken while the console itself starts."""


class LocalMachine:
    """One device, many checks with thresholds and hysteresis."""

    domain: ClassVar[str] = "devices"
    adapter: ClassVar[str] = "local"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("every", "duration", "seconds between two looks", default="10s"),
        Option("site", "text", "where it stands", default=""),
        Option("cpu_warn", "float", "%", default=85.0), Option("cpu_crit", "float", "% that counts as DOWN (none: a busy processor is not down)"),
        Option("load_warn", "float", "load per core", default=2.0), Option("load_crit", "float", "load per core", default=6.0),
        Option("memory_warn", "float", "%", default=88.0), Option("memory_crit", "float", "%", default=97.0),
        Option("swap_warn", "float", "%", default=60.0), Option("swap_crit", "float", "%", default=90.0),
        Option("disk_warn", "float", "% of space or inodes", default=85.0), Option("disk_crit", "float", "% of space or inodes", default=95.0),
        Option("heat_warn", "float", "degrees Celsius", default=80.0), Option("heat_crit", "float", "degrees Celsius", default=92.0),
    )  # fmt: skip

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self.poll_every = float(options.get("every") or 10.0)
        self._options = {**{option.name: option.default for option in self.OPTIONS}, **options}
        self._site = self._options["site"] or ""
        self._machine = Machine()
        self._standing: dict[str, Standing] = {}
        self._events: list[dict[str, Any]] = []
        self._live: LiveReader | None = None
        self._id = platform.node() or "here"
        self._seen: dict[str, Any] | None = None
        self._acks = Acks(site.store, name)

    # -- life -------------------------------------------------------------------------------------------

    def use_live(self, reader: LiveReader) -> None:
        """Read what the collector published."""
        self._live = reader

    async def open(self) -> None:
        """Nothing to connect to."""

    async def health(self) -> Health:
        """It is here, always."""
        return Health("ok", "this machine")

    async def close(self) -> None:
        """Nothing to let go of."""

    # -- the collector's side ---------------------------------------------------------------------------

    async def poll(self) -> list[Polled]:
        """One look at everything."""
        value = await self._look()
        metrics = {item["name"]: item["value"] for item in value["metrics"]}
        return [Polled(self._id, value, metrics)]

    async def _look(self) -> dict[str, Any]:
        reading = await in_thread(DEADLINE, self._machine.read)
        return self._value(reading)

    def _limits(self, check: str) -> Limits:
        word = check.split(" ")[0].lower()
        name = {"inodes": "disk", "temperature": "heat"}.get(word, word)
        return Limits(self._options.get(f"{name}_warn"), self._options.get(f"{name}_crit"))

    def _value(self, reading: Reading) -> dict[str, Any]:
        checks: dict[str, dict[str, Any]] = {}
        for check, metric, sentence in reading.metrics:
            limits = self._limits(check)
            found = limits.state(metric.value, self._standing.get(check, Standing()).state)
            entry = checks.setdefault(check, {"state": State.OK, "text": [], "limits": limits})
            entry["state"] = max(entry["state"], found, key=lambda state: SEVERITY[state])
            if sentence:
                entry["text"].append(sentence)
        if reading.failed_units is not None:
            word = State.WARN if reading.failed_units else State.OK
            checks["Services"] = {"state": word, "text": [", ".join(reading.failed_units) or "no unit has failed"], "limits": Limits()}
        return {
            "checks": [self._checked(name, entry, reading.at) for name, entry in checks.items()],
            "metrics": [
                {"name": metric.name, "value": metric.value, "unit": metric.unit, "warn": self._limits(check).warn, "crit": self._limits(check).crit}
                for check, metric, _ in reading.metrics
            ],
            "facts": [[fact.group, fact.name, fact.value] for fact in reading.facts], "events": self._events[-EVENTS_KEPT:], "at": reading.at,
        }  # fmt: skip

    def _checked(self, name: str, entry: Mapping[str, Any], at: float) -> dict[str, Any]:
        before = self._standing.get(name, Standing(State.OK, at) if name in _FLEETING else Standing())
        after = before.seen(entry["state"], at)
        self._standing[name] = after
        text = "; ".join(entry["text"])
        if before.state not in (State.PENDING, after.state):
            self._events.append({"at": at, "check": name, "before": str(before.state), "after": str(after.state), "text": text})
        return {
            "name": name, "state": str(after.state), "text": text, "since": after.since, "hard": after.soft is None, "attempt": after.attempt,
        }  # fmt: skip

    # -- the console's side -----------------------------------------------------------------------------

    async def _known(self) -> tuple[dict[str, Any] | None, str]:
        """The newest value and why it is old, if it is."""
        row = self._live.get("devices", self.name, self._id) if self._live is not None else None
        if row is None:
            if self._seen is None or time.time() - self._seen["at"] > self.poll_every:
                self._seen = await self._look()
            return self._seen, ""
        old = time.time() - row.at > STALE_AFTER * self.poll_every
        return row.value, row.error if row.state == "stale" else "the collector is silent" if old else ""

    def _row(self, value: Mapping[str, Any] | None, stale: str) -> DeviceRow:
        if value is None:
            return DeviceRow(self.name, self._id, self._id, "server", "", self._site, State.PENDING, output="the first look is under way")
        worst = max(value["checks"], key=lambda check: (SEVERITY[State(check["state"])], check["since"]))
        state = State(worst["state"])
        cpu = next((metric["value"] for metric in value["metrics"] if metric["name"] == "cpu"), 0)
        output = f"{worst['name']}: {worst['text']}" if state is not State.OK else f"cpu {cpu:.0f} %, " + next(
            (check["text"] for check in value["checks"] if check["name"] == "Memory"), "")  # fmt: skip
        since = _time(worst["since"]) if state is not State.OK else _time(min(check["since"] for check in value["checks"]))
        return DeviceRow(
            self.name, self._id, self._id, "server", "localhost", self._site, state, since, _time(value["at"]), output,
            self._acks.word(self._id, state), stale,
        )  # fmt: skip

    async def devices(self, query: DeviceQuery, offset: int = 0, limit: int = 100) -> Page[DeviceRow]:
        """This machine, if it matches."""
        row = self._row(*await self._known())
        fits = _matches(row, query)
        return Page((row,) if fits and offset == 0 else (), offset, 1 if fits else 0)

    async def device(self, id: str) -> Device:
        """Everything about it."""
        if id not in (self._id, "here", "localhost"):
            raise NotFound(f"device {id}")
        value, stale = await self._known()
        row = self._row(value, stale)
        if value is None:
            return Device(row)
        return Device(
            row,
            tuple(_check(self._id, check) for check in value["checks"]),
            tuple(Fact(*fact) for fact in value["facts"]),
            tuple(Metric(item["name"], item["value"], item["unit"], item["warn"], item["crit"]) for item in value["metrics"]),
            tuple(_event(event) for event in reversed(value["events"])),
        )

    async def count(self) -> DeviceCount:
        """One."""
        row = self._row(*await self._known())
        return DeviceCount(1, {row.state: 1})

    async def history(self, id: str, metric: str, since: datetime) -> Sequence[tuple[datetime, float]]:
        """What the collector kept."""
        if self._live is None:
            return ()
        points = self._live.history(f"devices:{self.name}:{id}", metric, since.timestamp())
        return [(_time(at), value) for at, value in points]

    # -- writing ----------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """check, ack, unack."""
        return await plan_by_verb(self, change, actor)

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """Look again now."""
        return Plan(
            dataclasses.replace(change, label=self._id),
            f"Check {self._id} now",
            (Step("all checks", "", "run now"),),
            expected={"asked": True},
        )

    async def plan_ack(self, change: Change, actor: Actor) -> Plan:
        """Until it is OK again."""
        row = self._row(*await self._known())
        return self._acks.plan_ack(change, row)

    async def plan_unack(self, change: Change, actor: Actor) -> Plan:
        """Take it back."""
        return self._acks.plan_unack(change, self._row(*await self._known()))

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Ask the collector, or write the acknowledgement."""
        if plan.change.verb != "check":
            return await in_thread(DEADLINE, self._acks.apply, plan, actor)
        if self._live is not None:
            self._live.want("devices", self.name)
        else:
            self._seen = await self._look()
        return Outcome("done", "", self._id)

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """As it is now."""
        device = await self.device(self._id)
        if plan.change.verb == "check":
            return {"asked": outcome.word == "done"}, device
        return self._acks.read_back(self._id), device


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _check(device: str, check: Mapping[str, Any]) -> Check:
    return Check(
        f"{device}/{check['name']}", check["name"], State(check["state"]), check["text"], check["hard"], check["attempt"], MAX_ATTEMPTS,
        _time(check["since"]), now(),
    )  # fmt: skip


def _event(event: Mapping[str, Any]) -> DeviceEvent:
    return DeviceEvent(_time(event["at"]), event["check"], State(event["before"]), State(event["after"]), event["text"])


def _matches(row: DeviceRow, query: DeviceQuery) -> bool:
    text = f"{row.name} {row.kind} {row.site} {row.output}".casefold()
    found = all(word in text for word in query.text.casefold().split())
    return (
        found != (query.inverse and bool(query.text))
        and (not query.states or row.state in query.states)
        and (not query.kinds or row.kind in query.kinds)
        and (not query.sites or row.site in query.sites)
        and not (query.faults and row.state in (State.OK, State.PENDING))
    )
