"""A desk to test on: our own tickets on a store in a folder, and what `perform` does without confirmation and ledger."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from backends.contract import Actor, Change, Outcome, Site
from backends.options import read_options
from backends.store.opening import open_store
from backends.tickets.embedded import EmbeddedTickets

ANA = Actor("ana", "Ana")


def desk(folder: Path, engine: str | None = None, zone: str = "America/Chicago", secret: Any = None, **options: Any) -> EmbeddedTickets:
    """An adapter of its own on the folder: as another process would have."""
    read = read_options(EmbeddedTickets.OPTIONS, options)
    return EmbeddedTickets("desk", {**read, **(secret or {})}, Site(timezone=zone, data=str(folder), store=open_store(folder, engine)))


async def do(backend: Any, verb: str, target: str = "", actor: Actor = ANA, **values: Any) -> Outcome:
    """Plan, apply, read back, compare."""
    plan = await backend.plan(Change("tickets", backend.name, verb, target, values=values), actor)
    outcome = await backend.apply(plan, actor, uuid.uuid4().hex)
    found, _ = await backend.read_back(plan, outcome)
    assert dict(found) == dict(plan.expected)
    return outcome


async def new(backend: Any, subject: str = "Printer jam", **values: Any) -> str:
    """A ticket of Joe's."""
    person = {"name": "Joe Doe", "login": "jdoe", "email": "jdoe@example.org"}
    return (await do(backend, "create", **{"subject": subject, "requester": person, **values})).target
