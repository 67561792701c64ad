"""What is kept of a restore that stopped for something a person can mend: why, how much of it, where, until when."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from backends.errors import AuthFailed, BackendError, Busy, MissingTool, NoSpace, RateLimited, ToolDied, Unreachable
from backends.restore.folders import LIST, Blocked, Folders, shown
from backends.restore.staging import Stage
from backends.text import size

WORDS: tuple[tuple[type[BackendError], str], ...] = (
    (Unreachable, "the repository could not be reached"), (Busy, "the repository was locked"), (RateLimited, "the repository asked for fewer requests"),
    (NoSpace, "there was no room left"), (AuthFailed, "the repository did not take the log-in or the password"), (ToolDied, "the backup program was ended"),
    (MissingTool, "the backup program is missing"),
)  # fmt: skip
"""What a person can mend without making the staging worthless."""


def why_stopped(error: BackendError) -> str:
    """Such an error in words; "" for any other. A tool that failed in a way nobody knows may work the next time."""
    words = "the backup program failed" if type(error) is BackendError else next((words for kind, words in WORDS if isinstance(error, kind)), "")
    return f"{words}: {error.text}" if words else ""


def held(stage: Stage) -> int:
    """Bytes on the disk of what was fetched; what can't be looked into is not counted."""
    total, waiting = 0, [b""]
    with Folders(stage.new) as tree:
        while waiting:
            here = waiting.pop()
            try:
                folder = os.open(b".", LIST, dir_fd=tree.fd(here))
            except (OSError, Blocked):
                continue
            try:
                with os.scandir(folder) as found:
                    for entry in found:
                        told = entry.stat(follow_symlinks=False)
                        total += told.st_blocks * 512 // max(1, told.st_nlink if not entry.is_dir(follow_symlinks=False) else 1)
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(here + b"/" + os.fsencode(entry.name))
            finally:
                os.close(folder)
    return total


def kept_until(days: float) -> datetime:
    """As long as old files are kept for undo."""
    return datetime.now(UTC) + timedelta(days=days)


def kept_words(stages: Sequence[Stage], until: datetime) -> str:
    """How much is kept where, and until when."""
    return f"{size(sum(held(stage) for stage in stages))} are kept until {until:%Y-%m-%d %H:%M} UTC in {', '.join(shown(stage.path) for stage in stages)}"
