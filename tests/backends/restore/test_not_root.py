"""What an account that is not root can't set right is reported, by name."""

from __future__ import annotations

import ctypes
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.restore.model import Destination
from backends.restore.places import Guarded
from backends.restore.planning import Setting
from tests.backends.restore.conftest import House
from tests.backends.restore.source import Trees

NOBODY, OTHER = 65534, 4711
PR_SET_DUMPABLE = 4


def as_nobody(work: Callable[[], Any]) -> Any:
    """What it gives, done by a child that is an ordinary account for good. What it imports must be loaded already."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/<pid>/fd, through which the tool writes, is root's
            said = pickle.dumps(work())
        except BaseException as error:  # noqa: BLE001 - told to the parent
            said = pickle.dumps(repr(error))
        os.write(writing, said)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        found = pickle.loads(file.read())
    os.waitpid(child, 0)
    return found


@pytest.fixture
def anybody() -> Iterator[House]:
    """Two files, one of which belongs to somebody else, in a place that an ordinary account may enter and write to."""
    place = Path(tempfile.mkdtemp(prefix="deskside-tests-"))
    share = place / "srv" / "share"
    share.mkdir(parents=True)
    (share / "mine").write_text("mine")
    (share / "theirs").write_text("theirs")
    source = Trees(place / "snapshots")
    for path in (place, *place.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(share / "theirs", OTHER, NOBODY)
    place.chmod(0o755)
    source.backup("one", share)
    (place / "snapshots").chmod(0o755)
    yield House(place, share, source, Setting(place / "data" / "restores", Guarded(b"", os.fsencode(place / "data")), 14.0, "fs01"))
    shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="LEFT OUT: only root can make a file of somebody else's and then be nobody")
def test_owners_that_can_not_be_set_are_named(anybody: House) -> None:
    """R15: whole in content, the owner that could not be given is in the report, and never is all "as it was" said."""
    rooted = anybody.do(anybody.plan(to=Destination("new", os.fsencode(anybody.place / "as-root"))))  # loads all modules while it may
    assert rooted.result == "done" and (anybody.place / "as-root/share/theirs").stat().st_uid == OTHER
    shutil.rmtree(anybody.place / "data")
    report = as_nobody(lambda: anybody.do(anybody.plan(to=Destination("new", os.fsencode(anybody.place / "as-nobody")))))
    assert not isinstance(report, str), report
    out = anybody.place / "as-nobody/share"
    assert (out / "theirs").read_text() == "theirs" and (out / "theirs").stat().st_uid == NOBODY
    lost = {item.path.rpartition(b"/")[2]: item.text for item in report.named if item.word == "lost"}
    assert report.audited and lost == {b"theirs": f"owner {OTHER}:{NOBODY} can't be set: not running as root"}, report.private
    assert f"owner {OTHER}:{NOBODY} can't be set" in report.private
