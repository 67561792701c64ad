"""Connections to the store's SQLite file: borrowed by one thread at a time, durable, with the errors of our own family."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from backends.errors import BackendError, BadConfig, Busy, Damaged, NoSpace
from backends.store.folder import JOIN, lock_holder, make_file, sync_folder, translate
from backends.store.sqlite_where import sql_contains

BUSY_SECONDS = 5.0
IDLE = 4
WAL_LIMIT = 16 * 1024 * 1024
_WRITE_LOCK = 120
"""The byte of the -shm file that a WAL writer locks (SQLite, WAL-mode file format, 2.3.1)."""


class Pool:
    """Opens connections as they are needed and keeps a few of them."""

    def __init__(self, path: Path, current: Callable[[], None]) -> None:
        self.path = path
        self._current = current
        self._idle: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        self._owner = os.getpid()
        self._create()

    def _create(self) -> None:
        """SQLite would make the file 0640 under the usual umask, and the colleague could not write; -wal and -shm follow its mode."""
        try:
            fresh = not self.path.exists()
            os.close(make_file(self.path))
            if fresh:
                sync_folder(self.path.parent)
        except OSError as error:
            raise translate(error, self.path) from None

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=128)
        try:
            self._set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _set_up(connection: sqlite3.Connection) -> None:
        until = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError as error:
                # Two that switch a new file to WAL at once: SQLite refuses one without waiting.
                if "locked" not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}")
        connection.create_function("has_text", 2, sql_contains, deterministic=True)

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._owner:  # a forked child must not touch its parent's connections
            self._idle, self._owner = [], os.getpid()
        with self._guard:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or self._connect()
            yield connection
        except sqlite3.Error as error:
            raise self._translate(error) from None
        finally:
            if connection is not None:
                self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._guard:
            keep = len(self._idle) < IDLE and not connection.in_transaction
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the file."""
        with self._borrowed() as connection, _transaction(connection, "BEGIN"):
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection that is the only writer; durable when the block ends, undone when it raises."""
        with self._borrowed() as connection, _transaction(connection, "BEGIN IMMEDIATE"):
            self._current()
            yield connection

    def close(self) -> None:
        """Close the idle connections."""
        with self._guard:
            idle, self._idle = self._idle, []
        for connection in idle:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _translate(self, error: sqlite3.Error) -> BackendError:
        text = str(error)
        if "locked" in text or "busy" in text:
            holder = lock_holder(self.path.with_name(self.path.name + "-shm"), _WRITE_LOCK, _WRITE_LOCK)
            return Busy(f"the store has been locked for {BUSY_SECONDS:g} s by {holder}")
        if any(word in text for word in ("readonly", "unable to open")) and not os.access(self.path, os.R_OK | os.W_OK):
            return BadConfig(f"{self.path} can't be written by you", hint=JOIN)
        if any(word in text for word in ("full", "disk I/O", "readonly", "unable to open")):
            return NoSpace(f"{self.path}: {text}")
        return Damaged(f"{self.path}: {text}")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
