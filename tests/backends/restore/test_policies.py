"""R07: each policy beside each thing that may be live where a file of the backup goes: what becomes of it, and that undo brings the old tree back."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.restore.model import Policy
from tests.backends.restore.conftest import House, look

THEN, EARLIER, LATER = 1_500_000_000 * 10**9, 1_400_000_000 * 10**9, 1_600_000_000 * 10**9
CONTENT = "as it was then"


def _write(text: str, time: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)
        os.utime(path, ns=(time, time))

    return write


def _other(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def other(path: Path) -> None:
        path.unlink()
        make(path)

    return other


def _full(path: Path) -> None:
    path.mkdir()
    (path / "in it").write_text("x")


def _second_name(path: Path) -> None:
    """The other name lies outside of what is restored."""
    other = path.parent.parent / "other name"
    other.write_text("other")
    os.utime(other, ns=(EARLIER, EARLIER))
    os.link(other, path)


def _immutable(path: Path) -> None:
    _write("can't be changed", EARLIER)(path)
    subprocess.run(["chattr", "+i", str(path)], check=True, capture_output=True)


LIVE: dict[str, Callable[[Path], None]] = {
    "older": _write("an older one", EARLIER), "newer": _write("a newer one", LATER), "alike": _write("AS IT WAS THEN", THEN),
    "longer": _write(CONTENT * 3, THEN), "shorter": _write("as", THEN), "missing": Path.unlink, "equal": lambda path: None,
    "symlink": _other(lambda path: path.symlink_to("equal")), "dir": _other(Path.mkdir), "full dir": _other(_full),
    "hard link": _other(_second_name), "fifo": _other(os.mkfifo), "immutable": _immutable,
}  # fmt: skip
WORDS: dict[str, tuple[str, str, str, str]] = {
    # live         missing  differs     newer       exact
    "older":      ("left", "replaced", "replaced", "replaced"),
    "newer":      ("left", "replaced", "left",     "replaced"),
    "alike":      ("same", "conflict", "same",     "conflict"),
    "longer":     ("left", "replaced", "left",     "replaced"),
    "shorter":    ("left", "replaced", "left",     "replaced"),
    "missing":    ("put",  "put",      "put",      "put"),
    "equal":      ("same", "same",     "same",     "same"),
    "symlink":    ("left", "replaced", "left",     "replaced"),
    "dir":        ("left", "replaced", "left",     "replaced"),
    "full dir":   ("left", "replaced", "left",     "replaced"),
    "hard link":  ("left", "replaced", "replaced", "replaced"),
    "fifo":       ("left", "replaced", "left",     "replaced"),
    "immutable":  ("left", "failed",   "failed",   "failed"),
}  # fmt: skip


@pytest.fixture
def kinds(house: House) -> Iterator[House]:
    """One file of each kind in the backup, each changed in its way since."""
    shutil.rmtree(house.share)
    house.share.mkdir()
    for name in LIVE:
        _write(CONTENT, THEN)(house.share / name)
    house.source.backup("one", house.share)
    with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError):
        for name, change in LIVE.items():
            change(house.share / name)
    yield house
    subprocess.run(["chattr", "-i", str(house.share / "immutable")], capture_output=True, check=False)


@pytest.mark.parametrize("policy", ["missing", "differs", "newer", "exact"])
def test_each_policy_with_each_thing_that_may_be_there(kinds: House, policy: Policy) -> None:
    """R07: thirteen kinds of live things; a file that can't be changed fails by name; undo = the old tree, and the other name is untouched."""
    old, frozen = look(kinds.share), b"i" in subprocess.run(["lsattr", str(kinds.share / "immutable")], capture_output=True).stdout.split(b" ")[0]
    if policy == "exact":
        (kinds.share / "later").write_text("x")
        old = look(kinds.share)
    plan = kinds.plan(policy=policy)
    report = kinds.do(plan)
    found = {os.path.basename(os.fsdecode(item.path)): item for item in report.named if item.path != os.fsencode(kinds.share)}
    assert {name: found[name].word for name in LIVE if name != "immutable" or frozen} == {
        name: words[("missing", "differs", "newer", "exact").index(policy)] for name, words in WORDS.items() if name != "immutable" or frozen
    }
    assert report.result == ("done" if not {"failed", "conflict"} & {item.word for item in found.values()} else "partial")
    now = look(kinds.share)
    for name in LIVE:
        restored = found[name].word in ("replaced", "put") or name == "equal"
        assert (now[name][-1] == CONTENT.encode() and now[name][3] == THEN) is restored, name
        assert restored or now[name] == old[name], name
    assert ("later" in now) is False and (policy != "exact" or found["later"].word == "removed")
    assert (kinds.share.parent / "other name").read_text() == "other"
    if report.undo_until is not None:
        assert kinds.undo(plan).result == "undone"
    assert look(kinds.share) == old
    if not frozen:
        pytest.skip("LEFT OUT: this user or filesystem can't make a file immutable; the other twelve kinds were right")


def test_thoroughly(kinds: House) -> None:
    """R07: what only looks alike is replaced where its content was compared before."""
    old = look(kinds.share)
    plan = kinds.plan(kinds.share / "alike", kinds.share / "equal", thorough=True)
    assert plan.preview.counts["changed"] == 1 and kinds.do(plan).counts == {"replaced": 1, "same": 1}
    assert (kinds.share / "alike").read_text() == CONTENT and kinds.undo(plan).result == "undone" and look(kinds.share) == old
