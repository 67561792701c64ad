"""Runs one job: holds its lock, writes its progress, its result and its ledger lines. A process of its own. Never imports textual."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from backends.contract import Actor
from backends.errors import BackendError
from console.config import load_config
from console.desk import Desk
from console.jobs import KINDS, _read, _write
from console.people import Identity


class Cancelled(Exception):
    """The job was asked to stop."""


class Progress:
    """What a job says while it works. `step` raises Cancelled once somebody asked."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self.after: list[Callable[[], None]] = []
        """What is still done when the result is written: nobody waits for it."""
        self._seq = 0
        self._file = open(place / "out.jsonl", "ab", buffering=0)  # noqa: SIM115 - open as long as the job
        os.fchmod(self._file.fileno(), 0o660)

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        """One line."""
        self._seq += 1
        line = {"seq": self._seq, "t": time.time(), "text": text, "done": done, "total": total}
        self._file.write(json.dumps(line).encode("ascii") + b"\n")
        if (self._place / "cancel.json").exists():
            raise Cancelled(str(_read(self._place / "cancel.json").get("by", "somebody")))

    @property
    def folder(self) -> Path:
        """Where the job may leave files."""
        return self._place


def main(folder: str) -> int:
    """Run the job of a folder; 75 when it runs already."""
    os.umask(0o007)
    place = Path(folder)
    lock = os.open(place / "job.json", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 75
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: _write(place / "cancel.json", {"by": "SIGTERM"}))
    job = _read(place / "job.json")
    progress = Progress(place)
    result = asyncio.run(_run(progress, job))
    _write(place / "result.json", result)
    for work in progress.after:
        with contextlib.suppress(BackendError, OSError):
            work()
    return 0 if result["state"] == "done" else 1


async def _run(progress: Progress, job: dict[str, Any]) -> dict[str, Any]:
    config = load_config([Path(file) for file in job["config"]], Path(job["data"]))
    desk = Desk(config, Identity(Actor(job["actor"], "", job.get("role", "technician")), os.geteuid()))
    entry = {
        "op": job["id"],
        "actor": job["actor"],
        "action": f"jobs.{job['kind']}",
        "target": {"type": "jobs", "id": job["id"], "label": job["kind"]},
    }
    try:
        desk.ledger.append("intent", **entry)
        progress.step("started")
        module, _, name = KINDS[job["kind"]].partition(":")
        found = await getattr(import_module(module), name)(desk, job.get("spec", {}), progress)
        result = {"state": "done", "text": found.pop("text", "done"), **found}
    except Cancelled as error:
        result = {"state": "cancelled", "text": f"cancelled by {error}"}
    except BackendError as error:
        result = {"state": "failed", "text": error.sentence(), "code": error.exit_code}
    except Exception as error:  # noqa: BLE001 - whatever a job dies of is its result
        from console.crash import note_crash

        note_crash(error, config.data)
        result = {"state": "failed", "text": f"failed inside the console ({type(error).__name__})"}
    try:
        desk.ledger.append("result", **entry, outcome=result["state"], error=result["text"] if result["state"] != "done" else None)
    except BackendError as error:
        print(error.sentence(), file=sys.stderr)
    await desk.close()
    return result
