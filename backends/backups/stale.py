"""When a lock is stale by proof: its process is dead on this machine, or nobody refreshed it. Pure but for the look at a process."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

REFRESH = timedelta(minutes=30)
"""restic refreshes its locks every 5 minutes and takes one of 30 for stale itself (internal/restic/lock.go, StaleLockTimeout)."""


def process_is_alive(pid: int) -> bool:
    """Whether there is a process of this number here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def staleness(host: str, here: str, pid: int, since: datetime | None, moment: datetime, refreshed: bool = True) -> tuple[bool, str]:
    """(stale, the proof or why there is none). `refreshed` = the tool renews the lock's time while it works."""
    if host == here and pid > 0:
        return (False, f"process {pid} on this machine runs") if process_is_alive(pid) else (True, f"process {pid} on this machine is gone")
    if since is None:
        return False, "it does not say since when it is held"
    age = moment - since
    minutes = int(age.total_seconds() // 60)
    if refreshed and age > REFRESH:
        return True, f"not refreshed for {minutes} minutes, held by {host}"
    return False, f"{host} held it {max(0, minutes)} minutes ago: look there whether process {pid} runs"
