"""The items of a borg archive as plain rows, exact in bytes: what the index keeps. Pure, standard library only: its builder is a process
of its own that must start quickly.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final

Row = tuple[bytes, str, int, int, Any, Any, Any, Any, int, bytes | None, str, bytes, bytes]
"""(last name, kind, size, mode, user, group, uid, gid, mtime in ns, link, what an "other" is, first name of a hard link, digest)."""
KIND: Final = 1
SIZE: Final = 2
_KINDS = {
    stat.S_IFDIR: ("dir", ""), stat.S_IFREG: ("file", ""), stat.S_IFLNK: ("link", ""), stat.S_IFIFO: ("other", "fifo"),
    stat.S_IFCHR: ("other", "chardev"), stat.S_IFBLK: ("other", "blockdev"), stat.S_IFSOCK: ("other", "socket"),
}  # fmt: skip
_OTHER = ("other", "")
EMPTY = blake2b(b"", digest_size=16).digest()


class Unreadable(Exception):
    """What the tool printed is not what it should be; in words."""


def whole(path: bytes) -> bytes:
    """A path of an item, from "/" on."""
    return b"/" + path.lstrip(b"/")


def digest(chunks: Any) -> bytes:
    """Equal for equal content within a repository, from the ids of its chunks."""
    return (b"" + chunks[0][0])[:16] if len(chunks) == 1 else blake2b(b"".join([chunk[0] for chunk in chunks]), digest_size=16).digest()


def rows(items: Iterable[Mapping[Any, Any]]) -> Iterator[tuple[bytes, Row]]:
    """(path, row) in the archive's order; keys and texts of an item are bytes. Unreadable for what is no item.

    Only the first name of a hard link has content: the others get its size and digest.
    """
    try:
        yield from _rows(items)
    except (AttributeError, TypeError, ValueError, LookupError, OverflowError):
        raise Unreadable("an item of the archive is not what it should be") from None


def _rows(items: Iterable[Mapping[Any, Any]]) -> Iterator[tuple[bytes, Row]]:
    masters: dict[bytes, tuple[int, bytes]] = {}
    kinds = _KINDS
    for item in items:
        get = item.get
        path, mode, chunks, at = b"/" + item[b"path"].lstrip(b"/"), get(b"mode") or 0, get(b"chunks"), get(b"mtime")
        kind, special = kinds.get(mode & 0o170000, _OTHER)
        content, inode, link = digest(chunks) if chunks else EMPTY, b"", None
        size = int(get(b"size") or (sum([chunk[1] for chunk in chunks]) if chunks else 0))
        if kind == "link":
            link = get(b"source") or b""
        elif (source := get(b"source")) is not None:
            inode = whole(source)
            size, content = masters.get(inode, (size, content))
        elif get(b"hardlink_master") and kind != "dir":
            inode = path
            masters[path] = (size, content)
        uid, gid = get(b"uid"), get(b"gid")
        yield path, (
            path[path.rindex(b"/") + 1 :], kind, size if kind == "file" else 0, mode & 0o7777, get(b"user") or _number(uid), get(b"group") or _number(gid),
            uid, gid, at if type(at) is int else _large(at), link, special, inode, content,
        )  # fmt: skip


def _number(value: Any) -> Any:
    return "" if value is None else value


def _large(value: Any) -> int:
    """A number of more than 63 bits."""
    raw = bytes(value or b"")
    if len(raw) > 16:
        raise ValueError("no time has so many bytes")
    return int.from_bytes(raw, "little", signed=True)
