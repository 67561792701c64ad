"""From device states to tickets, in the collector: what is wrong on any device is shown to the ticket systems that want alerts.

Devices are read as a console reads them, from the published values, so nothing is polled twice. Never imports textual.
"""

from __future__ import annotations

import asyncio
from typing import Any

from backends.devices.model import SEVERITY, Device, DeviceQuery, State
from backends.errors import BackendError
from console.desk import Desk

EVERY = 20.0
MOST = 500
"""Faulty devices looked at in one round: more at once is one fault of the network, not so many tickets."""


def ticket_values(device: Device) -> dict[str, Any]:
    """The values of `create` for a ticket a person makes about a device: those of its worst check, with the key that later alerts find it by.

    A device that is well gives only what it is about.
    """
    from backends.tickets.alerts import Alert, alert_values

    row = device.row
    ref = f"devices:{row.backend}:{row.id}"
    worst = max(device.checks, key=lambda check: SEVERITY[check.state], default=None)
    name, state, output = (worst.name, worst.state, worst.output) if worst is not None else ("state", row.state, row.output)
    if SEVERITY[state] <= SEVERITY[State.PENDING]:
        return {"refs": [ref]}
    return alert_values(Alert(ref, row.name, name, state.value, output, row.site))


class DeviceAlerts:
    """Looks at the devices again and again."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        """The collector's: it writes the tickets."""
        self._eyes = Desk(desk.config, desk.identity)

    def wanted(self) -> bool:
        """Whether any ticket system wants alerts."""
        return any(item.domain == "tickets" and item.options.get("alerts") for item in self._desk.config.backends)

    async def run(self) -> None:
        """For ever; a round that fails is tried again."""
        while True:
            try:
                await self.once()
            except (BackendError, TimeoutError):
                pass
            await asyncio.sleep(EVERY)

    async def once(self) -> int:
        """One round; how many changes were told of."""
        told = 0
        for place in self._desk.backends("tickets"):
            tickets = await self._desk.backend("tickets", place.name)
            states = {State(word) for word in getattr(tickets, "alert_states", ())}
            if states:
                told += await tickets.observe_alerts(*await self._look(states))
        return told

    async def _look(self, states: set[State]) -> tuple[list[Any], set[str], set[str]]:
        """(faults, devices looked at, keys of checks that are not settled: neither news nor recovery)."""
        from backends.tickets.alerts import Alert, dedupe_key

        alerts: list[Any] = []
        looked: set[str] = set()
        unsettled: set[str] = set()
        for place in self._desk.backends("devices"):
            try:
                devices = await self._eyes.backend("devices", place.name)
                page = await devices.devices(DeviceQuery(), 0, 100_000)
                rows = [row for row in page.items if not row.stale]
                looked |= {f"devices:{row.backend}:{row.id}" for row in rows if row.state is State.OK}
                for row in [row for row in rows if SEVERITY[row.state] > SEVERITY[State.OK]][:MOST]:
                    ref = f"devices:{row.backend}:{row.id}"
                    if row.handled:
                        continue  # somebody knows: neither news nor recovery
                    found = await devices.device(row.id)
                    looked.add(ref)
                    unsettled |= {dedupe_key(ref, check.name) for check in found.checks if check.flapping or not check.hard}
                    settled = [check for check in found.checks if check.hard and not check.flapping]
                    bad = [(check.name, check.state, check.output) for check in settled if check.state in states]
                    if not bad and not found.checks and row.state in states:
                        bad = [("state", row.state, row.output)]
                    alerts += [Alert(ref, row.name, name, state.value, output, row.site) for name, state, output in bad]
            except BackendError:
                continue
        return alerts, looked, unsettled
