"""Where a restore may write, and where its staging lies: refusals, mounts, safe folders. Reads only."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from backends.errors import Invalid
from backends.restore.folders import Blocked, Folders, Missing, above, shown
from backends.restore.model import Refusal

PREFIX = b".deskside-restore-"
SYSTEM = (b"/etc", b"/usr", b"/boot", b"/bin", b"/sbin", b"/lib", b"/lib32", b"/lib64")
NEVER = (b"/proc", b"/sys", b"/dev")


def checked_selection(selection: Sequence[bytes]) -> tuple[bytes, ...]:
    """Absolute, plain, each once, nothing twice over. Invalid: an empty one would be everything for the tools (R05, R14)."""
    if not selection:
        raise Invalid("nothing is chosen", hint="Choose files or folders of the snapshot; an empty choice never means everything.")
    found: list[bytes] = []
    for path in sorted({bytes(path) for path in selection}):
        parts = path.strip(b"/").split(b"/")
        if not path.startswith(b"/") or b"\0" in path or (path != b"/" and any(part in (b"", b".", b"..") for part in parts)):
            raise Invalid(fields={"selection": f"{shown(path)} is no whole path of a snapshot"})
        clean = b"/" + b"/".join(parts)
        if not any(inside(clean, other) for other in found):
            found.append(clean)
    return tuple(found)


def is_plain(path: bytes) -> bool:
    """Whether a path that a tool told is a whole one, without "..", "." or NUL: anything else is never touched (R14)."""
    if path[:1] == b"/" and b"/." not in path and b"//" not in path and b"\0" not in path and (path[-1:] != b"/" or path == b"/"):
        return True
    return path[:1] == b"/" and b"\0" not in path and not any(part in (b"", b".", b"..") for part in path[1:].split(b"/"))


class Chosen:
    """Whether paths lie in the selection; those of one folder come one after the other."""

    def __init__(self, selection: Sequence[bytes]) -> None:
        self._all = {path.rstrip(b"/") for path in selection}
        self._good: bytes | None = None

    def has(self, path: bytes) -> bool:
        """Whether it, or a folder above it, was chosen."""
        folder = here = above(path)
        if folder == self._good or path.rstrip(b"/") in self._all:
            return True
        while here not in self._all:
            if not here:
                return False
            here = above(here)
        self._good = folder
        return True


def read_only(folder: bytes) -> bool:
    """Whether a folder's filesystem is mounted read-only."""
    with Folders() as live:
        return bool(os.fstatvfs(live.fd(folder)).f_flag & os.ST_RDONLY)


def inside(path: bytes, folder: bytes) -> bool:
    """Whether a path is a folder or lies in it."""
    folder = folder.rstrip(b"/")
    return path.rstrip(b"/") == folder or path.startswith(folder + b"/")


def common_parent(selection: Sequence[bytes]) -> bytes:
    """The deepest folder that holds all chosen paths ("" = the top)."""
    parts = [above(path).split(b"/") for path in selection]
    shared: list[bytes] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return b"/".join(shared)


def mounts() -> list[bytes]:
    """Mount points of this process (proc(5): octal escapes for blanks)."""
    found = []
    with open("/proc/self/mountinfo", "rb") as file:
        for line in file:
            point = line.split(b" ")[4]
            found.append(point.replace(b"\\040", b" ").replace(b"\\011", b"\t").replace(b"\\012", b"\n").replace(b"\\134", b"\\"))
    return found


def mount_id(descriptor: int) -> int:
    """Which mount a descriptor lies on: rename works within one only, also where two show the same device (bind mounts)."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("mnt_id:"))


@dataclass(frozen=True, slots=True)
class Guarded:
    """What a restore must never write into: the local repository ("" = it is elsewhere) and our own data."""

    repository: bytes = b""
    data: bytes = b""


def refusals(target: bytes, guarded: Guarded, whole: bool) -> list[Refusal]:
    """Why nothing may be written at `target`. `whole`: a folder of which everything is taken (mounts below matter)."""
    found: list[Refusal] = []
    name = shown(target)
    if any(inside(target, place) for place in NEVER):
        return [Refusal("", f"{name} belongs to the kernel")]
    if target in (b"", b"/") or any(inside(target, place) for place in SYSTEM):
        found.append(Refusal("system", f"{name} belongs to the operating system"))
    for what, place in (("repository", guarded.repository), ("data", guarded.data)):
        if not place:
            continue
        words = "the backup repository" if what == "repository" else "the console's own data"
        if inside(target, place):
            found.append(Refusal("", f"{name} is {words}"))
        elif whole and inside(place, target):
            found.append(Refusal(what, f"{words} lies in {name}"))
    if whole:
        below = [point for point in mounts() if point != target and inside(point, target)]
        if below:
            found.append(Refusal("mounts", f"another filesystem is mounted in {name}: {', '.join(map(shown, below[:3]))}; what lies there is left alone"))
    return found


def nearest(path: bytes) -> tuple[bytes, Refusal | None]:
    """The deepest folder above `path` that is there, walked without following a symbolic link; or why it can't be reached."""
    with Folders() as live:
        here = above(path)
        while True:
            try:
                live.fd(here)
                return here, None
            except Missing:
                here = above(here)
            except Blocked as blocked:
                return here, Refusal("symlinks", f"{blocked.reason}: a restore does not go through it")


def real_parent(path: bytes) -> bytes:
    """The path with the symbolic links of its parents resolved once, now."""
    return os.path.realpath(above(path) or b"/").rstrip(b"/") + b"/" + path.rpartition(b"/")[2]


def stage_parent(folder: bytes) -> tuple[bytes, bool]:
    """(where the staging folder goes, whether it is safe there) for a live `folder` that is there.

    On the same mount, as near as can be, in a folder that nobody else could rename ours in: owned by us or root all the way up and
    not writable by others (or sticky, like /tmp). A folder in a user's home would let that user swap it under our feet.
    """
    with Folders() as live:
        wanted = mount_id(live.fd(folder))
        parts = [part for part in folder.split(b"/") if part]
        paths = [b"/" + b"/".join(parts[:count]) if count else b"" for count in range(len(parts) + 1)]
        trusted, best, top = True, None, None
        for path in paths:
            descriptor = live.fd(path)
            told = os.fstat(descriptor)
            trusted = trusted and told.st_uid in (0, os.geteuid()) and (not told.st_mode & 0o022 or bool(told.st_mode & stat.S_ISVTX))
            if mount_id(descriptor) != wanted or not os.access(f"/proc/self/fd/{descriptor}", os.W_OK | os.X_OK):
                continue
            top = top if top is not None else path
            best = path if trusted else best
        if best is not None:
            return best, True
        return (top if top is not None else folder), False


def space(folder: bytes) -> tuple[int, int | None]:
    """(free bytes for us, free inodes or None where the filesystem counts none)."""
    with Folders() as live:
        told = os.fstatvfs(live.fd(folder))
    return told.f_bavail * told.f_frsize, told.f_favail if told.f_files else None
