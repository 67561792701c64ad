"""What Linux gives for exchanging files in one step: renameat2(2) and syncfs(2), through ctypes. All names are bytes below a folder's descriptor."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import threading
from collections.abc import Iterator

NOREPLACE = 1
EXCHANGE = 2
LACKS = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a kernel or filesystem says that does not know the flag (NFS, some FUSE: EINVAL)."""

_libc = ctypes.CDLL(None, use_errno=True)
_renameat2 = getattr(_libc, "renameat2", None)
if _renameat2 is not None:
    _renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_syncfs = _libc.syncfs
_syncfs.argtypes = (ctypes.c_int,)


def rename2(old_folder: int, old: bytes, new_folder: int, new: bytes, flags: int) -> None:
    """renameat2(2). OSError; its errno is one of LACKS where the flag is not known here."""
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _renameat2(old_folder, old, new_folder, new, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), new)


def sync_filesystem(folder: int) -> None:
    """Everything written to the filesystem of `folder` is on the disk, or OSError (since Linux 5.8 write-back errors are told).

    One call for a tree: 10,000 single fsyncs cost 10,000 journal commits and prove no more.
    """
    if _syncfs(folder) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class EarlySync:
    """Begins to bring a filesystem's data to the disk while other work goes on: what is left for the sync that counts is little."""

    def __init__(self, folder: int) -> None:
        self._error: OSError | None = None
        self._fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        self._thread = threading.Thread(target=self._work, daemon=True, name="early sync")
        self._thread.start()

    def _work(self) -> None:
        try:
            sync_filesystem(self._fd)
        except OSError as error:
            self._error = error
        finally:
            os.close(self._fd)

    def wait(self) -> None:
        """Until it is over. OSError."""
        self._thread.join()
        if self._error is not None:
            raise self._error


def inode(folder: int, name: bytes) -> os.stat_result | None:
    """lstat below a folder; None where there is nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


class Moves:
    """How entries change places on one filesystem: in one step, or by the fallback where the kernel or filesystem can't.

    The fallback for a file that is replaced: a second name for the old one in the undo folder, then rename over it. The
    live name is always the old or the new file; what it lacks against an exchange: a file that somebody else puts there
    between the two calls is lost. A folder that is replaced by something else takes two renames: for an instant nothing
    is there.
    """

    def __init__(self, exchange: bool = True, noreplace: bool = True) -> None:
        self.exchange, self.noreplace = exchange, noreplace

    @classmethod
    def probe(cls, folder: int) -> Moves:
        """Try it on two files of our own in `folder`."""
        names = (b".probe-one", b".probe-two")
        for name in names:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder))
        found = []
        for flag, target in ((EXCHANGE, names[1]), (NOREPLACE, b".probe-three")):
            try:
                rename2(folder, names[0], folder, target, flag)
                found.append(True)
            except OSError as error:
                if error.errno not in LACKS:
                    raise
                found.append(False)
        for name in (*names, b".probe-three"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
        return cls(*found)

    def sentence(self) -> str:
        """What is lacking here, in words; "" when nothing is."""
        if self.exchange and self.noreplace:
            return ""
        return (
            "this filesystem can't exchange two files in one step: each old file gets a second name, then is replaced by rename; "
            "a file that somebody else saves in that instant is not seen"
        )

    def put_new(self, here: int, name: bytes, there: int, new: bytes) -> None:
        """Move to a name that must be free. FileExistsError when it is not."""
        if self.noreplace:
            rename2(here, name, there, new, NOREPLACE)
            return
        if stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            os.mkdir(new, 0o700, dir_fd=there)  # fails when it is there; renaming onto an empty folder of ours is one step
            os.rename(name, new, src_dir_fd=here, dst_dir_fd=there)
            return
        os.link(name, new, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)
        os.unlink(name, dir_fd=here)

    def replace(self, here: int, name: bytes, there: int, live: bytes, old: int, kept: bytes) -> None:
        """The staged `name` takes the place of `live`. Exchanged, the old one lies at `name`; by the fallback at `kept` in `old`."""
        if self.exchange:
            rename2(here, name, there, live, EXCHANGE)
            return
        before = os.stat(live, dir_fd=there, follow_symlinks=False)
        if stat.S_ISDIR(before.st_mode) or stat.S_ISDIR(os.stat(name, dir_fd=here, follow_symlinks=False).st_mode):
            os.rename(live, kept, src_dir_fd=there, dst_dir_fd=old)
        else:
            keep_second_name(there, live, old, kept, before)
        os.rename(name, live, src_dir_fd=here, dst_dir_fd=there)


def keep_second_name(there: int, live: bytes, old: int, kept: bytes, before: os.stat_result) -> None:
    """A second name for a live file in the undo folder; a copy where the filesystem has no hard links."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(kept, dir_fd=old)
    try:
        os.link(live, kept, src_dir_fd=there, dst_dir_fd=old, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK) or not stat.S_ISREG(before.st_mode):
            raise
        copy_file(there, live, old, kept)


def copy_file(here: int, name: bytes, there: int, new: bytes) -> None:
    """Content, owner, mode, times and extended attributes of a regular file, durable."""
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
    try:
        target = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=there)
        try:
            for block in blocks(source):
                view = memoryview(block)
                while view:
                    view = view[os.write(target, view) :]
            told = os.fstat(source)
            if (told.st_uid, told.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(target, told.st_uid, told.st_gid)
            os.fchmod(target, stat.S_IMODE(told.st_mode))
            for key, value in attributes(source).items():
                os.setxattr(target, key, value)
            os.utime(target, ns=(told.st_atime_ns, told.st_mtime_ns))
            os.fsync(target)
        finally:
            os.close(target)
    finally:
        os.close(source)


def blocks(descriptor: int, size: int = 1 << 20) -> Iterator[bytes]:
    """A file's content from where it stands."""
    while block := os.read(descriptor, size):
        yield block


def attributes(descriptor: int) -> dict[str, bytes]:
    """The extended attributes (ACLs and capabilities are among them); {} where the filesystem has none."""
    try:
        return {name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)}
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM):
            return {}
        raise
