"""Repositories and jobs as borgmatic and resticprofile have them in their own files. Nothing is written; secrets stay where they are.

Each repository becomes a table as our own configuration would have it. A passphrase that stands in a borgmatic file is read by the
adapter when it opens, and never shown. Sources: borgmatic's configuration reference (flat since 1.8, in sections before) and
resticprofile's (version 1 with profiles at the top, version 2 under `profiles`).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from backends.errors import BadConfig, MissingTool
from backends.secret import Secret
from backends.text import clean

KEEPS = ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within")
BORG_HOOKS = re.compile(r"^(before_|after_|on_error|commands$|.*_databases$|bootstrap$|zfs$|btrfs$|lvm$|source_directories_must_exist$)")
RESTIC_HOOKS = ("run-before", "run-after", "run-after-fail", "run-finally", "stdin-command")
BIGGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class SiteRepository:
    """A repository that a file names: a short label, and its options as in [backups.NAME]."""

    label: str
    options: Mapping[str, Any]


def _loaded(file: Path) -> dict[str, Any]:
    """A YAML, TOML or JSON file. BadConfig, MissingTool."""
    try:
        raw = file.read_bytes()
        if len(raw) > BIGGEST:
            raise BadConfig("is larger than 1 MB", where=str(file))
        text = raw.decode("utf-8")
        if file.suffix == ".toml":
            found: Any = tomllib.loads(text)
        elif file.suffix == ".json":
            found = json.loads(text)
        elif file.suffix in (".yaml", ".yml"):
            found = _yaml(text)
        else:
            raise BadConfig("only .toml, .yaml, .yml and .json are read", where=str(file))
    except (OSError, ValueError, RecursionError) as error:
        words = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise BadConfig(f"can't be read: {words}", where=str(file)) from None
    if not isinstance(found, dict):
        raise BadConfig("is no table", where=str(file))
    return found


def _yaml(text: str) -> Any:
    """With PyYAML's safe loader; the text of its errors may quote the file, so only the line is said."""
    try:
        yaml: Any = import_module("yaml")
    except ImportError:
        raise MissingTool("PyYAML is not installed, it reads YAML files", hint="pip install 'deskside[yaml]', or apt-get install python3-yaml.") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadConfig(f"is no YAML that can be read{f' (line {mark.line + 1})' if mark else ''}; includes and own tags are not read") from None


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)] if value not in (None, "") else []


def _label(text: str, taken: set[str]) -> str:
    """Short, of letters, digits and dashes, and not taken."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[-24:].strip("-") or "repository"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


# -- borgmatic ----------------------------------------------------------------------------------------------


def _borgmatic_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [file for folder in (path, path / "borgmatic.d") for file in sorted(folder.glob("*.y*ml")) if file.suffix in (".yaml", ".yml")]
    if not found:
        raise BadConfig("has no .yaml file", where=str(path))
    return found


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Before 1.8 the options stood in sections."""
    out: dict[str, Any] = {}
    for name, value in table.items():
        if name in ("location", "storage", "retention", "consistency", "output", "hooks") and isinstance(value, dict):
            out.update(value)
        else:
            out[name] = value
    return out


def borgmatic(path: str) -> list[SiteRepository]:
    """The repositories of a borgmatic file or folder, each with the file's job."""
    taken: set[str] = set()
    found = []
    for file in _borgmatic_files(Path(path).expanduser()):
        table = _flat(_loaded(file))
        job = _borgmatic_job(table, file)
        for item in table.get("repositories") or ():
            address = str(item.get("path", "")) if isinstance(item, dict) else str(item)
            if not address:
                continue
            label = str(item.get("label") or "") if isinstance(item, dict) else ""
            options: dict[str, Any] = {"repository": address.replace("{hostname}", _host()).replace("{fqdn}", _host()), "borgmatic": str(file)}
            options |= {"rsh": str(table["ssh_command"])} if table.get("ssh_command") else {}
            options |= {"remote_path": str(table["remote_path"])} if table.get("remote_path") else {}
            options |= {"password": f"command:{table['encryption_passcommand']}"} if table.get("encryption_passcommand") else {}
            options |= {"jobs": {file.stem: job}} if job else {}
            found.append(SiteRepository(_label(label or address.rstrip("/").rsplit("/", 1)[-1].removesuffix(".borg"), taken), options))
    return found


def _host() -> str:
    import platform

    return platform.node()


def _borgmatic_job(table: Mapping[str, Any], file: Path) -> dict[str, Any]:
    paths = _texts(table.get("source_directories"))
    if not paths:
        return {}
    hooks = sorted(name for name in table if BORG_HOOKS.match(name) and table[name] and name != "source_directories_must_exist")
    archive = str(table.get("archive_name_format") or "{hostname}-{now:%Y-%m-%dT%H:%M:%S.%f}")
    return {
        "paths": paths, "excludes": _texts(table.get("exclude_patterns")), "archive": archive, "source": str(file),
        "keep": {name: table[f"keep_{name}"] for name in KEEPS if table.get(f"keep_{name}")},
        "one_file_system": bool(table.get("one_file_system")), "exclude_caches": bool(table.get("exclude_caches")),
        "why_not": f"it has hooks ({', '.join(hooks)}): start it with borgmatic" if hooks else "",
    }  # fmt: skip


def borgmatic_secret(path: str) -> Secret | None:
    """The passphrase that stands in the file; None when there is none."""
    word = _flat(_loaded(Path(path))).get("encryption_passphrase")
    return Secret(str(word)) if word else None


# -- resticprofile ------------------------------------------------------------------------------------------


def resticprofile(path: str) -> list[SiteRepository]:
    """The repositories of a resticprofile file: profiles of one repository are its jobs."""
    file = Path(path).expanduser()
    table = _loaded(file)
    raw = table.get("profiles") if str(table.get("version", "1")) == "2" else table
    profiles = {name: item for name, item in (raw or {}).items() if isinstance(item, dict) and name not in ("global", "groups", "mixins", "schedules")}
    taken: set[str] = set()
    found: dict[str, SiteRepository] = {}
    for name in profiles:
        whole = _inherited(name, profiles, file)
        address = str(whole.get("repository") or "").removeprefix("local:")
        if not address:
            continue
        if address not in found:
            found[address] = SiteRepository(_label(name, taken), {"repository": address, "resticprofile": str(file), **_restic_secret(whole, file), "jobs": {}})
        job = _restic_job(whole, file)
        if job:
            found[address].options["jobs"][name] = job
    return list(found.values())


def _inherited(name: str, profiles: Mapping[str, Any], file: Path, seen: Sequence[str] = ()) -> dict[str, Any]:
    """A profile with what it inherits, sections joined. BadConfig for a circle."""
    if name in seen:
        raise BadConfig(f"profile {clean(name)} inherits itself", where=str(file))
    own = profiles.get(name) or {}
    parent = own.get("inherit")
    out = _inherited(str(parent), profiles, file, (*seen, name)) if parent else {}
    for key, value in own.items():
        out[key] = {**out[key], **value} if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def _restic_secret(profile: Mapping[str, Any], file: Path) -> dict[str, str]:
    if profile.get("password-file"):
        return {"password": f"file:{file.parent / str(profile['password-file'])}"}
    return {"password": f"command:{profile['password-command']}"} if profile.get("password-command") else {}


def _restic_job(profile: Mapping[str, Any], file: Path) -> dict[str, Any]:
    section = profile.get("backup")
    if not isinstance(section, dict) or not _texts(section.get("source")):
        return {}
    retention = {**_section(profile, "forget"), **_section(profile, "retention")}
    hooks = sorted(name for name in RESTIC_HOOKS for place in (profile, section) if place.get(name))
    base = section.get("source-base")
    paths = [str(Path(str(base)) / source) if base else source for source in _texts(section["source"])]
    host = section.get("host", profile.get("host"))
    return {
        "paths": paths, "excludes": _texts(section.get("exclude")), "tags": [tag for text in _texts(section.get("tag")) for tag in text.split(",")],
        "host": host if isinstance(host, str) else "", "schedule": ", ".join(_schedules(section.get("schedule"))), "source": str(file),
        "keep": {name: retention[f"keep-{name}"] for name in KEEPS if retention.get(f"keep-{name}")},
        "one_file_system": bool(section.get("one-file-system")), "exclude_caches": bool(section.get("exclude-caches")),
        "why_not": f"it has hooks ({', '.join(dict.fromkeys(hooks))}): start it with resticprofile" if hooks else "",
    }  # fmt: skip


def _section(profile: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = profile.get(name)
    return found if isinstance(found, dict) else {}


def _schedules(value: Any) -> Iterator[str]:
    yield from (_texts(value.get("at")) if isinstance(value, dict) else _texts(value))


READERS = {"borgmatic": ("borg", borgmatic), "resticprofile": ("restic", resticprofile)}
"""Option -> the adapter it is for, and its reader."""


def tables_of(adapter: str, options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(label, options) for each repository that the options' file names; what stands beside the file holds for all of them.

    [] where the options name no such file, or their own repository. BadConfig, MissingTool.
    """
    if options.get("repository"):
        return []
    for option, (wanted, reader) in READERS.items():
        if option in options and adapter == wanted:
            found = reader(str(options[option]))
            if not found:
                raise BadConfig(f"names no repository: {options[option]}")
            rest = {name: value for name, value in options.items() if name not in (option, "jobs")}
            return [(one.label, {**one.options, **rest, "jobs": {**one.options.get("jobs", {}), **(options.get("jobs") or {})}}) for one in found]
    return []
