"""Staging: a closed folder of ours on the live files' own mount. `new` takes what the tool writes, `old` what is kept for undo.

The tool is given the folder through this process's descriptor (`/proc/<pid>/fd/<n>`): nobody can put another folder in its way, and
a tool that outlives a killed job finds no way to it any more.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from backends.errors import Damaged, NoSpace, NotAllowed, Refused
from backends.restore.codec import raw, text
from backends.restore.folders import LIST, Blocked, Folders, remove_tree, shown
from backends.restore.places import PREFIX
from backends.restore.run_folder import Run
from backends.restore.targets import Part


@dataclass(slots=True)
class Stage:
    """An open staging folder: descriptors of itself, of `new` and of `old`."""

    part: Part
    name: bytes
    fd: int
    new: int
    old: int

    def into(self) -> bytes:
        """The empty folder a tool writes to."""
        return b"/proc/%d/fd/%d" % (os.getpid(), self.new)

    def close(self) -> None:
        """Let go of it; it stays on the disk."""
        for descriptor in (self.fd, self.new, self.old):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    @property
    def path(self) -> bytes:
        """Where it lies."""
        return self.part.place + b"/" + self.name


def describe(run: Run, parts: list[Part]) -> list[dict[str, Any]]:
    """The parts as the journal has them: written before the first folder is made."""
    return [
        {"place": text(part.place), "name": text(PREFIX) + run.ident + f"-{number}", "selection": [text(path) for path in part.selection]}
        for number, part in enumerate(parts)
    ]


@contextlib.contextmanager
def unnoticed(folder: int) -> Iterator[None]:
    """Our own folder coming and going is no change of the folder it lies in: that keeps its time, where we may set it."""
    before = os.fstat(folder)
    yield
    with contextlib.suppress(OSError):
        os.utime(f"/proc/self/fd/{folder}", ns=(before.st_atime_ns, before.st_mtime_ns))


def make(told: dict[str, Any]) -> Stage:
    """Make it. NoSpace, NotAllowed, Refused (a symbolic link on the way)."""
    part, name = Part(raw(told["place"]), tuple(raw(path) for path in told["selection"])), raw(told["name"])
    try:
        with Folders() as live:
            parent = live.fd(part.place)
            with unnoticed(parent):
                os.mkdir(name, 0o700, dir_fd=parent)
            here = os.open(name, LIST, dir_fd=parent)
            os.fchmod(here, 0o700)
            for child in (b"new", b"old"):
                os.mkdir(child, 0o700, dir_fd=here)
            os.fsync(here)
            return Stage(part, name, here, os.open(b"new", LIST, dir_fd=here), os.open(b"old", LIST, dir_fd=here))
    except Blocked as blocked:
        raise Refused(blocked.reason) from None
    except PermissionError as error:
        raise NotAllowed(f"no folder can be made in {shown(part.place)}: {error.strerror}", hint="Run it as root, or restore to a new folder.") from None
    except OSError as error:
        raise NoSpace(f"no folder can be made in {shown(part.place)}: {error.strerror}") from None


def reopen(told: dict[str, Any], identity: list[int] | None) -> Stage | None:
    """The one of an earlier process; None when it is gone. Damaged when something else lies there."""
    part, name = Part(raw(told["place"]), tuple(raw(path) for path in told["selection"])), raw(told["name"])
    try:
        with Folders() as live:
            here = os.open(name, LIST, dir_fd=live.fd(part.place))
    except (FileNotFoundError, Blocked):
        return None
    except OSError as error:
        raise Damaged(f"{shown(part.place + b'/' + name)}: {error.strerror}") from None
    found = os.fstat(here)
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) != 0o700 or (identity and [found.st_dev, found.st_ino] != identity):
        os.close(here)
        raise Damaged(f"{shown(part.place + b'/' + name)} is not the folder this restore made", hint="Look at it yourself; nothing was touched.")
    for child in (b"new", b"old"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(child, 0o700, dir_fd=here)
    return Stage(part, name, here, os.open(b"new", LIST, dir_fd=here), os.open(b"old", LIST, dir_fd=here))


def renew(stage: Stage) -> None:
    """Empty what a tool wrote to, for one that can't go on in it. OSError."""
    remove_tree(stage.fd, b"new")
    os.mkdir(b"new", 0o700, dir_fd=stage.fd)
    os.close(stage.new)
    stage.new = os.open(b"new", LIST, dir_fd=stage.fd)


def identity(stage: Stage) -> list[int]:
    """By what it is known again."""
    found = os.fstat(stage.fd)
    return [found.st_dev, found.st_ino]


def stages_of(run: Run) -> list[Stage]:
    """The stages a run's journal names. Damaged when one of them is gone."""
    known = run.said("identities") or []
    found: list[Stage] = []
    for number, told in enumerate(run.said("parts") or []):
        stage = reopen(told, known[number] if number < len(known) else None)
        if stage is None:
            for other in found:
                other.close()
            raise Damaged(f"the staging folder {told['place']}/{told['name']} is gone", hint="What was swapped stays as it is; nothing can be undone by itself.")
        found.append(stage)
    return found


def sweep(run: Run, tell: Callable[[str], None] | None = None) -> None:
    """Take away the staging of a run that is over and was noted as not swept yet. Busy when somebody is at it.

    A restore, an undo or a giving up is over when that is noted; the taking away of what is no longer needed comes after it, so that
    nobody waits for it, and is gone on with at any later start. What can't be removed stays noted, with the reason.
    """
    with run.lock("sweep"):
        if run.said("swept") is not False:
            return
        left: list[str] = []
        discard(run, left.append)
        run.note(run.state(), swept=not left, left=" ".join(left))
        if tell is not None:
            for text in left:
                tell(text)


def discard(run: Run, tell: Callable[[str], None] | None = None) -> None:
    """Remove every staging folder of a run, with what is kept for undo. What can't be removed is told and left."""
    for number, told in enumerate(run.said("parts") or []):
        known = run.said("identities") or []
        stage = reopen(told, known[number] if number < len(known) else None)
        if stage is None:
            continue
        stage.close()
        try:
            with Folders() as live, unnoticed(live.fd(stage.part.place)):
                remove_tree(live.fd(stage.part.place), stage.name)
        except (OSError, Blocked) as error:
            if tell is not None:
                tell(f"{shown(stage.path)} can't be removed: {getattr(error, 'strerror', error)}")
