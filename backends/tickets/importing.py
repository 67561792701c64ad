"""Importing into our own tickets: judge first, write then; nothing twice, nothing that was changed here is overwritten.

What a ticket of another system becomes has an id made of both names, and its events have keys made of that: a second run finds them.
A batch is three durable steps (events, tickets, what was imported); after a kill between them the next run carries on from the events.
Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from backends.contract import now
from backends.errors import BackendError, Conflict
from backends.store.contract import All, Order, Store, Test
from backends.tickets.appending import EVENTS, TICKETS, append, caught_up, timeline
from backends.tickets.events import event_id, fold_all, iso
from backends.tickets.files import Files
from backends.tickets.importing_events import VIA, Story
from backends.tickets.imports import Fault, Incoming, Words, digest, ident_of, translated
from backends.tickets.model import LINK_INVERSE, Attachment
from backends.tickets.numbers import COUNTER, FIRST, spoken
from backends.tickets.planning import House, deed, refs_fields

IMPORTS = "imports"
BATCH = 200
_IGNORED = ("time_spent", "origin", "body")
"""Not compared on a second import: sums and beginnings don't change."""
_ALWAYS = ("queue", "kind", "priority", "impact", "urgency", "status", "phase", "requester")
"""Have a value here even where the other system gives none: nothing there is not a change to nothing."""
CUT = "begun by an earlier run that was cut off"
Kind = Literal["create", "update", "skip", "cant"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of an incoming ticket. `kept` names fields that were changed here and stay."""

    kind: Kind
    incoming: Incoming
    why: str = ""
    fields: Mapping[str, Any] = ()  # type: ignore[assignment]
    kept: tuple[str, ...] = ()
    changes: Mapping[str, Any] = ()  # type: ignore[assignment]
    entries: int = 0

    def fault(self) -> Fault:
        """As a line of the refused ones."""
        return Fault(self.incoming.label, self.why, self.incoming.raw, self.incoming.id)


@runtime_checkable
class ImportsTickets(Protocol):
    """A ticket backend that others can be imported into."""

    def importer(self, source: str, words: Words, by: str) -> Importer:
        """For the tickets of `source`, as the person `by`."""


class Importer:
    """Takes over the tickets of one other system. Methods are synchronous; callers on an event loop use `in_thread`."""

    def __init__(self, store: Store, house: House, files: Files, source: str, words: Words, by: str) -> None:
        self._store, self._house, self.files = store, house, files
        self._source, self.words, self._by = source, words, by
        self._met: set[int] = set()
        store.index(IMPORTS, "source", "open_links")

    # -- judging -----------------------------------------------------------------------------------------

    def known(self, id: str, version: str) -> bool:
        """Whether it was imported in exactly this version, with these words: it needs not be fetched again."""
        found = self._store.get(IMPORTS, ident_of(self._source, id))
        return found is not None and found.doc.get("version") == self._version(version)

    def _version(self, version: str) -> str:
        return f"{version} {self.words.print}"

    def judge(self, incoming: Incoming) -> Verdict:
        """What would happen. Writes nothing."""
        ident = ident_of(self._source, incoming.id)
        if int(ident[:16], 16) in self._met:
            return Verdict("cant", incoming, f"{incoming.id!r} stands here twice: the first one counts")
        self._met.add(int(ident[:16], 16))
        wrong: dict[str, str] = {}
        fields = translated(incoming.fields, incoming.phase, self.words, self._house, wrong)
        if "subject" not in fields and "subject" not in wrong:
            wrong["subject"] = "is missing"
        if wrong:
            return Verdict("cant", incoming, "; ".join(f"{name} {why}" if why[:3] in ("is ", "are") else f"{name}: {why}" for name, why in wrong.items()))
        base = self._base(ident)
        if base is None:
            return Verdict("create", incoming, fields=fields)
        return self._again(ident, base, incoming, fields)

    def _base(self, ident: str) -> dict[str, Any] | None:
        """What an earlier import wrote: {version, fields, seen}; made anew from its events when it was cut off before it could say so."""
        found = self._store.get(IMPORTS, ident)
        if found is not None:
            return dict(found.doc)
        if self._store.get(EVENTS, event_id(ident, 1)) is None:
            return None
        caught_up(self._store, ident, self._house.promise)
        events = [event for event in timeline(self._store, ident) if event.get("imported")]
        parts = [str(event["op_id"]).rpartition("-")[2] for event in events]
        return {"fields": fold_all(events, self._house.promise), "seen": max((int(part) for part in parts if part.isdigit()), default=0), "cut": True}

    def _again(self, ident: str, base: Mapping[str, Any], incoming: Incoming, fields: Mapping[str, Any]) -> Verdict:
        """The second time: what is new there, and was not changed here."""
        if base.get("version") == self._version(incoming.version):
            return Verdict("skip", incoming, "imported already, nothing is new", fields)
        here = caught_up(self._store, ident, self._house.promise).doc
        changes, kept = _compared(fields, base.get("fields") or {}, here)
        files = [dict(one) for one in here.get("attachments", ())]
        more = [_file(one) for one in incoming.attachments if one.sha256 and one.sha256 not in [str(file["sha256"]) for file in files]]
        if more:
            changes["attachments"] = [*files, *more]
        new = sum(entry.seq > int(base.get("seen", 0)) for entry in incoming.entries)
        why = f"changed here, kept: {', '.join(kept)}" if kept else ""
        if base.get("cut"):
            return Verdict("create", incoming, CUT, fields, tuple(kept), changes, new)
        if not changes and not new:
            return Verdict("skip", incoming, why or "imported already, nothing is new", fields, tuple(kept))
        return Verdict("update", incoming, why, fields, tuple(kept), changes, new)

    # -- writing -----------------------------------------------------------------------------------------

    def write(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Write what is to be created and updated; those that failed after all come back as "cant"."""
        self._create([verdict for verdict in verdicts if verdict.kind == "create" and verdict.why != CUT])
        failed: list[Verdict] = []
        for verdict in verdicts:
            try:
                if verdict.kind == "update" or verdict.why == CUT:
                    self._update(verdict)
                elif verdict.kind == "skip" and verdict.kept:
                    self._note_kept(verdict)
            except BackendError as error:
                failed.append(Verdict("cant", verdict.incoming, error.text))
        return failed

    def _create(self, verdicts: Sequence[Verdict]) -> None:
        if not verdicts:
            return
        stories = [self._story(verdict) for verdict in verdicts]
        for story, number in zip(stories, self._numbers(len(stories)), strict=True):
            story.write(number)
        self._store.load(EVENTS, (item for story in stories for item in story.keyed()))
        self._store.load(TICKETS, ((story.ident, story.ticket) for story in stories))
        self._store.load(IMPORTS, ((story.ident, self._record(verdict)) for story, verdict in zip(stories, verdicts, strict=True)))

    def _story(self, verdict: Verdict) -> Story:
        return Story(self._source, verdict.incoming, verdict.fields, self.words, self._house, self._by)

    def _numbers(self, count: int) -> Iterator[int]:
        """Numbers nobody else gets: the highest is looked for once a batch."""
        if not count:
            return
        newest = self._store.select(TICKETS, order=[Order("number", descending=True)], limit=1, fields=["number"])
        start = max(FIRST, int(newest[0].doc["number"]) + 1) if newest else FIRST
        given = 0
        while given < count:
            number = self._store.next_number(COUNTER, start)
            if number >= start:
                given += 1
                yield number

    def _record(self, verdict: Verdict, linked: Sequence[Any] = (), before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        incoming = verdict.incoming
        done = [list(link) for link in linked]
        links = [list(link) for link in incoming.links if list(link) not in done and link[0] in LINK_INVERSE]
        wanted = self._story(verdict).wanted
        fields = {name: wanted.get(name) for name in verdict.fields if name not in ("body", "fields")}
        if before is not None:  # what was kept here stays compared with what came first
            fields |= {name: before.get(name) for name in verdict.kept}
        return {
            "source": self._source, "id": incoming.id, "version": self._version(incoming.version), "fields": fields,
            "seen": max((entry.seq for entry in incoming.entries), default=0), "links": links, "linked": done, "open_links": bool(links), "by": self._by, "at": iso(now()),
        }  # fmt: skip

    def _update(self, verdict: Verdict) -> None:
        ident = ident_of(self._source, verdict.incoming.id)
        base = self._base(ident) or {}
        before = base.get("fields") or {}
        mark = {"from": f"{self._source}:{verdict.incoming.id}", "version": verdict.incoming.version}
        for entry, event in self._story(verdict).entries(int(base.get("seen", 0))):
            self._append(ident, {**event, "imported": {**mark, "at": iso(entry.at)}}, iso(entry.at), entry.actor, f"import-{ident}-{entry.seq}", {})
        if verdict.changes:
            event = {**deed("imported", verdict.changes, body=f"changed in {self._source}", via=VIA), "imported": mark}
            was = {name: before.get(name) for name in verdict.changes if name in before}
            self._append(ident, event, iso(verdict.incoming.updated_at or now()), self._by, f"import-{ident}-to-{digest(mark)}", was)
        self._store.put(IMPORTS, ident, self._record(verdict, base.get("linked", ()), before))

    def _append(self, ident: str, event: Mapping[str, Any], at: str, actor: str, op_id: str, was: Mapping[str, Any]) -> None:
        def guard(doc: Mapping[str, Any]) -> None:
            moved = [name for name in was if name != "fields" and not _same(doc.get(name), was[name]) and not _same(doc.get(name), event["set"][name])]
            if moved:
                raise Conflict(f"changed here meanwhile: {', '.join(moved)}")

        here = caught_up(self._store, ident, self._house.promise).doc
        append(self._store, ident, {**event, "at": max(at, str(here.get("updated_at", ""))), "actor": actor or self._source}, op_id, guard, self._house.promise)

    def _note_kept(self, verdict: Verdict) -> None:
        """Remember the version, so that the next run need not look again."""
        ident = ident_of(self._source, verdict.incoming.id)
        known = self._store.get(IMPORTS, ident)
        if known is not None:
            self._store.put(IMPORTS, ident, self._record(verdict, known.doc.get("linked", ()), known.doc.get("fields") or {}))

    # -- ties --------------------------------------------------------------------------------------------

    def untied(self) -> list[str]:
        """The second pass: keys of the imported tickets that have ties open, for `tie`."""
        where = All((Test("source", "eq", self._source), Test("open_links", "eq", True)))
        return [record.id for record in self._store.select(IMPORTS, where, fields=())]

    def tie(self, idents: Sequence[str]) -> tuple[int, int]:
        """The open ties of these: (how many were made, how many lead to a ticket that is not here and stay open for a later run).

        Each ticket gets one event for all its new ties; only when both sides stand is a tie noted as made.
        """
        wanted: dict[str, list[dict[str, str]]] = {}
        after: list[tuple[str, dict[str, Any]]] = []
        made = open_ = 0
        for record in filter(None, (self._store.get(IMPORTS, ident) for ident in idents)):
            done, left = [list(link) for link in record.doc.get("linked", ())], []
            for kind, id in record.doc["links"]:
                other = ident_of(self._source, id)
                if self._store.get(TICKETS, other) is None:
                    left.append([kind, id])
                    continue
                wanted.setdefault(record.id, []).append({"kind": kind, "to": other})
                wanted.setdefault(other, []).append({"kind": LINK_INVERSE[kind], "to": record.id})
                done.append([kind, id])
            made, open_ = made + len(record.doc["links"]) - len(left), open_ + len(left)
            if len(left) != len(record.doc["links"]):
                after.append((record.id, {**record.doc, "links": left, "linked": done, "open_links": bool(left)}))
        for ident, links in wanted.items():
            self._tie(ident, links)
        if after:
            self._store.load(IMPORTS, after)
        return made, open_

    def _tie(self, ident: str, links: Sequence[dict[str, str]]) -> None:
        here = caught_up(self._store, ident, self._house.promise).doc
        known = [dict(link) for link in here.get("links", ())]
        new = [link for place, link in enumerate(links) if link not in known and link not in links[:place]]
        if not new:
            return
        event = {**deed("linked", {"links": [*known, *new]}, via=VIA), "imported": {"from": self._source}}
        self._append(ident, event, str(here["updated_at"]), self._by, f"import-{ident}-ties-{digest(new)}", {"links": here.get("links")})

    def number(self, id: str) -> str:
        """The number it has here ("T-1042"), "" while it is not here."""
        found = self._store.get(TICKETS, ident_of(self._source, id))
        return spoken(int(found.doc["number"])) if found is not None else ""


def _compared(fields: Mapping[str, Any], before: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Field by field: what is new there is taken where nobody changed it here, else it is kept and named."""
    changes: dict[str, Any] = {}
    kept: list[str] = []
    for name, value in fields.items():
        if name in _IGNORED or name.startswith("ref_") or _same(value, before.get(name)) or _same(value, here.get(name)) or (not value and name in _ALWAYS):
            continue
        if name == "fields":
            value = {**here.get("fields", {}), **value}
            if _same(value, here.get("fields")):
                continue
        elif not _same(here.get(name), before.get(name)):
            kept.append(name)
            continue
        changes[name] = value
    if "status" in kept or "phase" in kept:
        kept = ["status", *(name for name in kept if name not in ("phase", "status"))]
        changes = {name: value for name, value in changes.items() if name not in ("status", "phase")}
    elif "status" in changes or "phase" in changes:
        changes |= {name: fields[name] for name in ("status", "phase")}
    if "refs" in changes:
        changes |= {"ref_first": "", "ref_second": "", "ref_more": False, **refs_fields(changes["refs"])}
    return changes, kept


def _file(one: Attachment) -> dict[str, Any]:
    return {"name": one.name, "size": one.size, "sha256": one.sha256, "mime": one.mime}


def _same(one: Any, other: Any) -> bool:
    return (one or None) == (other or None)
