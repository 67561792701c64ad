"""The far end of a restore over SSH: the same engine, run on the host that gets the files. Sent there as a zip; standard library only.

It previews, stages, audits by SHA-256, swaps and undoes on its own filesystem; the console sends entries, hashes and the files as a tar
stream. What it notes lies in the remote account's own folder, so that an undo works from anywhere later.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from backends.backups.extraction import ExtractCapabilities, Extraction, HashesFiles, Heard, ToolError, ToolEvent
from backends.backups.model import Entry
from backends.errors import BackendError, NotFound, Unreachable
from backends.restore.codec import dumps, loads, raw
from backends.restore.engine import Restoring
from backends.restore.lines import Line, unpacked_attributes
from backends.restore.model import RestoreEvent
from backends.restore.places import Guarded
from backends.restore.planning import Point, Setting, prepare
from backends.restore.run_folder import Run, fields_of
from backends.restore.runs import UndoWork, drop, row
from backends.restore.wire import Wire

TAR = ("tar", "--extract", "--preserve-permissions", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "--delay-directory-restore")


class Pipes:
    """Standard input and output."""

    def read(self, count: int) -> bytes:
        """From the console."""
        return os.read(0, count)

    def write(self, data: bytes) -> None:
        """To the console."""
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]


class FarSource:
    """What the console sends, as a backup tool: entries for the preview, a tar stream, hashes."""

    def __init__(self, wire: Wire, losses: Sequence[str]) -> None:
        self._wire, self._losses = wire, tuple(losses)

    def entries(self, snapshot: str, selection: Sequence[bytes]) -> Iterator[Entry]:
        """As the console reads them from the tool."""
        self._wire.send({"need": "entries"})
        while (found := self._wire.receive()) != "end":
            for packed in found:
                line = Line.unpacked(packed)
                yield Entry(line.path, "", line.kind, line.size, line.mode, uid=line.uid, gid=line.gid, mtime_ns=line.mtime_ns, link=line.link,  # type: ignore[arg-type]
                            special=line.special, inode=line.inode, xattrs=line.xattrs)  # type: ignore[arg-type]  # fmt: skip

    def extract(
        self, snapshot: str, selection: Sequence[bytes], into: bytes, tell: Callable[[ToolEvent], None], stop: threading.Event
    ) -> Extraction:
        """The tar stream into the staging."""
        self._wire.send({"need": "tree"})
        tar = subprocess.Popen([*TAR, "--directory", os.fsdecode(into)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        said: list[bytes] = []
        reader = threading.Thread(target=lambda: said.append(tar.stderr.read(1 << 16) if tar.stderr else b""), daemon=True)
        reader.start()
        count = 0
        try:
            while (part := self._wire.receive()) != "end":
                count += len(part)
                with contextlib.suppress(BrokenPipeError):
                    assert tar.stdin is not None
                    tar.stdin.write(part)
                tell(ToolEvent("progress", bytes=count))
        finally:
            with contextlib.suppress(OSError):
                assert tar.stdin is not None
                tar.stdin.close()
            code = tar.wait()
            reader.join(5)
        words = [line.decode("utf-8", "replace") for line in b"".join(said).splitlines()[:50]]
        return Extraction(code, 0, count, 0.0, tuple(ToolError(b"", text) for text in words), tuple(selection), len(words), tool="tar")

    def content_hash(self, snapshot: str, path: bytes) -> bytes:
        """One by one it is never asked."""
        raise NotFound("hashes come all at once")

    def content_hashes(
        self, snapshot: str, selection: Sequence[bytes], stop: threading.Event, known: object = None, heard: Heard | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """From the console's own audited copy, with the extended attributes that it has."""
        self._wire.send({"need": "hashes"})
        while (found := self._wire.receive()) != "end":
            for path, digest, attributes in found:
                if heard is not None and attributes is not None:
                    heard(raw(path), unpacked_attributes(attributes) or ())
                if digest:
                    yield raw(path), bytes.fromhex(digest)

    def extract_capabilities(self) -> ExtractCapabilities:
        """The tool's losses, and what this account can't."""
        root = os.geteuid() == 0
        here = () if root else ("owners can't be set on the other host: the account is not root",)
        return ExtractCapabilities("tar over SSH", (*self._losses, *here), root, special_files=root)


_KEEPS: type[HashesFiles] = FarSource
"""For the type checker."""


def serve(wire: Wire, base: Path) -> None:
    """One request, to its end."""
    wire.send({"hello": "deskside", "host": os.uname().nodename, "uid": os.geteuid(), "python": sys.version.split()[0]})
    asked = wire.receive()
    setting = Setting(base, Guarded(b"", os.fsencode(os.path.realpath(base.parent))), float(asked.get("undo_days", 14)), os.uname().nodename, keeps=False)
    source, stop = FarSource(wire, asked.get("losses", ())), threading.Event()

    def listen(event: RestoreEvent) -> None:
        with contextlib.suppress(Unreachable):  # a dropped line does not stop a swap
            wire.send({"event": dict(fields_of(event))})

    try:
        if asked["do"] == "prepare":
            taken = datetime.fromisoformat(asked["time"]) if asked.get("time") else None
            point = Point(asked["snapshot"], taken, str(asked.get("of", "")))
            wire.send({"plan": dumps(prepare(setting, source, loads(asked["wanted"]), point, stop))})
            return
        run = Run.of(base, asked["run"])
        if asked["do"] == "row":
            wire.send({"row": dumps(row(run))})
        elif asked["do"] == "undo":
            wire.send({"report": dumps(UndoWork(setting, run, bool(asked.get("force")), listen).work())})
        elif asked["do"] == "drop":
            wire.send({"report": dumps(drop(setting, run))})
        else:
            wire.send({"report": dumps(Restoring(setting, run, source, stop, listen).work())})
    except BackendError as error:
        wire.send({"error": type(error).__name__, "text": error.text, "hint": error.hint})


def main() -> None:
    """Called by the loader."""
    os.umask(0o077)
    base = Path(os.path.expanduser("~")) / ".local/share/deskside-far/restores"
    base.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(Unreachable):
        serve(Wire(Pipes()), base)
