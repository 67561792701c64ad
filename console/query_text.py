"""One line of filter text as a query: plain words are text, `!` in front turns it round, `status:open` and the like narrow it.

Never imports textual. The text of a filter is what stands behind `/` in the console and in saved views.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from backends.accounts.model import AccountState
from backends.backups.model import Protection
from backends.devices.model import State
from console.query_words import WrongWord, unquoted, words
from console.ticket_query import read_ticket_query, spoken_query

Setter = Callable[[str, str], dict[str, Any]]


def _words(field: str, kind: Callable[[str], Any] = str) -> Setter:
    def read(value: str, me: str) -> dict[str, Any]:
        found = tuple(kind(part) for part in value.split(",") if part)
        if not found:
            raise ValueError(value)
        return {field: found}

    return read


def _one(field: str) -> Setter:
    def read(value: str, me: str) -> dict[str, Any]:
        if not value:
            raise ValueError(value)
        return {field: me if value == "me" else value}

    return read


WORDS: Mapping[str, Mapping[str, Setter]] = {
    "devices": {"state": _words("states", lambda word: State(word.upper())), "kind": _words("kinds"), "site": _words("sites")},
    "backups": {"state": _words("protections", lambda word: Protection(word.upper()))},
    "accounts": {"state": _words("states", lambda word: AccountState(word.upper())), "group": _one("group"), "department": _one("department")},
}  # fmt: skip
FLAGS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "devices": {"faults": {"faults": True}}, "backups": {"faults": {"faults": True}},
    "accounts": {"faults": {"faults": True}},
}  # fmt: skip


def read_query(domain: str, text: str, base: Any, me: str, zone: str = "UTC") -> Any:
    """`base`, a view, narrowed by the filter text; days begin at midnight in `zone`. WrongWord (an Invalid) points at the wrong word."""
    if domain == "tickets":
        return read_ticket_query(text, base, me, zone)
    fields = {field.name for field in dataclasses.fields(base)}
    changes: dict[str, Any] = {"text": ""}
    if "inverse" in fields:
        changes["inverse"] = False
    plain: list[str] = []
    for place, written in enumerate(words(text)):
        word = unquoted(written.text)
        name, mark, value = word.partition(":")
        if mark and name in WORDS.get(domain, {}):
            try:
                changes |= WORDS[domain][name](value, me)
            except ValueError:
                known = f"{value!r} is not known here" if value else f"{name}: needs a value, such as {name}:x"
                raise WrongWord(known, text, written.start, written.end) from None
        elif word in FLAGS.get(domain, {}):
            changes |= FLAGS[domain][word]
        elif place == 0 and word.startswith("!") and "inverse" in fields:
            changes["inverse"] = True
            plain.append(word[1:])
        else:
            plain.append(word)
    if base.text and not getattr(base, "inverse", False) and not changes.get("inverse"):
        plain.insert(0, base.text)
    changes["text"] = " ".join(part for part in plain if part)
    return dataclasses.replace(base, **{name: value for name, value in changes.items() if name in fields})


def spoken(domain: str, query: Any, zone: str = "UTC") -> str:
    """What a query asks for, as one would type it."""
    if domain == "tickets":
        return spoken_query(query, zone)
    parts = [f"{name}:{','.join(map(str, value))}" for name, value in vars_of(query) if isinstance(value, tuple) and value]
    parts += [name for name, value in vars_of(query) if value is True and name == "faults"]
    text = getattr(query, "text", "")
    return " ".join([*parts, *([("!" if getattr(query, "inverse", False) else "") + text] if text else [])])


def vars_of(query: Any) -> list[tuple[str, Any]]:
    """Names and values of a query's fields; states are called `state`, as they are typed."""
    names = {"states": "state", "protections": "state", "kinds": "kind", "sites": "site"}
    return [(names.get(field.name, field.name), getattr(query, field.name)) for field in dataclasses.fields(query)]
