"""`Profiles`: what a resticprofile file and those that it includes say, each profile with what it inherits. Nothing is written.

Sources: resticprofile's documentation on includes, inheritance and paths. Later files win, tables are joined, lists replaced; names are
the same in upper and lower case. In version 1 a derived list takes the places of the first ones of its parent's, in version 2 it
replaces it, or stands before or after it. HCL, and templates, which make the text of the file itself, are refused.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.backups.site_repository import no_yaml, text_of, texts, with_patterns, yaml_library
from backends.errors import BadConfig
from backends.text import clean

KINDS = (".conf", ".yaml", ".toml", ".json", ".hcl")
NO_PROFILES = ("version", "global", "groups", "includes", "mixins", "schedules")
MOST = 100_000
"""Values that a file may come to: an anchor that is used often makes much of little."""
MERGED_LISTS = re.compile(r"source|i?exclude(-file)?|files-from.*|run-.*|stdin-command")
"""Lists that version 1 joins by their places; it replaces others."""
_HARMLESS = re.compile(r"\{\{-? *[.$][\w.]* *-?\}\}")


@dataclass(frozen=True, slots=True)
class Profiles:
    """The profiles by name, whole, and what else the files hold."""

    file: Path
    version: int
    profiles: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, Mapping[str, Any]]
    schedules: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...] = field(default_factory=tuple)


def read_profiles(path: str) -> Profiles:
    """The file with its includes. BadConfig, MissingTool."""
    file = _file(Path(path).expanduser())
    table = _loaded(file)
    version, notes = _version(table, file), []
    for other in _includes(texts(table.get("includes")), file):
        more = _loaded(other)
        if "version" in more and _version(more, other) != version:
            raise BadConfig(f"is of another version than {file.name}", where=str(other))
        if more.pop("includes", None):
            notes.append(f"{clean(other.name)}: includes in an included file have no effect")
        table = _over(table, more)
    raw = table.get("profiles") if version == 2 else {name: item for name, item in table.items() if name not in NO_PROFILES}
    named = {name: item for name, item in (raw or {}).items() if isinstance(item, dict)} if isinstance(raw, dict) else {}
    mixed = [name for name in named if _has_use(named[name])] if version == 2 else []
    notes += [f"{clean(file.name)}: profile {clean(name)} uses mixins, which are not read: it is not shown" for name in mixed]
    whole = {}
    for name in named:
        line = list(_line(name, named, file))
        if not set(line) & set(mixed):
            whole[name] = _inherited([named[one] for one in line], version)
        elif name not in mixed:
            notes.append(f"{clean(file.name)}: profile {clean(name)} inherits from one that uses mixins: it is not shown")
    groups = {name: item if isinstance(item, dict) else {"profiles": item} for name, item in _below(table, "groups").items()}
    for name, group in groups.items():
        strangers = [one for one in texts(group.get("profiles")) if one.lower() not in named]
        notes += [f"{clean(file.name)}: group {clean(name)} names {clean(one)}, which is no profile" for one in strangers]
    schedules = {name: item for name, item in _below(table, "schedules").items() if isinstance(item, dict)} if version == 2 else {}
    return Profiles(file, version, whole, groups, schedules, tuple(notes))


# -- files ----------------------------------------------------------------------------------------------------


def _file(place: Path) -> Path:
    """As it is named, or with the first ending that is there; of a folder its `profiles`."""
    base = place / "profiles" if os.path.isdir(place) else place
    return next((file for file in (Path(f"{base}{kind}") for kind in KINDS) if os.path.isfile(file)), base) if not base.suffix else base


def _loaded(file: Path) -> dict[str, Any]:
    if file.suffix == ".hcl":
        raise BadConfig("HCL is not read; .toml, .conf, .yaml, .yml and .json are", where=str(file), hint="Write it in one of these, or name the repository in [backups.NAME] itself.")
    text = text_of(file)
    _no_template(text, file)
    try:
        if file.suffix in (".toml", ".conf"):
            found: Any = tomllib.loads(text)
        elif file.suffix == ".json":
            found = json.loads(text)
        elif file.suffix in (".yaml", ".yml"):
            found = _yaml(text, file)
        else:
            raise BadConfig("only .toml, .conf, .yaml, .yml and .json are read", where=str(file))
        if not isinstance(found, dict):
            raise BadConfig("is no table", where=str(file))
        left = [MOST]
        lowered: dict[str, Any] = _lowered(found, left, file)
    except (ValueError, RecursionError) as error:
        line = re.search(r"line (\d+)", str(error)) if isinstance(error, ValueError) else None
        raise BadConfig(f"is no {file.suffix[1:].upper()} that can be read", where=f"{file}:{line.group(1)}" if line else str(file)) from None
    return lowered


def _yaml(text: str, file: Path) -> Any:
    yaml = yaml_library()
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise no_yaml(error, file) from None


def _no_template(text: str, file: Path) -> None:
    """A template may make any text: what the file would say is not known. Only a plain variable in a comment changes nothing."""
    for number, line in enumerate(text.split("\n"), 1):
        if "{{" in (_HARMLESS.sub("", line) if line.lstrip().startswith("#") else line):
            raise BadConfig(
                "holds a Go template ({{ ... }}), which only resticprofile can fill in", where=f"{file}:{number}",
                hint="Name the repository in [backups.NAME] itself.",
            )  # fmt: skip


def _lowered(value: Any, left: list[int], file: Path) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise BadConfig(f"comes to more than {MOST:,} values", where=str(file))
    if isinstance(value, list):
        return [_lowered(item, left, file) for item in value]
    out: dict[str, Any] = {}
    for name, item in value.items() if isinstance(value, dict) else ():
        key, new = str(name).lower(), _lowered(item, left, file)
        known = out.get(key)
        out[key] = _over(known, new) if isinstance(known, dict) and isinstance(new, dict) else new
    return out if isinstance(value, dict) else value


def _version(table: Mapping[str, Any], file: Path) -> int:
    word = str(table.get("version", "1")).removesuffix(".0")
    if word not in ("1", "2"):
        raise BadConfig(f"is of version {clean(word)}: 1 and 2 are known", where=str(file))
    return int(word)


def _includes(patterns: Sequence[str], file: Path) -> Iterator[Path]:
    """In the order in which they are named, those of one pattern by name."""
    for pattern in patterns:
        whole = str(file.parent / pattern)
        found = [whole] if os.path.isfile(whole) else with_patterns([whole])
        if found == [whole] and not os.path.isfile(whole):
            raise BadConfig(f"includes {clean(pattern)}, which is not there", where=str(file))
        yield from (Path(one) for one in found if not os.path.isdir(one) and Path(one) != file)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for name, value in above.items():
        known = out.get(name)
        out[name] = _over(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return out


def _below(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = table.get(name)
    return found if isinstance(found, dict) else {}


# -- inheritance ----------------------------------------------------------------------------------------------


def _has_use(table: Mapping[str, Any]) -> bool:
    return "use" in table or any(isinstance(item, dict) and _has_use(item) for item in table.values())


def _line(name: str, named: Mapping[str, Mapping[str, Any]], file: Path) -> Iterator[str]:
    """A profile and its parents, itself first. BadConfig for a circle, or a parent that is not there."""
    seen: list[str] = []
    while True:
        if name in seen:
            raise BadConfig(f"profile {clean(name)} inherits itself ({' > '.join(map(clean, (*seen, name)))})", where=str(file))
        seen.append(name)
        yield name
        parent = str(named[name].get("inherit") or "").lower()
        if not parent:
            return
        if parent not in named:
            raise BadConfig(f"profile {clean(name)} inherits {clean(parent)}, which is not there", where=str(file))
        name = parent


def _inherited(line: Sequence[Mapping[str, Any]], version: int) -> dict[str, Any]:
    """The youngest first."""
    out: dict[str, Any] = {}
    for table in reversed(line):
        out = _derived(out, table, version)
    return out


def _derived(parent: Mapping[str, Any], own: Mapping[str, Any], version: int) -> dict[str, Any]:
    out = dict(parent)
    for key, value in own.items():
        name, where = _listed(key) if version == 2 else (key, "")
        known = out.get(name)
        if isinstance(value, dict):
            out[name] = _derived(known if isinstance(known, dict) else {}, value, version)
        elif where:
            out[name] = [*texts(value), *texts(known)] if where == "before" else [*texts(known), *texts(value)]
        elif version == 1 and isinstance(known, list) and MERGED_LISTS.fullmatch(name):
            new = texts(value)
            out[name] = [*new, *known[len(new) :]]
        else:
            out[name] = value
    return out


def _listed(key: str) -> tuple[str, str]:
    """(an option, where its list is put: "before" or "after" the parent's, "" instead of it)."""
    if key.startswith("...") or key.endswith("__prepend"):
        return key.removeprefix("...").removesuffix("__prepend"), "before"
    return (key.removesuffix("...").removesuffix("__append"), "after") if key.endswith(("...", "__append")) else (key, "")
