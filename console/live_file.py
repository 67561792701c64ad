"""The live state's file on disk: where it may lie, its mode, its schema, and what happens to a damaged one.

Everything in it is volatile, so a damaged file is put aside and made anew. Must not import textual.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from backends.errors import BadConfig, Busy, NotAllowed

SCHEMA = 1
NETWORK_FOLDERS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "fuse.glusterfs")
TABLES = """
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS live (
  domain TEXT NOT NULL, backend TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, at REAL NOT NULL,
  state TEXT NOT NULL, error TEXT NOT NULL, rev INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY (domain, backend, key));
CREATE INDEX IF NOT EXISTS live_rev ON live (rev);
CREATE TABLE IF NOT EXISTS sources (
  domain TEXT NOT NULL, backend TEXT NOT NULL, state TEXT NOT NULL, error TEXT NOT NULL, at REAL NOT NULL, tried REAL NOT NULL,
  every REAL NOT NULL, took REAL NOT NULL, failures INTEGER NOT NULL, PRIMARY KEY (domain, backend)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wanted (
  domain TEXT NOT NULL, backend TEXT NOT NULL, asked REAL NOT NULL, taken REAL NOT NULL, pending INTEGER NOT NULL,
  PRIMARY KEY (domain, backend)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seats (
  login TEXT NOT NULL, seat TEXT NOT NULL, what TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (login, seat)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS collector (
  one INTEGER PRIMARY KEY CHECK (one = 1), pid INTEGER NOT NULL, host TEXT NOT NULL, started REAL NOT NULL, at REAL NOT NULL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, key TEXT NOT NULL, metric TEXT NOT NULL, UNIQUE (key, metric));
CREATE TABLE IF NOT EXISTS points (series INTEGER NOT NULL, t REAL NOT NULL, v REAL NOT NULL, PRIMARY KEY (series, t)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS averages (
  series INTEGER NOT NULL, t REAL NOT NULL, v REAL NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (series, t)) WITHOUT ROWID;
"""


def network_folder(folder: Path, mounts: str | None = None) -> str:
    """The kind of network file system the folder lies on ("nfs4"), or "": there, locks and WAL can't be trusted."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
    best, kind = -1, ""
    inside = os.path.realpath(folder)
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split(" ")
        if len(fields) < 5 or not right:
            continue
        point = fields[4].replace("\\040", " ")
        if (inside == point or inside.startswith(point.rstrip("/") + "/")) and len(point) >= best:
            best, kind = len(point), right.split(" ")[0]
    return kind if kind in NETWORK_FOLDERS else ""


@contextlib.contextmanager
def locked(path: Path, seconds: float = 5.0) -> Iterator[None]:
    """Hold an exclusive lock on a file made for it; Busy after `seconds`."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Busy(f"{path.name} is locked") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def share(handle: int, mode: int = 0o660) -> None:
    """Give an open file its mode whatever the umask says; the owner's to do, and left alone where it is somebody else's."""
    with contextlib.suppress(PermissionError):
        os.fchmod(handle, mode)


def make_folder(folder: Path) -> None:
    """The folder, shared with the group (2770) where we make it ourselves."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return
    with contextlib.suppress(PermissionError):
        folder.chmod(0o2770)


def _connect(path: Path) -> sqlite3.Connection:
    # SQLite gives -wal and -shm the mode of the main file, so that one decides who of the group may write.
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        if os.fstat(handle).st_size == 0:
            share(handle)
    finally:
        os.close(handle)
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=OFF")  # volatile data: a lost write is read again in a moment
        _make_tables(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _make_tables(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise BadConfig(f"{path} was made by a newer deskside (format {version}, this one knows {SCHEMA})")
    if version < SCHEMA:
        with locked(path.with_suffix(".lock")):
            connection.executescript(TABLES)
            # Starts at the clock, not at 1: a reader who remembers a rev of a file that was made anew must not think it has all.
            connection.execute("INSERT OR IGNORE INTO counters VALUES ('rev', ?), ('touched', 0)", (int(time.time() * 1000),))
            connection.execute(f"PRAGMA user_version={SCHEMA}")


def open_file(path: Path) -> sqlite3.Connection:
    """The opened file, made where it is missing and made anew where it is damaged. BadConfig, NotAllowed, Busy."""
    make_folder(path.parent)
    kind = network_folder(path.parent)
    if kind:
        raise BadConfig(f"{path.parent} lies on {kind}: live state needs a local disk", hint="Set a data folder on a local disk.")
    try:
        return _connect(path)
    except sqlite3.OperationalError as error:
        if "lock" in str(error) or "busy" in str(error):
            raise Busy(f"{path.name}: {error}") from None
        raise NotAllowed(f"{path}: {error}", hint="Check owner, group and mode of the data folder.") from None
    except sqlite3.DatabaseError:
        return _make_anew(path)
    except PermissionError:
        raise NotAllowed(f"{path} can't be opened for writing", hint="Join the group that owns the data folder.") from None


def _make_anew(path: Path) -> sqlite3.Connection:
    with locked(path.with_suffix(".anew")):
        try:
            return _connect(path)  # somebody else was faster
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(f"{path}{suffix}", f"{path}{suffix}.damaged")
            return _connect(path)
