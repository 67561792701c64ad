"""Filter, sort and count of account rows held in memory, and how a search text is compared. Plain values only; never imports an adapter."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from backends.accounts.model import ACCOUNT_SEVERITY, AccountCount, AccountQuery, AccountRow, AccountState

FAULTS = (AccountState.LOCKED, AccountState.EXPIRED, AccountState.STALE)
_PLAIN = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h"})


def folded(text: str) -> str:
    """Without case and accents: "Łukasz Muñoz" -> "lukasz munoz"."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_PLAIN))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _cased(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def searchable(*parts: str) -> str:
    """What a search looks into: the words as written and without accents, so that both "Muñoz" and "munoz" find her."""
    text = " ".join(part for part in parts if part)
    cased, plain = _cased(text), folded(text)
    return cased if cased == plain else f"{cased} {plain}"


def search_words(text: str) -> tuple[str, ...]:
    """The words of a search text; every one of them must be found."""
    return tuple(_cased(text).split())


def row_text(row: AccountRow, extra: str = "") -> str:
    """What a row is searched by."""
    return searchable(row.login, row.name, row.mail, row.department, row.kind, row.text, row.id, str(row.state), extra)


def matches(row: AccountRow, query: AccountQuery, groups: Sequence[str] = (), extra: str = "") -> bool:
    """Whether the row belongs into the list of the query."""
    if query.states and row.state not in query.states:
        return False
    if query.faults and row.state not in FAULTS:
        return False
    if query.group and query.group not in groups:
        return False
    if query.department and _cased(row.department) != _cased(query.department):
        return False
    if not query.text:
        return True
    text = row_text(row, extra)
    return all(word in text for word in search_words(query.text)) is not query.inverse


def _value(row: AccountRow, sort: str) -> Any:
    if sort == "severity":
        return ACCOUNT_SEVERITY.get(row.state, 0)
    value = getattr(row, sort, None)
    return folded(value) if isinstance(value, str) else value


def ordered(rows: Iterable[AccountRow], query: AccountQuery) -> list[AccountRow]:
    """Sorted as asked; rows without a value are last in either direction, equal ones stand by login."""
    by_login = sorted(rows, key=lambda row: (row.login, row.id))
    known = [row for row in by_login if _value(row, query.sort) not in (None, "")]
    missing = [row for row in by_login if _value(row, query.sort) in (None, "")]
    known.sort(key=lambda row: _value(row, query.sort), reverse=query.descending)
    return known + missing


def zone_of(name: str) -> ZoneInfo:
    """The site's zone; UTC where its name is not known."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def counted(states: Iterable[AccountState]) -> AccountCount:
    """Figures over the states of all accounts."""
    found = list(states)
    return AccountCount(
        total=len(found), locked=found.count(AccountState.LOCKED), disabled=found.count(AccountState.DISABLED),
        expired=found.count(AccountState.EXPIRED), stale=found.count(AccountState.STALE),
    )  # fmt: skip
