"""Backups that other tools' files name: one [backups.NAME] table becomes one a repository. Never imports textual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backends.errors import BackendError

if TYPE_CHECKING:
    from console.config import BackendConfig


def with_sites(backends: Sequence[BackendConfig]) -> tuple[BackendConfig, ...]:
    """The same, with `borgmatic` and `resticprofile` tables taken apart. A file that can't be read leaves its table as it is:
    opening it then says what is wrong, and everything else opens.
    """
    out: list[BackendConfig] = []
    for item in backends:
        out += _apart(item) if item.domain == "backups" and {"borgmatic", "resticprofile"} & set(item.options) else [item]
    return tuple(out)


def _apart(item: BackendConfig) -> list[BackendConfig]:
    from backends.backups.site_files import tables_of

    try:
        found = tables_of(item.adapter, item.options)
    except BackendError:
        return [item]
    if len(found) <= 1:
        return [replace(item, options=options) for _, options in found] or [item]
    return [replace(item, name=f"{item.name}-{label}", options=options) for label, options in found]
