"""Restores through the real app on a real restic repository: into a new folder, over a changed file with undo, by a ticket."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backends.backups.model import BackupQuery
from backends.contract import Actor, Change
from console.app import ConsoleApp
from console.config import load_config
from console.desk import Desk
from console.people import Identity
from screens.base import ConsoleScreen
from screens.open_record import open_record
from tests.screens.test_flows import shown, until
from tests.servers.backup_programs import make_restic

pytestmark = [pytest.mark.server]
ANA = Actor("ana", "Ana", "admin")
HOST = os.uname().nodename


class Site:
    """A share, a repository with two snapshots of it, and a desk that knows it."""

    def __init__(self, place: Path) -> None:
        if shutil.which("restic") is None:
            assert os.environ.get("DESKSIDE_TEST_ALL") != "1", "restic is not installed"
            pytest.skip("LEFT OUT: restic is not installed")
        self.place, self.share = place, place / "share"
        (self.share / "sub").mkdir(parents=True)
        self.letter = self.share / "letter.txt"
        (place / "secret").write_text("very-secret\n")
        (place / "secret").chmod(0o600)
        make_restic(place / "repo", "very-secret")
        for text in ("as it was", "as it was later"):
            self.letter.write_text(text)
            (self.share / "sub" / "steering\x1b[31m.txt").write_text("red \x1b[31m")
            self.restic("backup", str(self.share), "--host", HOST)
        self.letter.write_text("typed over today")
        self.gate, self.cut = place / "gate", place / "cut"
        program = place / "restic-behind-a-gate"
        program.write_text(f'#!/bin/sh\ncase " $* " in *" restore "*) while [ -e {self.gate} ]; do sleep 0.02; done\nif [ -e {self.cut} ]; then echo "Fatal: connection lost" >&2; exit 1; fi;; esac\nexec restic "$@"\n')
        program.chmod(0o755)
        (place / "c.toml").write_text(
            f'[tickets.desk]\nadapter = "embedded"\n[backups.vault]\nadapter = "restic"\nrepository = "{place}/repo"\npassword = "file:{place}/secret"\nprogram = "{program}"\n'
            f'[backups.vault.jobs.share]\npaths = ["{self.share}"]\nhost = "{HOST}"\nschedule = "daily 01:00"\nkeep = {{ last = 1 }}\n[restore]\ntries = ["0.1s"]\n'
        )
        config = replace(load_config(place / "c.toml", place / "data"), driver="stock")
        self.desk = Desk(config, Identity(ANA, 0))

    def restic(self, *words: str) -> None:
        own = {"RESTIC_REPOSITORY": str(self.place / "repo"), "RESTIC_PASSWORD_FILE": str(self.place / "secret"), "RESTIC_CACHE_DIR": str(self.place / "cache")}
        subprocess.run(["restic", "-q", *words], env={**os.environ, **own}, check=True, capture_output=True, timeout=60)


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = Site(tmp_path)
    yield made
    await made.desk.close()


async def to_the_share(app: ConsoleApp, pilot: Pilot[int]) -> None:
    """From the desk to the newest snapshot's folder."""
    await until(pilot, lambda: "backups ok" in shown(app))
    await pilot.press("3")
    await until(pilot, lambda: str(app.desk_screen().pane().grid.cursor_key).startswith("backups:vault"))
    await pilot.press("enter")
    await until(pilot, lambda: "Snapshots 2" in shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: "letter.txt" in shown(app), 30)


async def test_into_a_new_folder_by_a_ticket(site: Site) -> None:
    backend = await site.desk.backend("tickets")
    plan = await backend.plan(Change("tickets", "desk", "create", "", values={"subject": "letter gone"}), ANA)
    ticket = str((await backend.apply(plan, ANA, "op")).target)
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "letter gone" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Tickets ›" in shown(app))
        page = await (await site.desk.backend("backups")).backups(BackupQuery(), 0, 5)
        assert isinstance(app.screen, ConsoleScreen)
        open_record(app.screen, f"backups:vault:{page.items[0].id}")
        await until(pilot, lambda: "Snapshots 2" in shown(app))
        await pilot.press("j", "enter")  # the older one
        await until(pilot, lambda: "letter.txt" in shown(app), 30)
        await pilot.press("space", "space")
        await until(pilot, lambda: "2 marked: 2 files, 18 B" in shown(app))
        await pilot.press("r")
        await until(pilot, lambda: f"anewfolder{site.place}/home/restored-" in "".join(shown(app).split()))  # folded where the path is long
        await pilot.press("n")
        await until(pilot, lambda: "Into the new folder:" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "For which ticket, or why? T-1001" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "What goes on the ticket?" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: "enter does it" in shown(app), 30)
        assert "ana: T-1001" in shown(app) and "no live file is touched" in shown(app) and "2 new" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "It is over: done" in shown(app), 60)
        assert "audited against the snapshot" in shown(app)
    found = sorted(path.read_text() for path in next((site.place / "home").glob("restored-*")).rglob("*") if path.is_file())
    assert found == ["as it was", "red \x1b[31m"]
    assert site.letter.read_text() == "typed over today"
    notes = " ".join(event.body for event in await backend.timeline(ticket))
    assert "Audited against the snapshot" in notes


async def test_over_a_newer_file_and_back(site: Site) -> None:
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_the_share(app, pilot)
        await pilot.press("j", "r")
        await until(pilot, lambda: "the original place" in shown(app))
        await pilot.press("o")
        await until(pilot, lambda: "replace what differs" in shown(app))
        await pilot.press("d")
        await until(pilot, lambda: "or why?" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "needs a ticket or a reason" in shown(app))
        await pilot.press(*"asked", "enter")
        await until(pilot, lambda: "'1' is to be typed" in shown(app), 30)
        assert "1 replaced (1 newer than the backup)" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "type 1 to do it" in shown(app))
        await pilot.press("2", "enter")
        await until(pilot, lambda: "Nothing was done" in shown(app))
        assert site.letter.read_text() == "typed over today"
        await pilot.press("enter")
        await until(pilot, lambda: "type 1 to do it" in shown(app))
        await pilot.press("1", "enter")
        await until(pilot, lambda: "It is over: done" in shown(app), 60)
        assert site.letter.read_text() == "as it was later"
        await pilot.press("U")
        await until(pilot, lambda: "files changed since the restore are left" in shown(app))
        await pilot.press("u")
        await until(pilot, lambda: "enter does it" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "It is over: undone" in shown(app), 60)
        assert site.letter.read_text() == "typed over today"
        await pilot.press(*":restores", "enter")
        await until(pilot, lambda: "Restores  1" in shown(app) and "undone" in shown(app))


async def test_versions_search_and_a_look_into_a_file(site: Site) -> None:
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_the_share(app, pilot)
        await pilot.press("s")
        await until(pilot, lambda: "whole snapshot" in shown(app))
        await pilot.press(*"steering", "enter")
        await until(pilot, lambda: "*steering* in all of it" in shown(app) and "sub/steering" in shown(app), 30)
        await pilot.press("p")
        await until(pilot, lambda: "red \\x1b[31m" in shown(app), 30)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: "letter.txt" in shown(app))
        await pilot.press("G", "V")
        await until(pilot, lambda: "Versions of" in shown(app) or "Versions are of a file" in shown(app))
        await until(pilot, lambda: "CHANGED, +6 B" in shown(app) and "the oldest that is kept" in shown(app), 30)


async def begin(app: ConsoleApp, pilot: Pilot[int], site: Site) -> None:
    """The letter over the live one, as far as the tool, which waits at the gate."""
    await to_the_share(app, pilot)
    site.gate.touch()
    await pilot.press("j", "r")
    await until(pilot, lambda: "the original place" in shown(app))
    await pilot.press("o")
    await until(pilot, lambda: "replace what differs" in shown(app))
    await pilot.press("d")
    await until(pilot, lambda: "or why?" in shown(app))
    await pilot.press(*"asked", "enter")
    await until(pilot, lambda: "'1' is to be typed" in shown(app), 30)
    await pilot.press("enter")
    await until(pilot, lambda: "type 1 to do it" in shown(app))
    await pilot.press("1", "enter")
    await until(pilot, lambda: " fetching " in shown(app), 30)


async def test_stopped_on_the_way(site: Site) -> None:
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await begin(app, pilot, site)
        await pilot.press("X")
        await until(pilot, lambda: "live files untouched" in shown(app))
        await until(pilot, lambda: "It is over: cancelled" in shown(app), 30)
        await pilot.press("U")
        await until(pilot, lambda: "take back: it is cancelled" in shown(app))
    assert site.letter.read_text() == "typed over today" and os.listdir(site.share.parent).count("share") == 1


async def test_one_that_was_killed_is_said_at_the_start_and_resumed(site: Site) -> None:
    """R30: the next start of the console says that a restore was cut off."""
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(app, pilot, site)
        job = site.desk.jobs.list()[0].id
        listed = subprocess.run(["ps", "-ww", "-eo", "pid=,args="], check=True, capture_output=True, text=True).stdout.splitlines()
        os.kill(next(int(line.split()[0]) for line in listed if "console.runner" in line and job in line), signal.SIGKILL)
        await until(pilot, lambda: "INTERRUPTED" in shown(app))
    site.gate.unlink()
    again = Desk(site.desk.config, Identity(ANA, 0))
    other = ConsoleApp(again)
    async with other.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "1 restore was cut off" in shown(other))
        await pilot.press(*":restores", "enter")
        await until(pilot, lambda: "INTERRUPTED" in shown(other) and "resume, discard" in shown(other))
        await goes_on(other, pilot)
    await again.close()
    assert site.letter.read_text() == "as it was later"


async def goes_on(app: ConsoleApp, pilot: Pilot[int]) -> None:
    """`e` on the one in the list, to its end."""
    await pilot.press("e")
    await until(pilot, lambda: "enter does it" in shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: "It is over: done" in shown(app), 60)


async def test_one_that_stopped_says_why_and_goes_on(site: Site) -> None:
    """The repository can't be reached: tried again, stopped, in words on each screen; e goes on."""
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await begin(app, pilot, site)
        site.cut.touch()
        site.gate.unlink()
        await until(pilot, lambda: "STOPPED" in shown(app) and "It stopped and can be gone on with.   e goes on, x gives it up" in shown(app), 30)
        assert "the repository could not be reached" in shown(app) and "trying again in 0.1 s" in shown(app) and "resume, discard" in shown(app)
        assert site.letter.read_text() == "typed over today"
        await pilot.press("escape")
        await pilot.press(*":restores", "enter")
        await until(pilot, lambda: "1 stopped: resume, or give up" in shown(app) and "STOPPED" in shown(app))
        await pilot.press("U")
        await until(pilot, lambda: "it is stopped; it can be: resume, discard" in shown(app))
    again = Desk(site.desk.config, Identity(ANA, 0))
    other = ConsoleApp(again)
    async with other.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "1 restore stopped: `:restores` says why" in shown(other))
        site.cut.unlink()
        await pilot.press(*":restores", "enter")
        await until(pilot, lambda: "STOPPED" in shown(other))
        await goes_on(other, pilot)
    await again.close()
    assert site.letter.read_text() == "as it was later"


async def test_how_it_stands_and_a_hold(site: Site) -> None:
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 60)) as pilot:
        await to_the_share(app, pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "Snapshots 2" in shown(app))
        await pilot.press("h")
        await until(pilot, lambda: ": why?" in shown(app))
        await pilot.press(*"records request 12", "enter")
        await until(pilot, lambda: "esc leaves it" in shown(app), 30)
        await pilot.press("enter")
        await until(pilot, lambda: "Done: " in shown(app), 30)
        await pilot.press("i")
        await until(pilot, lambda: "records request 12" in shown(app) and "not proven" in shown(app) and "daily 01:00" in shown(app) and "Locks" in shown(app), 30)
        await pilot.press("b")
        await until(pilot, lambda: "not on this screen" in shown(app))
        await pilot.press("escape", "b")
        await until(pilot, lambda: "Before when was it good" in shown(app))
        await pilot.press(*"yesterday", "enter")
        await until(pilot, lambda: "No readable snapshot before" in shown(app))
        await pilot.press("escape")
