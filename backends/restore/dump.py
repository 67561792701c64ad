"""Whether a PostgreSQL dump is whole and harmless, and how many rows it has. Pure reading, a line at a time."""

from __future__ import annotations

import gzip
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backends.errors import Damaged, Refused

HEAD = b"-- PostgreSQL database dump"
END = b"-- PostgreSQL database dump complete"
CUSTOM = b"PGDMP"
_COPY = re.compile(rb"^COPY (.+?) (?:\(.*\) )?FROM stdin;$")
_HARMLESS = (b"\\restrict ", b"\\unrestrict ", b"\\.")
_FOREIGN = re.compile(rb"^(CREATE|DROP|ALTER) DATABASE |^(CREATE|DROP) (ROLE|USER) |^COPY .* (FROM|TO) PROGRAM ", re.IGNORECASE)


@dataclass(slots=True)
class Dump:
    """`custom`: pg_restore's format. `rows`: table as the dump names it -> rows, where it has COPY."""

    custom: bool = False
    compressed: bool = False
    rows: dict[str, int] = field(default_factory=dict)
    tables: int = 0


class Fenced:
    """The dump as psql gets it: inside `\\restrict`, where psql knows no command of its own any more (psql since August 2025).

    A dump can hold psql commands in places no scan by line finds (a name with a newline in it); behind the fence they are errors. The
    dump's own fence is left out: its word is known to whoever made the dump.
    """

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._word = secrets.token_hex(16).encode()
        self._begun = False

    def read(self, size: int) -> bytes:
        """About `size` bytes, whole lines; b"" at the end."""
        taken = [] if self._begun else [b"\\restrict " + self._word + b"\n"]
        self._begun = True
        count = 0
        for line in self._lines:
            if not line.startswith((b"\\restrict ", b"\\unrestrict ")):
                taken.append(line)
                count += len(line)
            if count >= size:
                break
        return b"".join(taken)


def opened(path: bytes) -> Any:
    """The dump's text, unpacked if it is gzip."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")


def read_dump(path: bytes) -> Dump:
    """Damaged: no header, no end mark, a COPY cut off. Refused: it would act outside its own database, or on the shell."""
    with opened(path) as file:
        found = Dump(compressed=isinstance(file, gzip.GzipFile))
        if file.read(5) == CUSTOM:
            found.custom = True
            return found
        file.seek(0)
        try:
            _scan(file, found)
        except (EOFError, OSError) as error:
            raise Damaged(f"the dump can't be read to its end: {error}") from None
    return found


def _scan(lines: Iterator[bytes], found: Dump) -> None:
    head = end = False
    copying = ""
    for number, line in enumerate(lines):
        line = line.rstrip(b"\r\n")
        if copying:
            if line == b"\\.":
                copying = ""
            else:
                found.rows[copying] += 1
            continue
        head = head or (number < 50 and line == HEAD)
        end = end or line == END
        if line.startswith(b"\\") and not line.startswith(_HARMLESS):
            raise Refused(f"line {number + 1} of the dump is a command of psql ({line[:20].decode('ascii', 'replace')}): it could leave its database or run a program")
        if _FOREIGN.match(line):
            raise Refused(f"line {number + 1} of the dump acts on databases or roles of the whole server", hint="Dump one database, without --create.")
        found.tables += line.startswith((b"CREATE TABLE ", b"CREATE UNLOGGED TABLE "))
        match = _COPY.match(line)
        if match:
            copying = match.group(1).decode("utf-8", "replace")
            found.rows.setdefault(copying, 0)
    if not head:
        raise Damaged("it has no header of a PostgreSQL dump", hint="Choose the file that pg_dump wrote.")
    if copying or not end:
        raise Damaged("the dump has no end mark: it was cut off when it was written or backed up", hint="Choose an older snapshot.")
