"""`SiteRepository`: a repository that the file of another tool names, and what the readers of such files share. Nothing is written.

What of a file is not understood and matters is said: `problem` and `needs` instead of a guess, `notes` for what is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from glob import glob
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from backends.errors import BadConfig, MissingTool
from backends.text import clean

BIGGEST = 1 << 20
MANY = 1000
"""Paths that a shell pattern may come to."""
KEEPS = ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within")


@dataclass(frozen=True, slots=True)
class SiteRepository:
    """A repository that a file names: a short label, and its options as in [backups.NAME]."""

    label: str
    options: Mapping[str, Any]
    problem: str = ""
    """Why it can't be used at all, or ""."""
    needs: str = ""
    """Why the file gives no password that can be used, or ""."""
    notes: tuple[str, ...] = field(default_factory=tuple)
    """What of its file is not shown."""


class Unset(str):
    """A text of a file that needs an environment variable which is not set here: as it stands there, with the variable's `name`."""

    name: str

    def __new__(cls, text: str, name: str) -> Unset:
        """The text as it stands, and the variable."""
        made = super().__new__(cls, text)
        made.name = name
        return made

    def sentence(self) -> str:
        """What is missing."""
        return f"the environment variable {clean(self.name)} is not set here"


def environment() -> Mapping[str, str]:
    """What files may refer to. Nothing of the caller's where sudo runs a service account: it would decide what is run."""
    return {} if "SUDO_USER" in os.environ and os.geteuid() != 0 else os.environ


def text_of(file: Path) -> str:
    """A file's text. BadConfig without a word of what stands in it."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(BIGGEST + 1)
        if len(raw) > BIGGEST:
            raise BadConfig("is larger than 1 MB", where=str(file))
        return raw.decode("utf-8")
    except (OSError, ValueError) as error:
        words = str(error.strerror) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadConfig(f"can't be read: {words}", where=str(file)) from None


def yaml_library() -> Any:
    """PyYAML. MissingTool."""
    try:
        return import_module("yaml")
    except ImportError:
        raise MissingTool("PyYAML is not installed, it reads YAML files", hint="pip install 'deskside[yaml]', or apt-get install python3-yaml.") from None


def no_yaml(error: Any, file: Path) -> BadConfig:
    """What PyYAML found, without its text: that may quote the file."""
    mark = getattr(error, "problem_mark", None)
    return BadConfig("is no YAML that can be read", where=f"{file}:{mark.line + 1}" if mark else str(file))


def texts(value: Any) -> list[str]:
    """A text, or a list of texts, as a list; nothing for what is empty or only says yes or no."""
    found = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else str(item) for item in found if item not in (None, "") and not isinstance(item, bool | dict | list)]


def unset(values: Iterable[Any]) -> str:
    """What is missing for the first of these that needs a variable which is not set, or ""."""
    return next((value.sentence() for value in values if isinstance(value, Unset)), "")


def at_home(path: str, file: Path) -> str:
    """A path with `~` put in: the home of the file's owner, as whom the file's own program will mostly run."""
    if not path.startswith("~"):
        return path
    import pwd

    owner, _, rest = path[1:].partition("/")
    try:
        found = pwd.getpwnam(owner) if owner else pwd.getpwuid(file.stat().st_uid)
    except (KeyError, OSError, ValueError):
        return path
    home = os.environ.get("HOME", found.pw_dir) if found.pw_uid == os.geteuid() and not owner else found.pw_dir
    return f"{home}/{rest}" if rest else home


def with_patterns(paths: Iterable[str]) -> list[str]:
    """Paths with shell patterns put in; one that fits nothing stays as it is."""
    out: list[str] = []
    for path in paths:
        try:
            fits = sorted(islice(glob(path), MANY)) if re.search(r"[*?\[]", path) else []
        except (OSError, ValueError):
            fits = []
        out += fits or [path]
    return out


def label_of(text: str, taken: set[str]) -> str:
    """Short, of letters, digits and dashes, and not taken."""
    base = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[-24:].strip("-") or "repository"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def kept(table: Mapping[str, Any], mark: str, where: str) -> tuple[dict[str, str | int], list[str]]:
    """(the retention as a job has it, what is not shown of it): `mark` joins "keep" with the rest of an option's name."""
    found: dict[str, str | int] = {}
    left = []
    for name, value in table.items():
        kind = name.removeprefix(f"keep{mark}")
        if kind == name or not value or kind in ("tag", "exclude_tags"):
            continue
        if kind in KEEPS and not isinstance(value, Unset | dict | list | bool):
            found[kind] = int(value) if isinstance(value, str) and value.isdecimal() else value
        else:
            left.append(f"{where}: {clean(name)} is not shown")
    return {kind: found[kind] for kind in KEEPS if kind in found}, left
