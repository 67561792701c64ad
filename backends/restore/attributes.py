"""Extended attributes and ACLs of the staged files against the snapshot's: what is wrong is set right, what can't be is named, what was not looked at is counted."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence

from backends.backups.attributes import same_value
from backends.backups.extraction import TellsAttributes
from backends.backups.model import Attributes
from backends.errors import BackendError
from backends.restore.folders import Blocked, Folders, above, last, shown
from backends.restore.lines import Line
from backends.text import amount

AUTOMATIC = (b"security.selinux", b"security.SMACK64", b"security.apparmor", b"security.ima", b"security.evm")
"""Given by the system to every file: no difference where the snapshot has none."""
STRIPPED = b"security.capability"
"""Taken away by the kernel when the owner is set: it is looked at again after that."""
LEAST, SHARE = 3.0, 0.05
"""Seconds, and the share of the fetch, that reading them folder by folder may take; one folder is always read."""


def place_of(folder: int, name: bytes) -> bytes:
    """A path to an entry of an open folder."""
    return b"/proc/self/fd/%d/%s" % (folder, name)


def found_at(place: bytes) -> dict[bytes, bytes]:
    """What it has, never through a link; {} where the filesystem has none. OSError."""
    try:
        names = [os.fsencode(name) for name in os.listxattr(place, follow_symlinks=False)]
        return {name: os.getxattr(place, name, follow_symlinks=False) for name in names}
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return {}
        raise


def differences(wanted: Attributes, found: dict[bytes, bytes]) -> tuple[list[tuple[bytes, bytes]], list[bytes]]:
    """(what is missing or has another value, what is too much)."""
    known = dict(wanted)
    wrong = [(name, value) for name, value in wanted if name not in found or not same_value(name, found[name], value)]
    return wrong, [name for name in found if name not in known and name not in AUTOMATIC]


def set_right(place: bytes, wanted: Attributes) -> tuple[bool, str]:
    """(whether something was set right, what could not be)."""
    wrong, extra = differences(wanted, found_at(place))
    left: list[bytes] = []
    for name, value in wrong:
        try:
            os.setxattr(place, name, value, follow_symlinks=False)
        except OSError:
            left.append(name)
    for name in extra:
        try:
            os.removexattr(place, name, follow_symlinks=False)
        except OSError:
            left.append(name)
    names = ", ".join(shown(name) for name in left[:5])
    return len(left) < len(wrong) + len(extra), f"extended attributes that can't be set here: {names}" if left else ""


class AttributeAudit:
    """One part's. What the tool tells is compared as it comes; only what differs is kept until its turn."""

    def __init__(self, tree: Folders) -> None:
        self._tree = tree
        self._untold: dict[bytes, int] = {}
        """Folder -> entries in it that nobody has told anything about yet."""
        self._kept: dict[bytes, Attributes] = {}

    def expect(self, line: Line) -> None:
        """An entry of the snapshot: what lies in its folder is to be compared."""
        folder = above(line.path)
        self._untold[folder] = self._untold.get(folder, 0) + (line.xattrs is None)

    def heard(self, path: bytes, wanted: Attributes) -> None:
        """What the tool tells of one entry."""
        folder = above(path)
        if folder not in self._untold:
            return
        self._untold[folder] -= 1
        try:
            place = place_of(self._tree.fd(folder), last(path))
            same = differences(wanted, found_at(place)) == ([], [])
        except (OSError, Blocked):
            return  # it is missing: that is said elsewhere
        if not same or any(name == STRIPPED for name, _ in wanted):
            self._kept[path] = wanted

    def wanted(self, line: Line) -> Attributes | None:
        """What one entry should have, as far as it is known and was not right already."""
        return line.xattrs if line.xattrs is not None else self._kept.get(line.path)

    def read(self, source: TellsAttributes, snapshot: str, lines: Iterable[Line], seconds: float) -> None:
        """Folder by folder, those with attributes in the staging first, until it has cost enough."""
        chosen = self._order(lines)
        allowed, began, each = max(LEAST, seconds * SHARE), time.monotonic(), 0.0
        told = self._told(source, snapshot, chosen)
        while chosen and (not each or time.monotonic() - began + each <= allowed):
            before = time.monotonic()
            found = next(told, None)
            if found is None:
                return
            _, entries = found
            for path, attributes in entries.items():
                self.heard(path, attributes)
            each = time.monotonic() - before

    @staticmethod
    def _told(source: TellsAttributes, snapshot: str, folders: Sequence[bytes]) -> Iterator[tuple[bytes, dict[bytes, Attributes]]]:
        try:
            yield from source.attributes(snapshot, folders)
        except BackendError:
            return  # what could not be read stays counted as not compared

    def _order(self, lines: Iterable[Line]) -> list[bytes]:
        having = dict[bytes, None]()
        for line in lines:
            folder = above(line.path)
            if line.xattrs is not None or folder in having or self._untold.get(folder, 0) <= 0:
                continue
            try:
                if os.listxattr(place_of(self._tree.fd(folder), last(line.path)), follow_symlinks=False):
                    having[folder] = None
            except (OSError, Blocked):
                continue
        return [*having, *(folder for folder, count in self._untold.items() if count > 0 and folder not in having)]

    def compared(self) -> tuple[int, int]:
        """(folders whose entries were all compared, folders)."""
        return sum(count <= 0 for count in self._untold.values()), len(self._untold)


def sentence(compared: int, folders: int, tool: str) -> str:
    """For the report."""
    if not folders:
        return ""
    more = "" if compared == folders else f"; {tool} tells them for the others only at a cost: what it restored there was not checked"
    return f"Of this, extended attributes compared in {compared:,} of {amount(folders, 'folder')}{more}."
