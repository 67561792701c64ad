"""Facts a remote ticket system has no field for, kept as internal notes that people can read and this desk can read back.

Referrals to a vendor, and what a ticket waits for. Only internal notes are read: a customer can't write one. Never imports an adapter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from backends.tickets.model import Event, Referral

_GIVEN = "Referred to "
_BACK = "Back from "
_WAITS = "Waiting: "
_SOLVED = "Solved: "
_FACTS = ("contact", "reference", "promised", "follow_up")
_LINE = re.compile(r"^(contact|reference|promised|follow up): (.+)$")


def referral_note(values: Mapping[str, Any]) -> str:
    """The note of a referral: the vendor in its first line, a line a fact, then the text."""
    facts = [f"{name.replace('_', ' ')}: {' '.join(str(values[name]).split())}" for name in _FACTS if values.get(name)]
    return "\n".join([f"{_GIVEN}{' '.join(str(values['vendor']).split())}", *facts, *([str(values["body"])] if values.get("body") else [])])


def return_note(vendor: str, body: str) -> str:
    """The note of a return."""
    return f"{_BACK}{vendor}\n{body}"


def waiting_note(reason: str) -> str:
    """The note that says what it waits for."""
    return f"{_WAITS}{reason}"


def solved_note(reason: str) -> str:
    """The note that says what solved it."""
    return f"{_SOLVED}{reason}"


def solution(events: Sequence[Event]) -> str:
    """What the newest note of that kind says solved it, or ""."""
    notes = (event.body for event in reversed(events) if not event.public and event.body.startswith(_SOLVED))
    return next(notes, "")[len(_SOLVED) :].strip()


def referrals(events: Sequence[Event]) -> tuple[Referral, ...]:
    """The referrals the notes tell of, oldest first."""
    out: list[Referral] = []
    for event in events:
        if event.public or not event.body:
            continue
        lines = event.body.split("\n")
        if lines[0].startswith(_GIVEN):
            out.append(_referral(event, lines))
        elif lines[0].startswith(_BACK) and out and out[-1].open and lines[0][len(_BACK) :].strip() == out[-1].vendor:
            out[-1] = replace(out[-1], open=False, returned_at=event.at)
    return tuple(out)


def _referral(event: Event, lines: Sequence[str]) -> Referral:
    facts: dict[str, str] = {}
    for line in lines[1:]:
        found = _LINE.match(line)
        if found is None:
            break
        facts[found.group(1).replace(" ", "_")] = found.group(2).strip()
    return Referral(
        lines[0][len(_GIVEN) :].strip(), facts.get("contact", ""), facts.get("reference", ""), event.at, _moment(facts.get("promised")), _moment(facts.get("follow_up"))
    )  # fmt: skip


def _moment(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at if at is None or at.tzinfo else at.replace(tzinfo=UTC)


def waits_for(events: Sequence[Event]) -> str:
    """What the newest note of that kind says it waits for: a reason, or the vendor that has it; ""."""
    for event in reversed(events):
        if event.public or not event.body:
            continue
        first = event.body.split("\n", 1)[0]
        if first.startswith(_GIVEN):
            return f"vendor: {first[len(_GIVEN) :].strip()}"
        if first.startswith(_WAITS):
            return event.body[len(_WAITS) :].strip()[:300]
    return ""
