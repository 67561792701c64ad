"""Conditions and orders of the store's contract over plain documents, for the engine that holds them in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backends.store.contract import All, AnyOf, Not, Order, Record, Test, Where

Match = Callable[[Mapping[str, Any]], bool]


def field_of(doc: Mapping[str, Any], field: str) -> Any:
    """The value of "a" or "a.b"; None when it is missing."""
    value: Any = doc
    for part in field.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def matcher(where: Where) -> Match:
    """A predicate for documents."""
    if isinstance(where, Test):
        return _test(where)
    if isinstance(where, Not):
        inner = matcher(where.part)
        return lambda doc: not inner(doc)
    assert isinstance(where, All | AnyOf)
    parts = [matcher(part) for part in where.parts]
    if isinstance(where, All):
        return lambda doc: all(part(doc) for part in parts)
    return lambda doc: any(part(doc) for part in parts)


def _ordered(value: Any, wanted: Any, fits: Callable[[Any, Any], bool]) -> bool:
    if value is None or isinstance(value, str) != isinstance(wanted, str):
        return False
    return fits(value, wanted)


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "lt": lambda value, wanted: value < wanted, "le": lambda value, wanted: value <= wanted,
    "gt": lambda value, wanted: value > wanted, "ge": lambda value, wanted: value >= wanted,
}  # fmt: skip


def _test(test: Test) -> Match:
    field, wanted = test.field, test.value
    if test.op == "eq":
        return lambda doc: field_of(doc, field) == wanted
    if test.op == "ne":
        return lambda doc: field_of(doc, field) != wanted
    if test.op in _COMPARE:
        fits = _COMPARE[test.op]
        return lambda doc: _ordered(field_of(doc, field), wanted, fits)
    if test.op == "any":
        return lambda doc: field_of(doc, field) in wanted
    if test.op == "member":
        return lambda doc: wanted in (field_of(doc, field) or ())
    needle = str(wanted).casefold()
    return lambda doc: needle in str(field_of(doc, field) or "").casefold()


def sort_records(records: list[Record], order: Sequence[Order]) -> list[Record]:
    """Stable: missing values last in either direction, then the id in the direction of the first key."""
    out = sorted(records, key=lambda record: record.id, reverse=bool(order and order[0].descending))
    for item in reversed(order):
        name, down = item.field, item.descending
        out.sort(key=lambda record: _sort_key(field_of(record.doc, name), down), reverse=down)
    return out


def _sort_key(value: Any, descending: bool) -> tuple[bool, Any]:
    missing = value is None
    return (missing != descending, "" if missing else value) if not missing else (not descending, 0)
