"""Full and read-only disks, folders moved away, hostile names, stopped in the middle: by number."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from backends.backups.model import Entry
from backends.errors import Refused
from backends.restore import swapping
from backends.restore.kernel import Moves
from backends.restore.model import Destination, RestorePlan
from backends.restore.places import Chosen, is_plain
from backends.restore.runs import take_back
from tests.backends.restore.conftest import House, look

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="LEFT OUT: needs root")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="LEFT OUT: strace is not installed; no disk was full")


@pytest.fixture
def live(house: House) -> House:
    """Two files to replace."""
    (house.share / "letter.txt").write_text("live letter")
    (house.share / "sub" / "plan.ods").write_text("live plan")
    return house


@needs_strace
@pytest.mark.server
@pytest.mark.parametrize("faults", [("linkat:error=ENOSPC:when=1",), ("linkat:error=EDQUOT:when=2",), ("linkat:error=EPERM",)])
def test_a_disk_that_fills_up_in_the_fallback_of_the_swap(live: House, faults: tuple[str, ...]) -> None:
    """R11: no exchange, no room for a second name or a copy of the old file: that file is left, by name; undo = the old tree."""
    shutil.rmtree(live.source.base)
    (live.share / "second name").unlink()  # the tool itself makes no second name then
    kept = {path: path.read_bytes() for path in (live.share / "letter.txt", live.share / "sub" / "plan.ods")}
    for path in kept:
        path.write_text("as it was")
    live.source.backup("one", live.share)
    for path, content in kept.items():
        path.write_bytes(content)
    (live.place / "hashes").write_bytes(pickle.dumps(live.source.hashes))
    old, plan = look(live.share), live.plan()
    fault = [word for one in ("renameat2:error=EINVAL", *faults) for word in ("-e", f"inject={one}")]
    done = live.work(plan, strace=fault)
    report = live.run(plan).report()
    assert report is not None, done.stderr
    failed = [item for item in report.named if item.word == "failed"]
    assert (done.stdout.strip(), len(failed)) == (("done", 0) if faults == ("linkat:error=EPERM",) else ("partial", 1)), report.private
    assert "can't exchange" in report.private and (not failed or "space" in failed[0].text or "quota" in failed[0].text)
    for name in ("letter.txt", "sub/plan.ods"):
        left = any(os.fsdecode(item.path).endswith(name) for item in failed)
        assert (live.share / name).read_bytes().startswith(b"live") is left
    again = live.work(plan, "undo", ["-e", "inject=renameat2:error=EINVAL"])
    assert again.stdout.strip() == "undone" and look(live.share) == old


@pytest.mark.parametrize("exchange", [True, False])
def test_a_live_file_with_two_names_is_replaced_under_both(live: House, exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first step changes the inode's ctime: that is ours and no reason to leave the second name."""
    monkeypatch.setattr(Moves, "probe", classmethod(lambda cls, folder: cls(exchange, exchange)))
    letter, second = live.share / "letter.txt", live.share / "second name"
    assert letter.stat().st_ino == second.stat().st_ino
    old, plan = look(live.share), live.plan()
    report = live.do(plan)
    assert report.result == "done" and letter.read_bytes() == second.read_bytes() != b"live letter", report.private
    assert live.undo(plan).result == "undone" and look(live.share) == old


@ROOT_ONLY
def test_a_target_that_is_mounted_read_only(live: House) -> None:
    """R12: refused before anybody is asked; where it became so since the preview, it fails and nothing is changed."""
    place = live.place / "mounted"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)
    try:
        (place / "share").mkdir()
        (place / "share" / "a").write_text("then")
        live.source.backup("one", place / "share")
        (place / "share" / "a").write_text("live")
        plan = live.plan(place / "share")
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        for to in (None, Destination("into", os.fsencode(place / "share")), Destination("new", os.fsencode(place / "new"))):
            assert any("mounted read-only" in item.text for item in live.plan(place / "share", to=to).preview.refusals)
        with pytest.raises(Refused, match="read-only"):
            live.do(plan)
        assert (place / "share" / "a").read_text() == "live" and os.listdir(place) == ["share"]
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _at(monkeypatch: pytest.MonkeyPatch, name: bytes, do: Callable[[], object]) -> None:
    """Something happens just before one file is exchanged."""
    exchange = Moves.replace

    def late(self: Moves, here: int, staged: bytes, there: int, live: bytes, old: int, kept: bytes) -> None:
        if live == name:
            do()
        exchange(self, here, staged, there, live, old, kept)

    monkeypatch.setattr(swapping.Moves, "replace", late)


def test_a_folder_moved_away_during_the_swap(live: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """R13: what was put into it is told as a conflict, a link in its place is not followed; once it is back, undo is whole."""
    old, elsewhere, plan = look(live.share), live.place / "elsewhere", live.plan()
    (live.place / "other").mkdir()
    (live.place / "other" / "plan.ods").write_text("somebody else's")

    def move() -> None:
        (live.share / "sub").rename(elsewhere)
        (live.share / "sub").symlink_to(live.place / "other")

    _at(monkeypatch, b"plan.ods", move)
    report = live.do(plan)
    wrong = {item.path.rpartition(b"/")[2]: item.text for item in report.named if item.word == "conflict"}
    assert report.result == "partial" and "was moved while files were put into it" in wrong[b"plan.ods"], report.private
    assert (live.place / "other" / "plan.ods").read_text() == "somebody else's" and (live.share / "letter.txt").read_text() == "as it was"
    undone = live.undo(plan)
    assert undone.result == "partial" and "symbolic link" in undone.private and (live.place / "other" / "plan.ods").read_text() == "somebody else's"
    (live.share / "sub").unlink()
    elsewhere.rename(live.share / "sub")
    assert live.undo(plan).result == "undone"
    now = look(live.share)
    assert {name: value for name, value in now.items() if name != "."} == {name: value for name, value in old.items() if name != "."}


HOSTILE = (b"/../evil", b"/sub/..", b"/sub/../../evil", b"/.", b"//evil", b"/sub/\0evil", b"/")


def test_names_that_are_no_paths_are_refused_by_name(house: House) -> None:
    """R14: a snapshot that tells "..", NUL, relative and foreign names: each named, nothing outside, the others restored."""
    share = os.fsencode(house.share)
    outside = [share + name for name in HOSTILE if name != b"/"] + [b"relative", b"", b"/etc/passwd", os.fsencode(house.place) + b"/evil", share + b"-evil"]
    house.source.more = [Entry(path, "evil", kind, 4, 0o644, uid=0, gid=0, mtime_ns=1, link=b"/etc") for path in outside for kind in ("file", "dir", "link")]  # type: ignore[arg-type]
    (house.share / "letter.txt").write_text("live")
    before = {path for path in house.place.rglob("*") if "data" not in path.parts}
    for policy in ("differs", "exact"):
        plan = house.plan(policy=policy)  # type: ignore[arg-type]
        assert plan.preview.counts["blocked"] == 3 * len(outside) and any("can't be reached" in text for text in plan.preview.hazards)
        report = house.do(plan)
        named = {item.path for item in report.named if item.word == "conflict" and "no plain path" in item.text}
        assert report.result == "partial" and named == {path or b"/" for path in outside}, report.private
        assert (house.share / "letter.txt").read_text() == "as it was"
        assert house.undo(plan).result == "undone" and (house.share / "letter.txt").read_text() == "live"
        assert {path for path in house.place.rglob("*") if "data" not in path.parts} == before
    new = house.plan(to=Destination("new", os.fsencode(house.place / "out")))
    assert house.do(new).result == "partial" and look(house.place / "out" / "share").keys() == look(house.share).keys()
    assert [is_plain(b"/a/.b/..c/d."), is_plain(b"/"), is_plain(b"/a/"), is_plain(b"/a/..")] == [True, True, False, False]
    assert Chosen([b"/"]).has(b"/x") and not Chosen([b"/a"]).has(b"/ab") and Chosen([b"/a/b"]).has(b"/a/b/c/d")


def test_what_a_tool_writes_beside_what_was_asked_never_arrives(house: House) -> None:
    """R14: files the snapshot does not have, in folders that come as a whole, above them, through "..": left out, by name."""
    shutil.rmtree(house.share)

    def more(into: bytes) -> None:
        for path in (b"/evil", b"/../evil", os.fsencode(house.share.parent) + b"/evil", os.fsencode(house.share) + b"/sub/evil", os.fsencode(house.share) + b"/sub/deep/evil dir/evil"):
            os.makedirs(os.path.dirname(into + path), exist_ok=True)
            Path(os.fsdecode(into + path)).write_text("evil")
        os.symlink("/etc", into + os.fsencode(house.share) + b"/etc")

    house.source.after_extract = more
    plan = house.plan()
    report = house.do(plan)
    named = {os.path.relpath(os.fsdecode(item.path), house.share) for item in report.named if "is not in the snapshot" in item.text}
    assert report.result == "partial" and {"sub/evil", "sub/deep/evil dir", "etc", "../evil"} <= named, report.private
    assert not [path for path in house.place.rglob("*evil*") if ".deskside" not in str(path)] and not (house.share / "etc").is_symlink()
    assert (house.share / "sub" / "deep" / "note").read_text() == "deep" and house.undo(plan).result == "undone" and not house.hidden()


def _stopping(live: House, monkeypatch: pytest.MonkeyPatch) -> RestorePlan:
    _at(monkeypatch, b"letter.txt", live.stop.set)
    return live.plan()


def test_undo_after_one_that_was_stopped_in_the_swap(live: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """R25: some files new, some old, none half; undo = the old tree."""
    old = look(live.share)
    plan = _stopping(live, monkeypatch)
    report = live.do(plan)
    assert report.result == "cancelled" and "each file is the old or the new one" in report.left_behind and report.counts["replaced"] == 1, report.private
    assert {(live.share / "letter.txt").read_text(), (live.share / "sub" / "plan.ods").read_bytes()[:4]} & {"as it was", b"live"}
    assert take_back(live.setting, live.run(plan), False).result == "undone" and look(live.share) == old and not live.hidden()


def test_undo_after_a_partial_one(live: House) -> None:
    """R25: a damaged file and one that was changed since stay out of it; undo = the tree before, with that change."""
    stored = live.source.base / "one" / str(live.share / "sub" / "plan.ods").lstrip("/")
    told = stored.stat()
    stored.write_bytes(os.urandom(3000))
    os.utime(stored, ns=(told.st_atime_ns, told.st_mtime_ns))
    (live.share / "sub" / "deep" / "note").unlink()
    hard = next(path for path in live.share.iterdir() if "bad-" in path.name)
    hard.write_text("live")
    plan = live.plan()
    hard.write_text("changed since")
    old = look(live.share)
    report = live.do(plan)
    assert report.result == "partial" and [report.counts[word] for word in ("failed", "conflict", "put", "replaced")] == [1, 1, 1, 2], report.private
    assert live.undo(plan).result == "undone" and look(live.share) == old and not live.hidden()


def test_undo_of_one_that_is_being_done(live: House) -> None:
    """R16, R25: two at once are refused, whichever comes second."""
    plan, seen = live.plan(), []

    def meanwhile() -> None:
        for attempt in (lambda: live.do(plan), lambda: live.undo(plan)):
            with pytest.raises(Exception, match="being worked on"):
                attempt()
            seen.append(threading.get_ident())

    live.source.before_extract = meanwhile
    assert live.do(plan).result == "done" and len(seen) == 2
