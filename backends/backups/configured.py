"""Jobs as our own configuration declares them: [backups.NAME.jobs.JOB]. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.backups.model import BackupJob
from backends.errors import BadConfig
from backends.options import Option, read_options

JOB_OPTIONS: tuple[Option, ...] = (
    Option("paths", "list", "what is backed up", required=True),
    Option("excludes", "list", "patterns of what is left out", default=()),
    Option("tags", "list", "restic: tags of the snapshot", default=()),
    Option("host", "text", "restic: the host's name in the repository", default=""),
    Option("archive", "text", "borg: the archive's name", default=""),
    Option("schedule", "text", "when it runs, in words", default=""),
    Option("rpo", "duration", "how old the newest backup may be"),
    Option("keep", "table", "retention: last, hourly, daily, weekly, monthly, yearly, within", default={}),
    Option("one_file_system", "bool", "stay on one file system", default=False),
    Option("exclude_caches", "bool", "leave out folders marked as caches", default=False),
    Option("source", "text", "the file it was read from", default=""),
    Option("why_not", "text", "why it can't be started from here", default=""),
)


def configured_jobs(table: Mapping[str, Any], backend: str) -> list[BackupJob]:
    """The jobs of the option `jobs`. BadConfig names the key."""
    jobs = []
    for name, item in table.items():
        where = f"[backups.{backend}.jobs.{name}]"
        if not isinstance(item, Mapping):
            raise BadConfig("a job is a table", where=where)
        found = read_options(JOB_OPTIONS, item, where)
        if not found["paths"]:
            raise BadConfig("paths is empty", where=where)
        jobs.append(
            BackupJob(
                name, tuple(map(str, found["paths"])), tuple(map(str, found["excludes"])), tuple(map(str, found["tags"])), found["host"],
                found["schedule"], found["rpo"], dict(found["keep"]), found["one_file_system"], found["exclude_caches"], found["archive"],
                found["source"], found["why_not"],
            )
        )
    return jobs
