"""The dataclasses of `model` as JSON and back, exact in bytes: a path that is no text survives as surrogate escapes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backends.restore import model


def text(path: bytes) -> str:
    """A path as a JSON string can carry it."""
    return path.decode("utf-8", "surrogateescape")


def raw(path: str) -> bytes:
    """The inverse of `text`."""
    return path.encode("utf-8", "surrogateescape")


def plain(value: Any) -> Any:
    """Dataclasses, bytes and times as JSON values, each marked with what it was."""
    if isinstance(value, bytes):
        return {"~b": text(value)}
    if isinstance(value, datetime):
        return {"~t": value.isoformat()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"~": type(value).__name__, **{field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


def back(value: Any) -> Any:
    """The inverse of `plain`; lists become tuples. KeyError, TypeError, ValueError for what is none of ours."""
    if isinstance(value, list):
        return tuple(back(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "~b" in value:
        return raw(value["~b"])
    if "~t" in value:
        return datetime.fromisoformat(value["~t"])
    found = {key: back(item) for key, item in value.items() if key != "~"}
    kind = getattr(model, value["~"]) if "~" in value else None
    return kind(**found) if kind is not None else found


def dumps(value: Any) -> str:
    """One line of ASCII, keys in a fixed order: the same value is the same text."""
    return json.dumps(plain(value), ensure_ascii=True, sort_keys=True, separators=(",", ":"))


def loads(line: str | bytes) -> Any:
    """The inverse of `dumps`."""
    return back(json.loads(line))
