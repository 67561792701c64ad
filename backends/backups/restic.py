"""`Restic`: a restic repository, local, by sftp or a REST server. Never imports textual."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from backends.backups.adapter import ToolBackend
from backends.backups.extraction import Known
from backends.backups.model import Attributes
from backends.backups.restic_tool import ResticTool
from backends.backups.selecting import checked_selection
from backends.contract import Site
from backends.errors import BadConfig
from backends.options import Option


class Restic(ToolBackend):
    """The shared adapter over restic 0.14 to 0.19."""

    adapter: ClassVar[str] = "restic"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("repository", "text", "where it is, as restic takes it; without a password in it", default=""),
        Option("password", "secret", "how to get its password"),
        Option("resticprofile", "path", "a resticprofile file (.toml, .yaml, .json): its repositories and profiles appear by themselves", default=""),
        Option("rpo", "duration", "how old the newest backup may be", default="26h"),
        Option("program", "text", "the restic program", default="restic"),
        Option("options", "list", 'what restic takes with -o, such as "sftp.args=-p 2222"', default=()),
        Option("every", "duration", "how often the collector looks", default="5m"),
        Option("deadline", "duration", "how long a short call may take", default="30s"),
        Option("scan_deadline", "duration", "how long a call that reads a whole snapshot may take", default="15m"),
        Option("expect", "list", 'jobs that must be there ("host:/path"), though they never ran', default=()),
        Option("jobs", "table", "what is backed up: a table a job with paths, schedule, rpo, keep", default={}),
        Option("notes", "list", "what of the resticprofile file is not shown", default=(), internal=True),
        Option("problem", "text", "why the resticprofile file's repository can't be used", default="", internal=True),
    )

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        if not (options.get("repository") or options.get("resticprofile")) or (options.get("repository") and options.get("password") is None):
            raise BadConfig("repository and password are needed, or resticprofile", where=f"[backups.{name}]")
        cache = f"{site.data}/backups/{name}/cache" if site.data else ""
        self._restic = ResticTool(options, cache)
        super().__init__(name, options, site, self._restic)

    async def open(self) -> None:
        """Where its file names no repository that can be used, the reason is said."""
        if not self._options.get("repository"):
            await self.refuse("resticprofile")
        await super().open()

    def location(self) -> str:
        """The address without a password."""
        return self._restic.location()

    def can_compare(self) -> bool:
        """As `ComparesFiles` says."""
        return self._restic.can_compare()

    def differing(
        self, snapshot: str, selection: Sequence[bytes], root: bytes, stop: threading.Event, known: Iterable[Known] | None = None
    ) -> Iterator[tuple[bytes, str]]:
        """As `ComparesFiles` says."""
        checked_selection(selection)
        return self._restic.differing(self._by_id(snapshot), selection, root, stop, known)

    def can_tell_attributes(self) -> bool:
        """As `TellsAttributes` says."""
        return self._restic.can_tell_attributes()

    def attributes(self, snapshot: str, folders: Sequence[bytes]) -> Iterator[tuple[bytes, dict[bytes, Attributes]]]:
        """As `TellsAttributes` says."""
        return self._restic.attributes(self._by_id(snapshot), folders)
