"""One reading of a POSIX system's accounts: every source that may be read, and a sentence for each that may not.

Blocking; called through `backends.threads.in_thread`. Never imports an adapter.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from backends.accounts import posix_files
from backends.accounts.last_logins import Seen, read_lastlog, read_lastlog2, read_sessions, read_utmp, read_wtmp, read_wtmpdb
from backends.accounts.model import Lock
from backends.accounts.posix_files import GroupEntry, PasswdEntry, UidRange
from backends.accounts.posix_locks import LockRules, parse_rules, read_tally, read_tally2
from backends.accounts.shadow import ShadowEntry, parse_own, parse_shadow

T = TypeVar("T")
SHADOW_NOTE = (
    "shadow may not be read: lock and expiry unknown; run as root or with group shadow (`sudo deskside`, `usermod -aG shadow LOGIN`)"
)


@dataclass(slots=True)
class Reading:
    """What was found. `shadow` None: it may not be read. `seen_known`: a source of last log-ins could be read and holds records."""

    at: datetime
    people: list[PasswdEntry]
    groups: list[GroupEntry]
    range: UidRange
    shadow: dict[str, ShadowEntry] | None = None
    own: dict[str, ShadowEntry] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    seen_known: bool = False
    now_in: list[tuple[str, Seen]] = field(default_factory=list)
    locks: dict[str, Lock] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def groups_of(self, entry: PasswdEntry) -> tuple[str, ...]:
        """Names of the groups of a person, the primary one first."""
        primary = [group.name for group in self.groups if group.gid == entry.gid]
        others = sorted(group.name for group in self.groups if entry.login in group.members and group.gid != entry.gid)
        return tuple(primary[:1] + others)


def _base(root: Path | None) -> Path:
    return root if root is not None else Path("/")


def _tried(call: Callable[[], T], missing: T, notes: list[str], refused: str) -> T:
    """The source's content; `missing` where it is not there, plus a note where it is there and may not be read."""
    try:
        return call()
    except FileNotFoundError:
        return missing
    except OSError:
        notes.append(refused)
        return missing


def read_all(root: Path | None, at: datetime, faillock_dir: str = "") -> Reading:
    """Everything that may be read, of this machine (`root` None) or of the system under `root`."""
    base = _base(root)
    defs = _tried(lambda: (base / "etc/login.defs").read_text("utf-8", "replace"), "", [], "")
    reading = Reading(at, posix_files.all_people(root), posix_files.all_groups(root), posix_files.parse_login_defs(defs))
    _read_shadow(reading, root)
    _read_seen(reading, base)
    _read_now(reading, base)
    _read_locks(reading, base, faillock_dir)
    return reading


def _read_shadow(reading: Reading, root: Path | None) -> None:
    try:
        reading.shadow = parse_shadow((_base(root) / "etc/shadow").read_text("utf-8", "surrogateescape"))
    except OSError:
        reading.notes.append(SHADOW_NOTE)
        if root is None:
            reading.own = _read_own(reading.people)


def _read_own(people: list[PasswdEntry]) -> dict[str, ShadowEntry]:
    """The own account tells its person what shadow hides."""
    login = next((entry.login for entry in people if entry.uid == os.getuid()), "")
    if not login or login.startswith("-"):
        return {}
    chage, status = _run(["chage", "-l", "-i", login]), _run(["passwd", "-S", login])
    return {login: parse_own(login, chage, status)} if chage else {}


def _run(argv: list[str]) -> str:
    environment = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=3, env=environment, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read_seen(reading: Reading, base: Path) -> None:
    notes = reading.notes
    uids = sorted({entry.uid for entry in reading.people})
    none: dict[int, Seen] = {}
    by_uid = _tried(lambda: read_lastlog(base / "var/log/lastlog", uids), none, notes, "lastlog may not be read")
    sources = [{entry.login: by_uid[entry.uid] for entry in reading.people if entry.uid in by_uid}]
    for path, read in (
        ("var/lib/lastlog/lastlog2.db", read_lastlog2), ("var/log/wtmp", read_wtmp), ("var/lib/wtmpdb/wtmp.db", read_wtmpdb),
    ):  # fmt: skip
        whole = base / path
        if whole.exists():
            sources.append(_tried(lambda read=read, whole=whole: read(whole), {}, notes, f"/{path} can't be read"))  # type: ignore[misc]
    for source in sources:
        for login, seen in source.items():
            if login not in reading.seen or seen.at > reading.seen[login].at:
                reading.seen[login] = seen
    # wtmp is rotated away after a month or so: only lastlog and lastlog2 can say "never".
    reading.seen_known = bool(sources[0]) or (base / "var/lib/lastlog/lastlog2.db").exists()


def _read_now(reading: Reading, base: Path) -> None:
    found: list[tuple[str, Seen]] = []
    for path in ("run/utmp", "var/run/utmp"):
        if not found:
            found = _tried(lambda path=path: read_utmp(base / path, base / "proc"), [], [], "")  # type: ignore[misc]
    nobody: list[tuple[str, Seen]] = []
    sessions = _tried(lambda: read_sessions(base / "run/systemd/sessions"), nobody, [], "")
    lines = {(login, seen.line) for login, seen in found}
    reading.now_in = found + [(login, seen) for login, seen in sessions if (login, seen.line) not in lines]
    for login, seen in reading.now_in:
        if login not in reading.seen or seen.at > reading.seen[login].at:
            reading.seen[login] = seen


def _uses_faillock(base: Path) -> bool:
    try:
        files = list((base / "etc/pam.d").iterdir())
    except OSError:
        return False
    for path in files:
        try:
            lines = path.read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        if any("pam_faillock.so" in line for line in lines if not line.lstrip().startswith("#")):
            return True
    return False


def _read_locks(reading: Reading, base: Path, folder: str) -> None:
    rules = parse_rules(_tried(lambda: (base / "etc/security/faillock.conf").read_text("utf-8", "replace"), "", [], ""))
    tallies = base / (folder or rules.folder).lstrip("/")
    if _uses_faillock(base) or tallies.is_dir():
        _read_tallies(reading, tallies, rules)
    tally2 = base / "var/log/tallylog"
    if tally2.exists():
        for entry in reading.people:
            lock = _tried(lambda uid=entry.uid: read_tally2(tally2, uid), Lock(), [], "")  # type: ignore[misc]
            reading.locks.setdefault(entry.login, lock)


def _read_tallies(reading: Reading, folder: Path, rules: LockRules) -> None:
    for entry in reading.people:
        path = folder / entry.login
        try:
            reading.locks[entry.login] = read_tally(path, rules, reading.at, root=entry.uid == 0)
        except OSError:
            reading.locks[entry.login] = Lock()
            if "faillock may not be read" not in " ".join(reading.notes):
                reading.notes.append("faillock may not be read: locks after bad passwords unknown")
