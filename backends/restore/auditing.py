"""The audit: what lies staged against what the snapshot says - content by hash, then type, owner, mode, time, links. Nothing else proves a restore.

What is wrong and can be set right without the data (owner, mode, time, a second name) is set right. What the tool itself can't keep is
named as lost. Everything else is a failure: such a file never reaches the live tree.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from backends.backups.extraction import ComparesFiles, ExtractCapabilities, ExtractsFiles, HashesFiles, Heard, TellsAttributes
from backends.backups.model import Attributes
from backends.errors import BackendError, Damaged, NotFound
from backends.restore.attributes import AttributeAudit, place_of, set_right
from backends.restore.folders import Blocked, Folders, above, last, remove_tree
from backends.restore.kernel import blocks, inode
from backends.restore.lines import Line
from backends.restore.places import inside
from backends.restore.previewing import same_time, type_of
from backends.restore.staging import Stage
from backends.restore.targets import Targets

PATH_MOST = 4095
"""Bytes of a path that the kernel takes."""
TOO_LONG = f": with the staging folder before it, its path has more than {PATH_MOST:,} bytes, and the tool can't write it"
YEAR_2038 = 2**31
FOREIGN = "is not in the snapshot, the tool wrote it all the same: left out"


@dataclass(slots=True)
class Audit:
    """What was found: `bad` path -> why it may not be used, `lost` path -> what the tool can't keep."""

    bad: dict[bytes, str] = field(default_factory=dict)
    lost: dict[bytes, str] = field(default_factory=dict)
    foreign: list[bytes] = field(default_factory=list)
    """What the tool wrote and the snapshot does not have: taken out of the staging."""
    mended: int = 0
    files: int = 0
    bytes: int = 0
    complete: bool = False
    """Every content was compared: without it nothing is called done."""
    attributes: tuple[int, int] = (0, 0)
    """Folders whose extended attributes were compared, folders."""


def file_hash(folder: int, name: bytes) -> bytes:
    """SHA-256 of a file, never through a symbolic link. OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        digest = hashlib.sha256()
        for block in blocks(descriptor):
            digest.update(block)
        return digest.digest()
    finally:
        os.close(descriptor)


class Auditing:
    """One part's staged tree. `lines` gives the spool anew each time it is called."""

    def __init__(self, stage: Stage, lines: Callable[[], Iterator[Line]], capabilities: ExtractCapabilities, stop: threading.Event, fetched: float = 0.0) -> None:
        self._stage, self._lines, self._can, self._stop, self._fetched = stage, lines, capabilities, stop, fetched
        self._tree = Folders(stage.new)
        self._longest = max(len(stage.into()), len(os.readlink(stage.into())))
        self._attributes = AttributeAudit(self._tree)
        self._names: dict[str, bytes] = {}
        self._there: dict[bytes, int] = {}
        """Folder -> how many entries of the snapshot are there."""
        self.found = Audit()

    def whole(self, source: ExtractsFiles, snapshot: str, progress: Callable[[int, int], None]) -> Audit:
        """Content, then metadata: folders last, for what is mended in them changes their times."""
        try:
            self._shapes()
            self._foreign()
            self._content(source, snapshot, progress)
            if not self._stop.is_set():
                self._drop_bad()
                if isinstance(source, TellsAttributes) and source.can_tell_attributes():
                    self._attributes.read(source, snapshot, self._lines(), self._fetched)
                for line in self._lines():
                    if line.kind != "dir":
                        self._metadata(line)
                for line in self._lines():
                    if line.kind == "dir":
                        self._metadata(line)
                self.found.complete = not self._stop.is_set()
                self.found.attributes = self._attributes.compared()
            return self.found
        finally:
            self._tree.close()

    def _place(self, line: Line) -> tuple[int, bytes, os.stat_result | None]:
        try:
            folder = self._tree.fd(above(line.path))
        except Blocked:
            return -1, b"", None
        name = last(line.path) or b"."
        return folder, name, inode(folder, name)

    def _shapes(self) -> None:
        """Type, size, target of a link."""
        for line in self._lines():
            self._attributes.expect(line)
            folder, name, told = self._place(line)
            if told is None:
                self._missing(line)
            elif type_of(line) and stat.S_IFMT(told.st_mode) != type_of(line):
                self.found.bad[line.path] = "is something else than in the snapshot"
            elif line.kind == "file" and told.st_size != line.size:
                self.found.bad[line.path] = f"has {told.st_size:,} bytes, the snapshot {line.size:,}"
            elif line.kind == "link" and line.link is not None and os.fsencode(os.readlink(name, dir_fd=folder)) != line.link:
                self.found.bad[line.path] = "points elsewhere than in the snapshot"
            elif line.kind == "file":
                self.found.files += 1
                self.found.bytes += line.size
            self._count(line, told)

    def _count(self, line: Line, told: os.stat_result | None) -> None:
        if told is not None:
            folder = above(line.path)
            self._there[folder] = self._there.get(folder, 0) + 1
            if stat.S_ISDIR(told.st_mode):
                self._there.setdefault(line.path.rstrip(b"/"), 0)

    def _foreign(self) -> None:
        """A tool, or who crafted the backup, may write more than the snapshot tells: it would come along with its folder (R14)."""
        ways: dict[bytes, set[bytes]] = {}
        for chosen in self._stage.part.selection:
            here = chosen.rstrip(b"/")
            while here:
                ways.setdefault(above(here), set()).add(last(here))
                here = above(here)
        wrong = {folder for folder, count in self._there.items() if folder not in ways and self._entries(folder) != count}
        known: dict[bytes, set[bytes]] = {folder: set() for folder in wrong} | ways
        for line in self._lines() if known else ():
            if above(line.path) in known:
                known[above(line.path)].add(last(line.path))
        for folder, names in known.items():
            with contextlib.suppress(Blocked, OSError):
                self.found.foreign += [folder + b"/" + name for name in self._tree.names(folder) if name not in names]
        self._remove(self.found.foreign)

    def _entries(self, folder: bytes) -> int:
        try:
            return len(self._tree.names(folder))
        except (Blocked, OSError):
            return -1

    def _missing(self, line: Line) -> None:
        if line.kind == "other" and (line.special == "socket" or not self._can.special_files or not line.special):
            self.found.lost[line.path] = f"{line.special or 'special file'}: {self._can.tool} does not bring it back"
        else:
            self.found.bad[line.path] = "was not restored" + (TOO_LONG if self._longest + len(line.path) > PATH_MOST else "")

    # -- content ----------------------------------------------------------------------------------------

    def _content(self, source: ExtractsFiles, snapshot: str, progress: Callable[[int, int], None]) -> None:
        selection = self._stage.part.selection
        if isinstance(source, ComparesFiles) and source.can_compare():
            for path, word in source.differing(snapshot, selection, self._stage.into(), self._stop, self._lines()):
                self.found.bad.setdefault(path, "its content is not the snapshot's" if word == "changed" else "was not restored")
                progress(len(self.found.bad), self.found.files)
            return
        wanted = {line.path for line in self._lines() if line.kind == "file" and line.path not in self.found.bad}
        whole = len(wanted)
        for path, digest in _hashes(source, snapshot, selection, wanted, self._stop, self._lines, self._attributes.heard):
            if path in wanted:
                wanted.discard(path)
                self._same_hash(path, digest)
                progress(whole - len(wanted), whole)
        if not self._stop.is_set():
            for path in wanted:
                self.found.bad.setdefault(path, "its content can't be read in the snapshot: not proven")

    def _same_hash(self, path: bytes, digest: bytes) -> None:
        try:
            same = file_hash(self._tree.fd(above(path)), last(path)) == digest
        except (OSError, Blocked) as error:
            self.found.bad[path] = f"can't be read back: {getattr(error, 'strerror', error)}"
            return
        if not same:
            self.found.bad[path] = "its content is not the snapshot's"

    def _drop_bad(self) -> None:
        """A file with full size and wrong content looks right: it must not stay in a tree that is moved as a whole."""
        self._remove(self.found.bad)

    def _remove(self, paths: Iterable[bytes]) -> None:
        for path in paths:
            with contextlib.suppress(OSError, Blocked):
                folder = self._tree.fd(above(path))
                told = inode(folder, last(path))
                if told is not None and stat.S_ISDIR(told.st_mode):
                    self._tree.forget()
                    folder = self._tree.fd(above(path))
                if told is not None:
                    remove_tree(folder, last(path)) if stat.S_ISDIR(told.st_mode) else os.unlink(last(path), dir_fd=folder)

    # -- owner, mode, time, second names ----------------------------------------------------------------

    def _metadata(self, line: Line) -> None:
        if line.path in self.found.bad or line.path in self.found.lost:
            return
        folder, name, told = self._place(line)
        if told is None:
            self.found.bad[line.path] = "was not restored"
            return
        if line.inode and line.kind != "dir":
            told = self._second_name(line, folder, name, told)
        if line.uid is not None and line.gid is not None and (told.st_uid, told.st_gid) != (line.uid, line.gid):
            told = self._owner(line, folder, name)
        if line.kind != "link" and stat.S_IMODE(told.st_mode) != line.mode:
            os.chmod(name, line.mode, dir_fd=folder)
            told = self._again(line, folder, name)
            if stat.S_IMODE(told.st_mode) != line.mode:
                self.found.lost[line.path] = f"mode {line.mode:o} can't be set here, it has {stat.S_IMODE(told.st_mode):o}"
        wanted = self._attributes.wanted(line)
        if wanted is not None:
            self._extended(line, folder, name, wanted)
        if line.mtime_ns is not None and not same_time(line.mtime_ns, told.st_mtime_ns):
            self._time(line, folder, name)

    def _extended(self, line: Line, folder: int, name: bytes, wanted: Attributes) -> None:
        """After owner and mode: setting the owner takes capabilities away, an ACL's mask is the mode's group."""
        try:
            mended, left = set_right(place_of(folder, name), wanted)
        except OSError as error:
            mended, left = False, f"its extended attributes can't be read back: {(error.strerror or '').lower()}"
        self.found.mended += mended
        if left:
            self.found.lost[line.path] = "; ".join(text for text in (self.found.lost.get(line.path, ""), left) if text)

    def _again(self, line: Line, folder: int, name: bytes) -> os.stat_result:
        self.found.mended += 1
        return os.stat(name, dir_fd=folder, follow_symlinks=False)

    def _owner(self, line: Line, folder: int, name: bytes) -> os.stat_result:
        try:
            os.chown(name, line.uid or 0, line.gid or 0, dir_fd=folder, follow_symlinks=False)
        except OSError:
            self.found.lost[line.path] = f"owner {line.uid}:{line.gid} can't be set: not running as root"
        return self._again(line, folder, name)

    def _time(self, line: Line, folder: int, name: bytes) -> None:
        wanted = line.mtime_ns or 0
        with contextlib.suppress(OSError, OverflowError):
            os.utime(name, ns=(wanted, wanted), dir_fd=folder, follow_symlinks=False)
        if not same_time(wanted, self._again(line, folder, name).st_mtime_ns):
            self.found.lost[line.path] = "this filesystem or the tool can't keep its time of change"

    def _second_name(self, line: Line, folder: int, name: bytes, told: os.stat_result) -> os.stat_result:
        """Hard links: entries of one inode in the snapshot are one inode here, too."""
        first = self._names.setdefault(line.inode, line.path)
        if first == line.path:
            return told
        here = self._tree.fd(above(first))
        wanted = inode(here, last(first))
        if wanted is None or wanted.st_ino == told.st_ino:
            return told
        folder = self._tree.fd(above(line.path))
        try:
            os.link(last(first), b".second-name", src_dir_fd=here, dst_dir_fd=self._stage.fd, follow_symlinks=False)
            os.rename(b".second-name", name, src_dir_fd=self._stage.fd, dst_dir_fd=folder)
        except OSError:
            self.found.lost[line.path] = "is a file of its own, in the snapshot it was a second name of another"
        return self._again(line, folder, name)


def _hashes(
    source: ExtractsFiles, snapshot: str, selection: Sequence[bytes], wanted: set[bytes], stop: threading.Event,
    known: Callable[[], Iterator[Line]] | None = None, heard: Heard | None = None,
) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
    if isinstance(source, HashesFiles):
        yield from _proven(source, snapshot, selection, wanted, stop, known, heard)
        return
    for path in sorted(wanted):
        if stop.is_set():
            return
        try:
            yield path, source.content_hash(snapshot, path)
        except NotFound:
            continue
        except BackendError as error:
            if error.exit_code == 8:  # damaged: that file can't be proven, the others can
                continue
            raise


def _proven(
    source: HashesFiles, snapshot: str, paths: Sequence[bytes], wanted: set[bytes], stop: threading.Event,
    known: Callable[[], Iterator[Line]] | None = None, heard: Heard | None = None,
) -> Iterator[tuple[bytes, bytes]]:  # fmt: skip
    """Damage ends a tool's stream: then folder by folder, down to the one file that can't be read; all others are proven.

    What is read a second time is not heard again: it would be counted twice.
    """
    try:
        yield from source.content_hashes(snapshot, paths, stop, known() if known is not None else None, heard)
    except Damaged:
        left = sorted(path for path in wanted if any(inside(path, chosen) for chosen in paths))
        parts = {_part_below(path, paths): None for path in left}
        if len(parts) > 1 or (parts and list(parts) != list(paths)):
            for part in parts:
                if stop.is_set():
                    return
                yield from _proven(source, snapshot, [part], wanted, stop, known)


def _part_below(path: bytes, paths: Sequence[bytes]) -> bytes:
    """One folder further down than the chosen path it lies in; the chosen path itself where several are asked for at once."""
    chosen = next(one for one in paths if inside(path, one))
    if len(paths) > 1 or path == chosen:
        return chosen
    start = len(chosen.rstrip(b"/")) + 1
    return path[:start] + path[start:].split(b"/", 1)[0]


def differing_live(
    source: ExtractsFiles, snapshot: str, selection: Sequence[bytes], same: set[bytes], live: Folders, targets: Targets, stop: threading.Event
) -> set[bytes]:
    """Of live files that look the same, those whose content is not the snapshot's."""
    if isinstance(source, ComparesFiles) and source.can_compare() and not targets.root and not targets.strip:
        return {path for path, word in source.differing(snapshot, selection, b"/", stop) if word == "changed"} & same
    found = set()
    for path, digest in _hashes(source, snapshot, selection, same, stop):
        if path in same:
            place = targets.live(path)
            with contextlib.suppress(OSError, Blocked):
                if file_hash(live.fd(above(place)), last(place)) != digest:
                    found.add(path)
    return found


def equal_content(one: int, name: bytes, two: int, other: bytes) -> bool:
    """Whether two files hold the same bytes; False when one can't be read."""
    try:
        first = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=one)
        try:
            second = os.open(other, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=two)
            try:
                return all(block == _exactly(second, len(block)) for block in blocks(first)) and not os.read(second, 1)
            finally:
                os.close(second)
        finally:
            os.close(first)
    except OSError:
        return False


def _exactly(descriptor: int, count: int) -> bytes:
    found = b""
    while len(found) < count:
        block = os.read(descriptor, count - len(found))
        if not block:
            break
        found += block
    return found
