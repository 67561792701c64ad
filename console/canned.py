"""Canned text: the site's usual sentences, put into a reply or note with one key. Never imports textual."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.placeholders import Wrong, check_fields

USES = ("both", "reply", "note")


@dataclass(frozen=True, slots=True)
class Canned:
    """`text` has fields; `use` says where it is offered: reply, note or both."""

    name: str
    text: str
    use: str = "both"

    def head(self) -> str:
        """Its first line, for a menu."""
        return self.text.strip().split("\n")[0][:70]


def read_canned(name: str, table: Mapping[str, Any]) -> Canned:
    """From `[canned.NAME]`. Wrong says what is not understood."""
    for key in table:
        if key not in ("text", "use"):
            raise Wrong(f"unknown key {key!r}; known: text, use", key)
    text, use = table.get("text"), table.get("use", "both")
    if not isinstance(text, str) or not text.strip():
        raise Wrong("text: is missing", "text")
    if use not in USES:
        raise Wrong(f"use: {use!r} is not one of {', '.join(USES)}", "use")
    return Canned(name, check_fields(text), use)
