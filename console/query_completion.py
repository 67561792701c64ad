"""Whole words for the last word of a query line: fields, flags, and values the ticket system knows. Never imports textual."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from backends.tickets.model import Phase, Vocabulary
from console.query_words import quoted, unquoted, words
from console.ticket_query import FIELDS, FLAGS, MOMENTS

KINDS = ("incident", "request", "problem", "change", "task")
SPANS: Mapping[str, Sequence[str]] = {
    "due": ("1h", "1d", "2d", "7d", "today", "tomorrow"), "pending": ("1d", "7d", "tomorrow"), "created": ("1d", "7d", "30d", "today"), "updated": ("1d", "7d", "30d"),
}  # fmt: skip
ALIASES = {"assignee": "owner", "priority": "prio"}


def completer(known: Vocabulary | None, me: str) -> Callable[[str], list[str]]:
    """Candidates for the last word of the line up to the cursor."""
    found = _known(known)
    customs = [f"field.{quoted(name)}:" for name in (known.fields if known is not None else ())]

    def complete(head: str) -> list[str]:
        typed = words(head)
        last = typed[-1].text if typed and typed[-1].end == len(head) else ""
        mark, bare = ("!", last[1:]) if last.startswith("!") else ("", last)
        for sign in ":<>":
            name, there, value = bare.partition(sign)
            if there and '"' not in name:
                return [f"{mark}{name}{sign}{word}" for word in _values(found, name.lower(), sign, value)]
        names = [f"{field}:" for field in sorted(FIELDS)] + [f"{field}<" for field in MOMENTS] + [*FLAGS, *customs]
        return [mark + word for word in names if bare and word.lower().startswith(bare.lower())]

    return complete


def _known(words_: Vocabulary | None) -> dict[str, Sequence[str]]:
    known: dict[str, Sequence[str]] = {
        "status": ("open", "all", *(phase.value for phase in Phase)), "phase": ("open", *(phase.value for phase in Phase)), "owner": ("me", "nobody"),
        "prio": ("1", "2", "3", "4"), "kind": KINDS, "from": ("me",),
    }  # fmt: skip
    if words_ is None:
        return known
    known |= {"queue": words_.queues, "owner": ("me", "nobody", *words_.agents), "category": words_.categories, "team": words_.teams, "vendor": words_.vendors}
    known["status"] = (*known["status"], *words_.statuses)
    return known


def _values(known: Mapping[str, Sequence[str]], name: str, sign: str, value: str) -> list[str]:
    if sign != ":":
        return [word for word in SPANS.get(name, ()) if word.startswith(value.lower())]
    before, comma, last = value.rpartition(",")
    if last.count('"') > 1 or before.count('"') % 2:
        return []
    start = unquoted(last).lower()
    return [before + comma + quoted(word) for word in dict.fromkeys(known.get(ALIASES.get(name, name), ())) if word.lower().startswith(start)]
