"""The shared live state: a small SQLite file in WAL mode that one collector writes and every console reads.

All calls are short and synchronous, and may be made from any thread. Times are Unix seconds (UTC). Nothing in it has to last:
no write is synced, and a damaged file is made anew. Must not import textual.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.errors import Busy, Damaged, NoSpace
from backends.polling import LiveRow, LiveState, Polled
from console import live_history
from console.live_file import open_file

WANT_PAUSE = 5.0
"""Seconds between two refreshes of one backend on request, however many people ask."""
SEAT_SECONDS = 90.0
"""A seat not touched for so long is empty: consoles touch theirs every 30 s."""
GONE_SECONDS = 86_400.0
_COLUMNS = "domain, backend, key, value, at, state, error, rev, source"


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody at a console, and what they look at ("T-1042 printer jam"); `age` in seconds, never negative."""

    login: str
    what: str
    at: float
    age: float


@dataclass(frozen=True, slots=True)
class Beat:
    """The collector's sign of life: `age` is what consoles show as "data 45 s old"; `note` is its warning, or ""."""

    pid: int
    host: str
    started: float
    at: float
    age: float
    note: str


@dataclass(frozen=True, slots=True)
class SourceState:
    """How the refreshing of one backend goes: last success `at` (0 = never), last attempt `tried`, failures in a row."""

    domain: str
    backend: str
    state: LiveState
    error: str
    at: float
    tried: float
    every: float
    took: float
    failures: int


def _age(at: float, now: float) -> float:
    return max(0.0, now - at)


class Live:
    """The opened live state. Errors: Busy (locked for 5 s), NoSpace, Damaged; at opening also BadConfig and NotAllowed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection = open_file(path)
        self._seen: tuple[int, int, int] = (-1, -1, -1)
        self._own_writes = 0

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _plain(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._connection
            except sqlite3.OperationalError as error:
                text = str(error)
                if "locked" in text or "busy" in text:
                    raise Busy(f"{self.path.name}: {text}") from None
                raise NoSpace(f"{self.path.name}: {text}") from None
            except sqlite3.DatabaseError as error:
                raise Damaged(f"{self.path.name}: {error}") from None

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._plain() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
                self._own_writes += 1
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    # -- values ---------------------------------------------------------------------------------------------------------------

    def publish(self, rows: Iterable[LiveRow]) -> int:
        """Store rows (their `rev` is ignored); only what differs from what is there gets a new rev. The newest rev."""
        with self._writing() as connection:
            return self._merge(connection, [(r.domain, r.backend, r.key, dict(r.value), r.at, r.state, r.error, r.source) for r in rows])

    def publish_poll(self, domain: str, backend: str, polled: Iterable[Polled], *, source: str = "", partial: bool = False) -> int:
        """Store a successful poll; without `partial`, keys that are missing in it are gone. The newest rev."""
        now = time.time()
        rows = [(domain, backend, p.key, dict(p.value), now if p.at is None else p.at, p.state, p.error, source) for p in polled]
        with self._writing() as connection:
            if not partial:
                kept = {row[2] for row in rows}
                there = connection.execute("SELECT key FROM live WHERE domain = ? AND backend = ? AND state != 'gone'", (domain, backend))
                rows += [(domain, backend, key, {}, now, "gone", "", source) for (key,) in there.fetchall() if key not in kept]
            return self._merge(connection, rows)

    def _merge(self, connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> int:
        """Write what differs under one new rev; confirm the time of the rest without one."""
        rev = self._rev(connection)
        changed, same = [], []
        for domain, backend, key, value, at, state, error, source in rows:
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
            found = connection.execute(
                "SELECT value, state, error, at FROM live WHERE domain = ? AND backend = ? AND key = ?", (domain, backend, key)
            ).fetchone()
            if found is not None and state != "ok" and state != "gone" and text == "{}":
                text, at = found[0], found[3]  # could not be read: the last known value stays, with its age
            if found is not None and found[:3] == (text, state, error):
                same.append((at, domain, backend, key))
            else:
                changed.append((domain, backend, key, text, at, state, error, rev + 1, source))
        connection.executemany("UPDATE live SET at = ? WHERE domain = ? AND backend = ? AND key = ?", same)
        if not changed:
            return rev
        connection.executemany(f"INSERT OR REPLACE INTO live ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?)", changed)
        return self._next_rev(connection)

    def mark_stale(self, domain: str, backend: str, error: str) -> int:
        """The backend could not be read: its values stay, with their age and the reason. The newest rev."""
        with self._writing() as connection:
            done = connection.execute(
                "UPDATE live SET state = 'stale', error = ?, rev = ? WHERE domain = ? AND backend = ? AND state != 'gone' "
                "AND (state != 'stale' OR error != ?)",
                (error, self._rev(connection) + 1, domain, backend, error),
            )
            return self._next_rev(connection) if done.rowcount else self._rev(connection)

    def drop(self, domain: str, backend: str) -> int:
        """The backend is not configured any more: its values are gone. The newest rev."""
        with self._writing() as connection:
            connection.execute("DELETE FROM sources WHERE domain = ? AND backend = ?", (domain, backend))
            done = connection.execute(
                "UPDATE live SET state = 'gone', error = '', value = '{}', rev = ? WHERE domain = ? AND backend = ? AND state != 'gone'",
                (self._rev(connection) + 1, domain, backend),
            )
            return self._next_rev(connection) if done.rowcount else self._rev(connection)

    @staticmethod
    def _rev(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT value FROM counters WHERE name = 'rev'").fetchone()[0])

    @staticmethod
    def _next_rev(connection: sqlite3.Connection) -> int:
        return int(connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'rev' RETURNING value").fetchone()[0])

    def changed_since(self, rev: int) -> tuple[int, list[LiveRow]]:
        """(newest rev, rows changed after `rev`); with 0 all that are not gone. When nothing was written it costs 5 us."""
        with self._plain() as connection:
            version = connection.execute("PRAGMA data_version").fetchone()[0]
            if self._seen == (version, self._own_writes, rev):
                return rev, []
            own = self._own_writes
            connection.execute("BEGIN")
            try:
                newest = self._rev(connection)
                where = "state != 'gone'" if rev <= 0 or rev > newest else "rev > ?"
                found = connection.execute(
                    f"SELECT {_COLUMNS} FROM live WHERE {where}", (rev,) if where.startswith("rev") else ()
                ).fetchall()
            finally:
                connection.execute("COMMIT")
            self._seen = (version, own, newest)
            return newest, _rows(found)

    def get(self, domain: str, backend: str, key: str) -> LiveRow | None:
        """One value, or None where there is none (any more)."""
        with self._plain() as connection:
            query = f"SELECT {_COLUMNS} FROM live WHERE domain = ? AND backend = ? AND key = ? AND state != 'gone'"
            found = connection.execute(query, (domain, backend, key)).fetchall()
        return _rows(found)[0] if found else None

    def rows(self, domain: str, backend: str | None = None) -> list[LiveRow]:
        """All values of a domain or of one backend that are not gone, by key."""
        with self._plain() as connection:
            query = (
                f"SELECT {_COLUMNS} FROM live WHERE domain = ? AND (?2 IS NULL OR backend = ?2) AND state != 'gone' ORDER BY backend, key"
            )
            return _rows(connection.execute(query.replace("domain = ?", "domain = ?1", 1), (domain, backend)).fetchall())

    # -- how the refreshing goes ------------------------------------------------------------------------------------------------

    def note_source(self, state: SourceState) -> None:
        """Replace what is known about the refreshing of a backend."""
        s = state
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO sources VALUES (?,?,?,?,?,?,?,?,?)",
                (s.domain, s.backend, s.state, s.error, s.at, s.tried, s.every, s.took, s.failures),
            )

    def sources(self) -> list[SourceState]:
        """One line per backend that is polled."""
        with self._plain() as connection:
            return [SourceState(*row) for row in connection.execute("SELECT * FROM sources ORDER BY domain, backend")]

    def beat(self, pid: int, host: str, started: float, note: str = "") -> None:
        """The collector's sign of life."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO collector VALUES (1, ?, ?, ?, ?, ?)", (pid, host, started, time.time(), note))

    def last_beat(self) -> Beat | None:
        """The collector's newest sign of life, or None where none ever ran."""
        with self._plain() as connection:
            found = connection.execute("SELECT pid, host, started, at, note FROM collector").fetchone()
        return Beat(found[0], found[1], found[2], found[3], _age(found[3], time.time()), found[4]) if found else None

    def want(self, domain: str, backend: str) -> bool:
        """Ask the collector to refresh a backend now; False where that was asked for or done within WANT_PAUSE seconds."""
        now = time.time()
        with self._writing() as connection:
            found = connection.execute("SELECT taken, pending FROM wanted WHERE domain = ? AND backend = ?", (domain, backend)).fetchone()
            if found and (found[1] or 0 <= now - found[0] < WANT_PAUSE):
                return False
            connection.execute("INSERT OR REPLACE INTO wanted VALUES (?, ?, ?, ?, 1)", (domain, backend, now, found[0] if found else 0.0))
            return True

    def take_wanted(self) -> list[tuple[str, str]]:
        """The backends somebody asked for, each once (the collector's side of `want`)."""
        with self._plain() as connection:
            found = connection.execute("SELECT domain, backend FROM wanted WHERE pending").fetchall()
        if found:
            with self._writing() as connection:
                connection.execute("UPDATE wanted SET pending = 0, taken = ? WHERE pending", (time.time(),))
        return [(domain, backend) for domain, backend in found]

    # -- seats ------------------------------------------------------------------------------------------------------------------

    def note_seat(self, login: str, what: str) -> None:
        """This process has somebody sitting at it who looks at `what`; to be repeated every 30 s."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO seats VALUES (?, ?, ?, ?)", (login, str(os.getpid()), what, time.time()))
            connection.execute("UPDATE counters SET value = value + 1 WHERE name = 'touched'")

    def leave_seat(self, login: str) -> None:
        """This process has nobody sitting at it any more."""
        with self._writing() as connection:
            connection.execute("DELETE FROM seats WHERE login = ? AND seat = ?", (login, str(os.getpid())))

    def seats(self, within: float = SEAT_SECONDS) -> list[Seat]:
        """Who sits at a console now, the one last touched at the end."""
        now = time.time()
        with self._plain() as connection:
            found = connection.execute("SELECT login, what, at FROM seats ORDER BY at").fetchall()
        return [Seat(login, what, at, _age(at, now)) for login, what, at in found if _age(at, now) <= within]

    def touched(self) -> int:
        """A number that grows whenever a seat is touched: the collector's clock-proof way to see that somebody is there."""
        with self._plain() as connection:
            return int(connection.execute("SELECT value FROM counters WHERE name = 'touched'").fetchone()[0])

    # -- history ------------------------------------------------------------------------------------------------------------------

    def record(self, key: str, metric: str, t: float, v: float) -> None:
        """Store one figure; `key` is a reference `domain:backend:id`."""
        self.record_many([(key, metric, t, v)])

    def record_many(self, points: Iterable[tuple[str, str, float, float]]) -> None:
        """Store (key, metric, t, value) points in one transaction."""
        with self._writing() as connection:
            live_history.record(connection, points)

    def history(self, key: str, metric: str, since: float) -> list[tuple[float, float]]:
        """(t, value) from `since` on, oldest first."""
        with self._plain() as connection:
            return live_history.read(connection, key, metric, since)

    def metrics(self, key: str) -> list[str]:
        """The names of the figures recorded under a key."""
        with self._plain() as connection:
            return live_history.metrics(connection, key)

    def tidy(self, now: float | None = None) -> int:
        """Thin the history by one portion, forget empty seats and rows long gone; the number of points thinned."""
        moment = time.time() if now is None else now
        with self._writing() as connection:
            connection.execute("DELETE FROM live WHERE state = 'gone' AND at < ?", (moment - GONE_SECONDS,))
            connection.execute("DELETE FROM seats WHERE at < ?", (moment - GONE_SECONDS,))
            return live_history.compact(connection, moment)


def _rows(found: list[tuple[Any, ...]]) -> list[LiveRow]:
    # One parse of all values together takes a third of the time of one parse a row.
    values = json.loads("[" + ",".join(row[3] for row in found) + "]")
    return [LiveRow(r[0], r[1], r[2], value, r[4], r[5], r[6], r[7], r[8]) for r, value in zip(found, values, strict=True)]
