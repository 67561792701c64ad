"""Who holds files open that would be replaced or taken away: it goes on with the old ones. Reads /proc only; bounded in time."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from backends.restore.folders import Blocked, Folders, above, shown
from backends.restore.lines import Line
from backends.restore.places import inside
from backends.text import clean

SECONDS = 2.0
PROGRAMS, NAMED = 5, 3
"""Programs named, files named of each."""


@dataclass(slots=True)
class Held:
    """What the processes have open: inode -> process ids, for the asked devices; process id -> paths, below the asked folder."""

    inodes: dict[int, set[int]] = field(default_factory=dict)
    below: dict[int, set[bytes]] = field(default_factory=dict)
    seen: int = 0
    there: int = 0
    denied: int = 0
    ended: bool = False

    def look(self, devices: set[int], folder: bytes, until: float) -> None:
        """Every process that may be looked at; stops when the time is over."""
        own = os.getpid()
        found = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own]
        self.there = len(found)
        for process in found:
            if time.monotonic() > until:
                return
            try:
                links = [f"/proc/{process}/fd/{name}" for name in os.listdir(f"/proc/{process}/fd")]
            except PermissionError:
                self.denied += 1
                continue
            except OSError:
                self.there -= 1  # it has ended meanwhile
                continue
            self.seen += 1
            for link in (*links, f"/proc/{process}/cwd"):
                with contextlib.suppress(OSError):
                    self._one(process, os.fsencode(link), devices, folder)
        self.ended = True

    def _one(self, process: int, link: bytes, devices: set[int], folder: bytes) -> None:
        path = os.readlink(link)
        if not path.startswith(b"/"):
            return
        if folder and inside(path, folder):
            self.below.setdefault(process, set()).add(path)
        if devices:
            told = os.stat(link)
            if told.st_dev in devices and (stat.S_ISREG(told.st_mode) or stat.S_ISDIR(told.st_mode)):
                self.inodes.setdefault(told.st_ino, set()).add(process)


def look(devices: set[int], folder: bytes = b"", seconds: float = SECONDS) -> Held:
    """In a thread of its own: a dead network share that some process has open must not hold up a preview."""
    held, until = Held(), time.monotonic() + seconds
    thread = threading.Thread(target=held.look, args=(devices, folder, until), daemon=True)
    thread.start()
    thread.join(seconds + 0.5)
    return replace(held, inodes=dict(held.inodes), below=dict(held.below))  # it may still be at work


def _program(process: int) -> str:
    try:
        with open(f"/proc/{process}/comm", "rb") as file:
            return clean(file.read(64).decode("utf-8", "replace").strip())
    except OSError:
        return "?"


def devices_of(targets: Iterable[bytes]) -> set[int]:
    """The filesystems that chosen places lie on."""
    found = set()
    with Folders() as live:
        for target in targets:
            while target:
                with contextlib.suppress(Blocked, OSError):
                    told = live.stat(target)
                    if told is not None:
                        found.add(told.st_dev)
                        break
                target = above(target)
    return found


def of_replaced(lines: Iterable[Line], targets: Iterable[bytes]) -> list[str]:
    """Hazards: of the lines that replace or take away something live."""
    held = look(devices_of(targets))
    holding: dict[int, list[bytes]] = {}
    counts: dict[int, int] = {}
    for line in lines:
        if line.live is not None and line.action in ("replace", "remove"):
            for process in held.inodes.get(line.live[0], ()):
                counts[process] = counts.get(process, 0) + 1
                named = holding.setdefault(process, [])
                if len(named) < NAMED:
                    named.append(line.path)
    return _said({process: (counts[process], paths) for process, paths in holding.items()}, "that would go or be replaced: it goes on with the old ones until it opens them again", held)


def of_mailbox(root: bytes) -> list[str]:
    """Hazards: of a mailbox, where nothing is replaced: who works in it sees new mail only when it looks again."""
    held = look(set(), root)
    return _said({process: (len(paths), sorted(paths)[:NAMED]) for process, paths in held.below.items()}, "of this mailbox: it may show the restored mail only after it has opened it again", held)


def _said(holding: dict[int, tuple[int, list[bytes]]], what: str, held: Held) -> list[str]:
    said = []
    for process, (count, paths) in sorted(holding.items(), key=lambda one: -one[1][0])[:PROGRAMS]:
        more = ", ..." if count > len(paths) else ""
        said.append(f"{_program(process)} (pid {process}) holds {count:,} open {what} ({', '.join(map(shown, paths))}{more})")
    if len(holding) > PROGRAMS:
        said.append(f"{len(holding) - PROGRAMS:,} more processes hold such files open")
    if not held.ended:
        said.append(f"who holds files open is known of {held.seen:,} of {held.there:,} processes only: it took too long to look at all")
    elif held.denied:
        said.append("whether another user's program holds files open is not known: only this user's processes were looked at")
    return said
