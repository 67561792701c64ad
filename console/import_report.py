"""What became of an import, in counts and lines, and the file of the rows that were refused. Never imports textual."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from backends.errors import NoSpace
from backends.tickets.imports import Fault
from console.export_cells import guarded
from console.import_csv import REASON, ROW

TOLD = 200
"""Lines of each kind that a report keeps in memory; the file of refused rows has all."""


@dataclass(slots=True)
class Report:
    """What became of the tickets, or would. `lines` are those worth a word."""

    counts: Counter[str] = field(default_factory=Counter)
    """created, updated, skipped, refused, kept (fields), tied, untied, lost (files)."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    file: str = ""
    """Where the refused rows are, "" while there are none."""

    def sentence(self, dry: bool = False) -> str:
        """The counts in words."""
        words = ("would create", "would update", "would skip", "can't import") if dry else ("created", "updated", "skipped", "refused")
        told = [f"{word} {self.counts[name]:,}" for word, name in zip(words, ("created", "updated", "skipped", "refused"), strict=True)]
        more = [f"{name} {self.counts[key]:,}" for key, name in (("kept", "fields kept as changed here"), ("tied", "ties made"), ("untied", "ties left open"), ("lost", "files left out")) if self.counts[key]]
        return ", ".join(told + more)

    def plain(self) -> dict[str, Any]:
        """For JSON and for a job's result."""
        return {
            "counts": dict(self.counts), "refused": [list(pair) for pair in self.refused], "kept": [list(pair) for pair in self.kept],
            "lost": [list(pair) for pair in self.lost], "unknown_words": self.unknown, "notes": self.notes, "refused_file": self.file,
        }  # fmt: skip


class RefusedFile:
    """The refused rows as they were, with why: mended, it can be imported again. Made when there is the first one."""

    def __init__(self, path: Path | None, header: tuple[str, ...]) -> None:
        self.path = path
        self._own = [place for place, name in enumerate(header) if name not in (ROW, REASON)]
        self._header = header
        self._file: TextIO | None = None

    def add(self, fault: Fault) -> None:
        """One more. NoSpace."""
        if self.path is None:
            return
        cells = [fault.raw[place] if place < len(fault.raw) else "" for place in self._own]
        try:
            file = self._opened()
            csv.writer(file, lineterminator="\r\n").writerow([*(guarded(cell) for cell in cells), fault.label, guarded(fault.why)])
            file.flush()
        except OSError as error:
            raise NoSpace(f"{self.path} can't be written: {error.strerror}") from None

    def _opened(self) -> TextIO:
        if self._file is None and self.path is not None:
            self._file = open(self.path, "w", encoding="utf-8", errors="replace", newline="")  # noqa: SIM115 - open as long as the run
            csv.writer(self._file, lineterminator="\r\n").writerow([*(self._header[place] for place in self._own), ROW, REASON])
        assert self._file is not None
        return self._file

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


def note(lines: list[tuple[str, str]], label: str, text: str) -> None:
    """Keep a line while there are not too many."""
    if len(lines) < TOLD:
        lines.append((label, text))
