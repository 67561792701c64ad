"""What the record store costs, beside plain TinyDB in the same run: `python -m bench.store [1000 10000 100000]`.

Every round does each operation on each store, in turn, so that a busy machine is busy for all of them. Times are
medians in milliseconds; a ratio says how many times faster than plain TinyDB. Documents have about 1,000 bytes.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from backends.store.contract import All, Order, Test
from backends.store.opening import open_store

SIZES = (1_000, 10_000, 100_000)
WORDS = "printer jam toner network vpn password reset mailbox laptop screen slow login switch port restore disk".split()  # noqa: SIM905
NEWEST = (Order("updated", descending=True),)
OPEN = Test("status", "eq", "open")
WRITERS, EACH = 4, 100


def document(number: int, chance: random.Random) -> dict[str, Any]:
    """A ticket with five events."""
    return {
        "number": number, "subject": " ".join(chance.choices(WORDS, k=6)), "status": chance.choice(["new", "open", "pending", "closed"]),
        "owner": chance.choice(["ann", "bob", "eve", None]), "updated": f"2026-{chance.randrange(1, 13):02}-{chance.randrange(10**8):08}",
        "events": [{"at": "2026-01-01T00:00:00Z", "by": "ann", "text": chance.choice(WORDS) * 20} for _ in range(5)],
    }  # fmt: skip


class Measured(Protocol):
    """What each store can do; `n` says how many documents there are."""

    def insert(self, doc: dict[str, Any]) -> object: ...
    def update(self, number: int, doc: dict[str, Any]) -> object: ...
    def get(self, number: int) -> object: ...
    def page(self) -> object: ...
    def count(self) -> object: ...
    def text(self) -> object: ...
    def position(self, number: int) -> object: ...
    def close(self) -> None: ...


class Ours:
    """One of our engines."""

    def __init__(self, folder: Path, engine: str, docs: list[dict[str, Any]] | None = None) -> None:
        self.store = open_store(folder, engine)
        if docs is not None:
            self.store.index("t", "updated", "status,updated", "updated,subject", "owner")
            self.store.load("t", ((str(doc["number"]), doc) for doc in docs))
        self.store.count("t")

    def insert(self, doc: dict[str, Any]) -> object:
        """One durable insert."""
        return self.store.insert("t", doc)

    def update(self, number: int, doc: dict[str, Any]) -> object:
        """One durable update."""
        return self.store.update("t", str(number), doc, rev=None)

    def get(self, number: int) -> object:
        """By id."""
        return self.store.get("t", str(number))

    def page(self) -> object:
        """The newest 50 that are open."""
        return self.store.select("t", OPEN, NEWEST, limit=50)

    def count(self) -> object:
        """How many are open."""
        return self.store.count("t", OPEN)

    def text(self) -> object:
        """The newest 50 whose subject holds a rare text."""
        return self.store.select("t", Test("subject", "has", "port reset port"), NEWEST, limit=50)

    def position(self, number: int) -> object:
        """Where one stands among all, newest first."""
        return self.store.position("t", str(number), All(), NEWEST)

    def close(self) -> None:
        """Close it."""
        self.store.close()


class Plain:
    """TinyDB as it comes: one JSON file, written anew at each change, not synced, for one process."""

    def __init__(self, folder: Path, engine: str, docs: list[dict[str, Any]] | None = None) -> None:
        from tinydb import TinyDB

        self.table = TinyDB(folder / "db.json").table("t")
        if docs is not None:
            self.table.insert_multiple(docs)
        len(self.table)

    def insert(self, doc: dict[str, Any]) -> object:
        """One insert."""
        return self.table.insert(doc)

    def update(self, number: int, doc: dict[str, Any]) -> object:
        """One update."""
        return self.table.update(doc, doc_ids=[number + 1])

    def get(self, number: int) -> object:
        """By id."""
        return self.table.get(doc_id=number + 1)

    def page(self) -> object:
        """The newest 50 that are open."""
        from tinydb import where

        self.table.clear_cache()
        return sorted(self.table.search(where("status") == "open"), key=lambda doc: str(doc["updated"]), reverse=True)[:50]

    def count(self) -> object:
        """How many are open."""
        from tinydb import where

        self.table.clear_cache()
        return self.table.count(where("status") == "open")

    def text(self) -> object:
        """The newest 50 whose subject holds a rare text."""
        from tinydb import where

        found = self.table.search(where("subject").test(lambda value: "port reset port" in value))
        return sorted(found, key=lambda doc: str(doc["updated"]), reverse=True)[:50]

    def position(self, number: int) -> object:
        """Where one stands among all, newest first."""
        ordered = sorted(self.table.all(), key=lambda doc: str(doc["updated"]), reverse=True)
        return next(place for place, doc in enumerate(ordered) if doc.doc_id == number + 1)

    def close(self) -> None:
        """Nothing is held."""


KINDS: dict[str, Callable[..., Measured]] = {"TinyDB": Plain, "tinydb": Ours, "sqlite": Ours}


def milliseconds(call: Callable[[], object]) -> float:
    """How long one call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def several(call: Callable[[], object]) -> list[float]:
    """A slow call once, a fast one up to 20 times in a row: somebody who works makes more than one."""
    times = [milliseconds(call)]
    while len(times) < 20 and sum(times) < 50:
        times.append(milliseconds(call))
    return times


def operations(store: Measured, chance: random.Random, size: int) -> dict[str, Callable[[], object]]:
    """What is measured, in the table's order."""
    return {
        "insert": lambda: store.insert(document(size, chance)), "update": lambda: store.update(chance.randrange(size), document(0, chance)),
        "get": lambda: store.get(chance.randrange(size)), "page of 50": store.page, "count": store.count, "text": store.text,
        "position": lambda: store.position(chance.randrange(size)),
    }  # fmt: skip


def loaded(kind: Callable[..., Measured], place: Path, name: str, docs: list[dict[str, Any]]) -> None:
    """Make a store and put all documents into it."""
    kind(place, name, docs).close()


def opened(stores: dict[str, Measured], kind: Callable[..., Measured], place: Path, name: str) -> None:
    """Open it and count what it has."""
    stores[name] = kind(place, name)


def measure(size: int, folder: Path) -> dict[str, dict[str, float]]:
    """Operation -> store -> median of its rounds."""
    chance = random.Random(size)
    docs = [document(number, chance) for number in range(size)]
    taken: dict[str, dict[str, list[float]]] = {}
    stores: dict[str, Measured] = {}
    for name, kind in KINDS.items():
        place = folder / f"{name}-{kind.__name__}-{size}"
        place.mkdir()
        loading, opening = partial(loaded, kind, place, name, docs), partial(opened, stores, kind, place, name)
        taken.setdefault("load", {})[name] = [milliseconds(loading)]
        taken.setdefault("open", {})[name] = [milliseconds(opening)]
    docs.clear()
    gc.freeze()  # the collector would walk the documents of one store while another is measured
    for _ in range(3 if size > 20_000 else 9):
        for name, store in stores.items():
            for what, call in operations(store, chance, size).items():
                taken.setdefault(what, {}).setdefault(name, []).extend(several(call))
    for store in stores.values():
        store.close()
    return {what: {name: statistics.median(times) for name, times in by_name.items()} for what, by_name in taken.items()}


def show(size: int, found: dict[str, dict[str, float]]) -> None:
    """One table: milliseconds, and how many times faster than plain TinyDB."""
    print(f"\n{size:,} documents (ms, median)")
    print(f"{'':12}{'TinyDB':>12}{'tinydb':>12}{'ratio':>10}{'sqlite':>12}{'ratio':>10}")
    for what, times in found.items():
        plain = times["TinyDB"]
        ratios = {name: f"{plain / times[name]:,.1f}x" for name in ("tinydb", "sqlite")}
        print(f"{what:12}{plain:12.3f}{times['tinydb']:12.3f}{ratios['tinydb']:>10}{times['sqlite']:12.3f}{ratios['sqlite']:>10}")


WRITER = """
import sys, time
from pathlib import Path
from bench.store import KINDS, document
import random
store = KINDS[sys.argv[1]](Path(sys.argv[2]), sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
lost = 0
for n in range(int(sys.argv[3])):
    try:
        store.insert(document(n, random.Random(n)))
    except Exception:
        lost += 1
"""


def writers(name: str, folder: Path) -> tuple[int, float]:
    """(how many of the inserts of several processes arrived, inserts a second)."""
    KINDS[name](folder, name, []).close()
    argv = [sys.executable, "-c", WRITER, name, str(folder), str(EACH)]
    started = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=os.getcwd()) for _ in range(WRITERS)]
    for one in started:
        assert one.stdout is not None
        one.stdout.readline()
    begin = time.perf_counter()
    for one in started:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in started:
        one.wait()
    seconds = time.perf_counter() - begin
    try:
        store: Any = KINDS[name](folder, name)
        arrived = len(store.table) if isinstance(store, Plain) else store.store.count("t")
    except ValueError:
        arrived = 0  # the file is not JSON any more
    return arrived, WRITERS * EACH / seconds


def main(arguments: list[str]) -> int:
    """Print the tables."""
    with tempfile.TemporaryDirectory(prefix="deskside-bench-") as name:
        for size in [int(word) for word in arguments] or SIZES:
            show(size, measure(size, Path(name)))
            gc.unfreeze()
        print(f"\n{WRITERS} processes, {EACH} inserts each, at once")
        for engine in KINDS:
            folder = Path(name) / f"{KINDS[engine].__name__}-{engine}-writers"
            folder.mkdir()
            arrived, rate = writers(engine, folder)
            print(f"{engine:12}{arrived:5} of {WRITERS * EACH} arrived{rate:10.0f}/s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
