"""Where a restore may write, locks, samples, rates, names: the small rules."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from backends.backups.model import Entry
from backends.errors import Busy, Damaged
from backends.restore import swapping
from backends.restore.codec import dumps, loads
from backends.restore.folders import Folders, remove_tree
from backends.restore.kernel import Moves
from backends.restore.locks import exclusive
from backends.restore.model import Destination, PathOutcome, Wanted
from backends.restore.places import Guarded, common_parent, refusals, stage_parent
from backends.restore.rates import Rates
from backends.restore.sampling import draw
from tests.backends.restore.conftest import House, look

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="LEFT OUT: needs root")


def names(target: bytes, guarded: Guarded = Guarded(), whole: bool = True) -> list[str]:
    return [item.name or "never" for item in refusals(target, guarded, whole)]


def test_places_that_are_refused(tmp_path: Path) -> None:
    for target in (b"/", b"/etc", b"/etc/nginx", b"/usr/local", b"/boot", b"/lib"):
        assert "system" in names(target), target
    assert names(b"/proc/sys") == ["never"] and names(b"/dev/shm/x") == ["never"]
    place = os.fsencode(tmp_path)
    guarded = Guarded(place + b"/backup/repo", place + b"/data")
    assert names(place + b"/backup/repo/x", guarded) == ["never"] and names(place + b"/data", guarded) == ["never"]
    assert names(place + b"/backup", guarded) == ["repository"] and names(place, guarded) == ["repository", "data"]
    assert names(place + b"/else", guarded) == [] and names(place, guarded, whole=False) == []
    assert names(b"/srv-not-there/etc", guarded) == [] and "mounts" in names(b"/")


@ROOT_ONLY
def test_mounts_below_are_refused_and_never_crossed(house: House) -> None:
    inner = house.share / "sub" / "mounted"
    inner.mkdir()
    house.source.backup("one", house.share)
    subprocess.run(["mount", "-t", "tmpfs", "none", str(inner)], check=True)
    try:
        (inner / "there").write_text("on the other filesystem")
        plan = house.plan(policy="exact")
        assert [item.name for item in plan.preview.refusals] == ["mounts"]
        forced = house.plan(policy="exact", overrides=("mounts",), override_reason="test")
        assert "set aside by an admin" in forced.preview.hazards[0]
        assert house.do(forced).result == "partial" and (inner / "there").exists()
    finally:
        subprocess.run(["umount", str(inner)], check=True)


@ROOT_ONLY
def test_staging_never_lies_where_its_user_could_move_it(tmp_path: Path) -> None:
    home = tmp_path / "home" / "bob" / "docs"
    home.mkdir(parents=True)
    os.chmod(tmp_path / "home", 0o755)
    os.chown(home.parent, 5001, 5001)
    os.chown(home, 5001, 5001)
    assert stage_parent(os.fsencode(home)) == (os.fsencode(tmp_path / "home"), True)
    os.chmod(tmp_path / "home", 0o777)
    assert stage_parent(os.fsencode(home))[0] == os.fsencode(tmp_path)


def test_two_restores_to_one_place_exclude_each_other(house: House, tmp_path: Path) -> None:
    """R16: the same place, one above it, one in it; another host or place is free."""
    (house.share / "letter.txt").write_text("live")
    plan = house.plan()
    for other in (house.share, house.share.parent, house.share / "sub"):
        with exclusive(house.setting.base, [os.fsencode(other)], "fs01", "another"), pytest.raises(Busy, match="another"):
            house.do(plan)
        assert not house.hidden() and (house.share / "letter.txt").read_text() == "live"
    with exclusive(house.setting.base, [os.fsencode(house.share)], "elsewhere", "x"), exclusive(house.setting.base, [os.fsencode(tmp_path / "no")], "fs01", "y"):
        assert house.do(plan).result == "done"


def test_changed_in_the_very_moment(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """R26: somebody saves between our look and the exchange: it goes back, and the new content is there."""
    (house.share / "letter.txt").write_text("live")
    plan, exchange = house.plan(), Moves.replace

    def late(self: Moves, here: int, name: bytes, there: int, live: bytes, old: int, kept: bytes) -> None:
        if live == b"letter.txt":
            (house.share / "letter.txt").write_text("saved in that moment")
        exchange(self, here, name, there, live, old, kept)

    monkeypatch.setattr(swapping.Moves, "replace", late)
    report = house.do(plan)
    assert report.result == "partial" and (house.share / "letter.txt").read_text() == "saved in that moment"
    assert any("very moment" in item.text for item in report.named)


def test_cancelled_before_the_swap(house: House) -> None:
    (house.share / "letter.txt").write_text("live")
    before, plan = look(house.share), house.plan()
    house.source.before_extract = house.stop.set
    report = house.do(plan)
    assert report.result == "cancelled" and "untouched" in report.left_behind and not report.audited
    assert look(house.share) == before and not house.hidden()


def test_undo_of_a_staging_that_is_gone_says_so(house: House) -> None:
    (house.share / "letter.txt").write_text("live")
    plan = house.plan()
    house.do(plan)
    hidden = house.hidden()[0]
    hidden.rename(hidden.with_name("moved"))
    with pytest.raises(Damaged, match="is gone"):
        house.undo(plan)
    hidden.mkdir(mode=0o700)  # another one in its place is not believed
    with pytest.raises(Damaged, match="not the folder"):
        house.undo(plan)


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    os.mkdir("top", dir_fd=here)
    at = os.open("top", os.O_RDONLY, dir_fd=here)
    for _ in range(1200):
        os.mkdir("deep-name", 0o500, dir_fd=at)
        os.chmod("deep-name", 0o700, dir_fd=at)
        os.close(os.open("file", os.O_CREAT, dir_fd=at))
        below = os.open("deep-name", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    with Folders(here) as tree:
        assert tree.stat(b"top" + b"/deep-name" * 900) is not None
    (tmp_path / "top" / "link").symlink_to(tmp_path)
    remove_tree(here, b"top")
    os.close(here)
    assert os.listdir(tmp_path) == []


def test_records_survive_json_exact_in_bytes() -> None:
    wanted = Wanted("vault", "ab", (b"/a/\xff\xfe \xf0\x9f\x98\x80", b"/\xed\xa0\x80"), Destination("new", b"/x\x80"))
    assert loads(dumps(wanted)) == wanted and dumps(wanted).isascii()
    outcome = PathOutcome(b"\x00-\x7f\xc3\xa9", "put", "text")
    assert loads(dumps((outcome,))) == (outcome,)


def test_a_sample_is_drawn_again_by_its_seed() -> None:
    entries = [Entry(b"/srv/%d/f%d" % (number % 7, number), "", "file", number, mtime_ns=number * 10**9) for number in range(1000)]
    entries += [Entry(b"/srv/0/bad-\xff", "", "file", 5, mtime_ns=500 * 10**9), Entry(b"/srv/1/.deskside-canary", "", "file", 1, mtime_ns=600 * 10**9), Entry(b"/srv/0", "", "dir")]
    one, two, other = draw(entries, 7, 20), draw(list(reversed(entries)), 7, 20), draw(entries, 8, 20)
    assert one.chosen == two.chosen and set(one.chosen) != set(other.chosen)
    assert one.chosen[b"/srv/0/bad-\xff"] == "hard name" and one.chosen[b"/srv/1/.deskside-canary"] == "canary" and one.canaries == 1
    assert {b"/srv/%d/f999" % (999 % 7), b"/srv/0/f0"} <= set(one.chosen) and one.seen == 1002
    drawn = [path.split(b"/")[2] for path, why in one.chosen.items() if why == "random"]
    assert {drawn.count(b"%d" % number) for number in range(7)} <= {2, 3} and "seed 7" in one.method(7)
    assert common_parent([b"/a/b/c", b"/a/b/d/e"]) == b"/a/b"


def test_rates_are_learned(tmp_path: Path) -> None:
    rates = Rates(tmp_path)
    first = rates.estimate("vault", 10, 10**9)
    rates.learn("vault", 1000, 10**9, 101.0)
    assert rates.known("vault") and rates.estimate("vault", 10, 10**9) > first
    slow = rates.estimate("vault", 10, 10**9)
    rates.learn("vault", 3, 10, 50.0)
    assert rates.estimate("vault", 10, 10**9) == slow, "a small run says nothing"


def test_a_fifo_and_a_device_never_hang_it(house: House) -> None:
    os.mkfifo(house.share / "pipe")
    house.source.backup("one", house.share)
    (house.share / "pipe").unlink()
    plan = house.plan()
    assert house.do(plan).result == "done" and stat.S_ISFIFO((house.share / "pipe").lstat().st_mode)
