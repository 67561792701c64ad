"""`SharedStorage`: a TinyDB storage that many processes share - a snapshot and an append-only log under one lock.

TinyDB's own storage rewrites the whole file at each change and two writers lose each other's work; here a change is one line
and one fdatasync. A torn last line (power loss, kill) is ignored by readers and cut off by the next writer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from backends.errors import BackendError, Busy, Damaged, Uncertain
from backends.store.folder import make_file, make_folder, replace_file, translate, user_name
from backends.store.tinydb_state import Entry, State, decode, encode

LOCK_SECONDS = 5.0
COMPACT_BYTES = 4 * 1024 * 1024
_HOLDER_BYTES = 80


class SharedStorage(Storage):
    """State in memory, kept up with the files: `refresh` follows the log's tail, `commit` adds to it.

    `guard` protects the state against other threads; `writing` keeps other threads and processes from changing anything.
    """

    def __init__(self, folder: Path, current: Callable[[], None] = lambda: None) -> None:
        self.folder = folder
        self.snapshot, self.log, self.lock = folder / "snapshot.json", folder / "log.jsonl", folder / "lock"
        self.guard = threading.RLock()
        self.state = State()
        self._current = current
        self._turn = threading.Lock()
        self._file = -1
        # The log stays open: its inode number can't come back for another log while it is.
        self._seen: tuple[int, int, int] = (-1, -1, -1)
        self._offset = 0
        self._last = b""
        self._patience = COMPACT_BYTES
        try:
            make_folder(folder)
            os.close(make_file(self.lock))
            if not self.log.exists():
                self._first()
        except OSError as error:
            raise translate(error, folder) from None

    def _first(self) -> None:
        with self._locked():
            if self.log.exists():
                return
            if self.snapshot.exists():
                raise Damaged(f"{self.log} is missing, {self.snapshot.name} is there", hint="Bring the log back from a backup.")
            replace_file(self.log, b"")

    # -- TinyDB's interface -----------------------------------------------------------------------------

    def read(self) -> dict[str, dict[str, Any]]:
        """Table -> id -> document, as TinyDB wants it. The documents are the live ones: hold `guard` and do not change them."""
        self.refresh()
        return dict(self.state.tables)

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """TinyDB's whole-file write (it drops tables this way): only what differs is written."""
        with self.writing():
            for name in [*self.state.tables, *(new for new in data if new not in self.state.tables)]:
                self.change(name, data.get(name, {}))

    def change(self, name: str, after: dict[str, dict[str, Any]]) -> None:
        """Make a table what it shall be. Only under `writing`."""
        entries = self.state.difference(name, after)
        if entries:
            self.commit(entries)

    def close(self) -> None:
        """Let go of the log."""
        with self.guard:
            if self._file != -1:
                os.close(self._file)
            self._file, self._seen = -1, (-1, -1, -1)

    # -- the lock ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock, with the state up to date."""
        try:
            with self._locked():
                self._current()
                self.refresh()
                yield
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                self._current()  # the folder has another name after a move
            raise translate(error, self.folder) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        until = time.monotonic() + LOCK_SECONDS
        if not self._turn.acquire(timeout=LOCK_SECONDS):
            raise Busy(f"the store has been locked for {LOCK_SECONDS:g} s by another thread of process {os.getpid()}")
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                self._wait(descriptor, until)
                yield
            finally:
                os.close(descriptor)
        finally:
            self._turn.release()

    def _wait(self, descriptor: int, until: float) -> None:
        pause = 0.0005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    holder = os.pread(descriptor, _HOLDER_BYTES, 0).decode("utf-8", "replace").strip() or "another process"
                    raise Busy(f"the store has been locked for {LOCK_SECONDS:g} s by {holder}") from None
                time.sleep(pause)
                pause = min(pause * 1.5, 0.01)
        with contextlib.suppress(OSError):  # the name is for people; a full disk must not stop what would still fit
            os.pwrite(descriptor, f"process {os.getpid()} ({user_name(os.geteuid())})".encode().ljust(_HOLDER_BYTES)[:_HOLDER_BYTES], 0)

    # -- reading ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Follow the log: nothing when nothing changed, its tail when it grew, everything when it was compacted."""
        with self.guard:
            try:
                found = os.stat(self.log)
                if (found.st_ino, found.st_size, found.st_mtime_ns) == self._seen:
                    return
                if self._file == -1 or found.st_ino != self._seen[0] or not self._follow():
                    self._reload()
            except FileNotFoundError:
                self._current()
                raise Damaged(f"{self.log} is gone", hint="Bring the folder back from a backup; nothing is written meanwhile.") from None
            except OSError as error:
                raise translate(error, self.log) from None

    def _reload(self) -> None:
        """The snapshot and the whole log, from a log that was not replaced meanwhile: else the state could be an old one."""
        while True:
            file = os.open(self.log, os.O_RDWR | os.O_CLOEXEC)
            try:
                state = self._read_snapshot()
                if os.stat(self.log).st_ino == os.fstat(file).st_ino:
                    break
            except BaseException:
                os.close(file)
                raise
            os.close(file)
        self.close()
        self._file, self.state, self._offset, self._last = file, state, 0, b""
        self._follow()

    def _read_snapshot(self) -> State:
        try:
            return State.from_bytes(self.snapshot.read_bytes())
        except FileNotFoundError:
            return State()
        except ValueError:
            raise Damaged(f"{self.snapshot} is not a snapshot of the store") from None

    def _follow(self) -> bool:
        """Apply the lines after the last one that was read. False when that one is not there any more.

        A line may be taken back after its fdatasync failed; who had read it already must notice, or it would add at a wrong place.
        """
        found = os.fstat(self._file)
        start = self._offset - len(self._last)
        raw = _read_from(self._file, start)
        if not raw.startswith(self._last):
            return False
        whole, _, _ = raw[len(self._last) :].rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        for place, line in enumerate(lines):
            entries = decode(line)
            if entries is None:
                if any(decode(later) is not None for later in lines[place + 1 :]):
                    raise Damaged(f"{self.log}: the line at byte {self._offset} is damaged, and there are whole lines after it")
                break
            self._applied(line + b"\n", entries, self._offset + len(line) + 1)
        self._seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        return True

    def _applied(self, line: bytes, entries: list[Entry], end: int) -> None:
        for entry in entries:
            self.state.apply(entry)
        self._offset = end
        # Long lines (a load) are not kept: their end tells them apart as well.
        self._last = line[-200:]

    # -- changing ---------------------------------------------------------------------------------------

    def commit(self, entries: list[Entry]) -> None:
        """One line, durable, then in memory. Only under `writing`. A short or failed write is taken back."""
        line = encode(entries)
        start = self._offset
        try:
            if os.fstat(self._file).st_size > start:
                os.ftruncate(self._file, start)  # the torn line of a writer that was killed
            if os.pwrite(self._file, line, start) != len(line):
                raise OSError(errno.ENOSPC, "only a part could be written", str(self.log))
            os.fdatasync(self._file)
        except OSError as error:
            self._take_back(start, error)
            raise
        with self.guard:
            if self._offset == start:  # else another thread has read it from the file already
                self._applied(line, entries, start + len(line))
        self._compact_when_due()

    def _take_back(self, start: int, error: OSError) -> None:
        try:
            if os.fstat(self._file).st_size > start:
                os.ftruncate(self._file, start)
        except OSError:
            raise Uncertain(f"{self.log}: {error.strerror}, and it can't be cut back either") from None
        with self.guard, contextlib.suppress(BackendError, OSError):
            self._reload()

    def _compact_when_due(self) -> None:
        if self._offset <= self._patience:
            return
        try:
            if not self.snapshot.exists() or self._offset > self.snapshot.stat().st_size:
                self.compact()
            self._patience = COMPACT_BYTES
        except OSError:
            # The change itself is durable. The log goes on growing until there is room for a snapshot again.
            self._patience = self._offset * 2

    def compact(self) -> None:
        """The state as a new snapshot, then a new log: others see another inode and read anew. Only under `writing`.

        Killed between the two, the old log is read over the new snapshot: its entries are known already.
        """
        replace_file(self.snapshot, self.state.to_bytes())
        replace_file(self.log, b"")
        with self.guard:
            self.close()
            self._file = os.open(self.log, os.O_RDWR | os.O_CLOEXEC)
            found = os.fstat(self._file)
            self._seen, self._offset, self._last = (found.st_ino, found.st_size, found.st_mtime_ns), 0, b""


def _read_from(file: int, start: int) -> bytes:
    parts: list[bytes] = []
    while part := os.pread(file, 1 << 24, start):
        parts.append(part)
        start += len(part)
    return b"".join(parts)
