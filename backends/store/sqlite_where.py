"""Conditions and orders of the store's contract as SQLite text. Values always travel as parameters.

The collection's row table is called `c` in every statement; a declared field is a column of it, any other field is read
from the document.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backends.store.contract import All, AnyOf, Not, Order, Test, Where
from backends.store.values import contains, dump, field_name, scalar

Sql = tuple[str, list[Any]]
_LONGEST_LIKE = 2_000
_MOST_WAYS = 16
_CONTEXT = frozenset("σς\u0307")
"""Letters whose lower case depends on their neighbours."""
_OTHER_CAPITALS = {"θ": "\u03f4", "ß": "\u1e9e", "ω": "\u2126", "å": "\u212b"}
"""Capitals that upper() does not give back (all there are, by Python's Unicode tables; K for Kelvin aside)."""
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
        found = f"json_extract({self.doc}, '{path(field)}')"
        whole = self.whole(field)
        return f"CASE WHEN {whole} IS NULL THEN NULL ELSE {found} END" if whole else found

    def whole(self, field: str) -> str:
        """The column that holds the object or list a field is in, as JSON text; "" where none is declared."""
        first = field.split(".", 1)[0]
        return f'c."f:{first}"' if first in self.declared else ""


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
        return _first_in_text(columns.whole(test.field), [test.value], (f"EXISTS ({held})", [scalar(test.value)]))
    inside = "" if test.field in columns.declared else columns.whole(test.field)
    if test.op == "any":
        return _first_in_text(inside, test.value, _any(name, [scalar(value) for value in test.value]))
    if test.op == "has":
        return _has(name, str(scalar(test.value)))
    value = scalar(test.value)
    if test.op in ("eq", "ne"):
        sign = "IS" if test.op == "eq" else "IS NOT"
        found: Sql = (f"{name} {sign} NULL", []) if value is None else (f"{name} {sign} ?", [value])
        return _first_in_text(inside, [test.value], found) if test.op == "eq" else found
    return _comparison(name, _COMPARE[test.op], value)


def _first_in_text(column: str, wanted: Sequence[Any], test: Sql) -> Sql:
    """The test, but only where the JSON text of the whole object or list holds one of these texts: parsing 100,000 documents took 1.8 s.

    Plain ASCII texts only: they are written one way in any JSON.
    """
    if not column or not wanted or not all(isinstance(value, str) and value.isascii() for value in wanted):
        return test
    holds = " OR ".join(f"instr({column}, ?)" for _ in wanted)
    return f"({column} IS NOT NULL AND ({holds}) AND {test[0]})", [*(dump(value) for value in wanted), *test[1]]


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
    """ASCII goes through LIKE, 15 to 40 ms for 100,000 rows. Other letters go through our own folding, 220 ms, unless LIKE finds first
    where it is worth it: by the ASCII letters of the text, or, where it has none, by all ways to write its letters.
    """
    folded = text.lower()
    if "\0" in folded or len(folded) > _LONGEST_LIKE:
        return f"has_text({name}, ?)", [folded]
    if folded.isascii():
        return f"({name} IS NOT NULL AND {name} LIKE ? ESCAPE '\\')", [f"%{_escaped(folded)}%"]
    if _CONTEXT & set(folded):
        return f"has_text({name}, ?)", [folded]
    if any(letter.isascii() for letter in folded):
        first = "".join(_escaped(letter) if letter.isascii() else "_" for letter in folded)
        return f"({name} IS NOT NULL AND {name} LIKE ? ESCAPE '\\' AND has_text({name}, ?))", [f"%{first}%", folded]
    ways = math.prod(len(_ways(letter)) for letter in folded)
    if ways > _MOST_WAYS:
        return f"has_text({name}, ?)", [folded]
    likes = [f"%{''.join(written)}%" for written in itertools.product(*map(_ways, folded))]
    return f"({name} IS NOT NULL AND ({' OR '.join(f'{name} LIKE ?' for _ in likes)}))", likes


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _ways(letter: str) -> list[str]:
    """All letters that are this one in lower case."""
    ways = dict.fromkeys((letter, letter.upper(), letter.title(), *_OTHER_CAPITALS.get(letter, "")))
    return [way for way in ways if way.lower() == letter]


def searched_field(where: Where) -> str:
    """The field, if text in one field is all that is asked for, else ""."""
    if isinstance(where, Test):
        return where.field if where.op == "has" else ""
    found = {searched_field(part) for part in ((where.part,) if isinstance(where, Not) else where.parts)}
    return found.pop() if len(found) == 1 else ""


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
