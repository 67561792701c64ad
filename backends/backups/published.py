"""Snapshots as plain JSON, for what the collector publishes, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from backends.backups.model import Snapshot


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """Only JSON values; the hold is left out: it is not the repository's to say."""
    found = asdict(replace(snapshot, hold=""))
    return {**found, "time": snapshot.time.timestamp(), "paths": list(snapshot.paths), "tags": list(snapshot.tags)}


def from_json(item: Mapping[str, Any]) -> Snapshot:
    """The inverse."""
    values = {**item, "time": datetime.fromtimestamp(item["time"], UTC), "paths": tuple(item["paths"]), "tags": tuple(item["tags"])}
    return Snapshot(**values)
