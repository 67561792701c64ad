"""The words of backup work and restores: moments at the site, steps that only tell, numbers with their word."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from backends.backups.model import BackupRow, Protection
from backends.contract import Change, Plan, Step
from backends.restore.model import Destination, Preview, RestoreEvent, RestorePlan, RestoreReport, RunRow, Wanted
from backends.restore.reporting import private_text, public_sentence
from backends.text import amount
from console.ages import allowed, last, local
from console.jobs import Job
from screens.backup_source import why
from screens.jobs import job_lines
from screens.plan_lines import plan_lines
from screens.restore_lines import Progress, view_lines
from widgets.toned import Line

ZONE = "America/Chicago"


def words(lines: list[Line]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


def test_moments_of_plans_and_reports_are_read_at_the_site() -> None:
    said = "Restore /srv/a of 2026-11-29 21:06 UTC to fs01; undo until 2026-07-14T19:10Z, 2026-01-01 00:30 UTC"
    assert local(said, ZONE) == "Restore /srv/a of 2026-11-29 15:06 to fs01; undo until 2026-07-14 14:10, 2025-12-31 18:30"
    assert local("2026-11-29 21:06 UTCX and 12026-11-29 21:06 UTC", ZONE) == "2026-11-29 21:06 UTCX and 12026-11-29 21:06 UTC"
    plan = Plan(Change("backups", "attic", "forget", values={}), "Forget 1 of 9 of 2026-11-29 21:06 UTC", (Step("lock", "held since 2026-11-29 21:06 UTC", "gone"),))
    assert words(plan_lines(plan, ZONE)) == [" Forget 1 of 9 of 2026-11-29 15:06   ", "   lock: held since 2026-11-29 15:06 → gone"]


def test_a_step_that_only_tells_has_nothing_before_it() -> None:
    backup = Plan(Change("backups", "attic", "restore", "aa3f"), "Restore", (Step("time", "", "about 1 s"), Step("same", "1 file", "left")), expected={"job": "started"})
    assert [backup.told(step) for step in backup.steps] == ["time: about 1 s", "same: 1 file -> left"]
    assert words(plan_lines(backup))[1:] == ["   time: about 1 s", "   same: 1 file → left"]
    ticket = Plan(Change("tickets", "desk", "assign", "1"), "Assign", (Step("assignee", "", "ana"),))
    assert ticket.told(ticket.steps[0]) == "assignee: nothing -> ana" and words(plan_lines(ticket))[1] == "   assignee: nothing → ana"
    assert (backup.ended("done"), backup.ended("unknown"), ticket.ended("done")) == ("started", "unknown", "done"), "a job that was started is not done"


def test_a_number_has_its_word() -> None:
    assert [amount(number, "file") for number in (0, 1, 2, 1204)] == ["0 files", "1 file", "2 files", "1,204 files"]
    assert [amount(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]


PLAN = RestorePlan("r1", Wanted("offsite", "aa3fc27e7279", (b"/srv/a",), Destination("original")), Preview(), "", datetime(2026, 11, 29, 21, 6, tzinfo=UTC), "fs01", "fs01")


def row(state: str, **more: object) -> RunRow:
    return RunRow("r1", state, **{"alive": False, "interrupted": False, "backend": "offsite", "snapshot": "aa3f", "where": "fs01:/srv", "actor": "ana", "ticket": "", "at": None, **more})  # type: ignore[arg-type]


def test_a_report_is_read_at_the_site_and_an_undo_is_not_called_audited() -> None:
    until = datetime(2026, 12, 14, 19, 10, tzinfo=UTC)
    done = RestoreReport("r1", "done", "", "", audited=True, undo_until=until)
    shown = words(view_lines(row("done"), PLAN, RestoreReport("r1", "done", "", private_text(PLAN, done), audited=True), Progress(), ZONE, 100))
    assert any("until 2026-12-14 13:10: deskside" in line for line in shown) and any("from 2026-11-29" in line or "2026-11-29 15:06" in line for line in shown)
    assert "2026-12-14 19:10 UTC" in private_text(PLAN, done), "what is kept stays in UTC"
    undone = RestoreReport("r1", "undone", "", "", audited=True)
    assert "Audited" in private_text(PLAN, done) and "udited" not in private_text(PLAN, undone)
    assert "audited" not in "".join(words(view_lines(row("undone"), PLAN, undone, Progress(), ZONE, 100)))


def test_a_requester_reads_a_sentence() -> None:
    said = [public_sentence(PLAN, "partial", Counter(put=put, failed=failed)).partition("UTC: ")[2] for put, failed in ((1, 1), (2, 3))]
    assert said == ["1 file is there and checked, 1 is not.", "2 files are there and checked, 3 are not."]


def test_a_phase_that_was_cut_off_is_not_drawn_as_done() -> None:
    told = Progress()
    told.hear([RestoreEvent(1, 1.0, "r1", "preflight", "finished"), RestoreEvent(2, 2.0, "r1", "fetch", "progress", files=1, files_total=4)])
    shown = words(view_lines(row("fetching", interrupted=True), PLAN, None, told, ZONE, 100))
    assert "  fetch     █████···············  was cut off here" in shown
    assert "  fetch     " + "█" * 20 + "  " in words(view_lines(row("failed"), PLAN, None, told, ZONE, 100)), "over, its last figure untold"


def test_a_job_says_what_it_does_and_what_it_says_fits() -> None:
    running = Job("1", "backups", "ana", "2026-11-30T19:13:26Z", "running", "8 of 30 files, 456 MiB of 1.4 GiB", 46957490, 150000000, label="Back up share now")
    partial = Job("2", "backups", "ana", "2026-11-30T19:13:26Z", "done", "PARTIAL: Back up web now - 1 thing could not be read: /srv/gone", result={"outcome": "partial"}, label="Back up web now")
    long = Job("3", "restore", "ana", "2026-11-30T19:13:26Z", "failed", "Busy: " + "since 2026-11-30 19:11 UTC " * 20, label="Restore r1")
    head, text = words(job_lines(running, ZONE, 80))
    assert head.split("  ")[0] == " running" and "Back up share now" in head and " 11-30 13:13" in head and head.endswith(" 31 %") and text.strip() == running.text
    assert [line.strip() for line in words(job_lines(partial, ZONE, 80))][1:] == ["1 thing could not be read: /srv/gone"] and words(job_lines(partial, ZONE, 80))[0].startswith(" partial ")
    restored = Job("4", "restore", "ana", "2026-11-30T19:13:26Z", "done", "Restore r1: done. 1 new.", label="Restore r1")
    assert words(job_lines(restored, ZONE, 200))[1].strip() == restored.text and "2026-11-30 13:13" in words(job_lines(restored, ZONE, 200))[0]
    for width in (80, 200):
        lines = words(job_lines(long, ZONE, width))
        assert len(lines) == 3 and max(map(len, lines)) <= width and "Busy: since 2026-11-30 13:11" in lines[1]


def test_ages_say_what_is_allowed_and_what_lies_ahead() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert [allowed(hours * 3600.0) for hours in (0.5, 1, 26, 47, 48, 200)] == ["30m", "1h", "26h", "47h", "2d", "8d"]
    assert [last(now - timedelta(hours=hours), now) for hours in (-72, -0.1, 0, 5)] == ["+3d", "now", "now", "5h"] and last(None) == ""
    seen = [BackupRow("old", "j", "j", "/r", "restic", Protection.UNKNOWN, None, None, 0, None, "", "no answer", now - timedelta(minutes=minutes), stale) for minutes, stale in ((0, "gone"), (7, "gone"), (7, ""))]
    assert [why(job, now) for job in seen] == ["stale: gone", "stale 7m: gone", "no answer"]
