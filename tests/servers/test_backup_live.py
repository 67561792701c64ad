"""`deskside backups diff SNAPSHOT --live PATH` as a person types it, on real repositories of restic and borg."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.servers.backup_places import need

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.server]
DAY = 86400


class Site:
    """A share that was backed up once, by a program and from a host, with a configuration of its own."""

    def __init__(self, kind: str, place: Path) -> None:
        need(kind)
        self.kind, self.place, self.share = kind, place, place / "share"
        self.share.mkdir()
        for name in ("same", "longer", "set back", "touched", "kept its time", "was a file", "gone"):
            (self.share / name).write_text("one\n")
            os.utime(self.share / name, (DAY, DAY))
        (self.share / "sub").mkdir()
        (self.share / "sub/inner").write_text("two\n")
        (self.share / "goes").mkdir()
        (self.share / "goes/with it").write_text("three\n")
        (self.share / "link").symlink_to("same")
        (self.share / "same link").symlink_to("same")
        (place / "pass").write_text("p\n")
        (place / "pass").chmod(0o600)
        self.run(["-q", "init"] if kind == "restic" else ["init", "-e", "repokey"])
        self.run(["-q", "backup", str(self.share)] if kind == "restic" else ["create", "::share-2026-03-08", str(self.share)])
        (place / "config.toml").write_text(f'[backups.vault]\nadapter = "{kind}"\nrepository = "{place}/repo"\npassword = "file:{place}/pass"\n')
        self.snapshot = str(self.deskside("snapshots", "--json")[1]["items"][0]["short_id"])

    def run(self, words: list[str], **more: str) -> None:
        own = {"RESTIC_REPOSITORY": f"{self.place}/repo", "RESTIC_PASSWORD": "p", "BORG_REPO": f"{self.place}/repo", "BORG_PASSPHRASE": "p", "HOME": str(self.place)}
        subprocess.run([self.kind, *words], env={**os.environ, **own, **more}, check=True, capture_output=True, timeout=60)

    def deskside(self, *words: str) -> tuple[int, Any, str]:
        """(exit code, JSON or text, standard error)."""
        done = subprocess.run(
            [sys.executable, "-m", "console", "--config", f"{self.place}/config.toml", "--data", f"{self.place}/data", "backups", *words], cwd=ROOT,
            env={"PATH": os.environ["PATH"], "HOME": str(self.place)}, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return done.returncode, json.loads(done.stdout) if "--json" in words and done.stdout else done.stdout, done.stderr

    def live(self, path: str | Path, *words: str) -> tuple[int, Any, str]:
        """The command, against what is below a path now."""
        return self.deskside("diff", self.snapshot, "--live", str(path), *words)

    def change(self) -> None:
        """Each kind of difference once, but for what can't be looked at."""
        (self.share / "new \x1b[31m\nline").write_text("new\n")
        (self.share / "longer").write_text("longer\n")
        (self.share / "set back").write_text("longer\n")
        os.utime(self.share / "set back", (1, 1))
        os.utime(self.share / "touched", (2 * DAY, 2 * DAY))
        (self.share / "kept its time").write_text("longer\n")
        os.utime(self.share / "kept its time", (DAY, DAY))
        (self.share / "was a file").unlink()
        (self.share / "was a file").mkdir()
        (self.share / "gone").unlink()
        shutil.rmtree(self.share / "goes")
        (self.share / "link").unlink()
        (self.share / "link").symlink_to("elsewhere")


@pytest.fixture(params=["restic", "borg"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return Site(request.param, tmp_path)


def test_nothing_changed(site: Site) -> None:
    code, shown, errors = site.live(site.share, "--json")
    assert (code, shown["items"], errors) == (0, [], "") and shown["counts"] == {} and shown["same"] == 13
    code, text, _ = site.live(site.share)
    assert code == 0 and text.rstrip().endswith("13 the same")


def test_each_difference_by_its_word(site: Site) -> None:
    """Differences are no failure: the exit code is 0. Names from outside come cleaned, exact ones in hex."""
    site.change()
    code, shown, _ = site.live(site.share, "--json")
    found = {os.fsdecode(bytes.fromhex(item["path_hex"])).removeprefix(f"{site.share}/"): item for item in shown["items"]}
    assert code == 0 and {name: item["word"] for name, item in found.items()} == {
        "new \x1b[31m\nline": "new", "longer": "newer", "set back": "older", "touched": "time", "kept its time": "size", "was a file": "type",
        "gone": "gone", "goes": "gone", "goes/with it": "gone", "link": "target",
    }  # fmt: skip
    assert shown["counts"] == {"new": 1, "newer": 1, "older": 1, "time": 1, "size": 1, "type": 1, "gone": 3, "target": 1}
    assert shown["same"] == 4, "same, sub, sub/inner and the other link"
    assert (found["longer"]["size"], found["longer"]["live_size"]) == (4, 7) and found["gone"]["live_size"] is None
    assert found["was a file"]["kind"] == "dir" and found["goes"]["kind"] == "dir"
    assert not any(sign in item["path"] for item in shown["items"] for sign in "\x1b\n")
    assert [item["path_hex"] for item in shown["items"]] == sorted(item["path_hex"] for item in shown["items"])
    code, text, _ = site.live(site.share)
    assert code == 0 and "\x1b" not in text and text.rstrip().endswith("3 gone, 1 new, 1 newer, 1 older, 1 size, 1 target, 1 time, 1 type, 4 the same")


def test_below_a_folder_and_one_file(site: Site) -> None:
    site.change()
    assert site.live(site.share / "sub", "--json")[1]["same"] == 1
    code, shown, _ = site.live(site.share / "longer", "--json")
    assert code == 0 and [item["word"] for item in shown["items"]] == ["newer"] and shown["same"] == 0
    assert site.live(site.share / "goes", "--json")[1]["counts"] == {"gone": 1}


def test_what_can_not_be_looked_at_ends_with_3(site: Site) -> None:
    """Below a link to itself nobody can look, root included."""
    shutil.rmtree(site.share)
    site.share.symlink_to("share")
    code, shown, _ = site.live(site.share / "sub", "--json")
    assert code == 3 and shown["counts"] == {"unread": 1}


def test_what_lies_behind_a_link_that_was_a_folder_is_not_compared(site: Site) -> None:
    (site.share / "sub").rename(site.place / "moved")
    (site.share / "sub").symlink_to(site.place / "moved")
    code, shown, _ = site.live(site.share, "--json")
    assert code == 0 and shown["counts"] == {"type": 1, "gone": 1}


def test_what_is_refused(site: Site) -> None:
    code, _, errors = site.live(site.share / "never")
    assert code == 5 and "not in the snapshot" in errors
    assert site.deskside("diff", "ffffffff", "--live", str(site.share))[0] == 5
    code, _, errors = site.deskside("diff", site.snapshot, site.snapshot, "--live", str(site.share))
    assert code == 2 and "don't go together" in errors
    code, _, errors = site.deskside("diff", site.snapshot)
    assert code == 2 and "--live PATH" in errors


def test_the_snapshot_of_another_host_is_refused(tmp_path: Path) -> None:
    made = Site("restic", tmp_path)
    made.run(["-q", "backup", "--host", "elsewhere", str(made.share)])
    other = next(item for item in made.deskside("snapshots", "--json")[1]["items"] if item["host"] == "elsewhere")
    code, _, errors = made.deskside("diff", other["short_id"], "--live", str(made.share))
    assert code == 7 and "elsewhere" in errors
