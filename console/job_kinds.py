"""The kinds of jobs that come with the console. Each is `async (desk, spec, progress) -> dict` with a `text` for people."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from backends.contract import DOMAINS
from backends.errors import BackendError
from backends.threads import in_thread
from backends.tickets.model import TicketQuery
from console.desk import Desk

PAGE = 500
_RISKY = ("=", "+", "-", "@", "\t", "\r", "\0")


async def probe(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Open every backend and ask how it is."""
    places = [(domain, place.name) for domain in DOMAINS for place in desk.backends(domain)]
    words: dict[str, str] = {}
    for number, (domain, name) in enumerate(places):
        progress.step(f"{domain} {name}", number, len(places))
        try:
            backend = await desk.backend(domain, name)
            health = await backend.health()
            words[f"{domain}.{name}"] = f"{health.word} {health.text}".strip()
        except BackendError as error:
            words[f"{domain}.{name}"] = f"down {error.text}"
    progress.step("all asked", len(places), len(places))
    bad = [name for name, word in words.items() if not word.startswith("ok")]
    return {"text": f"{len(places) - len(bad)} of {len(places)} are ok" + (f"; not: {', '.join(bad)}" if bad else ""), "backends": words}


async def verify_ledger(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Walk the whole chain."""
    progress.step("reading")
    verdict = await in_thread(3600.0, desk.ledger.verify, spec.get("anchor"))
    if not verdict.ok:
        raise BackendError(verdict.sentence(), title="The ledger is broken", hint="Keep a copy and find out who wrote there.")
    return {"text": verdict.sentence(), "head": verdict.head}


def guarded(value: Any) -> Any:
    """A CSV cell that no spreadsheet takes for a formula; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_RISKY) else value


async def export(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """All tickets as CSV into the job's folder, a page at a time."""
    path = progress.folder / "tickets.csv"
    count = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        writer: Any = None
        for place in desk.backends("tickets"):
            backend = await desk.backend("tickets", place.name)
            offset, total = 0, 1
            while offset < total:
                page = await backend.tickets(TicketQuery(sort="number", descending=False), offset, PAGE)
                total = page.total or len(page.items)
                for row in page.items:
                    cells = {name: guarded(value) for name, value in dataclasses.asdict(row).items()}
                    if writer is None:
                        writer = csv.DictWriter(file, list(cells))
                        writer.writeheader()
                    writer.writerow(cells)
                    count += 1
                offset += PAGE
                progress.step(f"{count:,} tickets", min(count, total), total)
                if not page.items:
                    break
    return {"text": f"{count:,} tickets in {path}", "file": str(path), "count": count}
