"""A small share, its backup, and an engine over them."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backends.restore.engine import Restoring
from backends.restore.model import Destination, Policy, RestorePlan, RestoreReport, Wanted
from backends.restore.places import Guarded
from backends.restore.planning import Point, Setting, prepare
from backends.restore.run_folder import Run
from backends.restore.runs import UndoWork
from tests.backends.restore.source import Trees
from tests.warm import Warm


@dataclass
class House:
    """`share` is live, `source` has its snapshot "one"."""

    place: Path
    share: Path
    source: Trees
    setting: Setting
    stop: threading.Event = field(default_factory=threading.Event)
    warm: Warm | None = None

    def plan(self, *chosen: Path, to: Destination | None = None, policy: Policy = "differs", **more: Any) -> RestorePlan:
        paths = tuple(os.fsencode(path) for path in chosen or (self.share,))
        wanted = Wanted("trees", "one", paths, to or Destination("original"), policy, **more)
        return prepare(self.setting, self.source, wanted, Point("one"), self.stop)

    def run(self, plan: RestorePlan) -> Run:
        return Run.of(self.setting.base, plan.run)

    def do(self, plan: RestorePlan) -> RestoreReport:
        return Restoring(self.setting, self.run(plan), self.source, self.stop).work()

    def undo(self, plan: RestorePlan, force: bool = False) -> RestoreReport:
        return UndoWork(self.setting, self.run(plan), force).work()

    def work(self, plan: RestorePlan, deed: str = "work", strace: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """work | undo | resume in a process of its own, with strace and these words on it."""
        assert self.warm is not None
        return self.warm.run(str(self.place), plan.run, deed, strace=strace)

    def hidden(self) -> list[Path]:
        return list(self.place.rglob(".deskside-restore-*"))


def look(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything a tree shows: type, mode, owner, times, content."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        if ".deskside-restore" in str(path):
            continue
        told = path.lstat()
        content: Any = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else ""
        found[str(path.relative_to(folder))] = (oct(told.st_mode), told.st_uid, told.st_gid, told.st_mtime_ns, content)
    return found


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    with Warm("import sys\nfrom tests.backends.restore.work import main", "main(*sys.argv[1:])") as made:
        yield made


@pytest.fixture
def house(tmp_path: Path, warm: Warm) -> Iterator[House]:
    share = tmp_path / "srv" / "share"
    (share / "sub" / "deep").mkdir(parents=True)
    (share / "letter.txt").write_text("as it was")
    (share / "sub" / "plan.ods").write_bytes(os.urandom(3000))
    (share / "sub" / "deep" / "note").write_text("deep")
    (share / "link").symlink_to("letter.txt")
    os.link(share / "letter.txt", share / "second name")
    bad = os.fsencode(share) + b"/bad-\xff\n name"
    Path(os.fsdecode(bad)).write_text("hard name")
    source = Trees(tmp_path / "snapshots")
    source.backup("one", share)
    data = tmp_path / "data"
    yield House(tmp_path, share, source, Setting(data / "restores", Guarded(b"", os.fsencode(data)), 14.0, "fs01"), warm=warm)
