"""Import: nothing twice, nothing lost, nothing that was changed here overwritten; cut off anywhere it carries on."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Site
from backends.errors import BackendError, Busy, Conflict, Invalid, NotAllowed, Refused, Unreachable, Unsupported
from backends.faulty import Chaos, faulty
from backends.options import read_options
from backends.store.contract import Order
from backends.store.opening import ENGINES, open_store
from backends.tickets.appending import EVENTS, TICKETS, timeline
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.events import fold_all
from backends.tickets.imports import Words
from backends.tickets.model import TicketQuery
from console.config import BackendConfig, Config, load_config
from console.desk import Desk
from console.import_csv import find_delimiter, find_encoding, look_at, sha256_of
from console.import_report import Report
from console.importing import Import, _alone, import_job, may_import
from console.jobs import Jobs, alive
from console.people import Identity
from console.perform import Confirmation, perform
from console.runner import Cancelled
from tests.console.test_jobs import until
from tests.contracts.test_tickets import do, new

ROOT = Path(__file__).parent.parent.parent
WORDS = {"status": {"Erledigt": "Closed", "Offen": "Open"}, "queue": {"*": "Service desk"}, "person": {"anna": "ana"}}


@dataclass
class Says:
    folder: Path
    stop_after: int = 10**9
    lines: list[str] = field(default_factory=list)

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        self.lines.append(text)
        if len(self.lines) > self.stop_after:
            raise Cancelled("bob")


@pytest.fixture(params=ENGINES)
async def desk(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Desk]:
    data = tmp_path / "here"
    data.mkdir()
    backends = (BackendConfig("tickets", "desk", "embedded"), BackendConfig("tickets", "old", "embedded"))
    opened = Desk(Config(data=data, store_engine=request.param, backends=backends), Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


@pytest.fixture
async def old(desk: Desk, tmp_path: Path) -> AsyncIterator[EmbeddedTickets]:
    """Another system with a store of its own: our own tickets too, but reached through the contract alone."""
    store = open_store(tmp_path / "there", "tinydb")
    backend = EmbeddedTickets("old", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(tmp_path / "there")))
    await backend.open()
    desk.place("tickets", "old").backend = backend
    yield backend
    store.close()


async def run(desk: Desk, spec: dict[str, Any], dry: bool = False, refused: Path | None = None) -> Report:
    return await Import(desk, spec, refused).run(dry, Says(Path()))


def sheet(path: Path, rows: list[list[str]], encoding: str = "utf-8", delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def stored(desk: Desk) -> dict[str, dict[str, Any]]:
    """Every ticket by where it came from; on the way: it is the fold of its events, and no number is given twice."""
    found: dict[str, dict[str, Any]] = {}
    records = desk.store.select(TICKETS, order=[Order("number")])
    for record in records:
        events = timeline(desk.store, record.id)
        assert fold_all(events) == record.doc, record.doc["subject"]
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        assert [event["at"] for event in events] == sorted(event["at"] for event in events), "time does not run backwards"
        found[str(record.doc.get("imported_from") or record.id)] = dict(record.doc)
    assert len({record.doc["number"] for record in records}) == len(records) == len(found)
    return found


ROWS = [
    ["Ticket", "Title", "State", "Requester", "Created", "Closed", "Owner", "Priority", "Parent", "Asset"],
    ["17", "Drucker klemmt", "Erledigt", "Jörg Müller", "24.11.2025 09:05", "26.11.2025 10:00", "anna", "P2", "", "PRN-1"],
    ["18", "Kein WLAN", "Offen", "Ana", "2025-12-01T08:00:00Z", "", "", "3", "17", ""],
    ["19", "Kaputt", "Seltsam", "Ana", "01.12.2025", "", "", "3", "", ""],
    ["20", "", "Offen", "Ana", "01.12.2025", "", "", "3", "", ""],
    ["21", "Wann?", "Offen", "Ana", "03/04/2025", "", "", "3", "", ""],
]


# -- files ------------------------------------------------------------------------------------------------


async def test_a_file_is_shown_first_then_imported_then_mended(desk: Desk, tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.csv", ROWS, "cp1252", ";")
    spec = {"to": "desk", "file": str(path), "source": "alt", "words": WORDS, "map": {"Asset": "fields.asset"}, "timezone": "Europe/Berlin"}
    shown = await run(desk, spec, dry=True)
    assert dict(shown.counts) == {"created": 2, "refused": 3} and not desk.store.count(TICKETS) and not desk.store.count(EVENTS)
    assert [label for label, _ in sorted(shown.refused)] == ["row 4", "row 5", "row 6"]
    assert shown.unknown == {"status: Seltsam": 1} and any("cp1252" in note for note in shown.notes)
    refused = tmp_path / "refused.csv"
    done = await run(desk, spec, refused=refused)
    assert (done.counts["created"], done.counts["refused"], done.counts["tied"]) == (2, 3, 1)
    first = stored(desk)["alt:17"]
    assert (first["subject"], first["requester"], first["assignee"], first["status"], first["priority"]) == ("Drucker klemmt", "Jörg Müller", "ana", "Closed", 2)
    assert (first["created_at"], first["closed_at"]) == ("2025-11-24T08:05:00Z", "2025-11-26T09:00:00Z") and first["fields"]["asset"] == "PRN-1"
    assert [link["kind"] for link in first["links"]] == ["child"] and [link["kind"] for link in stored(desk)["alt:18"]["links"]] == ["parent"]
    text = refused.read_text().replace("Seltsam", "Offen").replace("03/04/2025", "03.04.2025").replace("20,,Offen", "20,Now with a title,Offen")
    mended = tmp_path / "mended.csv"
    mended.write_text(text)
    again = await run(desk, {**spec, "file": str(mended)})
    assert dict(again.counts) == {"created": 3} and set(stored(desk)) == {f"alt:{number}" for number in range(17, 22)}
    assert dict((await run(desk, {**spec, "file": str(mended)})).counts) == {"skipped": 3}
    assert len(stored(desk)) == 5


async def test_what_was_changed_here_is_kept_and_said(desk: Desk, tmp_path: Path) -> None:
    header = ["id", "subject", "status", "assignee", "location"]
    path = sheet(tmp_path / "a.csv", [header, ["1", "one", "Open", "bob", "A"], ["2", "two", "Open", "bob", "A"]])
    spec = {"to": "desk", "file": str(path), "source": "x"}
    await run(desk, spec)
    backend = await desk.backend("tickets", "desk")
    one = next(row for row in (await backend.tickets(TicketQuery())).items if row.subject == "one")
    await do(backend, "assign", one.id, assignee="ana")
    sheet(path, [header, ["1", "one!", "Open", "carl", "B"], ["2", "two", "Resolved", "bob", "A"]])
    shown = await run(desk, spec, dry=True)
    assert dict(shown.counts) == {"updated": 2, "kept": 1}
    done = await run(desk, spec)
    assert dict(done.counts) == {"updated": 2, "kept": 1} and done.kept == [("row 2", "assignee")]
    first, second = stored(desk)["x:1"], stored(desk)["x:2"]
    assert (first["subject"], first["assignee"], first["location"]) == ("one!", "ana", "B") and second["phase"] == "resolved"
    assert dict((await run(desk, spec)).counts) == {"skipped": 2}
    sheet(path, [header, ["1", "one!", "Open", "dora", "B"], ["2", "two", "Resolved", "bob", "A"]])
    assert dict((await run(desk, spec)).counts) == {"skipped": 2, "kept": 1} and stored(desk)["x:1"]["assignee"] == "ana"


async def test_our_own_export_comes_back_as_it_was(desk: Desk, old: EmbeddedTickets, tmp_path: Path) -> None:
    from console.exporting import Wanted, export_to

    ident = await new(old, "=SUM(1;2) und \"quotes\"", body="line 1\nline 2; with, all\n'=x", location="'-5 Keller", tags=["a b", "c"], priority=1)
    await do(old, "take", ident)
    await do(old, "status", ident, status="Waiting on vendor", reason="part")
    path = tmp_path / "out.csv"
    await export_to(desk, Wanted("csv", "", "old"), path, False, Says(tmp_path))
    done = await run(desk, {"to": "desk", "file": str(path), "source": "old"})
    assert dict(done.counts) == {"created": 1}
    there, here = await old.ticket(ident), next(iter(stored(desk).values()))
    assert (here["subject"], here["body"], here["tags"], here["status"]) == (there.row.subject, there.body, list(there.tags), there.row.status)
    assert (here["pending_reason"], here["assignee"], here["email"]) == ("part", "ana", "jdoe@example.org")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = sheet(tmp_path / "a.csv", [["id", "subject", "location"], ["1", "Ärger, groß; laut | leise", "Straße"], ["2", "x", "y"]], encoding, delimiter)
    layout = look_at(path)
    assert (layout.encoding, layout.delimiter, layout.columns) == (encoding, delimiter, ("id", "subject", "location"))


def test_what_can_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for content, match in ((b"", "is empty"), (b"a,b\n1,2\n", "no column is the subject"), (b"subject\x81\x8d,x\n", "neither")):
        path.write_bytes(content)
        with pytest.raises(Invalid, match=match):
            look_at(path)
    path.write_text("subject,title\nx,y\n")
    assert look_at(path).columns == ("subject", "")
    for mapped, match in (({"nope": "subject"}, "no such column"), ({"title": "nope"}, "no such field"), ({"title": "body", "subject": "body"}, "two columns")):
        with pytest.raises(Invalid, match=match):
            look_at(path, mapped=mapped)
    assert look_at(path, mapped={"title": "subject", "subject": "-"}).columns == ("", "subject")
    with pytest.raises(Invalid):
        find_encoding(tmp_path / "none.csv")
    assert find_delimiter("a\n1\n") in ",;\t|"


async def test_broken_rows_stop_nothing(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,subject\n1,good\n2,"bad"quote\n3,too,many,cells\n,\n4,good too\n5,evil\x1b]0;x\x07 \u202etitle\n6,"never closed\n7,swallowed\n', encoding="utf-8")
    done = await run(desk, {"to": "desk", "file": str(path), "source": "x"}, refused=tmp_path / "r.csv")
    assert done.counts["created"] == 3 and done.counts["refused"] == 3 and any("quote" in why for _, why in done.refused)
    assert not set("\x1b\x07\u202e") & set(stored(desk)["x:5"]["subject"])


async def test_rows_without_an_id_do_not_come_twice(desk: Desk, tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.csv", [["subject"], ["same"], ["same"], ["other"]])
    spec = {"to": "desk", "file": str(path), "source": "x"}
    assert dict((await run(desk, spec)).counts) == {"created": 3} and dict((await run(desk, spec)).counts) == {"skipped": 3}


async def test_a_run_needs_a_name_a_source_and_the_file_that_was_shown(desk: Desk, tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.csv", [["subject"], ["x"]])
    for spec, match in (({"file": str(path)}, "source"), ({"source": "x"}, "from"), ({"source": "x", "from": "desk"}, "another"), ({"file": str(path), "source": "x", "timezone": "No/where"}, "zone")):
        with pytest.raises(Invalid, match=match):
            await run(desk, {"to": "desk", **spec})
    spec = {"to": "desk", "file": str(path), "source": "x", "sha256": sha256_of(path)}
    path.write_text("subject\nanother\n")
    with pytest.raises(Conflict, match="was changed"):
        await run(desk, spec)


async def test_only_our_own_store_takes_tickets(desk: Desk, old: EmbeddedTickets, tmp_path: Path) -> None:
    class Foreign(type(old)):  # type: ignore[misc]
        importer = None

    old.__class__ = Foreign
    with pytest.raises(Unsupported, match="only our own store"):
        await run(desk, {"to": "old", "from": "desk"})


def test_who_may(tmp_path: Path) -> None:
    plain = Desk(Config(data=tmp_path), Identity(Actor("bob", "Bob", "technician"), 0))
    with pytest.raises(NotAllowed):
        may_import(plain)
    with pytest.raises(Refused):
        may_import(Desk(Config(data=tmp_path, read_only=True), Identity(Actor("ana", "", "admin"), 0)))


# -- another system --------------------------------------------------------------------------------------


async def lived(old: EmbeddedTickets, tmp_path: Path) -> dict[str, str]:
    """Tickets with a history: taken, answered, waiting, solved, reopened, merged, split, tied, with files."""
    ids = {name: await new(old, name, queue="Network", priority=2) for name in ("solved", "vendor", "twice", "once", "parent")}
    path = tmp_path / "photo.txt"
    path.write_bytes(b"toner" * 100)
    await do(old, "attach", ids["solved"], files=[{"path": str(path)}])
    await do(old, "take", ids["solved"])
    await do(old, "reply", ids["solved"], body="On my way", minutes=10)
    await do(old, "note", ids["solved"], body="key is at the desk")
    await do(old, "status", ids["solved"], status="Resolved", reason="new roller")
    await do(old, "status", ids["solved"], status="Open")
    await do(old, "status", ids["solved"], status="Resolved", reason="really")
    await do(old, "refer", ids["vendor"], vendor="Copier Co", follow_up="2099-01-01")
    await do(old, "merge", ids["twice"], into=ids["once"])
    await do(old, "relate", ids["vendor"], kind="child", to=ids["parent"])
    return ids


async def test_another_system_comes_over_whole(desk: Desk, old: EmbeddedTickets, tmp_path: Path) -> None:
    ids = await lived(old, tmp_path)
    spec = {"to": "desk", "from": "old"}
    assert dict((await run(desk, spec, dry=True)).counts) == {"created": 5} and not desk.store.count(TICKETS)
    done = await run(desk, spec)
    assert done.counts["created"] == 5 and not done.counts["refused"]
    here = await desk.backend("tickets", "desk")
    docs = stored(desk)
    for name, ident in ids.items():
        there = await old.ticket(ident)
        mine = await here.ticket(f"T-{docs[f'old:{ident}']['number']}")
        assert (mine.row.subject, mine.row.status, mine.row.phase, mine.row.assignee, mine.row.queue) == (name, there.row.status, there.row.phase, there.row.assignee, there.row.queue)
        for field_ in ("created_at", "updated_at"):
            assert getattr(mine.row, field_) == getattr(there.row, field_)
        for field_ in ("requester", "resolution", "resolved_at", "closed_at", "first_response_at", "reopened", "time_spent", "pending_until", "pending_reason"):
            assert getattr(mine, field_) == getattr(there, field_), (name, field_)
        assert sorted(link.subject for link in mine.links) == sorted(link.subject for link in there.links)
        told = [(event.at, event.actor, event.type, event.public, event.body, event.minutes) for event in await old.timeline(ident)]
        came = [(event.at, event.actor, event.type, event.public, event.body, event.minutes) for event in await here.timeline(mine.row.id)]
        assert came[1 : len(told)] == told[1:] and {event[2] for event in came[len(told) :]} <= {"imported", "linked"}
        assert [one.sha256 for one in mine.attachments] == [one.sha256 for one in there.attachments]
        for one in mine.attachments:
            assert b"".join([piece async for piece in here.fetch(mine.row.id, one.id)]) == b"toner" * 100
    assert dict((await run(desk, spec)).counts) == {"skipped": 5}


async def test_what_is_new_there_follows(desk: Desk, old: EmbeddedTickets, tmp_path: Path) -> None:
    ident = await new(old, "one")
    spec = {"to": "desk", "from": "old"}
    await run(desk, spec)
    here = await desk.backend("tickets", "desk")
    mine = (await here.tickets(TicketQuery())).items[0]
    await do(here, "note", mine.id, body="ours")
    await do(old, "reply", ident, body="theirs")
    await do(old, "edit", ident, subject="one, renamed")
    path = tmp_path / "late.txt"
    path.write_bytes(b"late")
    await do(old, "attach", ident, files=[{"path": str(path)}])
    assert dict((await run(desk, spec)).counts) == {"updated": 1}
    after = await here.ticket(mine.id)
    bodies = [event.body for event in await here.timeline(mine.id)]
    assert after.row.subject == "one, renamed" and bodies.count("theirs") == 1 == bodies.count("ours") and len(after.attachments) == 1
    assert dict((await run(desk, spec)).counts) == {"skipped": 1} and stored(desk)
    done = await perform(desk, Change("tickets", "desk", "status", mine.id, values={"status": "Resolved", "reason": "x"}), confirm=yes)
    assert done.outcome is not None and done.outcome.word == "done"


async def yes(plan: Any) -> Confirmation:
    return Confirmation(plan.confirm_word)


async def test_a_tie_to_what_was_not_imported_waits_for_it(desk: Desk, old: EmbeddedTickets) -> None:
    one, two = await new(old, "alpha"), await new(old, "beta")
    await do(old, "relate", one, kind="blocks", to=two)
    first = await run(desk, {"to": "desk", "from": "old", "query": "alpha"})
    assert (first.counts["created"], first.counts["untied"], first.counts["tied"]) == (1, 1, 0)
    await run(desk, {"to": "desk", "from": "old"})
    docs = stored(desk)
    assert [link["kind"] for link in docs[f"old:{one}"]["links"]] == ["blocks"] and [link["kind"] for link in docs[f"old:{two}"]["links"]] == ["blocked_by"]


async def test_one_ticket_that_fails_stops_nothing_and_a_system_that_is_away_does(desk: Desk, old: EmbeddedTickets, tmp_path: Path) -> None:
    for number in range(60):
        await new(old, f"number {number}")
    outer = faulty(old, Chaos(5, 0.08))
    desk.place("tickets", "old").backend = outer
    spec, refused = {"to": "desk", "from": "old"}, 0
    for _ in range(30):
        try:
            done = await run(desk, spec, refused=tmp_path / "r.csv")
        except BackendError:
            continue
        refused += done.counts["refused"]
        if not done.counts["refused"]:
            break
    assert refused and len(stored(desk)) == 60, "what failed comes with the next run"
    desk.place("tickets", "old").backend = faulty(old, Chaos(1, 1.0))
    with pytest.raises(BackendError):
        await run(desk, {**spec, "source": "again"})


# -- cut off ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dies_at", range(6))
async def test_cut_off_between_any_two_steps_it_carries_on(tmp_path: Path, engine: str, dies_at: int) -> None:
    """Each durable step of a batch is the last one; the source changes before the second run."""

    class Dies(BaseException):
        pass

    def opened(store: Any) -> EmbeddedTickets:
        return EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(tmp_path)))

    store = open_store(tmp_path, engine)
    steps = 0

    class Mortal(type(store)):  # type: ignore[misc]
        def load(self, collection: str, docs: Any) -> int:
            nonlocal steps
            if steps == dies_at:
                raise Dies
            steps += 1
            return int(super().load(collection, docs))

    usual, store.__class__ = type(store), Mortal
    rows = [incoming(number) for number in range(4)]
    with pytest.raises(Dies):
        importer = opened(store).importer("x", Words(), "ana")
        for pair in (rows[:2], rows[2:], rows[:1]):
            importer.write([importer.judge(row) for row in pair])
        raise Dies
    store.__class__ = usual
    store.close()
    store = open_store(tmp_path, engine)
    rows[1] = incoming(1, "changed there meanwhile")
    importer = opened(store).importer("x", Words(), "ana")
    verdicts = [importer.judge(row) for row in rows]
    assert not importer.write(verdicts) and [verdict.kind for verdict in verdicts].count("cant") == 0
    importer = opened(store).importer("x", Words(), "ana")
    assert [importer.judge(row).kind for row in rows] == ["skip"] * 4
    records = store.select(TICKETS, order=[Order("subject")])
    assert [record.doc["subject"] for record in records] == ["changed there meanwhile", "row 0", "row 2", "row 3"]
    for record in records:
        events = timeline(store, record.id)
        assert fold_all(events) == record.doc and sum(event["type"] == "noted" for event in events) == 2
    store.close()


def incoming(number: int, subject: str = "") -> Any:
    from backends.tickets.imports import Entry, Incoming

    at = datetime(2025, 3, 1, 9, number, tzinfo=UTC)
    entries = tuple(Entry(seq, at.replace(hour=9 + seq), "bob", "noted", body=f"note {seq}") for seq in (2, 3))
    return Incoming(str(number), f"row {number + 2}", subject or "1", {"subject": subject or f"row {number}", "status": "Open"}, at, entries=entries)


async def test_cancelled_in_the_middle_the_next_run_ends_it_and_the_ledger_has_both(desk: Desk, tmp_path: Path) -> None:
    chance = random.Random(4)
    path = sheet(tmp_path / "a.csv", [["id", "subject"], *([str(number), f"n{number} {chance.random()}"] for number in range(900))])
    spec = {"to": "desk", "file": str(path), "source": "x", "sha256": sha256_of(path)}
    with pytest.raises(Cancelled):
        await import_job(desk, spec, Says(tmp_path, stop_after=2))
    assert 0 < desk.store.count(TICKETS) < 900
    done = await import_job(desk, spec, Says(tmp_path))
    assert done["exit"] == 0 and done["counts"]["skipped"] + done["counts"]["created"] == 900 and len(stored(desk)) == 900
    records = [(record["kind"], record.get("outcome"), (record.get("counts") or {}).get("created")) for record in desk.ledger.read()]
    assert records == [("result", "done", done["counts"]["created"]), ("intent", None, None), ("result", "partial", done["counts"]["skipped"]), ("intent", None, None)]
    assert desk.ledger.unfinished() == []


async def test_one_import_at_a_time(desk: Desk, tmp_path: Path) -> None:
    path = sheet(tmp_path / "a.csv", [["subject"], ["x"]])
    with _alone(desk.config.data), pytest.raises(Busy):
        await import_job(desk, {"to": "desk", "file": str(path), "source": "x"}, Says(tmp_path))


async def test_a_system_that_vanishes_is_one_error_and_one_result(desk: Desk, old: EmbeddedTickets, tmp_path: Path) -> None:
    await new(old, "x")

    class Gone(type(old)):  # type: ignore[misc]
        async def tickets(self, *args: Any) -> Any:
            raise Unreachable("no route")

    old.__class__ = Gone
    with pytest.raises(Unreachable):
        await import_job(desk, {"to": "desk", "from": "old"}, Says(tmp_path))
    assert [(record["kind"], record.get("outcome")) for record in desk.ledger.read()] == [("result", "refused"), ("intent", None)]


def test_killed_again_and_again_a_job_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The job's own process, killed with SIGKILL after a seeded number of lines of its progress, until one run ends."""
    chance, data = random.Random(20_261_125), tmp_path / "data"
    config_file = tmp_path / "c.toml"
    config_file.write_text('[store]\nengine = "sqlite"\n[roles]\ndefault = "admin"\n[tickets.desk]\nadapter = "embedded"\n')
    config = load_config(config_file, data)
    rows = [[str(number), f"ticket {number}", str(number // 12 * 12) if number % 12 == 5 else ""] for number in range(2_000)]
    path = sheet(tmp_path / "a.csv", [["id", "subject", "parent"], *rows])
    spec = {"to": "desk", "file": str(path), "source": "x", "sha256": sha256_of(path)}
    jobs, kills = Jobs(config.data / "jobs", config), 0
    for after in (*(chance.randrange(2, 7) for _ in range(3)), 0):
        ident = jobs.start("import", spec, Actor("ana", "", "admin"))
        place = jobs.folder / ident
        until(lambda place=place, ident=ident, after=after: jobs.show(ident).state in ("done", "failed") or (after and len(list(jobs.follow(ident))) >= after), 60)
        if after:
            kills += _kill(place)
    assert jobs.show(ident).state == "done" and jobs.show(ident).result["exit"] == 0 and kills >= 2
    desk = Desk(config, Identity(Actor("ana", "", "admin"), 0))
    try:
        docs = stored(desk)
        assert set(docs) == {f"x:{number}" for number in range(2_000)}
        assert all(len(doc.get("links", ())) == (int(doc["imported_from"][2:]) % 12 in (0, 5)) for doc in docs.values())
        verdict = desk.ledger.verify()
        assert verdict.ok, verdict.sentence()
        assert len([record for record in desk.ledger.unfinished() if record["action"] == "tickets.import"]) == kills, "what was killed is left open, and seen"
    finally:
        desk.store.close()


def _kill(place: Path) -> int:
    """Kill the runner of a job if it lives: found by the lock that it alone holds."""
    if not alive(place):
        return 0
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{(place / 'job.json').stat().st_ino}"):
            os.kill(int(words[4]), signal.SIGKILL)
    until(lambda: not alive(place))
    return 1


def test_the_command_shows_asks_and_follows(tmp_path: Path) -> None:
    def deskside(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "console", "--config", str(tmp_path / "c.toml"), "--data", str(tmp_path / "d"), *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)

    (tmp_path / "c.toml").write_text('[roles]\ndefault = "admin"\n[tickets.desk]\nadapter = "embedded"\n')
    path = sheet(tmp_path / "a.csv", ROWS)
    (tmp_path / "w.toml").write_text('[status]\n"Erledigt" = "Closed"\nOffen = "Open"\n')
    usual = ("tickets", "import", str(path), "--source", "alt", "--words", str(tmp_path / "w.toml"))
    shown = deskside(*usual, "--dry-run", "--json")
    assert shown.returncode == 3 and json.loads(shown.stdout)["item"]["counts"] == {"created": 2, "refused": 3}
    unasked = deskside(*usual)
    assert unasked.returncode == 7 and "would create 2" in unasked.stdout and "--yes" in unasked.stderr
    done = deskside(*usual, "--yes", "--follow", "--reason", "move", "--refused", str(tmp_path / "r.csv"))
    assert done.returncode == 3 and "done: created 2" in done.stdout and "row 4: status" in done.stdout and (tmp_path / "r.csv").exists()
    (tmp_path / "w.toml").write_text('[statu]\nx = "y"\n')
    assert deskside(*usual, "--dry-run").returncode == 2 and deskside("tickets", "import", "--dry-run").returncode == 2
