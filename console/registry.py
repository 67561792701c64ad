"""Adapters by name: entry points `deskside.<domain>`, listed without importing, imported one at a time, guarded.

From a checkout that is not installed the built-in table serves; it says the same as pyproject.toml (a test compares them).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from backends.errors import BadConfig, MissingTool

BUILT_IN: dict[str, dict[str, str]] = {
    "tickets": {"embedded": "backends.tickets.embedded:EmbeddedTickets"},
    "devices": {"local": "backends.devices.local:LocalMachine", "demo": "backends.devices.demo:DemoFleet"},
    "backups": {"restic": "backends.backups.restic:Restic", "borg": "backends.backups.borg:Borg", "demo": "backends.backups.demo:DemoBackups"},
    "accounts": {"posix": "backends.accounts.posix:PosixAccounts", "embedded": "backends.accounts.embedded:EmbeddedAccounts"},
}


def _found(domain: str) -> dict[str, str]:
    table = dict(BUILT_IN.get(domain, {}))
    for point in entry_points(group=f"deskside.{domain}"):
        table.setdefault(point.name, point.value)
    return table


def adapters(domain: str) -> list[str]:
    """Names of a domain's adapters; nothing is imported."""
    return sorted(_found(domain))


def load_adapter(domain: str, name: str) -> Callable[..., Any]:
    """The adapter's class. BadConfig for an unknown name, MissingTool when its library is not there, BadConfig when it is broken."""
    table = _found(domain)
    if name not in table:
        raise BadConfig(f"there is no {domain} adapter {name!r}; there are: {', '.join(sorted(table))}")
    point = EntryPoint(name, table[name], f"deskside.{domain}")
    try:
        adapter: Callable[..., Any] = getattr(import_module(point.module), point.attr)
    except ModuleNotFoundError as error:
        raise MissingTool(
            f"the {domain} adapter {name!r} needs the Python package {error.name}",
            hint=f"Install {error.name} into deskside's environment.",
        ) from None
    except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way; it must not take the console with it
        raise BadConfig(f"the {domain} adapter {name!r} can't be loaded: {type(error).__name__}") from None
    return adapter
