"""JSON values as the store keeps and compares them: one meaning for every engine. Never imports an engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends.errors import Invalid

Scalar = str | int | float | None
_COLLECTION = re.compile(r"[a-z][a-z0-9_-]*")
_FIELD = re.compile(r"[^\s.,\"'\\$\[\]]+(\.[^\s.,\"'\\$\[\]]+)*")
_LARGEST = 2**63


def dump(value: Any) -> str:
    """Compact JSON. Invalid for what JSON does not have (NaN, a datetime): one such document would make a list unreadable."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid(f"the document can't be stored as JSON: {error}") from None
    # Half a surrogate pair can't be UTF-8; escaped it comes back as it was.
    return text if _encodable(text) else json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def plain(doc: Mapping[str, Any]) -> dict[str, Any]:
    """A copy as JSON has it: what the caller changes later is not what was stored."""
    copy: dict[str, Any] = json.loads(dump(doc))
    return copy


def only(doc: Mapping[str, Any], fields: Sequence[str] | None) -> Mapping[str, Any]:
    """The document with these top-level fields alone."""
    return doc if fields is None else {name: doc[name] for name in fields if name in doc}


def collection_name(name: str) -> str:
    """The name if it may be one; ValueError otherwise."""
    if not _COLLECTION.fullmatch(name):
        raise ValueError(f"not a collection name: {name!r}")
    return name


def field_name(name: str) -> str:
    """The field if it may be one ("status", "requester.name"); ValueError otherwise."""
    if not _FIELD.fullmatch(name):
        raise ValueError(f"not a field name: {name!r}")
    return name


def getter(field: str) -> Callable[[Mapping[str, Any]], Any]:
    """Reads "a" or "a.b" from a document; None when it is missing."""
    first, *rest = field_name(field).split(".")
    if not rest:
        return lambda doc: doc.get(first)

    def nested(doc: Mapping[str, Any]) -> Any:
        value = doc.get(first)
        for part in rest:
            if not isinstance(value, Mapping):
                return None
            value = value.get(part)
        return value

    return nested


def scalar(value: Any) -> Scalar:
    """The value as it is compared and sorted: true is 1, a list or object is its JSON text, a huge number a float."""
    if value is None or type(value) is str:
        return value if value is None or _encodable(value) else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value if -_LARGEST <= value < _LARGEST else float(value)
    if isinstance(value, float):
        return value
    return scalar(value if isinstance(value, str) else dump(value))


def contains(value: Scalar, folded: str) -> bool:
    """The text of the value holds `folded`, which is in lower case already."""
    return value is not None and folded in str(value).lower()
