"""Restores as a person does them: `deskside backups ...` on a real restic repository - ticket, ledger, job, kill, resume, undo, drill."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from console.config import load_config
from console.jobs import Jobs
from console.ledger import Ledger
from tests.servers.backup_programs import make_restic, since

pytestmark = [pytest.mark.server]
ROOT = Path(__file__).parent.parent.parent


def until(true: Callable[[], object], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        select.select([], [], [], 0.02)


class Site:
    """A configuration, a share and its snapshot."""

    def __init__(self, place: Path) -> None:
        if shutil.which("restic") is None:
            pytest.skip("LEFT OUT: restic is not installed")
        self.place, self.share = place, place / "srv" / "share"
        (self.share / "sub").mkdir(parents=True)
        (self.share / "letter.txt").write_text("as it was")
        (self.share / "sub" / "big").write_bytes(os.urandom(2_000_000))
        (place / "secret").write_text("very-secret\n")
        (place / "secret").chmod(0o600)
        own = {"RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD_FILE": str(place / "secret"), "RESTIC_CACHE_DIR": str(place / "cache")}
        make_restic(place / "repo", "very-secret")
        subprocess.run(["restic", "-q", "backup", str(self.share), "--host", "fs01"], env={**os.environ, **own}, check=True, capture_output=True, timeout=60)
        self.gate = place / "gate"
        program = place / "restic-behind-a-gate"
        program.write_text(f'#!/bin/sh\ncase " $* " in *" restore "*) while [ -e {self.gate} ]; do sleep 0.02; done;; esac\nexec restic "$@"\n')
        program.chmod(0o755)
        self.file = place / "c.toml"
        self.file.write_text(
            f'[tickets.desk]\nadapter = "embedded"\n[backups.vault]\nadapter = "restic"\nrepository = "{place}/repo"\npassword = "file:{place}/secret"\nprogram = "{program}"\n'
            '[restore]\nsecond_person = ["remove"]\n[roles]\ndefault = "admin"\n'
        )
        self.data = place / "data"
        self.id = self.json("backups", "snapshots")["items"][0]["id"]

    def argv(self, *words: str) -> list[str]:
        script = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from console.__main__ import main; raise SystemExit(main())"
        return [sys.executable, "-c", script, "--config", str(self.file), "--data", str(self.data), *words]

    def run(self, *words: str, code: int = 0) -> str:
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.place / "cache")}
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, env=environment)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def json(self, *words: str) -> dict[str, Any]:
        return dict(json.loads(self.run(*words, "--json").splitlines()[0]))

    def jobs(self) -> Jobs:
        return Jobs(self.data / "jobs", load_config(self.file, self.data))

    def newest(self) -> str:
        return str(self.json("backups", "restores")["items"][0]["run"])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = Site(tmp_path)
    yield found
    found.gate.unlink(missing_ok=True)  # no job waits there for ever where a test has failed


def test_from_a_ticket_to_its_report_and_back(site: Site) -> None:
    ticket = site.json("tickets", "create", "lost letter", "--requester", "bob", "--email", "bob@example.org", "--yes")["item"]["target"]
    (site.share / "letter.txt").write_text("spoiled")
    dry = json.loads(site.run("backups", "restore", site.id, str(site.share), "--original", "--dry-run", "--json"))["item"]
    assert (dry["replaces"], dry["confirm"], dry["danger"]) == (1, "1", 2) and dry["items"][0]["status"] == "newer"
    site.run("backups", "restore", site.id, str(site.share), "--original", code=7)  # no terminal to ask on
    assert (site.share / "letter.txt").read_text() == "spoiled"
    said = site.run("backups", "restore", site.id, str(site.share), "--original", "--yes", "--ticket", ticket, "--reason", "asked", "--tell-requester")
    assert "done" in said and "Audited against the snapshot" in said and (site.share / "letter.txt").read_text() == "as it was"
    shown = site.run("tickets", "show", ticket)
    assert "restored from the backup" in shown and "and checked" in shown and "1 replaced" in shown and "PUBLIC root replied" in shown
    records = Ledger(site.data / "ledger").read()
    kept = next(record for record in records if record["kind"] == "restore")
    assert len(kept["report_hash"]) == len(kept["plan_hash"]) == 64 and kept["outcome"] == "done" and kept["ticket"].endswith(ticket)
    run = site.newest()
    assert "taken back" in site.run("backups", "undo", run, "--yes") and (site.share / "letter.txt").read_text() == "spoiled"
    site.run("backups", "undo", run, "--yes", code=7)
    assert Ledger(site.data / "ledger").verify().ok
    for path in [path for path in site.data.rglob("*") if path.is_file()]:
        assert b"very-secret" not in path.read_bytes(), path


def test_refusals_and_second_person(site: Site) -> None:
    for words in (["--to", "/etc/x"], ["--to", str(site.data / "x")], ["--to", str(site.place / "repo" / "x")]):
        site.run("backups", "restore", site.id, str(site.share), *words, "--yes", code=7)
    site.run("backups", "restore", site.id, "relative", "--to", str(site.place / "x"), "--yes", code=2)
    site.run("backups", "restore", site.id, "/never/was", "--to", str(site.place / "x"), "--yes", code=5)
    (site.share / "later").write_text("came later")
    words = ["backups", "restore", site.id, str(site.share), "--original", "--policy", "exact", "--yes"]
    site.run(*words, code=4)
    assert (site.share / "later").exists()
    site.run(*words, "--approver", "boss")
    assert not (site.share / "later").exists()
    text = site.file.read_text()
    site.file.write_text(text + '[console]\nread_only = true\n')
    site.run(*words, "--approver", "boss", code=7)


def test_the_job_outlives_the_console_and_is_cancelled_from_another(site: Site) -> None:
    """R30: the command is killed as soon as the job runs; the restore comes to its end. Another one is cancelled by somebody else."""
    shutil.rmtree(site.share)
    site.gate.touch()
    console = subprocess.Popen(site.argv("backups", "restore", site.id, str(site.share), "--original", "--yes"), stdout=subprocess.PIPE, text=True)
    assert console.stdout is not None and "goes on when you leave" in console.stdout.readline()
    console.kill()
    console.wait()
    site.gate.unlink()
    jobs = site.jobs()
    until(lambda: jobs.list()[0].state == "done")
    assert (site.share / "letter.txt").read_text() == "as it was"
    (site.share / "letter.txt").write_text("spoiled")
    site.gate.touch()
    site.run("backups", "restore", site.id, str(site.share), "--original", "--yes", "--no-follow")
    first = jobs.list()[1].result["run"]
    until(lambda: site.newest() != first)  # the list has it once the job has begun
    assert "live files untouched" in site.run("backups", "restores", site.newest(), "--cancel")
    until(lambda: jobs.list()[0].state not in ("running", "starting"))
    job = jobs.list()[0]
    assert job.state == "cancelled" and "untouched" in job.text and job.result["counts"] == {}
    assert (site.share / "letter.txt").read_text() == "spoiled"


def test_a_killed_job_is_found_and_resumed_or_given_up(site: Site) -> None:
    """R30: the job is killed while it fetches; the list says interrupted, live files are untouched, and both ways out work."""
    (site.share / "letter.txt").write_text("spoiled")
    for way in ("--resume", "--discard"):
        site.gate.touch()
        site.run("backups", "restore", site.id, str(site.share), "--original", "--yes", "--no-follow")
        jobs = site.jobs()
        job = jobs.list()[0].id
        told = json.loads((site.data / "jobs" / job / "job.json").read_text())
        journal = site.data / "restores" / told["spec"]["run"] / "journal.jsonl"
        until(lambda: b'"fetching"' in (journal.read_bytes() if journal.exists() else b""))  # noqa: B023
        runner = next(int(line.split()[0]) for line in _ps() if "console.runner" in line and job in line)
        os.kill(runner, signal.SIGKILL)
        until(lambda: jobs.show(job).state != "running")  # noqa: B023
        row = next(item for item in site.json("backups", "restores")["items"] if item["run"] == told["spec"]["run"])
        site.gate.unlink()
        assert row["interrupted"] and "cut off" in row["text"] and (site.share / "letter.txt").read_text() == "spoiled"
        said = site.run("backups", "restores", row["run"], way, "--yes")
        assert (site.share / "letter.txt").read_text() == ("as it was" if way == "--resume" else "spoiled"), said
        if way == "--resume":
            site.run("backups", "undo", row["run"], "--yes")
    assert os.listdir(site.share.parent) == ["share"]


def _ps() -> list[str]:
    return subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_drill_proves_and_a_damaged_backup_does_not(site: Site) -> None:
    before = json.loads(site.run("backups", "drills", "--json", code=3))
    assert before["items"][0]["result"] == "not proven" and before["items"][0]["overdue"]
    said = site.run("backups", "drill", "vault", "--seed", "7", "--yes")
    assert "proven" in said
    item = site.json("backups", "drills")["items"][0]
    assert (item["result"], item["seed"], item["overdue"], item["files"]) == ("proven", 7, False, 2) and len(item["hash"]) == 64
    evidence = json.loads(Path(item["evidence"]).read_text())
    assert len(evidence["more"]["files"]) == 2 and all(len(digest) == 64 for digest in evidence["more"]["files"].values())
    assert any(record["kind"] == "drill" and record["evidence_hash"] == item["hash"] for record in Ledger(site.data / "ledger").read())
    pack = max((path for path in (site.place / "repo" / "data").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    content = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(content[:50_000] + bytes(byte ^ 255 for byte in content[50_000:50_100]) + content[50_100:])
    site.run("backups", "drill", "vault", "--seed", "8", "--yes", code=3)
    worse = json.loads(site.run("backups", "drills", "--json"))["items"][0]
    assert worse["result"] == "partial" and worse["mismatches"] and os.listdir(site.share.parent) == ["share"]


def test_stopped_gone_on_with_and_given_up(site: Site) -> None:
    """The line is cut when all but the end is there: said with what is kept, on the ticket and in the ledger; then resumed, and another given up."""
    ticket = site.json("tickets", "create", "lost letter", "--requester", "bob", "--email", "bob@example.org", "--yes")["item"]["target"]
    cut, real = site.place / "cut", since("restic", 0, 17).path
    (site.place / "restic-behind-a-gate").write_text(
        f'#!/bin/sh\ncase " $* " in *" restore "*) if [ -e {cut} ]; then {real} "$@" >/dev/null 2>&1; echo "Fatal: connection lost" >&2; exit 1; fi;; esac\nexec {real} "$@"\n'
    )
    site.file.write_text(site.file.read_text().replace("[restore]\n", '[restore]\ntries = ["0.1s", "0.2s"]\n'))
    cut.touch()
    (site.share / "letter.txt").write_text("spoiled")
    words = ("backups", "restore", site.id, str(site.share), "--original", "--yes", "--reason", "asked")
    said = site.run(*words, "--ticket", ticket, "--tell-requester", code=1)
    (staging,) = site.share.parent.glob(".deskside-restore-*")
    run = site.newest()
    for text in (said, site.run("backups", "restores", run), site.run("tickets", "show", ticket)):
        assert "the repository could not be reached" in text and "1.9 MiB are kept until" in " ".join(text.split()) and staging.name in text, text
    assert f"restores {run} --resume` goes on" in said and "PUBLIC root replied" not in site.run("tickets", "show", ticket)
    line = site.json("backups", "restores")["items"][0]
    assert (line["state"], line["can"]) == ("stopped", ["resume", "discard"]) and (site.share / "letter.txt").read_text() == "spoiled"
    told = [json.loads(text)["message"] for text in (site.data / "restores" / run / "events.jsonl").read_text().splitlines()]
    assert sum("trying again in 0." in text for text in told) == 2
    cut.unlink()
    said = site.run("backups", "restores", run, "--resume", "--yes", "--reason", "asked")
    assert "done" in said and "Audited" in said and (site.share / "letter.txt").read_text() == "as it was"
    shown = site.run("tickets", "show", ticket)
    assert "PUBLIC root replied" in shown and "restored from the backup" in shown
    assert [record["outcome"] for record in Ledger(site.data / "ledger").read() if record["kind"] == "restore"] == ["done", "stopped"]
    site.run("backups", "undo", run, "--yes")
    cut.touch()
    site.run(*words, code=1)
    site.run("backups", "restores", site.newest(), "--discard", "--yes", "--reason", "asked")
    until(lambda: os.listdir(site.share.parent) == ["share"])
    assert (site.share / "letter.txt").read_text() == "spoiled" and site.json("backups", "restores")["items"][0]["state"] == "cancelled"
