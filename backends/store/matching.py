"""Conditions and orders of the store's contract over plain documents, for the engine that holds them in memory."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from backends.store.contract import All, AnyOf, Not, Order, Test, Where
from backends.store.values import Scalar, contains, getter, scalar

Match = Callable[[Mapping[str, Any]], bool]
Row = tuple[str, Mapping[str, Any]]
"""A record's id and its document."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}


def matcher(where: Where) -> Match:
    """A predicate for documents."""
    if isinstance(where, Test):
        return _test(where)
    if isinstance(where, Not):
        inner = matcher(where.part)
        return lambda doc: not inner(doc)
    parts = [matcher(part) for part in where.parts]
    if len(parts) == 1:
        return parts[0]
    if isinstance(where, All):
        return lambda doc: all(part(doc) for part in parts)
    assert isinstance(where, AnyOf)
    return lambda doc: any(part(doc) for part in parts)


def _test(test: Test) -> Match:
    get = getter(test.field)
    if test.op == "any":
        among = {scalar(value) for value in test.value}
        return lambda doc: scalar(get(doc)) in among
    if test.op == "member":
        member = scalar(test.value)
        return lambda doc: isinstance(held := get(doc), list) and any(scalar(value) == member for value in held)
    if test.op == "has":
        folded = str(scalar(test.value)).lower()
        return lambda doc: contains(scalar(get(doc)), folded)
    wanted = scalar(test.value)
    if test.op == "eq":
        return lambda doc: scalar(get(doc)) == wanted
    if test.op == "ne":
        return lambda doc: scalar(get(doc)) != wanted
    return _comparison(get, _COMPARE[test.op], wanted)


def _comparison(get: Callable[[Mapping[str, Any]], Any], fits: Callable[[Any, Any], bool], wanted: Scalar) -> Match:
    """Values of another type than the wanted one never fit; nothing compares with a missing value."""
    if wanted is None:
        return lambda doc: False
    kind = str if isinstance(wanted, str) else (int, float)
    return lambda doc: isinstance(value := scalar(get(doc)), kind) and fits(value, wanted)


def sort_rows(rows: list[Row], order: Sequence[Order]) -> list[Row]:
    """Missing values last in either direction, numbers before text, then the id in the direction of the first key."""
    rows = sorted(rows, key=itemgetter(0), reverse=bool(order and order[0].descending))
    for item in reversed(order):
        get = getter(item.field)
        keyed = [(scalar(get(row[1])), row) for row in rows]
        present = [pair for pair in keyed if pair[0] is not None]
        one_kind = len({isinstance(value, str) for value, _ in present}) < 2
        present.sort(key=itemgetter(0) if one_kind else _ranked, reverse=item.descending)
        rows = [row for _, row in present] + [row for value, row in keyed if value is None]
    return rows


def _ranked(pair: tuple[Scalar, Row]) -> tuple[bool, Any]:
    return isinstance(pair[0], str), pair[0]


def tallied(docs: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> dict[tuple[Scalar, ...], int]:
    """How many documents, by the values of these fields."""
    getters = [getter(field) for field in fields]
    return dict(Counter(tuple(scalar(get(doc)) for get in getters) for doc in docs))
