"""What the files of borgmatic and resticprofile name, as tables of our own configuration. Nothing is written; secrets stay where they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backends.backups.borgmatic_files import borgmatic
from backends.backups.resticprofile_files import resticprofile
from backends.backups.site_repository import SiteRepository
from backends.errors import BadConfig

READERS = {"borgmatic": ("borg", borgmatic), "resticprofile": ("restic", resticprofile)}
"""Option -> the adapter it is for, and its reader."""


def tables_of(adapter: str, options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(label, options) for each repository that the options' file names; what stands beside the file holds for all of them.

    [] where the options name no such file, or their own repository. A repository that can't be used has `problem` and no `repository`.
    BadConfig, MissingTool.
    """
    if options.get("repository") or options.get("problem"):
        return []
    for option, (wanted, reader) in READERS.items():
        if option in options and adapter == wanted:
            found = reader(str(options[option]))
            if not found:
                raise BadConfig(f"names no repository: {options[option]}")
            rest = {name: value for name, value in options.items() if name not in (option, "jobs", "notes")}
            return [(one.label, _table(one, rest, options.get("jobs") or {})) for one in found]
    return []


def _table(one: SiteRepository, rest: Mapping[str, Any], jobs: Mapping[str, Any]) -> dict[str, Any]:
    notes = {"notes": list(one.notes)} if one.notes else {}
    problem = one.problem or (one.needs if not rest.get("password") else "")
    if problem:
        file = {option: one.options[option] for option in READERS if option in one.options}
        return {**file, **rest, **notes, "problem": problem}
    return {**one.options, **rest, **notes, "jobs": {**one.options.get("jobs", {}), **jobs}}
