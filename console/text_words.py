"""Words of macros and templates that no ticket system knows: found before somebody needs them. Never imports textual."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backends.errors import BackendError
from console.desk import Desk

_KNOWN = ("status", "queue", "category")


async def unknown_words(desk: Desk) -> list[str]:
    """A sentence a word. A word is known when one of the open ticket systems has it; where none answers nothing is said."""
    known: dict[str, set[str]] = {name: set() for name in _KNOWN}
    heard = False
    for opened in desk.backends("tickets"):
        if opened.backend is None:
            continue
        try:
            words = await opened.backend.vocabulary()
        except BackendError:
            continue
        heard = True
        for name, found in (("status", words.statuses), ("queue", words.queues), ("category", words.categories)):
            known[name] |= {word.casefold() for word in found}
    if not heard:
        return []
    return [f"{where}: {name} {word!r} is not known" for where, name, word in _used(desk) if known[name] and word.casefold() not in known[name]]


def _used(desk: Desk) -> Iterable[tuple[str, str, str]]:
    """(where, which kind of word, the word)."""
    for macro in desk.config.macros:
        for number, step in enumerate(macro.steps, 1):
            yield from _words(f"[macros.{macro.name}] step {number}", {step.deed: step.value, **step.more})
    for template in desk.config.templates:
        yield from _words(f"[templates.{template.name}]", template.values)


def _words(where: str, values: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    for name in _KNOWN:
        if isinstance(values.get(name), str):
            yield where, name, values[name]
