"""Export: stable columns, cells that are no formulas, whole or not there, never over another file."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.contract import Actor
from backends.errors import Invalid, NoSpace, NotFound, Refused
from console.config import BackendConfig, Config
from console.desk import Desk
from console.export_cells import COLUMNS, guarded, unguarded
from console.export_files import new_file
from console.exporting import Wanted, export, export_to
from console.people import Identity
from tests.contracts.test_tickets import do, new
from tests.data.hostile import P

ROOT = Path(__file__).parent.parent.parent


class Says:
    def __init__(self, folder: Path = Path(), stop: bool = False) -> None:
        self.folder, self.stop = folder, stop

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        if self.stop:
            raise KeyboardInterrupt


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    opened = Desk(Config(data=tmp_path / "d", backends=(BackendConfig("tickets", "desk", "embedded"),)), Identity(Actor("ana", "Ana", "admin"), 0))
    yield opened
    await opened.close()


async def rows(desk: Desk, **wanted: Any) -> list[dict[str, str]]:
    out = io.StringIO(newline="")
    await export(desk, Wanted(**wanted), out, Says())
    assert "\r\n" in out.getvalue()
    return list(csv.DictReader(io.StringIO(out.getvalue(), newline=""), strict=True))


async def test_columns_quotes_and_line_ends(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    ident = await new(backend, 'He said "no", twice; ü', body="one\ntwo, three", tags=["a", "b"], refs=["devices:here:web01"])
    await do(backend, "note", ident, body="for us")
    (row,) = await rows(desk)
    assert tuple(row) == COLUMNS and row["schema_version"] == "1"
    assert (row["subject"], row["body"], row["tags"], row["refs"]) == ('He said "no", twice; ü', "one\ntwo, three", "a; b", "devices:here:web01")
    (row,) = await rows(desk, timeline=True)
    assert "internal ana noted\nfor us" in row["timeline"]


async def test_hostile_text_is_neither_formula_nor_escape_sequence(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    for name, (text, _) in P.items():
        await new(backend, f"x {name}"[:50], body=text)
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"):
        await new(backend, text)
    found = await rows(desk)
    for row in found:
        for cell in row.values():
            assert cell[:1] not in set("=+-@\t\r＝＋－＠") and not set("\x1b\x07\x9b\u202e\x00") & set(cell), cell
    assert {unguarded(row["subject"]) for row in found} >= {"=1+1", "+1", "-1", "@SUM(A1)", "＝1"}


@given(st.text())
def test_a_guarded_cell_comes_back_as_it_was(text: str) -> None:
    assert unguarded(guarded(text)) == text and guarded(text)[:1] not in set("=+-@\t\r\n\0")


async def test_json_lines_have_events_and_hashes(desk: Desk, tmp_path: Path) -> None:
    backend = await desk.backend("tickets")
    ident = await new(backend, "one")
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"x" * 10)
    await do(backend, "attach", ident, files=[{"path": str(file)}])
    await new(backend, "two")
    out = io.StringIO()
    await export(desk, Wanted("json", timeline=True), out, Says())
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert set(COLUMNS) <= set(first) and first["attachments"][0]["sha256"] and len(first["attachments"][0]["sha256"]) == 64
    assert [event["type"] for event in first["events"]] == ["created", "attached"] and second["subject"] == "two"
    out = io.StringIO()
    await export(desk, Wanted("json", "two"), out, Says())
    assert len(out.getvalue().splitlines()) == 1 and "events" not in json.loads(out.getvalue())
    with pytest.raises(Invalid):
        Wanted.read({"format": "xml"})


async def test_a_file_is_whole_or_not_there_and_none_is_replaced_unasked(desk: Desk, tmp_path: Path) -> None:
    await new(await desk.backend("tickets"), "one")
    path = tmp_path / "out.csv"
    with pytest.raises(KeyboardInterrupt):
        await export_to(desk, Wanted(), path, False, Says(stop=True))
    assert list(tmp_path.glob("*out.csv*")) == []
    assert (await export_to(desk, Wanted(), path, False, Says())).count == 1 and path.stat().st_mode & 0o777 == 0o640 & ~_umask()
    path.write_text("mine")
    with pytest.raises(Refused, match="exists"):
        await export_to(desk, Wanted(), path, False, Says())
    with pytest.raises(Refused), new_file(tmp_path / "late.csv") as file:
        file.write("x")
        (tmp_path / "late.csv").write_text("somebody was faster")
    assert path.read_text() == "mine" and (tmp_path / "late.csv").read_text() == "somebody was faster"
    await export_to(desk, Wanted(), path, True, Says())
    assert path.read_text().startswith("schema_version,") and not list(tmp_path.glob(".*part"))
    for wrong in (tmp_path, tmp_path / "none" / "x.csv"):
        with pytest.raises(Refused):
            await export_to(desk, Wanted(), wrong, True, Says())
    with pytest.raises(NoSpace), new_file(tmp_path / ("x" * 90 + ".csv")) as file:
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, file.fileno())
        os.close(full)
        file.write("y" * 100_000)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


async def test_a_ticket_that_goes_meanwhile_is_counted(desk: Desk) -> None:
    backend = await desk.backend("tickets")
    for number in range(3):
        await new(backend, f"n{number}")

    class Losing(type(backend)):  # type: ignore[misc]
        async def ticket(self, id: str) -> Any:
            found = await super().ticket(id)
            if found.row.subject == "n1":
                raise NotFound("gone")
            return found

    backend.__class__ = Losing
    done = await export(desk, Wanted(), io.StringIO(), Says())
    assert (done.count, done.gone) == (2, 1) and "gone" in done.sentence()


def test_the_command_writes_a_pipe_and_a_job_writes_a_file(tmp_path: Path) -> None:
    def deskside(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "console", "--data", str(tmp_path / "d"), *words], cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert deskside("tickets", "create", "Drucker ü", "--yes").returncode == 0
    piped = deskside("tickets", "export")
    assert piped.returncode == 0 and "Drucker ü" in piped.stdout
    out = tmp_path / "x.jsonl"
    followed = deskside("tickets", "export", "--format", "json", "--output", str(out), "--follow")
    assert followed.returncode == 0 and "1 tickets in" in followed.stdout and json.loads(out.read_text())["subject"] == "Drucker ü"
    again = deskside("tickets", "export", "--output", str(out))
    assert again.returncode == 7 and "--force" in again.stderr and json.loads(out.read_text())
