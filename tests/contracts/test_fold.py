"""Whatever is done to our own tickets, each is the fold of its events: random verbs, with second tickets, undoing and refusals."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from backends.contract import Actor, Change, Site
from backends.errors import BackendError
from backends.options import read_options
from backends.store.opening import ENGINES, open_store
from backends.tickets.appending import EVENTS, TICKETS, timeline
from backends.tickets.embedded import EmbeddedTickets
from backends.tickets.events import fold_all, read_event

ACTORS = (Actor("ana", "Ana", "admin"), Actor("bob", "Bob"))
VERBS = (
    "take", "steal", "release", "assign", "status", "reply", "note", "log-call", "edit", "time", "refer", "vendor-return", "relate", "unrelate",
    "link", "unlink", "merge", "unmerge", "split", "watch", "approve", "decide", "check", "attach", "create",
)  # fmt: skip
WORD = st.sampled_from(("Open", "In progress", "Waiting on vendor", "Resolved", "Closed", "Cancelled", "bob", "ana", "a@example.org", "Ärger =1+1", "x"))
STEP = st.tuples(st.sampled_from(VERBS), st.integers(0, 2), st.integers(0, 2), WORD, st.integers(0, 4), st.sampled_from(ACTORS))
ANA, BOB = ACTORS
TOUR: list[tuple[Any, ...]] = [
    ("take", 0, 1, "x", 0, ANA), ("steal", 0, 1, "x", 0, BOB), ("release", 0, 1, "x", 0, BOB), ("relate", 0, 1, "x", 1, ANA), ("unrelate", 0, 1, "x", 1, ANA),
    ("merge", 0, 1, "x", 0, ANA), ("unmerge", 0, 1, "x", 0, ANA), ("merge", 0, 2, "x", 0, ANA), ("split", 2, 0, "x", 1, ANA), ("approve", 1, 0, "x", 0, ANA),
    ("decide", 1, 0, "x", 1, BOB), ("refer", 1, 0, "x", 1, ANA), ("vendor-return", 1, 0, "x", 0, ANA), ("link", 1, 0, "x", 2, ANA), ("unlink", 1, 0, "x", 2, ANA),
    ("status", 1, 0, "Resolved", 0, ANA), ("status", 1, 0, "Open", 0, ANA), ("reply", 1, 0, "x", 2, ANA), ("status", 1, 0, "Closed", 0, ANA), ("note", 1, 0, "x", 3, ANA),
]  # fmt: skip
"""One way through the verbs that need another one before them."""
SEEN: Counter[str] = Counter()


@pytest.fixture(scope="module", params=ENGINES)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Path, str]]:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    (folder / "file.txt").write_text("toner")
    yield folder, request.param
    shutil.rmtree(folder)


def values_of(verb: str, other: str, word: str, number: int, folder: Path) -> dict[str, Any]:
    """Something for each verb; what makes no sense is refused, and nothing may come of it."""
    known: dict[str, dict[str, Any]] = {
        "assign": {"assignee": word, **({"team": "Field"} if number == 1 else {})}, "status": {"status": word, "reason": "because", "until": "2030-01-01T00:00:00Z" if number == 1 else ""},
        "reply": {"body": word, "minutes": number, "status": "Resolved" if number == 2 else "", "reason": "done"}, "note": {"body": word, "minutes": number},
        "log-call": {"body": word, "minutes": number}, "edit": [{"subject": word}, {"impact": 1, "urgency": 2}, {"priority": number or 1}, {"tags": [word]}, {"fields": {"asset": word}}][number],
        "time": {"minutes": number, "body": word}, "refer": {"vendor": word, "follow_up": "2030-01-02" if number else ""}, "vendor-return": {"body": word},
        "relate": {"kind": ("parent", "blocks", "relates", "duplicates", "child")[number], "to": other}, "unrelate": {"kind": ("parent", "blocks", "relates", "duplicates", "child")[number], "to": other},
        "link": {"ref": f"devices:here:d{number}"}, "unlink": {"ref": f"devices:here:d{number}"}, "merge": {"into": other},
        "split": {"seqs": [1, 2][: 1 + number % 2], "subject": f"split {word}"}, "watch": {"add": [word], "remove": ["bob"] if number == 1 else []},
        "approve": {"what": word, "by": "bob"}, "decide": {"id": str(number or 1), "decision": "approved" if number % 2 else "refused", "document": "form"},
        "check": {"item": word, "done": bool(number % 2)}, "attach": {"files": [{"path": str(folder / "file.txt")}]}, "create": {"subject": word, "priority": number or 1},
    }  # fmt: skip
    return known.get(verb, {})


async def lived(folder: Path, engine: str, steps: list[tuple[Any, ...]]) -> None:
    store = open_store(folder, engine)
    backend = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store, data=str(folder)))
    await backend.open()
    before, tickets = {record.id for record in store.select(TICKETS, fields=())}, []
    for number in range(3):
        plan = await backend.plan(Change("tickets", "desk", "create", values={"subject": f"n{number}", "requester": {"email": f"r{number}@example.org"}}), ACTORS[0])
        tickets.append((await backend.apply(plan, ACTORS[0], uuid.uuid4().hex)).target)
    for verb, one, two, word, number, actor in steps:
        target, other = tickets[one], tickets[two]
        counted = store.count(EVENTS)
        try:
            plan = await backend.plan(Change("tickets", "desk", verb, "" if verb == "create" else target, values=values_of(verb, other, word, number, folder)), actor)
        except BackendError:
            assert store.count(EVENTS) == counted, "what is refused leaves nothing"
            continue
        assert store.count(EVENTS) == counted, "a plan writes nothing"
        outcome = await backend.apply(plan, actor, uuid.uuid4().hex)
        found, _ = await backend.read_back(plan, outcome)
        assert dict(found) == dict(plan.expected) and (verb in ("split", "create") or not outcome.text), (verb, word, number, dict(found), dict(plan.expected), outcome.text)
        SEEN[verb] += 1
    for record in store.select(TICKETS):
        if record.id in before:
            continue
        events = timeline(store, record.id)
        assert fold_all(events) == record.doc
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1)) and record.doc["events"] == len(events)
        assert all(read_event(event) for event in events) and len({event["op_id"] for event in events}) == len(events)
        for link in record.doc.get("links", ()):
            assert store.get(TICKETS, link["to"]) is not None
    store.close()


@settings(max_examples=25, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=st.lists(STEP, min_size=8, max_size=30))
@example(steps=TOUR)
def test_a_ticket_is_the_fold_of_its_events(place: tuple[Path, str], steps: list[tuple[Any, ...]]) -> None:
    asyncio.run(lived(*place, steps))


def test_every_verb_had_its_turn() -> None:
    """A property that never merges says nothing about merging."""
    if not SEEN:
        pytest.skip("the property above did not run")
    assert set(SEEN) == set(VERBS), f"never done: {set(VERBS) - set(SEEN)}"
