"""Files and folders of a store that a group shares: their modes, their durability, and who holds a lock.

`umask 022` and `mkstemp` both make files that the colleague can't write; only `fchmod` on the open file is sure.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from pathlib import Path

from backends.errors import BackendError, BadConfig, Damaged, NoSpace

FULL = frozenset({errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, errno.EDQUOT})
"""The disk is full or can't be written."""

JOIN = "Become a member of its group, or give another folder with --data."

_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs", "ceph", "glusterfs", "fuse.glusterfs"})


def translate(error: OSError, path: Path) -> BackendError:
    """The error of the family that an error of the operating system is."""
    place = error.filename or path
    if error.errno in FULL:
        return NoSpace(f"{place}: {error.strerror}")
    if isinstance(error, PermissionError):
        return BadConfig(f"{place} can't be used: {error.strerror}", hint=JOIN)
    if isinstance(error, NotADirectoryError | FileExistsError):
        return BadConfig(f"{place} is not a folder", hint="Give another folder with --data.")
    return Damaged(f"{place}: {error.strerror}")


def make_folder(path: Path) -> None:
    """A folder for the group: 0770, the set-group-id bit as its parent has it. One that exists stays as it is."""
    if path.is_dir():
        return
    make_folder(path.parent) if not path.parent.exists() else None
    try:
        path.mkdir()
    except FileExistsError:
        if path.is_dir():
            return  # somebody else was faster
        raise
    path.chmod(0o770 | (path.stat().st_mode & stat.S_ISGID))
    sync_folder(path.parent)


def make_file(path: Path, flags: int = 0) -> int:
    """An open descriptor of the file, created 0660 whatever the umask is."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o660)
    found = os.fstat(descriptor)
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != 0o660:
        os.fchmod(descriptor, 0o660)
    return descriptor


def replace_file(path: Path, body: bytes) -> None:
    """The file with a new content, durable: all of it or the old one. Only one process at a time may do this to a path."""
    temporary = path.with_name(path.name + ".tmp")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = make_file(temporary, os.O_EXCL)
    try:
        for start in range(0, len(body), 1 << 24):
            part = body[start : start + (1 << 24)]
            if os.write(descriptor, part) != len(part):
                raise OSError(errno.ENOSPC, "only a part could be written", str(temporary))
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make names durable: without it a renamed file can be the old one again after a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_network(path: Path) -> None:
    """BadConfig on a network file system: neither flock nor SQLite's WAL can be trusted there."""
    kind = _file_system(path.resolve())
    if kind in _NETWORK:
        raise BadConfig(f"{path} is on {kind}: the store can't be shared safely there", hint="Give a folder on a local disk with --data.")


def _file_system(path: Path) -> str:
    """Type of the mount that holds the path, from proc(5) mountinfo; "" where it can't be read."""
    best, kind = "", ""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            point = before.split(" ")[4].replace("\\040", " ")
            inside = point == "/" or path == Path(point) or Path(point) in path.parents
            if inside and len(point) >= len(best):
                best, kind = point, after.split(" ", 1)[0]
    return kind


def user_name(uid: int) -> str:
    """The login of a uid, or its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def lock_holder(path: Path, first: int, last: int) -> str:
    """ "process 4711 (jdoe)" that holds a POSIX write lock on a byte in first..last, from proc(5) locks; or "another process"."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if "->" in words or words[1] != "POSIX" or words[3] != "WRITE" or words[5].rpartition(":")[2] != inode:
                continue
            if int(words[6]) <= last and (words[7] == "EOF" or int(words[7]) >= first):
                return f"process {words[4]} ({user_name(os.stat(f'/proc/{words[4]}').st_uid)})"
    return "another process"
