"""The preview: each entry of the snapshot beside what is there live, by name, with space, time, hazards and refusals. Writes only the spool.

Blocking and streaming: it runs in a thread, in little memory, also for a million files.
"""

from __future__ import annotations

import heapq
import itertools
import os
import stat
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from backends.backups.extraction import ExtractsFiles
from backends.errors import Refused
from backends.restore.folders import Blocked, Folders, Missing, above, last
from backends.restore.lines import SPOOL, Line, print_of
from backends.restore.model import NAMED, SPARE, STATUS_ORDER, Action, Policy, Preview, PreviewItem, Refusal, Status, Wanted
from backends.restore.places import PREFIX, Chosen, is_plain
from backends.restore.run_folder import Run
from backends.restore.targets import Targets
from backends.text import amount

_TYPES = {"dir": stat.S_IFDIR, "file": stat.S_IFREG, "link": stat.S_IFLNK}
_SPECIAL = {"fifo": stat.S_IFIFO, "chardev": stat.S_IFCHR, "blockdev": stat.S_IFBLK, "socket": stat.S_IFSOCK}
_DEEDS: dict[Policy, dict[Status, Action]] = {
    "missing": {"new": "put"},
    "differs": {"new": "put", "newer": "replace", "older": "replace", "changed": "replace", "meta": "replace", "type": "replace"},
    "newer": {"new": "put", "older": "replace"},
    "exact": {"new": "put", "newer": "replace", "older": "replace", "changed": "replace", "meta": "replace", "type": "replace", "extra": "remove"},
}


def type_of(line: Line) -> int:
    """S_IFMT of an entry; 0 where the tool does not say."""
    return _TYPES.get(line.kind) or _SPECIAL.get(line.special, 0)


def judge(line: Line, told: os.stat_result, link: bytes | None) -> Status:
    """How the live file stands beside the backup. Times are compared to the microsecond where the tool keeps no more."""
    wanted = type_of(line)
    if wanted and stat.S_IFMT(told.st_mode) != wanted:
        return "type"
    differs = stat.S_IMODE(told.st_mode) != line.mode and line.kind != "link"
    differs = differs or (line.uid is not None and line.uid != told.st_uid) or (line.gid is not None and line.gid != told.st_gid)
    if line.kind == "file" and line.mtime_ns is not None and not same_time(line.mtime_ns, told.st_mtime_ns):
        return "newer" if told.st_mtime_ns > line.mtime_ns else "older"
    if (line.kind == "file" and told.st_size != line.size) or (line.kind == "link" and link != line.link):
        if line.kind == "link" and line.mtime_ns is not None and not same_time(line.mtime_ns, told.st_mtime_ns):
            return "newer" if told.st_mtime_ns > line.mtime_ns else "older"
        return "changed"
    return "meta" if differs else "same"


def same_time(wanted: int, found: int) -> bool:
    """Equal to the nanosecond, or to the microsecond where `wanted` has no more."""
    return wanted == found or (wanted % 1000 == 0 and wanted // 1000 == found // 1000)


@dataclass(slots=True)
class Tally:
    """The sums of a preview, taken while its lines go by; the gravest NAMED paths are kept."""

    targets: Targets
    counts: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    files: int = 0
    bytes: int = 0
    bytes_replaced: int = 0
    grave: list[tuple[int, int, PreviewItem]] = field(default_factory=list)

    def add(self, line: Line) -> Line:
        """One line, and on it goes."""
        self.entries += line.status != "extra"
        if line.kind == "file" and line.status != "extra":
            self.files += 1
            self.bytes += line.size
        if line.kind != "dir" or line.status not in ("same", "meta", "new"):
            self.counts[line.status] += 1
        if line.kind != "dir" or line.action in ("replace", "folder", "remove"):
            self.deeds[line.action] += 1
        if line.action in ("replace", "remove") and line.live is not None:
            self.bytes_replaced += line.live[2] if stat.S_ISREG(line.live[1]) else 0
        rank = STATUS_ORDER.index(line.status)
        if len(self.grave) < NAMED or -rank > self.grave[0][0]:
            item = (-rank, -self.entries - self.counts["extra"], self._item(line))
            heapq.heappush(self.grave, item) if len(self.grave) < NAMED else heapq.heapreplace(self.grave, item)
        return line

    def _item(self, line: Line) -> PreviewItem:
        live = _moment(line.live[3]) if line.live is not None else None
        return PreviewItem(line.path, self.targets.live(line.path), line.status, line.action, line.size, live, _moment(line.mtime_ns), line.text)

    def items(self) -> tuple[PreviewItem, ...]:
        """The gravest first, then as they came."""
        return tuple(item for *_, item in sorted(self.grave, key=lambda one: (-one[0], -one[1])))


def _moment(ns: int | None) -> datetime | None:
    try:
        return None if ns is None else datetime.fromtimestamp(ns / 1e9, UTC)
    except (ValueError, OverflowError, OSError):
        return None


class Comparing:
    """Lines of a snapshot beside the live tree, in the snapshot's order; with the policy "exact" what came later follows each folder."""

    def __init__(self, live: Folders, targets: Targets, policy: Policy) -> None:
        self._live, self._targets, self._policy = live, targets, policy
        self._covered: set[bytes] = set()
        """Folders that come with their parent's one move: nothing below them is there live."""
        self._blocked: dict[bytes, str] = {}
        self._devices: dict[bytes, int] = {}
        self._known: dict[bytes, set[bytes]] = {}
        """Live names of each folder, as far as the snapshot has not named them (policy "exact")."""

    def judged(self, line: Line) -> Line:
        """With its status, its action and the finger print of what is there."""
        parent = above(line.path)
        if parent in self._blocked:
            return self._block(line, self._blocked[parent])
        if self._policy == "exact" and parent in self._known:
            self._known[parent].discard(last(line.path))
        if parent in self._covered:
            return self._cover(line)
        live = self._targets.live(line.path)
        try:
            told = os.stat(last(live) or b".", dir_fd=self._live.fd(above(live)), follow_symlinks=False)
            link = os.readlink(last(live), dir_fd=self._live.fd(above(live))) if stat.S_ISLNK(told.st_mode) else None
        except (FileNotFoundError, Missing):
            return self._cover(line)
        except Blocked as blocked:
            return self._block(line, blocked.reason)
        except OSError as error:
            return self._block(line, (error.strerror or "can't be looked at").lower())
        line.live = print_of(told)
        line.status = judge(line, told, os.fsencode(link) if link is not None else None)
        return self._decided(line, told, live)

    def _cover(self, line: Line) -> Line:
        if line.kind == "dir":
            self._covered.add(line.path)
        line.status, line.action = "new", "put"
        return line

    def _block(self, line: Line, why: str) -> Line:
        if line.kind == "dir":
            self._blocked[line.path] = why
        line.status, line.action, line.text = "blocked", "blocked", why
        return line

    def _decided(self, line: Line, told: os.stat_result, live: bytes) -> Line:
        parent = above(line.path)
        if parent in self._devices and told.st_dev != self._devices[parent]:
            return self._block(line, "another filesystem is mounted here")
        deed = _DEEDS[self._policy].get(line.status, "leave")
        if line.kind == "dir" and line.status in ("same", "meta"):
            self._devices[line.path] = told.st_dev
            deed = "folder" if self._policy in ("differs", "exact") else "leave"
            if self._policy == "exact":
                self._known[line.path] = set(self._live.names(live))
        elif line.kind == "dir":
            if deed == "replace":
                self._covered.add(line.path)
            else:
                self._blocked[line.path] = "a file is in the way, and the policy leaves it"
        line.action = deed
        return line

    def extras(self) -> Iterator[Line]:
        """What is live in the chosen folders and not in the snapshot."""
        for folder, names in self._known.items():
            for name in sorted(names):
                if name.startswith(PREFIX):
                    continue
                told = self._live.stat(self._targets.live(folder + b"/" + name))
                if told is not None:
                    kind = "dir" if stat.S_ISDIR(told.st_mode) else "file" if stat.S_ISREG(told.st_mode) else "other"
                    yield Line(folder + b"/" + name, kind, size=told.st_size, mtime_ns=told.st_mtime_ns, status="extra", action="remove", live=print_of(told))


def compare(source: ExtractsFiles, wanted: Wanted, snapshot: str, run: Run, stop: threading.Event) -> Tally:
    """Write the spool of a run and give its sums. Refused when it was stopped; the source's errors."""
    targets = Targets.of(wanted.destination, wanted.selection)
    tally = Tally(targets)
    with Folders() as live:
        beside: Any = Comparing(live, targets, wanted.policy) if wanted.destination.kind in ("original", "into") else None
        if wanted.destination.kind == "mailbox":
            from backends.restore.mailbox import MailComparing
            from backends.restore.mbox import is_file
            from backends.restore.mbox_merge import MboxComparing

            root = wanted.destination.root
            beside = MboxComparing() if is_file(live, root) else MailComparing(live, root)

        def lines() -> Iterator[Line]:
            chosen = Chosen(wanted.selection)
            for entry in source.entries(snapshot, wanted.selection):
                if stop.is_set():
                    raise Refused("the preview was stopped; nothing was changed")
                line = Line.of(entry)
                if not is_plain(line.path) or not chosen.has(line.path):
                    line.status, line.action, line.text = "blocked", "blocked", "is no plain path of what was chosen: left out"
                    yield line
                    continue
                yield beside.judged(line) if beside is not None else line
            if beside is not None and wanted.policy == "exact":
                yield from beside.extras()

        found = lines()
        if wanted.thorough and beside is not None:
            found = _thorough(source, wanted, snapshot, found, live, targets, stop)
        run.spool(SPOOL, (tally.add(line).packed() for line in found))
    return tally


def _thorough(
    source: ExtractsFiles, wanted: Wanted, snapshot: str, lines: Iterator[Line], live: Folders, targets: Targets, stop: threading.Event
) -> Iterator[Line]:
    """Files that look the same by size and time, with their content compared: a changed one is "changed" (R07)."""
    from backends.restore.auditing import differing_live

    one, other = itertools.tee(lines)  # held once: who asks for this waits for the reading anyway
    same = {line.path for line in one if line.status in ("same", "meta") and line.kind == "file"}
    changed = differing_live(source, snapshot, wanted.selection, same, live, targets, stop)
    for line in other:
        if line.path in changed:
            line.status, line.text = "changed", "the content differs though size and time are the same"
            line.action = _DEEDS[wanted.policy].get("changed", "leave")
        yield line


def summed(
    tally: Tally, *, free: int, inodes_free: int | None, seconds: float, hazards: list[str], refused: list[Refusal], notes: tuple[str, ...], staged_at: bytes, root: bytes
) -> Preview:  # fmt: skip
    """The preview of a tally. Need: the bytes with 5 % and 1 GB on top; the undo copy is the old files themselves."""
    need = int(tally.bytes * 1.05) + SPARE
    replaces, newer = tally.deeds["replace"], tally.counts["newer"]
    said = list(hazards)
    if newer and replaces:
        said.insert(0, "1 live file is newer than the backup" if newer == 1 else f"{newer:,} live files are newer than the backup")
    if tally.counts["blocked"]:
        said.append(f"{amount(tally.counts['blocked'], 'path')} can't be reached and will be left")
    if free < need:
        refused = [*refused, Refusal("space", f"{need:,} bytes are needed with a reserve of 1 GB, {free:,} are free")]
    if inodes_free is not None and inodes_free < tally.entries + 10:
        refused = [*refused, Refusal("", f"{tally.entries:,} files need as many inodes, {inodes_free:,} are free")]
    return Preview(
        dict(tally.counts), tally.items(), tally.files, tally.bytes, tally.deeds["put"], replaces, tally.deeds["remove"], tally.deeds["folder"],
        tally.bytes_replaced, need, free, tally.entries, inodes_free, seconds, tuple(said), tuple(refused), notes, staged_at, root,
    )  # fmt: skip
