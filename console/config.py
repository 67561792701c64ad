"""The configuration: TOML files into frozen values. Unknown keys are refused by file and line. Never imports textual."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.domains import DOMAINS
from backends.errors import BadConfig
from console.site_backups import with_sites

if TYPE_CHECKING:
    from console.canned import Canned
    from console.fair import Absence
    from console.macros import Macro
    from console.templates import Template

BIGGEST = 1_000_000
"""Bytes a file may have: a 20,000-part dotted key takes the parser seconds."""
SYSTEM_FILE = Path("/etc/deskside/config.toml")
_KNOWN: dict[str, dict[str, type]] = {
    "site": {"name": str, "timezone": str},
    "console": {"theme": str, "read_only": bool, "driver": str, "mouse": bool, "data": str},
    "store": {"engine": str},
    "ledger": {"syslog": str},
    "restore": {"undo": str, "many": int, "second_person": list, "scratch": str, "drills": str, "full_drills": str, "sample": int, "roles": dict, "mailboxes": str, "tries": list},
    "roles": {"admins": list, "supervisors": list, "technicians": list, "default": str},
    "desk": {"next_after_action": bool, "absent": list, "teams": dict},
}
_TEXTS = {"macros": "console.macros:read_macro", "canned": "console.canned:read_canned", "templates": "console.templates:read_template"}
"""Sections of the site's own texts, and what reads one of their tables."""


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """One `[domain.name]` table: its adapter and the rest of its keys, unchecked (the adapter's declaration checks them)."""

    domain: str
    name: str
    adapter: str
    options: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True, slots=True)
class Roles:
    """Who is what: logins or "@group". `default` is everybody else's role."""

    admins: tuple[str, ...] = ()
    supervisors: tuple[str, ...] = ()
    technicians: tuple[str, ...] = ()
    default: str = "technician"


@dataclass(frozen=True, slots=True)
class ViewConfig:
    """A saved view: `query` as it is typed behind `/`."""

    name: str
    domain: str
    query: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the console is told."""

    site_name: str = "deskside"
    timezone: str = "UTC"
    data: Path = Path()
    sources: tuple[Path, ...] = ()
    backends: tuple[BackendConfig, ...] = ()
    keys: Mapping[str, str] = field(default_factory=dict)
    theme: str = "dark"
    read_only: bool = False
    driver: str = "thin"
    mouse: bool = True
    roles: Roles = field(default_factory=Roles)
    store_engine: str | None = None
    syslog: str | None = None
    """The socket ledger lines are sent to; None: the machine's own, "": none."""
    views: tuple[ViewConfig, ...] = ()
    macros: tuple[Macro, ...] = ()
    canned: tuple[Canned, ...] = ()
    templates: tuple[Template, ...] = ()
    next_after_action: bool = False
    """After what ends the work on a ticket its view goes on to the next one of the list."""
    absent: tuple[Absence, ...] = ()
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Team -> logins of its people, for fair assignment."""
    restore: Mapping[str, Any] = field(default_factory=dict)
    """[restore] as it stands; `console.restoring` and `console.drills` read it."""
    demo: bool = False

    @property
    def files(self) -> list[str]:
        """All that were read, for another process."""
        return [str(file.absolute()) for file in self.sources]

    @property
    def source(self) -> Path | None:
        """The file that won, or None on the embedded default."""
        return self.sources[-1] if self.sources else None


def service_mode() -> bool:
    """Run through sudo by a service account: nothing of the caller's environment may change what is read."""
    return "SUDO_USER" in os.environ and os.geteuid() != 0


def default_data() -> Path:
    """Where data lies when nobody says otherwise."""
    base = os.environ.get("XDG_DATA_HOME") if not service_mode() else None
    return Path(base) / "deskside" if base else Path.home() / ".local/share/deskside"


def config_files() -> list[Path]:
    """The files that are read, in their order, whether they exist or not."""
    if not service_mode() and os.environ.get("DESKSIDE_CONFIG"):
        return [Path(os.environ["DESKSIDE_CONFIG"])]
    base = os.environ.get("XDG_CONFIG_HOME")
    own = (Path(base) if base else Path.home() / ".config") / "deskside/config.toml"
    return [SYSTEM_FILE] if service_mode() else [SYSTEM_FILE, own]


def load_config(path: Path | Sequence[Path] | None = None, data: Path | None = None, *, read_only: bool = False) -> Config:
    """Read and check: this file, or these in their order, or those of the host. BadConfig with "file:line" for broken TOML, unknown keys and wrong types."""
    wanted = [path] if isinstance(path, Path) else list(path or config_files())
    merged: dict[str, Any] = {}
    backends: dict[tuple[str, str], BackendConfig] = {}
    sources: list[Path] = []
    for file in wanted:
        if not file.exists() and not path and "DESKSIDE_CONFIG" not in os.environ:
            continue
        text, table = _read(file)
        sources.append(file)
        _merge(merged, table, file, text, backends)
    return _build(merged, tuple(backends.values()), tuple(sources), data, read_only)


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise BadConfig(f"can't be read: {error.strerror}", where=str(file)) from None
    if len(raw) > BIGGEST:
        raise BadConfig("is larger than 1 MB", where=str(file))
    try:
        text = raw.decode("utf-8")
        return text, tomllib.loads(text)
    except UnicodeDecodeError:
        raise BadConfig("is not UTF-8 text", where=str(file)) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        raise BadConfig(str(error), where=f"{file}:{line.group(1)}" if line else str(file)) from None
    except RecursionError:
        raise BadConfig("is nested too deeply", where=str(file)) from None


def line_of(text: str, table: str, key: str = "") -> int:
    """The line of a table's head, or of a key below it; 1 when it is not found as written."""
    lines = text.splitlines()
    head = re.compile(r"^\s*\[\s*" + r"\s*\.\s*".join(f'"?{re.escape(part)}"?' for part in table.split(".")) + r"\s*\]")
    start = next((number for number, line in enumerate(lines) if head.match(line)), -1)
    if not key:
        return max(0, start) + 1
    mark = re.compile(rf'^\s*"?{re.escape(key)}"?\s*[=.]')
    for number in range(start + 1, len(lines)):
        if mark.match(lines[number]):
            return number + 1
        if lines[number].lstrip().startswith("["):
            break
    return max(0, start) + 1


def _merge(merged: dict[str, Any], table: dict[str, Any], file: Path, text: str, backends: dict[tuple[str, str], BackendConfig]) -> None:
    for section, values in table.items():
        where = f"{file}:{line_of(text, section)}"
        if not isinstance(values, dict):
            raise BadConfig(f"{section!r} must be a table", where=f"{file}:{line_of(text, '', section)}")
        if section in DOMAINS:
            _take_backends(section, values, file, text, backends)
        elif section in _KNOWN:
            for key, value in values.items():
                _check_key(section, key, value, f"{file}:{line_of(text, section, key)}")
            merged.setdefault(section, {}).update(values if section != "desk" else _desk(values, file, text))
        elif section in _TEXTS:
            _take_texts(section, values, file, text, merged)
        elif section == "keys":
            for key, value in values.items():
                if not isinstance(value, str):
                    raise BadConfig(f'{key}: keys are one text, such as "t,T"', where=f"{file}:{line_of(text, section, key)}")
            merged.setdefault("keys", {}).update(values)
        elif section == "views":
            _take_views(values, file, text, merged)
        else:
            raise BadConfig(f"unknown section {section!r}; known: {', '.join([*_KNOWN, *_TEXTS, 'keys', 'views', *DOMAINS])}", where=where)


def _check_key(section: str, key: str, value: Any, where: str) -> None:
    known = _KNOWN[section]
    if key not in known:
        raise BadConfig(f"unknown key {key!r} in [{section}]; known: {', '.join(known)}", where=where)
    if not isinstance(value, known[key]):
        raise BadConfig(f"{section}.{key} must be {known[key].__name__}, not {type(value).__name__}", where=where)


def _take_backends(domain: str, values: dict[str, Any], file: Path, text: str, backends: dict[tuple[str, str], BackendConfig]) -> None:
    for name, options in values.items():
        where = f"{file}:{line_of(text, f'{domain}.{name}')}"
        if not isinstance(options, dict):
            raise BadConfig(f"[{domain}] takes named tables, such as [{domain}.main]", where=f"{file}:{line_of(text, domain, name)}")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
            raise BadConfig(f"{name!r}: a backend's name has letters, digits, - and _", where=where)
        adapter = options.get("adapter")
        if not isinstance(adapter, str):
            raise BadConfig(f'[{domain}.{name}] needs adapter = "..."', where=where)
        rest = {key: value for key, value in options.items() if key != "adapter"}
        backends[(domain, name)] = BackendConfig(domain, name, adapter, rest, where)


def _take_views(values: dict[str, Any], file: Path, text: str, merged: dict[str, Any]) -> None:
    for name, view in values.items():
        where = f"{file}:{line_of(text, f'views.{name}')}"
        if not isinstance(view, dict) or set(view) - {"domain", "query"} or not isinstance(view.get("query"), str):
            raise BadConfig(f"[views.{name}] takes domain and query", where=where)
        if view.get("domain", "tickets") not in DOMAINS:
            raise BadConfig(f"[views.{name}]: domain is one of {', '.join(DOMAINS)}", where=where)
        merged.setdefault("views", {})[name] = ViewConfig(name, view.get("domain", "tickets"), view["query"])


def _take_texts(section: str, values: dict[str, Any], file: Path, text: str, merged: dict[str, Any]) -> None:
    """Macros, canned text and templates: each table by its own reader; a mistake is named with the line of its word."""
    from importlib import import_module

    from console.placeholders import Wrong

    module, _, reader = _TEXTS[section].partition(":")
    for name, table in values.items():
        if not isinstance(table, dict):
            raise BadConfig(f"[{section}] takes named tables, such as [{section}.usual]", where=f"{file}:{line_of(text, section, name)}")
        try:
            merged.setdefault(section, {})[name] = getattr(import_module(module), reader)(name, table)
        except Wrong as error:
            raise BadConfig(f"[{section}.{name}] {error}", where=f"{file}:{_line_with(text, f'{section}.{name}', error.word)}") from None


def _line_with(text: str, table: str, word: str) -> int:
    """The first line from a table's head on that holds the word; the head where none does."""
    head = line_of(text, table)
    lines = text.splitlines()
    return next((number for number in range(head, len(lines) + 1) if word and word in lines[number - 1]), head)


def _desk(values: dict[str, Any], file: Path, text: str) -> dict[str, Any]:
    from console.fair import read_absence
    from console.placeholders import Wrong

    out = dict(values)
    for team, people in values.get("teams", {}).items():
        if not isinstance(people, list) or not all(isinstance(login, str) for login in people):
            raise BadConfig(f"desk.teams.{team} must be a list of logins", where=f"{file}:{_line_with(text, 'desk', team)}")
    try:
        out["absent"] = [read_absence(str(item)) for item in values.get("absent", [])]
    except Wrong as error:
        raise BadConfig(f"desk.{error}", where=f"{file}:{_line_with(text, 'desk', error.word)}") from None
    return out


def _build(
    merged: dict[str, Any], backends: tuple[BackendConfig, ...], sources: tuple[Path, ...], data: Path | None, read_only: bool
) -> Config:
    site, console, roles = merged.get("site", {}), merged.get("console", {}), merged.get("roles", {})
    desk = merged.get("desk", {})
    folder = data or (Path(os.environ["DESKSIDE_DATA"]) if os.environ.get("DESKSIDE_DATA") and not service_mode() else None)
    folder = folder or (Path(console["data"]).expanduser() if "data" in console else default_data())
    return Config(
        site_name=site.get("name", "deskside"), timezone=site.get("timezone", _local_zone()), data=folder.absolute(), sources=sources,
        backends=with_sites(backends) or embedded_default(), keys=merged.get("keys", {}), theme=console.get("theme", "dark"),
        read_only=read_only or console.get("read_only", False), driver=console.get("driver", "thin"), mouse=console.get("mouse", True),
        roles=_roles(roles, bool(sources)), store_engine=merged.get("store", {}).get("engine"), syslog=merged.get("ledger", {}).get("syslog"), views=tuple(merged.get("views", {}).values()),
        macros=tuple(merged.get("macros", {}).values()), canned=tuple(merged.get("canned", {}).values()), templates=tuple(merged.get("templates", {}).values()),
        next_after_action=desk.get("next_after_action", False), absent=tuple(desk.get("absent", ())),
        teams={name: tuple(people) for name, people in desk.get("teams", {}).items()},
        restore=merged.get("restore", {}),
    )  # fmt: skip


def _roles(table: dict[str, Any], configured: bool) -> Roles:
    """Without any file the one person at this machine is its admin; with one, everybody is a technician until it says more."""
    default = table.get("default", "technician" if configured else "admin")
    if default not in ("technician", "supervisor", "admin"):
        raise BadConfig(f"roles.default must be technician, supervisor or admin, not {default!r}")
    return Roles(tuple(table.get("admins", ())), tuple(table.get("supervisors", ())), tuple(table.get("technicians", ())), default)


def _local_zone() -> str:
    try:
        target = os.readlink("/etc/localtime")
        return target.split("zoneinfo/", 1)[1]
    except (OSError, IndexError):
        return "UTC"


def embedded_default() -> tuple[BackendConfig, ...]:
    """What opens with nothing configured: own tickets, this machine, its accounts, and a restic repository the environment names."""
    found = [
        BackendConfig("tickets", "desk", "embedded"), BackendConfig("devices", "here", "local"), BackendConfig("accounts", "here", "posix"),
    ]  # fmt: skip
    repository = os.environ.get("RESTIC_REPOSITORY")
    if repository and not service_mode():
        secret = {"RESTIC_PASSWORD_FILE": "file:", "RESTIC_PASSWORD_COMMAND": "command:"}
        options = {"repository": repository}
        for name, kind in secret.items():
            if os.environ.get(name):
                options["password"] = kind + os.environ[name]
        if "password" not in options and os.environ.get("RESTIC_PASSWORD"):
            options["password"] = "env:RESTIC_PASSWORD"
        found.append(BackendConfig("backups", "restic", "restic", options))
    return tuple(found)
