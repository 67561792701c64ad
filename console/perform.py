"""`perform`: the one way to write. change, plan, confirm, intent, apply, read back, result, ticket note. Never imports textual."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backends.contract import Change, Outcome, Plan, Writes
from backends.errors import BackendError, Invalid, NotAllowed, Refused, Uncertain, Unsupported
from backends.threads import in_thread
from console.actions import ACTIONS, ROLES, only_half
from console.ages import local

if TYPE_CHECKING:
    from console.desk import Desk

LEDGER_SECONDS = 8.0


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The person's yes: what was typed where a word was asked for, and the reason given on the way."""

    typed: str = ""
    reason: str = ""
    approver: str = ""


Confirmer = Callable[[Plan], Awaitable[Confirmation | None]]


@dataclass(frozen=True, slots=True)
class Performed:
    """What became of it: the plan, and the outcome (None: left before anything was sent)."""

    plan: Plan
    outcome: Outcome | None
    op_id: str
    note: str = ""
    """What went wrong beside the change itself (the ticket note could not be written), or ""."""


async def perform(
    desk: Desk,
    change: Change,
    *,
    confirm: Confirmer,
    ticket: str | None = None,
    reason: str = "",
    approver: str = "",
    dry_run: bool = False,
    via: Writes | None = None,
) -> Performed:
    """Do a change the one way. Raises what stands in the way before anything is sent; afterwards the outcome says it.

    `via` plans and applies in the adapter's stead: a restore is a job of the console's, not a verb of the backup tool.
    """
    _may(desk, change, dry_run)
    backend = via if via is not None else await desk.backend(change.domain, change.backend or None)
    if not isinstance(backend, Writes):
        raise Unsupported(change.verb, f"{change.backend} is only read here")
    plan = await backend.plan(change, desk.actor)
    half = only_half(change.verb, backend)
    if half and half not in plan.side_effects:
        plan = replace(plan, side_effects=(*plan.side_effects, half))
    op_id = uuid.uuid4().hex
    if dry_run:
        return Performed(plan, None, op_id)
    if plan.missing:
        raise Refused("; ".join(plan.missing))
    said = await confirm(plan)
    if said is None:
        return Performed(plan, None, op_id)
    _check_yes(desk, plan, said, approver)
    reason = reason or said.reason or str(change.values.get("reason", ""))
    entry = _entry(desk, plan, op_id, ticket or plan.ticket, reason, approver or said.approver)
    await in_thread(LEDGER_SECONDS, lambda: desk.ledger.append("intent", **entry, before={step.what: step.before for step in plan.steps}))
    outcome = await _apply(desk, backend, plan, op_id)
    note = await _result(desk, entry, outcome)
    if ticket and change.domain != "tickets":
        note = note or await _ticket_note(desk, ticket, plan, outcome, reason)
    return Performed(plan, outcome, op_id, note)


def _may(desk: Desk, change: Change, dry_run: bool) -> None:
    if desk.read_only and not dry_run:
        raise Refused("the console is read-only", hint="Start it without --read-only, or ask for the right.")
    action = next((item for item in ACTIONS if item.domain == change.domain and item.verb == change.verb), None)
    if action is not None and ROLES.index(desk.actor.role) < ROLES.index(action.role):
        raise NotAllowed(f"{change.verb} needs the role {action.role}, you are {desk.actor.role}")


def _check_yes(desk: Desk, plan: Plan, said: Confirmation, approver: str) -> None:
    if plan.danger >= 2 and plan.confirm_word and said.typed != plan.confirm_word:
        raise Refused(f"{plan.confirm_word!r} was not typed; nothing was done")
    if plan.danger == 3 and (approver or said.approver) in ("", desk.actor.login):
        raise NotAllowed("a second person must agree to this", hint="Give --approver with the login of the person who agreed.")


def _entry(desk: Desk, plan: Plan, op_id: str, ticket: str | None, reason: str, approver: str) -> dict[str, Any]:
    change = plan.change
    return {
        "op": op_id, "actor": desk.actor.login, "role": desk.actor.role, "auth": desk.identity.auth(),
        "action": f"{change.domain}.{change.verb}",
        "target": {"type": change.domain, "backend": change.backend, "id": change.target, "label": change.label or plan.summary},
        "ticket": ticket or None, "reason": reason or None, "approver": approver or None,
        "after": {step.what: _short(step.after) for step in plan.steps},
    }  # fmt: skip


def _short(text: str) -> str:
    """Bodies are not for the ledger: the ticket has them."""
    return text if len(text) <= 200 else f"{text[:180]}... ({len(text)} characters)"


async def _apply(desk: Desk, backend: Writes, plan: Plan, op_id: str) -> Outcome:
    try:
        outcome = await backend.apply(plan, desk.actor, op_id)
    except Uncertain as error:
        return await _compare(backend, plan, Outcome("unknown", error.text, plan.change.target))
    except BackendError as error:
        await _result(
            desk,
            {"op": op_id, "actor": desk.actor.login, "action": f"{plan.change.domain}.{plan.change.verb}"},
            Outcome("refused", error.sentence()),
        )
        raise
    except (Exception, asyncio.CancelledError):
        await _result(
            desk,
            {"op": op_id, "actor": desk.actor.login, "action": f"{plan.change.domain}.{plan.change.verb}"},
            Outcome("unknown", "cut off inside the console"),
        )
        raise
    return await _compare(backend, plan, outcome)


async def _compare(backend: Writes, plan: Plan, outcome: Outcome) -> Outcome:
    """The outcome by what is there now, not by what the system said."""
    try:
        found, record = await backend.read_back(plan, outcome)
    except BackendError as error:
        return replace(outcome, word="unknown", text=f"{outcome.text} could not be read back: {error.title}".strip())
    differs = {name: (wanted, found.get(name)) for name, wanted in plan.expected.items() if found.get(name) != wanted}
    if not differs:
        word = "done"
    elif outcome.word == "unknown":
        word = "unknown"
    elif len(differs) < len(plan.expected):
        word = "partial"
    else:
        word = "refused"
    applied = {name: value for name, value in found.items() if name not in differs}
    return replace(outcome, word=word, applied=applied, differs=differs, record=record)  # type: ignore[arg-type]


async def _result(desk: Desk, entry: Mapping[str, Any], outcome: Outcome) -> str:
    fields = {**entry, "outcome": outcome.word, "error": outcome.text or None}
    fields.pop("after", None)
    try:
        await in_thread(LEDGER_SECONDS, lambda: desk.ledger.append("result", **fields))
    except BackendError as error:
        _keep(desk, fields)
        return f"the ledger's result line could not be written ({error.title.lower()}); it is kept in unwritten.jsonl and tried again"
    return await _retry_kept(desk)


def _keep(desk: Desk, fields: Mapping[str, Any]) -> None:
    try:
        with open(desk.config.data / "unwritten.jsonl", "a", encoding="ascii") as file:
            file.write(json.dumps(dict(fields), ensure_ascii=True, default=str) + "\n")
    except OSError:
        return


async def _retry_kept(desk: Desk) -> str:
    """Result lines that could not be written earlier, now that one could."""
    path = desk.config.data / "unwritten.jsonl"
    if not path.exists():
        return ""
    try:
        taken = path.with_suffix(f".{uuid.uuid4().hex}")
        path.rename(taken)
        for line in taken.read_text(encoding="ascii").splitlines():
            fields = json.loads(line)
            await in_thread(LEDGER_SECONDS, lambda fields=fields: desk.ledger.append("result", **fields, late=True))  # type: ignore[misc]
        taken.unlink()
    except (OSError, ValueError, BackendError):
        return "an earlier result line could still not be written"
    return ""


async def _ticket_note(desk: Desk, ticket: str, plan: Plan, outcome: Outcome, reason: str) -> str:
    """An internal note on the ticket the work belongs to."""
    try:
        backend, ident = await _ticket_backend(desk, ticket)
        steps = "; ".join(map(plan.told, plan.steps))
        body = f"{plan.summary} ({plan.change.domain}:{plan.change.backend}:{plan.change.target}): {plan.ended(outcome.word)}. {steps}" + (
            f" Reason: {reason}" if reason else ""
        )
        change = Change("tickets", backend.name, "note", ident, values={"body": local(body, desk.config.timezone)})
        note = await backend.plan(change, desk.actor)
        await backend.apply(note, desk.actor, uuid.uuid4().hex)
    except BackendError as error:
        return f"the note on {ticket} could not be written: {error.text}"
    return ""


async def _ticket_backend(desk: Desk, ticket: str) -> tuple[Any, str]:
    parts = ticket.split(":", 2)
    if len(parts) == 3 and parts[0] == "tickets":
        return await desk.backend("tickets", parts[1]), parts[2]
    backend = await desk.backend("tickets")
    found = await backend.ticket(ticket)
    return backend, found.row.id


async def check_ticket(desk: Desk, ticket: str) -> str:
    """The ticket's reference; Invalid when it does not exist: said before anything is planned."""
    try:
        backend, ident = await _ticket_backend(desk, ticket)
        await backend.ticket(ident)
    except BackendError as error:
        raise Invalid(f"ticket {ticket}: {error.title.lower()}" if error.text.endswith(ticket) else f"ticket {ticket}: {error.text}") from None
    return f"tickets:{backend.name}:{ident}"
