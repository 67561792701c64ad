"""Last log-ins and people logged in now: lastlog, utmp and wtmp records, and the SQLite files that replace them.

Layouts: lastlog.h and utmp(5) of glibc; lastlog2(8); wtmpdb(8); /run/systemd/sessions of logind. Never imports an adapter.
"""

from __future__ import annotations

import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

# glibc keeps 32-bit times in these records on x86-64 and its relatives, so that 32-bit programs can read them; aarch64 never had to.
_WIDE = platform.machine() in ("aarch64", "arm64", "loongarch64", "alpha", "ia64")
LASTLOG = struct.Struct("=q32s256s" if _WIDE else "=i32s256s")
UTMP = struct.Struct("=hxxi32s4s32s256shhqqq16s20s4x" if _WIDE else "=hxxi32s4s32s256shhiii16s20s")
USER_PROCESS = 7
WTMP_TAIL = 8 * 1024 * 1024
"""At most this much of the end of wtmp is read (21,000 log-ins); it is one of several sources."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A log-in: when, on which terminal, from where."""

    at: datetime
    line: str = ""
    host: str = ""


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _time(seconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (OverflowError, OSError, ValueError):
        return None


def read_lastlog(path: Path, uids: list[int]) -> dict[int, Seen]:
    """The last log-in of these uids. The file is sparse, indexed by uid: only the records asked for are read."""
    out: dict[int, Seen] = {}
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        for uid in uids:
            offset = uid * LASTLOG.size
            if offset + LASTLOG.size > size:
                continue
            file.seek(offset)
            seconds, line, host = LASTLOG.unpack(file.read(LASTLOG.size))
            if at := _time(seconds):
                out[uid] = Seen(at, _text(line), _text(host))
    return out


def _records(path: Path, tail: int) -> Iterator[tuple[int, int, str, Seen]]:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = max(0, size - tail)
        file.seek(start - start % UTMP.size)
        data = file.read()
    for fields in UTMP.iter_unpack(data[: len(data) - len(data) % UTMP.size]):
        kind, pid, line, _, user, host, _, _, _, seconds = fields[:10]
        if at := _time(seconds):
            yield kind, pid, _text(user), Seen(at, _text(line), _text(host))


def read_wtmp(path: Path) -> dict[str, Seen]:
    """The newest log-in by login, from the end of a wtmp file."""
    out: dict[str, Seen] = {}
    for kind, _, user, seen in _records(path, WTMP_TAIL):
        if kind == USER_PROCESS and user and (user not in out or seen.at >= out[user].at):
            out[user] = seen
    return out


def read_utmp(path: Path, proc: Path) -> list[tuple[str, Seen]]:
    """(login, log-in) of those logged in now; a record whose process has gone was left by a crash."""
    return [
        (user, seen) for kind, pid, user, seen in _records(path, WTMP_TAIL)
        if kind == USER_PROCESS and user and (proc / str(pid)).exists()
    ]  # fmt: skip


def read_sessions(folder: Path) -> list[tuple[str, Seen]]:
    """(login, log-in) of logind's sessions of people."""
    out: list[tuple[str, Seen]] = []
    for path in sorted(folder.iterdir()):
        if path.suffix == ".ref" or not path.is_file():
            continue
        pairs = dict(line.split("=", 1) for line in path.read_text("utf-8", "replace").splitlines() if "=" in line)
        micros = pairs.get("REALTIME", "0")
        at = _time(int(micros) // 1_000_000) if micros.isdigit() else None
        if at and pairs.get("CLASS", "user") == "user" and pairs.get("STATE", "active") != "closing" and pairs.get("USER"):
            out.append((pairs["USER"], Seen(at, pairs.get("TTY", ""), pairs.get("REMOTE_HOST", ""))))
    return out


def _select(path: Path, statement: str) -> list[tuple[str, int, str, str]]:
    import sqlite3

    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
    try:
        return list(connection.execute(statement))
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from None
    finally:
        connection.close()


def read_lastlog2(path: Path) -> dict[str, Seen]:
    """The last log-in by login from the database of lastlog2 (2038-proof, by name). OSError where it can't be read."""
    rows = _select(path, "SELECT Name, Time, coalesce(TTY, ''), coalesce(RemoteHost, '') FROM Lastlog")
    return {name: Seen(at, line, host) for name, seconds, line, host in rows if (at := _time(int(seconds or 0)))}


def read_wtmpdb(path: Path) -> dict[str, Seen]:
    """The newest log-in by login from the database of wtmpdb; its times are microseconds, type 3 is a log-in."""
    rows = _select(path, "SELECT User, max(Login), coalesce(TTY, ''), coalesce(RemoteHost, '') FROM wtmp WHERE Type = 3 GROUP BY User")
    return {name: Seen(at, line, host) for name, micros, line, host in rows if (at := _time(int(micros or 0) // 1_000_000))}
