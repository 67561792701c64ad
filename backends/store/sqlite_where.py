"""Conditions and orders of the store's contract as SQLite text. Values always travel as parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from backends.store.contract import All, AnyOf, Not, Order, Test, Where

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def column(field: str) -> str:
    """The expression of a field; the same text stands in the index, or it would not be used."""
    if not _NAME.fullmatch(field):
        raise ValueError(f"not a field name: {field!r}")
    path = "".join(f'."{part}"' for part in field.split("."))
    return f"json_extract(doc, '${path}')"


def _value(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


def compile_where(where: Where) -> tuple[str, list[Any]]:
    """(SQL condition, its parameters)."""
    if isinstance(where, Test):
        return _test(where)
    if isinstance(where, Not):
        sql, values = compile_where(where.part)
        return f"NOT coalesce({sql}, 0)", values
    joined, empty = (" AND ", "1") if isinstance(where, All) else (" OR ", "0")
    assert isinstance(where, All | AnyOf)
    parts = [compile_where(part) for part in where.parts]
    return ("(" + joined.join(f"({sql})" for sql, _ in parts) + ")" if parts else empty), [value for _, values in parts for value in values]


def _test(test: Test) -> tuple[str, list[Any]]:
    name = column(test.field)
    if test.op == "eq":
        return f"{name} IS ?", [_value(test.value)]
    if test.op == "ne":
        return f"{name} IS NOT ?", [_value(test.value)]
    if test.op in _COMPARE:
        return f"{name} {_COMPARE[test.op]} ?", [_value(test.value)]
    if test.op == "any":
        known = [_value(value) for value in test.value if value is not None]
        marks = ", ".join("?" * len(known))
        sql = f"{name} IN ({marks})"
        return (f"({sql} OR {name} IS NULL)" if None in test.value else sql), known
    if test.op == "member":
        path = column(test.field).removeprefix("json_extract(")
        return f"EXISTS (SELECT 1 FROM json_each({path} WHERE value IS ?)", [_value(test.value)]
    return _has(name, str(test.value))


def _has(name: str, text: str) -> tuple[str, list[Any]]:
    """ASCII goes through LIKE, which SQLite runs over an index without calling back; the rest through our own folding."""
    if text.isascii():
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"{name} LIKE ? ESCAPE '\\'", [f"%{escaped}%"]
    return f"instr(casefold({name}), ?) > 0", [text.casefold()]


def compile_order(order: Sequence[Order]) -> str:
    """ORDER BY text: missing values last, then the id in the direction of the first key."""
    parts = [f"{column(item.field)} DESC" if item.descending else f"{column(item.field)} ASC NULLS LAST" for item in order]
    parts.append("id DESC" if order and order[0].descending else "id ASC")
    return "ORDER BY " + ", ".join(parts)


def before_row(order: Sequence[Order], row: Sequence[Any]) -> tuple[str, list[Any]]:
    """SQL for "stands before this row": for each key, equal so far and then smaller (missing values stand last)."""
    parts: list[str] = []
    values: list[Any] = []
    same: list[str] = []
    same_values: list[Any] = []
    for item, value in zip(order, row, strict=False):
        name = column(item.field)
        if value is None:
            step, step_values = f"{name} IS NOT NULL", []
        else:
            step, step_values = f"{name} {'>' if item.descending else '<'} ?", [value]
        parts.append(" AND ".join([*same, step]))
        values += [*same_values, *step_values]
        same.append(f"{name} IS ?")
        same_values.append(value)
    sign = ">" if order and order[0].descending else "<"
    parts.append(" AND ".join([*same, f"id {sign} ?"]))
    values += [*same_values, row[-1]]
    return " OR ".join(f"({part})" for part in parts), values
