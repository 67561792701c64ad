"""Linking two records the one way: on the ticket where one of them is a ticket, else as a link of the house. Never imports textual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.contract import Change, Ref
from backends.errors import BackendError, Invalid, Refused
from backends.threads import in_thread
from console.perform import Confirmer, perform

if TYPE_CHECKING:
    from console.desk import Desk

SECONDS = 8.0
MOST = 200
"""Tickets of one record that are listed."""


async def link(desk: Desk, one: str, other: str, *, remove: bool = False, confirm: Confirmer, dry_run: bool = False) -> str:
    """Link or unlink two references and say what became of it; "" when it was left. Invalid, Refused, NotFound."""
    first, second = await reference(desk, one), await reference(desk, other)
    if first == second:
        raise Invalid("a record is not linked to itself")
    ticket, about = (second, first) if second.domain == "tickets" and first.domain != "tickets" else (first, second)
    if ticket.domain == "tickets" and await _keeps_references(desk, ticket) and not (remove and await _written_down(desk, first, second)):
        verb = "unlink" if remove else "link"
        change = Change("tickets", ticket.backend, verb, ticket.id, values={"ref": str(about)})
        performed = await perform(desk, change, confirm=confirm, dry_run=dry_run)
        if performed.outcome is None:
            return performed.plan.summary if dry_run else ""
        return f"{performed.outcome.word.capitalize()}: {performed.plan.summary}, {about}"
    return await _by_the_house(desk, str(first), str(second), remove, dry_run)


async def reference(desk: Desk, text: str) -> Ref:
    """`domain:backend:id`, or a ticket by its number ("T-1042"). Invalid, NotFound."""
    if ":" not in text and text[-1:].isdigit():
        backend = await desk.backend("tickets")
        return Ref("tickets", backend.name, (await backend.ticket(text)).row.id)
    try:
        return Ref.parse(text)
    except ValueError as error:
        raise Invalid(str(error), hint="Write domain:backend:id, such as devices:here:web01, or a ticket's number.") from None


async def linked(desk: Desk, text: str) -> list[str]:
    """What a record is linked to, from either end: a ticket's references, tickets about it, and the links of the house."""
    ref = await reference(desk, text)
    found: list[str] = []
    if ref.domain == "tickets":
        found += (await (await desk.backend("tickets", ref.backend)).ticket(ref.id)).refs
    else:
        from backends.tickets.model import TicketQuery

        for opened in desk.backends("tickets"):
            backend = await desk.backend("tickets", opened.name)
            found += [f"tickets:{row.backend}:{row.id}" for row in (await backend.tickets(TicketQuery(ref=str(ref)), 0, MOST)).items]
    found += await in_thread(SECONDS, desk.links.of, str(ref))
    return list(dict.fromkeys(found))


async def _keeps_references(desk: Desk, ticket: Ref) -> bool:
    return hasattr(await desk.backend("tickets", ticket.backend), "plan_link")


async def _written_down(desk: Desk, one: Ref, other: Ref) -> bool:
    return str(other) in await in_thread(SECONDS, desk.links.of, str(one))


async def _by_the_house(desk: Desk, one: str, other: str, remove: bool, dry_run: bool) -> str:
    """Two records neither of which is a ticket: kept in the store, noted in the ledger first."""
    if desk.read_only and not dry_run:
        raise Refused("the console is read-only", hint="Start it without --read-only, or ask for the right.")
    deed = "Unlink" if remove else "Link"
    if dry_run:
        return f"{deed} {one} and {other}"

    def write() -> None:
        label = f"{one} - {other}"
        desk.ledger.append("note", actor=desk.actor.login, action=f"links.{'remove' if remove else 'add'}", target={"id": one, "label": label})
        (desk.links.remove if remove else desk.links.add)(one, other, desk.actor.login)

    try:
        await in_thread(SECONDS, write)
    except OSError as error:
        raise BackendError(f"the link could not be written: {error}") from None
    return f"{deed}ed {one} and {other}"
