"""Locks after bad passwords, as pam_faillock and pam_tally2 keep them on disk. Reads only; never imports an adapter.

Rules: faillock.conf(5) and the layout of a tally file of Linux-PAM (64-byte records).
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backends.accounts.model import Lock

TALLY = struct.Struct("=52sHHQ")
VALID = 1
TALLY2 = struct.Struct("=52sHHQ")
"""/var/log/tallylog: line, reserved, count, time; indexed by uid."""


@dataclass(frozen=True, slots=True)
class LockRules:
    """The settings of pam_faillock, its own defaults where the file is silent. `unlock_time` 0 = until somebody unlocks."""

    deny: int = 3
    fail_interval: int = 900
    unlock_time: int = 600
    folder: str = "/var/run/faillock"
    even_deny_root: bool = False
    root_unlock_time: int | None = None


def parse_rules(text: str) -> LockRules:
    """The rules of a faillock.conf."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.match(r"\s*([a-z_]+)\s*(?:=\s*(\S+))?", line.split("#", 1)[0]):
            found[match[1]] = match[2] or ""

    def number(name: str, default: int) -> int:
        value = found.get(name, "")
        return 0 if value == "never" else int(value) if value.isdigit() else default

    base = LockRules()
    return LockRules(
        number("deny", base.deny), number("fail_interval", base.fail_interval), number("unlock_time", base.unlock_time),
        found.get("dir") or base.folder, "even_deny_root" in found or "root_unlock_time" in found,
        number("root_unlock_time", base.unlock_time) if "root_unlock_time" in found else None,
    )  # fmt: skip


def read_tally(path: Path, rules: LockRules, at: datetime, *, root: bool = False) -> Lock:
    """The lock of one person from the tally file; a missing file is an account nobody failed on."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Lock(locked=False, bad_count=0)
    records = [TALLY.unpack_from(data, offset) for offset in range(0, len(data) - TALLY.size + 1, TALLY.size)]
    failures = [(seconds, source.split(b"\0", 1)[0].decode("utf-8", "replace")) for source, _, status, seconds in records if status & VALID]
    if not failures:
        return Lock(locked=False, bad_count=0)
    latest, source = max(failures)
    counted = [seconds for seconds, _ in failures if latest - seconds < rules.fail_interval]
    last = datetime.fromtimestamp(latest, UTC)
    wait = rules.root_unlock_time if root and rules.root_unlock_time is not None else rules.unlock_time
    until = last + timedelta(seconds=wait) if wait else None
    locked = bool(rules.deny) and len(counted) >= rules.deny and (until is None or until >= at) and (not root or rules.even_deny_root)
    return Lock(locked=locked, since=last, until=until if locked else None, bad_count=len(counted), source=source)


def read_tally2(path: Path, uid: int) -> Lock:
    """The count of pam_tally2; it keeps no threshold in the file, so whether the account is locked stays unknown."""
    with path.open("rb") as file:
        file.seek(uid * TALLY2.size)
        data = file.read(TALLY2.size)
    line, _, count, seconds = TALLY2.unpack(data) if len(data) == TALLY2.size else (b"", 0, 0, 0)
    if not count:
        return Lock(locked=False, bad_count=0)
    return Lock(None, datetime.fromtimestamp(seconds, UTC), None, count, line.split(b"\0", 1)[0].decode("utf-8", "replace"))
