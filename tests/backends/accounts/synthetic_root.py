"""A POSIX system's account files, written byte for byte as login, PAM and shadow write them, under a folder of a test."""

from __future__ import annotations

import sqlite3
import struct
import sys
from datetime import datetime
from pathlib import Path

import pytest

HASH = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"
NARROW = struct.Struct("=hxxi32s4s32s256shhiii16s20s")
"""struct utmp of x86-64 glibc: 384 bytes."""

on_x86 = pytest.mark.skipif(struct.calcsize("l") != 8 or "x86" not in __import__("platform").machine(), reason="layout of x86-64")


def write_text(root: Path, path: str, text: str) -> Path:
    """A file under the root, with its folders."""
    whole = root / path
    whole.parent.mkdir(parents=True, exist_ok=True)
    whole.write_text(text, encoding="utf-8", errors="surrogateescape")
    return whole


def write_bytes(root: Path, path: str, data: bytes) -> Path:
    """The same for bytes."""
    whole = root / path
    whole.parent.mkdir(parents=True, exist_ok=True)
    whole.write_bytes(data)
    return whole


def lastlog(entries: dict[int, tuple[int, str, str]]) -> bytes:
    """`struct lastlog`, indexed by uid: time, line, host."""
    data = bytearray((max(entries) + 1) * 292)
    for uid, (seconds, line, host) in entries.items():
        struct.pack_into("=i32s256s", data, uid * 292, seconds, line.encode(), host.encode())
    return bytes(data)


def utmp(kind: int, user: str, line: str, host: str, seconds: int, pid: int = 4242) -> bytes:
    """One record of utmp or wtmp."""
    return NARROW.pack(kind, pid, line.encode(), b"ts/0", user.encode(), host.encode(), 0, 0, 0, seconds, 0, b"\0" * 16, b"")


def tally(failures: list[tuple[int, str]], status: int = 1) -> bytes:
    """A file of pam_faillock: time and source of each failure."""
    return b"".join(struct.pack("=52sHHQ", source.encode(), 0, status, seconds) for seconds, source in failures)


def lastlog2(path: Path, rows: list[tuple[str, int, str, str]]) -> None:
    """The database of lastlog2, with its table as pam_lastlog2 creates it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE Lastlog(Name TEXT PRIMARY KEY, Time INTEGER, TTY TEXT, RemoteHost TEXT, Service TEXT)")
        connection.executemany("INSERT INTO Lastlog VALUES (?, ?, ?, ?, 'sshd')", rows)
    connection.close()


def day(at: datetime) -> int:
    """The day number shadow counts in."""
    return int(at.timestamp()) // 86400


if sys.byteorder != "little":  # the records are in the machine's own order; the tests write them with "=" as well
    raise RuntimeError("these tests expect a little-endian machine")
