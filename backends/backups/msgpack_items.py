"""The raw items of a borg archive, as `borg debug dump-archive-items` writes them: MessagePack maps one after another. Pure.

Exact in bytes: borg packs with the old raw type, so every key and every text is bytes. What one item may cost is bounded, whoever wrote
it: the unpacker makes room for what a list says it holds before that has come.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

from backends.backups.borg_rows import Unreadable

LARGEST = 1 << 25
"""Bytes of an item (of a long one: of each value in it). An attribute may have 16 MB."""
MOST = 1 << 16
"""Members of a list or map. A file with more chunks (above 100 GB) is read chunk by chunk."""
CUT = "the archive's list of files was cut off"


def raw_items(parts: Iterable[bytes]) -> Iterator[Mapping[Any, Any]]:
    """The items in those parts, which may be cut anywhere. Unreadable for anything else."""
    reader = _Reader(iter(parts))
    while reader.more():
        yield from reader.short()
        if reader.failed:
            yield reader.long()


class _Reader:
    def __init__(self, parts: Iterator[bytes]) -> None:
        self._msgpack: Any = import_module("msgpack")
        self._parts = parts
        self._rest = b""
        self._begin(b"")
        self.failed = False

    def _begin(self, rest: bytes) -> None:
        """A new unpacker; what it has of an item that is not whole is kept beside it, to begin again with `long`."""
        self._unpacker: Any = self._msgpack.Unpacker(
            raw=True, use_list=False, strict_map_key=True, max_buffer_size=1 << 26, max_str_len=LARGEST, max_bin_len=LARGEST, max_array_len=MOST,
            max_map_len=MOST, max_ext_len=16,
        )  # fmt: skip
        self._kept: list[bytes] = []
        self._size = self._at = 0
        self._rest, self.failed = rest, False

    def more(self) -> bool:
        """Feed the next part. Unreadable when there is none and an item is not whole."""
        part = self._rest or next(self._parts, b"")
        self._rest = b""
        if not part and self._size:
            raise Unreadable(CUT)
        _checked(self._size, LARGEST)
        self._kept.append(part)
        self._size += len(part)
        self._unpacker.feed(part)
        return bool(part)

    def short(self) -> Iterator[Mapping[Any, Any]]:
        """What is whole now. `failed` when the next one is no item, or a long one."""
        unpacker, tell = self._unpacker, self._unpacker.tell
        at = began = self._at
        try:
            for found in unpacker:
                at = tell()
                yield found
        except (ValueError, self._msgpack.UnpackException):
            self.failed = True
        if at != began:
            self._kept = [b"".join(self._kept)[at - began :]]
            self._size, self._at = len(self._kept[0]), at

    def long(self) -> Mapping[Any, Any]:
        """One item, its chunks summed up as one as they come."""
        self._begin(b"".join(self._kept))
        read, found = self._read, {}
        self.more()
        try:
            for _ in range(_checked(read(self._unpacker.read_map_header), MOST)):
                key = b"" + read(self._unpacker.unpack)
                found[key] = self._chunks() if key == b"chunks" else read(self._unpacker.unpack)
            self._begin(self._left())
        except (ValueError, TypeError, self._msgpack.UnpackException):
            raise Unreadable("an item of the archive can't be read") from None
        return found

    def _chunks(self) -> Any:
        digest, size = hashlib.blake2b(digest_size=16), 0
        for _ in range(self._length()):
            ident, length, *_packed = self._read(self._unpacker.unpack)
            digest.update(ident)
            size += length
        return ((digest.digest(), size),)

    def _length(self) -> int:
        """Of a list, however long: it is not made."""
        head = self._read(lambda: self._some(1))[0]
        if head & 0xF0 == 0x90:
            return int(head & 0x0F)
        if head not in (0xDC, 0xDD):
            raise ValueError("no list")
        return int.from_bytes(b"".join(self._read(lambda: self._some(1)) for _ in range(2 if head == 0xDC else 4)), "big")

    def _left(self) -> bytes:
        """What was fed and not read; the unpacker that is not compiled gives only what it has to the full."""
        found = b""
        for bit in range(26, -1, -1):
            with contextlib.suppress(self._msgpack.OutOfData):
                found += self._unpacker.read_bytes(1 << bit)
        return found

    def _some(self, count: int) -> bytes:
        found: bytes = self._unpacker.read_bytes(count)
        if not found:
            raise self._msgpack.OutOfData
        return found

    def _read(self, read: Callable[[], Any]) -> Any:
        fed = 0
        while True:
            try:
                return read()
            except self._msgpack.OutOfData:
                part = next(self._parts, b"")
                fed = _checked(fed + len(part), LARGEST)
                if not part:
                    raise Unreadable(CUT) from None
                self._unpacker.feed(part)


def _checked(number: int, most: int) -> int:
    if number > most:
        raise Unreadable("an item of the archive is too large to be one")
    return number
