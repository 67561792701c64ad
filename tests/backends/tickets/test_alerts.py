"""Tickets out of alerts: one a fault, later ones added while it is open, recovery noted, and all that once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from backends.contract import now
from backends.devices.model import Check, Device, DeviceRow, State
from backends.errors import BadConfig
from backends.tickets.alerts import Alert, alert_values, dedupe_key
from backends.tickets.model import TicketQuery
from console.alerting import DeviceAlerts, ticket_values
from console.config import BackendConfig, Config, Roles
from console.desk import Desk
from console.people import whoami
from tests.backends.tickets.desk import desk, do
from tests.backends.tickets.killed import killed_at_every_write

DOWN = Alert("devices:fleet:sw1", "sw1", "ping", "DOWN", "no answer", "Annex")
WARN = Alert("devices:fleet:sw1", "sw1", "ping", "WARN", "slow")


async def test_one_ticket_a_fault(tmp_path: Path) -> None:
    backend = desk(tmp_path, alerts=["down", "WARN"])
    await backend.open()
    assert backend.alert_states == ("DOWN", "WARN")
    for seen in ([WARN], [WARN], [DOWN], [DOWN]):
        await backend.observe_alerts(seen, {DOWN.ref})
    (row,) = (await backend.tickets(TicketQuery())).items
    ticket = await backend.ticket(row.id)
    assert ticket.dedupe_key == "fleet:sw1:ping" == dedupe_key(DOWN.ref, "ping") and ticket.refs == (DOWN.ref,) and ticket.origin == "monitor"
    assert [event.type for event in await backend.timeline(row.id)] == ["created", "alerted"]
    await backend.observe_alerts([], set())
    assert len(await backend.timeline(row.id)) == 2, "a device nobody looked at has not recovered"
    await backend.observe_alerts([], {DOWN.ref})
    assert (await backend.timeline(row.id))[-1].body == "sw1 ping is OK again"
    await do(backend, "status", row.id, status="Resolved", reason="cable")
    await backend.observe_alerts([DOWN], {DOWN.ref})
    assert len((await backend.tickets(TicketQuery())).items) == 2


async def test_what_a_person_made_from_the_device_gets_the_alerts(tmp_path: Path) -> None:
    backend = desk(tmp_path, alerts=["DOWN"])
    await backend.open()
    ident = (await do(backend, "create", **alert_values(DOWN))).target
    await backend.observe_alerts([DOWN], {DOWN.ref})
    assert [event.type for event in await backend.timeline(ident)] == ["created", "alerted"]
    assert len((await backend.tickets(TicketQuery())).items) == 1


async def test_two_collectors_tell_once(tmp_path: Path) -> None:
    backend = desk(tmp_path, alerts=["DOWN"])
    await backend.open()
    seen = [Alert(f"devices:fleet:sw{number}", f"sw{number}", "ping", "DOWN") for number in range(8)]
    others = [desk(tmp_path) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one._alerting.observe(seen, {alert.ref for alert in seen}, now()), others))
        list(pool.map(lambda one: one._alerting.observe([], {alert.ref for alert in seen}, now()), others))
    rows = (await backend.tickets(TicketQuery())).items
    assert len(rows) == 8
    for row in rows:
        assert [event.type for event in await backend.timeline(row.id)] == ["created", "alerted"]


async def test_killed_between_any_two_steps(tmp_path: Path) -> None:
    backend = desk(tmp_path)
    await backend.open()
    for state in ("DOWN", "WARN"):
        seen = f'from backends.tickets.alerts import Alert; made._alerting.observe([Alert("devices:fleet:sw1", "sw1", "ping", "{state}")], {{"devices:fleet:sw1"}}, datetime.now(UTC))'
        assert killed_at_every_write(tmp_path, seen) >= 1
    (row,) = (await backend.tickets(TicketQuery())).items
    assert [event.type for event in await backend.timeline(row.id)] == ["created", "alerted"]


async def test_a_person_makes_it_with_the_key_alerts_look_for(tmp_path: Path) -> None:
    row = DeviceRow("fleet", "sw1", "sw1", "switch", "", "Annex", State.DOWN)
    checks = (Check("t", "temperature", State.WARN, "hot"), Check("p", "ping", State.DOWN, "no answer"))
    values = ticket_values(Device(row, checks))
    assert values["dedupe_key"] == DOWN.key and values["subject"] == "sw1 ping DOWN" and values["refs"] == [DOWN.ref]
    assert ticket_values(Device(DeviceRow("fleet", "sw1", "sw1", "switch", "", "", State.OK))) == {"refs": [DOWN.ref]}
    backend = desk(tmp_path)
    await backend.open()
    ident = (await do(backend, "create", **values)).target
    await backend.observe_alerts([DOWN], {DOWN.ref})
    assert [event.type for event in await backend.timeline(ident)] == ["created", "alerted"]


def test_words_and_long_keys(tmp_path: Path) -> None:
    with pytest.raises(BadConfig):
        desk(tmp_path, alerts=["LOUD"])
    one, two = (dedupe_key(f"devices:fleet:{'x' * 150}{end}", "ping") for end in "ab")
    assert len(one) == 100 and one != two


async def test_from_real_devices_of_the_collector(tmp_path: Path) -> None:
    """Through the desk: this machine as the device, with a threshold that it always exceeds."""
    tickets = BackendConfig("tickets", "desk", "embedded", {"alerts": ["DOWN", "WARN"]})
    device = BackendConfig("devices", "here", "local", {"memory_warn": 0.0001})
    collector = Desk(Config(data=tmp_path, backends=(tickets, device)), whoami(Roles()))
    collector.poll_directly = True
    alerts = DeviceAlerts(collector)
    assert alerts.wanted()
    here = await collector.backend("devices", "here")
    for _ in range(4):
        collector.live.publish_poll("devices", "here", await here.poll())
    await alerts.once()
    backend = await collector.backend("tickets", "desk")
    rows = (await backend.tickets(TicketQuery())).items
    assert any("emory" in row.subject for row in rows), [row.subject for row in rows]
    before = len(rows)
    await alerts.once()
    assert len((await backend.tickets(TicketQuery())).items) == before
    assert now() - timedelta(minutes=1) < rows[0].created_at
    await collector.close()
