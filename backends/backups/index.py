"""`Index`: the files of one snapshot on disk, a compressed row a directory, for tools that can't look into one directory alone.

Built in one pass by a process of its own (`index_build`), looked at while it grows. File names are sensitive: the folder is private,
on a memory file system where there is one, and goes at the end of the session.
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import importlib.util
import marshal
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from backends.backups.borg_json import Item, item_of
from backends.backups.borg_rows import Row
from backends.backups.index_build import DAMAGED, NAME_UNKNOWN, NO_SPACE
from backends.backups.model import Entry, Tally
from backends.backups.process import Command, Running
from backends.backups.scratch import in_memory, private_folder
from backends.errors import BackendError, Busy, Damaged, MissingTool, NoSpace, Unreachable

MOST_BYTES = 512 * 1024 * 1024
_HOME = str(Path(__file__).parents[2])
_SCRIPT = "import sys; sys.path[:0] = [sys.argv[1]]; sys.path += [sys.argv[2]]; from backends.backups.index_build import main; raise SystemExit(main(sys.argv[3:]))"
_PIPE = 1 << 12
"""Small, so that a tool waits when it is not listened to."""


class Index:
    """One snapshot. What is asked while it grows is answered by what is there already."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        """Items read so far."""
        self.built = threading.Event()
        """It is whole, or has failed."""
        self.error: BackendError | None = None
        self.stop = threading.Event()

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", timeout=10, uri=True)) as database:
                yield database
        except sqlite3.OperationalError as error:
            if self.built.is_set():
                raise BackendError(f"the list of files on this machine can't be read: {error}", title="No index", hint="Open the snapshot again.") from None

    def _blobs(self, path: bytes) -> list[bytes] | None:
        found: list[tuple[bytes]] | None = None
        with self._open() as database:
            found = database.execute("SELECT rows FROM folder WHERE path = ?", (path,)).fetchall()
        return [blob for (blob,) in found] if found else None

    def folder(self, path: bytes) -> list[Item] | None:
        """Direct children, None when there is no such directory."""
        blobs = self._blobs(path)
        if blobs is None:
            return None
        base = path.rstrip(b"/") + b"/"
        found: dict[bytes, Row] = {row[0]: row for blob in blobs for row in _unpacked(blob)}
        return [item_of(base + name, row) for name, row in found.items()]

    def entry(self, path: bytes) -> Item | None:
        """One entry, None when it is not there."""
        name = path[path.rindex(b"/") + 1 :]
        found = [row for blob in self._blobs(path[: path.rindex(b"/")] or b"/") or () for row in _unpacked(blob) if row[0] == name]
        return item_of(path, found[-1]) if found else None

    def paths(self, below: bytes = b"/") -> list[bytes]:
        """All directories in the order of their paths: this one and those below it."""
        words, given = _range(below)
        found: list[tuple[bytes]] = []
        with self._open() as database:
            found = database.execute(f"SELECT DISTINCT path FROM folder WHERE {words} ORDER BY path", given).fetchall()
        return [path for (path,) in found]

    def tally(self, below: bytes) -> Tally:
        """Files and bytes of all that is below a directory."""
        words, given = _range(below)
        with self._open() as database:
            files, size = database.execute(f"SELECT sum(files), sum(bytes) FROM folder WHERE {words}", given).fetchone()
            return Tally(int(files or 0), int(size or 0))
        return Tally()

    def find(self, pattern: str, stop: threading.Event | None = None) -> Iterator[Entry]:
        """Names that match a shell pattern."""
        matches = re.compile(fnmatch.translate(pattern)).match
        for path in self.paths():
            if stop is not None and stop.is_set():
                return
            base, seen = path.rstrip(b"/") + b"/", set()
            for blob in self._blobs(path) or ():
                for row in _unpacked(blob):
                    if matches(row[0].decode("utf-8", "surrogateescape")) and row[0] not in seen:
                        seen.add(row[0])
                        yield item_of(base + row[0], row).entry


def _range(below: bytes) -> tuple[str, tuple[bytes, ...]]:
    if below in (b"/", b""):
        return "1", ()
    return "(path = ? OR (path > ? AND path < ?))", (below, below + b"/", below + b"0")


def _unpacked(blob: bytes) -> list[Any]:
    found: list[Any] = marshal.loads(zlib.decompress(blob))
    return found


Source = tuple[Command, str, str]
"""(the tool's command, the form it prints or writes, the folder it writes "raw" into)."""
Failure = Callable[[int, tuple[str, ...]], BackendError]


def build(index: Index, source: Source, failure: Failure, deadline: float) -> None:
    """Fill it. An error of the source or of the disk leaves nothing. Blocks."""
    command, form, folder = source
    reading, writing = small_pipe()
    try:
        with _builder(index.path, form, folder, reading) as builder:
            os.close(reading)
            reading = -1
            counting = threading.Thread(target=_count, args=(builder, index), daemon=True, name="index")
            counting.start()
            feeding, writing = writing, -1
            ended = feed(command, feeding, index.stop, deadline)
            _finish(builder, index, ended, failure)
            counting.join(5.0)
    finally:
        for descriptor in (reading, writing):
            if descriptor >= 0:
                os.close(descriptor)


def small_pipe() -> tuple[int, int]:
    """(end to read, end to write)."""
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, _PIPE)
    return reading, writing


def _packages() -> str:
    """Where msgpack lies: the builder starts without what `site` adds, which takes its time."""
    found = importlib.util.find_spec("msgpack")
    if found is None or not found.submodule_search_locations:
        raise MissingTool("the Python package msgpack is not installed: borg's archives are read with it", hint="Install deskside again, with all it needs.")
    return os.path.dirname(found.submodule_search_locations[0])


@contextlib.contextmanager
def _builder(path: Path, form: str, folder: str, reading: int) -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-I", "-S", "-c", _SCRIPT, _HOME, _packages(), str(path), form, *([folder] if folder else [])]
    process = subprocess.Popen(words, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd="/", start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _count(builder: subprocess.Popen[bytes], index: Index) -> None:
    with contextlib.suppress(ValueError, OSError):
        for line in builder.stdout or ():
            index.count = int(line)


def feed(command: Command, writing: int, stop: threading.Event, deadline: float) -> tuple[int, tuple[str, ...]]:
    """(exit code, what it complained of) of the tool, whose output goes straight to who reads the pipe."""
    try:
        running = Running(command, writing)
    finally:
        os.close(writing)
    with running:
        for _ in running.parts(deadline, stop):
            pass
        if running.cancelled:
            raise BackendError("the reading was stopped", title="Stopped", hint="Open the snapshot again to read it.")
        return running.code, tuple(running.complaints.lines)


def died_of_us(errors: Iterable[str]) -> bool:
    """The tool wrote on after its reader had given up."""
    return any("Broken pipe" in line or "BrokenPipe" in line for line in errors)


def _finish(builder: subprocess.Popen[bytes], index: Index, ended: tuple[int, tuple[str, ...]], failure: Failure) -> None:
    """Wait for the builder; whose fault it was, where there is one."""
    while ended[0] == 0 and not index.stop.is_set():
        with contextlib.suppress(subprocess.TimeoutExpired):
            builder.wait(0.1)
            break
    with contextlib.suppress(subprocess.TimeoutExpired):
        builder.wait(5.0)
    code = builder.poll()
    if code == NO_SPACE:
        raise NoSpace(f"{index.path.parent}: no room for the list of files", hint="Free some space there.")
    if code == NAME_UNKNOWN:
        raise Busy("the repository is locked, and a name of this archive can only be read without the lock",
                   hint="Wait until the backup has ended; `deskside backups locks` says who holds it.")  # fmt: skip
    if ended[0] != 0 and not (code == DAMAGED and died_of_us(ended[1])):
        raise failure(*ended)
    if index.stop.is_set():
        raise BackendError("the reading was stopped", title="Stopped", hint="Open the snapshot again to read it.")
    if code == DAMAGED:
        raise Damaged("borg's list of files can't be read or was cut off", hint="Check the repository: an archive may be damaged.")
    if code != 0:
        raise Unreachable(f"the process that lists the files ended with {code}", hint="R tries again.")


class Indexes:
    """The indexes of a session, by snapshot id: built when first asked for, the least used one dropped above 512 MB."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._known: OrderedDict[str, Index] = OrderedDict()
        self._guard = threading.Lock()

    def start(self, ident: str, fill: Callable[[Index], None]) -> Index:
        """The index, which `fill` has begun to build in the background if it was not there; two that ask at once build it once."""
        with self._guard:
            known = self._known.get(ident)
            if known is not None and known.error is None:
                self._known.move_to_end(ident)
                return known
            if self._folder is None:
                self._folder = private_folder("index", in_memory())
            index = self._known[ident] = Index(self._folder / ident)
            index.path.unlink(missing_ok=True)
            os.close(os.open(index.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        threading.Thread(target=self._fill, args=(index, fill), daemon=True, name=f"index {ident[:8]}").start()
        return index

    def _fill(self, index: Index, fill: Callable[[Index], None]) -> None:
        try:
            fill(index)
        except BackendError as error:
            index.error = error
        except OSError as error:
            index.error = NoSpace(f"{index.path.parent}: {error.strerror}", hint="Free some space for the list of files.")
        except Exception as error:  # noqa: BLE001 - carried over to who waits for it
            index.error = BackendError(f"{type(error).__name__}: {error}", title="No index")
        if index.error is not None:
            index.path.unlink(missing_ok=True)
        index.built.set()
        with self._guard:
            self._shrink()

    def get(self, ident: str, fill: Callable[[Index], None]) -> Index:
        """The same, when it is whole. What ended its building is raised to all who wait."""
        index = self.start(ident, fill)
        index.built.wait()
        if index.error is not None:
            raise index.error
        return index

    def reading(self, ident: str) -> Index | None:
        """One that is being built or is whole."""
        return self._known.get(ident)

    def forget(self, *idents: str) -> None:
        """Those of them that have failed."""
        with self._guard:
            for ident in idents:
                known = self._known.get(ident)
                if known is not None and known.error is not None:
                    del self._known[ident]

    def _shrink(self) -> None:
        whole = [ident for ident, one in self._known.items() if one.built.is_set() and one.error is None]
        while len(whole) > 1 and sum(self._known[ident].path.stat().st_size for ident in whole) > MOST_BYTES:
            self._known.pop(whole.pop(0)).path.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop what reads and take them away."""
        for one in self._known.values():
            one.stop.set()
        for one in self._known.values():
            one.built.wait(3.0)
        self._known.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
