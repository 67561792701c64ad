"""Ticket numbers: what people say ("T-1042"), and the counter that gives each number out once. Never imports an adapter."""

from __future__ import annotations

import re

from backends.store.contract import Order, Store

FIRST = 1001
COUNTER = "tickets"


def spoken(number: int, prefix: str = "T-") -> str:
    """The number as people say it."""
    return f"{prefix}{number}"


def heard(text: str, prefix: str = "T-") -> int | None:
    """The number in "1042", "T-1042", "t-1042" or "#1042"; None where it is not a number but an id."""
    found = re.fullmatch(rf"(?:{re.escape(prefix)}|#)?(\d{{1,12}})", text.strip(), re.IGNORECASE)
    return int(found.group(1)) if found else None


def next_number(store: Store) -> int:
    """A number nobody else gets. The first one follows the highest that was loaded from elsewhere."""
    newest = store.select("tickets", order=[Order("number", descending=True)], limit=1, fields=["number"])
    start = max(FIRST, int(newest[0].doc["number"]) + 1) if newest else FIRST
    number = store.next_number(COUNTER, start)
    while number < start:  # tickets were loaded after the counter had begun
        number = store.next_number(COUNTER, start)
    return number
