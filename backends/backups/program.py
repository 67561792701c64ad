"""`BackupProgram`: what calling restic and calling borg have in common. Never imports an adapter."""

from __future__ import annotations

import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from backends.backups.model import BackupJob
from backends.backups.process import OUTPUT_LIMIT, Command, Ran, Running, Stream, run_program
from backends.backups.tools import Capabilities
from backends.errors import BackendError, Invalid
from backends.secret import Secret
from backends.text import clean

KEEP = ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within")
_PASSWORD_IN_URL = re.compile(r"(://[^/:@\s]+):[^@\s]+@")


def keep_words(keep: Mapping[str, str | int], within: str, example: str) -> list[str]:
    """A retention as options. Invalid for an empty or unknown one: it would keep nothing. `within`: what the program takes for it."""
    unknown = [name for name in keep if name not in KEEP]
    if unknown or not keep:
        raise Invalid(fields={"keep": f"{unknown[0]!r} is not known" if unknown else "an empty policy would keep nothing"})
    for name, value in keep.items():
        if not re.fullmatch(within if name == "within" else r"[1-9]\d*", str(value)):
            raise Invalid(fields={name: f"a number above 0; within takes one such as {example}"})
    return [word for name, value in keep.items() for word in (f"--keep-{name}", str(value))]


def scope_words(job: BackupJob) -> list[str]:
    """What a job leaves out, as both programs take it."""
    words = [word for pattern in job.excludes for word in ("--exclude", pattern)]
    return [*words, *(["--one-file-system"] if job.one_file_system else []), *(["--exclude-caches"] if job.exclude_caches else [])]


class BackupProgram(ABC):
    """One repository and how its program is called."""

    name: ClassVar[str]

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.program = str(options.get("program") or self.name)
        self.deadline = float(options.get("deadline") or 30.0)
        self.scan_deadline = float(options.get("scan_deadline") or 900.0)
        self.capabilities = Capabilities(())
        self._address = Secret(str(options["repository"]))
        self._password: Secret | None = options.get("password")
        self._path = ""

    def location(self) -> str:
        """The address without what looks like a password."""
        return clean(_PASSWORD_IN_URL.sub(r"\1:***@", self._address.reveal()))

    def has(self, capability: str) -> bool:
        """Whether this version can do it."""
        return capability in self.capabilities.has

    @abstractmethod
    def command(self, *words: str | bytes) -> Command:
        """The program with these words."""

    @abstractmethod
    def failure(self, code: int, errors: Sequence[str]) -> BackendError:
        """What an exit code and standard error mean."""

    @abstractmethod
    def is_warning(self, code: int, errors: Sequence[str]) -> bool:
        """Done, but not everything."""

    def run(self, *words: str | bytes, deadline: float | None = None, limit: int = OUTPUT_LIMIT, warnings: bool = False) -> Ran:
        """Run to the end. Errors of the family for any exit code but 0 (and warnings, where they are allowed)."""
        ran = run_program(self.command(*words), deadline or self.deadline, None, limit)
        if ran.code != 0 and not ran.cut and not (warnings and self.is_warning(ran.code, ran.errors)):
            raise self.failure(ran.code, ran.errors)
        return ran

    def lines(
        self, *words: str | bytes, deadline: float | None = None, stop: threading.Event | None = None, separator: bytes | None = b"\n"
    ) -> Iterator[tuple[Stream, bytes]]:
        """Standard output as it comes; an error at the end when the exit code is not 0."""
        with Running(self.command(*words)) as running:
            for stream, line in running.parts(deadline or self.scan_deadline, stop, separator):
                if stream == "out":
                    yield stream, line
            if running.code != 0 and not running.cancelled:
                raise self.failure(running.code, tuple(running.complaints.lines))
