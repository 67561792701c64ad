"""The locks that mail servers and programs take on an mbox file: a lock file beside it, then fcntl on the file itself.

Both, as Debian's policy for mail and dovecot's default (`mbox_write_locks = dotlock fcntl`) have it: who delivers waits meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass

from backends.errors import Busy, NotFound, Refused
from backends.restore.folders import Folders, above, last, shown
from backends.restore.kernel import inode

PATIENCE = 30.0
EVERY = 0.2


@dataclass(slots=True)
class Locked:
    """An mbox file that is ours for now. `note`: what could not be locked, in words."""

    descriptor: int
    note: str = ""


@contextlib.contextmanager
def locked(path: bytes, left_by: int = 0) -> Iterator[Locked]:
    """Hold both locks. Busy when somebody else does for half a minute. `left_by`: the process of ours that may have left a lock file behind."""
    until = time.monotonic() + PATIENCE
    with Folders() as live:
        folder = live.fd(above(path))
        lock, note = last(path) + b".lock", ""
        try:
            _lock_file(folder, lock, until, left_by, path)
        except PermissionError:
            lock, note = b"", f"no lock file can be made beside {shown(path)}: only the file itself was locked"
        try:
            descriptor = _locked(folder, path, until)
            try:
                yield Locked(descriptor, note)
            finally:
                os.close(descriptor)  # lets go of it
        finally:
            if lock:
                with contextlib.suppress(OSError):
                    os.unlink(lock, dir_fd=folder)


def _lock_file(folder: int, name: bytes, until: float, left_by: int, path: bytes) -> None:
    while True:
        try:
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
        except FileExistsError:
            if left_by and _holder(folder, name) == left_by and not os.path.exists(f"/proc/{left_by}"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
                left_by = 0
                continue
            if time.monotonic() > until:
                raise Busy(f"{shown(path)}.lock is there: somebody else works in the mailbox", hint="Wait for it; if its process is gone, remove that file.") from None
            time.sleep(EVERY)
            continue
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise PermissionError from None
            raise
        with contextlib.suppress(OSError):
            os.write(descriptor, b"%d\n" % os.getpid())
        os.close(descriptor)
        return


def _holder(folder: int, name: bytes) -> int:
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            return int(os.read(descriptor, 32).strip() or b"0")
        finally:
            os.close(descriptor)
    return 0


def _locked(folder: int, path: bytes, until: float) -> int:
    """The open file, locked; opened anew where another one took its place meanwhile."""
    while True:
        try:
            descriptor = os.open(last(path), os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError:
            raise NotFound(shown(path)) from None
        except OSError as error:
            raise Refused(f"{shown(path)}: {(error.strerror or '').lower()}") from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Refused(f"{shown(path)} is no file")
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = inode(folder, last(path))
            if there is not None and there.st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN) or time.monotonic() > until:
                os.close(descriptor)
                raise Busy(f"{shown(path)} is locked: somebody else works in the mailbox", hint="Wait for it.") from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > until:
            raise Busy(f"{shown(path)} is replaced again and again", hint="Look what works in the mailbox.")
        time.sleep(EVERY)
