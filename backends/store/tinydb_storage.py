"""`SharedStorage`: a TinyDB storage that many processes share - a snapshot and an append-only log under one lock.

TinyDB's own storage rewrites the whole file at each change and two writers lose each other's work; here a change is one line
and one fdatasync. A torn last line (power loss, kill) is ignored by readers and cut off by the next writer.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tinydb.storages import Storage

from backends.errors import Busy, Damaged, NoSpace

LOCK_SECONDS = 5.0
COMPACT_BYTES = 8 * 1024 * 1024
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, errno.EDQUOT}
State = dict[str, Any]


def empty_state() -> State:
    """A store without anything."""
    return {"seq": 0, "counters": {}, "tables": {}, "gone": {}, "ops": {}}


def apply_entry(state: State, entry: list[Any]) -> None:
    """One entry of the log onto the state. What the snapshot already holds is passed over."""
    kind = entry[0]
    if kind == "n":
        _, name, value = entry
        state["counters"][name] = max(value, state["counters"].get(name, 0))
        return
    _, collection, ident, rev, seq = entry[:5]
    if seq <= state["seq"]:
        return
    state["seq"] = seq
    table, gone = state["tables"].setdefault(collection, {}), state["gone"].setdefault(collection, {})
    if kind == "x":
        table.pop(ident, None)
        gone[ident] = [seq, rev]
        return
    table[ident] = {"id": ident, "rev": rev, "seq": seq, "doc": entry[5]}
    gone.pop(ident, None)
    if len(entry) > 6 and entry[6]:
        state["ops"][entry[6]] = [collection, ident, rev, seq, entry[5]]


def _line(entries: list[list[Any]]) -> bytes:
    body = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return b"%08x " % zlib.crc32(body) + body + b"\n"


def _entries(line: bytes) -> list[list[Any]] | None:
    mark, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        if int(mark, 16) != zlib.crc32(body):
            return None
        entries: list[list[Any]] = json.loads(body.decode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    return entries


class SharedStorage(Storage):
    """State in memory, kept up with the files: `read` follows the log's tail, `commit` adds to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.snapshot, self.log, self.lock = folder / "snapshot.json", folder / "log.jsonl", folder / "lock"
        self.state: State = empty_state()
        self._inode, self._offset = -1, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._create(self.lock)

    # -- TinyDB's interface -----------------------------------------------------------------------------

    def read(self) -> dict[str, dict[str, Any]]:
        """Table -> id -> record, as TinyDB wants it."""
        self.refresh()
        tables: dict[str, dict[str, Any]] = self.state["tables"]
        return tables

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """TinyDB's whole-file write: a compaction with these tables."""
        with self.writing():
            self.state["tables"] = data
            self.compact()

    # -- files ------------------------------------------------------------------------------------------

    def _create(self, path: Path) -> None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        except OSError as error:
            raise NoSpace(f"{path}: {error.strerror}") from None
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o660)
        os.close(descriptor)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock, with the state up to date."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._take(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()} {_user()}".encode(), 0)
            self.refresh()
            yield
        except OSError as error:
            if error.errno in _FULL:
                raise NoSpace(f"{self.folder}: {error.strerror}") from None
            raise Damaged(f"{self.folder}: {error.strerror}") from None
        finally:
            os.close(descriptor)

    def _take(self, descriptor: int) -> None:
        until = time.monotonic() + LOCK_SECONDS
        wait = 0.0005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    holder = os.pread(descriptor, 100, 0).decode("utf-8", "replace") or "an unknown process"
                    raise Busy(f"the store has been locked for {LOCK_SECONDS:g} s by {holder}") from None
                time.sleep(wait)
                wait = min(wait * 1.5, 0.01)

    def refresh(self) -> None:
        """Follow the log: nothing when nothing changed, its tail when it grew, everything when it was compacted."""
        try:
            found = os.stat(self.log)
        except FileNotFoundError:
            if self._inode != -1 or self.snapshot.exists():
                self._reload()
            return
        if found.st_ino != self._inode:
            self._reload()
        elif found.st_size != self._offset:
            self._follow()

    def _reload(self) -> None:
        for _ in range(20):
            inode = self.log.stat().st_ino if self.log.exists() else -1
            state = self._read_snapshot()
            now = self.log.stat().st_ino if self.log.exists() else -1
            if inode == now:
                break
        self.state, self._inode, self._offset = state, inode, 0
        if inode != -1:
            self._follow()

    def _read_snapshot(self) -> State:
        try:
            raw = self.snapshot.read_bytes()
        except FileNotFoundError:
            return empty_state()
        try:
            state: State = json.loads(raw.decode("utf-8", "surrogatepass"))
            state["tables"], state["ops"]
        except (ValueError, KeyError, TypeError):
            raise Damaged(f"{self.snapshot} is not a snapshot of the store") from None
        return state

    def _follow(self) -> None:
        with open(self.log, "rb") as file:
            if os.fstat(file.fileno()).st_ino != self._inode:
                return
            file.seek(self._offset)
            tail = file.read()
        for line in tail.splitlines(keepends=True):
            entries = _entries(line) if line.endswith(b"\n") else None
            if entries is None:
                break
            for entry in entries:
                apply_entry(self.state, entry)
            self._offset += len(line)

    # -- changing ---------------------------------------------------------------------------------------

    def commit(self, entries: list[list[Any]]) -> None:
        """One line, durable, then in memory. Only under `writing`. A short or failed write is cut off again."""
        line = _line(entries)
        descriptor = os.open(self.log, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            self._own(descriptor)
            size = os.fstat(descriptor).st_size
            if size > self._offset:
                os.ftruncate(descriptor, self._offset)
            try:
                if os.pwrite(descriptor, line, self._offset) != len(line):
                    raise OSError(errno.ENOSPC, "only a part could be written")
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, self._offset)
                raise
        finally:
            os.close(descriptor)
        for entry in entries:
            apply_entry(self.state, entry)
        self._offset += len(line)
        if self._offset > COMPACT_BYTES and self._offset > 2 * self._snapshot_size():
            self.compact()

    def _own(self, descriptor: int) -> None:
        inode = os.fstat(descriptor).st_ino
        if inode != self._inode:
            os.fchmod(descriptor, 0o660)
            self._inode, self._offset = inode, 0
            self._sync_folder()

    def _snapshot_size(self) -> int:
        return self.snapshot.stat().st_size if self.snapshot.exists() else 0

    def compact(self) -> None:
        """The state as a new snapshot, then a new log: others see another inode and read anew. Only under `writing`."""
        self._replace(self.snapshot, json.dumps(self.state, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
        self._replace(self.log, b"")
        self._inode, self._offset = self.log.stat().st_ino, 0

    def _replace(self, path: Path, body: bytes) -> None:
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o660)
        try:
            os.fchmod(descriptor, 0o660)
            place = 0
            while place < len(body):
                place += os.write(descriptor, body[place : place + (1 << 24)])
            os.fsync(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
