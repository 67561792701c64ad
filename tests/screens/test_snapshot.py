"""The browser of a snapshot through the real app on real repositories: read ahead, marks that are counted, names, what is live; borg while it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from backends.backups.model import SnapshotQuery
from backends.contract import Actor
from console.app import ConsoleApp
from console.config import load_config
from console.desk import Desk
from console.people import Identity
from screens.base import ConsoleScreen
from screens.open_record import open_record
from screens.snapshot import SnapshotScreen
from tests.screens.test_flows import shown, until
from tests.servers.backup_programs import make_restic

pytestmark = [pytest.mark.server]
HOSTILE = (b"red\x1b[31m.txt", b"bad\xff.txt", b"bad\x80.txt", b"[bold]x[-bold].txt", b"two\nlines", b"right\xe2\x80\xaeleft", b"\xc2\x9b31m")


class Site:
    """A share with folders and hostile names, in a repository of restic and one of borg whose programs can be held at a gate."""

    def __init__(self, place: Path) -> None:
        for name in ("restic", "borg"):
            if shutil.which(name) is None:
                assert os.environ.get("DESKSIDE_TEST_ALL") != "1", f"{name} is not installed"
                pytest.skip(f"LEFT OUT: {name} is not installed")
        self.place, self.share = place, place / "share"
        for number in range(3):
            folder = self.share / f"folder{number}" / "deep"
            folder.mkdir(parents=True)
            (folder.parent / "list.txt").write_text("one\ntwo\n")
            for sheet in range(5):
                (folder / f"sheet{sheet}.xlsx").write_text("x" * 100)
        (self.share / "names").mkdir()
        for hostile in HOSTILE:
            Path(os.fsdecode(os.fsencode(self.share / "names") + b"/" + hostile)).write_text("hostile\n")
        self.own = {**os.environ, "RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD_FILE": str(place / "secret"), "RESTIC_CACHE_DIR": str(place / "cache"),
                    "BORG_REPO": str(place / "attic"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "BORG_BASE_DIR": str(place / "base")}  # fmt: skip
        (place / "secret").write_text("very-secret\n")
        (place / "secret").chmod(0o600)
        make_restic(place / "repo", "very-secret")
        self.gate = place / "gate"
        (place / "c.toml").write_text(
            f'[tickets.desk]\nadapter = "embedded"\n'
            f'[backups.vault]\nadapter = "restic"\nrepository = "{place}/repo"\npassword = "file:{place}/secret"\nprogram = "{self.program("restic")}"\n'
            f'[backups.attic]\nadapter = "borg"\nrepository = "{place}/attic"\nprogram = "{self.program("borg")}"\n'
        )
        self.desk = Desk(replace(load_config(place / "c.toml", place / "data"), driver="stock"), Identity(Actor("ana", "Ana", "admin"), 0))

    def program(self, name: str) -> Path:
        """The tool itself; a call that has the word at the gate waits while it stands there."""
        program = self.place / f"{name}-behind-a-gate"
        gate = f'case " $* " in *" $(cat {self.gate} 2>/dev/null) "*) while [ -e {self.gate} ]; do sleep 0.02; done;; esac'
        program.write_text(f'#!/bin/sh\n{gate}\nexec {name} "$@"\n')
        program.chmod(0o755)
        return program

    def run(self, *words: str) -> None:
        subprocess.run(words, env=self.own, check=True, capture_output=True, timeout=60)

    async def open(self, app: ConsoleApp, pilot: Pilot[int], backend: str, place: int = 0) -> None:
        """A snapshot of a repository, the newest first."""
        await until(pilot, lambda: "backups ok" in shown(app))
        found = (await (await self.desk.backend("backups", backend)).snapshots(SnapshotQuery(), 0, 5)).items
        assert isinstance(app.screen, ConsoleScreen)
        open_record(app.screen, f"snapshots:{backend}:{found[place].id}")


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    made = Site(tmp_path)
    yield made
    made.gate.unlink(missing_ok=True)
    await made.desk.close()


def harmless(text: str) -> bool:
    """Nothing in it steers a terminal."""
    return all(one == "\n" or one.isprintable() for one in text)


def browser(app: ConsoleApp) -> SnapshotScreen:
    assert isinstance(app.screen, SnapshotScreen)
    return app.screen


async def test_restic(site: Site) -> None:
    """R31: names with escapes, markup, line ends and bytes that are no text, in the list, among what is marked and found, and against what is live."""
    site.run("restic", "-q", "backup", str(site.share), "--host", "elsewhere")
    site.run("restic", "-q", "backup", str(site.share), "--host", os.uname().nodename)
    (site.share / "folder0" / "list.txt").write_text("one\ntwo\nthree\n")
    Path(os.fsdecode(os.fsencode(site.share / "names") + b"/" + HOSTILE[0])).write_text("hostile\n\x1b[31mred\n")
    (site.share / "folder1" / "list.txt").unlink()
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await site.open(app, pilot, "vault")
        await until(pilot, lambda: "4 entries" in shown(app), 30)
        await until(pilot, lambda: browser(app).work.known(os.fsencode(site.share / "folder0")) is not None, 30)
        await ahead_and_marks(site, app, pilot)
        await names_found(site, app, pilot)
        await against_live(app, pilot)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(app.screen, SnapshotScreen))
        await site.open(app, pilot, "vault", 1)
        await until(pilot, lambda: "of elsewhere" in shown(app) and "4 entries" in shown(app), 30)
        await pilot.press("d")
        await until(pilot, lambda: "the snapshot is of elsewhere" in shown(app), 30)


async def ahead_and_marks(site: Site, app: ConsoleApp, pilot: Pilot[int]) -> None:
    """What was read ahead needs no call; marks are counted behind the list; folders over a mark carry a sign."""
    site.gate.write_text("ls")
    await pilot.press("enter")
    await until(pilot, lambda: "list.txt" in shown(app) and "share/folder0 " in shown(app), 3)
    await pilot.press("escape")
    await until(pilot, lambda: "4 entries" in shown(app), 3)
    await pilot.press("space", "space")
    await until(pilot, lambda: "2 marked: counting ..." in shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: "share/folder2 " in shown(app), 3)
    site.gate.unlink()
    await until(pilot, lambda: "2 marked: 12 files, 1016 B" in shown(app), 30)
    await pilot.press("enter")
    await until(pilot, lambda: "sheet4.xlsx" in shown(app), 30)
    await pilot.press("u", "space", "escape")
    await until(pilot, lambda: "deep/ •" in shown(app) and "1 marked: 1 file, 100 B" in shown(app), 30)
    await pilot.press("G", "space")
    await until(pilot, lambda: "2 marked: 2 files, 108 B" in shown(app), 30)
    await pilot.press("escape")
    await until(pilot, lambda: "folder2/ •" in shown(app))
    await pilot.press("u")
    await until(pilot, lambda: "•" not in shown(app) and "marked" not in shown(app))


async def names_found(site: Site, app: ConsoleApp, pilot: Pilot[int]) -> None:
    """A search is stopped by esc, and left by the next one."""
    site.gate.write_text("find")
    await pilot.press("s", *"*.txt", "enter")
    await until(pilot, lambda: "looking: 0 found" in shown(app))
    await pilot.press("escape")
    await until(pilot, lambda: "Stopped: 0 found so far" in shown(app) and "looking" not in shown(app), 3)
    site.gate.unlink()
    await pilot.press("escape")
    await until(pilot, lambda: "4 entries" in shown(app))
    await pilot.press("s", *"*.txt", "enter")
    await until(pilot, lambda: "7 entries" in shown(app) and "looking" not in shown(app), 30)
    assert harmless(shown(app)) and "[bold]x[-bold].txt" in shown(app) and "bad\\xff.txt" in shown(app) and "bad\\x80.txt" in shown(app)
    await pilot.press("escape")
    await until(pilot, lambda: "4 entries" in shown(app))


async def against_live(app: ConsoleApp, pilot: Pilot[int]) -> None:
    """Differences by name, a text line by line."""
    await pilot.press("g", "j", "d")
    await until(pilot, lambda: "1 gone since" in shown(app) and "6 the same" in shown(app), 30)
    await pilot.press("escape", "G", "space", "d")
    await until(pilot, lambda: "1 newer now" in shown(app) and "6 the same" in shown(app), 30)
    assert harmless(shown(app))
    await pilot.press("enter")
    await until(pilot, lambda: "+\\x1b[31mred" in shown(app), 30)
    assert harmless(shown(app))
    await pilot.press("escape", "escape")
    await until(pilot, lambda: "1 marked: 7 files" in shown(app), 30)
    await pilot.press("u", "enter")
    await until(pilot, lambda: "7 entries" in shown(app), 30)
    assert harmless(shown(app)) and "[bold]x[-bold].txt" in shown(app)


async def test_borg(site: Site) -> None:
    """R31 in borg's archive: while it is read esc leaves at once; then its folders answer."""
    site.run("borg", "init", "-e", "none")
    site.run("borg", "create", "::share-one", str(site.share))
    site.gate.write_text("dump-archive-items")
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await site.open(app, pilot, "attic")
        await until(pilot, lambda: "reading the archive: 0 entries ..." in shown(app), 30)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, SnapshotScreen), 3)
        await site.open(app, pilot, "attic")
        await until(pilot, lambda: "reading the archive" in shown(app), 30)
        site.gate.unlink()
        await until(pilot, lambda: "4 entries" in shown(app) and "reading" not in shown(app), 30)
        await pilot.press("G", "enter")
        await until(pilot, lambda: "7 entries" in shown(app), 30)
        assert harmless(shown(app)) and "[bold]x[-bold].txt" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: "4 entries" in shown(app), 30)
        await pilot.press("g", "space")
        await until(pilot, lambda: "1 marked: 6 files, 508 B" in shown(app), 30)


async def test_an_archive_that_goes_meanwhile(site: Site) -> None:
    """Said once, in the place of the files; not read again and again."""
    site.run("borg", "init", "-e", "none")
    site.run("borg", "create", "::share-one", str(site.share))
    site.gate.write_text("dump-archive-items")
    app = ConsoleApp(site.desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await site.open(app, pilot, "attic")
        await until(pilot, lambda: "reading the archive" in shown(app), 30)
        site.run("borg", "delete", "::share-one")
        site.gate.unlink()
        await until(pilot, lambda: "Archive share-one does not exist" in shown(app) and "reading" not in shown(app), 20)
