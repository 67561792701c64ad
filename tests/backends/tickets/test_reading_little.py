"""Lists of many tickets read only what they show: rows are counted on their way out of the store, and every view and sort goes by an index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Site, now
from backends.options import read_options
from backends.store.opening import open_store
from backends.store.sqlite import SqliteStore
from backends.store.sqlite_where import compile_order, compile_where, searches
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.model import TicketQuery
from backends.tickets.query import order, where
from console.ticket_query import read_ticket_query
from console.views import BUILT_IN

MANY = 1_500
QUEUES = ("Service desk", "Network", "Systems")


def tickets() -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(MANY):
        phase = ("new", "active", "paused", "resolved", "closed")[number % 5]
        yield f"{number:032x}", {
            "number": number + 1, "subject": f"ticket {number}", "status": phase.title(), "phase": phase, "priority": 1 + number % 4, "queue": QUEUES[number % 3],
            "assignee": ("ana", "bob", "")[number % 3], "requester": f"person {number % 50}", "login": f"p{number % 50}", "updated_at": f"2026-01-{1 + number % 28:02}T00:00:00Z",
            "created_at": "2026-01-01T00:00:00Z", "events": 1, "search": f"t-{number + 1} ticket {number}", **({"due_at": "2026-02-01T00:00:00Z"} if phase in ("new", "active") else {}),
        }  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path_factory.mktemp("many"), "sqlite")
    assert isinstance(opened, SqliteStore)
    opened.load("tickets", tickets())
    yield opened
    opened.close()


@pytest.fixture
async def backend(store: SqliteStore, tmp_path: Path) -> EmbeddedTickets:
    opened = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(tmp_path)))
    await opened.open()
    return opened


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows each reading of the store brought."""
    counted: list[int] = []
    select, get = SqliteStore.select, SqliteStore.get

    def counting_select(self: SqliteStore, *args: Any, **named: Any) -> Any:
        found = select(self, *args, **named)
        counted.append(len(found))
        return found

    def counting_get(self: SqliteStore, *args: Any) -> Any:
        counted.append(1)
        return get(self, *args)

    monkeypatch.setattr(SqliteStore, "select", counting_select)
    monkeypatch.setattr(SqliteStore, "get", counting_get)
    return counted


async def test_views_filters_sorts_figures_and_words_read_a_page(backend: EmbeddedTickets, read: list[int]) -> None:
    lines = [view.line for view in BUILT_IN["tickets"]] + ["ticket", "queue:net", "owner:ana", "tag:none", "subject:ticket", "created>2020-01-01", "!zzz status:all", "from:person"]
    for line in lines:
        for sort in ("updated_at", "priority", "due_at", "number", "requester", "subject"):
            query = read_ticket_query(line, TicketQuery(sort=sort), "ana")  # type: ignore[arg-type]
            before = sum(read)
            page = await backend.tickets(query, 0, 100)
            assert sum(read) - before == len(page.items) <= 100, line
    before = sum(read)
    last = await backend.tickets(TicketQuery(), MANY - 50, 100)
    assert len(last.items) == 50 and sum(read) - before == 50
    before = sum(read)
    counted = await backend.counts()
    assert counted.open == MANY * 3 // 5 and sum(one[0] for one in counted.by_queue.values()) == counted.open and counted.by_assignee["ana"] == MANY // 5
    assert await backend.vocabulary() and await backend.position(TicketQuery(), page.items[0].id) is not None
    assert sum(read) == before


async def test_the_figures_are_those_of_the_lists(backend: EmbeddedTickets) -> None:
    counted = await backend.counts()
    for queue, figures in counted.by_queue.items():
        lists = [read_ticket_query(line, TicketQuery(queues=(queue,)), "ana") for line in ("status:open", "status:new", "status:open overdue")]
        assert figures == tuple([(await backend.tickets(query, 0, 1)).total for query in lists])


def plan(store: SqliteStore, query: TicketQuery) -> list[str]:
    with store._reading("tickets") as (connection, found):
        assert found is not None
        condition, sort = where(query, now()), order(query)
        sql, values = compile_where(condition, found.columns())
        source = found.source(condition, sort)
        by = compile_order(sort, found.columns(), sort=searches(condition) and "INDEXED BY" not in source)
        text = f"EXPLAIN QUERY PLAN SELECT c.n, c.id, c.rev, c.seq FROM {source} WHERE {sql} {by} LIMIT 100"
        return [str(row[3]) for row in connection.execute(text, values)]


@pytest.mark.parametrize("view", BUILT_IN["tickets"], ids=lambda view: view.name)
async def test_every_view_goes_by_an_index(store: SqliteStore, backend: EmbeddedTickets, view: Any) -> None:
    for line in (view.line, f"{view.line} toner"):
        steps = plan(store, read_ticket_query(line, TicketQuery(sort=view.sort or "updated_at", descending=view.descending), "ana"))
        assert all("USING" in step for step in steps if step.startswith(("SCAN", "SEARCH")) and "c" in step.split()[1:2]), steps


@pytest.mark.parametrize("sort", ["number", "subject", "status", "priority", "queue", "requester", "assignee", "created_at", "updated_at", "due_at"])
async def test_all_tickets_are_sorted_by_an_index(store: SqliteStore, backend: EmbeddedTickets, sort: Any) -> None:
    for descending in (True, False):
        steps = plan(store, TicketQuery(sort=sort, descending=descending))
        assert steps[0].startswith("SCAN c USING INDEX"), steps
        assert not any("FOR ORDER BY" in step for step in steps), steps


@pytest.mark.parametrize(
    "line", ["owner:ana", "unassigned", "due<2d", "created<7d", "number:42", "pending<3d", "kind:incident", "tag:none", "team:none", "ref:devices:a:b", "by:phone", "vendor:none"]
)
async def test_filter_words_that_compare_go_by_an_index(store: SqliteStore, backend: EmbeddedTickets, line: str) -> None:
    steps = plan(store, read_ticket_query(line, TicketQuery(), "ana"))
    assert any("USING INDEX" in step or "USING COVERING INDEX" in step or "MULTI-INDEX" in step for step in steps), steps
