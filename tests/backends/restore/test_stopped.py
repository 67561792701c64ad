"""Restores that stop for something a person can mend: kept and gone on with, given up, or swept when their time is over."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from backends.backups.extraction import Extraction, ToolEvent
from backends.errors import AuthFailed, BackendError, Busy, Conflict, Damaged, MissingTool, NoSpace, NotFound, ToolDied, Unreachable
from backends.restore.engine import Restoring
from backends.restore.model import RestoreEvent, RestorePlan
from backends.restore.runs import drop, interrupted, purge, row
from tests.backends.restore.conftest import House, look
from tests.backends.restore.source import Trees

MENDED = (Unreachable("gone"), Busy("held"), NoSpace("full"), AuthFailed("no"), ToolDied("by SIGKILL"), MissingTool("no"), BackendError("exit code 77"))
GIVEN_UP = (Damaged("broken"), NotFound("no such snapshot"), Conflict("changed"))


class GoingOn(Trees):
    """One that goes on in what is there."""

    went_on = 0

    def can_go_on(self) -> bool:
        return True

    def go_on(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        self.went_on += 1
        for path in selection:
            if os.path.isdir(into + path):
                shutil.rmtree(into + path)
        return self.extract(snapshot, selection, into, tell, stop)


@pytest.fixture
def going(house: House) -> House:
    """The same share, backed up by a tool that goes on, and changed since."""
    source = GoingOn(house.source.base)
    source.hashes = house.source.hashes
    (house.share / "letter.txt").write_text("live")
    (house.share / "sub" / "deep" / "note").unlink()
    return replace(house, source=source)


def failing(house: House, error: BackendError, times: int = 1) -> None:
    """The tool raises it when it has written everything, so often."""
    left = [error] * times

    def raising(into: bytes) -> None:
        if left:
            raise left.pop()

    house.source.after_extract = raising


def stopped(house: House, plan: RestorePlan, error: type[BackendError] = Unreachable) -> BackendError:
    """Do it: it stops with the error and nothing live has changed."""
    before = look(house.share)
    with pytest.raises(error) as caught:
        house.do(plan)
    assert look(house.share) == before
    return caught.value


@pytest.mark.parametrize("error", MENDED, ids=lambda error: type(error).__name__)
def test_what_can_be_mended_is_kept_and_gone_on_with(going: House, error: BackendError) -> None:
    plan = going.plan()
    failing(going, error)
    raised = stopped(going, plan, type(error))
    run, (staging,) = going.run(plan), going.hidden()
    told, report = row(run), going.run(plan).report()
    assert (told.state, told.interrupted, told.can) == ("stopped", True, ("resume", "discard")) and error.text in told.text
    assert report is not None and report.result == "stopped" and "not restored yet" in report.public and not report.audited
    for words in (told.text, report.private, raised.hint):
        assert str(staging) in words and "KiB are kept until" in words, words
    assert f"restores {plan.run} --resume" in raised.hint
    before = staging.stat().st_ino
    assert purge(going.setting) == [] and going.hidden() == [staging], "it has its time"
    assert going.do(plan).result == "done" and run.said("identities")[0][1] == before and going.source.went_on == 1  # type: ignore[attr-defined]
    assert (going.share / "letter.txt").read_text() == "as it was" and not interrupted(going.setting)
    assert going.undo(plan).result == "undone" and not going.hidden()


@pytest.mark.parametrize("error", GIVEN_UP, ids=lambda error: type(error).__name__)
def test_what_can_not_be_mended_is_given_up(going: House, error: BackendError) -> None:
    plan = going.plan()
    failing(going, error)
    stopped(going, plan, type(error))
    assert going.run(plan).state() == "failed" and not going.hidden() and row(going.run(plan)).can == ()


def test_given_up_by_a_person_or_over_its_time(going: House) -> None:
    """Both remove the staging; its time is that of an undo."""
    first, second = going.plan(), going.plan()
    for plan in (first, second):
        failing(going, Unreachable("gone"))
        stopped(going, plan)
    assert len(going.hidden()) == 2
    assert drop(going.setting, going.run(first)).result == "cancelled" and len(going.hidden()) == 1
    days = going.setting.undo_days
    purge(going.setting, datetime.now(UTC) + timedelta(days=days - 0.1))
    assert going.run(second).state() == "stopped" and len(going.hidden()) == 1
    purge(going.setting, datetime.now(UTC) + timedelta(days=days + 0.1))
    report = going.run(second).report()
    assert going.run(second).state() == "expired" and not going.hidden() and report is not None and "nobody went on" in report.private


def test_a_tool_that_can_not_go_on_begins_anew(house: House) -> None:
    (house.share / "letter.txt").write_text("live")
    plan = house.plan()
    failing(house, Unreachable("gone"))
    raised = stopped(house, plan)
    assert not house.hidden() and "trees 1 fetches it anew" in raised.hint and row(house.run(plan)).can == ("resume", "discard")
    assert house.do(plan).result == "done" and (house.share / "letter.txt").read_text() == "as it was"


def test_what_was_fetched_whole_is_only_audited_again(house: House) -> None:
    """The line drops in the audit: kept for any tool, and not fetched twice."""
    (house.share / "letter.txt").write_text("live")
    plan, hashes, fetched = house.plan(), house.source.content_hash, []

    def dropping(snapshot: str, path: bytes) -> bytes:
        raise Unreachable("gone")

    house.source.content_hash = dropping  # type: ignore[method-assign]
    house.source.before_extract = lambda: fetched.append(1)
    stopped(house, plan)
    assert len(house.hidden()) == 1
    house.source.content_hash = hashes  # type: ignore[method-assign]
    report = house.do(plan)
    assert report.result == "done" and report.audited and report.tool == "trees 1" and fetched == [1]
    assert (house.share / "letter.txt").read_text() == "as it was"


@pytest.mark.parametrize("kind", ["goes on", "begins anew"])
def test_it_tries_again_by_itself(going: House, kind: str) -> None:
    source = going.source if kind == "goes on" else Trees(going.source.base)
    source.hashes = going.source.hashes
    house = replace(going, source=source, setting=replace(going.setting, waits=(0.01, 0.02, 0.03)))
    failing(house, Unreachable("gone"), 3)
    plan = house.plan()
    assert house.do(plan).result == "done" and (house.share / "letter.txt").read_text() == "as it was"
    said = [event.message for event in house.run(plan).events() if "trying again" in event.message]
    assert said == [f"the repository can't be reached, trying again in {wait} s: gone" for wait in ("0.01", "0.02", "0.03")]
    failing(house, Unreachable("gone"), 4)
    stopped(house, house.plan())


def test_a_wait_ends_when_it_is_cancelled(going: House) -> None:
    house = replace(going, setting=replace(going.setting, waits=(600.0,)))
    failing(house, Unreachable("gone"))
    plan, stop = house.plan(), threading.Event()

    def listen(event: RestoreEvent) -> None:
        if "trying again in 600 s" in event.message:
            stop.set()

    began = time.monotonic()
    report = Restoring(house.setting, house.run(plan), house.source, stop, listen).work()
    assert report.result == "cancelled" and time.monotonic() - began < 60 and not house.hidden()


def test_a_setting_that_keeps_nothing(going: House) -> None:
    """A drill's scratch and the far end of a line are taken away."""
    house = replace(going, setting=replace(going.setting, keeps=False))
    failing(house, Unreachable("gone"))
    plan = house.plan()
    stopped(house, plan)
    assert house.run(plan).state() == "failed" and not house.hidden()
