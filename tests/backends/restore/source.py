"""A backup tool for the tests: snapshots are plain trees, copied by `cp -a`, with the hash of each file taken when it was backed up."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from backends.backups.extraction import ExtractCapabilities, Extraction, ToolError, ToolEvent
from backends.backups.model import Entry
from backends.errors import NotFound
from backends.restore.attributes import found_at

KINDS = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}


class Trees:
    """`ExtractsFiles` over folders: `<base>/<snapshot>/<whole path>`."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.hashes: dict[tuple[str, bytes], bytes] = {}
        self.told: list[bytes] = []
        self.before_extract: Callable[[], None] = lambda: None
        self.after_extract: Callable[[bytes], None] = lambda into: None
        self.tells_attributes = False
        self.more: list[Entry] = []
        """Entries that no tool should tell."""

    def backup(self, snapshot: str, *paths: Path) -> None:
        for path in paths:
            place = self.base / snapshot / str(path.parent).lstrip("/")
            place.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(path), str(place)], check=True)
        for entry in self.entries(snapshot, [os.fsencode(path) for path in paths]):
            if entry.kind == "file":
                self.hashes[snapshot, entry.path] = self._hash(snapshot, entry.path)

    def _root(self, snapshot: str) -> bytes:
        return os.fsencode(self.base / snapshot)

    def _hash(self, snapshot: str, path: bytes) -> bytes:
        with open(self._root(snapshot) + path, "rb") as file:
            return hashlib.sha256(file.read()).digest()

    def extract(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        started = time.monotonic()
        self.before_extract()
        errors = []
        for path in selection:
            if stop.is_set():
                return Extraction(130, 0, 0, 0.0, cancelled=True)
            if not os.path.lexists(self._root(snapshot) + path):
                raise NotFound(path.decode())
            folder = into + os.path.dirname(path)
            os.makedirs(folder, exist_ok=True)
            done = subprocess.run([b"cp", b"-a", self._root(snapshot) + path, folder + b"/"], capture_output=True, text=True)
            tell(ToolEvent("progress", files=1))
            if done.returncode:
                errors.append(ToolError(path, done.stderr.strip()[-300:]))
        self.after_extract(into)
        return Extraction(1 if errors else 0, 0, 0, time.monotonic() - started, tuple(errors), tuple(selection), len(errors), tool="trees 1")

    def entries(self, snapshot: str, selection: Sequence[bytes]) -> Iterator[Entry]:
        for chosen in selection:
            if not os.path.lexists(self._root(snapshot) + chosen):
                raise NotFound(chosen.decode())
            waiting = [chosen]
            while waiting:
                path = waiting.pop()
                told = os.lstat(self._root(snapshot) + path)
                yield self._entry(snapshot, path, told)
                if stat.S_ISDIR(told.st_mode):
                    waiting += [path + b"/" + name for name in sorted(os.listdir(self._root(snapshot) + path), reverse=True)]
        yield from self.more

    def _entry(self, snapshot: str, path: bytes, told: os.stat_result) -> Entry:
        kind = KINDS.get(stat.S_IFMT(told.st_mode), "other")
        return Entry(
            path, os.fsdecode(path.rpartition(b"/")[2]), kind, told.st_size if kind == "file" else 0, stat.S_IMODE(told.st_mode),  # type: ignore[arg-type]
            uid=told.st_uid, gid=told.st_gid, mtime_ns=told.st_mtime_ns,
            link=os.readlink(self._root(snapshot) + path) if kind == "link" else None,
            special="fifo" if stat.S_ISFIFO(told.st_mode) else "",
            inode=str(told.st_ino) if told.st_nlink > 1 and kind != "dir" else "",
            xattrs=tuple(sorted(found_at(self._root(snapshot) + path).items())) if self.tells_attributes else None,
        )  # fmt: skip

    def content_hash(self, snapshot: str, path: bytes) -> bytes:
        return self.hashes[snapshot, path]

    def extract_capabilities(self) -> ExtractCapabilities:
        return ExtractCapabilities("trees 1", owners=os.geteuid() == 0)
