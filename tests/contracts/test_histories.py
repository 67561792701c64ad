"""The checker of histories finds what it is there for, and nothing in histories that are all right."""

from __future__ import annotations

import pytest

from tests.contracts.histories import Operation, Verdict, violations

PLACE = ("t1", "subject")


def op(actor: str, begin: int, end: int, old: str | None, new: str, verdict: Verdict = "done") -> Operation:
    return Operation(actor, *PLACE, begin, end, old, new, verdict)


def check(ops: list[Operation], last: str, log: list[str] | None = None) -> list[str]:
    return violations(ops, {PLACE: "start"}, {PLACE: last}, None if log is None else {PLACE: log})


@pytest.mark.parametrize("log", [None, ["a", "b"]])
def test_one_after_the_other_is_well(log: list[str] | None) -> None:
    assert not check([op("ana", 1, 2, "start", "a"), op("bob", 3, 4, "a", "b")], "b", log)


@pytest.mark.parametrize("log", [None, ["a", "b"]])
@pytest.mark.parametrize("spans", [((1, 4), (2, 5)), ((1, 3), (4, 6)), ((2, 5), (1, 6))])
def test_a_lost_update_is_found(log: list[str] | None, spans: tuple[tuple[int, int], tuple[int, int]]) -> None:
    """However the two lie in time: both saw the start, both were told "done", one value is gone."""
    found = check([op("ana", *spans[0], "start", "a"), op("bob", *spans[1], "start", "b")], "b", log)
    assert found and all("lost unnoticed" in line or "gone" in line for line in found)


@pytest.mark.parametrize("log", [None, ["a"]])
def test_whoever_is_refused_lost_nothing(log: list[str] | None) -> None:
    assert not check([op("ana", 1, 3, "start", "a"), op("bob", 2, 4, "start", "b", "conflict")], "a", log)


@pytest.mark.parametrize("log", [None, ["a", "b"]])
def test_what_was_refused_and_took_effect_is_found(log: list[str] | None) -> None:
    assert any("refused, and yet" in line for line in check([op("ana", 1, 3, "start", "a"), op("bob", 2, 4, "start", "b", "conflict")], "b", log))


@pytest.mark.parametrize("verdict", ["differs", "uncertain"])
@pytest.mark.parametrize("log", [None, ["a", "b"]])
def test_one_of_the_two_was_told(verdict: Verdict, log: list[str] | None) -> None:
    assert not check([op("ana", 1, 3, "start", "a"), op("bob", 2, 4, "start", "b", verdict)], "b", log)
    assert not check([op("ana", 1, 3, "start", "a", verdict), op("bob", 2, 4, "start", "b")], "b", log)


@pytest.mark.parametrize("log", [None, ["a", "w"]])
def test_a_blind_writer_comes_after_the_acknowledgement(log: list[str] | None) -> None:
    assert not check([op("ana", 1, 3, "start", "a"), op("web", 2, 4, None, "w")], "w", log)


def test_a_blind_writers_value_is_not_wiped_out_in_ignorance() -> None:
    assert any("lost unnoticed" in line for line in check([op("ana", 1, 4, "start", "a"), op("web", 2, 3, None, "w")], "a", ["w", "a"]))
    assert not check([op("ana", 1, 4, "start", "a", "differs"), op("web", 2, 3, None, "w")], "a", ["w", "a"])


def test_a_value_that_vanished_is_found() -> None:
    assert check([op("ana", 1, 2, "start", "a")], "start")
    assert check([op("ana", 1, 2, "start", "a")], "start", [])
    assert check([op("ana", 1, 2, "start", "a")], "nobody wrote this", ["a"])
    assert check([op("web", 1, 2, None, "w"), op("ana", 3, 4, "w", "a")], "w"), "the blind one was over before"


def test_values_must_say_who_wrote_them() -> None:
    with pytest.raises(ValueError, match="must differ"):
        check([op("ana", 1, 2, "start", "a"), op("bob", 3, 4, "a", "a")], "a")
