"""Jobs: long work in processes of its own, one folder each - `job.json`, `out.jsonl`, `result.json`. Never imports textual.

The runner holds a lock on `job.json`: locked = alive. A console only follows; whoever may write the folder may cancel.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.contract import Actor
from backends.errors import Invalid, NoSpace, NotFound
from backends.idents import dated
from console.config import Config

KINDS = {
    "probe": "console.job_kinds:probe", "verify-ledger": "console.job_kinds:verify_ledger", "export": "console.job_kinds:export",
    "import": "console.importing:import_job",
    "backups": "console.backup_jobs:work",
    "restore": "console.restore_jobs:restore", "undo-restore": "console.restore_jobs:undo_restore", "drill": "console.restore_jobs:drill",
}  # fmt: skip
"""Kind -> "module:function" of its `async (desk, spec, progress) -> dict`."""
START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands. `state`: starting, running, done, failed, cancelled, interrupted (its process died)."""

    id: str
    kind: str
    actor: str
    started: str
    state: str
    text: str = ""
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    """What it does, in words: "Back up share now"."""


def _write(path: Path, value: Mapping[str, Any]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o660)
            json.dump(dict(value), file, default=str)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        raise NoSpace(f"{path}: {error.strerror}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class Jobs:
    """The folder of jobs."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder = folder
        self._config = config

    def start(self, kind: str, spec: Mapping[str, Any], actor: Actor) -> str:
        """A job in a session of its own; its id. It lives on when this process and its terminal are gone."""
        if kind not in KINDS:
            raise Invalid(fields={"kind": f"{kind!r} is not known; there are: {', '.join(KINDS)}"})
        ident = dated(6)
        place = self.folder / ident
        try:
            place.mkdir(parents=True, mode=0o770)
        except OSError as error:
            raise NoSpace(f"{place}: {error.strerror}") from None
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        _write(
            place / "job.json",
            {
                "id": ident,
                "kind": kind,
                "spec": dict(spec),
                "actor": actor.login,
                "role": actor.role,
                "started": started,
                "config": self._config.files,
                "data": str(self._config.data),
            },
        )
        with open(place / "log.txt", "ab") as log:
            subprocess.Popen(
                runner_argv(place), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, close_fds=True, cwd="/"
            )
        return ident

    def list(self) -> list[Job]:
        """All of them, the newest first."""
        names = sorted((path.name for path in self.folder.glob("*") if (path / "job.json").exists()), reverse=True)
        return [self.show(name) for name in names]

    def open_specs(self) -> dict[str, dict[str, Any]]:
        """What the jobs that run or are starting were given, by their ids."""
        open_ = [place for place in self.folder.glob("*") if (place / "job.json").exists() and not (place / "result.json").exists()]
        return {place.name: _read(place / "job.json").get("spec", {}) for place in open_ if alive(place) or self._stopped(place) == "starting"}

    def _place(self, ident: str) -> Path:
        place = self.folder / ident
        if "/" in ident or ident.startswith(".") or not (place / "job.json").exists():
            raise NotFound(f"job {ident}")
        return place

    def show(self, ident: str) -> Job:
        """One, as it stands now."""
        place = self._place(ident)
        told, result = _read(place / "job.json"), _read(place / "result.json")
        last: dict[str, Any] = {}
        for line in self.follow(ident):
            last = line
        state = str(result.get("state", "")) or ("running" if alive(place) else self._stopped(place))
        text = str(result.get("text") or last.get("text", "")) if state != "interrupted" else "its process ended without a result"
        return Job(ident, str(told.get("kind", "?")), str(told.get("actor", "?")), str(told.get("started", "")), state, text,
                   int(last.get("done", 0)), int(last.get("total", 0)), result, _label(told))  # fmt: skip

    @staticmethod
    def _stopped(place: Path) -> str:
        young = time.time() - (place / "job.json").stat().st_mtime < START_SECONDS
        return "starting" if young and not (place / "out.jsonl").exists() else "interrupted"

    def follow(self, ident: str, since: int = 0) -> Iterator[dict[str, Any]]:
        """Lines of progress after number `since`; a line that is still being written is left for later."""
        path = self._place(ident) / "out.jsonl"
        if not path.exists():
            return
        with open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    try:
                        found = json.loads(line)
                    except ValueError:
                        continue
                    if found.get("seq", 0) > since:
                        yield found

    def cancel(self, ident: str, actor: Actor) -> None:
        """Ask it to stop: it says so when it has."""
        place = self._place(ident)
        _write(place / "cancel.json", {"by": actor.login})


_WORDS = {
    "probe": "Probe all backends", "verify-ledger": "Verify the ledger", "export": "Export the tickets", "import": "Import tickets", "restore": "Restore",
    "undo-restore": "Take back restore", "drill": "Rehearse",
}  # fmt: skip


def _label(told: Mapping[str, Any]) -> str:
    kind, found = str(told.get("kind", "?")), told.get("spec")
    spec = found if isinstance(found, dict) else {}
    if spec.get("label"):
        return str(spec["label"])
    word = "Go on with restore" if kind == "restore" and spec.get("resume") else _WORDS.get(kind, kind)
    return " ".join(str(part) for part in (word, spec.get("run", ""), spec.get("job", "") if kind == "drill" else "") if part)


def alive(place: Path) -> bool:
    """Whether the runner holds its lock."""
    try:
        descriptor = os.open(place / "job.json", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def runner_argv(place: Path) -> list[str]:
    """The runner's command: isolated Python with our own folder on its path, nothing of the caller's."""
    home = str(Path(__file__).parent.parent)
    script = f"import sys; sys.path.insert(0, {home!r}); from console.runner import main; raise SystemExit(main({str(place)!r}))"
    return [sys.executable, "-I", "-c", script, "deskside-job"]
