"""Undo: every step backwards. What was changed since the restore is left as it is, by name, unless it is forced - then it is kept beside."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence

from backends.restore.folders import LIST, Blocked, Folders, above, last
from backends.restore.kernel import EXCHANGE, LACKS, NOREPLACE, Moves, inode, rename2
from backends.restore.lines import Print
from backends.restore.model import PathOutcome
from backends.restore.staging import Stage
from backends.restore.steps import Step, metadata
from backends.restore.swapping import set_metadata


class Undoing:
    """Takes the steps of a run back. `mark` is the filesystem's time when the swap was over (ns; None: it was cut off)."""

    def __init__(self, stages: Sequence[Stage], moves: Moves, mark: int | None, force: bool = False) -> None:
        self._stages, self._moves, self._mark, self._force = stages, moves, mark, force
        self._trees = [Folders(stage.new) for stage in stages]
        self._live = Folders()
        self._names: set[int] = set()
        """Inodes that we move and that have other names: moving one sets the ctime of all."""
        self.outcomes: list[PathOutcome] = []

    def close(self) -> None:
        """Let go of the descriptors."""
        for tree in (*self._trees, self._live):
            tree.close()

    def clean_folders(self, steps: Sequence[Step]) -> list[int]:
        """Folders whose time nobody but us has changed: theirs is set back too. Asked before the first step is undone."""
        found = []
        for step in steps:
            if step.deed in ("folder", "touched"):
                with contextlib.suppress(Blocked):
                    told = os.fstat(self._live.fd(step.path))
                    if self._mark is None or told.st_mtime_ns <= self._mark:
                        found.append(step.number)
        return found

    def all(self, steps: Sequence[Step], clean: set[int], progress: Callable[[int, int], None]) -> None:
        """In reverse; folders last, deepest first, for undoing changes their times."""
        self._names = {step.staged[0] for step in steps if step.staged is not None and step.deed in ("put", "replace", "remove")}
        for number, step in enumerate(step for step in reversed(steps) if step.deed in ("put", "replace", "remove")):
            self.outcomes += self._guarded(step)
            if number % 256 == 0:
                progress(number, len(steps))
        for step in steps:
            if step.deed in ("folder", "touched"):
                self.outcomes += self._guarded_folder(step, step.number in clean)

    def _guarded(self, step: Step) -> list[PathOutcome]:
        try:
            word, why = {"put": self._put, "replace": self._replace, "remove": self._remove}[step.deed](step, self._live.fd(above(step.path)))
        except Blocked as blocked:
            word, why = "conflict", blocked.reason
        except OSError as error:
            word, why = "failed", (error.strerror or "failed").lower()
        return [PathOutcome(step.path, word, why)] if word else []

    def _guarded_folder(self, step: Step, clean: bool) -> list[PathOutcome]:
        try:
            descriptor = self._live.fd(step.path)
            wanted = dict(step.kept or {})
            now = metadata(descriptor)
            if step.deed == "touched" or (step.wanted and any(now[name] not in (step.wanted[name], wanted[name]) for name in ("mode", "uid", "gid"))):
                wanted = {**now, "mtime": wanted["mtime"]}
            if not clean:
                wanted["mtime"] = now["mtime"]
            set_metadata(descriptor, wanted)
        except Blocked as blocked:
            return [PathOutcome(step.path, "conflict", blocked.reason)]
        except OSError as error:
            return [PathOutcome(step.path, "failed", (error.strerror or "failed").lower())]
        return []

    def _staged(self, step: Step) -> tuple[int, bytes]:
        if not step.place:
            return self._stages[step.part].fd, b"new"
        return self._trees[step.part].fd(above(step.place)), last(step.place)

    def _touched_since(self, told: os.stat_result, staged: Print, folder: int, name: bytes) -> str:
        """Why the file there is no longer what the restore put there; "" when it is."""
        if told.st_ino != staged[0]:
            return "is another file than the restored one"
        if stat.S_ISDIR(told.st_mode):
            return "holds what was made or changed since the restore" if self._newer_inside(folder, name) else ""
        if told.st_size != staged[2] or told.st_mtime_ns != staged[3] or self._newer(told):
            return "was changed since the restore"
        return ""

    def _newer(self, told: os.stat_result) -> bool:
        """By ctime, which nobody can set back."""
        ours = told.st_nlink > 1 and told.st_ino in self._names and not stat.S_ISDIR(told.st_mode)
        return self._mark is not None and told.st_ctime_ns > self._mark and not ours

    def _newer_inside(self, folder: int, name: bytes) -> bool:
        """Whether anything in a tree was made or changed since. Follows nothing."""
        top = os.open(name, LIST, dir_fd=folder)
        waiting = [b""]
        with Folders(top) as tree:
            os.close(top)
            while waiting:
                here = waiting.pop()
                for child in tree.names(here):
                    told = inode(tree.fd(here), child)
                    if told is not None and self._newer(told):
                        return True
                    if told is not None and stat.S_ISDIR(told.st_mode):
                        waiting.append(here + b"/" + child if here else child)
        return False

    def _put(self, step: Step, folder: int) -> tuple[str, str]:
        told = inode(folder, last(step.path))
        if told is None or step.staged is None:
            return "", ""
        why = self._touched_since(told, step.staged, folder, last(step.path))
        here, staged = self._staged(step)
        if told.st_ino != step.staged[0] and inode(here, staged) is not None:
            return "", ""  # it was never put there: what is there is somebody else's
        if why and not self._force:
            return "conflict", f"{why}: left as it is"
        if inode(here, staged) is not None:
            return "conflict", "its place in the staging is taken"
        try:
            rename2(folder, last(step.path), here, staged, NOREPLACE)
        except OSError as error:
            if error.errno not in LACKS:
                raise
            os.rename(last(step.path), staged, src_dir_fd=folder, dst_dir_fd=here)
        return "undone", "kept beside: it was changed since" if why else ""

    def _replace(self, step: Step, folder: int) -> tuple[str, str]:
        name, old = last(step.path), self._stages[step.part].old
        told = inode(folder, name)
        here, staged = self._staged(step)
        beside = inode(here, staged)
        if step.staged is None or step.live is None:
            return "", ""
        if beside is not None and beside.st_ino == step.staged[0]:  # still staged: it was not swapped, or the fallback was cut off
            return self._put_back(step, folder) if told is None else ("", "")
        why = "was removed since the restore" if told is None else self._touched_since(told, step.staged, folder, name)
        if why and not self._force:
            return "conflict", f"{why}: left as it is"
        if beside is not None and beside.st_ino == step.live[0]:
            rename2(here, staged, folder, name, EXCHANGE if told is not None else NOREPLACE)
            return "undone", "the changed file is kept beside" if why and told is not None else ""
        return self._from_old(step, folder, old, why)

    def _from_old(self, step: Step, folder: int, old: int, why: str) -> tuple[str, str]:
        """The fallback's way: the old file has a name in `old`."""
        name = last(step.path)
        if inode(old, step.kept_name()) is None:
            return "failed", "its old file is no longer in the staging"
        here, staged = self._staged(step)
        told = inode(folder, name)
        if told is not None and stat.S_ISDIR(told.st_mode):
            os.rename(name, staged, src_dir_fd=folder, dst_dir_fd=here)
        elif told is not None:
            os.link(name, staged, src_dir_fd=folder, dst_dir_fd=here, follow_symlinks=False)
            if stat.S_ISDIR(os.stat(step.kept_name(), dir_fd=old, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=folder)
        os.rename(step.kept_name(), name, src_dir_fd=old, dst_dir_fd=folder)
        return "undone", "the changed file is kept beside" if why else ""

    def _put_back(self, step: Step, folder: int) -> tuple[str, str]:
        old = self._stages[step.part].old
        if inode(old, step.kept_name()) is None:
            return "", ""
        os.rename(step.kept_name(), last(step.path), src_dir_fd=old, dst_dir_fd=folder)
        return "undone", ""

    def _remove(self, step: Step, folder: int) -> tuple[str, str]:
        old = self._stages[step.part].old
        if inode(old, step.kept_name()) is None:
            return "", ""
        if inode(folder, last(step.path)) is not None:
            return "conflict", "somebody made a new one there: the old one stays in the staging"
        self._moves.put_new(old, step.kept_name(), folder, last(step.path))
        return "undone", ""
