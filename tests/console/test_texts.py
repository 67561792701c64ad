"""The site's own texts: fields, macros, canned text, templates; every mistake with its file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.errors import BadConfig
from backends.tickets.model import Person, Phase, Referral, Ticket, TicketRow
from console.config import load_config
from console.macros import deeds, read_macro
from console.placeholders import KNOWN, Wrong, check_fields, fill, plain_values, ticket_values
from console.templates import read_template, ticket_of

TICKET = Ticket(
    TicketRow("desk", "u1", "T-1042", "Printer jam", "Open", Phase.ACTIVE, 2, queue="Network"), requester=Person("Joe Doe", "joe@example.org", "", "jdoe"),
    tags=("old",), referrals=(Referral("ACME", reference="R-7"),),
)  # fmt: skip


def values() -> dict[str, str]:
    from backends.contract import Actor, now

    return ticket_values(TICKET, Actor("ana", "Ana"), "County", now(), "UTC")


def test_every_known_field_has_a_value_and_nothing_is_filled_in_twice() -> None:
    assert set(values()) == set(KNOWN)
    text, empty = fill("{requester.first} {{x}} {ticket.number} {requester.phone} {vendor.reference}", {**values(), "requester.first": "{ticket.number}"})
    assert text == "{ticket.number} {x} T-1042  R-7" and empty == ("requester.phone",)


def test_an_unknown_field_is_named_with_those_that_sound_alike() -> None:
    with pytest.raises(Wrong, match=r"\{requestor.name\}.*\{requester.name\}"):
        check_fields("Dear {requestor.name}")
    assert check_fields("a { b } {} {1}") == "a { b } {} {1}"


def test_a_macro_becomes_verbs_with_their_values() -> None:
    macro = read_macro("m", {"steps": [
        {"take": True}, {"assign": "me"}, {"assign": "fair"}, {"tags": ["toner"]}, {"untag": ["old"]}, {"reply": "Dear {requester.first}", "status": "Resolved", "reason": "x"},
        {"time": "1h15m drum"}, {"priority": 1}, {"note": "call {requester.phone}"}, {"team": "Net"},
    ]})  # fmt: skip
    found = deeds(macro, TICKET, values(), "ana", "bob")
    assert [(one.verb, dict(one.values)) for one in found] == [
        ("take", {}), ("assign", {"assignee": "ana"}), ("assign", {"assignee": "bob"}), ("edit", {"tags": ["old", "toner"]}), ("edit", {"tags": ["toner"]}),
        ("reply", {"body": "Dear Joe", "status": "Resolved", "reason": "x"}), ("time", {"minutes": 75, "body": "drum"}),
        ("edit", {"priority": 1, "priority_reason": "set by a macro"}), ("note", {"body": "call "}), ("assign", {"team": "Net"}),
    ]  # fmt: skip
    assert found[8].empty == ("requester.phone",)


def test_a_template_asks_its_fields_in_order_and_fills_them_in() -> None:
    made = read_template("t", {"subject": "New colleague {name} on {day}", "body": "by {me.name}", "checklist": ["badge for {name}"], "ask": {"day": "First day?"}, "tags": ["hr"]})
    assert made.questions() == [("day", "First day?"), ("name", "Name:")]
    from backends.contract import Actor, now

    got, empty = ticket_of(made, {"name": "Zoe", "day": ""}, plain_values(Actor("ana", "Ana"), "County", now(), "UTC"))
    assert got == {"subject": "New colleague Zoe on", "body": "by Ana", "tags": ["hr"], "checklist": ["badge for Zoe"]} and empty == ("day",)
    plain, _ = ticket_of(made, {"name": "Zoe", "day": "Mon"}, {"me.name": "Ana"}, checklists=False)
    assert plain["body"] == "by Ana\n\n[ ] badge for Zoe" and "checklist" not in plain


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[macros.a]\nsteps = [\n  {status = "Open"},\n  {note = "{me.nam}"},\n]\n', 4, "{me.nam}"), ('[macros.a]\nsteps = [{stats = "Open"}]\n', 2, "stats"),
        ('[macros.a]\ntext = "x"\n', 1, "steps"), ('[macros.a]\nsteps = [\n  {note = "x", status = "Open"},\n]\n', 3, "does not go with"),
        ('[macros.a]\nsteps = [{priority = "high"}]\n', 2, "must be int"), ('[macros]\na = 3\n', 2, "named tables"),
        ('[canned.a]\ntext = "Dear {name}"\n', 2, "{name}"), ('[canned.a]\ntext = "x"\nuse = "mail"\n', 3, "use"), ("[canned.a]\n", 1, "missing"),
        ('[templates.a]\nbody = "x"\n', 1, "subject"), ('[templates.a]\nsubject = "x"\npriority = 9\n', 3, "1 to 4"),
        ('[templates.a]\nsubject = "{ticket.numbr}"\n', 2, "{ticket.numbr}"), ('[templates.a]\nsubject = "x"\nask = {room = "Room?"}\n', 3, "stands in no text"),
        ('[desk]\nabsent = ["bob tomorrow"]\n', 2, "bob tomorrow"), ('[desk]\nteams = {Net = "bob"}\n', 2, "list of logins"), ("[desk]\nnext = true\n", 2, "unknown key"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_line(text: str, line: int, words: str, tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("\n" + text)
    with pytest.raises(BadConfig) as caught:
        load_config(file, tmp_path)
    assert words in caught.value.text and caught.value.where == f"{file}:{line + 1}"


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        '[desk]\nnext_after_action = true\nabsent = ["bob", "eve 2026-12-01..2026-12-08"]\nteams = {Net = ["ana"]}\n'
        '[[macros.a.steps]]\ntake = true\n[[macros.a.steps]]\nnote = """two\nlines"""\n[canned.c]\ntext = "x"\n[templates.t]\nsubject = "s {room}"\n'
    )  # fmt: skip
    config = load_config(file, tmp_path)
    assert [step.deed for step in config.macros[0].steps] == ["take", "note"] and config.canned[0].text == "x" and config.templates[0].questions() == [("room", "Room:")]
    assert config.next_after_action and [one.login for one in config.absent] == ["bob", "eve"] and config.teams == {"Net": ("ana",)}
