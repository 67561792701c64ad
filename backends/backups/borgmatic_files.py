"""Repositories and jobs as borgmatic has them in its own files. Nothing is written; secrets stay where they are.

A passphrase that stands in a file is read by the adapter when it opens, and never shown. Sources: borgmatic's configuration reference
(flat since 1.8, in sections before) and its guides on includes, constants, credentials and repositories with options of their own.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backends.backups.borgmatic_yaml import BorgmaticYaml
from backends.backups.site_repository import SiteRepository, Unset, at_home, kept, label_of, texts, unset, with_patterns
from backends.errors import BadConfig
from backends.secret import Secret
from backends.text import clean

SECTIONS = ("location", "storage", "retention", "consistency", "output", "hooks")
HOOKS = re.compile(r"^(before_|after_|on_error|commands$|.*_databases$|bootstrap$|zfs$|btrfs$|lvm$)")
OTHERWISE = (
    "patterns", "patterns_from", "exclude_from", "exclude_if_present", "exclude_nodump", "read_special", "working_directory", "extra_borg_options",
)  # fmt: skip
"""What makes borgmatic's backup another one than `deskside backups run` would make."""
KEYS = ("borg_base_directory", "borg_config_directory", "borg_keys_directory", "borg_key_file", "borg_security_directory")
OF_A_REPOSITORY = ("path", "label", "encryption", "id_hash", "key_location", "append_only", "storage_quota", "make_parent_directories")


def borgmatic(path: str) -> list[SiteRepository]:
    """The repositories of a borgmatic file or folder, each with the jobs of the files that name it.

    A file of a folder that can't be read is a repository with a problem; BadConfig where it is the only one, MissingTool.
    """
    place = Path(path).expanduser()
    read: dict[Path, Mapping[str, Any]] = {}
    included: set[str] = set()
    broken = []
    for file in _files(place):
        try:
            reader = BorgmaticYaml(file)
            read[file] = _flat(reader.load())
            included |= reader.included
        except BadConfig as error:
            if not os.path.isdir(place):
                raise
            broken.append(SiteRepository(label_of(file.stem, set()), {"borgmatic": str(file)}, problem=error.text))
    found = [one for file, table in read.items() if not _is_part(file, table, included) for one in _repositories(file, table)]
    return _joined([*found, *broken])


def borgmatic_secret(path: str, repository: str) -> Secret | None:
    """The passphrase that stands in the file for a repository; None when there is none."""
    file = Path(path)
    for table in _each(_flat(BorgmaticYaml(file).load())):
        word = table.get("encryption_passphrase")
        if word not in (None, "") and _place(table, file)[0] == repository:
            if isinstance(word, Unset):
                raise BadConfig(f"its passphrase can't be read: {word.sentence()}", where=path)
            return Secret(str(word))
    return None


def _files(place: Path) -> list[Path]:
    if not os.path.isdir(place):
        return [place]
    try:
        os.listdir(place)
    except OSError as error:
        raise BadConfig(f"can't be read: {error.strerror}", where=str(place)) from None
    found = [file for folder in (place, place / "borgmatic.d") for file in sorted(folder.glob("*.y*ml")) if file.suffix in (".yaml", ".yml")]
    if not found:
        raise BadConfig("has no .yaml file", where=str(place))
    return found


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Before 1.8 the options stood in sections."""
    out: dict[str, Any] = {}
    for name, value in table.items():
        if name in SECTIONS and isinstance(value, dict):
            out.update(value)
        elif name not in SECTIONS:
            out[name] = value
    return out


def _is_part(file: Path, table: Mapping[str, Any], included: set[str]) -> bool:
    """Whether a file is only there for others to include."""
    return os.path.realpath(file) in included and not (table.get("repositories") and (table.get("source_directories") or table.get("patterns")))


# -- repositories ---------------------------------------------------------------------------------------------


def _each(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The file's options as they are for each of its repositories, with `path` and `label`."""
    listed = table.get("repositories")
    for item in listed if isinstance(listed, list) else []:
        own = item if isinstance(item, dict) else {"path": item}
        general = {name: value for name, value in table.items() if name not in OF_A_REPOSITORY}
        yield {**general, **_flat(own)}


def _repositories(file: Path, table: Mapping[str, Any]) -> list[SiteRepository]:
    name, found = clean(file.name), []
    for whole in _each(table):
        address, problem = _place(whole, file)
        password, needs = _password(whole, file)
        reached = unset((whole.get("ssh_command"), whole.get("remote_path"), whole.get("local_path")))
        reached = f"{file}: {reached}" if reached else ""
        names = {"rsh": "ssh_command", "remote_path": "remote_path", "program": "local_path"}
        options: dict[str, Any] = {"repository": address, "borgmatic": str(file)}
        options |= {ours: str(whole[theirs]) for ours, theirs in names.items() if whole.get(theirs)}
        job, notes = _job(whole, file)
        options |= {"password": password} if password else {}
        options |= {"jobs": {file.stem: job}} if job else {}
        notes += [f"{name}: {option} is not passed on to borg: a key that lies there is not found" for option in KEYS if whole.get(option)]
        label = str(whole.get("label") or "") or address.rstrip("/").rsplit("/", 1)[-1].removesuffix(".borg") or file.stem
        found.append(SiteRepository(label, options, problem or reached, needs, tuple(notes)))
    if not found:
        said = "its repositories are no list" if table.get("repositories") else "it names no repository"
        found.append(SiteRepository(file.stem, {"borgmatic": str(file)}, problem=f"{file}: {said}"))
    return found


def _joined(found: list[SiteRepository]) -> list[SiteRepository]:
    """One for each repository, however many files name it; labels made short and different."""
    taken: set[str] = set()
    out: dict[Any, SiteRepository] = {}
    for number, one in enumerate(found):
        how = tuple(sorted((name, value) for name, value in one.options.items() if name not in ("jobs", "borgmatic")))
        address = one.options.get("repository")
        key = (how, one.needs) if not one.problem else (address or number,)
        if key not in out:
            out[key] = SiteRepository(label_of(one.label, taken), {**one.options, "jobs": {}}, one.problem, one.needs)
        jobs, known = out[key].options["jobs"], out[key]
        for name, job in one.options.get("jobs", {}).items():
            jobs[label_of(name, set(jobs))] = job
        out[key] = SiteRepository(known.label, known.options, known.problem, known.needs, tuple(dict.fromkeys((*known.notes, *one.notes))))
    return list(out.values())


def _place(table: Mapping[str, Any], file: Path) -> tuple[str, str]:
    """(a repository's address, why it can't be used)."""
    value = table.get("path")
    if not isinstance(value, str) or not value:
        return "", f"{file}: a repository has no path"
    address = value.removeprefix("file://").replace("{hostname}", platform.node())
    if isinstance(value, Unset):
        return address, f"{file}: {clean(value)}: {value.sentence()}"
    if re.match(r"(sftp|https?)://|(rclone|s3|b2|rest):", address):
        return address, f"{file}: {clean(address.partition(':')[0])}: is for borg 2, which deskside does not use"
    if ":" in address:
        return address, ""
    address = at_home(address, file)
    base = at_home(str(table.get("working_directory") or ""), file)
    if not address.startswith("/") and not base.startswith("/"):
        return address, f"{file}: {clean(address)} is relative, and where borgmatic is started from is not known: write it whole"
    return str(Path(base) / address) if not address.startswith("/") else address, ""


def _password(table: Mapping[str, Any], file: Path) -> tuple[str, str]:
    """(a reference to the passphrase, why there is none that can be used). Neither for one that stands in the file, and for none."""
    found, why = _reference(table)
    return found, f"{file}: {why}" if why else ""


def _reference(table: Mapping[str, Any]) -> tuple[str, str]:
    phrase, command = table.get("encryption_passphrase"), table.get("encryption_passcommand")
    missing = unset((phrase,)) or (unset((command,)) if phrase in (None, "") else "")
    if missing:
        return "", f"its passphrase can't be read: {missing}"
    if phrase in (None, ""):
        return (f"command:{command}", "") if command else ("", "")
    credential = re.match(r"\{credential\b(.*)\}", str(phrase))
    return _credential(credential.group(1), str(table.get("working_directory") or "")) if credential else ("", "")


def _credential(words: str, base: str) -> tuple[str, str]:
    """`{credential file PATH}` and `{credential systemd NAME}` are what our own references are; other keepers are named."""
    try:
        kind, *rest = shlex.split(words)
    except ValueError:
        return "", "its {credential ...} can't be read"
    if kind == "file" and len(rest) == 1:
        path = str(Path(base) / rest[0])
        return (f"file:{path}", "") if path.startswith(("/", "~")) else ("", "its {credential file ...} is a relative path: write it whole")
    if kind == "systemd" and len(rest) == 1:
        return f"cred:{rest[0]}", ""
    return "", f"its passphrase is kept by {clean(kind)}, which deskside does not ask"


# -- jobs -----------------------------------------------------------------------------------------------------


def _job(table: Mapping[str, Any], file: Path) -> tuple[dict[str, Any], list[str]]:
    """(what the file backs up, what of it is not shown)."""
    name = clean(file.name)
    lines = [line.strip() for line in texts(table.get("patterns")) if line.strip() and not line.lstrip().startswith("#")]
    roots = [line[1:].strip() for line in lines if line.startswith("R ")]
    paths = _sources([*texts(table.get("source_directories")), *roots], str(table.get("working_directory") or ""), file)
    hooks = sorted(option for option in table if HOOKS.match(option) and table[option])
    keep, notes = kept(table, "_", name)
    if not paths:
        dumped = f"it backs up only what its hooks hand over ({', '.join(map(clean, hooks))})" if hooks else "it names nothing to back up"
        return {}, [*notes, f"{name}: {dumped if not table.get('patterns_from') else 'its sources stand in patterns_from'}; no job is shown"]
    others = [option for option in OTHERWISE if table.get(option)]
    why = [*([f"hooks ({', '.join(hooks)})"] if hooks else []), *others]
    excludes = [*texts(table.get("exclude_patterns")), *(line for line in lines if not line.startswith("R "))]
    missing = unset((*texts(table.get("source_directories")), *excludes, table.get("archive_name_format")))
    why_not = f"it has {', '.join(map(clean, why))}: start it with borgmatic" if why else missing
    why_not = "create is among its skip_actions" if "create" in texts(table.get("skip_actions")) else why_not
    archive = str(table.get("archive_name_format") or "{hostname}-{now:%Y-%m-%dT%H:%M:%S.%f}")
    return {
        "paths": paths, "excludes": excludes, "archive": archive, "source": str(file), "keep": keep, "why_not": why_not,
        "one_file_system": bool(table.get("one_file_system")), "exclude_caches": bool(table.get("exclude_caches")),
    }, notes  # fmt: skip


def _sources(paths: list[str], base: str, file: Path) -> list[str]:
    """With `~` and shell patterns put in."""
    return with_patterns(str(Path(at_home(base, file)) / at_home(path, file)) if base else at_home(path, file) for path in paths)
