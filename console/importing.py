"""Import of tickets into our own store: from a CSV file or from any other ticket backend. Dry run, job, report. Never imports textual.

One run is one intent and one result in the ledger, with counts. A run that was cut off is simply run again: what is here already is passed
over. Two runs into the same backend at once are refused. `spec`: {to, source, file | from, query, map, words, encoding, delimiter, dates,
timezone, sha256, refused}.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from backends.errors import BackendError, Busy, Conflict, Invalid, NoSpace, NotAllowed, Refused, Unsupported
from backends.threads import in_thread
from backends.tickets.importing import BATCH, ImportsTickets, Verdict
from backends.tickets.imports import Fault, Incoming, Words
from backends.tickets.model import TicketQuery
from console import import_csv
from console.desk import Desk
from console.exporting import Says
from console.import_backend import BackendSource, Known
from console.import_dates import ORDERS, Dates
from console.import_report import TOLD, RefusedFile, Report, note
from console.query_text import read_query

STORE_SECONDS = 300.0
ROLE = "admin"
OUTGROWS = 2_000
"""Tickets from which on an import makes more documents (each with its events) than the usual store is meant for."""
_DONE = {"create": "created", "update": "updated", "skip": "skipped", "cant": "refused"}


class Import:
    """One run: reads the source, judges, writes where it is no dry run."""

    def __init__(self, desk: Desk, spec: Mapping[str, Any], refused: Path | None) -> None:
        self._desk, self._spec, self._refused_path = desk, spec, refused
        self.report = Report()
        self.words = Words.read(spec.get("words") or {}, "the table of words")
        self.total = 0

    async def run(self, dry: bool, progress: Says) -> Report:
        """Do it. Raises what stands in the way of all of it; what is wrong with one ticket is in the report."""
        target = await self._target()
        importer = await in_thread(STORE_SECONDS, target.importer, self._source_name(), self.words, self._desk.actor.login)
        items, header = await self._open(importer, dry)
        if self._desk.store.engine == "tinydb" and self.total > OUTGROWS:
            self.report.notes.append("the store is tinydb, meant for some 10,000 documents: run `deskside store move --to sqlite` first")
        refused = RefusedFile(self._refused_path, header)
        try:
            batch: list[Incoming] = []
            async for item in items:
                if isinstance(item, Known):
                    self.report.counts["skipped"] += 1
                elif isinstance(item, Fault):
                    self._fault(item, refused)
                else:
                    batch.append(item)
                if len(batch) >= BATCH:
                    await self._batch(importer, batch, dry, refused)
                    self._say(progress, dry)
                    batch = []
            await self._batch(importer, batch, dry, refused)
            self._say(progress, dry)
            if not dry:
                await self._tie(importer, progress)
        finally:
            refused.close()
            self.report.unknown = dict(self.words.unknown.most_common(TOLD))
        return self.report

    async def _target(self) -> ImportsTickets:
        backend = await self._desk.backend("tickets", self._spec.get("to") or None)
        if not isinstance(backend, ImportsTickets):
            raise Unsupported("import", f"tickets can't be imported into {backend.name}: only our own store takes them", hint="Name an embedded backend with --to.")
        return backend

    def _source_name(self) -> str:
        name = str(self._spec.get("source") or self._spec.get("from") or "").strip()
        if not name or len(name) > 60 or any(letter.isspace() or letter == ":" for letter in name):
            raise Invalid(fields={"source": "a short name of the system the tickets come from, such as oldrt: it keeps its numbers apart from others'"})
        return name

    # -- sources -----------------------------------------------------------------------------------------

    async def _open(self, importer: Any, dry: bool) -> tuple[AsyncIterator[Any], tuple[str, ...]]:
        if self._spec.get("file"):
            layout = await in_thread(STORE_SECONDS, self._layout)
            return self._rows(layout), layout.header
        name = str(self._spec.get("from") or "")
        target = self._desk.place("tickets", self._spec.get("to") or None).name
        if not name or name == target:
            raise Invalid(fields={"from": "another backend than the one that is imported into" if name else "a file or a backend to import from"})
        source = await self._desk.backend("tickets", name)
        usual = TicketQuery(sort="number", descending=False)
        query = read_query("tickets", str(self._spec["query"]), usual, self._desk.actor.login) if self._spec.get("query") else usual
        self._source = BackendSource(source, query, importer.known, None if dry else importer.files, Path(self._desk.config.data) / "imports")
        return self._listed(), ("id", "number", "subject")

    async def _listed(self) -> AsyncIterator[Any]:
        async for item in self._source.read():
            self.total = self._source.total
            yield item

    def _layout(self) -> import_csv.Layout:
        spec, path = self._spec, Path(str(self._spec["file"]))
        if spec.get("sha256") and import_csv.sha256_of(path) != spec["sha256"]:
            raise Conflict(f"{path} was changed since it was looked at; nothing was done", hint="Start the import again.")
        layout = import_csv.look_at(path, str(spec.get("encoding") or ""), str(spec.get("delimiter") or ""), spec.get("map") or {})
        self.report.notes.append(f"read as {layout.encoding}, columns divided by {layout.delimiter!r}")
        unused = [name for name in layout.unused() if name not in (import_csv.ROW, import_csv.REASON)]
        if unused:
            self.report.notes.append(f"columns that are not used: {', '.join(unused)}")
        with path.open("rb") as file:
            self.total = max(0, sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b"")) - 1)
        return layout

    async def _rows(self, layout: import_csv.Layout) -> AsyncIterator[Any]:
        order = str(self._spec.get("dates") or "iso")
        zone = str(self._spec.get("timezone") or self._desk.config.timezone)
        if order not in ORDERS:
            raise Invalid(fields={"dates": f"one of {', '.join(ORDERS)}"})
        try:
            dates = Dates(ZoneInfo(zone), next(known for known in ORDERS if known == order))
        except (ValueError, OSError, KeyError):
            raise Invalid(fields={"timezone": f"{zone!r} is no time zone such as Europe/Berlin"}) from None
        for item in import_csv.read(layout, dates):
            yield item

    # -- the work ----------------------------------------------------------------------------------------

    async def _batch(self, importer: Any, batch: list[Incoming], dry: bool, refused: RefusedFile) -> None:
        if not batch:
            return
        verdicts: list[Verdict] = await in_thread(STORE_SECONDS, lambda: [importer.judge(item) for item in batch])
        failed: list[Verdict] = [] if dry else await in_thread(STORE_SECONDS, importer.write, verdicts)
        broken = {id(verdict.incoming) for verdict in failed}
        for verdict in [*(one for one in verdicts if id(one.incoming) not in broken), *failed]:
            self._tell(verdict, refused)

    def _tell(self, verdict: Verdict, refused: RefusedFile) -> None:
        if verdict.kind == "cant":
            self._fault(verdict.fault(), refused)
            return
        self.report.counts[_DONE[verdict.kind]] += 1
        if verdict.kept:
            self.report.counts["kept"] += len(verdict.kept)
            note(self.report.kept, verdict.incoming.label, ", ".join(verdict.kept))
        for text in verdict.incoming.lost:
            self.report.counts["lost"] += 1
            note(self.report.lost, verdict.incoming.label, text)

    def _fault(self, fault: Fault, refused: RefusedFile) -> None:
        self.report.counts["refused"] += 1
        note(self.report.refused, fault.label, fault.why)
        refused.add(fault)
        self.report.file = str(refused.path or "")

    async def _tie(self, importer: Any, progress: Says) -> None:
        """The second pass: ties between what is here now."""
        open_ = await in_thread(STORE_SECONDS, importer.untied)
        for start in range(0, len(open_), BATCH):
            made, left = await in_thread(STORE_SECONDS, importer.tie, open_[start : start + BATCH])
            self.report.counts["tied"] += made
            self.report.counts["untied"] += left
            progress.step(f"ties of {min(start + BATCH, len(open_)):,} tickets", start, len(open_))

    def _say(self, progress: Says, dry: bool) -> None:
        done = sum(self.report.counts[name] for name in _DONE.values())
        progress.step(self.report.sentence(dry), done, max(done, self.total))


def may_import(desk: Desk) -> None:
    """NotAllowed, Refused: an import writes under the names and times of others."""
    if desk.read_only:
        raise Refused("the console is read-only", hint="Start it without --read-only, or ask for the right.")
    if desk.actor.role != ROLE:
        raise NotAllowed(f"an import needs the role {ROLE}, you are {desk.actor.role}")


async def import_job(desk: Desk, spec: Mapping[str, Any], progress: Any) -> dict[str, Any]:
    """The job. Its result has `exit`: 0, or 3 when some were refused."""
    may_import(desk)
    run = Import(desk, spec, Path(str(spec.get("refused") or progress.folder / "refused.csv")))
    entry = {
        "op": uuid.uuid4().hex, "actor": desk.actor.login, "role": desk.actor.role, "action": "tickets.import",
        "target": {"type": "tickets", "backend": spec.get("to") or desk.place("tickets").name, "id": "", "label": f"tickets of {spec.get('source') or spec.get('from')}"},
        "reason": spec.get("reason") or None,
    }  # fmt: skip
    with _alone(Path(desk.config.data)):
        desk.ledger.append("intent", **entry, from_=str(spec.get("file") or spec.get("from")), sha256=spec.get("sha256") or None)
        word, text = "unknown", "cut off"
        try:
            report = await run.run(False, progress)
            word, text = ("partial" if report.counts["refused"] else "done"), report.sentence()
        except BackendError as error:
            word, text = "partial" if run.report.counts["created"] + run.report.counts["updated"] else "refused", error.sentence()
            raise
        except Exception as error:
            word, text = "partial", f"stopped: {type(error).__name__.lower()} {error}".strip()
            raise
        finally:
            desk.ledger.append("result", **entry, outcome=word, error=None if word == "done" else text, counts=dict(run.report.counts))
    return {"text": text, "exit": 3 if word == "partial" else 0, **report.plain()}


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One import at a time. Busy."""
    folder = data / "imports"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o770)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    except OSError as error:
        raise NoSpace(f"{folder}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another import is running", hint="`deskside jobs list` shows it.") from None
        yield
    finally:
        os.close(lock)
