"""Acknowledgements of our own devices: kept in the record store until the device is OK again. Never imports an adapter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from backends.contract import Actor, Change, Outcome, Plan, Step, now
from backends.devices.model import DeviceRow, State
from backends.errors import Invalid, Refused

COLLECTION = "device_acks"


class Acks:
    """Who is on it. One record a device."""

    def __init__(self, store: Any, backend: str) -> None:
        self._store, self._backend = store, backend

    def _key(self, device: str) -> str:
        return f"{self._backend}:{device}"

    def find(self, device: str) -> Mapping[str, Any] | None:
        """The acknowledgement, or None."""
        record = self._store.get(COLLECTION, self._key(device)) if self._store is not None else None
        return record.doc if record is not None else None

    def word(self, device: str, state: State) -> str:
        """ "ack" while there is one and something to acknowledge."""
        return "ack" if state not in (State.OK, State.PENDING) and self.find(device) else ""

    def plan_ack(self, change: Change, row: DeviceRow) -> Plan:
        """Refused when there is nothing to acknowledge."""
        comment = str(change.values.get("comment", "")).strip()
        if row.state in (State.OK, State.PENDING):
            raise Refused(f"{row.name} is {row.state}: there is nothing to acknowledge")
        if not comment:
            raise Invalid(fields={"comment": "say who does what"})
        planned = dataclasses.replace(change, label=row.name)
        return Plan(planned, f"Acknowledge {row.name} ({row.state})", (Step("acknowledged", "", comment),), expected={"comment": comment},
                    inverse=Change(change.domain, change.backend, "unack", change.target))  # fmt: skip

    def plan_unack(self, change: Change, row: DeviceRow) -> Plan:
        """Refused when there is none."""
        known = self.find(row.id)
        if known is None:
            raise Refused(f"{row.name} is not acknowledged")
        return Plan(
            dataclasses.replace(change, label=row.name),
            f"Take the acknowledgement of {row.name} back",
            (Step("acknowledged", known["comment"], ""),),
            expected={"comment": None},
        )

    def apply(self, plan: Plan, actor: Actor) -> Outcome:
        """Write or remove it."""
        key = self._key(plan.change.target)
        if plan.change.verb == "ack":
            self._store.put(COLLECTION, key, {"comment": plan.change.values["comment"].strip(), "by": actor.login, "at": now().isoformat()})
        elif self._store.get(COLLECTION, key) is not None:
            self._store.delete(COLLECTION, key)
        return Outcome("done", "", plan.change.target)

    def read_back(self, device: str) -> Mapping[str, Any]:
        """The comment as it is now."""
        found = self.find(device)
        return {"comment": found["comment"] if found else None}
