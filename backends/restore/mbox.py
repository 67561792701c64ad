"""An mbox file: its messages, told apart without holding them, and written so that they can be appended to another one. Pure; standard library only.

A message begins with a line `From <who> <when>` at the start of the file or after an empty line. The rule for <when> is a time of day and
a year: a line of a body that merely begins with `From ` divides no message. What is appended is quoted (`>From `), so that no reader divides it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from backends.restore.folders import Blocked, Folders

PIECE = 65536
"""Bytes of a line that are looked at together: a file may be one line of gigabytes."""
_BEGINS = re.compile(rb"^From .*\b\d{1,2}:\d\d(:\d\d)?\b.*\b\d{4}\b")
_OWN = (b"x-uid", b"x-imap", b"x-imapbase", b"content-length")
"""Notes of the mail server about its own file: wrong anywhere else, left out."""
_FLAGS = (b"status", b"x-status", b"x-keywords", b"x-mozilla-status", b"x-mozilla-status2")
"""What a mail program changes in a message that is read."""


@dataclass(frozen=True, slots=True)
class Message:
    """From `start` to `end` in its file. `key` is the same for the same message wherever it is; `internal`: the server's own note."""

    start: int
    end: int
    key: bytes
    internal: bool = False


class Positioned:
    """Reads a descriptor by position: never moves or closes it, for closing any descriptor of a file lets go of its locks."""

    def __init__(self, descriptor: int, end: int | None = None) -> None:
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size if end is None else end

    def pieces(self, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, bool, int]]:
        """(a line or a part of one, whether it begins the line, its place)."""
        end = self._end if end is None else end
        place, kept, begins = start, b"", True
        while place + len(kept) < end or kept:
            if len(kept) < PIECE and b"\n" not in kept and place + len(kept) < end:
                more = os.pread(self._descriptor, min(1 << 20, end - place - len(kept)), place + len(kept))
                if not more:
                    end = place + len(kept)
                kept += more
                continue
            cut = 0
            while cut < len(kept):
                found = kept.find(b"\n", cut, cut + PIECE)
                stop = found + 1 if found >= 0 else cut + PIECE
                if found < 0 and stop > len(kept):
                    if place + len(kept) < end:
                        break
                    stop = len(kept)
                yield kept[cut:stop], begins, place + cut
                begins = kept[stop - 1 : stop] == b"\n"
                cut = stop
            place, kept = place + cut, kept[cut:]


def begins(line: bytes) -> bool:
    """Whether a line begins a message."""
    return line.startswith(b"From ") and _BEGINS.match(line) is not None


def is_mbox(descriptor: int) -> bool:
    """Its first line begins a message, or it is empty."""
    head = os.pread(descriptor, 5, 0)
    return head in (b"", b"From ")


class _Reading:
    """One message going by: the Message-ID, or the hash of headers and body without what a mail program changes."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._headers, self._name = True, b""
        self._ident = b""
        self._internal = False
        self._digest = hashlib.sha256()
        self._blank = 0

    def line(self, piece: bytes, whole: bool) -> None:
        """A line after the first."""
        text = piece.rstrip(b"\r\n")
        if whole and self._headers and not text:
            self._headers, self._name = False, b""
        if self._headers:
            self._header(text, whole)
            if self._name in _OWN + _FLAGS:
                return
        if whole and not text:
            self._blank += 1
            return
        self._digest.update(b"\n" * self._blank + (text[1:] if whole and text.startswith(b">From ") else text) + (b"\n" if piece.endswith(b"\n") else b""))
        self._blank = 0

    def _header(self, text: bytes, whole: bool) -> None:
        if whole and text[:1] not in (b" ", b"\t"):
            self._name = text.split(b":", 1)[0].strip().lower() if b":" in text else b""
            self._internal = self._internal or self._name == b"x-imap"
            if self._name == b"message-id" and not self._ident:
                self._ident = text.split(b":", 1)[1].strip()
        elif self._name == b"message-id" and not self._ident:
            self._ident = text.strip()

    def done(self, end: int) -> Message:
        """It ends here."""
        key = b"id " + self._ident if self._ident else b"sha256 " + self._digest.hexdigest().encode()
        return Message(self.start, end, key, self._internal)


def messages(descriptor: int, end: int | None = None) -> Iterator[Message]:
    """All of a file, in order. What comes before the first `From ` line is none."""
    found: _Reading | None = None
    empty, place = True, 0
    for piece, whole, place in Positioned(descriptor, end).pieces():
        if whole and empty and (begins(piece) or (place == 0 and piece.startswith(b"From "))):
            if found is not None:
                yield found.done(place)
            found = _Reading(place)
        elif found is not None:
            found.line(piece, whole)
        empty = (whole and piece.rstrip(b"\r\n") == b"") or place + len(piece) == 0
        place += len(piece)
    if found is not None:
        yield found.done(place)


def copy(descriptor: int, message: Message, out: BinaryIO) -> None:
    """Write one message so that it can follow any other: quoted, without the server's notes, an empty line at its end."""
    headers, first, skipping, tail = True, True, False, b"\n"
    for piece, whole, _ in Positioned(descriptor).pieces(message.start, message.end):
        if first:
            piece = piece[:-2] + b"\n" if piece.endswith(b"\r\n") else piece
        elif whole:
            headers = headers and piece.rstrip(b"\r\n") != b""
            if not headers or piece[:1] not in (b" ", b"\t"):
                skipping = headers and piece.split(b":", 1)[0].strip().lower() in _OWN
            piece = b">" + piece if piece.startswith(b"From ") and not skipping else piece
        first = first and not piece.endswith(b"\n")
        if not skipping:
            out.write(piece)
            tail = (tail + piece)[-4:]
    out.write(b"" if tail.replace(b"\r", b"").endswith(b"\n\n") else b"\n" if tail.endswith(b"\n") else b"\n\n")


def is_file(live: Folders, root: bytes) -> bool:
    """Whether a mailbox is one file."""
    try:
        told = live.stat(root)
    except Blocked:
        return False
    return told is not None and stat.S_ISREG(told.st_mode)
