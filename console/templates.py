"""Templates of new tickets, from `[templates.NAME]`: texts with fields that are asked one by one. Never imports textual.

A field with a dot is filled in by the console (`{me.name}`), any other is asked: by the words in `ask`, or by its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from console.placeholders import KNOWN, Wrong, check_fields, fields_of, fill

_KNOWN: Mapping[str, Any] = {
    "text": str, "subject": str, "body": str, "queue": str, "category": str, "kind": str, "team": str, "assignee": str, "requester": str,
    "priority": int, "impact": int, "urgency": int, "tags": list, "checklist": list, "ask": dict,
}  # fmt: skip
_LEVELS = ("priority", "impact", "urgency")
_WORDS = ("queue", "category", "kind", "team", "assignee")
_LISTS = ("tags", "checklist")


@dataclass(frozen=True, slots=True)
class Template:
    """`values` go into the ticket as they are; subject, body and checklist have fields."""

    name: str
    subject: str
    body: str = ""
    text: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    checklist: tuple[str, ...] = ()
    ask: Mapping[str, str] = field(default_factory=dict)
    requester: str = ""
    """Login of the usual requester; "" asks."""

    def questions(self) -> list[tuple[str, str]]:
        """(field, its question) in the order in which they are asked."""
        used = [name for text in (self.subject, self.body, *self.checklist) for name in fields_of(text) if name not in KNOWN]
        return [(name, self.ask.get(name, name.replace("_", " ").capitalize() + ":")) for name in dict.fromkeys([*self.ask, *used])]


def read_template(name: str, table: Mapping[str, Any]) -> Template:
    """From `[templates.NAME]`. Wrong says what is not understood, and which word it is about."""
    for key, value in table.items():
        if key not in _KNOWN:
            raise Wrong(f"unknown key {key!r}; known: {', '.join(_KNOWN)}", key)
        if not isinstance(value, _KNOWN[key]) or (_KNOWN[key] is int and isinstance(value, bool)):
            raise Wrong(f"{key}: must be {_KNOWN[key].__name__}, not {type(value).__name__}", key)
        if key in _LEVELS and isinstance(value, int) and not 1 <= value <= 4:
            raise Wrong(f"{key}: a number from 1 to 4", key)
        if key in _LISTS and not all(isinstance(item, str) and item.strip() for item in value):
            raise Wrong(f"{key}: must be a list of words", key)
    if not str(table.get("subject", "")).strip():
        raise Wrong("subject: is missing", "subject")
    ask = dict(table.get("ask", {}))
    made = Template(
        name, table["subject"], table.get("body", ""), table.get("text", ""), {key: table[key] for key in (*_LEVELS, *_WORDS, "tags") if key in table},
        tuple(table.get("checklist", ())), ask, table.get("requester", ""),
    )  # fmt: skip
    _check(made)
    return made


def _check(made: Template) -> None:
    texts = (made.subject, made.body, *made.checklist)
    used = {name for text in texts for name in fields_of(text)}
    for name, question in made.ask.items():
        if not isinstance(question, str) or not question.strip():
            raise Wrong(f"ask: {name} must be a question", name)
        if name not in used:
            raise Wrong(f"ask: {{{name}}} stands in no text of it", name)
    for text in texts:
        check_fields(text, [name for name in used if "." not in name])


def ticket_of(template: Template, answers: Mapping[str, str], known: Mapping[str, str], checklists: bool = True) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(values of the new ticket without its requester, fields there was nothing for). Without `checklists` the items stand in the text."""
    values = {**known, **answers}
    subject, lacking = fill(template.subject, values)
    body, more = fill(template.body, values)
    items = [fill(item, values) for item in template.checklist]
    made: dict[str, Any] = {"subject": " ".join(subject.split()), "body": body.strip(), **template.values}
    if items and not checklists:
        made["body"] = "\n".join([made["body"], "", *(f"[ ] {text}" for text, _ in items)]).strip()
    elif items:
        made["checklist"] = [text for text, _ in items]
    return made, tuple(dict.fromkeys([*lacking, *more, *(name for _, found in items for name in found)]))
