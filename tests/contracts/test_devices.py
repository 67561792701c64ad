"""The contract of monitoring systems, on this machine and on the demo's fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Site, now
from backends.devices.contract import KeepsHistory, ListsDevices
from backends.devices.demo import DemoFleet, inventory
from backends.devices.local import LocalMachine
from backends.devices.model import SEVERITY, DeviceQuery, State
from backends.devices.thresholds import Limits, Standing
from backends.errors import BackendError, NotFound
from backends.faulty import Chaos, faulty
from backends.options import read_options
from backends.store.opening import open_store

ANA = Actor("ana")


@pytest.fixture(params=["local", "demo", "faulty"])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    store = open_store(tmp_path)
    adapter: Any = LocalMachine if request.param == "local" else DemoFleet
    opened = adapter("x", read_options(adapter.OPTIONS, {}), Site(store=store))
    await opened.open()
    yield faulty(opened, Chaos(1, 0.0)) if request.param == "faulty" else opened
    store.close()


async def test_shape(backend: Any) -> None:
    assert isinstance(backend, ListsDevices) and isinstance(backend, KeepsHistory)
    assert (await backend.health()).word == "ok"


async def test_list_count_and_device_agree(backend: Any) -> None:
    page = await backend.devices(DeviceQuery(), 0, 50)
    assert page.items and page.total == (await backend.count()).total
    severities = [SEVERITY[row.state] for row in page.items]
    assert severities == sorted(severities, reverse=True)
    for row in page.items[:3]:
        device = await backend.device(row.id)
        assert device.row.name == row.name and device.metrics and device.checks
    with pytest.raises(NotFound):
        await backend.device("no such device")


async def test_filters(backend: Any) -> None:
    first = (await backend.devices(DeviceQuery(), 0, 1)).items[0]
    assert first.id in [row.id for row in (await backend.devices(DeviceQuery(text=first.name))).items]
    assert first.id not in [row.id for row in (await backend.devices(DeviceQuery(text=first.name, inverse=True), 0, 9999)).items]
    assert (await backend.devices(DeviceQuery(text="zzz-nothing"))).total == 0
    assert all(row.state not in (State.OK, State.PENDING) for row in (await backend.devices(DeviceQuery(faults=True), 0, 9999)).items)


async def test_check_now_and_acknowledge(backend: Any) -> None:
    page = await backend.devices(DeviceQuery(), 0, 1000)
    plan = await backend.plan(Change("devices", "x", "check", page.items[0].id), ANA)
    outcome = await backend.apply(plan, ANA, "op")
    assert (await backend.read_back(plan, outcome))[0] == {"asked": True}
    ill = next((row for row in page.items if row.state not in (State.OK, State.PENDING)), None)
    well = next((row for row in page.items if row.state is State.OK), None)
    if well is not None:
        with pytest.raises(BackendError, match="nothing to acknowledge"):
            await backend.plan(Change("devices", "x", "ack", well.id, values={"comment": "me"}), ANA)
    if ill is not None:
        plan = await backend.plan(Change("devices", "x", "ack", ill.id, values={"comment": "on it"}), ANA)
        outcome = await backend.apply(plan, ANA, "op2")
        found, device = await backend.read_back(plan, outcome)
        assert found == {"comment": "on it"} and device.row.handled == "ack"


async def test_local_measures_what_the_issue_names(tmp_path: Path) -> None:
    backend = LocalMachine("here", read_options(LocalMachine.OPTIONS, {}), Site(store=open_store(tmp_path)))
    polled = (await backend.poll())[0]
    polled = (await backend.poll())[0]
    assert {"cpu", "load per core", "memory", "disk /", "uptime", "users", "processes"} <= set(polled.metrics)
    assert polled.metrics["memory"] > 0 and polled.metrics["processes"] > 0
    device = await backend.device("here")
    groups = {fact.group for fact in device.facts}
    assert {"System", "Memory", "CPU", "Biggest processes"} <= groups


async def test_a_full_disk_limit_is_seen(tmp_path: Path) -> None:
    options = {**read_options(LocalMachine.OPTIONS, {}), "memory_warn": 0.001, "memory_crit": 100.1}
    backend = LocalMachine("here", options, Site(store=open_store(tmp_path)))
    row = (await backend.devices(DeviceQuery(faults=True))).items[0]
    assert row.state is State.WARN and row.output.startswith("Memory")


def test_the_fleet_is_the_same_for_a_seed_and_its_names_are_unique() -> None:
    assert inventory(3, 500) == inventory(3, 500) != inventory(4, 500)
    assert len({device[0] for device in inventory(3, 5000)}) == 5000


async def test_history_covers_the_hour(tmp_path: Path) -> None:
    backend = DemoFleet("x", {"seed": 1, "devices": 50}, Site(store=open_store(tmp_path)))
    points = await backend.history("fs01", "cpu", now() - timedelta(hours=1))
    assert 55 <= len(points) <= 61 and all(0 <= value <= 100 for _, value in points)


def test_thresholds_have_hysteresis() -> None:
    limits = Limits(80, 95)
    assert limits.state(79) is State.OK and limits.state(80) is State.WARN and limits.state(95) is State.DOWN
    assert limits.state(77, State.WARN) is State.WARN and limits.state(75.9, State.WARN) is State.OK
    assert limits.state(91, State.DOWN) is State.DOWN and limits.state(90, State.DOWN) is State.WARN


def test_a_worse_state_is_believed_after_three_looks() -> None:
    standing = Standing().seen(State.OK, 1.0)
    one = standing.seen(State.WARN, 2.0)
    assert (one.state, one.attempt, one.soft) == (State.OK, 1, State.WARN)
    two = one.seen(State.WARN, 3.0)
    three = two.seen(State.WARN, 4.0)
    assert three.state is State.WARN and three.since == 4.0
    assert one.seen(State.OK, 3.0).soft is None
    assert three.seen(State.OK, 5.0).state is State.OK
