"""The ledger: append-only JSON lines, each holding the hash of the one before. Never imports textual.

An intent is durable before anything is sent; a torn tail is never cut off but closed with a newline and a repair record, so that
the file may be append-only for the kernel too. Removing the newest lines is only found against an anchor noted elsewhere.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backends.errors import Busy, Damaged, NoSpace

CURRENT = "current.jsonl"
ZERO = "0" * 64
LOCK_SECONDS = 5.0
ROTATE_BYTES = 32 * 1024 * 1024
TAIL = 65536


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found. `head` is "seq:hash" of the newest line: the anchor to note elsewhere."""

    ok: bool
    records: int
    repaired: int
    problems: tuple[str, ...]
    head: str

    def sentence(self) -> str:
        """In words."""
        if not self.ok:
            return f"BROKEN: {self.problems[0]}" + (f" and {len(self.problems) - 1} more" if len(self.problems) > 1 else "")
        repaired = f", {self.repaired} torn lines repaired" if self.repaired else ""
        return f"{self.records:,} records, the chain holds{repaired}"


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _encode(record: Mapping[str, Any]) -> bytes:
    """One line; its hash is over the bytes that stand before the hash field."""
    body = json.dumps(record, ensure_ascii=True, separators=(",", ":"), default=str)[:-1].encode()
    return body + b',"hash":"' + _digest(body).encode() + b'"}\n'


def _decode(line: bytes) -> dict[str, Any] | None:
    """The record of a whole line whose hash is right, else None."""
    body, mark, rest = line.rpartition(b',"hash":"')
    if not mark or rest[64:] not in (b'"}', b'"}\n') or rest[:64].decode("ascii", "replace") != _digest(body):
        return None
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return record


class Ledger:
    """The folder of ledger files: `current.jsonl` and the older ones by their first number."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # -- writing ----------------------------------------------------------------------------------------

    def append(self, kind: str, **fields: Any) -> int:
        """Write one record durably; its number. NoSpace when it can't be made durable, Busy when the lock is held."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o770)
            with self._open() as descriptor:
                return self._append(descriptor, kind, fields)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.EPERM):
                raise NoSpace(f"the ledger in {self.folder} can't be written: {error.strerror}") from None
            raise Damaged(f"the ledger in {self.folder}: {error.strerror}") from None

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        path = self.folder / CURRENT
        new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
        try:
            if new:
                with contextlib.suppress(OSError):
                    os.fchmod(descriptor, 0o660)
                self._sync_folder()
            self._lock(descriptor)
            if not new and os.fstat(descriptor).st_size > ROTATE_BYTES and os.stat(path).st_ino == os.fstat(descriptor).st_ino:
                yield self._rotated(descriptor, path)
            else:
                yield descriptor
        finally:
            os.close(descriptor)

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _lock(self, descriptor: int) -> None:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    raise Busy("somebody has held the ledger's lock for 5 s", hint="Look for a stopped deskside process.") from None
                time.sleep(0.01)

    def _rotated(self, descriptor: int, path: Path) -> int:
        """A new current file under the same lock; its first record is an anchor onto the last of the old one."""
        seq, head = self._tail(descriptor)
        os.rename(path, self.folder / f"ledger-{seq:012d}.jsonl")
        fresh = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o660)
        os.fchmod(fresh, 0o660)
        fcntl.flock(fresh, fcntl.LOCK_EX)
        self._write(fresh, _encode(self._record("anchor", seq + 1, head, {"note": "the file before ended here"})))
        self._sync_folder()
        os.dup2(fresh, descriptor)
        os.close(fresh)
        return descriptor

    def _append(self, descriptor: int, kind: str, fields: Mapping[str, Any]) -> int:
        size = os.fstat(descriptor).st_size
        seq, head = self._tail(descriptor)
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            start = self._line_start(descriptor, size)
            torn = os.pread(descriptor, size - start, start)
            self._write(descriptor, b"\n")
            if _decode(torn) is None:  # else only its newline was missing, and `_tail` has counted it
                seq += 1
                line = _encode(self._record("repair", seq, head, {"torn": _digest(torn), "bytes": len(torn)}))
                self._write(descriptor, line)
                head = _decode(line)["hash"]  # type: ignore[index]
        line = _encode(self._record(kind, seq + 1, head, fields))
        self._write(descriptor, line)
        os.fsync(descriptor)
        return seq + 1

    @staticmethod
    def _write(descriptor: int, line: bytes) -> None:
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, "only a part of the line could be written")

    @staticmethod
    def _line_start(descriptor: int, size: int) -> int:
        place = size
        while place > 0:
            step = min(TAIL, place)
            found = os.pread(descriptor, step, place - step).rfind(b"\n")
            if found >= 0:
                return place - step + found + 1
            place -= step
        return 0

    def _tail(self, descriptor: int) -> tuple[int, str]:
        """Number and hash of the newest whole record."""
        end = os.fstat(descriptor).st_size
        while end > 0:
            start = self._line_start(descriptor, end - 1 if os.pread(descriptor, 1, end - 1) == b"\n" else end)
            line = os.pread(descriptor, end - start, start)
            record = _decode(line)
            if record is not None:
                return int(record["seq"]), str(record["hash"])
            end = start
        older = self._files()
        if older and older[-1].name != CURRENT:
            for line in reversed(older[-1].read_bytes().splitlines()):
                record = _decode(line)
                if record is not None:
                    return int(record["seq"]), str(record["hash"])
        return 0, ZERO

    @staticmethod
    def _record(kind: str, seq: int, prev: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "v": 1, "seq": seq, "ts": datetime.now(UTC).isoformat(), "kind": kind, "host": socket.gethostname(), "pid": os.getpid(),
            **fields, "prev": prev,
        }  # fmt: skip

    # -- reading ----------------------------------------------------------------------------------------

    def _files(self) -> list[Path]:
        older = sorted(self.folder.glob("ledger-*.jsonl"))
        current = self.folder / CURRENT
        return [*older, current] if current.exists() else older

    def read(self, newest: int = 100) -> list[dict[str, Any]]:
        """The newest records, newest first."""
        out: list[dict[str, Any]] = []
        for path in reversed(self._files()):
            for line in reversed(path.read_bytes().splitlines()):
                record = _decode(line)
                if record is not None:
                    out.append(record)
                if len(out) >= newest:
                    return out
        return out

    def unfinished(self) -> list[dict[str, Any]]:
        """Intents among the newest 5,000 records that have no result: what they did is not known."""
        open_: dict[str, dict[str, Any]] = {}
        for record in reversed(self.read(5_000)):
            if record["kind"] == "intent":
                open_[str(record.get("op"))] = record
            elif record["kind"] == "result":
                open_.pop(str(record.get("op")), None)
        return list(open_.values())

    def verify(self, anchor: str | None = None) -> Verdict:
        """Walk all files: every hash, every number, every link. `anchor` is a "seq:hash" that must be in the chain."""
        problems: list[str] = []
        seq, head, count, repaired = 0, ZERO, 0, 0
        torn: list[tuple[Path, int, str]] = []
        anchors: dict[int, str] = {}
        for path in self._files():
            for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
                if not line:
                    continue
                record = _decode(line)
                if record is None:
                    torn.append((path, number, _digest(line)))
                    continue
                if record["kind"] == "repair":
                    torn = [item for item in torn if item[2] != record.get("torn")]
                    repaired += 1
                problems += _breaks(record, seq, head, f"{path.name}:{number}")
                seq, head, count = int(record["seq"]), str(record["hash"]), count + 1
                anchors[seq] = head
        problems += [f"{path.name}:{number} is changed or torn" for path, number, _ in torn]
        problems += _off_anchor(anchor, anchors)
        return Verdict(not problems, count, repaired, tuple(problems), f"{seq}:{head}")


def _breaks(record: Mapping[str, Any], seq: int, head: str, where: str) -> Sequence[str]:
    found = []
    if int(record["seq"]) != seq + 1:
        found.append(f"{where} has number {record['seq']}, {seq + 1} was due: lines are missing or moved")
    if record["prev"] != head:
        found.append(f"{where} does not follow the line before it")
    return found


def _off_anchor(anchor: str | None, known: Mapping[int, str]) -> Sequence[str]:
    if not anchor:
        return ()
    number, _, digest = anchor.partition(":")
    if not number.isdigit() or known.get(int(number)) != digest:
        return (f"the anchor {number} is not in the ledger: the tail was cut or everything was rewritten",)
    return ()
