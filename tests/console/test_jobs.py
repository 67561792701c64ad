"""Jobs and the collector: processes of their own, found again, one of a kind."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.contract import Actor
from backends.errors import Invalid, NotFound
from console.collector import ensure_collector, lock_path
from console.config import Config, load_config
from console.jobs import Jobs, alive, runner_argv
from console.live import Live

ROOT = Path(__file__).parent.parent.parent
ANA = Actor("ana", "Ana", "admin")


def until(true: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        select.select([], [], [], 0.02)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    file = tmp_path / "c.toml"
    file.write_text('[tickets.desk]\nadapter = "embedded"\n[devices.here]\nadapter = "local"\nevery = "1s"\n')
    return load_config(file, tmp_path / "d")


@pytest.fixture
def jobs(config: Config) -> Jobs:
    return Jobs(config.data / "jobs", config)


def test_a_job_runs_by_itself_and_leaves_its_result(jobs: Jobs, config: Config) -> None:
    ident = jobs.start("probe", {}, ANA)
    until(lambda: jobs.show(ident).state == "done")
    job = jobs.show(ident)
    assert job.text == "2 of 2 are ok" and job.actor == "ana"
    assert [line["seq"] for line in jobs.follow(ident)] == list(range(1, len(list(jobs.follow(ident))) + 1))
    from console.ledger import Ledger

    assert [(record["kind"], record["action"]) for record in Ledger(config.data / "ledger").read()] == [("result", "jobs.probe"), ("intent", "jobs.probe")]


def test_unknown_kinds_and_jobs_are_sentences(jobs: Jobs) -> None:
    with pytest.raises(Invalid):
        jobs.start("nonsense", {}, ANA)
    for ident in ("none", "../x", ".hidden"):
        with pytest.raises(NotFound):
            jobs.show(ident)


def test_the_newest_is_first_within_a_second_too(jobs: Jobs) -> None:
    started = []
    for _ in range(3):
        now = time.time_ns() // 1_000_000
        until(lambda: time.time_ns() // 1_000_000 > now)  # noqa: B023
        started.append(jobs.start("probe", {}, ANA))
    assert [job.id for job in jobs.list()] == started[::-1]
    until(lambda: all(job.state == "done" for job in jobs.list()))


def test_a_job_outlives_the_terminal_it_was_started_from(config: Config, jobs: Jobs) -> None:
    """The starter sits on a pseudo-terminal that hangs up; the job ends well."""
    import pty

    script = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\nfrom console.jobs import Jobs\nfrom console.config import load_config\n"
        f"from backends.contract import Actor\nc = load_config(Path({str(config.source)!r}), Path({str(config.data)!r}))\n"
        "print(Jobs(c.data / 'jobs', c).start('probe', {}, Actor('ana')), flush=True)\nimport time; time.sleep(60)\n"
    )
    pid, master = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", script])
    ident = os.read(master, 200).decode().strip()
    os.close(master)  # the line drops: the starter dies of SIGHUP
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGHUP
    until(lambda: jobs.show(ident).state == "done")


def test_a_job_reads_all_files_of_its_console(tmp_path: Path) -> None:
    """What the system's file names is there for a job too when the person has a file of their own."""
    system, own = tmp_path / "system.toml", tmp_path / "own.toml"
    system.write_text('[tickets.desk]\nadapter = "embedded"\n')
    own.write_text('[devices.here]\nadapter = "local"\n')
    config = load_config([system, own], tmp_path / "d")
    jobs = Jobs(config.data / "jobs", config)
    ident = jobs.start("probe", {}, ANA)
    until(lambda: jobs.show(ident).state == "done")
    assert jobs.show(ident).text == "2 of 2 are ok"


def test_a_killed_runner_is_found(jobs: Jobs) -> None:
    ident = jobs.start("probe", {}, ANA)
    until(lambda: jobs.show(ident).state == "done")
    place = jobs.folder / ident
    (place / "result.json").unlink()
    until(lambda: not alive(place))
    assert jobs.show(ident).state == "interrupted"


def test_a_cancelled_job_says_so(jobs: Jobs) -> None:
    ident = jobs.start("probe", {}, ANA)
    until(lambda: jobs.show(ident).state == "done")
    place = jobs.folder / ident
    until(lambda: not alive(place))
    for name in ("result.json", "out.jsonl"):
        (place / name).unlink()
    jobs.cancel(ident, Actor("bob"))
    assert subprocess.run(runner_argv(place), cwd="/").returncode == 1
    assert jobs.show(ident).state == "cancelled" and "bob" in jobs.show(ident).text


def test_one_collector_of_twelve_and_it_publishes(config: Config) -> None:
    script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from console.collector import main; raise SystemExit(main({config.files!r}, {str(config.data)!r}))"
    started = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(12)]
    try:
        until(lambda: sum(process.poll() is not None for process in started) == 11, 60)
        assert {process.returncode for process in started if process.poll() is not None} == {75}
        runner = next(process for process in started if process.poll() is None)
        live = Live(config.data / "live.sqlite")
        until(lambda: live.rows("devices", "here"))
        until(lambda: len(live.history(f"devices:here:{os.uname().nodename}", "memory", 0.0)) >= 2)
        assert live.last_beat() is not None
        runner.kill()
        runner.wait()
        ensure_collector(config)
        until(lambda: (beat := live.last_beat()) is not None and beat.pid != runner.pid)
        beat = live.last_beat()
        assert beat is not None
        os.kill(beat.pid, signal.SIGTERM)
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
    assert lock_path(config).exists()


def test_the_collector_reads_all_files_and_begins_anew_when_one_changes(tmp_path: Path) -> None:
    """A broken file changes nothing. `exec` keeps the process id."""
    system, own = tmp_path / "system.toml", tmp_path / "own.toml"
    system.write_text('[devices.here]\nadapter = "local"\nevery = "1s"\n')
    own.write_text('[accounts.people]\nadapter = "posix"\n')
    config = load_config([system, own], tmp_path / "d")
    ensure_collector(config)
    live = Live(config.data / "live.sqlite")

    def states() -> dict[str, str]:
        return {source.backend: source.state for source in live.sources()}

    try:
        until(lambda: states().get("here") == "ok" and live.last_beat() is not None, 30)
        first = live.last_beat()
        own.write_text("[devices.second")
        until(lambda: (beat := live.last_beat()) is not None and first is not None and beat.at > first.at + 6, 30)
        assert states()["here"] == "ok" and "second" not in states()
        own.write_text('[devices.second]\nadapter = "local"\nevery = "1s"\n')
        until(lambda: states().get("second") == "ok", 30)
        again = live.last_beat()
        assert first is not None and again is not None and again.pid == first.pid
    finally:
        beat = live.last_beat()
        if beat is not None:
            os.kill(beat.pid, signal.SIGTERM)


def test_a_hung_backend_makes_only_its_own_values_old(tmp_path: Path) -> None:
    program, secret = tmp_path / "restic", tmp_path / "p"
    program.write_text('#!/bin/sh\ncase "$1" in version) echo "restic 0.16.0"; exit 0;; esac\nsleep 60\n')
    program.chmod(0o755)
    secret.write_text("x\n")
    secret.chmod(0o600)
    file = tmp_path / "c.toml"
    file.write_text(f'[devices.here]\nadapter = "local"\nevery = "1s"\n[backups.vault]\nadapter = "restic"\nrepository = "/x"\nprogram = "{program}"\npassword = "file:{secret}"\ndeadline = "1s"\n')
    config = load_config(file, tmp_path / "d")
    ensure_collector(config)
    live = Live(config.data / "live.sqlite")
    try:
        until(lambda: any(source.state == "stale" for source in live.sources()), 30)
        states = {source.backend: source for source in live.sources()}
        assert states["here"].state == "ok" and "no answer" in states["vault"].error
    finally:
        beat = live.last_beat()
        if beat is not None:
            os.kill(beat.pid, signal.SIGTERM)


def test_csv_cells_are_no_formulas() -> None:
    from console.job_kinds import guarded

    assert guarded("=cmd|' /C calc'!A0").startswith("'=") and guarded("-1+1").startswith("'") and guarded(-5) == -5 and guarded("Ana") == "Ana"


def test_json_of_job_files_is_ascii(jobs: Jobs) -> None:
    ident = jobs.start("probe", {}, Actor("jörg"))
    assert json.loads((jobs.folder / ident / "job.json").read_text("ascii"))["actor"] == "jörg"
    until(lambda: jobs.show(ident).state == "done")


