"""What looking into a snapshot costs beside the bare tool: `python -m bench.browse [files] [rounds]`.

Every round does all of it in turn, so that a busy machine is busy for all: `restic ls` of one directory as a person types it, our first
screen of the same directory (a fresh adapter that knows the snapshot), the next directory after one was read ahead; `borg list` of the
whole archive read away by nobody, our index of it until it is whole, and until its first rows are there. Ratios are those of each round.
"""

from __future__ import annotations

import asyncio
import contextlib
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

from backends.backups.model import Snapshot
from backends.contract import Site
from backends.options import read_options
from backends.secret import Secret
from backends.store.opening import open_store
from tests.terminal.conftest import DESKSIDE, environment
from tests.terminal.harness import Terminal

FOLDERS = 100


def spent(work: Callable[[], Any]) -> float:
    """Seconds."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def builder_memory() -> float:
    """MiB at its most of the process that builds an index for this one now."""
    for pid in " ".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split():
        with contextlib.suppress(OSError, StopIteration):
            if b"index_build" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 0.0


class Looked:
    """A tree of small files in a repository of each tool."""

    def __init__(self, place: Path, files: int) -> None:
        os.environ["HOME"] = str(place)  # where borg keeps what it knows of a repository, for both sides
        self.place, self.tree = place, place / "tree"
        self.own = {**os.environ, "RESTIC_REPOSITORY": str(place / "restic"), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "cache"),
                    "BORG_REPO": str(place / "borg"), "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}  # fmt: skip
        for number in range(FOLDERS):
            folder = self.tree / f"d{number:03}"
            folder.mkdir(parents=True)
            for one in range(files // FOLDERS):
                (folder / f"f{one}").write_bytes(b"%d" % one)
        for words in (["restic", "-q", "init"], ["restic", "-q", "backup", str(self.tree)], ["borg", "init", "-e", "none"], ["borg", "create", "::one", str(self.tree)]):
            if shutil.which(words[0]):
                subprocess.run(words, env=self.own, check=True)
        self.store = open_store(place / "data")
        self.number = 0
        self.builder = 0.0
        """The most memory a builder of an index was seen with, in MiB."""

    def opened(self, kind: str) -> Any:
        """As a console has it that was just opened: nothing is known yet."""
        from backends.backups.borg import Borg
        from backends.backups.restic import Restic

        adapter: Any = Borg if kind == "borg" else Restic
        told = {"repository": str(self.place / kind), **({} if kind == "borg" else {"password": "env:X"})}
        table = read_options(adapter.OPTIONS, told)
        if kind == "restic":
            table = {**table, "password": Secret("p")}
        self.number += 1
        backend = adapter("vault", table, Site(data=str(self.place / f"data{self.number}"), store=self.store))
        backend.tool.open()
        return backend

    def bare(self, *words: str, cwd: str | None = None) -> None:
        """The tool, its output read away."""
        subprocess.run(words, env=self.own, check=True, stdout=subprocess.DEVNULL, cwd=cwd)

    def restic(self) -> dict[str, float]:
        """One round."""
        folder, following = os.fsencode(self.tree / "d000"), [os.fsencode(self.tree / f"d{number:03}") for number in range(1, 61)]
        backend = self.opened("restic")
        (snapshot,) = backend.tool.snapshots()

        async def look() -> dict[str, float]:
            await backend.snapshot(snapshot.id)
            started = time.monotonic()
            listed = await backend.files(snapshot.id, folder)
            first = time.monotonic() - started
            assert listed
            await backend.read_ahead(snapshot.id, following, threading.Event())
            ahead = time.monotonic() - started - first
            started = time.monotonic()
            assert backend.known(snapshot.id, following[0])
            return {"restic, our first screen": first, "restic, 60 read ahead": ahead, "restic, next directory": time.monotonic() - started}

        bare = spent(lambda: self.bare("restic", "ls", "--no-lock", snapshot.id, str(self.tree / "d000")))
        return {"restic, bare ls": bare, **asyncio.run(look())}

    def borg(self) -> dict[str, float]:
        """One round."""
        backend = self.opened("borg")
        (snapshot,) = backend.tool.snapshots()
        found = {"borg, bare list": spent(lambda: self.bare("borg", "list", "::one")), "borg, bare list --json-lines": spent(lambda: self.bare("borg", "list", "--json-lines", "::one"))}
        with tempfile.TemporaryDirectory(dir=self.place) as folder:
            found["borg, bare dump-archive-items"] = spent(lambda: self.bare("borg", "debug", "dump-archive-items", "::one", cwd=folder))
        found |= self._index(backend, snapshot)
        backend.tool.close()
        return found

    def _index(self, backend: Any, snapshot: Snapshot) -> dict[str, float]:
        folder, started, first = os.fsencode(self.tree / "d000"), time.monotonic(), 0.0
        while True:
            seen = backend.tool.glimpse(snapshot, folder)
            first = first or (time.monotonic() - started if seen.entries else 0.0)
            self.builder = max(self.builder, builder_memory())
            if seen.whole:
                break
            time.sleep(0.02)
        whole = time.monotonic() - started
        following = spent(lambda: backend.tool.glimpse(snapshot, os.fsencode(self.tree / "d050")))
        return {"borg, our first rows": first, "borg, our index": whole, "borg, next directory": following}


def console_memory(looked: Looked) -> float:
    """MiB of a console on a terminal that has the whole borg archive open and walked into a folder."""
    config = looked.place / "c.toml"
    config.write_text(f'[tickets.desk]\nadapter = "embedded"\n[backups.attic]\nadapter = "borg"\nrepository = "{looked.place}/borg"\n')
    terminal = Terminal([*DESKSIDE, "--config", str(config), "--data", str(looked.place / "console")], environment(looked.place))
    try:
        for keys, wanted in (("", "backups ok"), ("3", "last success"), ("\r", "Snapshots 1"), ("\r", f" {FOLDERS} entries"), ("\r", " › ")):
            terminal.send(keys)
            until = time.monotonic() + 60
            while wanted not in terminal.text() and time.monotonic() < until:
                terminal.read(quiet=0.05, longest=0.2)
            assert wanted in terminal.text(), terminal.text()
            terminal.settle(0.5, 5)
        return next(int(line.split()[1]) / 1024 for line in Path(f"/proc/{terminal.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    finally:
        terminal.close()


def _say(found: list[dict[str, float]], pairs: list[tuple[str, str]]) -> None:
    for name in found[0]:
        print(f"  {name:<34} {statistics.median(one[name] for one in found) * 1000:9.1f} ms")
    for over, under in pairs:
        ratios = sorted(one[over] / one[under] for one in found)
        print(f"  ratio {over} / {under}: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


def main(words: list[str]) -> None:
    """Print the figures."""
    numbers = [int(word) for word in words if word.isdigit()]
    files, rounds = numbers[0] if numbers else 20_000, numbers[1] if len(numbers) > 1 else 5
    with tempfile.TemporaryDirectory(prefix="deskside-bench-") as name:
        looked = Looked(Path(name), files)
        print(f"browsing, {files:,} files in {FOLDERS} folders, {rounds} rounds; medians")
        if shutil.which("restic"):
            looked.restic()  # once to warm up
            _say([looked.restic() for _ in range(rounds)], [("restic, our first screen", "restic, bare ls")])
        if shutil.which("borg"):
            pairs = [("borg, our index", f"borg, bare {one}") for one in ("list", "list --json-lines", "dump-archive-items")]
            looked.borg()
            _say([looked.borg() for _ in range(rounds)], pairs)
            print(f"  memory of the index's builder at its most {looked.builder:.0f} MiB")
            print(f"  memory of a console with the archive open {console_memory(looked):.0f} MiB")
        print(f"  memory of this process at its most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main(sys.argv[1:])
