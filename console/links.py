"""Links between ticket, device, account and snapshot, kept in the record store and found from both ends. Never imports textual."""

from __future__ import annotations

from typing import Any

from backends.contract import Ref, now
from backends.errors import Invalid
from backends.store.contract import AnyOf, Order, Test

COLLECTION = "links"


class Links:
    """A link is one record of two references; its id is made of both, so that it is there once."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def add(self, one: str, other: str, by: str = "") -> None:
        """Link two records; linking them again changes nothing. Invalid for what is no reference."""
        first, second = self._pair(one, other)
        ident = f"{first}|{second}"
        if self._store.get(COLLECTION, ident) is None:
            self._store.index(COLLECTION, "one", "other")
            self._store.put(COLLECTION, ident, {"one": first, "other": second, "by": by, "at": now().isoformat()})

    def remove(self, one: str, other: str, by: str = "") -> None:
        """Unlink; what is not linked stays so."""
        first, second = self._pair(one, other)
        if self._store.get(COLLECTION, f"{first}|{second}") is not None:
            self._store.delete(COLLECTION, f"{first}|{second}")

    def of(self, ref: str) -> list[str]:
        """What a record is linked to, from either end."""
        where = AnyOf((Test("one", "eq", ref), Test("other", "eq", ref)))
        found = self._store.select(COLLECTION, where, [Order("at")])
        return [record.doc["other"] if record.doc["one"] == ref else record.doc["one"] for record in found]

    @staticmethod
    def _pair(one: str, other: str) -> tuple[str, str]:
        try:
            first, second = sorted((str(Ref.parse(one)), str(Ref.parse(other))))
        except ValueError as error:
            raise Invalid(str(error), hint="A reference is written domain:backend:id, such as devices:here:web01.") from None
        if first == second:
            raise Invalid("a record is not linked to itself")
        return first, second
