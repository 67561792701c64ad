"""The steps of a swap: worked out from the spool and the audit, written and synced before the first is done. Moves nothing."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from backends.restore.auditing import Audit, equal_content
from backends.restore.codec import raw, text
from backends.restore.folders import Blocked, Folders, Missing, above, last, shown
from backends.restore.kernel import attributes, inode
from backends.restore.lines import Line, Print, print_of
from backends.restore.model import PathOutcome
from backends.restore.places import inside
from backends.restore.run_folder import Run
from backends.restore.staging import Stage
from backends.restore.targets import Targets

STEPS = "swap.jsonl"
AT_ONCE = 256
"""Lines that are read in one go: a call of the decoder for each is half of what reading costs."""
Deed = Literal["put", "replace", "remove", "folder", "touched"]


@dataclass(slots=True)
class Step:
    """One deed at the live path. `staged` and `live` are finger prints: by their inodes it is seen whether the step has happened.

    `folder`: a live folder gets owner, mode, time of the staged one; `touched`: one that only changes because names in it do.
    Both keep what it had (`kept`: mode, uid, gid, mtime ns, extended attributes as hex).
    """

    number: int
    deed: Deed
    path: bytes
    place: bytes
    """Below `new` of its stage."""
    part: int = 0
    staged: Print | None = None
    live: Print | None = None
    kept: dict[str, Any] | None = None
    wanted: dict[str, Any] | None = None

    def packed(self) -> list[Any]:
        """As JSON carries it."""
        return [self.number, self.deed, text(self.path), text(self.place), self.part, self.staged, self.live, self.kept, self.wanted]

    @classmethod
    def unpacked(cls, found: list[Any]) -> Step:
        """The inverse."""
        staged, live = found[5], found[6]
        return cls(found[0], found[1], raw(found[2]), raw(found[3]), found[4], staged and tuple(staged), live and tuple(live), found[7], found[8])

    def kept_name(self) -> bytes:
        """Its name in `old`."""
        return b"%d" % self.number


class Steps(Sequence[Step]):
    """What was written, read from the file whenever it is asked for: a million steps take eight bytes each and not a kilobyte."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._starts = array("Q")
        place = 0
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    self._starts.append(place)
                place += len(line)

    def __len__(self) -> int:
        return len(self._starts)

    def __iter__(self) -> Iterator[Step]:
        if self._starts:
            with open(self._path, "rb") as file:
                lines = itertools.islice(file, len(self._starts))
                while some := list(itertools.islice(lines, AT_ONCE)):
                    yield from map(Step.unpacked, json.loads(b"[" + b",".join(some) + b"]"))

    def __reversed__(self) -> Iterator[Step]:
        if self._starts:
            with open(self._path, "rb") as file:
                for start in reversed(self._starts):
                    file.seek(start)
                    yield Step.unpacked(json.loads(file.readline()))

    @overload
    def __getitem__(self, index: int) -> Step: ...

    @overload
    def __getitem__(self, index: slice) -> list[Step]: ...

    def __getitem__(self, index: int | slice) -> Step | list[Step]:
        starts = self._starts[index]
        with open(self._path, "rb") as file:
            found = []
            for start in starts if isinstance(starts, array) else (starts,):
                file.seek(start)
                found.append(Step.unpacked(json.loads(file.readline())))
        return found if isinstance(index, slice) else found[0]


def steps_of(run: Run) -> Steps:
    """What was written."""
    return Steps(run.file(STEPS))


def metadata(descriptor: int) -> dict[str, Any]:
    """What a folder has, for undo."""
    told = os.fstat(descriptor)
    kept = {name: value.hex() for name, value in _attributes(descriptor).items()}
    return {"mode": stat.S_IMODE(told.st_mode), "uid": told.st_uid, "gid": told.st_gid, "mtime": told.st_mtime_ns, "xattrs": kept}


def _attributes(descriptor: int) -> dict[str, bytes]:
    opened = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return attributes(opened)
    finally:
        os.close(opened)


class Planning:
    """Makes the steps of all parts; `say` is told what gets none, and why."""

    def __init__(self, stages: Sequence[Stage], targets: Targets, audit: Audit, compare: bool, say: Callable[[PathOutcome], None]) -> None:
        self._stages, self._targets, self._audit, self._compare, self._tell = stages, targets, audit, compare, say
        self._trees = [Folders(stage.new) for stage in stages]
        self._live = Folders()
        self._covered: set[bytes] = set()
        self._touched: set[bytes] = set()
        self._folders: dict[bytes, Step] = {}
        self._number = 0

    def close(self) -> None:
        """Let go of the descriptors."""
        for tree in (*self._trees, self._live):
            tree.close()

    def steps(self, lines: Iterable[Line]) -> Iterator[Step]:
        """In the order in which they are done: files, then what is removed, then folders from the deepest up."""
        removed: list[Step] = []
        for line in lines:
            if line.path in self._audit.bad:
                self._say(line.path, "failed", self._audit.bad[line.path])
                continue
            if line.path in self._audit.lost:
                self._say(line.path, "lost", self._audit.lost[line.path])
            step = self._step(line)
            if step is not None and step.deed == "remove":
                removed.append(step)
            elif step is not None:
                yield step
        yield from removed
        yield from self._folder_steps()

    def _say(self, path: bytes, word: str, why: str = "") -> None:
        self._tell(PathOutcome(self._targets.live(path), word, why))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _step(self, line: Line) -> Step | None:
        if line.action == "blocked":
            self._say(line.path, "conflict", line.text)
        elif line.action == "put":
            return self._put(line)
        elif line.action == "replace":
            return self._moving("replace", line, self._targets.live(line.path), line.path)
        elif line.action == "remove":
            self._touch(above(self._targets.live(line.path)))
            return Step(self._next(), "remove", self._targets.live(line.path), b"", self._part(line.path), None, line.live)
        elif line.action == "folder":
            self._folder(line)
        else:
            self._left(line)
        return None

    def _left(self, line: Line) -> None:
        if line.status == "same" and line.kind == "file" and self._compare:
            live = self._targets.live(line.path)
            try:
                tree = self._trees[self._part(line.path)]
                if not equal_content(tree.fd(above(line.path)), last(line.path), self._live.fd(above(live)), last(live)):
                    self._say(line.path, "conflict", "looks the same by size and time, but its content differs: left; preview it thoroughly to replace it")
                    return
            except Blocked:
                pass
        if line.kind != "dir":
            self._say(line.path, "same" if line.status == "same" else "left", "" if line.status == "same" else f"{line.status}: left by the policy")

    def _part(self, path: bytes) -> int:
        for number, stage in enumerate(self._stages):
            if any(inside(path, chosen) for chosen in stage.part.selection):
                return number
        return 0

    def _put(self, line: Line) -> Step | None:
        """The topmost folder that is missing is moved with all that is in it: one step for a whole tree."""
        if line.kind == "dir":
            self._covered.add(line.path)
        if above(line.path) in self._covered:
            if line.path not in self._audit.lost:
                self._say(line.path, "put") if line.kind != "dir" else None
            return None
        place, live = line.path, self._targets.live(line.path)
        while above(place) != self._targets.strip and self._missing(above(live)):
            place, live = above(place), above(live)
        if self._targets.root and above(place) == self._targets.strip and self._missing(self._targets.root):
            place, live = self._targets.strip, self._targets.root
        self._covered.update(self._between(place, line.path))
        if place != line.path:
            self._inherit(place, line.path, live)
            self._say(line.path, "put") if line.kind != "dir" and line.path not in self._audit.lost else None
        return self._moving("put", line, live, place)

    def _missing(self, live: bytes) -> bool:
        try:
            self._live.fd(live)
        except Missing:
            return True
        except Blocked:
            return False
        return False

    @staticmethod
    def _between(place: bytes, path: bytes) -> Iterator[bytes]:
        here = above(path)
        while inside(here, place):
            yield here
            if here == place:
                return
            here = above(here)

    def _inherit(self, place: bytes, path: bytes, live: bytes) -> None:
        """Parents that the tool made on the way have no metadata of the snapshot: a new root is ours alone, others are as the folder above."""
        tree = self._trees[self._part(path)]
        fresh = bool(self._targets.root) and live == self._targets.root
        told = None if fresh else os.fstat(self._live.fd(above(live)))
        for folder in self._between(place, path):
            descriptor = tree.fd(folder)
            if told is not None:
                if os.geteuid() == 0:
                    os.chown(f"/proc/self/fd/{descriptor}", told.st_uid, told.st_gid)
                os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IMODE(told.st_mode))
                self._say(folder, "folder", f"was missing: made with owner and mode of {shown(above(live) or b'/')}")
            elif folder == place:
                os.chmod(f"/proc/self/fd/{descriptor}", 0o700)

    def _moving(self, deed: Deed, line: Line, live: bytes, place: bytes) -> Step | None:
        number = self._part(line.path)
        told = inode(self._trees[number].fd(above(place)), last(place)) if place else os.fstat(self._stages[number].new)
        if told is None:
            self._say(line.path, "lost" if line.path in self._audit.lost else "failed", self._audit.lost.get(line.path, "is not staged"))
            return None
        self._touch(above(live))
        return Step(self._next(), deed, live, place, number, print_of(told), line.live if deed == "replace" else None)

    def _touch(self, folder: bytes) -> None:
        self._touched.add(folder)

    def _folder(self, line: Line) -> None:
        live = self._targets.live(line.path)
        staged = self._trees[self._part(line.path)].fd(line.path)
        self._folders[live] = Step(0, "folder", live, line.path, self._part(line.path), print_of(os.fstat(staged)), line.live, None, metadata(staged))

    def _folder_steps(self) -> Iterator[Step]:
        for path in sorted(self._touched | set(self._folders), key=lambda one: (-one.count(b"/"), one)):
            step = self._folders.get(path) or Step(0, "touched", path, b"")
            try:
                step.kept = metadata(self._live.fd(path))
            except Blocked:
                continue
            if step.deed == "folder" and path not in self._touched and step.kept == step.wanted:
                continue
            step.number = self._next()
            yield step
