"""Open folders below a root, each component with O_NOFOLLOW: no symbolic link is ever followed, whoever plants one. Paths are bytes."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator

from backends.restore.kernel import NOREPLACE, inode, rename2
from backends.text import clean

PASS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
AT_ONCE = 4096
KEPT = 100
"""Open descriptors at once: far from the usual limit of 1,024."""


def shown(path: bytes) -> str:
    """A path for people: cleaned; bytes that are no text are seen as \\xNN."""
    return clean(path.decode("utf-8", "backslashreplace"))


def above(path: bytes) -> bytes:
    """The folder a path lies in ("" for what lies at the top)."""
    return path.rpartition(b"/")[0]


def last(path: bytes) -> bytes:
    """Its own name."""
    return path.rpartition(b"/")[2]


class Blocked(Exception):
    """A folder on the way can't be used; `reason` says which one and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Missing(Blocked):
    """A folder on the way is not there."""


class Folders:
    """Descriptors of folders below `root` ("/" or an open folder), by their path; the last hundred are kept open."""

    def __init__(self, root: bytes | int = b"/") -> None:
        self._root = os.open(root, PASS) if isinstance(root, bytes) else os.dup(root)
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._newest: tuple[bytes | None, int] = (None, -1)
        """The last answer: files of one folder come one after the other."""

    def fd(self, path: bytes) -> int:
        """The descriptor (O_PATH) of a folder. Missing, Blocked (a symbolic link, no folder, no right)."""
        if path == self._newest[0]:
            return self._newest[1]
        plain = path.strip(b"/")
        if not plain:
            return self._root
        found = self._open.get(plain)
        if found is None:
            found = self._walk(plain)
        else:
            self._open.move_to_end(plain)
        self._newest = (path, found)
        return found

    def _walk(self, path: bytes) -> int:
        """From the nearest ancestor that is open, a component at a time."""
        start = above(path)
        while start and start not in self._open:
            start = above(start)
        here = self._open.get(start, self._root)
        rest = path[len(start) :].strip(b"/").split(b"/")
        for name in rest:
            start = start + b"/" + name if start else name
            here = self._step(here, name, start)
            self._open[start] = here
            while len(self._open) > KEPT:
                os.close(self._open.popitem(last=False)[1])
                self._newest = (None, -1)
        return here

    @staticmethod
    def _step(folder: int, name: bytes, path: bytes) -> int:
        if name in (b"", b".", b".."):
            raise Blocked(f"{shown(path)}: not a plain path")
        try:
            return os.open(name, PASS, dir_fd=folder)
        except FileNotFoundError:
            raise Missing(f"/{shown(path)} is not there") from None
        except OSError as error:
            told = inode(folder, name) if error.errno in (errno.ENOTDIR, errno.ELOOP) else None
            why = (error.strerror or "").lower() if told is None else "is a symbolic link" if stat.S_ISLNK(told.st_mode) else "is not a folder"
            raise Blocked(f"/{shown(path)} {why}") from None

    def stat(self, path: bytes) -> os.stat_result | None:
        """lstat; None where nothing is, or where a folder on the way is missing. Blocked."""
        path = path.strip(b"/")
        if not path:
            return os.fstat(self._root)
        try:
            return inode(self.fd(above(path)), last(path))
        except Missing:
            return None

    def names(self, path: bytes) -> list[bytes]:
        """What is in a folder, sorted."""
        descriptor = os.open(b".", LIST, dir_fd=self.fd(path))
        try:
            return sorted(os.fsencode(name) for name in os.listdir(descriptor))
        finally:
            os.close(descriptor)

    def still(self, path: bytes) -> bool:
        """Whether the path, walked anew, still leads to the folder that is open for it (nobody moved it or planted a link)."""
        path = path.strip(b"/")
        known = self._open.get(path)
        if known is None:
            return True
        fresh = Folders(self._root)
        try:
            one, other = os.fstat(fresh.fd(path)), os.fstat(known)
            return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
        except Blocked:
            return False
        finally:
            fresh.close()

    def forget(self) -> None:
        """Close all but the root: the next look walks anew."""
        self._newest = (None, -1)
        while self._open:
            os.close(self._open.popitem()[1])

    def close(self) -> None:
        """Close all; may be called twice."""
        self.forget()
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> Folders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def remove_tree(parent: int, name: bytes) -> None:
    """Remove a tree of any depth and any names, following nothing. What lies deep is first moved up: no recursion, three descriptors.

    OSError where something can't be removed (an immutable file, another filesystem mounted there): the first of them, after the
    rest was tried. Two at once do no harm.
    """
    try:
        top = os.open(name, LIST, dir_fd=parent)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return
    wrong: list[OSError] = []
    try:
        os.fchmod(top, 0o700)
        number, before = 0, list[tuple[bytes, bool]]()
        while entries := list(_entries(top)):
            if wrong and entries == before:  # nothing but what can't be removed
                raise wrong[0]
            before = entries
            for entry, folder in entries:
                number = _remove_one(top, entry, folder, number, wrong)
    finally:
        os.close(top)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)


def _entries(folder: int) -> Iterator[tuple[bytes, bool]]:
    """(name, whether it is a folder) of the first few thousand: read before any of them is removed, without a look at each."""
    with os.scandir(folder) as found:
        for entry in itertools.islice(found, AT_ONCE):
            yield os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)


def _remove_one(top: int, name: bytes, is_folder: bool, number: int, wrong: list[OSError]) -> int:
    """Unlink, or empty a folder by moving its own folders up; the next free number."""
    try:
        if not is_folder:
            os.unlink(name, dir_fd=top)
            return number
        os.chmod(name, 0o700, dir_fd=top)
        folder = os.open(name, LIST, dir_fd=top)
    except FileNotFoundError:
        return number
    except OSError as error:
        wrong.append(error)
        return number
    before = len(wrong)
    try:
        while (entries := list(_entries(folder))) and len(wrong) == before:
            for child, deeper in entries:
                try:
                    number = _move_up(folder, child, top, number) if deeper else _unlinked(folder, child, number)
                except OSError as error:
                    wrong.append(error)
    finally:
        os.close(folder)
    if len(wrong) == before:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=top)
    return number


def _unlinked(folder: int, name: bytes, number: int) -> int:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)
    return number


def _move_up(folder: int, child: bytes, top: int, number: int) -> int:
    os.chmod(child, 0o700, dir_fd=folder)  # moving a folder writes its ".."
    while True:
        number += 1
        with contextlib.suppress(FileExistsError):
            try:
                rename2(folder, child, top, b".up-%d" % number, NOREPLACE)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                os.rename(child, b".up-%d" % number, src_dir_fd=folder, dst_dir_fd=top)
            return number
