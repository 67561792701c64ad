"""`deskside backups ...` as a person types it, on real repositories: what is said, and the exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.servers.backup_places import need
from tests.servers.backup_programs import make_restic

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.server]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("restic")
    place = tmp_path_factory.mktemp("site")
    (place / "source").mkdir()
    (place / "source/a.txt").write_text("one\n")
    (place / "pass").write_text("p\n")
    (place / "pass").chmod(0o600)
    make_restic(place / "repo", "p")
    (place / "config.toml").write_text(f"""
[roles]
default = "admin"
[backups.gone]
adapter = "restic"
repository = "{place}/nothing"
password = "file:{place}/pass"
[backups.vault]
adapter = "restic"
repository = "{place}/repo"
password = "file:{place}/pass"
[backups.vault.jobs.whole]
paths = ["{place}/source"]
[backups.vault.jobs.lacking]
paths = ["{place}/source", "{place}/not-there"]
host = "other"
""")
    return place


def deskside(place: Path, *words: str, noun: tuple[str, ...] = ("backups",)) -> tuple[int, Any, str]:
    """(exit code, JSON or text, standard error)."""
    done = subprocess.run(
        [sys.executable, "-m", "console", "--config", str(place / "config.toml"), "--data", str(place / "data"), *noun, *words], cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": str(place)}, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if "--json" in words and done.stdout else done.stdout, done.stderr


def test_a_backup_from_the_command_line_to_its_end(site: Path) -> None:
    code, shown, _ = deskside(site, "run", "whole", "--dry-run")
    assert code == 0 and str(site / "source") in shown
    assert deskside(site, "run", "whole")[0] == 7, "no terminal to ask on, no --yes"
    code, shown, _ = deskside(site, "run", "whole", "--yes", "--reason", "before the move")
    assert code == 0 and shown.startswith("Done: Back up whole now")
    code, shown, _ = deskside(site, "run", "lacking", "--yes", "--json")
    assert code == 3 and shown["item"]["outcome"] == "partial" and "1 thing could not be read" in shown["item"]["text"] and "not-there" in shown["item"]["text"]
    assert deskside(site, "run", "no-such-job", "--yes")[0] == 5
    code, shown, _ = deskside(site, "runs", "--backend", "vault", "--json")
    assert code == 0 and {(item["result"], item["job"].split(":")[0] == "other") for item in shown["items"]} == {("ok", False), ("partial", True)}
    ledger = "".join(path.read_text() for path in (site / "data/ledger").rglob("*") if path.is_file())
    assert '"backups.run"' in ledger and "before the move" in ledger and ledger.count('"jobs.backups"') == 4


def test_one_broken_repository_stops_no_other(site: Path) -> None:
    for verb in ("list", "snapshots", "runs", "locks", "repositories"):
        code, shown, errors = deskside(site, verb, "--json")
        assert code == 3 and ("gone: Not found" in errors or verb == "repositories") and shown["kind"] != "error"
    assert len(deskside(site, "snapshots", "--json")[1]["items"]) == 2
    assert deskside(site, "snapshots", "--backend", "gone")[0] == 5
    assert deskside(site, "snapshots", "--backend", "typo")[0] == 5
    assert deskside(site, "files", "ffffffff")[0] == 5
    found = {line.split()[1]: line.split()[0] for line in deskside(site, noun=("doctor",))[1].splitlines() if "backups." in line.split()[1]}
    assert (found["backups.gone"], found["backups.vault"]) == ("FAIL", "OK"), "the doctor asks the repository, too"
    assert deskside(site, "check", "--yes")[0] == 2, "which repository was not said"


def test_holds_forgets_and_prunes_from_the_command_line(site: Path) -> None:
    """R29: a hold set by command refuses the forget by id (with its reason) and outlives the one by policy."""
    items = deskside(site, "snapshots", "--backend", "vault", "--json")[1]["items"]
    mine = next(item for item in items if item["host"] != "other")
    for number in range(2):
        (site / "source/a.txt").write_text(f"{number}\n")
        assert deskside(site, "run", "whole", "--yes")[0] == 0
    code, shown, _ = deskside(site, "hold", mine["short_id"], "--reason", "request 12", "--yes", "--json")
    assert code == 0 and shown["item"]["outcome"] == "done"
    held = next(item for item in deskside(site, "snapshots", "--backend", "vault", "--json")[1]["items"] if item["hold"])
    assert held["short_id"] != mine["short_id"] and held["short_id"] in shown["item"]["text"], "restic gave it a new id: that is said"
    for ident in (held["short_id"], mine["short_id"]):
        code, _, errors = deskside(site, "forget", ident, "--yes")
        assert code == 7 and "request 12" in errors
    code, shown, _ = deskside(site, "forget", "--backend", "vault", "--keep-last", "1", "--yes", "--json")
    assert code == 0 and shown["item"]["outcome"] == "done"
    left = deskside(site, "snapshots", "--backend", "vault", "--json")[1]["items"]
    assert len(left) == 3 and any(item["hold"] for item in left)
    assert deskside(site, "prune", "--backend", "vault", "--yes")[0] == 7
    assert deskside(site, "prune", "--backend", "vault", "--yes", "--now")[0] == 0
    assert deskside(site, "check", "--backend", "vault", "--percent", "100", "--yes")[0] == 0
    assert deskside(site, "versions", str(site / "source/a.txt"))[1].count("a.txt") == 3


def test_a_list_the_collector_saw_is_said_to_be_old_when_the_repository_does_not_answer(site: Path) -> None:
    """A wrong password, minutes after a good look: the list is shown, standard error says what is wrong, and it ends with 3."""
    from backends.polling import Polled
    from console.live import Live

    assert deskside(site, "run", "whole", "--yes")[0] == 0
    seen = deskside(site, "snapshots", "--backend", "vault", "--json")[1]["items"]
    plain = [{key: value for key, value in item.items() if key not in ("shown", "hold")} for item in seen]
    for item in plain:
        item["time"] = datetime.fromisoformat(item["time"]).timestamp()
    Live(site / "data/live.sqlite").publish_poll("backups", "vault", [Polled("repository", {"snapshots": plain, "alarm": ""}, {})], source="collector")
    assert deskside(site, "snapshots", "--backend", "vault")[0] == 0
    (site / "pass").write_text("wrong\n")
    try:
        for verb in ("snapshots", "runs"):
            code, shown, errors = deskside(site, verb, "--backend", "vault", "--json")
            assert code == 3 and shown["items"] and "password" in errors and "was seen before" in errors, (verb, errors)
        code, shown, _ = deskside(site, "repositories", "--json")
        assert code == 3 and [(item["name"], item["reachable"]) for item in shown["items"]] == [("gone", False), ("vault", False)]
    finally:
        (site / "pass").write_text("p\n")


def test_a_drill_is_shown_before_it_is_begun_and_a_locked_repository_is_busy(site: Path) -> None:
    assert deskside(site, "run", "whole", "--yes")[0] == 0
    code, shown, _ = deskside(site, "drill", "vault", "--dry-run")
    assert code == 0 and "Rehearse a restore of" in shown and "scratch: " in shown and " -> " not in shown
    lock = site / "repo/locks"
    holder = subprocess.Popen(["restic", "-q", "-r", str(site / "repo"), "backup", "--stdin"], stdin=subprocess.PIPE, env={**os.environ, "RESTIC_PASSWORD": "p"})
    try:
        deadline = time.monotonic() + 30
        while not any(lock.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        code, _, errors = deskside(site, "check", "--backend", "vault", "--yes")
        assert code == 75 and "Busy" in errors, (code, errors)
    finally:
        holder.kill()
        holder.wait()
    shown = deskside(site, "locks", "--json")[1]["items"]
    assert shown[0]["stale"] is True
    assert deskside(site, "unlock", shown[0]["id"], "--backend", "vault", "--yes")[0] == 0
