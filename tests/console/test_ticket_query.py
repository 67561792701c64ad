"""The query line: what it means, what it refuses, and what the store finds by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Site
from backends.errors import Invalid
from backends.options import read_options
from backends.store.opening import ENGINES, open_store
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.model import OPEN_PHASES, Term, TicketQuery, Vocabulary
from console.ticket_query import completer, read_ticket_query, spoken_query

OPEN = TicketQuery(phases=OPEN_PHASES)


def read(text: str) -> TicketQuery:
    return read_ticket_query(text, OPEN, "ana")


def test_words_fields_and_negation() -> None:
    query = read('queue:net owner:me !tag:spam "stuck projector" room')
    assert query.text == "stuck projector room" and query.phases == OPEN_PHASES
    assert query.terms == (Term("queue", "has", ("net",)), Term("owner", "is", ("ana",)), Term("tag", "is", ("spam",), True))
    assert read("owner:none").terms == (Term("owner", "is", ("",)),)
    assert read("team:none").terms == (Term("team", "none"),)
    assert read("!printer").terms == (Term("text", "has", ("printer",), True),)
    assert read('category:"e-mail",printing').terms[0].values == ("e-mail", "printing")
    assert read("status:all").phases == () and read("status:resolved").phases == ("resolved",)
    assert read("http://x/y 12:30").text == "http://x/y 12:30"
    assert spoken_query(read("queue:net !owner:me")) == "queue:net !owner:ana"


@pytest.mark.parametrize(("text", "says"), [("quue:net", "quue"), ("queue:", "queue:"), ("prio:9", "9"), ("due<soon", "soon")])
def test_the_wrong_word_is_named(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        read(f"printer {text}")


def test_moments() -> None:
    due, young, old = read("due<2d").terms[0], read("created<7d").terms[0], read("updated>3d").terms[0]
    assert (due.op, young.op, old.op) == ("before", "after", "before")
    assert read("created>2026-11-01").terms[0] == Term("created", "after", ("2026-11-01T00:00:00+00:00",))


def test_completion() -> None:
    complete = completer(Vocabulary(queues=("Network", "Service desk"), agents=("zoe",)), "ana")
    assert "queue:" in complete("qu") and complete("printer queue:n") == ["queue:Network"]
    assert complete("queue:ser") == ['queue:"Service desk"'] and "!owner:zoe" in complete("!owner:z")


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_store_finds_what_was_meant(engine: str, tmp_path: Path) -> None:
    store = open_store(tmp_path, engine)
    backend = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(tmp_path)))
    await backend.open()
    ana = Actor("ana")

    async def write(verb: str, target: str = "", **values: Any) -> str:
        plan = await backend.plan(Change("tickets", "desk", verb, target, values=values), ana)
        return (await backend.apply(plan, ana, f"{verb}{target}{values}")).target

    one = await write("create", subject="Projector dark", queue="Network", priority=1, category="hardware", requester={"name": "Joe Doe", "login": "jdoe", "location": "Room 214"})
    two = await write("create", subject="Printer jam", queue="Service desk", priority=4, tags=["loud"], requester={"name": "Eve", "login": "eve"})
    await write("take", one)
    await write("refer", two, vendor="Copier Co", follow_up="2030-01-01")
    expected = {
        "queue:net": {one}, "!queue:net": {two}, "owner:me": {one}, "owner:none": {two}, "mine": {one}, "unassigned": {two}, "prio:1,4": {one, two}, "prio:P1": {one},
        "tag:loud": {two}, "!tag:loud": {one}, "from:joe": {one}, "where:214": {one}, "vendor:copier": {two}, "category:none": {two}, "due<9999h": {one},
        "pending>1d": {two}, "created<1h": {one, two}, "created>1h": set(), "!projector": {two}, "projector dark": {one}, "status:waiting": {two}, "status:paused": {two},
        "!status:paused": {one}, "number:1001": {one}, 'subject:"printer j"': {two}, "overdue": set(),
    }  # fmt: skip
    for text, wanted in expected.items():
        found = {row.id for row in (await backend.tickets(read(text))).items}
        assert found == wanted, text
    store.close()
