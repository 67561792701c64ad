"""The swap: each file changes places with its staged one in one step of the kernel. The live tree has the old or the new file, never half of one.

Every step looks before (is the live file still the one of the preview?) and after (was it that one that came out? else it goes back),
so that a file saved in the very instant is not lost. Run again after a crash it sees by the inodes what has been done.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Sequence
from typing import Any

from backends.errors import Damaged
from backends.restore.folders import Blocked, Folders, above, last, shown
from backends.restore.kernel import EXCHANGE, LACKS, NOREPLACE, Moves, inode, rename2, sync_filesystem
from backends.restore.lines import is_same
from backends.restore.model import PathOutcome
from backends.restore.staging import Stage
from backends.restore.steps import Step, metadata

MANY_FOLDERS = 1000


class Swapping:
    """Does the steps of a run, or the rest of them."""

    def __init__(self, stages: Sequence[Stage], moves: Moves, stop: threading.Event) -> None:
        self._stages, self._moves, self._stop = stages, moves, stop
        self._trees = [Folders(stage.new) for stage in stages]
        self._live = Folders()
        self._moved: set[int] = set()
        """Inodes with other names that we renamed: their ctime is ours."""
        self._deeds: dict[str, Callable[[Step, int, bytes], PathOutcome | None]] = {"put": self._put, "replace": self._replace, "remove": self._remove}
        self.outcomes: list[PathOutcome] = []
        self.changed_while: list[Step] = []
        self.stopped = False

    def close(self) -> None:
        """Let go of the descriptors."""
        for tree in (*self._trees, self._live):
            tree.close()

    def all(self, steps: Sequence[Step], progress: Callable[[int, int], None]) -> None:
        """In their order; a step that can't be done is said by name and the others go on. Stops between two steps when asked."""
        into: set[bytes] = set()
        for number, step in enumerate(steps):
            if step.deed == "touched":
                continue
            into.add(above(step.path))
            if self._stop.is_set():
                self.stopped = True
                continue
            done = self._one(step)
            if done is not None:
                self.outcomes.append(done)
            if number % 256 == 0:
                progress(number, len(steps))
        self._moved_folders(into)
        self._still_written(steps)

    def _one(self, step: Step) -> PathOutcome | None:
        try:
            folder = self._live.fd(above(step.path)) if step.path != b"/" else self._live.fd(b"")
            if step.deed == "folder":
                return self._folder(step)
            return self._deeds[step.deed](step, folder, last(step.path))
        except Blocked as blocked:
            return PathOutcome(step.path, "conflict", blocked.reason)
        except FileExistsError:
            return PathOutcome(step.path, "conflict", "somebody made it since the preview: left as it is")
        except OSError as error:
            why = "lies on another filesystem than the staging" if error.errno == errno.EXDEV else (error.strerror or "failed").lower()
            return PathOutcome(step.path, "failed", why)

    def _staged(self, step: Step) -> tuple[int, bytes]:
        if not step.place:
            return self._stages[step.part].fd, b"new"
        return self._trees[step.part].fd(above(step.place)), last(step.place)

    def _put(self, step: Step, folder: int, name: bytes) -> PathOutcome | None:
        told = inode(folder, name)
        if told is not None and step.staged is not None and told.st_ino == step.staged[0]:
            return PathOutcome(step.path, "put")  # done before a crash
        here, staged = self._staged(step)
        self._check_staged(step, here, staged)
        self._moves.put_new(here, staged, folder, name)
        return PathOutcome(step.path, "put")

    def _check_staged(self, step: Step, here: int, staged: bytes) -> os.stat_result:
        """What was audited, and nothing that came there since."""
        told = inode(here, staged)
        if step.staged is None or told is None or told.st_ino != step.staged[0] or told.st_mode != step.staged[1] or (
            not stat.S_ISDIR(told.st_mode) and (told.st_size, told.st_mtime_ns) != (step.staged[2], step.staged[3])
        ):  # fmt: skip
            raise OSError(errno.ESTALE, "the staged file is not the one that was audited")
        return told

    def _replace(self, step: Step, folder: int, name: bytes) -> PathOutcome | None:
        told = inode(folder, name)
        here, staged = self._staged(step)
        if told is not None and step.staged is not None and told.st_ino == step.staged[0]:  # done before a crash
            return self._looked_after(step, here, staged, folder, name)
        kept = None if self._moves.exchange and told is not None else inode(self._stages[step.part].old, step.kept_name())
        if step.live is None or (told is None and kept is None):
            return PathOutcome(step.path, "conflict", "was removed since the preview: left so")
        ours = told is not None and (told.st_ino in self._moved or (kept is not None and kept.st_ino == told.st_ino))
        if told is not None and not is_same(told, step.live, ours):
            return PathOutcome(step.path, "conflict", "was changed since the preview: left as it is")
        if self._check_staged(step, here, staged).st_nlink > 1:
            self._moved.add(step.staged[0] if step.staged is not None else 0)
        if told is None:  # the fallback was cut off between its two renames
            os.rename(staged, name, src_dir_fd=here, dst_dir_fd=folder)
        else:
            self._moves.replace(here, staged, folder, name, self._stages[step.part].old, step.kept_name())
        return self._looked_after(step, here, staged, folder, name)

    def _looked_after(self, step: Step, here: int, staged: bytes, folder: int, name: bytes) -> PathOutcome:
        """Whether what came out is the file of the preview; if not, it was changed in the very moment, and goes back."""
        out = inode(here, staged)
        if step.live is not None and (out is None or out.st_nlink > 1):
            self._moved.add(step.live[0])
        if out is not None and step.live is not None and not is_same(out, step.live, moved=True):
            rename2(here, staged, folder, name, EXCHANGE)
            return PathOutcome(step.path, "conflict", "was changed in this very moment: left as it is")
        return PathOutcome(step.path, "replaced")

    def _remove(self, step: Step, folder: int, name: bytes) -> PathOutcome | None:
        told, old = inode(folder, name), self._stages[step.part].old
        if told is None:
            gone = inode(old, step.kept_name()) is not None
            return PathOutcome(step.path, "removed") if gone else PathOutcome(step.path, "conflict", "is gone already")
        if step.live is None or not is_same(told, step.live, told.st_ino in self._moved):
            return PathOutcome(step.path, "conflict", "was changed since the preview: left as it is")
        try:
            rename2(folder, name, old, step.kept_name(), NOREPLACE)
        except OSError as error:
            if error.errno not in LACKS:
                raise
            os.rename(name, step.kept_name(), src_dir_fd=folder, dst_dir_fd=old)
        self._moved.add(step.live[0])
        return PathOutcome(step.path, "removed")

    def _folder(self, step: Step) -> PathOutcome | None:
        descriptor = self._live.fd(step.path)
        changed = step.live is not None and not is_same(os.fstat(descriptor), step.live)
        if changed and (step.wanted is None or not _has(descriptor, step.wanted)):
            return PathOutcome(step.path, "conflict", "the folder's owner or mode was changed since the preview: left")
        set_metadata(descriptor, step.wanted or {})
        return PathOutcome(step.path, "folder") if step.kept and _differs(step.kept, step.wanted or {}) else None

    def _moved_folders(self, into: set[bytes]) -> None:
        """Whether each folder's path still leads to what was written into (R13: a link planted during the run)."""
        gone = {path for path in into if path and not self._live.still(path)}
        if gone:
            self.outcomes = [
                PathOutcome(found.path, "conflict", f"{shown(above(found.path))} was moved while files were put into it")
                if above(found.path) in gone and found.word in ("put", "replaced", "removed") else found
                for found in self.outcomes
            ]  # fmt: skip

    def _still_written(self, steps: Sequence[Step]) -> None:
        """Old files that somebody who had them open went on writing to: their newest content lies in the undo copy."""
        for step in steps:
            if step.deed == "replace" and step.live is not None and stat.S_ISREG(step.live[1]):
                try:
                    here, staged = self._staged(step)
                    told = inode(here, staged) or inode(self._stages[step.part].old, step.kept_name())
                except Blocked:
                    continue
                if told is not None and told.st_ino == step.live[0] and (told.st_size, told.st_mtime_ns) != step.live[2:4]:
                    self.changed_while.append(step)


def _has(descriptor: int, wanted: dict[str, Any]) -> bool:
    found = metadata(descriptor)
    return all(found[name] == wanted[name] for name in ("mode", "uid", "gid"))


def _differs(kept: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return any(kept[name] != wanted.get(name) for name in ("mode", "uid", "gid", "xattrs"))


def set_metadata(descriptor: int, wanted: dict[str, Any]) -> None:
    """Owner, mode, extended attributes and time of an open folder (O_PATH). OSError."""
    path = f"/proc/self/fd/{descriptor}"
    now = metadata(descriptor)
    if (now["uid"], now["gid"]) != (wanted["uid"], wanted["gid"]):
        os.chown(path, wanted["uid"], wanted["gid"])
    if os.stat(path).st_mode & 0o7777 != wanted["mode"]:
        os.chmod(path, wanted["mode"])
    for name in set(now["xattrs"]) - set(wanted["xattrs"]):
        os.removexattr(path, name)
    for name, value in wanted["xattrs"].items():
        if now["xattrs"].get(name) != value:
            os.setxattr(path, name, bytes.fromhex(value))
    os.utime(path, ns=(os.stat(path).st_atime_ns, wanted["mtime"]))


def sync_folders(steps: Sequence[Step], stages: Sequence[Stage]) -> None:
    """The names of all folders that steps touched are on the disk: the data was there before the first step, only renames are new.

    Folder by folder and not syncfs: that would wait for whatever else is being written to a busy file server. OSError.
    """
    live = {above(step.path) for step in steps} | {step.path for step in steps if step.deed == "folder"}
    staged = {(step.part, above(step.place)) for step in steps if step.place}
    if len(live) + len(staged) > MANY_FOLDERS:
        for stage in stages:
            sync_filesystem(stage.fd)
        return
    for stage in stages:
        for descriptor in (stage.fd, stage.new, stage.old):
            os.fsync(descriptor)
    trees: list[tuple[Folders, bytes]] = []
    with Folders() as real:
        opened = [Folders(stage.new) for stage in stages]
        trees += [(real, path) for path in live] + [(opened[part], path) for part, path in staged]
        for tree, path in trees:
            try:
                descriptor = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree.fd(path))
            except (OSError, Blocked):
                continue  # moved away with its parent, or its name is gone: the parent is synced
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        for tree in opened:
            tree.close()


def check_all_there(steps: Sequence[Step], stages: Sequence[Stage]) -> None:
    """Damaged when a step names a staging folder that is gone."""
    if any(step.part >= len(stages) for step in steps):
        raise Damaged("the staging folder is gone", hint="What was swapped stays as it is; nothing can be undone by itself.")
