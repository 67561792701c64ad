"""The view of one device."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

from backends.contract import now
from backends.devices.buckets import buckets
from backends.devices.contract import KeepsHistory
from backends.devices.model import Device
from screens.device_lines import device_lines
from screens.record import RecordScreen
from widgets.toned import Line

CHARTED = 12
"""Metrics whose last hour is drawn."""


class DeviceScreen(RecordScreen):
    """State, checks, metrics with their last hour, facts, history."""

    TRAIL = "Devices"
    LEGEND: ClassVar[tuple[str, ...]] = (
        "devices.check", "devices.ack", "devices.downtime", "devices.ticket", "list.jump", "global.back", "global.help",
    )  # fmt: skip
    record: Device | None = None
    charts: dict[str, Sequence[float | None]]

    def label(self) -> str:
        """Its name."""
        return self.record.row.name if self.record else self.ref.id

    async def read(self) -> None:
        """The device and the last hour of its metrics."""
        backend = self.backend()
        self.record = await backend.device(self.ref.id)
        self.charts = {}
        if isinstance(backend, KeepsHistory):
            since, until = now() - timedelta(hours=1), now()
            for metric in self.record.metrics[:CHARTED]:
                points = await backend.history(self.ref.id, metric.name, since)
                if len(points) > 1:
                    self.charts[metric.name] = buckets(points, 60, since, until)
        self.desk.live.note_seat(self.desk.actor.login, self.record.row.name)

    def build(self, width: int) -> list[Line]:
        """Lines for a width."""
        assert self.record is not None
        return device_lines(self.record, self.charts, self.links, self.desk.config.timezone, width)
