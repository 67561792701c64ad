"""The items of a borg archive as plain rows, exact in bytes: what the index keeps. Pure, standard library only: its builder is a process
of its own that must start quickly.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

Row = tuple[bytes, str, int, int, Any, Any, Any, Any, int, bytes | None, str, bytes, bytes]
"""(last name, kind, size, mode, user, group, uid, gid, mtime in ns, link, what an "other" is, first name of a hard link, digest)."""
KIND: Final = 1
SIZE: Final = 2
_KINDS = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
_SPECIAL = {stat.S_IFIFO: "fifo", stat.S_IFCHR: "chardev", stat.S_IFBLK: "blockdev", stat.S_IFSOCK: "socket"}
EMPTY = hashlib.blake2b(b"", digest_size=16).digest()


class Unreadable(Exception):
    """What the tool printed is not what it should be; in words."""


def exact(text: Any) -> bytes:
    """A string of `debug dump-archive`: what is no printable UTF-8 is 0x7f and hexadecimal digits. Bytes are what they are."""
    if isinstance(text, bytes):
        return text
    value = str(text)
    if value.startswith("\x7f"):
        try:
            return bytes.fromhex(value[1:])
        except ValueError:
            raise Unreadable(f"borg printed a name that can't be read: {value[:60]!r}") from None
    return value.encode("utf-8", "surrogateescape")


def whole(text: Any) -> bytes:
    """A path of an item, from "/" on."""
    return b"/" + exact(text).lstrip(b"/")


def rows(dumped: Iterable[Mapping[str, Any]]) -> Iterator[tuple[bytes, Row]]:
    """(path, row) in the archive's order. Only the first name of a hard link has content: the others get its size and digest."""
    masters: dict[bytes, tuple[int, bytes]] = {}
    for found in dumped:
        get = found.get
        path, mode, source, chunks = whole(get("path", "")), int(get("mode") or 0), get("source"), get("chunks")
        form = stat.S_IFMT(mode)
        kind = _KINDS.get(form, "other")
        size = int(get("size") or (sum(int(chunk[1]) for chunk in chunks) if chunks else 0))
        content = hashlib.blake2b(b"".join([_chunk(chunk[0]) for chunk in chunks]), digest_size=16).digest() if chunks else EMPTY
        inode = b""
        if source is not None and kind != "link":
            inode = whole(source)
            size, content = masters.get(inode, (size, content))
        elif get("hardlink_master") and kind != "dir":
            inode = path
            masters[path] = (size, content)
        at = get("mtime") or 0
        yield path, (
            path[path.rindex(b"/") + 1 :], kind, size if kind == "file" else 0, mode & 0o7777, get("user") or get("uid", ""), get("group") or get("gid", ""),
            get("uid"), get("gid"), int.from_bytes(at, "little", signed=True) if isinstance(at, bytes) else int(at),
            exact(source or "") if kind == "link" else None, _SPECIAL.get(form, ""), inode, content,
        )  # fmt: skip


def _chunk(ident: Any) -> bytes:
    return ident if isinstance(ident, bytes) else exact(ident)
