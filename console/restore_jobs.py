"""The jobs of restores: the work in a process of its own, then the ledger line with its hashes and the notes on the ticket. Never imports textual.

What a person sees of it: the job's lines (`deskside jobs follow`), the run's events, the report. A killed one is found by its run's
journal; whoever resumes it starts another job on the same run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from backends.contract import Change, Plan
from backends.errors import BackendError, Invalid
from backends.restore.model import RestoreEvent, RestoreReport
from backends.restore.runs import resume, take_back
from backends.restore.staging import sweep
from backends.text import clean
from backends.threads import in_thread
from console.ages import local
from console.desk import Desk
from console.perform import Confirmation, perform
from console.restoring import Restores

LONGEST = 14 * 86400.0
LOOK = 0.1
Work = Callable[[threading.Event, Callable[[RestoreEvent], None]], RestoreReport]


async def followed(progress: Any, work: Work) -> tuple[RestoreReport, str]:
    """(the report, who cancelled or ""): the work in a thread, its newest event as a line of the job, cancel passed on within 0.1 s."""
    from console.runner import Cancelled

    stop, newest, by = threading.Event(), [None], ""
    last: RestoreEvent | None = None

    def listen(event: RestoreEvent) -> None:
        newest[0] = event  # type: ignore[call-overload]

    task = asyncio.ensure_future(in_thread(LONGEST, work, stop, listen))
    while not task.done():
        await asyncio.wait({task}, timeout=LOOK)
        event: Any = newest[0]
        asked = not by and (progress.folder / "cancel.json").exists()
        if event is not last or asked:
            last = event
            try:
                progress.step(_words(event), event.files if event else 0, event.files_total if event else 0)
            except Cancelled as cancelled:
                by = by or str(cancelled)
                stop.set()
    return task.result(), by


def _words(event: RestoreEvent | None) -> str:
    if event is None:
        return "starting"
    rate = f", {event.bytes / 1e6:,.0f} MB" if event.bytes else ""
    return clean(f"{event.phase}: {event.message or event.kind}{rate}")


def _ident(spec: Mapping[str, Any]) -> str:
    if not spec.get("run"):
        raise Invalid("a restore is started from its preview", hint="Use `deskside backups restore`.")
    return str(spec["run"])


def stand_back(idle: bool = False) -> None:
    """Let others go first: nice 10, and the last place for the disk - not the idle class, in which a restore on a busy server might never end.

    `idle` is for what nobody waits for. The tool inherits both. Where the system does not allow it, all goes on as it is.
    """
    import psutil

    with contextlib.suppress(OSError, psutil.Error):
        os.nice(max(0, 10 - os.nice(0)))
    with contextlib.suppress(OSError, psutil.Error, AttributeError):
        own = psutil.Process()
        own.ionice(psutil.IOPRIO_CLASS_IDLE) if idle else own.ionice(psutil.IOPRIO_CLASS_BE, 7)


async def restore(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Do a confirmed restore, or go on with one that was cut off."""
    stand_back()
    restores = Restores(desk)
    run = restores.run(_ident(spec))
    plan = run.plan()
    source = await restores.source(plan.wanted.backend)
    setting = restores.setting_of(plan.wanted.backend)

    password, before = secret_of(plan.wanted.destination.password), run.report()

    def work(stop: threading.Event, listen: Callable[[RestoreEvent], None]) -> RestoreReport:
        return resume(setting, run, source, stop, listen, password)

    try:
        report, by = await followed(progress, work)
    except BackendError as error:
        found = run.report()
        if found is not None and found != before:
            await record(desk, spec, found, error.title)
        raise
    return _ended(await record(desk, spec, report), report, by)


def secret_of(reference: str) -> Any:
    """The secret a reference names, or None."""
    from console.secrets import resolve

    return resolve(reference) if reference else None


async def undo_restore(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Take a restore back."""
    stand_back()
    restores = Restores(desk)
    run = restores.run(_ident(spec))
    wanted = run.plan().wanted
    setting, password = restores.setting_of(wanted.backend), secret_of(wanted.destination.password)
    report, by = await followed(progress, lambda stop, listen: take_back(setting, run, bool(spec.get("force")), listen, password, later=True))
    progress.after.append(lambda: sweep(run))
    return _ended(await record(desk, spec, report), report, by)


async def drill(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Rehearse: restore a sample to scratch, audit it, keep the evidence."""
    from console.drills import run_drill

    stand_back(idle=True)
    return await run_drill(desk, spec, progress)


def _ended(note: str, report: RestoreReport, by: str) -> dict[str, Any]:
    state = {"undone": "done", "done": "done", "partial": "partial", "cancelled": "cancelled"}.get(report.result, "failed")
    head = report.private.split("\n")
    text = " ".join([*(["cancelled by " + by + "."] if by else []), *head[:2], report.left_behind, note]).strip()
    return {"state": state, "text": clean(text), "run": report.run, "report": report.hash, "counts": dict(report.counts)}


async def record(desk: Desk, spec: Mapping[str, Any], report: RestoreReport, why: str = "") -> str:
    """The ledger's line with the hashes, the report as a note on the ticket, and the public sentence where that was asked for."""
    said = []
    try:
        desk.ledger.append(
            "restore", op=str(spec.get("op") or report.run), actor=desk.actor.login, action="backups.restore", target={"type": "backups", "id": report.run},
            ticket=spec.get("ticket") or None, outcome=report.result, plan_hash=report.plan_hash, report_hash=report.hash, counts=dict(report.counts),
            audited=report.audited, error=why or None,
        )  # fmt: skip
    except BackendError as error:
        said.append(f"the ledger's line could not be written: {error.title}")
    if spec.get("ticket"):
        said.append(await _on_ticket(desk, str(spec["ticket"]), "note", local(report.private, desk.config.timezone)))
        if spec.get("tell_requester") and report.result != "stopped":  # that is no end yet
            said.append(await _on_ticket(desk, str(spec["ticket"]), "reply", local(report.public, desk.config.timezone)))
    return " ".join(text for text in said if text)


async def _on_ticket(desk: Desk, ticket: str, verb: str, body: str) -> str:
    _, backend, ident = ticket.split(":", 2)

    async def yes(plan: Plan) -> Confirmation:
        return Confirmation(plan.confirm_word)

    try:
        done = await perform(desk, Change("tickets", backend, verb, ident, values={"body": body}), confirm=yes)
    except BackendError as error:
        return f"the {verb} on {ticket} could not be written: {error.title}"
    return "" if done.outcome is not None and done.outcome.word == "done" else f"the {verb} on {ticket} is not certain"
