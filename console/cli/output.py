"""`Output`: what a command prints - plain columns for people and pipes, JSON for programs. Everything is cleaned on its way out."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from backends.errors import BackendError
from backends.text import clean

SCHEMA_VERSION = 1


class Output:
    """Standard output and standard error of one command."""

    def __init__(self, as_json: bool = False, stream: TextIO | None = None, errors: TextIO | None = None) -> None:
        self.json = as_json
        self.stream = stream or sys.stdout
        self.errors = errors or sys.stderr

    def rows(self, kind: str, columns: Sequence[tuple[str, str]], rows: Sequence[Mapping[str, Any]], **more: Any) -> None:
        """A list: columns as (key, title). With JSON all keys of each row are given."""
        if self.json:
            self._json({"schema_version": SCHEMA_VERSION, "kind": kind, **more, "items": [dict(row) for row in rows]})
            return
        cells = [[self._cell(row.get(key)) for key, _ in columns] for row in rows]
        widths = [max([_width(title), *(_width(line[place]) for line in cells)]) for place, (_, title) in enumerate(columns)]
        for line in [[title for _, title in columns], *cells]:
            self._print("  ".join(_pad(text, widths[place]) for place, text in enumerate(line)).rstrip())

    def record(self, kind: str, record: Mapping[str, Any]) -> None:
        """One record: name and value a line, or JSON."""
        if self.json:
            self._json({"schema_version": SCHEMA_VERSION, "kind": kind, "item": dict(record)})
            return
        width = max((_width(str(name)) for name in record), default=0)
        for name, value in record.items():
            text = self._cell(value, one_line=False)
            first, *rest = text.split("\n")
            self._print(f"{_pad(str(name), width)}  {first}")
            for line in rest:
                self._print(" " * (width + 2) + line)

    def say(self, text: str) -> None:
        """A sentence for people; nothing with JSON."""
        if not self.json:
            self._print(clean(text, one_line=False))

    def warn(self, text: str) -> None:
        """A sentence on standard error."""
        print(clean(text, one_line=False), file=self.errors)

    def error(self, error: BackendError) -> None:
        """What happened and what to do, on standard error; with JSON as an object on standard output too."""
        if self.json:
            self._json(
                {
                    "schema_version": SCHEMA_VERSION,
                    "kind": "error",
                    "error": {
                        "type": type(error).__name__,
                        "title": error.title,
                        "text": clean(error.text),
                        "hint": error.hint,
                        "exit_code": error.exit_code,
                    },
                }
            )
        self.warn(f"deskside: {error.sentence()}")

    def _json(self, value: Any) -> None:
        self._print(json.dumps(value, ensure_ascii=True, default=_plain))

    def _print(self, line: str) -> None:
        self.stream.write(line + "\n")

    @staticmethod
    def _cell(value: Any, one_line: bool = True) -> str:
        if value is None or value == "":
            return "-"
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%dT%H:%M:%SZ")
        if isinstance(value, list | tuple | set | frozenset):
            return ", ".join(Output._cell(item) for item in value) or "-"
        if isinstance(value, Mapping):
            return ", ".join(f"{name}={Output._cell(item)}" for name, item in value.items()) or "-"
        return clean(str(value), one_line=one_line)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
