"""Promises by their events: agreed vectors, the rules, and the faults of other desks by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.tickets.calendar import Calendar, read_calendars
from backends.tickets.policies import Policy, read_policies
from backends.tickets.sla import Sla, Target, span_words, standing

VECTORS = json.loads((Path(__file__).parents[2] / "data/sla.json").read_text())
CALENDARS = {
    name: Calendar.read({"zone": table["tz"], **{key: value for key, value in table.items() if key != "tz"}}, name=name)
    for name, table in VECTORS["calendars"].items()
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("row", VECTORS["pauses"], ids=lambda row: row["name"])
def test_the_agreed_pauses(row: dict[str, Any]) -> None:
    events = [event(1, row["start"], "created", status="Open", phase="active", priority=1)]
    for start, end in row["pauses"]:
        events.append(event(len(events) + 1, start, "status_changed", status="Waiting on vendor", phase="paused"))
        events.append(event(len(events) + 1, end, "status_changed", status="Open", phase="active"))
    policies = (Policy("p", resolution=int(row["hours"] * 3600), calendar=row["calendar"]),)
    found = standing(events, policies, CALENDARS, at(events[-1]["at"]) + timedelta(seconds=1))
    assert found is not None and found.targets[0].due_at == at(row["due"])


def event(seq: int, when: str, type_: str, *, public: bool = False, via: str = "ui", actor: str = "tech", **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "at": when, "actor": actor, "type": type_, "public": public, "via": via, "set": fields, "was": {}}


POLICIES = read_policies(
    [
        {"name": "fast", "priority": 1, "first_response": "1h", "update": "2h", "resolution": "8h", "calendar": "office", "warn": "30m"},
        {"name": "rest", "first_response": "4h", "resolution": "40h", "calendar": "office"},
        {"name": "never", "queue": "none", "resolution": "1h", "calendar": "always"},
    ],
    CALENDARS,
)  # fmt: skip
MONDAY = "2026-11-23T14:00:00+00:00"
"""08:00 in Chicago."""


def see(events: list[dict[str, Any]], when: str) -> Sla:
    found = standing(events, POLICIES, CALENDARS, at(when))
    assert found is not None
    return found


def target(sla: Sla, kind: str) -> Target:
    return next(one for one in sla.targets if one.kind == kind)


def ticket(**fields: Any) -> list[dict[str, Any]]:
    return [event(1, MONDAY, "created", status="New", phase="new", **{"priority": 1, "login": "jdoe", **fields})]


def test_a_note_is_no_answer_and_a_public_word_is() -> None:
    events = [*ticket(), event(2, "2026-11-23T14:10:00+00:00", "noted")]
    assert target(see(events, "2026-11-23T14:30:00+00:00"), "first_response").state == "running"
    events.append(event(3, "2026-11-23T14:40:00+00:00", "replied", public=True))
    first = target(see(events, "2026-11-23T20:00:00+00:00"), "first_response")
    assert (first.state, first.consumed, first.met_at) == ("met", 2400, at("2026-11-23T14:40:00+00:00"))


def test_an_automatic_answer_and_the_requesters_own_mail_are_no_answers() -> None:
    events = [*ticket(), event(2, "2026-11-23T14:01:00+00:00", "replied", public=True, via="mail-auto"),
              event(3, "2026-11-23T14:02:00+00:00", "replied", public=True, via="mail", actor="jdoe")]  # fmt: skip
    assert target(see(events, "2026-11-23T14:30:00+00:00"), "first_response").met_at is None


def test_a_call_is_an_answer() -> None:
    events = [*ticket(), event(2, "2026-11-23T14:05:00+00:00", "call_logged")]
    assert target(see(events, "2026-11-23T14:30:00+00:00"), "first_response").state == "met"


def test_the_next_word_is_due_anew_after_each_word() -> None:
    events = [*ticket(), event(2, "2026-11-23T14:05:00+00:00", "replied", public=True), event(3, "2026-11-23T15:05:00+00:00", "replied", public=True)]
    update = target(see(events, "2026-11-23T15:30:00+00:00"), "update")
    assert update.due_at == at("2026-11-23T17:05:00+00:00") and update.consumed == 1500


def test_reopening_goes_on_with_what_was_used() -> None:
    """The time between resolved and reopened does not count (another desk counted it as pending)."""
    events = [*ticket(), event(2, "2026-11-23T16:00:00+00:00", "status_changed", status="Resolved", phase="resolved"),
              event(3, "2026-11-25T16:00:00+00:00", "reopened", status="Open", phase="active")]  # fmt: skip
    done = target(see(events[:2], "2026-11-24T16:00:00+00:00"), "resolution")
    assert (done.state, done.consumed) == ("met", 7200)
    again = target(see(events, "2026-11-25T17:00:00+00:00"), "resolution")
    assert (again.state, again.consumed, again.due_at) == ("running", 10800, at("2026-11-25T22:00:00+00:00"))


def test_another_priority_keeps_start_and_pauses() -> None:
    """Another desk forgot the pause when the promise changed."""
    events = [*ticket(priority=3), event(2, "2026-11-23T15:00:00+00:00", "status_changed", status="Waiting on vendor", phase="paused"),
              event(3, "2026-11-23T17:00:00+00:00", "status_changed", status="Open", phase="active"),
              event(4, "2026-11-23T17:30:00+00:00", "field_changed", priority=1)]  # fmt: skip
    sla = see(events, "2026-11-23T18:00:00+00:00")
    assert sla.policy == "fast" and sla.paused == {"vendor": 7200}
    assert target(sla, "resolution").consumed == 7200 and target(sla, "resolution").due_at == at("2026-11-24T15:00:00+00:00")


def test_no_breach_while_it_waits() -> None:
    events = [*ticket(), event(2, "2026-11-23T15:00:00+00:00", "status_changed", status="Waiting on requester", phase="paused")]
    waiting = target(see(events, "2026-12-05T15:00:00+00:00"), "resolution")
    assert (waiting.state, waiting.due_at, waiting.left) == ("paused", None, 7 * 3600)


def test_a_breach_is_told_in_opening_hours_and_warned_before_in_opening_hours() -> None:
    events = [event(1, "2026-11-23T22:30:00+00:00", "created", status="New", phase="new", priority=1)]
    first = target(see(events, "2026-11-24T18:00:00+00:00"), "first_response")
    assert first.state == "breached" and first.breached_at == at("2026-11-24T14:30:00+00:00") == first.alert_at
    soon = target(see(events, "2026-11-23T22:40:00+00:00"), "first_response")
    assert soon.warn_at == at("2026-11-24T14:00:00+00:00")
    late = standing([event(1, "2026-11-21T10:00:00+00:00", "created", status="New", phase="new", priority=2, queue="none")],
                    (POLICIES[2],), CALENDARS, at("2026-11-21T12:00:00+00:00"))  # fmt: skip
    assert late is not None and late.targets[0].alert_at == late.targets[0].breached_at == at("2026-11-21T11:00:00+00:00")


def test_the_sum_is_said() -> None:
    events = [*ticket(), event(2, "2026-11-23T15:00:00+00:00", "status_changed", status="Waiting on vendor", phase="paused"),
              event(3, "2026-11-23T17:05:00+00:00", "status_changed", status="Open", phase="active")]  # fmt: skip
    sla = see(events, "2026-11-23T19:17:00+00:00")
    assert sla.explain(target(sla, "resolution")) == "started Mon 08:00 - used 3h12 - paused 2h05 vendor - left 4h48 - due Tue 24 Nov 09:05"
    assert (span_words(0), span_words(2880), span_words(7500)) == ("0m", "48m", "2h05")


def test_cancelled_work_has_no_promise() -> None:
    events = [*ticket(), event(2, "2026-11-23T15:00:00+00:00", "closed", status="Cancelled", phase="closed")]
    assert standing(events, POLICIES, CALENDARS, at("2026-11-23T16:00:00+00:00")) is None


@pytest.mark.parametrize(("zone", "switch"), [("America/Chicago", "2026-03-08"), ("America/Chicago", "2026-11-01"), ("Europe/Berlin", "2026-03-29"), ("Europe/Berlin", "2026-10-25")])
def test_a_day_around_the_clock_over_both_switches(zone: str, switch: str) -> None:
    calendar = Calendar.read({"week": {"mon-sun": ["00:00-24:00"]}}, zone=zone, name="always")
    start = datetime.fromisoformat(f"{switch}T00:00:00+00:00").astimezone(UTC) - timedelta(hours=6)
    policies = read_policies([{"name": "p", "resolution": "24h", "calendar": "always"}], ["always"])
    found = standing([event(1, start.isoformat(), "created", status="New", phase="new")], policies, {"always": calendar, **read_calendars({})}, start + timedelta(hours=1))
    assert found is not None and found.targets[0].due_at == start + timedelta(hours=24)
