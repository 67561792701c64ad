"""Crashes: one line for the person, a scrubbed trace without local variables for the log. Never imports textual."""

from __future__ import annotations

import os
import re
import traceback
from datetime import UTC, datetime
from pathlib import Path

LOG = "crash.log"
_SECRETISH = re.compile(r"(?i)(password|passwd|secret|token|authorization|api[_-]?key)(\s*[=:]\s*)(\S+)")
_IN_URL = re.compile(r"(://[^/\s:@]+:)[^@\s]+@")


def scrub(text: str) -> str:
    """Text without what looks like a secret."""
    return _IN_URL.sub(r"\1***@", _SECRETISH.sub(r"\1\2***", text))


def note_crash(error: BaseException, data: Path) -> Path | None:
    """Append the trace to the crash log (0600); the log's path, or None when it can't be written."""
    lines = [f"{datetime.now(UTC).isoformat()} pid {os.getpid()}\n"]
    for frame in traceback.extract_tb(error.__traceback__):
        lines.append(f"  {frame.filename}:{frame.lineno} in {frame.name}: {scrub(frame.line or '')}\n")
    lines.append(f"{type(error).__name__}: {scrub(str(error))[:500]}\n\n")
    path = data / LOG
    try:
        data.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(lines)
    except OSError:
        return None
    return path


def crash_sentence(error: BaseException | None, path: Path | None) -> str:
    """What the person is told."""
    kind = type(error).__name__ if error is not None else "an unknown error"
    where = f" The trace is in {path}." if path else " The trace could not be written."
    return f"deskside ended by itself ({kind}). Drafts and jobs are kept; start it again.{where}"
