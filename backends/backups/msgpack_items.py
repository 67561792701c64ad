"""The raw items of a borg archive, as `borg debug dump-archive-items` writes them: MessagePack maps one after another. Pure.

borg's JSON dump dies of an extended attribute whose name is no UTF-8; these files lose nothing. Source: the MessagePack
specification; borg packs with the old raw type, so every text is bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from backends.errors import Damaged

_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_LENGTHS = {0xC4: ">B", 0xC5: ">H", 0xC6: ">I", 0xD9: ">B", 0xDA: ">H", 0xDB: ">I", 0xDC: ">H", 0xDD: ">I", 0xDE: ">H", 0xDF: ">I"}
_FIXED = {0xC0: None, 0xC2: False, 0xC3: True}
DEEP = 100


class _Short(Exception):
    """The value goes on in the next file."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def _take(self, count: int) -> bytes:
        if self.place + count > len(self._data):
            raise _Short
        self.place += count
        return self._data[self.place - count : self.place]

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def value(self, depth: int = 0) -> Any:
        """The next value."""
        if depth > DEEP:
            raise Damaged("an item of the archive is nested too deep")
        head = self._take(1)[0]
        if head < 0x80 or head >= 0xE0:
            return head if head < 0x80 else head - 0x100
        if head < 0xC0:
            return self._group(head & 0xF0 if head < 0xA0 else 0xA0, head & (0x1F if head >= 0xA0 else 0x0F), depth)
        if head in _FIXED:
            return _FIXED[head]
        if head in _NUMBERS:
            return self._number(_NUMBERS[head])
        if head not in _LENGTHS:
            raise Damaged(f"an item of the archive has a type that is not known ({head:#x})")
        kind = 0xA0 if head < 0xDC else 0x90 if head < 0xDE else 0x80
        return self._group(kind, self._number(_LENGTHS[head]), depth)

    def _group(self, kind: int, count: int, depth: int) -> Any:
        if kind == 0xA0:
            return self._take(count)
        if kind == 0x90:
            return [self.value(depth + 1) for _ in range(count)]
        return {self.value(depth + 1): self.value(depth + 1) for _ in range(count)}


def raw_items(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """The items of those files, in order; a value may begin in one and end in the next. Damaged for anything else."""
    kept = b""
    for path in files:
        kept += path.read_bytes()
        reader, done = _Reader(kept), 0
        while reader.place < len(kept):
            try:
                found = reader.value()
            except _Short:
                break
            except (struct.error, TypeError):
                raise Damaged("an item of the archive can't be read") from None
            done = reader.place
            if not isinstance(found, dict):
                raise Damaged("the archive's list of files is not what it should be")
            yield {key.decode("ascii", "replace"): value for key, value in found.items() if isinstance(key, bytes)}
        kept = kept[done:]
    if kept:
        raise Damaged("the archive's list of files was cut off")
