"""`Line`: an entry of the snapshot beside what is there live, as the spool of a run has it. The file is streamed, never held."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backends.backups.model import Attributes, Entry
from backends.restore.codec import raw, text
from backends.restore.model import Action, Status
from backends.restore.run_folder import Run

SPOOL = "entries.jsonl"
Print = tuple[int, int, int, int, int, int, int]
"""A live file's finger print: inode, mode with type, size, mtime, ctime (ns), uid, gid."""


def print_of(told: os.stat_result) -> Print:
    """Of what was found."""
    return told.st_ino, told.st_mode, told.st_size, told.st_mtime_ns, told.st_ctime_ns, told.st_uid, told.st_gid


def is_same(told: os.stat_result | None, known: Print, moved: bool = False) -> bool:
    """Whether the file is still as it was. `moved`: we renamed that inode ourselves, which sets its ctime."""
    if told is None or told.st_ino != known[0] or told.st_mode != known[1] or told.st_uid != known[5] or told.st_gid != known[6]:
        return False
    if stat.S_ISDIR(told.st_mode):  # a folder's size and times change with what is in it
        return True
    return told.st_size == known[2] and told.st_mtime_ns == known[3] and (moved or told.st_ctime_ns == known[4])


@dataclass(slots=True)
class Line:
    """One entry. `live` is the finger print of what is there, None where nothing is."""

    path: bytes
    kind: str
    special: str = ""
    size: int = 0
    mode: int = 0
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    link: bytes | None = None
    inode: str = ""
    status: Status = "new"
    action: Action = "put"
    live: Print | None = None
    text: str = ""
    xattrs: Attributes | None = None

    @classmethod
    def of(cls, entry: Entry) -> Line:
        """From the snapshot."""
        return cls(entry.path, entry.kind, entry.special, entry.size, entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.link, entry.inode, xattrs=entry.xattrs)

    def packed(self) -> list[Any]:
        """As JSON carries it."""
        link = None if self.link is None else text(self.link)
        return [text(self.path), self.kind, self.special, self.size, self.mode, self.uid, self.gid, self.mtime_ns, link, self.inode,
                self.status, self.action, self.live, self.text, packed_attributes(self.xattrs)]  # fmt: skip

    @classmethod
    def unpacked(cls, found: list[Any]) -> Line:
        """The inverse."""
        link = None if found[8] is None else raw(found[8])
        live = None if found[12] is None else tuple(found[12])
        attributes = unpacked_attributes(found[14]) if len(found) > 14 else None
        return cls(raw(found[0]), *found[1:8], link, *found[9:12], live, found[13], attributes)  # type: ignore[call-arg]


def packed_attributes(found: Attributes | None) -> list[list[str]] | None:
    """As JSON carries them."""
    return None if found is None else [[text(name), value.hex()] for name, value in found]


def unpacked_attributes(found: list[list[str]] | None) -> Attributes | None:
    """The inverse."""
    return None if found is None else tuple((raw(name), bytes.fromhex(value)) for name, value in found)


def spooled(run: Run) -> Iterator[Line]:
    """All lines of a run."""
    for found in run.lines(SPOOL):
        yield Line.unpacked(found)
