"""The list of devices: columns, sorts, and a device as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.ages import age
from screens.sources import Source
from widgets.columns import Column, Row

if TYPE_CHECKING:
    from backends.devices.model import DeviceQuery, DeviceRow

STATE_TONE = {"OK": "ok", "WARN": "warn", "DOWN": "bad", "UNKNOWN": "warn", "PENDING": "dim", "UNREACHABLE": "dim"}


class DeviceSource(Source):
    """Devices of all monitoring backends, the gravest first."""

    domain = "devices"
    title = "Devices"
    list_method = "devices"
    sorts = ("severity", "name", "kind", "site", "since")
    columns = (
        Column("severity", "State", 11),
        Column("since", "Since", 5, align="right", drop=3),
        Column("name", "Device", 14, flex=1),
        Column("output", "What", 16, flex=3, drop=1),
        Column("kind", "Kind", 11, drop=5),
        Column("site", "Site", 14, drop=4),
        Column("handled", "Handled", 8, drop=6),
        Column("address", "Address", 15, drop=7, wide=True),
        Column("at", "Known", 5, align="right", drop=8, wide=True),
        Column("backend", "Where", 9, drop=9, wide=True),
    )

    def first_query(self) -> DeviceQuery:
        """All of them, faults on top."""
        from backends.devices.model import DeviceQuery

        return DeviceQuery()

    def severity(self, item: Any) -> int:
        """By state."""
        from backends.devices.model import SEVERITY

        return SEVERITY.get(item.state, 0)

    def row(self, item: Any, several: bool) -> Row:
        """A device's line: the state word with its age, and why."""
        from backends.contract import now

        device: DeviceRow = item
        moment = now()
        tone = "dim" if device.stale or device.handled else STATE_TONE.get(device.state, "")
        what = f"stale {age(device.at, moment)}: {device.stale}" if device.stale else device.output
        cells = (
            str(device.state), age(device.since, moment), device.name, what, device.kind, device.site, device.handled, device.address,
            age(device.at, moment), device.backend,
        )  # fmt: skip
        return Row(f"devices:{device.backend}:{device.id}", cells, (tone, "dim", "", "dim", "dim", "dim", "dim", "dim", "dim", "dim"))
