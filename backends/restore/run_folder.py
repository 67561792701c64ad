"""`Run`: the folder of one restore - plan, journal, what was found live, the steps, the outcome. What is not durable here has not happened.

The journal is written before each phase begins and each line is on the disk before the next thing is done. The steps of a swap
are written and synced as one file before the first of them: which of them happened is seen from the inodes afterwards, so that
no step needs a write of its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from backends.errors import Busy, Damaged, NoSpace, NotFound
from backends.idents import dated
from backends.restore.codec import dumps, loads
from backends.restore.model import RestoreEvent, RestorePlan, RestoreReport

UNFINISHED = ("fetching", "stopped", "fetched", "audited", "swapping", "swapped", "loading", "undoing")
ENDED = ("done", "partial", "failed", "cancelled", "undone", "expired")


def new_ident() -> str:
    """Sorted by time; not to be guessed."""
    return "r" + dated(8)


def durable(path: Path, data: bytes) -> None:
    """A file with its folder on the disk, whole or not at all. NoSpace."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o660)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise NoSpace(f"{path}: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """The names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Run:
    """One restore's folder. Many may read; who works on it holds its lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ident = folder.name

    @classmethod
    def create(cls, base: Path, ident: str = "") -> Run:
        """A new one below `base`. NoSpace."""
        folder = base / (ident or new_ident())
        try:
            folder.mkdir(parents=True, mode=0o770)
        except OSError as error:
            raise NoSpace(f"{folder}: {error.strerror}") from None
        return cls(folder)

    @classmethod
    def of(cls, base: Path, ident: str) -> Run:
        """An existing one. NotFound."""
        if "/" in ident or ident.startswith(".") or not (base / ident / "plan.json").exists():
            raise NotFound(f"restore {ident}", hint="`deskside backups restores` lists them.")
        return cls(base / ident)

    def file(self, name: str) -> Path:
        """A file of the folder."""
        return self.folder / name

    # -- plan and report --------------------------------------------------------------------------------

    def write(self, name: str, value: Any) -> None:
        """A record of `model` as a durable file."""
        durable(self.file(name), dumps(value).encode())

    def read(self, name: str) -> Any:
        """The record, or None when it is not there. Damaged."""
        try:
            return loads(self.file(name).read_bytes())
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Damaged(f"{self.file(name)}: {error}") from None

    def plan(self) -> RestorePlan:
        """What was confirmed. Damaged."""
        found = self.read("plan.json")
        if not isinstance(found, RestorePlan):
            raise Damaged(f"{self.file('plan.json')} is no plan")
        return found

    def report(self) -> RestoreReport | None:
        """How it ended, if it did."""
        found = self.read("report.json")
        return found if isinstance(found, RestoreReport) else None

    # -- journal ----------------------------------------------------------------------------------------

    def note(self, state: str, **fields: Any) -> None:
        """A durable line: what begins now. NoSpace: then nothing may begin."""
        line = json.dumps({"t": time.time(), "state": state, **fields}, ensure_ascii=True).encode() + b"\n"
        try:
            new = not self.file("journal.jsonl").exists()
            descriptor = os.open(self.file("journal.jsonl"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o660)
            try:
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":  # a torn line of a killed process
                    line = b"\n" + line
                if os.write(descriptor, line) != len(line):
                    raise OSError(28, "No space left on device")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                sync_folder(self.folder)
        except OSError as error:
            raise NoSpace(f"the journal in {self.folder} can't be written: {error.strerror}") from None

    def journal(self) -> list[dict[str, Any]]:
        """All whole lines."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for line in self.file("journal.jsonl").read_bytes().splitlines():
                with contextlib.suppress(ValueError):
                    found.append(json.loads(line))
        return found

    def state(self) -> str:
        """The newest state; "planned" before the first."""
        lines = self.journal()
        return str(lines[-1]["state"]) if lines else "planned"

    def said(self, key: str) -> Any:
        """The newest value of a field, or None."""
        return next((line[key] for line in reversed(self.journal()) if key in line), None)

    # -- lines ------------------------------------------------------------------------------------------

    def spool(self, name: str, lines: Iterable[Any]) -> None:
        """A file of JSON lines, durable. NoSpace."""
        path = self.file(name)
        try:
            with open(path, "wb") as file:
                os.fchmod(file.fileno(), 0o660)
                for line in lines:
                    file.write(json.dumps(line, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            sync_folder(self.folder)
        except OSError as error:
            raise NoSpace(f"{path}: {error.strerror}") from None

    def digest(self, name: str) -> str:
        """SHA-256 of a file of the folder, in hex, in little memory. FileNotFoundError."""
        with open(self.file(name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def lines(self, name: str) -> Iterator[Any]:
        """The lines of such a file; none when it is not there."""
        with contextlib.suppress(FileNotFoundError), open(self.file(name), "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield json.loads(line)

    def events(self, since: int = 0) -> list[RestoreEvent]:
        """What it told after number `since`."""
        found = []
        with contextlib.suppress(FileNotFoundError), open(self.file("events.jsonl"), "rb") as file:
            for line in file:
                with contextlib.suppress(ValueError, TypeError):
                    event = RestoreEvent(**json.loads(line))
                    if event.seq > since:
                        found.append(event)
        return found

    # -- lock -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, name: str = "lock") -> Iterator[None]:
        """Held by who works on it ("sweep": by who takes its staging away); ends with the process, however it ends. Busy."""
        descriptor = os.open(self.file(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"restore {self.ident} is being worked on") from None
            yield
        finally:
            os.close(descriptor)

    def alive(self) -> bool:
        """Whether somebody works on it."""
        try:
            with self.lock():
                return False
        except Busy:
            return True
        except FileNotFoundError:
            return False


def runs(base: Path) -> list[Run]:
    """All of them, the newest first."""
    return [Run(path.parent) for path in sorted(base.glob("r*/plan.json"), reverse=True)]


def fields_of(event: RestoreEvent) -> Mapping[str, Any]:
    """An event as its line has it."""
    return {name: getattr(event, name) for name in RestoreEvent.__slots__}
