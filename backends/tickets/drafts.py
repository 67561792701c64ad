"""Drafts: what somebody is typing, on disk, per person and record. Kept through conflict, kill and reconnect. Never imports an adapter."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path

from backends.errors import NoSpace


class Drafts:
    """The drafts of one person. File names hold nothing of what outsiders choose."""

    def __init__(self, folder: Path, login: str) -> None:
        self.folder = folder / (re.sub(r"[^A-Za-z0-9_-]", "_", login)[:40] + "-" + hashlib.sha256(login.encode()).hexdigest()[:8])

    def _path(self, key: str) -> Path:
        return self.folder / (hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32] + ".json")

    def save(self, key: str, text: str) -> None:
        """Durable when it returns. NoSpace when it can't be kept."""
        path = self._path(key)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump({"key": key, "text": text}, file)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, path)
            handle = os.open(self.folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise NoSpace(
                f"the draft can't be kept in {self.folder}: {error.strerror}", hint="Copy what you typed before you leave."
            ) from None

    def load(self, key: str) -> str:
        """The text, or ""."""
        try:
            found = json.loads(self._path(key).read_text(encoding="ascii"))
            return str(found["text"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def list(self) -> dict[str, str]:
        """Key -> text of everything that is kept."""
        out: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.json")):
            try:
                found = json.loads(path.read_text(encoding="ascii"))
                out[str(found["key"])] = str(found["text"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return out

    def drop(self, key: str) -> None:
        """It was sent, or thrown away."""
        with contextlib.suppress(OSError):
            self._path(key).unlink()
