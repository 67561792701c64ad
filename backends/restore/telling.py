"""`Teller`: what a running restore says, into its folder. Numbers without gaps, at most ten lines of progress a second, one "finished"."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from backends.backups.extraction import ToolEvent
from backends.restore.folders import shown
from backends.restore.model import NAMED, Phase, PhaseRecord, RestoreEvent
from backends.restore.run_folder import Run, fields_of

EVERY = 0.1


class Teller:
    """Writes events; `listen` is called with each of them, in the thread that works."""

    def __init__(self, run: Run, listen: Callable[[RestoreEvent], None] | None = None) -> None:
        self._run, self._listen = run, listen
        past = run.events()
        self._seq = past[-1].seq if past else 0
        self._file = open(run.file("events.jsonl"), "ab", buffering=0)  # noqa: SIM115 - open as long as the work
        self._last = 0.0
        self._said = 0
        self.phases: list[PhaseRecord] = []
        self.phase: Phase = "preflight"
        self._started = time.time()
        self._lock = threading.Lock()

    def tell(self, kind: Any, message: str = "", **figures: Any) -> None:
        """One event. Progress comes at most every 0.1 s, errors and warnings as far as NAMED; a disk that is full stops no restore."""
        with self._lock:
            if kind == "progress":
                if time.monotonic() - self._last < EVERY:
                    return
                self._last = time.monotonic()
            if kind in ("warning", "error"):
                self._said += 1
                if self._said > NAMED:
                    return
            self._seq += 1
            event = RestoreEvent(self._seq, time.time(), self._run.ident, self.phase, kind, message=message, **figures)
            try:
                self._file.write(json.dumps(dict(fields_of(event)), ensure_ascii=True).encode() + b"\n")
            except OSError:
                pass
        if self._listen is not None:
            self._listen(event)

    def say(self, message: str) -> None:
        """A warning that is told however many there were."""
        self._said = min(self._said, NAMED - 1)
        self.tell("warning", message)

    def tool(self, event: ToolEvent) -> None:
        """What the tool says, as ours."""
        if event.kind == "item":
            return
        self.tell(event.kind, event.text, files=event.files, files_total=event.files_total, bytes=event.bytes, bytes_total=event.bytes_total,
                  current=shown(event.path))  # fmt: skip

    def begin(self, phase: Phase, message: str = "") -> None:
        """A phase begins."""
        self.phase, self._started = phase, time.time()
        self.tell("started", message)

    def end(self, result: str) -> None:
        """It ended so."""
        self.phases.append(PhaseRecord(self.phase, self._started, time.time() - self._started, result))

    def close(self) -> None:
        """No more is said."""
        self._file.close()
