"""Conditions and orders of the store's contract as SQLite text. Values always travel as parameters.

The collection's row table is called `c` in every statement; a declared field is a column of it, any other field is read
from the document.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.store.contract import All, AnyOf, Not, Order, Test, Where
from backends.store.values import contains, field_name, scalar

Sql = tuple[str, list[Any]]
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True, slots=True)
class Columns:
    """How the fields of one collection are written in SQL: `doc` reads the document, `declared` fields are columns."""

    doc: str
    declared: frozenset[str]

    def of(self, field: str) -> str:
        """The expression of a field."""
        if field in self.declared:
            return f'c."f:{field}"'
        return f"json_extract({self.doc}, '{path(field)}')"


def path(field: str) -> str:
    """A JSON path: $."requester"."name"."""
    return "$" + "".join(f'."{part}"' for part in field_name(field).split("."))


def sql_contains(value: Any, folded: str) -> bool:
    """`contains` as an SQL function, for text that LIKE can't fold."""
    return contains(scalar(value), folded)


def compile_where(where: Where, columns: Columns) -> Sql:
    """(SQL condition, its parameters). A condition is never NULL, so that it can be negated."""
    if isinstance(where, Test):
        return _test(where, columns)
    if isinstance(where, Not):
        sql, values = compile_where(where.part, columns)
        return f"NOT ({sql})", values
    joined, empty = (" AND ", "1") if isinstance(where, All) else (" OR ", "0")
    assert isinstance(where, All | AnyOf)
    parts = [compile_where(part, columns) for part in where.parts]
    return ("(" + joined.join(sql for sql, _ in parts) + ")" if parts else empty), [value for _, values in parts for value in values]


def _test(test: Test, columns: Columns) -> Sql:
    name = columns.of(test.field)
    if test.op == "member":
        # Only elements of a list have a number as their key: a text or an object at this path holds no members.
        held = f"SELECT 1 FROM json_each({columns.doc}, '{path(test.field)}') WHERE typeof(key) = 'integer' AND value IS ?"
        return f"EXISTS ({held})", [scalar(test.value)]
    if test.op == "any":
        return _any(name, [scalar(value) for value in test.value])
    if test.op == "has":
        return _has(name, str(scalar(test.value)))
    value = scalar(test.value)
    if test.op in ("eq", "ne"):
        sign = "IS" if test.op == "eq" else "IS NOT"
        return (f"{name} {sign} NULL", []) if value is None else (f"{name} {sign} ?", [value])
    return _comparison(name, _COMPARE[test.op], value)


def _any(name: str, wanted: list[Any]) -> Sql:
    known = [value for value in wanted if value is not None]
    among = f"({name} IS NOT NULL AND {name} IN ({', '.join('?' * len(known))}))" if known else "0"
    return (f"({among} OR {name} IS NULL)" if None in wanted else among), known


def _comparison(name: str, sign: str, value: Any) -> Sql:
    """Only values of the same type fit. SQLite sorts NULL, numbers, text: a second bound keeps the other types out."""
    if value is None:
        return "0", []
    if isinstance(value, str):
        fits = f"{name} {sign} ?" + (f" AND {name} >= ''" if sign.startswith("<") else "")
    else:
        fits = f"{name} {sign} ?" + (f" AND {name} < ''" if sign.startswith(">") else "")
    return f"({name} IS NOT NULL AND {fits})", [value]


def _has(name: str, text: str) -> Sql:
    """ASCII goes through LIKE, 15 to 40 ms for 100,000 rows; other letters through our own folding, which is slower."""
    if text.isascii() and "\0" not in text:
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return f"({name} IS NOT NULL AND {name} LIKE ? ESCAPE '\\')", [f"%{escaped}%"]
    return f"has_text({name}, ?)", [text.lower()]


def searches(where: Where) -> bool:
    """Whether text is looked for somewhere in the condition: no index finds that."""
    if isinstance(where, Test):
        return where.op == "has"
    return any(searches(part) for part in ((where.part,) if isinstance(where, Not) else where.parts))


def compile_order(order: Sequence[Order], columns: Columns, *, sort: bool = False) -> str:
    """ORDER BY text: missing values last, then the id in the direction of the first key, so that one index serves both directions.

    With `sort` the index of the first key is not used: walking it and looking up each row took 150 ms for a text that is
    rare among 100,000, reading the rows in their own order and sorting what was found 30 ms.
    """
    parts = [f"{columns.of(item.field)} {'DESC' if item.descending else 'ASC NULLS LAST'}" for item in order]
    if sort and parts:
        parts[0] = "+" + parts[0]
    parts.append("c.id DESC" if order and order[0].descending else "c.id ASC")
    return "ORDER BY " + ", ".join(parts)


def before(order: Sequence[Order], row: Sequence[Any], column: Callable[[str], str]) -> list[Sql]:
    """What stands before this row (its key values, then its id), as conditions that exclude each other.

    One count for each is a range of an index; joined by OR they would be a scan.
    """
    found: list[Sql] = []
    same: list[str] = []
    same_values: list[Any] = []
    for item, value in zip(order, row, strict=False):
        name = column(item.field)
        if value is None:
            found.append((" AND ".join([*same, f"{name} IS NOT NULL"]), list(same_values)))
            same.append(f"{name} IS NULL")
            continue
        found.append((" AND ".join([*same, f"{name} {'>' if item.descending else '<'} ?"]), [*same_values, value]))
        same.append(f"{name} = ?")
        same_values.append(value)
    sign = ">" if order and order[0].descending else "<"
    found.append((" AND ".join([*same, f"c.id {sign} ?"]), [*same_values, row[-1]]))
    return found
