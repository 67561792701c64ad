"""The record store's engines beside plain TinyDB, interleaved: a write, a read, a page, at 1,000, 10,000 and 100,000 documents."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tinydb import TinyDB, where

from backends.store.contract import Order, Test
from backends.store.opening import open_store

ROUNDS = 15


def _doc(number: int) -> dict[str, Any]:
    return {"n": number, "status": "open" if number % 30 == 0 else "closed", "at": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}", "text": "x" * 700}


def _plain(place: Path, count: int) -> dict[str, Callable[[int], Any]]:
    db = TinyDB(place / "plain.json")
    db.insert_multiple(_doc(number) for number in range(count))
    return {
        "insert": lambda n: db.insert(_doc(n)), "update": lambda n: db.update({"n": -n}, doc_ids=[n + 1]), "get": lambda n: db.get(doc_id=n + 1),
        "page": lambda n: sorted(db.search(where("status") == "open"), key=lambda doc: doc["at"])[:100],
    }  # fmt: skip


def _ours(place: Path, engine: str, count: int) -> dict[str, Callable[[int], Any]]:
    store = open_store(place / engine, engine)
    store.index("t", "status,at", "at")
    store.load("t", ((str(number), _doc(number)) for number in range(count)))
    return {
        "insert": lambda n: store.insert("t", _doc(n)), "update": lambda n: store.update("t", str(n), _doc(-n), rev=None), "get": lambda n: store.get("t", str(n)),
        "page": lambda n: store.select("t", Test("status", "eq", "open"), [Order("at", True)], limit=100),
    }  # fmt: skip


def main() -> None:
    """Medians in milliseconds; the ratio is ours to plain TinyDB."""
    print(f"{'documents':>9}  {'deed':8} {'plain':>9} {'tinydb':>9} {'ratio':>7} {'sqlite':>9} {'ratio':>7}   (ms, medians of interleaved runs)")
    for count in (1_000, 10_000, 100_000):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            makers = {"plain": _plain(place, count), "tinydb": _ours(place, "tinydb", count), "sqlite": _ours(place, "sqlite", count)}
            rounds = ROUNDS if count < 100_000 else 3
            for deed in ("insert", "update", "get", "page"):
                times: dict[str, list[float]] = {name: [] for name in makers}
                for turn in range(rounds):
                    for name, deeds in makers.items():
                        started = time.perf_counter()
                        deeds[deed](turn)
                        times[name].append((time.perf_counter() - started) * 1000)
                plain, tiny, lite = (statistics.median(times[name]) for name in ("plain", "tinydb", "sqlite"))
                print(f"{count:>9,}  {deed:8} {plain:9.3f} {tiny:9.3f} {tiny / plain:7.3f} {lite:9.3f} {lite / plain:7.3f}")
