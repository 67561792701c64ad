"""Back to the original place: preview by name, swap, undo, and everything that must stop a file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from backends.errors import Conflict, Damaged, Invalid, NotFound, Refused
from backends.restore.model import Destination
from tests.backends.restore.conftest import House, look


def spoil(share: Path) -> None:
    """What people do between a backup and a restore."""
    os.unlink(share / "second name")
    os.utime(share / "letter.txt", ns=(1, 10**18))
    (share / "letter.txt").write_text("newer than the backup")
    (share / "sub" / "plan.ods").write_bytes(b"")
    os.utime(share / "sub" / "plan.ods", ns=(0, 10**9))
    shutil.rmtree(share / "sub" / "deep")
    (share / "link").unlink()
    (share / "link").mkdir()
    (share / "link" / "in it").write_text("x")
    (share / "made later").write_text("later")


def test_what_was_lost_comes_back_and_undo_takes_it_all_back(house: House) -> None:
    """R25: after a whole restore the old tree is there again, to the nanosecond."""
    was = look(house.share)
    spoil(house.share)
    spoiled = look(house.share)
    plan = house.plan()
    preview = plan.preview
    assert (preview.counts["newer"], preview.counts["older"], preview.counts["type"]) == (1, 1, 1)
    assert [item.status for item in preview.items[:2]] == ["newer", "type"] and "newer than the backup" in preview.hazards[0]
    assert preview.replaces == 3 and preview.puts == 2 and not preview.refusals
    assert look(house.share) == spoiled, "a preview writes nothing"
    report = house.do(plan)
    assert report.result == "done" and report.audited and report.undo_until is not None, report
    now = look(house.share)
    assert now.pop("made later") == spoiled["made later"]
    assert now == was
    undone = house.undo(plan)
    assert undone.result == "undone", undone.named
    assert look(house.share) == spoiled and not house.hidden()
    with pytest.raises(Refused):
        house.undo(plan)


def test_exact_takes_away_what_came_later_and_undo_brings_it_back(house: House) -> None:
    was = look(house.share)
    spoil(house.share)
    (house.share / "sub" / "later dir" / "x").mkdir(parents=True)
    os.chmod(house.share / "sub", 0o700)
    spoiled = look(house.share)
    plan = house.plan(policy="exact")
    assert plan.preview.removes == 2 and plan.preview.counts["extra"] == 2
    report = house.do(plan)
    assert report.result == "done" and report.counts["removed"] == 2, report
    assert look(house.share) == was
    assert house.undo(plan).result == "undone"
    assert look(house.share) == spoiled


@pytest.mark.parametrize(("policy", "puts", "replaces"), [("missing", 2, 0), ("newer", 2, 1), ("differs", 2, 3)])
def test_policies(house: House, policy: str, puts: int, replaces: int) -> None:
    spoil(house.share)
    newer = (house.share / "letter.txt").read_text()
    plan = house.plan(policy=policy)  # type: ignore[arg-type]
    assert (plan.preview.puts, plan.preview.replaces) == (puts, replaces)
    assert house.do(plan).result == "done"
    assert ((house.share / "letter.txt").read_text() == newer) is (policy != "differs")
    assert (house.share / "sub" / "deep" / "note").read_text() == "deep"
    assert (house.share / "sub" / "plan.ods").stat().st_size == (0 if policy == "missing" else 3000)


def test_a_file_changed_since_the_preview_is_left_by_name(house: House) -> None:
    """R26: what was saved, and what was made, between preview and swap stays."""
    spoil(house.share)
    plan = house.plan()
    (house.share / "letter.txt").write_text("somebody went on working")
    (house.share / "second name").write_text("made since")
    report = house.do(plan)
    assert report.result == "partial"
    wrong = {item.path.rpartition(b"/")[2]: item.text for item in report.named if item.word == "conflict"}
    assert set(wrong) == {b"letter.txt", b"second name"} and "since the preview" in wrong[b"letter.txt"]
    assert (house.share / "letter.txt").read_text() == "somebody went on working"
    assert (house.share / "second name").read_text() == "made since"
    assert (house.share / "sub" / "deep" / "note").exists()


def test_a_file_that_only_looks_the_same_is_found(house: House) -> None:
    """R07: same size, same time, other bytes: left by name; replaced when the preview was thorough."""
    told = (house.share / "letter.txt").stat()
    (house.share / "letter.txt").write_text("AS IT WAS")
    os.utime(house.share / "letter.txt", ns=(told.st_atime_ns, told.st_mtime_ns))
    plan = house.plan()
    assert plan.preview.replaces == 0
    report = house.do(plan)
    assert report.result == "partial" and (house.share / "letter.txt").read_text() == "AS IT WAS"
    assert any("content differs" in item.text for item in report.named)
    plan = house.plan(thorough=True)
    assert plan.preview.replaces >= 1 and plan.preview.counts["changed"] >= 1
    assert house.do(plan).result == "done" and (house.share / "letter.txt").read_text() == "as it was"


def test_a_linked_parent_stops_it(house: House, tmp_path: Path) -> None:
    """R13: a symbolic link among the parents, there from the beginning."""
    elsewhere = tmp_path / "elsewhere"
    shutil.move(house.share / "sub", elsewhere)
    (house.share / "sub").symlink_to(elsewhere)
    before = look(elsewhere)
    plan = house.plan(house.share / "sub" / "plan.ods")
    assert any("symbolic link" in refusal.text for refusal in plan.preview.refusals)
    with pytest.raises(Refused):
        house.do(plan)
    assert look(elsewhere) == before


def test_a_link_planted_between_preview_and_swap_stops_those_files(house: House, tmp_path: Path) -> None:
    """R13: a symbolic link put in the place of a parent while the tool runs."""
    elsewhere = tmp_path / "elsewhere"
    (house.share / "letter.txt").unlink()
    (house.share / "sub" / "plan.ods").unlink()
    plan = house.plan(policy="missing")

    def plant() -> None:
        shutil.move(house.share / "sub", elsewhere)
        (house.share / "sub").symlink_to(elsewhere)

    house.source.before_extract = plant
    report = house.do(plan)
    assert report.result == "partial" and not (elsewhere / "plan.ods").exists()
    assert any("symbolic link" in item.text for item in report.named if item.word == "conflict")
    assert (house.share / "letter.txt").read_text() == "as it was"


def test_a_damaged_file_never_reaches_the_live_tree(house: House) -> None:
    """R09: full size, right time, wrong bytes: as a damaged pack or a stopped restore leaves it."""
    stored = house.source.base / "one" / str(house.share / "sub" / "plan.ods").lstrip("/")
    told = stored.stat()
    stored.write_bytes(os.urandom(3000))
    os.utime(stored, ns=(told.st_atime_ns, told.st_mtime_ns))
    for policy in ("differs", "exact"):
        (house.share / "sub" / "plan.ods").write_text("live")
        (house.share / "sub" / "deep" / "note").unlink(missing_ok=True)
        report = house.do(house.plan(policy=policy))  # type: ignore[arg-type]
        assert report.result == "partial" and report.counts["failed"] == 1
        assert (house.share / "sub" / "plan.ods").read_text() == "live"
        assert (house.share / "sub" / "deep" / "note").read_text() == "deep"
    with pytest.raises(Damaged):
        house.do(house.plan(house.share / "sub" / "plan.ods"))
    assert (house.share / "sub" / "plan.ods").read_text() == "live"


def test_an_empty_choice_and_wrong_paths_are_refused_before_anything(house: House) -> None:
    """R05, R06, R14: nothing, no plain paths, paths that are not there."""
    for wrong in ((), (b"relative",), (b"/a/../b",), (b"/a//b",), (b"/a\0b",), (b"/.",)):
        from backends.restore.places import checked_selection

        with pytest.raises(Invalid):
            checked_selection(wrong)
    with pytest.raises(NotFound):
        house.plan(house.share / "never was")
    assert not (house.setting.base / "locks").exists()


def test_undo_leaves_what_was_changed_since(house: House) -> None:
    """R25: what people did after the restore stays, by name; forced, it is kept beside."""
    spoil(house.share)
    plan = house.plan()
    assert house.do(plan).result == "done"
    (house.share / "letter.txt").write_text("worked on after the restore")
    (house.share / "sub" / "deep" / "new work").write_text("y")
    report = house.undo(plan)
    assert report.result == "partial" and report.counts["conflict"] == 3, "letter.txt, its second name, the folder"
    assert (house.share / "letter.txt").read_text() == "worked on after the restore"
    assert (house.share / "sub" / "deep" / "new work").exists() and (house.share / "link").is_dir()
    forced = house.undo(plan, force=True)
    assert forced.result == "undone" and (house.share / "letter.txt").read_text() == "newer than the backup"
    assert not (house.share / "sub" / "deep").exists()
    kept = {path.name: path for path in house.hidden()[0].rglob("*")}
    assert kept["letter.txt"].read_text() == "worked on after the restore" and "new work" in kept


def test_missing_parents_are_made_as_the_folder_above(house: House) -> None:
    os.chmod(house.share, 0o2750)
    shutil.rmtree(house.share / "sub")
    plan = house.plan(house.share / "sub" / "deep" / "note")
    report = house.do(plan)
    assert report.result == "done" and (house.share / "sub" / "deep" / "note").read_text() == "deep"
    assert oct((house.share / "sub" / "deep").stat().st_mode) == oct(house.share.stat().st_mode)
    assert house.undo(plan).result == "undone" and not (house.share / "sub").exists()


def test_a_plan_is_run_as_confirmed_or_not_at_all(house: House) -> None:
    spoil(house.share)
    plan = house.plan()
    spool = house.run(plan).file("entries.jsonl")
    spool.write_bytes(spool.read_bytes().replace(b'"newer","replace"', b'"newer","leave"'))
    with pytest.raises(Damaged):
        house.do(plan)
    assert not house.hidden()
    with pytest.raises(Conflict):
        house.do(plan)


def test_a_new_folder_is_there_whole_or_not_at_all(house: House, tmp_path: Path) -> None:
    target = tmp_path / "out"
    plan = house.plan(house.share / "sub", house.share / "letter.txt", to=Destination("new", os.fsencode(target)))
    assert plan.preview.replaces == 0 and plan.preview.puts == 3
    report = house.do(plan)
    assert report.result == "done" and (report.counts["put"], oct(target.stat().st_mode)) == (3, "0o40700")
    assert look(target / "sub") == look(house.share / "sub")
    assert house.plan(to=Destination("new", os.fsencode(target))).preview.refusals
    assert house.undo(plan).result == "undone" and not target.exists() and not house.hidden()
    gone = house.plan(to=Destination("new", os.fsencode(tmp_path / "not there" / "out")))
    assert "make it first" in gone.preview.refusals[0].text


def test_into_another_folder(house: House, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "share").mkdir(parents=True)
    (other / "share" / "letter.txt").write_text("there")
    plan = house.plan(house.share, to=Destination("into", os.fsencode(other)))
    assert plan.preview.replaces == 1
    assert house.do(plan).result == "done"
    assert look(other / "share") == look(house.share)
    assert house.undo(plan).result == "undone" and (other / "share" / "letter.txt").read_text() == "there"
