"""`DemoExtracts`: restores of the demo's files. They were never anywhere, but they are written, audited and taken back like any other. Blocks."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from backends.backups.demo_files import DemoTree
from backends.backups.extraction import ExtractCapabilities, Extraction, ToolError, ToolEvent
from backends.backups.model import Entry, Snapshot
from backends.errors import Invalid, NoSpace, NotFound
from backends.text import clean

TOLD = 0.1


class DemoExtracts:
    """`ExtractsFiles` and `HashesFiles` over a `DemoTree`."""

    tree: DemoTree
    nowhere: ClassVar[str] = "the demo's files were never on a disk: there is no original place"
    """Why nothing is restored to where it was."""

    def by_id(self, id: str) -> Snapshot:
        """A snapshot. NotFound."""
        raise TypeError("a backend knows its snapshots")

    def file_of(self, snapshot: str, path: bytes) -> Entry:
        """A file's entry. NotFound; Invalid for a directory."""
        entry = self.tree.entry_of(self.by_id(snapshot), path)
        if entry is None:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
        if entry.kind != "file":
            raise Invalid(f"{entry.name} is no file")
        return entry

    def entries(self, snapshot: str, selection: Sequence[bytes]) -> Iterator[Entry]:
        """Every entry of those subtrees. NotFound."""
        one = self.by_id(snapshot)
        for path in selection:
            top = self.tree.entry_of(one, path)
            if top is None:
                raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
            yield top
            if top.kind == "dir":
                yield from self.tree.walk(one, path)

    def extract(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        """Write them below `into`, folders' times last. Invalid, NotFound, NoSpace."""
        if not selection:
            raise Invalid("nothing is chosen")
        if os.listdir(into):
            raise Invalid(f"{os.fsdecode(into)} is not empty")
        began, told = time.monotonic(), 0.0
        wanted = list(self.entries(snapshot, selection))
        size, files, errors = 0, 0, list[ToolError]()
        for entry in wanted:
            if stop.is_set():
                break
            try:
                self._write(into, entry)
            except OSError as error:
                if error.errno == 28:
                    raise NoSpace(f"{os.fsdecode(into)}: {error.strerror}") from None
                errors.append(ToolError(entry.path, str(error.strerror)))
            size, files = size + entry.size, files + 1
            if time.monotonic() - told > TOLD:
                told = time.monotonic()
                tell(ToolEvent("progress", files, len(wanted), size, sum(one.size for one in wanted), entry.path))
        for entry in reversed(wanted):
            if entry.kind == "dir" and os.path.isdir(into + entry.path):
                os.chmod(into + entry.path, entry.mode)
                _touch(into + entry.path, entry)
        return Extraction(0, files, size, time.monotonic() - began, tuple(errors[:200]), tuple(selection), len(errors), stop.is_set(), "demo")

    def _write(self, into: bytes, entry: Entry) -> None:
        place = into + entry.path
        if entry.kind == "dir":
            os.makedirs(place, exist_ok=True)
            return
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "xb") as file:
            for block in self.tree.content(entry):
                file.write(block)
        os.chmod(place, entry.mode)
        _touch(place, entry)

    def content_hash(self, snapshot: str, path: bytes) -> bytes:
        """Of a file. NotFound, Invalid."""
        return self._hash(self.file_of(snapshot, path))

    def content_hashes(
        self, snapshot: str, selection: Sequence[bytes], stop: threading.Event, known: object = None, heard: object = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Of all files of those subtrees; the demo's have no extended attributes to be heard of."""
        for entry in self.entries(snapshot, selection):
            if stop.is_set():
                return
            if entry.kind == "file":
                yield entry.path, self._hash(entry)

    def _hash(self, entry: Entry) -> bytes:
        digest = hashlib.sha256()
        for block in self.tree.content(entry):
            digest.update(block)
        return digest.digest()

    def extract_capabilities(self) -> ExtractCapabilities:
        """No owners: nobody owned these files."""
        return ExtractCapabilities("demo", owners=False, xattrs=False, hard_links=False, special_files=False, notes=("these files are drawn for the demo; the restore itself is real",))


def _touch(place: bytes, entry: Entry) -> None:
    if entry.mtime_ns is not None:
        os.utime(place, ns=(entry.mtime_ns, entry.mtime_ns))
