"""What a restore costs beside the bare tool: `python -m bench.restore [files] [rounds] [restic|borg|/path/to/program ...]`.

Every round does, in turn, so that a busy machine is busy for all: the plain command a person would type (quiet, nothing read), the same
program with the very words our adapter gives it and both pipes read away, and our whole restore of the same snapshot. The ratio that
tells what we add is our fetch / the same words; the one against the plain command also holds what the program itself takes for talking.
Both sides start with nothing left to write; what is synced is timed apart. CPU is user and system of all processes together: on a
machine that does other things it is the figure to trust.
"""

from __future__ import annotations

import itertools
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.contract import Site
from backends.options import read_options
from backends.restore import engine
from backends.restore.model import Destination, RestoreReport, Wanted
from backends.restore.places import Guarded
from backends.restore.planning import Point, Setting, prepare
from backends.restore.run_folder import Run
from backends.restore.runs import UndoWork
from backends.restore.swapping import Swapping
from backends.secret import Secret
from backends.store.opening import open_store

SIZE = 20_000
Spent = tuple[float, float]
"""(wall, CPU) seconds."""


def _cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def spent(work: Callable[[], Any]) -> Spent:
    """What it took, with nothing left to write from before."""
    os.sync()
    wall, cpu = time.monotonic(), _cpu()
    work()
    return time.monotonic() - wall, _cpu() - cpu


class Timed:
    """Adds up what calls of a function took, for a with statement."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name, self._real, self.seconds = owner, name, getattr(owner, name), 0.0

    def __enter__(self) -> Timed:
        def timed(*given: Any) -> Any:
            started = time.monotonic()
            try:
                return self._real(*given)
            finally:
                self.seconds += time.monotonic() - started

        setattr(self._owner, self._name, timed)
        return self

    def __exit__(self, *_: object) -> None:
        setattr(self._owner, self._name, self._real)


class Measured:
    """A tree, its repository, and all the ways to bring it back."""

    def __init__(self, place: Path, files: int, program: str) -> None:
        os.environ["HOME"] = str(place)  # where borg keeps what it knows of a repository, for both sides
        self.place, self.tree, self.program = place, place / "live" / "tree", program
        self.kind = "borg" if "borg" in os.path.basename(program) else "restic"
        self.own = {**os.environ, "RESTIC_REPOSITORY": str(place / "repo"), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "cache"),
                    "BORG_REPO": str(place / "repo"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}  # fmt: skip
        for number in range(files):
            folder = self.tree / f"d{number % 100:02}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"f{number}").write_bytes(os.urandom(SIZE))
        first = (["init", "-e", "none"], ["create", "::one", str(self.tree)]) if self.kind == "borg" else (["-q", "init"], ["-q", "backup", str(self.tree)])
        for words in first:
            subprocess.run([program, *words], env=self.own, check=True)
        (place / "data").mkdir()
        self.backend = self._opened()
        self.snapshot = self.backend.tool.snapshots()[0]
        self.setting = Setting(place / "data" / "restores", Guarded(), 14.0, "bench")

    def _opened(self) -> Any:
        """As a job's process has it: nothing is known yet."""
        from backends.backups.borg import Borg
        from backends.backups.restic import Restic

        kind: Any = Borg if self.kind == "borg" else Restic
        told = {"repository": str(self.place / "repo"), "program": self.program, **({} if self.kind == "borg" else {"password": "env:X"})}
        table = read_options(kind.OPTIONS, told)
        if self.kind == "restic":
            table = {**table, "password": Secret("p")}
        backend = kind("vault", table, Site(data=str(self.place / "data"), store=open_store(self.place / "data")))
        backend.tool.open()
        return backend

    def _to(self, name: str) -> Path:
        target = self.place / name
        target.mkdir()
        return target

    def plain(self, target: Path) -> None:
        """As a person types it."""
        words: list[str]
        if self.kind == "borg":
            words = ["extract", f"::{self.snapshot.name}", str(self.tree).lstrip("/")]
        else:
            words = ["-q", "restore", self.snapshot.id, "--target", str(target), "--include", str(self.tree)]
        subprocess.run([self.program, *words], env=self.own, check=True, stdout=subprocess.DEVNULL, cwd=target)

    def same_words(self, target: Path) -> None:
        """The words of our adapter, the pipes read away by nobody who thinks about it."""
        words = self.backend.tool.extract_words(self.snapshot, [os.fsencode(self.tree)], os.fsencode(target))
        done = subprocess.run([self.program, *words], env={**self.own, "RESTIC_PROGRESS_FPS": "10"}, check=True, capture_output=True, cwd=target)
        assert done.returncode == 0

    def ours(self, to: Destination, backend: Any) -> tuple[RestoreReport, Run, float]:
        """(its report, its run, the seconds of its syncs)."""
        wanted = Wanted("vault", self.snapshot.id, (os.fsencode(self.tree),), to)
        plan = prepare(self.setting, self.backend, wanted, Point(self.snapshot.id), threading.Event())
        run = Run.of(self.setting.base, plan.run)
        with Timed(engine, "sync_filesystem") as synced:
            report = engine.Restoring(self.setting, run, backend, threading.Event()).work()
        assert report.result == "done", report.private
        return report, run, synced.seconds

    def swapped(self) -> dict[str, float]:
        """The steps, the phase with its syncs and journal, undo until it is said and until all is away: all files over changed live ones."""
        for path in self.tree.rglob("f*"):
            os.utime(path, ns=(0, 10**9))
        with Timed(Swapping, "all") as steps:
            report, run, _ = self.ours(Destination("original"), self._opened())
        said: list[float] = []
        started = time.monotonic()
        UndoWork(self.setting, run, listen=lambda event: said.append(time.monotonic() - started) if event.kind == "finished" else None).work()
        away = time.monotonic() - started
        swap = next(phase.seconds for phase in report.phases if phase.phase == "swap")
        return {"swap, the steps": steps.seconds, "swap, with sync and journal": swap, "undo, until it is said": said[0], "undo, with the staging away": away}

    def round(self, number: int) -> dict[str, Spent]:
        """All ways once; the order turns with the round."""
        found: dict[str, Spent] = {}
        ways: list[Callable[[], None]] = [lambda: self._bare("plain", self.plain, found), lambda: self._bare("same words", self.same_words, found),
                                          lambda: self._ours(number, found)]  # fmt: skip
        for way in ways[number % 3 :] + ways[: number % 3]:
            way()
        return found

    def _bare(self, name: str, work: Callable[[Path], None], found: dict[str, Spent]) -> None:
        target = self._to("bare")
        found[name] = spent(lambda: work(target))
        started = time.monotonic()
        os.sync()
        found[f"{name}, sync"] = (time.monotonic() - started, 0.0)
        shutil.rmtree(target)

    def _ours(self, number: int, found: dict[str, Spent]) -> None:
        backend = self._opened()
        wanted = Wanted("vault", self.snapshot.id, (os.fsencode(self.tree),), Destination("new", os.fsencode(self.place / f"out{number}")))
        plan = prepare(self.setting, self.backend, wanted, Point(self.snapshot.id), threading.Event())
        run = Run.of(self.setting.base, plan.run)
        marks: list[tuple[str, float, float]] = []
        own: list[float] = []

        def listen(event: Any) -> None:
            if event.kind == "started":
                marks.append((event.phase, time.monotonic(), _cpu()))
                own.append(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))

        with Timed(engine, "sync_filesystem") as synced:
            found["ours, whole"] = spent(lambda: engine.Restoring(self.setting, run, backend, threading.Event(), listen).work())
        marks.append(("end", time.monotonic(), _cpu()))
        for (phase, wall, cpu), (_, after, used) in itertools.pairwise(marks):
            less = synced.seconds if phase == "audit" else 0.0
            found[f"ours, {phase}"] = (after - wall - less, used - cpu)
        found["ours, sync"] = (synced.seconds, 0.0)
        fetch = [phase for phase, _, _ in marks].index("fetch")
        found["fetch, our own process"] = (0.0, own[fetch + 1] - own[fetch])
        UndoWork(self.setting, run).work()


def _ratios(rounds: list[dict[str, Spent]], over: str, under: str) -> str:
    """Median of the ratios of each round, wall and CPU, and their range."""
    words = []
    for column, name in enumerate(("wall", "CPU")):
        found = sorted(one[over][column] / one[under][column] for one in rounds)
        words.append(f"{name} {statistics.median(found):.3f} ({found[0]:.3f} to {found[-1]:.3f})")
    return ", ".join(words)


def _share(rounds: list[dict[str, Spent]]) -> str:
    """What our process took while the tool fetched, of the CPU of the plain command."""
    found = sorted(one["fetch, our own process"][1] / one["plain"][1] for one in rounds)
    return f"{statistics.median(found):.3f} ({found[0]:.3f} to {found[-1]:.3f})"


def measure(place: Path, files: int, rounds: int, program: str) -> None:
    """One tool's figures."""
    measured = Measured(place, files, program)
    measured.round(2)  # once to warm up
    found = [measured.round(number) for number in range(rounds)]
    print(f"{measured.kind} {measured.backend.tool.capabilities.words}, {files:,} files of {SIZE:,} bytes, {rounds} rounds; medians, seconds: wall / CPU")
    for name in found[0]:
        wall, cpu = (statistics.median(one[name][column] for one in found) for column in (0, 1))
        print(f"  {name:<24} {wall:7.2f} / {cpu:6.2f}")
    print(f"  ratio fetch / same words:    {_ratios(found, 'ours, fetch', 'same words')}")
    print(f"  ratio fetch / plain command: {_ratios(found, 'ours, fetch', 'plain')}")
    print(f"  our own process / plain:     {_share(found)}   (CPU: what reading and counting its output takes)")
    print(f"  ratio same words / plain:    {_ratios(found, 'same words', 'plain')}   (the tool's own: its output)")
    print(f"  ratio whole restore / plain: {_ratios(found, 'ours, whole', 'plain')}   (audited and synced)")
    swaps = [measured.swapped() for _ in range(rounds)]
    for name in swaps[0]:
        print(f"  {name:<28} {statistics.median(one[name] for one in swaps):.3f}")


def main(words: list[str]) -> None:
    """Print the figures."""
    numbers = [int(word) for word in words if word.isdigit()]
    files, rounds = numbers[0] if numbers else 10_000, numbers[1] if len(numbers) > 1 else 3
    for program in [word for word in words if not word.isdigit()] or [name for name in ("restic", "borg") if shutil.which(name)]:
        with tempfile.TemporaryDirectory(prefix="deskside-bench-") as name:
            measure(Path(name), files, rounds, shutil.which(program) or program)


if __name__ == "__main__":
    main(sys.argv[1:])
