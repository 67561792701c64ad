"""What a restore costs beside the bare tool, and a swap of 10,000 files: `python -m bench.restore [files] [rounds]`.

Every round does the bare `restic restore` and our fetch of the same snapshot in turn, so that a busy machine is busy for both. Printed are
medians and ratios: ours / bare for the fetch alone (what we add while the tool runs), and audit, swap and undo by themselves.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from backends.backups.restic import Restic
from backends.contract import Site
from backends.options import read_options
from backends.restore.engine import Restoring
from backends.restore.model import Destination, RestoreEvent, Wanted
from backends.restore.places import Guarded
from backends.restore.planning import Point, Setting, prepare
from backends.restore.run_folder import Run
from backends.restore.runs import UndoWork
from backends.restore.swapping import Swapping
from backends.secret import Secret
from backends.store.opening import open_store


class Measured:
    """A tree, its repository, and both ways to bring it back."""

    def __init__(self, place: Path, files: int) -> None:
        self.place, self.tree = place, place / "live" / "tree"
        for number in range(files):
            folder = self.tree / f"d{number % 100:02}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"f{number}").write_bytes(os.urandom(20_000))
        self.own = {"RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "cache")}
        for words in (["init"], ["backup", str(self.tree)]):
            subprocess.run(["restic", "-q", *words], env={**os.environ, **self.own}, check=True)
        (place / "data").mkdir()
        table = {**read_options(Restic.OPTIONS, {"repository": str(place / "repo"), "password": "env:X"}), "password": Secret("p")}
        self.backend: Any = Restic("vault", table, Site(data=str(place / "data"), store=open_store(place / "data")))
        self.backend.tool.open()
        self.snapshot = self.backend.tool.snapshots()[0].id
        self.setting = Setting(place / "data" / "restores", Guarded(), 14.0, "bench")

    def bare(self) -> float:
        """The tool by itself."""
        target = self.place / "bare"
        started = time.monotonic()
        subprocess.run(["restic", "-q", "restore", self.snapshot, "--target", str(target), "--include", str(self.tree)], env={**os.environ, **self.own}, check=True, stdout=subprocess.DEVNULL)
        taken = time.monotonic() - started
        shutil.rmtree(target)
        return taken

    def ours(self, to: Destination) -> tuple[dict[str, float], Run]:
        """Seconds by phase."""
        wanted = Wanted("vault", self.snapshot, (os.fsencode(self.tree),), to)
        plan = prepare(self.setting, self.backend, wanted, Point(self.snapshot), threading.Event())
        run = Run.of(self.setting.base, plan.run)
        heard: list[RestoreEvent] = []
        report = Restoring(self.setting, run, self.backend, threading.Event(), heard.append).work()
        assert report.result == "done", report.private
        return {phase.phase: phase.seconds for phase in report.phases}, run

    def swapped(self) -> tuple[float, float, float]:
        """(the steps themselves, the phase with its syncs and journal, undo) of all files over live ones that were changed."""
        for path in self.tree.rglob("f*"):
            os.utime(path, ns=(0, 10**9))
        taken: list[float] = []
        real = Swapping.all

        def timed(swapping: Swapping, *given: Any) -> None:
            started = time.monotonic()
            real(swapping, *given)
            taken.append(time.monotonic() - started)

        Swapping.all = timed  # type: ignore[method-assign]
        try:
            phases, run = self.ours(Destination("original"))
        finally:
            Swapping.all = real  # type: ignore[method-assign]
        started = time.monotonic()
        UndoWork(self.setting, run).work()
        return taken[0], phases["swap"], time.monotonic() - started


def main(words: list[str]) -> None:
    """Print the figures."""
    files, rounds = int(words[0]) if words else 10_000, int(words[1]) if len(words) > 1 else 3
    with tempfile.TemporaryDirectory(prefix="deskside-bench-") as name:
        measured = Measured(Path(name), files)
        bare, fetch, audit = [], [], []
        for number in range(rounds):
            bare.append(measured.bare())
            phases, run = measured.ours(Destination("new", os.fsencode(measured.place / f"out{number}")))
            fetch.append(phases["fetch"])
            audit.append(phases["audit"])
            UndoWork(measured.setting, run).work()
        swaps = [measured.swapped() for _ in range(rounds)]
    one, two = statistics.median(bare), statistics.median(fetch)
    print(f"{files:,} files: bare restic {one:.2f} s, our fetch {two:.2f} s, ratio {two / one:.3f}; audit {statistics.median(audit):.2f} s")
    steps, swap, undo = (statistics.median(column) for column in zip(*swaps, strict=True))
    print(f"swap: {steps:.3f} s for the steps, {swap:.3f} s with sync and journal; undo {undo:.3f} s with taking the staging away")


if __name__ == "__main__":
    main(sys.argv[1:])
