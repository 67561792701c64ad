"""`Records`: what we ourselves know of a repository - holds, runs that were started here, checks, measured sizes. In the record store.

Methods are short and block: call them in a thread. Without a store nothing is kept, and a hold is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from backends.backups.model import BackupRun
from backends.contract import now
from backends.errors import NotFound, Unsupported
from backends.store.contract import All, Order, Store, Test

HOLDS, RUNS, STATE = "backup_holds", "backup_runs", "backup_state"
RUNS_KEPT = 500
POINTS = 800


class Records:
    """Of one backend."""

    def __init__(self, store: Store | None, backend: str) -> None:
        self._store = store
        self._backend = backend

    # -- holds ------------------------------------------------------------------------------------------

    def holds(self) -> dict[str, str]:
        """Snapshot uid -> why it is held."""
        if self._store is None:
            return {}
        found = self._store.select(HOLDS, Test("backend", "eq", self._backend))
        return {str(record.doc["uid"]): str(record.doc["reason"]) for record in found}

    def hold(self, uid: str, reason: str, by: str) -> None:
        """From now on."""
        if self._store is None:
            raise Unsupported("hold", "there is no record store to keep the hold in")
        self._store.put(HOLDS, f"{self._backend}:{uid}", {"backend": self._backend, "uid": uid, "reason": reason, "by": by, "at": now().isoformat()})

    def release(self, uid: str) -> None:
        """No longer."""
        if self._store is not None:
            try:
                self._store.delete(HOLDS, f"{self._backend}:{uid}")
            except NotFound:
                return

    # -- runs -------------------------------------------------------------------------------------------

    def add_run(self, run: BackupRun) -> None:
        """One that was started here; the oldest are dropped."""
        if self._store is None:
            return
        doc = {**asdict(run), "started": run.started.isoformat(), "ended": run.ended.isoformat() if run.ended else None, "errors": list(run.errors)}
        self._store.insert(RUNS, doc)
        known = self._store.select(RUNS, Test("backend", "eq", self._backend), (Order("started", True),), offset=RUNS_KEPT, fields=("backend",))
        for record in known:
            self._store.delete(RUNS, record.id)

    def runs(self) -> list[BackupRun]:
        """Newest first."""
        if self._store is None:
            return []
        found = self._store.select(RUNS, Test("backend", "eq", self._backend), (Order("started", True),))
        return [_run(record.doc) for record in found]

    def renamed(self, old: str, new: str) -> None:
        """A snapshot has a new id: its run is still its run."""
        if self._store is None or old == new:
            return
        for record in self._store.select(RUNS, All((Test("backend", "eq", self._backend), Test("snapshot", "eq", old)))):
            self._store.update(RUNS, record.id, {**record.doc, "snapshot": new}, rev=None)

    # -- state ------------------------------------------------------------------------------------------

    def state(self) -> Mapping[str, Any]:
        """What was noted; {} at first."""
        record = self._store.get(STATE, self._backend) if self._store is not None else None
        return record.doc if record is not None else {}

    def note(self, **fields: Any) -> None:
        """Change some fields of the state."""
        if self._store is not None:
            self._store.put(STATE, self._backend, {**self.state(), **fields})

    def measured(self, size: int) -> None:
        """A point of growth; one a day is kept."""
        moment = now()
        points = [point for point in self.state().get("growth", []) if moment.timestamp() - point[0] > 72000]
        self.note(growth=[*points[-POINTS:], [moment.timestamp(), size]])

    def due_for_measuring(self) -> bool:
        """Whether the last measurement is a day old."""
        points = self.state().get("growth") or [[0, 0]]
        return bool(now() - datetime.fromtimestamp(points[-1][0], UTC) > timedelta(hours=23))

    def growth(self) -> tuple[tuple[datetime, int], ...]:
        """As measured, oldest first."""
        return tuple((datetime.fromtimestamp(at, UTC), int(size)) for at, size in self.state().get("growth", []))


def _run(doc: Mapping[str, Any]) -> BackupRun:
    errors: Sequence[str] = doc.get("errors") or ()
    return BackupRun(
        doc["backend"], doc["job"], doc["snapshot"], datetime.fromisoformat(doc["started"]),
        datetime.fromisoformat(doc["ended"]) if doc.get("ended") else None, doc["result"], doc.get("files"), doc.get("size"), doc.get("added"),
        doc.get("text", ""), tuple(errors), int(doc.get("error_count") or 0),
    )  # fmt: skip
