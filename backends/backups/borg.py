"""`Borg`: a borg repository, local or by SSH. Never imports textual."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from backends.backups.adapter import ToolBackend
from backends.backups.borg_tool import BorgTool
from backends.backups.borgmatic_files import borgmatic_secret
from backends.contract import Site
from backends.errors import BadConfig
from backends.options import Option
from backends.threads import in_thread


class Borg(ToolBackend):
    """The shared adapter over borg 1.2 and 1.4."""

    adapter: ClassVar[str] = "borg"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("repository", "text", "where it is, as borg takes it", default=""),
        Option("password", "secret", "how to get its passphrase; none for a repository without encryption"),
        Option("borgmatic", "path", "a borgmatic file or folder: its repositories and jobs appear by themselves", default=""),
        Option("rpo", "duration", "how old the newest backup may be", default="26h"),
        Option("program", "text", "the borg program", default="borg"),
        Option("rsh", "text", "the ssh command, where it is not ssh", default=""),
        Option("remote_path", "text", "the borg program on the other machine", default=""),
        Option("every", "duration", "how often the collector looks", default="5m"),
        Option("deadline", "duration", "how long a short call may take", default="30s"),
        Option("scan_deadline", "duration", "how long a call that reads a whole archive may take", default="15m"),
        Option("expect", "list", "archive names without their dates that must be there, though they never ran", default=()),
        Option("jobs", "table", "what is backed up: a table a job with paths, schedule, rpo, keep, archive", default={}),
        Option("notes", "list", "what of the borgmatic file is not shown", default=(), internal=True),
        Option("problem", "text", "why the borgmatic file's repository can't be used", default="", internal=True),
    )

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        if not (options.get("repository") or options.get("borgmatic")):
            raise BadConfig("repository is needed, or borgmatic", where=f"[backups.{name}]")
        self._borg = BorgTool(options)
        super().__init__(name, options, site, self._borg)

    async def open(self) -> None:
        """The passphrase that stands in a borgmatic file is read now. Where the file can't be used, the reason is said."""
        file = str(self._options.get("borgmatic") or "")
        if not self._options.get("repository"):
            await self.refuse("borgmatic")
        if file and self._options.get("password") is None:
            self._borg.use_password(await in_thread(10.0, borgmatic_secret, file, str(self._options["repository"])))
        await super().open()
