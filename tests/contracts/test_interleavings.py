"""Our own store under seeded interleavings of three writers: no update is lost. And a store that is broken is found out.

DESKSIDE_INTERLEAVINGS=1000 asks for so many on both engines together; without it 300 run; each broken store below is found within 25.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Site
from backends.store.contract import Record
from backends.store.opening import ENGINES, open_store
from backends.tickets.appending import EVENTS, append
from backends.tickets.applying import Applying
from backends.tickets.embedded import EmbeddedTickets
from tests.contracts.interleavings import WRITERS, Deed, Table, Writer, made, opened, problems

RUNS = int(os.environ.get("DESKSIDE_INTERLEAVINGS", "300")) // 2
"""An engine."""
CHUNK = 25


@pytest.fixture
def fast() -> Iterator[Path]:
    """A folder in memory where there is one: what is looked at is the order of things, not the disk."""
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield place
    shutil.rmtree(place)


def _chunk(folder: str, engine: str, seeds: range) -> tuple[list[str], Counter[str]]:
    """Runs in a worker process: what is wrong, with its seed, and what was told to the writers."""
    wrong: list[str] = []
    verdicts: Counter[str] = Counter()
    with Table(Path(folder), engine) as table:
        for seed in seeds:
            found, deeds, turns = table.run(seed)
            wrong += [f"seed {seed}: {line}" for line in found]
            if set(turns.switches) != {actor.login for actor in WRITERS}:
                wrong.append(f"seed {seed}: somebody never had a turn")
            verdicts.update(deed.verdict for deed in deeds)
    return wrong, verdicts


def test_no_update_is_lost(fast: Path) -> None:
    """RUNS on each engine."""
    wrong: list[str] = []
    verdicts: Counter[str] = Counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1), mp_context=context) as pool:
        asked = [
            pool.submit(_chunk, str(fast / f"{engine}-{start}"), engine, range(start, start + CHUNK)) for start in range(0, RUNS, CHUNK) for engine in ENGINES
        ]  # fmt: skip
        for answer in asked:
            found, told = answer.result(120)
            wrong += found
            verdicts += told
    assert not wrong, "\n".join(wrong[:20])
    assert verdicts["done"] > RUNS * 6 and verdicts["conflict"] > RUNS // 2 and verdicts["refused"] > RUNS // 2, f"hardly anybody met: {verdicts}"


def test_a_seed_is_the_same_run_again(fast: Path) -> None:
    def told(name: str) -> tuple[Any, ...]:
        with Table(fast / name, "sqlite") as table:
            wrong, deeds, turns = table.run(77)
        return wrong, turns.switches, [(deed.op_id, deed.ticket, deed.verb, deed.verdict, deed.begin, deed.end) for deed in deeds]

    assert told("one") == told("two")


# -- a broken store is found out ------------------------------------------------------------------------------


class Unguarded(EmbeddedTickets):
    """Writes without looking whether the fields moved on."""

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        super().__init__(name, options, site)

        class Careless(Applying):
            def _add(self, ident: str, planned: Mapping[str, Any], was: Mapping[str, Any], actor: Actor, op_id: str) -> tuple[Record, str]:
                event = {"via": "ui", **planned, "at": "2026-01-01T00:00:00Z", "actor": actor.login}
                return append(self._store, ident, event, op_id, lambda doc: None, self._house.promise)

        self._applying = Careless(self._store, self._house, self._files)


class _Overwriting:
    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def insert(self, collection: str, doc: Mapping[str, Any], *, id: str | None = None, op_id: str | None = None) -> Any:
        return self._store.put(collection, id, doc) if collection == EVENTS and id else self._store.insert(collection, doc, id=id, op_id=op_id)


class Overwriting(EmbeddedTickets):
    """Two writers may both make the event number 7: the second one wipes out the first."""

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        super().__init__(name, options, Site(site.name, site.timezone, site.data, _Overwriting(site.store)))


class Forgetful(EmbeddedTickets):
    """Does an operation again when it is repeated."""

    async def apply(self, plan: Any, actor: Actor, op_id: str) -> Any:
        self._calls = getattr(self, "_calls", 0) + 1
        return await super().apply(plan, actor, f"{op_id}#{self._calls}" if plan.change.target else op_id)


@pytest.mark.parametrize(
    ("kind", "said"), [(Unguarded, "had seen"), (Unguarded, "lost unnoticed"), (Overwriting, "not in the timeline"), (Forgetful, "acknowledged to nobody")]
)
def test_a_broken_store_is_found_out(fast: Path, kind: type[EmbeddedTickets], said: str) -> None:
    with Table(fast, "sqlite") as table:
        found = [line for seed in range(25) for line in table.run(seed, kind)[0]]
    assert any(said in line for line in found), found[:5]


# -- processes ------------------------------------------------------------------------------------------------


def _process(folder: str, engine: str, seed: int, who: int, tickets: list[str], barrier: Any) -> None:
    """A console in a process of its own; what it was told goes into a file."""
    store = open_store(Path(folder), engine)
    writer = Writer(opened(EmbeddedTickets, store, Path(folder)), WRITERS[who], str(seed), tickets, lambda: 0)
    barrier.wait(60)
    asyncio.run(writer.work(25))
    Path(folder, f"told-{who}.json").write_text(json.dumps([asdict(deed) for deed in writer.deeds]))
    store.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_three_processes(tmp_path: Path, engine: str) -> None:
    """The same work by processes that run as they like; each is answered and checked in the same way."""
    store = open_store(tmp_path, engine)
    tickets = asyncio.run(made(opened(EmbeddedTickets, store, tmp_path), "5"))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(len(WRITERS))
    started = [context.Process(target=_process, args=(str(tmp_path), engine, 5, who, tickets, barrier)) for who in range(len(WRITERS))]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
        assert process.exitcode == 0
    deeds = [Deed(**told) for who in range(len(WRITERS)) for told in json.loads((tmp_path / f"told-{who}.json").read_text())]
    wrong = problems(store, tickets, deeds, ordered=False)
    store.close()
    assert not wrong, "\n".join(wrong)
    assert sum(deed.verdict == "done" for deed in deeds) > 20
