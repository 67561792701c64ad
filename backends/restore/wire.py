"""Frames between the console and the far end of a restore over SSH: one byte of kind, four of length, then JSON or raw bytes. Standard library only."""

from __future__ import annotations

import json
import struct
from typing import Any, Protocol

from backends.errors import Damaged, Unreachable

BIGGEST = 64 * 1024 * 1024
BLOCK = 256 * 1024


class Stream(Protocol):
    """A pair of directions: a channel, or standard input and output."""

    def read(self, count: int) -> bytes:
        """At most `count` bytes; b"" when the other end is gone."""

    def write(self, data: bytes) -> None:
        """All of it. OSError when the other end is gone."""


class Wire:
    """Sends and receives frames."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def _exactly(self, count: int) -> bytes:
        taken = bytearray()
        while len(taken) < count:
            part = self._stream.read(count - len(taken))
            if not part:
                raise Unreachable("the other end is gone", hint="Look at the restore before anything else: `deskside backups restores`.")
            taken += part
        return bytes(taken)

    def send(self, value: Any) -> None:
        """A JSON value."""
        data = json.dumps(value, ensure_ascii=True).encode()
        self._write(b"J", data)

    def send_bytes(self, data: bytes) -> None:
        """Raw bytes."""
        self._write(b"B", data)

    def _write(self, kind: bytes, data: bytes) -> None:
        try:
            self._stream.write(kind + struct.pack(">I", len(data)) + data)
        except OSError as error:
            raise Unreachable(f"the other end is gone: {error}") from None

    def receive(self) -> Any:
        """The next frame: a JSON value, or bytes. Unreachable, Damaged for what is no frame."""
        head = self._exactly(5)
        kind, count = head[:1], struct.unpack(">I", head[1:])[0]
        if kind not in (b"J", b"B") or count > BIGGEST:
            raise Damaged(f"the other end said {head!r}, which is no answer", hint="Does its log-in script print something?")
        data = self._exactly(count)
        if kind == b"B":
            return data
        try:
            return json.loads(data)
        except ValueError:
            raise Damaged("the other end sent what is no JSON") from None
