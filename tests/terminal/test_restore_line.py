"""Restores and the line: it drops, or somebody logs out, and the restore goes on; a slow line is not flooded by the screen that follows it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.config import load_config
from console.jobs import Jobs
from tests.servers.backup_places import need
from tests.servers.backup_programs import make_restic, newest_snapshot
from tests.terminal.conftest import DESKSIDE, environment
from tests.terminal.harness import Terminal

pytestmark = [pytest.mark.server]
FOLLOWED = 1_600
"""Bytes a second that following a running restore may send: a fifth of 64 kbit/s."""


class Site:
    """A share of 4 MB, its repository, and a restic that waits at a gate or is held to a speed."""

    def __init__(self, place: Path) -> None:
        self.place, self.share, self.gate, self.speed = place, place / "srv" / "share", place / "gate", place / "speed"
        self.share.mkdir(parents=True)
        (self.share / "letter.txt").write_text("as it was")
        for number in range(40):
            (self.share / f"page {number:02}").write_bytes(os.urandom(100_000))
        (place / "secret").write_text("p")
        (place / "secret").chmod(0o600)
        make_restic(place / "repo", "p")
        own = {"PATH": os.environ["PATH"], "RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "own-cache")}
        subprocess.run(["restic", "-q", "backup", str(self.share), "--host", os.uname().nodename], env=own, check=True, capture_output=True, timeout=60)
        shutil.rmtree(self.share)
        program = place / "restic-slowly"
        program.write_text(
            f'#!/bin/sh\ncase " $* " in *" restore "*)\nwhile [ -e {self.gate} ]; do sleep 0.02; done\n'
            f'[ -e {self.speed} ] && exec restic --limit-download "$(cat {self.speed})" "$@";; esac\nexec restic "$@"\n'
        )
        program.chmod(0o755)
        self.config = place / "c.toml"
        self.config.write_text(
            f'[tickets.desk]\nadapter = "embedded"\n[backups.vault]\nadapter = "restic"\nrepository = "{place}/repo"\npassword = "file:{place}/secret"\nprogram = "{program}"\n'
        )
        self.argv = [*DESKSIDE, "--config", str(self.config), "--data", str(place / "data")]
        self.jobs = Jobs(place / "data" / "jobs", load_config(self.config, place / "data"))

    def console(self, *words: str) -> Terminal:
        return Terminal([*self.argv, *words], environment(self.place), 120, 40)

    def begin(self, terminal: Terminal) -> None:
        """On the screen: the whole share back to its place, as far as "fetching"."""
        for keys, wanted in (
            ("", "Backups 1"), ("3\r", "Snapshots 1"), ("\r", "page 01"), ("*", "marked"), ("r", "the original place"), ("o", "replace what differs"), ("d", "or why?"), ("asked\r", "enter does it"),
        ):  # fmt: skip
            terminal.send(keys)
            terminal.wait_for(wanted, 10)

    def over(self) -> str:
        """Until the newest job is over; its state."""
        self.until(lambda: self.jobs.list()[0].state not in ("running", "starting"))
        return self.jobs.list()[0].state

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for it."""
        until = time.monotonic() + 60
        while not true():
            assert time.monotonic() < until, self.jobs.list()
            time.sleep(0.02)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    need("restic")
    yield Site(tmp_path)


@pytest.mark.parametrize("how", ["the line drops", "log-out"])
def test_what_was_begun_on_the_screen_goes_on(site: Site, how: str) -> None:
    """R30: the console ends with its terminal, the restore does not; another console shows how it ended."""
    site.gate.touch()
    terminal = site.console()
    try:
        site.begin(terminal)
        terminal.send("\r")
        terminal.wait_for("fetching")
        assert not site.share.exists() or not os.listdir(site.share)
        if how == "log-out":
            _end_session(terminal.pid)
        terminal.hang_up()
        assert terminal.exit_code() in (129, 137)
    finally:
        terminal.close()
    site.gate.unlink()
    assert site.over() == "done" and (site.share / "letter.txt").read_text() == "as it was" and len(os.listdir(site.share)) == 41
    again = site.console()
    try:
        again.wait_for("Backups 1", 30)
        again.send(":restores\r")
        again.wait_for("undo")
        assert "INTERRUPTED" not in again.text()
        again.send("\r")
        again.wait_for("Audited against the snapshot")
    finally:
        again.close()


def _end_session(leader: int) -> None:
    """As logind does it: SIGHUP, SIGTERM and SIGKILL to all that is left of the session."""
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGKILL):
        listed = subprocess.run(["ps", "-e", "-o", "pid=,sid="], capture_output=True, text=True, check=True).stdout.split("\n")
        for line in filter(None, listed):
            pid, session = (int(word) for word in line.split())
            if session == leader:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass


def test_what_was_begun_by_command_goes_on(site: Site) -> None:
    """R30: `deskside backups restore` in a terminal whose line drops; the job comes to its end."""
    site.gate.touch()
    snapshot = newest_snapshot(site.place / "repo", "p")
    terminal = site.console("backups", "restore", snapshot, str(site.share), "--original", "--yes")
    try:
        terminal.wait_for("goes on when you leave")
        site.until(lambda: "fetch" in site.jobs.list()[0].text)
        terminal.hang_up()
        terminal.exit_code()
    finally:
        terminal.close()
    site.gate.unlink()
    assert site.over() == "done" and len(os.listdir(site.share)) == 41


def test_a_slow_line_is_not_flooded(site: Site) -> None:
    """Following a restore at work sends little, and a key is answered at once all the same. (restic 0.14 tells nothing on the way: see bench.restore_keys.)"""
    site.speed.write_text("900")
    terminal = site.console()
    try:
        site.begin(terminal)
        terminal.send("\r")
        terminal.wait_for("fetching")
        terminal.settle(0.1, 0.5)
        before, until = len(terminal.raw), time.monotonic() + 2.5
        while time.monotonic() < until:
            terminal.read(quiet=0.2, longest=0.5)
        sent = len(terminal.raw) - before
        assert "fetching" in terminal.text(), "it was over too soon to be measured"
        assert sent <= 2.5 * FOLLOWED, f"{sent / 2.5:.0f} bytes a second"
        terminal.send("?")
        terminal.wait_for("Keys of this view", 2)
    finally:
        terminal.close()
    assert site.over() == "done"
