"""One line of filter text as a query: plain words are text, `!` in front turns it round, `status:open` and the like narrow it.

Never imports textual. The text of a filter is what stands behind `/` in the console and in saved views.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from backends.accounts.model import AccountState
from backends.backups.model import Protection
from backends.devices.model import State
from backends.errors import Invalid
from console.ticket_query import read_ticket_query

Setter = Callable[[str, str], dict[str, Any]]


def _words(field: str, kind: Callable[[str], Any] = str) -> Setter:
    def read(value: str, me: str) -> dict[str, Any]:
        try:
            return {field: tuple(kind(part) for part in value.split(","))}
        except ValueError:
            raise Invalid(f"{value!r} is not known here") from None

    return read


def _one(field: str) -> Setter:
    return lambda value, me: {field: me if value == "me" else value}


WORDS: Mapping[str, Mapping[str, Setter]] = {
    "devices": {"state": _words("states", lambda word: State(word.upper())), "kind": _words("kinds"), "site": _words("sites")},
    "backups": {"state": _words("protections", lambda word: Protection(word.upper()))},
    "accounts": {"state": _words("states", lambda word: AccountState(word.upper())), "group": _one("group"), "department": _one("department")},
}  # fmt: skip
FLAGS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "devices": {"faults": {"faults": True}}, "backups": {"faults": {"faults": True}},
    "accounts": {"faults": {"faults": True}},
}  # fmt: skip


def read_query(domain: str, text: str, base: Any, me: str) -> Any:
    """`base` with the filter text applied. Invalid names the word that is not understood. Text goes on anew, it never adds up."""
    if domain == "tickets":
        return read_ticket_query(text, base, me)
    fields = {field.name for field in dataclasses.fields(base)}
    changes: dict[str, Any] = {"text": ""}
    if "inverse" in fields:
        changes["inverse"] = False
    plain: list[str] = []
    for place, word in enumerate(_split(text)):
        name, mark, value = word.partition(":")
        if mark and name in WORDS.get(domain, {}):
            if not value:
                raise Invalid(f"{name}: needs a value, such as {name}:x")
            changes |= WORDS[domain][name](value, me)
        elif word in FLAGS.get(domain, {}):
            changes |= FLAGS[domain][word]
        elif place == 0 and word.startswith("!") and "inverse" in fields:
            changes["inverse"] = True
            plain.append(word[1:])
        else:
            plain.append(word)
    changes["text"] = " ".join(part for part in plain if part)
    return dataclasses.replace(base, **{name: value for name, value in changes.items() if name in fields})


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text, posix=True) if '"' in text else text.split()
    except ValueError:
        return text.replace('"', " ").split()
