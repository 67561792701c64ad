"""Repositories and jobs as resticprofile has them in its own files. Nothing is written; secrets stay where they are.

Sources: resticprofile's reference of profiles and its documentation on paths: files are relative to the folder of the first file,
repository and sources to `base-dir`. Variables (`$NAME`) are those of the environment.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from backends.backups.resticprofile_profiles import Profiles, read_profiles
from backends.backups.site_repository import (
    SiteRepository,
    Unset,
    at_home,
    environment,
    kept,
    label_of,
    text_of,
    texts,
    unset,
    with_patterns,
)
from backends.errors import BadConfig
from backends.text import clean

HOOKS = ("run-before", "run-after", "run-after-fail", "run-finally", "stdin-command")
OTHERWISE = (
    "iexclude", "exclude-file", "iexclude-file", "files-from", "files-from-raw", "files-from-verbatim", "exclude-if-present",
    "exclude-larger-than", "stdin", "source-relative",
)  # fmt: skip
"""What makes resticprofile's backup another one than `deskside backups run` would make."""
OURS = {"restic_password_file": "password-file", "restic_password_command": "password-command", "restic_repository": "repository",
        "restic_repository_file": "repository-file"}  # fmt: skip
"""Variables of a profile that say what an option says."""
NOT_PASSED = ("env-file", "cacert", "tls-client-cert", "insecure-tls", "key-hint", "limit-upload", "limit-download")
_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def resticprofile(path: str) -> list[SiteRepository]:
    """The repositories of a resticprofile file: profiles of one repository are its jobs. BadConfig, MissingTool."""
    read = read_profiles(path)
    taken: set[str] = set()
    found: dict[str, SiteRepository] = {}
    left = list(read.notes)
    for name, profile in read.profiles.items():
        whole = _with_environment(profile)
        one = _repository(name, whole, read)
        job, notes = _job(name, whole, read)
        if one is None:
            left += [f"{clean(read.file.name)}: profile {clean(name)} has a backup and no repository: it is not shown"] if job else []
            continue
        _add(found, one, taken, {name: job} if job else {}, notes)
        copied = _repository(f"{name}-copy", {**whole["copy"], "base-dir": whole.get("base-dir")}, read) if isinstance(whole.get("copy"), dict) else None
        if copied is not None:
            _add(found, copied, taken, {}, [])
    if not found and left:
        raise BadConfig(f"names no repository: {'; '.join(left)}", where=str(read.file))
    out = list(found.values())
    if left:
        out[0] = SiteRepository(out[0].label, out[0].options, out[0].problem, out[0].needs, (*left, *out[0].notes))
    return out


def _add(found: dict[str, SiteRepository], one: SiteRepository, taken: set[str], jobs: Mapping[str, Any], notes: list[str]) -> None:
    """One for each address: the first that has a password gives it."""
    address = str(one.options.get("repository") or one.label)
    known = found.get(address)
    if known is None:
        known = SiteRepository(label_of(one.label, taken), {**one.options, "jobs": {}}, one.problem, one.needs)
    elif known.needs and not one.needs and not one.problem:
        known = SiteRepository(known.label, {**one.options, "jobs": known.options["jobs"]}, notes=known.notes)
    known.options["jobs"].update(jobs)
    every = tuple(dict.fromkeys((*known.notes, *one.notes, *notes)))
    found[address] = SiteRepository(known.label, known.options, known.problem, known.needs, every)


def _with_environment(profile: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in a profile's `env` in place of an option."""
    env = profile.get("env")
    return {**{OURS[name]: value for name, value in env.items() if name in OURS}, **profile} if isinstance(env, dict) else dict(profile)


# -- repositories ---------------------------------------------------------------------------------------------


def _repository(name: str, profile: Mapping[str, Any], read: Profiles) -> SiteRepository | None:
    if not (profile.get("repository") or profile.get("repository-file")):
        return None
    where = f"{read.file}: profile {clean(name)}"
    try:
        address, problem = _address(profile, read.file)
    except BadConfig as error:
        address, problem = "", error.text
    password, needs = _password(profile, read.file)
    options: dict[str, Any] = {"repository": address, "resticprofile": str(read.file), **({"password": password} if password else {})}
    options |= {"options": texts(profile["option"])} if texts(profile.get("option")) else {}
    env = profile.get("env")
    names = sorted(key.upper() for key in env if key not in OURS) if isinstance(env, dict) else []
    names += [option for option in NOT_PASSED if profile.get(option)]
    notes = (f"{clean(read.file.name)}: profile {clean(name)} sets {clean(', '.join(names))}, which is not passed on to restic",) if names else ()
    return SiteRepository(name, options, f"{where}: {problem}" if problem else "", f"{where} {needs}" if needs else "", notes)


def _address(profile: Mapping[str, Any], file: Path) -> tuple[str, str]:
    """(where it is, why that is not known)."""
    given = profile.get("repository") or ""
    if not isinstance(given, str):
        return "", "its repository is no text"
    value = _expanded(given)
    if not value:
        named = _beside(str(profile["repository-file"]), file)
        if isinstance(named, Unset):
            return "", f"its repository-file: {named.sentence()}"
        value = text_of(Path(named)).strip()
        if not value or "\n" in value:
            return "", f"its repository-file holds no address: {clean(named)}"
    if isinstance(value, Unset):
        return value, f"its repository: {value.sentence()}"
    value = value.removeprefix("local:")
    if re.match(r"[a-z][a-z0-9]+:", value):
        return value, ""
    base = _expanded(str(profile.get("base-dir") or ""))
    whole = Path(at_home(base, file)) / at_home(value, file)
    if not str(whole).startswith("/"):
        return value, "its repository is relative, and where resticprofile is started from is not known: write it whole, or set base-dir"
    return str(whole), ""


def _password(profile: Mapping[str, Any], file: Path) -> tuple[str, str]:
    """(a reference to the password, why there is none that can be used)."""
    if profile.get("password-file"):
        named = _beside(str(profile["password-file"]), file)
        return ("", f"names a password-file: {named.sentence()}") if isinstance(named, Unset) else (f"file:{named}", "")
    if profile.get("password-command"):
        return f"command:{profile['password-command']}", ""
    env = profile.get("env")
    if isinstance(env, dict) and env.get("restic_password"):
        return "", "has its password in env, which is not read: put it into a file and name that as password-file"
    return "", "has no password-file and no password-command"


def _beside(path: str, file: Path) -> str:
    """A file that is named relative to the folder of the first file."""
    whole = _expanded(path)
    return whole if isinstance(whole, Unset) else str(file.parent / at_home(whole, file))


def _expanded(text: str) -> str:
    known, missing = environment(), ""

    def put(found: re.Match[str]) -> str:
        nonlocal missing
        name = found.group(1) or found.group(2)
        if name and name not in known:
            missing = missing or name
        return known.get(name, found.group(0)) if name else "$"

    filled = _VARIABLE.sub(put, text)
    return Unset(filled, missing) if missing else filled


# -- jobs -----------------------------------------------------------------------------------------------------


def _job(name: str, profile: Mapping[str, Any], read: Profiles) -> tuple[dict[str, Any], list[str]]:
    """(what the profile backs up, what of it is not shown)."""
    section = profile.get("backup")
    if not isinstance(section, dict):
        return {}, []
    where = f"{clean(read.file.name)}: profile {clean(name)}"
    keep, notes = kept({**_section(profile, "forget"), **_section(profile, "retention")}, "-", where)
    paths = [_expanded(path) for path in texts(section.get("source"))]
    others = [option for option in OTHERWISE if section.get(option)]
    if not paths:
        return {}, [*notes, f"{where} takes what it backs up from {', '.join(others)}: no job is shown"] if others or section.get("stdin-command") else notes
    excludes = [_expanded(pattern) for pattern in texts(section.get("exclude"))]
    why = [*_hooks(profile, section), *others]
    host = section.get("host", profile.get("host"))
    missing = unset((*paths, *excludes))
    paths = _sources(paths, profile, section, read.file)
    why += ["sources that are relative"] if not missing and not all(path.startswith("/") for path in paths) else []
    return {
        "paths": paths, "excludes": excludes, "tags": [tag for text in texts(section.get("tag")) for tag in text.split(",")],
        "host": host if isinstance(host, str) else platform.node() if host is True else "", "schedule": ", ".join(_schedules(name, section, read)),
        "source": str(read.file), "keep": keep,
        "one_file_system": section.get("one-file-system") is True, "exclude_caches": section.get("exclude-caches") is True,
        "why_not": f"it has {', '.join(why)}: start it with resticprofile" if why else missing,
    }, notes  # fmt: skip


def _hooks(profile: Mapping[str, Any], section: Mapping[str, Any]) -> list[str]:
    found = dict.fromkeys(sorted(name for name in HOOKS for place in (profile, section) if place.get(name)))
    return [f"hooks ({', '.join(found)})"] if found else []


def _sources(paths: list[str], profile: Mapping[str, Any], section: Mapping[str, Any], file: Path) -> list[str]:
    """Below `source-base`, that below `base-dir`, with shell patterns put in."""
    bases = [at_home(_expanded(str(table.get(name) or "")), file) for table, name in ((profile, "base-dir"), (section, "source-base"))]
    return with_patterns(str(Path(*bases) / at_home(path, file)) for path in paths)


def _section(profile: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = profile.get(name)
    return found if isinstance(found, dict) else {}


def _schedules(name: str, section: Mapping[str, Any], read: Profiles) -> Iterator[str]:
    """Its own, and those of version 2 that name it or a group with it."""
    yield from _times(section.get("schedule"))
    within = [group for group, table in read.groups.items() if name in [one.lower() for one in texts(table.get("profiles"))]]
    for group in within:
        yield from (f"{text} (group {group})" for text in _times(_section(_section(read.groups[group], "schedules"), "backup") or None))
    for table in read.schedules.values():
        if str(table.get("run") or "backup") == "backup" and (name in texts(table.get("profiles")) or str(table.get("group") or "") in within):
            yield from _times(table.get("schedule", table.get("at")))


def _times(value: Any) -> list[str]:
    return texts(value.get("at")) if isinstance(value, dict) else texts(value)
