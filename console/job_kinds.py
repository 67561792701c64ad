"""The kinds of jobs that come with the console. Each is `async (desk, spec, progress) -> dict` with a `text` for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backends.contract import DOMAINS
from backends.errors import BackendError
from backends.threads import in_thread
from console.desk import Desk
from console.export_cells import guarded as guarded
from console.exporting import Wanted, export_to


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


async def export(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """Tickets as CSV or JSON lines into `output`, else into the job's folder. `spec`: format, query, backend, timeline, output, force."""
    wanted = Wanted.read(spec)
    path = Path(spec.get("output") or progress.folder / f"tickets.{'csv' if wanted.format == 'csv' else 'jsonl'}")
    done = await export_to(desk, wanted, path, bool(spec.get("force")), progress)
    return {"text": f"{done.sentence()} in {path}", "file": str(path), "count": done.count, "gone": done.gone}
