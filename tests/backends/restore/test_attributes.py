"""Extended attributes in the audit: what can't be set right is named, what costs too much is counted and not claimed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence

import pytest

from backends.backups.model import Attributes
from backends.restore import attributes
from tests.backends.restore.conftest import House


@pytest.fixture
def noted(house: House) -> House:
    """Two files with an attribute, in two of three folders; all of it is gone live."""
    for name in ("letter.txt", "sub/deep/note"):
        try:
            os.setxattr(house.share / name, "user.note", b"value")
        except OSError:
            pytest.skip("LEFT OUT: this filesystem has no extended attributes")
    house.source.backup("one", house.share)
    shutil.rmtree(house.share)
    return house


def test_what_can_not_be_set_is_named_and_the_file_is_there(noted: House, monkeypatch: pytest.MonkeyPatch) -> None:
    noted.source.tells_attributes = True
    noted.source.after_extract = lambda into: os.removexattr(into + os.fsencode(noted.share) + b"/letter.txt", b"user.note")

    def refusing(*_: object, **__: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(attributes.os, "setxattr", refusing)
    report = noted.do(noted.plan())
    lost = {item.path.rpartition(b"/")[2]: item.text for item in report.named if item.word == "lost"}
    assert report.result == "done" and lost == dict.fromkeys((b"letter.txt", b"second name"), "extended attributes that can't be set here: user.note"), report.private
    assert (noted.share / "letter.txt").read_text() == "as it was" and "compared in 4 of 4 folders" in report.private


def test_folder_by_folder_until_the_time_is_used(noted: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that hold files with attributes come first, one is always read, the report counts them; a tool that fails is no failure."""
    source, asked = noted.source, list[bytes]()

    def told(_: str, folders: Sequence[bytes]) -> Iterator[tuple[bytes, dict[bytes, Attributes]]]:
        source.tells_attributes = True
        for folder in folders:
            asked.append(folder)
            yield folder, {entry.path: entry.xattrs or () for entry in source.entries("one", [os.fsencode(noted.share)]) if entry.path.rpartition(b"/")[0] == folder}

    plan = noted.plan()
    source.can_tell_attributes, source.attributes = lambda: True, told  # type: ignore[attr-defined]
    source.after_extract = lambda into: os.setxattr(into + os.fsencode(noted.share) + b"/sub/deep/note", b"user.note", b"other")
    monkeypatch.setattr(attributes, "LEAST", 0.0)
    monkeypatch.setattr(attributes, "SHARE", 0.0)
    report = noted.do(plan)
    share = os.fsencode(noted.share)
    assert asked == [share] and "extended attributes compared in 1 of 4 folders; trees 1 tells them for the others only at a cost" in report.private
    noted.undo(plan)
    monkeypatch.setattr(attributes, "LEAST", 60.0)
    asked.clear()
    source.tells_attributes = False
    report = noted.do(noted.plan())
    assert asked == [share, share + b"/sub/deep", share.rpartition(b"/")[0], share + b"/sub"] and "compared in 4 of 4 folders" in report.private
    assert os.getxattr(noted.share / "sub" / "deep" / "note", "user.note") == b"value"
