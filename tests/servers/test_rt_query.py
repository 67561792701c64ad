"""TicketSQL that is sent to Request Tracker, without a server: quoting, and never more than one join over who asked."""

from __future__ import annotations

import pytest

from backends.tickets.model import Phase, Term, TicketQuery
from backends.tickets.rt import STATUSES
from backends.tickets.rt_applying import overwritten
from backends.tickets.rt_query import EVERYTHING, Words, quoted, relative, ticket_sql

WORDS = Words(STATUSES, ("General", "Helpdesk"), {"vendor": "Vendor"})


def test_strings_are_quoted() -> None:
    assert quoted("it's") == r"'it\'s'" and quoted("a\\") == r"'a\\'" and quoted("a\nb\x00") == "'a b '"
    assert quoted("\\' OR id > 0 OR Subject = '") == r"'\\\' OR id > 0 OR Subject = \''"


@pytest.mark.parametrize(
    "query",
    [
        TicketQuery(text="five words are too many"), TicketQuery(text="five words are too many", inverse=True), TicketQuery(text="a b", requester="jdoe"),
        TicketQuery(text="a", terms=(Term("requester", "has", ("b", "c")), Term("text", "has", ("d e f",)), Term("requester", "none"))),
        TicketQuery(terms=tuple(Term("text", "has", (word,), negated) for word in "abcd" for negated in (True, False))),
        TicketQuery(terms=(Term("text", "has", ("a", "b", "c")),)), TicketQuery(terms=(Term("requester", "has", ("a", "b"), True),)),
    ],
)  # fmt: skip
def test_one_join_over_who_asked(query: TicketQuery) -> None:
    """Five of them kept a real RT with 43 tickets busy for minutes, and its database locked."""
    asked = ticket_sql(query, WORDS)
    assert asked.sql.count("Requestor.EmailAddress") <= 1 and asked.here and len(asked.sql) < 400


def test_one_word_is_left_to_rt() -> None:
    asked = ticket_sql(TicketQuery(text="printer"), WORDS)
    assert asked.here == () and asked.sql == "(" + " OR ".join(f"{column} LIKE 'printer'" for column in ("Subject", "Requestor.EmailAddress", "Requestor.Name", "Requestor.RealName")) + ")"


def test_nothing_asked_is_never_an_empty_query() -> None:
    assert ticket_sql(TicketQuery(), WORDS).sql == EVERYTHING


def test_unknown_statuses_are_where_rt_puts_them() -> None:
    assert "Status = '__Active__' AND Status != 'new'" in ticket_sql(TicketQuery(phases=(Phase.ACTIVE,)), WORDS).sql
    assert "Status = '__Inactive__' AND Status != 'new'" in ticket_sql(TicketQuery(phases=(Phase.CLOSED,)), WORDS).sql


@pytest.mark.parametrize(("at", "starts"), [("1700-01-01T00:00:00+00:00", "'1000000000 seconds ago'"), ("9999-01-01T00:00:00+00:00", "'+1000000000 seconds'")])
def test_moments_stay_within_what_rt_can_count(at: str, starts: str) -> None:
    assert relative(at) == starts


def test_odd_names_of_fields_are_not_sent() -> None:
    asked = ticket_sql(TicketQuery(terms=(Term("field", "is", ("a}' OR id > 0", "x")),)), WORDS)
    assert asked.sql == EVERYTHING and asked.here


def entry(number: int, who: str, old: str, new: str) -> dict[str, object]:
    return {"id": str(number), "Type": "Set", "Field": "Subject", "OldValue": old, "NewValue": new, "Creator": {"id": who}}


RAW = {"Subject": ["start", "mine", "subject"]}


@pytest.mark.parametrize(
    ("history", "stands", "wanted"),
    [
        ([entry(1, "me", "start", "mine")], True, "nothing"),
        ([entry(1, "bob", "start", "theirs"), entry(2, "me", "start", "mine")], True, "Subject: theirs of bob"),
        ([entry(1, "me", "theirs", "mine")], True, "Subject: theirs"),
        ([entry(1, "me", "start", "mine"), entry(2, "bob", "start", "theirs")], True, "Subject: theirs of bob"),
        ([entry(1, "me", "start", "mine"), entry(2, "bob", "mine", "theirs")], False, "nothing"),
        ([entry(1, "bob", "start", "theirs")], False, "nothing"),
    ],
    ids=["alone", "before us", "old value", "noted after us, and ours stands", "after us", "ours was refused"],
)  # fmt: skip
def test_whom_we_overwrote(history: list[dict[str, object]], stands: bool, wanted: str) -> None:
    assert overwritten(history, RAW, "me", {"subject": stands}) == wanted
