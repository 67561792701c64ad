"""`deskside tickets` as it is typed: several tickets, macros, templates, canned text, fair assignment, exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from console.cli.main import run

CONFIG = """
[roles]
default = "admin"
[tickets.desk]
adapter = "embedded"
agents = ["ana", "bob"]
[desk]
teams = {Network = ["bob", "eve"]}
absent = ["eve"]
[macros.toner]
steps = [{take = true}, {tags = ["toner"]}, {note = "call {requester.phone}"}]
[canned.hello]
text = "Dear {requester.name}, {ticket.number} is done."
[templates.room]
subject = "Move to {room}"
checklist = ["phone in {room}"]
category = "other"
"""


@pytest.fixture
def desk(tmp_path: Path) -> list[str]:
    (tmp_path / "config.toml").write_text(CONFIG)
    words = ["--config", str(tmp_path / "config.toml"), "--data", str(tmp_path / "data"), "tickets"]
    for subject in ("Printer jam", "No network", "Slow"):
        assert run([*words, "create", subject, "--requester", "jdoe", "--yes"]) == 0
    return words


def answer(capsys: pytest.CaptureFixture[str], desk: list[str], *words: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = run([*desk, *words, "--json"])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_several_at_once_have_a_line_each(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*desk, "take", "1002", "--yes"]) == 0
    code, found = answer(capsys, desk, "take", "1001,1002,1003", "--yes")
    assert code == 3 and [(row["ticket"], row["outcome"]) for row in found["items"]] == [("T-1001", "done"), ("T-1002", "refused"), ("T-1003", "done")]
    assert "you have it already" in found["items"][1]["text"] and found["summary"].startswith("2 done, 1 refused")
    code, found = answer(capsys, desk, "status", "1001,1003", "Resolved", "--reason", "r", "--dry-run")
    assert code == 0 and {row["outcome"] for row in found["items"]} == {"planned"}
    assert answer(capsys, desk, "show", "1001")[1]["item"]["row"]["status"] == "Open"


def test_a_macro_and_its_refusals(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, found = answer(capsys, desk, "macro", "1001", "toner", "--yes")
    assert code == 0 and [row["what"] for row in found["items"]] == ["take", "edit", "note"]
    ticket = answer(capsys, desk, "show", "T-1001")[1]["item"]
    assert ticket["tags"] == ["toner"] and ticket["events"][-1]["body"] == "call" and ticket["row"]["assignee"]
    assert run([*desk, "macro", "1001", "nosuch", "--yes"]) == 5
    assert answer(capsys, desk, "macro", "1001", "toner", "--yes")[0] == 7  # it is taken: nothing of it is done


def test_a_template_asks_for_its_fields(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*desk, "create", "--template", "room", "--yes"]) == 2 and "--field room=" in capsys.readouterr().err
    code, found = answer(capsys, desk, "create", "--template", "room", "--field", "room=214", "--requester", "jdoe", "--tag", "move", "--yes")
    ticket = answer(capsys, desk, "show", found["item"]["text"])[1]["item"]
    assert code == 0 and ticket["row"]["subject"] == "Move to 214" and ticket["checklist"] == [["phone in 214", False]] and ticket["tags"] == ["move"]


def test_texts_from_standard_input_with_copies_files_and_time(desk: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    monkeypatch.setattr("sys.stdin", io.StringIO("Dear Joe,\nit is done.\n"))
    code, _ = answer(capsys, desk, "solve", "1001", "-", "--cc", "boss@example.org", "--file", str(tmp_path / "a.txt"), "--minutes", "1h15m", "--yes")
    ticket = answer(capsys, desk, "show", "1001")[1]["item"]
    assert code == 0 and ticket["row"]["status"] == "Resolved" and ticket["resolution"] == "Dear Joe," and ticket["time_spent"] == 75
    assert [file["name"] for file in ticket["attachments"]] == ["a.txt"] and [one["email"] for one in ticket["watchers"]] == ["boss@example.org"]
    assert run([*desk, "time", "1002", "soon", "--yes"]) == 2 and run([*desk, "time", "1002", "2h", "--yes"]) == 0


def test_fair_assignment_and_canned_text(desk: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, desk, "fair")[1]["items"] == [{"login": "ana", "open": 0}, {"login": "bob", "open": 0}]
    assert run([*desk, "assign", "1001", "@Network:fair", "--yes"]) == 0
    row = answer(capsys, desk, "show", "1001")[1]["item"]["row"]
    assert (row["assignee"], row["team"]) == ("bob", "Network")
    assert run([*desk, "assign", "1002", "fair", "--yes"]) == 0 and answer(capsys, desk, "show", "1002")[1]["item"]["row"]["assignee"] == "ana"
    capsys.readouterr()
    assert run([*desk, "canned", "hello", "1001"]) == 0 and "Dear jdoe, T-1001 is done." in capsys.readouterr().out


def test_nothing_is_asked_where_nobody_can_answer(desk: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert run([*desk, "take", "1001,1002"]) == 7 and "--yes" in capsys.readouterr().err
    assert run([*desk, "call", "jdoe", "printer", "jam", "in", "214", "#printing", "--yes", "--ref", "devices:here:x"]) == 0
    ticket = answer(capsys, desk, "show", "1004")[1]["item"]
    assert ticket["category"] == "printing" and ticket["requester"]["location"] == "Room 214" and ticket["refs"] == ["devices:here:x"] and ticket["origin"] == "phone"
