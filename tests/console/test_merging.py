"""The merged list: against sorting everything, with few readings, and with backends that fail, hang or can't count."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.contract import Page
from backends.errors import BackendError, Unreachable
from console.lanes import PAGE
from console.merging import Merged, ordering


@dataclass(frozen=True)
class Item:
    id: str
    at: int | None


class Server:
    """A sorted list that counts how often it is asked, and fails when told to."""

    def __init__(self, name: str, values: list[int | None], descending: bool = False, counts: bool = True) -> None:
        items = [Item(f"{name}{place}", value) for place, value in enumerate(values)]
        known = [item for item in items if item.at is not None]
        known.sort(key=lambda item: item.at or 0, reverse=descending)
        self.items = known + [item for item in items if item.at is None]
        self.name, self.counts = name, counts
        self.reads = 0
        self.error: BackendError | None = None
        self.gate: asyncio.Event | None = None
        self.fails_from = 10**9

    async def read(self, offset: int, limit: int) -> Page[Any]:
        self.reads += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None or offset >= self.fails_from:
            raise self.error or Unreachable("timeout")
        return Page(tuple(self.items[offset : offset + limit]), offset, len(self.items) if self.counts else None)


def merged(servers: list[Server], descending: bool = False, **more: Any) -> Merged:
    return Merged({server.name: server.read for server in servers}, ordering("at", descending), **more)


def whole(servers: list[Server], descending: bool) -> list[str]:
    key = ordering("at", descending)
    rows = [((key(item), rank, place), item.id) for rank, server in enumerate(servers) for place, item in enumerate(server.items)]
    return [ident for _, ident in sorted(rows, key=lambda row: row[0])]


VALUES = st.lists(st.one_of(st.none(), st.integers(0, 30)), max_size=500)


@settings(deadline=None, max_examples=60)
@given(st.lists(VALUES, min_size=1, max_size=4), st.booleans(), st.lists(st.integers(0, 20), max_size=12), st.booleans())
def test_any_windows_in_any_order_are_those_of_the_sorted_whole(lists: list[list[int | None]], descending: bool, chunks: list[int], counts: bool) -> None:
    async def run() -> None:
        servers = [Server("abcd"[number], values, descending, counts) for number, values in enumerate(lists)]
        expected = whole(servers, descending)
        found = merged(servers, descending)
        for chunk in [*chunks, *range(len(expected) // PAGE + 1)]:
            window = await found.window(chunk * PAGE, PAGE)
            assert [line.item.id for line in window.lines] == expected[chunk * PAGE : chunk * PAGE + PAGE]
            assert window.total in (len(expected), None) and window.least <= len(expected)
            assert not counts or window.total == len(expected)
        for server in servers:
            for place in range(0, len(server.items), 37):
                assert await found.position(server.name, place) == expected.index(server.items[place].id)

    asyncio.run(run())


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(0, 400), max_size=600), min_size=2, max_size=3), st.permutations(range(13)))
def test_each_row_is_there_once_even_where_a_server_sorts_otherwise(lists: list[list[int]], order: list[int]) -> None:
    async def run() -> None:
        servers = [Server("abc"[number], list(values)) for number, values in enumerate(lists)]
        servers[0].items.sort(key=lambda item: str(item.at))  # as text: 10 before 9
        found = merged(servers)
        lines: dict[int, list[str]] = {}
        for chunk in [*order, *range(20)]:
            lines[chunk] = [line.item.id for line in (await found.window(chunk * PAGE, PAGE)).lines]
        everything = [ident for chunk in sorted(lines) for ident in lines[chunk]]
        assert sorted(everything) == sorted(item.id for server in servers for item in server.items)

    asyncio.run(run())


async def test_deep_scrolling_reads_each_page_once_and_the_end_is_near() -> None:
    servers = [Server("a", list(range(0, 40_000, 2))), Server("b", list(range(1, 40_000, 2)))]
    found = merged(servers)
    for chunk in range(60):
        await found.window(chunk * PAGE, PAGE)
    assert sum(server.reads for server in servers) <= 62
    before = sum(server.reads for server in servers)
    assert [line.item.at for line in (await found.window(39_900, PAGE)).lines] == list(range(39_900, 40_000))
    assert sum(server.reads for server in servers) - before <= 4
    before = sum(server.reads for server in servers)
    assert [line.item.at for line in (await found.window(20_000, PAGE)).lines] == list(range(20_000, 20_100))
    assert sum(server.reads for server in servers) - before <= 60


async def test_one_that_hangs_is_left_out_and_comes_when_it_answers() -> None:
    quick, slow = Server("quick", [1, 3]), Server("slow", [2])
    slow.gate = asyncio.Event()
    told = asyncio.Event()
    found = merged([quick, slow], late=told.set, patience=0.01)
    window = await found.window(0, PAGE)
    assert [line.item.at for line in window.lines] == [1, 3] and window.notes == ("slow: no answer yet",)
    slow.gate.set()
    await asyncio.wait_for(told.wait(), 5)
    window = await found.window(0, PAGE)
    assert [line.item.at for line in window.lines] == [1, 2, 3] and window.notes == ()


async def test_one_that_fails_keeps_its_last_rows_as_stale() -> None:
    good, bad = Server("good", [1, 3]), Server("bad", list(range(0, 500, 2)))
    first = merged([good, bad])
    assert (await first.window(0, PAGE)).total == 252
    bad.error = Unreachable("timeout")
    window = await merged([good, bad], before=first).window(0, PAGE)
    assert window.total == 102 and window.notes == ("bad: stale 0s: timeout",)
    assert [(line.item.at, line.stale) for line in window.lines[:4]] == [(0, True), (1, False), (2, True), (3, False)]
    window = await merged([good, bad]).window(0, PAGE)
    assert [line.item.at for line in window.lines] == [1, 3] and window.notes == ("bad: left out: timeout",)


async def test_one_that_fails_in_the_middle_ends_there() -> None:
    good, bad = Server("good", list(range(1000, 2000))), Server("bad", list(range(1000)))
    bad.fails_from = 300
    found = merged([good, bad])
    for chunk in range(3):
        assert all(line.backend == "bad" for line in (await found.window(chunk * PAGE, PAGE)).lines)
    window = await found.window(300, PAGE)
    assert window.total == 1300 and window.lines[0].item.at == 1000 and "timeout" in window.notes[0]


async def test_nothing_to_show_is_an_error_and_a_fault_inside_is_no_crash() -> None:
    bad = Server("bad", [1])
    bad.error = Unreachable("no route")
    with pytest.raises(Unreachable, match="no route"):
        await merged([bad]).window(0, PAGE)

    async def broken(offset: int, limit: int) -> Page[Any]:
        raise TypeError("oops")

    good = Server("good", [1])
    window = await Merged({"good": good.read, "broken": broken}, ordering("at", False)).window(0, PAGE)
    assert len(window.lines) == 1 and "failed inside the adapter (TypeError)" in window.notes[0]
