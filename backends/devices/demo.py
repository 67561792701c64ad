"""`DemoFleet`: a county's devices that do not exist, from a seed. States are a function of seed and clock: they move by themselves."""

from __future__ import annotations

import hashlib
import math
import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, ClassVar

from backends.contract import Actor, Change, Health, Outcome, Page, Plan, Site, Step, plan_by_verb
from backends.devices.acks import Acks
from backends.devices.model import SEVERITY, Check, Device, DeviceCount, DeviceEvent, DeviceQuery, DeviceRow, Fact, Metric, State
from backends.errors import NotFound
from backends.options import Option
from backends.threads import in_thread

SITES = (
    "City Hall", "Courthouse", "Library Main", "Library North", "Sheriff", "Fire Station 1", "Fire Station 2", "Public Works", "Fleet Yard",
    "Assessor", "Health Center", "Airport", "Water Plant", "School District", "Lincoln School", "Juniper High", "Recreation Center",
    "Museum", "Data Center", "Landfill Office",
)  # fmt: skip
_KINDS = (("workstation", 34, "pc"), ("printer", 16, "prn"), ("switch", 12, "sw"), ("ap", 12, "ap"), ("phone", 8, "tel"), ("server", 6, "srv"),
          ("camera", 6, "cam"), ("ups", 4, "ups"), ("router", 2, "rt"))  # fmt: skip
_SERVERS = ("fs01", "mail01", "sql01", "gis01", "web01", "dc01", "dc02", "backup01", "app01", "print01", "school-fs", "cad01")
_FAULTS = {
    "printer": ((State.WARN, "toner at 4 %"), (State.DOWN, "no answer to ping"), (State.WARN, "paper jam in tray 2")),
    "switch": ((State.DOWN, "no answer to SNMP"), (State.WARN, "port 14: 2 % errors"), (State.WARN, "fan 1 slow")),
    "ap": ((State.DOWN, "no answer to ping"), (State.WARN, "channel 6 is 91 % busy")), "ups": ((State.WARN, "battery needs a test"), (State.DOWN, "on battery, 14 min left")),
    "server": ((State.WARN, "disk /var 91 %"), (State.DOWN, "ssh does not answer"), (State.WARN, "load 7.2 per core")),
    "router": ((State.WARN, "line 2 loses 3 %"), (State.DOWN, "no answer to ping")),
}  # fmt: skip
_OTHER = ((State.DOWN, "no answer to ping"), (State.WARN, "answers slowly, 480 ms"), (State.UNKNOWN, "the check timed out"))
SLOT = 300.0
"""Seconds a draw holds: a device that falls ill stays so for some slots."""


def _hash(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=4)
def inventory(seed: int, count: int) -> tuple[tuple[str, str, str, str], ...]:
    """(id, name, kind, site) of every device; the same seed and count give the same fleet."""
    chance = random.Random(f"fleet-{seed}")
    kinds, weights, short = [kind for kind, _, _ in _KINDS], [weight for _, weight, _ in _KINDS], {kind: word for kind, _, word in _KINDS}
    out: list[tuple[str, str, str, str]] = []
    numbers: dict[str, int] = {}
    for place in range(count):
        if place < len(SITES):
            kind, site = "switch", SITES[place]
        elif place < len(SITES) + len(_SERVERS):
            name = _SERVERS[place - len(SITES)]
            out.append((name, name, "server", "Data Center"))
            continue
        else:
            kind, site = chance.choices(kinds, weights)[0], chance.choice(SITES)
        stem = f"{short[kind]}-{site.lower().replace(' ', '-')}"
        numbers[stem] = numbers.get(stem, 0) + 1
        name = f"{stem}-{numbers[stem]}"
        out.append((name, name, kind, site))
    return tuple(out)


class DemoFleet:
    """The devices domain without a network."""

    domain: ClassVar[str] = "devices"
    adapter: ClassVar[str] = "demo"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("seed", "int", "the same seed makes the same fleet", default=7), Option("devices", "int", "how many", default=400),
    )  # fmt: skip

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self._seed = int(options.get("seed") or 7)
        self._fleet = inventory(self._seed, int(options.get("devices") or 400))
        self._index = {device[0]: place for place, device in enumerate(self._fleet)}
        self._parents = {site_: f"sw-{site_.lower().replace(' ', '-')}-1" for site_ in SITES}
        self._acks = Acks(site.store, name)
        self._ill: tuple[float, dict[int, tuple[State, str, float]]] = (-1.0, {})
        self._changed: list[tuple[int, tuple[str, ...]]] = []
        self._cursor = 0

    async def open(self) -> None:
        """Nothing to connect to."""

    async def health(self) -> Health:
        """Always there."""
        return Health("ok", f"{len(self._fleet):,} devices that do not exist")

    async def close(self) -> None:
        """Nothing to let go of."""

    # -- states -----------------------------------------------------------------------------------------

    def _episode(self, place: int, slot: int) -> tuple[State, str, float] | None:
        """The fault that began in this slot, with its length in seconds, if one did."""
        draw = _hash(self._seed, place, slot)
        kind = self._fleet[place][2]
        rate = (
            60
            if kind in ("printer", "workstation")
            else 25
            if kind in ("switch", "router", "server") and place >= len(SITES)
            else 6
            if place < len(SITES)
            else 35
        )
        if draw % 100_000 >= rate:
            return None
        state, text = (_FAULTS.get(kind) or _OTHER)[(draw >> 20) % len(_FAULTS.get(kind) or _OTHER)]
        length = 240.0 * math.exp((draw >> 40) % 1000 / 1000 * 4.2)
        return state, text, length

    def _faults(self, at: float) -> dict[int, tuple[State, str, float]]:
        """place -> (state, sentence, since) of all that are not well at a moment; kept per ten seconds."""
        step = at // 10
        if self._ill[0] == step:
            return self._ill[1]
        found: dict[int, tuple[State, str, float]] = {}
        newest = int(at // SLOT)
        for place in range(len(self._fleet)):
            for slot in range(newest, newest - 52, -1):
                episode = self._kept_episode(place, slot)
                if episode is not None:
                    since = slot * SLOT + _hash(place, slot) % int(SLOT)
                    if since <= at < since + episode[2]:
                        found[place] = (episode[0], episode[1], since)
                        break
        down = {self._fleet[place][0]: since for place, (state, _, since) in found.items() if state is State.DOWN and place < len(SITES)}
        for place, device in enumerate(self._fleet):
            parent = self._parents.get(device[3], "")
            if parent in down and device[0] != parent:
                found[place] = (State.UNREACHABLE, f"behind {parent}, which is down", down[parent])
        self._note_changes(self._ill[1], found)
        self._ill = (step, found)
        return found

    def _kept_episode(self, place: int, slot: int) -> tuple[State, str, float] | None:
        return _episodes(self._seed, len(self._fleet), slot, self)[place]

    def _note_changes(self, before: Mapping[int, Any], after: Mapping[int, Any]) -> None:
        changed = tuple(self._fleet[place][0] for place in before.keys() | after.keys() if before.get(place) != after.get(place))
        if changed:
            self._cursor += 1
            self._changed = [*self._changed[-200:], (self._cursor, changed)]

    def _row(self, place: int, faults: Mapping[int, tuple[State, str, float]], at: float) -> DeviceRow:
        ident, name, kind, site = self._fleet[place]
        state, text, since = faults.get(
            place, (State.OK, f"answers in {_hash(place) % 9 + 1} ms", at - at % 86400 - _hash(ident) % 2_000_000)
        )
        address = f"10.{20 + _hash(site) % 40}.{place // 250 % 250}.{place % 250 + 1}"
        return DeviceRow(
            self.name,
            ident,
            name,
            kind,
            address,
            site,
            state,
            _time(since),
            _time(at - at % 10),
            text,
            self._acks.word(ident, state) if state is not State.OK else "",
        )

    # -- reading ----------------------------------------------------------------------------------------

    async def devices(self, query: DeviceQuery, offset: int = 0, limit: int = 100) -> Page[DeviceRow]:
        """A window; only its rows are made."""
        return await in_thread(10.0, self._page, query, offset, limit)

    def _page(self, query: DeviceQuery, offset: int, limit: int) -> Page[DeviceRow]:
        at = time.time()
        faults = self._faults(at)
        places = [place for place in range(len(self._fleet)) if self._fits(place, faults, query)]
        if query.sort == "severity":
            places.sort(key=lambda place: SEVERITY[faults[place][0]] if place in faults else 0, reverse=query.descending)
        elif query.sort == "since":
            places.sort(key=lambda place: faults[place][2] if place in faults else 0.0, reverse=query.descending)
        else:
            column = {"name": 1, "kind": 2, "site": 3}.get(query.sort, 1)
            places.sort(key=lambda place: self._fleet[place][column], reverse=query.descending)
        return Page(tuple(self._row(place, faults, at) for place in places[offset : offset + limit]), offset, len(places))

    def _fits(self, place: int, faults: Mapping[int, tuple[State, str, float]], query: DeviceQuery) -> bool:
        _, name, kind, site = self._fleet[place]
        fault = faults.get(place)
        if query.faults and fault is None:
            return False
        state = fault[0] if fault else State.OK
        if (
            (query.states and state not in query.states)
            or (query.kinds and kind not in query.kinds)
            or (query.sites and site not in query.sites)
        ):
            return False
        if not query.text:
            return True
        text = f"{name} {kind} {site} {fault[1] if fault else ''}".casefold()
        return all(word in text for word in query.text.casefold().split()) != query.inverse

    def _place(self, id: str) -> int:
        if id not in self._index:
            raise NotFound(f"device {id}")
        return self._index[id]

    async def device(self, id: str) -> Device:
        """Checks, metrics, facts, the faults of the last day."""
        return await in_thread(10.0, self._device, id)

    def _device(self, id: str) -> Device:
        at, place = time.time(), self._place(id)
        faults = self._faults(at)
        row = self._row(place, faults, at)
        metrics = tuple(Metric(name, _wave(self._seed, id, name, at), unit, warn, crit) for name, unit, warn, crit in _metrics(row.kind))
        checks = (Check(f"{id}/state", "state", row.state, row.output, since=row.since, last_check=row.at),
                  Check(f"{id}/uptime", "uptime", State.OK if row.state in (State.OK, State.WARN) else row.state, "reachable" if row.state in (State.OK, State.WARN) else row.output, since=row.since, last_check=row.at))  # fmt: skip
        parent = self._parents.get(row.site, "")
        facts = (
            Fact("System", "Serial", f"SN{_hash(id) % 10**8:08d}"),
            Fact("System", "Model", f"Model {_hash(row.kind) % 900 + 100}"),
            Fact("System", "Site", row.site),
        )
        return Device(row, checks, facts, metrics, self._events(place, at), (), (parent,) if parent and parent != id else ())

    def _events(self, place: int, at: float) -> tuple[DeviceEvent, ...]:
        out: list[DeviceEvent] = []
        for slot in range(int(at // SLOT), int(at // SLOT) - 288, -1):
            episode = self._episode(place, slot)
            if episode is not None:
                since = slot * SLOT + _hash(place, slot) % int(SLOT)
                if since + episode[2] <= at:
                    out.append(DeviceEvent(_time(since + episode[2]), "state", episode[0], State.OK, "well again"))
                if since <= at:
                    out.append(DeviceEvent(_time(since), "state", State.OK, episode[0], episode[1]))
        return tuple(sorted(out, key=lambda event: event.at, reverse=True))

    async def count(self) -> DeviceCount:
        """Figures."""
        faults = await in_thread(10.0, self._faults, time.time())
        by_state: dict[State, int] = {}
        for state, _, _ in faults.values():
            by_state[state] = by_state.get(state, 0) + 1
        by_state[State.OK] = len(self._fleet) - len(faults)
        return DeviceCount(len(self._fleet), by_state)

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """Ids whose state changed."""
        await in_thread(10.0, self._faults, time.time())
        return self._cursor, tuple(dict.fromkeys(ident for cursor, idents in self._changed if cursor > since >= 0 for ident in idents))

    async def history(self, id: str, metric: str, since: datetime) -> Sequence[tuple[datetime, float]]:
        """A made-up but steady curve."""
        start, end = since.timestamp(), time.time()
        return [(_time(at), _wave(self._seed, id, metric, at)) for at in (start + step * 60 for step in range(int((end - start) // 60)))]

    # -- writing ----------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """check, ack, unack."""
        return await plan_by_verb(self, change, actor)

    async def plan_check(self, change: Change, actor: Actor) -> Plan:
        """Look again now."""
        self._place(change.target)
        return Plan(change, f"Check {change.target} now", (Step("all checks", "", "run now"),), expected={"asked": True})

    async def plan_ack(self, change: Change, actor: Actor) -> Plan:
        """Until it is OK again."""
        return self._acks.plan_ack(change, self._row(self._place(change.target), self._faults(time.time()), time.time()))

    async def plan_unack(self, change: Change, actor: Actor) -> Plan:
        """Take it back."""
        return self._acks.plan_unack(change, self._row(self._place(change.target), self._faults(time.time()), time.time()))

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Look, or write the acknowledgement."""
        if plan.change.verb == "check":
            return Outcome("done", "", plan.change.target)
        return await in_thread(10.0, self._acks.apply, plan, actor)

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """As it is now."""
        device = await self.device(plan.change.target)
        return ({"asked": True} if plan.change.verb == "check" else self._acks.read_back(plan.change.target)), device


@lru_cache(maxsize=64)
def _episodes(seed: int, count: int, slot: int, fleet: DemoFleet) -> tuple[tuple[State, str, float] | None, ...]:
    return tuple(fleet._episode(place, slot) for place in range(count))


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _metrics(kind: str) -> tuple[tuple[str, str, float | None, float | None], ...]:
    if kind == "server":
        return (("cpu", "%", 85, 97), ("memory", "%", 88, 97), ("disk /", "%", 85, 95), ("net in", "B/s", None, None))
    if kind in ("switch", "router"):
        return (("cpu", "%", 80, 95), ("uplink in", "B/s", None, None), ("uplink out", "B/s", None, None), ("temperature", "°C", 65, 75))
    if kind == "ups":
        return (("load", "%", 70, 90), ("battery", "%", None, None))
    if kind == "printer":
        return (("toner", "%", None, None), ("pages today", "", None, None))
    return (("answer", "ms", 300, None),)


def _wave(seed: int, id: str, metric: str, at: float) -> float:
    base = _hash(seed, id, metric)
    day = math.sin((at % 86400) / 86400 * 2 * math.pi - 2) * 0.25 + 0.45
    noise = (_hash(base, int(at // 60)) % 1000) / 1000 * 0.2
    scale = 100.0 if metric in ("cpu", "memory", "disk /", "load", "battery", "toner") else 8e6 if metric.endswith(("in", "out")) else 60.0
    flat = 0.3 if metric in ("disk /", "memory", "battery", "toner", "temperature") else 1.0
    return round(scale * ((base % 50) / 100 + (day + noise) * 0.4 * flat), 1)
