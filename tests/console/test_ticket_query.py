"""The query line: what it means, what it refuses, and what the store finds by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.contract import Actor, Change, Site, now
from backends.errors import Invalid
from backends.options import read_options
from backends.store.opening import ENGINES, open_store
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.model import OPEN_PHASES, Phase, Term, TicketQuery, Vocabulary
from backends.tickets.query import INDEXES, where
from console.query_completion import completer
from console.query_words import WrongWord
from console.ticket_query import read_ticket_query, spoken_query

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
    assert spoken_query(read("queue:net !owner:me")) == "queue:net !owner:ana status:open"


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


def test_quotes_commas_special_words_and_none() -> None:
    assert read('queue:"a,b",c').terms[0].values == ("a,b", "c")
    assert read(r'subject:"say \"hi\""').terms[0].values == ('say "hi"',)
    assert read('owner:"none",me').terms[0].values == ("none", "ana")
    assert read('"overdue" "tag:x" "!y"').text == "overdue tag:x !y" and not read('"overdue"').overdue
    assert read("tag:none").terms == (Term("tag", "none"),) and read("due:none").terms == (Term("due", "none"),)
    assert read('field."Asset tag":PRN-1,x field.room:none').terms == (Term("field", "is", ("Asset tag", "PRN-1", "x")), Term("field", "none", ("room",)))
    assert read("!status:waiting").phases == OPEN_PHASES and read("status:waiting").phases == ()
    assert read("status:resolved,new").phases == ("resolved", "new")
    assert read('unfinished "quo te').text == "unfinished quo te"


def test_a_line_narrows_a_view_and_never_widens_it_by_being_cleared() -> None:
    view = read_ticket_query("queue:net toner", OPEN, "ana")
    narrowed = read_ticket_query("tag:x jam", view, "ana")
    assert narrowed.terms == (Term("queue", "has", ("net",)), Term("tag", "is", ("x",))) and narrowed.text == "toner jam"
    assert read_ticket_query("", view, "ana") == view


def test_days_are_the_sites() -> None:
    term = read_ticket_query("created>2026-11-01", OPEN, "ana", "America/Denver").terms[0]
    assert term.values == ("2026-11-01T06:00:00+00:00",)
    assert spoken_query(TicketQuery(terms=(term,)), "America/Denver") == "created>2026-11-01"
    assert read("due<today").terms[0].op == "before" and read("due<-2d").terms[0].values < read("due<now").terms[0].values


@pytest.mark.parametrize(
    ("line", "word"),
    [("printer quue:net x", "quue:net"), ("x due<soon", "due<soon"), ('a prio:"9" b', 'prio:"9"'), ("status:open,waiting", "status:open,waiting"), ("tag:a,none", "tag:a,none"),
     ("queue<2", "queue<2"), ("due:2d", "due:2d"), ("field.:x", "field.:x"), ("number:abc", "number:abc"), ("!status:all", "!status:all"), ("due<99999999999d", "due<99999999999d")],
)  # fmt: skip
def test_the_wrong_word_is_pointed_at(line: str, word: str) -> None:
    with pytest.raises(WrongWord) as caught:
        read(line)
    error = caught.value
    shown, carets = error.marked()
    assert line[error.start : error.end] == word and shown[carets.index("^") : len(carets)] == word


PIECES = ["queue:", "status:", "!", "owner:", "me", "none", "due<", "created>", "2d", "2026-12-01", '"', ",", " ", "field.", "prio:", "1", "open", "overdue", "mine", "\\", "<", ":",
          "number:", "ref:", "tag:", "http://", "İ", "ß", "\x85", "\x00", "²", "-", ".", "T", "inf", "nan", "e9", "d", "by:", "where:", "all", "phase:", "pending:", "vendor:", "subject:", "from:"]  # fmt: skip
LINES = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=14).map("".join), st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=14).map("".join))


@settings(deadline=None, max_examples=1500)
@given(LINES, st.sampled_from(["UTC", "America/Denver", "Asia/Kolkata"]))
def test_any_line_is_a_query_or_invalid_and_its_spoken_form_is_the_same_query(line: str, zone: str) -> None:
    try:
        query = read_ticket_query(line, TicketQuery(), "ana", zone)
    except Invalid as error:
        assert isinstance(error, WrongWord) and 0 <= error.start < error.end
        return
    spoken = spoken_query(query, zone)
    assert read_ticket_query(spoken, TicketQuery(), "nobody of that name", zone) == query, spoken
    where(query, now())


@settings(deadline=None, max_examples=300)
@given(LINES)
def test_completion_never_fails_and_gives_words_that_can_be_read(head: str) -> None:
    complete = completer(Vocabulary(queues=("Network", "a,b", 'q"x'), agents=("zoe",), fields=("Asset tag",), statuses={"In progress": Phase.ACTIVE}), "ana")
    for word in complete(head):
        assert word


@settings(deadline=None, max_examples=60)
@given(lines=st.lists(LINES, min_size=1, max_size=8))
def test_both_engines_find_the_same(lines: list[str], two_stores: list[Any]) -> None:
    for line in lines:
        try:
            query = read_ticket_query(line, TicketQuery(), "ana")
        except Invalid:
            continue
        condition = where(query, now())
        found = [sorted(record.id for record in store.select("tickets", condition)) for store in two_stores]
        assert found[0] == found[1], line


@pytest.fixture(scope="module")
def two_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    docs = [
        {"number": 1, "subject": "Projector", "status": "New", "phase": "new", "queue": "Network", "assignee": "ana", "priority": 1, "search": "t-1 projector", "tags": ["x", "2d"],
         "fields": {"room": 214, "Asset tag": "PRN-1", "e9": ["a", "b"]}, "due_at": "2026-12-01T00:00:00Z", "refs": ["devices:a:b"], "ref_first": "devices:a:b"},
        {"number": 2, "subject": "me", "status": "Open", "phase": "active", "queue": "none", "assignee": "", "priority": 2, "search": "t-2 me ß i̇ 2d", "kind": "incident", "created_at": "2020-01-01T00:00:00Z"},
    ]  # fmt: skip
    stores = [open_store(tmp_path_factory.mktemp(engine), engine) for engine in ENGINES]
    for store in stores:
        store.index("tickets", *INDEXES)
        for doc in docs:
            store.insert("tickets", doc, id=str(doc["number"]))
    yield stores
    for store in stores:
        store.close()
