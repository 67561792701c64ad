"""The job of backup work: run, check, forget, prune. It performs one change in a process of its own, with progress. Never imports textual."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

from backends.backups.contract import TellsProgress
from backends.backups.extraction import ToolEvent
from backends.contract import Change, Plan
from backends.errors import BackendError, Busy, Invalid
from backends.text import amount, size
from backends.threads import in_thread
from console.desk import Desk
from console.perform import Confirmation, Performed, perform

VERBS = ("run", "check", "forget", "prune")
LOOK = 0.3
LIVE = 10.0
QUIET = 30.0
"""After so many seconds without news the job says that there are none."""


def spec_of(change: Change, plan: Plan, said: Confirmation, ticket: str | None, reason: str, approver: str) -> dict[str, Any]:
    """What the job gets. The version is the plan's: what is done is what was shown, or nothing."""
    return {
        "backend": change.backend, "verb": change.verb, "target": change.target, "values": dict(change.values), "version": plan.version,
        "label": plan.summary, "typed": said.typed, "reason": reason or said.reason, "approver": approver or said.approver, "ticket": ticket,
    }  # fmt: skip


def begin(desk: Desk, spec: Mapping[str, Any]) -> str:
    """The job's id. Busy when another one makes the same backup already."""
    same = ("backend", "verb", "target")
    for already, other in desk.jobs.open_specs().items() if spec["verb"] == "run" else ():
        if all(other.get(key) == spec[key] for key in same):
            raise Busy(f"{already} makes this backup already", hint=f"`deskside jobs follow {already}` follows it, `deskside jobs cancel {already}` stops it.")
    return str(desk.jobs.start("backups", spec, desk.actor))


class Listener:
    """Keeps the newest event for who asks, counts the errors, and has the stop."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.errors = 0
        self._newest: ToolEvent | None = None
        self._heard = time.monotonic()

    def tell(self, event: ToolEvent) -> None:
        """Called from the tool's thread."""
        self.errors += event.kind == "error"
        self._newest, self._heard = event, time.monotonic()

    def line(self) -> tuple[str, int, int] | None:
        """(text, done, total) of what is new, None when nothing is."""
        event, self._newest = self._newest, None
        if event is not None:
            return words(event), event.bytes or event.files, event.bytes_total or event.files_total
        silent = time.monotonic() - self._heard
        if silent > QUIET:
            self._heard = time.monotonic()
            return f"no news for {QUIET:.0f} s", 0, 0
        return None


def words(event: ToolEvent) -> str:
    """An event for people."""
    if event.kind in ("warning", "error"):
        return f"{event.kind}: {event.text}"
    parts = [event.text] if event.text else []
    if event.files:
        parts.append(f"{event.files:,} of {amount(event.files_total, 'file')}" if event.files_total else amount(event.files, "file"))
    if event.bytes:
        parts.append(f"{size(event.bytes)} of {size(event.bytes_total)}" if event.bytes_total else size(event.bytes))
    return ", ".join(parts) or "working"


async def work(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Perform the change. The tool is stopped when the job is; a partial backup is said to be partial."""
    if spec.get("verb") not in VERBS:
        raise Invalid("this job is started by `deskside backups`", hint="Such as `deskside backups run JOB`.")
    change = Change(
        "backups", spec["backend"], spec["verb"], spec["target"], spec.get("label", ""), dict(spec.get("values") or {}), spec.get("version")
    )
    backend = await desk.backend("backups", spec["backend"])
    listener = Listener()
    if isinstance(backend, TellsProgress):
        backend.follow(listener.tell, listener.stop)

    async def confirm(plan: Plan) -> Confirmation:
        return Confirmation(str(spec.get("typed") or ""), str(spec.get("reason") or ""), str(spec.get("approver") or ""))

    task = asyncio.create_task(
        perform(desk, change, confirm=confirm, ticket=spec.get("ticket"), reason=str(spec.get("reason") or ""), approver=str(spec.get("approver") or ""))
    )
    try:
        await _watched(task, listener, progress)
    finally:
        await _publish(desk, change.backend, backend)
    return _result(task.result(), listener)


async def _publish(desk: Desk, name: str, backend: Any) -> None:
    """The list as it is now, in the place of what the collector saw before: consoles must not show what is gone."""
    try:
        if hasattr(backend, "poll") and await in_thread(LIVE, desk.live.get, "backups", name, "repository") is not None:
            polled = await backend.poll()
            await in_thread(LIVE, lambda: desk.live.publish_poll("backups", name, polled, source="job"))
    except BackendError:  # the collector's own round says what is wrong
        return


async def _watched(task: asyncio.Task[Performed], listener: Listener, progress: Any) -> None:
    """Lines of progress until the task ends. A cancel stops the tool first, then ends the job."""
    cancel = progress.folder / "cancel.json"
    while not task.done():
        await asyncio.wait({task}, timeout=LOOK)
        if cancel.exists() and not task.done():
            listener.stop.set()
            try:
                await task
            except BackendError:
                break
        line = listener.line()
        if line is not None and not cancel.exists():
            progress.step(*line)
    if cancel.exists() and (task.cancelled() or task.exception() is not None):
        progress.step("stopped")


def _result(performed: Performed, listener: Listener) -> dict[str, Any]:
    outcome = performed.outcome
    word = outcome.word if outcome is not None else "refused"
    said = outcome.text if outcome is not None else ""
    text = f"{word.upper() if word != 'done' else 'done'}: {performed.plan.summary}" + (f" - {said}" if said else "")
    return {
        "text": text + (f"; {performed.note}" if performed.note else ""), "outcome": word, "target": outcome.target if outcome is not None else "",
        "errors": listener.errors, "op_id": performed.op_id,
    }  # fmt: skip
