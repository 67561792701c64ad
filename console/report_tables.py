"""Tables of a report and their four faces: text, Markdown, HTML and CSV. Plain values in; knows nothing of tickets. Never imports textual."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

from backends.text import clean
from console.export_cells import guarded

Cell = str | int | float | None
FACES = ("text", "md", "html", "csv")
_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2em auto;max-width:60em;color:#111;background:#fff}table{border-collapse:collapse;margin:0 0 2em}"
    "caption{text-align:left;font-weight:600;padding:.3em 0}th,td{padding:.2em .8em;border-bottom:1px solid #ccc;text-align:right}"
    "th:first-child,td:first-child{text-align:left}@media print{body{margin:0}table{break-inside:avoid}}"
)


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the columns, and rows whose first cell names them; None is nothing to say."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def render(face: str, title: str, notes: Sequence[str], tables: Sequence[Table]) -> str:
    """The whole report with one of FACES."""
    return {"text": _text, "md": _markdown, "html": _html, "csv": _csv}[face](clean(title), [clean(note) for note in notes], tables)


def word(cell: Cell) -> str:
    """A cell as people read it."""
    if cell is None:
        return "-"
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.1f}" if isinstance(cell, float) else clean(cell)


def _text(title: str, notes: Sequence[str], tables: Sequence[Table]) -> str:
    lines = [title, *notes]
    for table in tables:
        cells = [list(table.columns), *([word(cell) for cell in row] for row in table.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(table.columns))]
        lines += ["", table.title.upper()]
        for row in cells:
            lines.append("  ".join(cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip())
        if not table.rows:
            lines.append("nothing")
    return "\n".join(lines) + "\n"


def _markdown(title: str, notes: Sequence[str], tables: Sequence[Table]) -> str:
    lines = [f"# {_plain(title)}", "", *(_plain(note) + "  " for note in notes)]
    for table in tables:
        lines += ["", f"## {_plain(table.title)}", "", "| " + " | ".join(map(_plain, table.columns)) + " |", "|---|" + "---:|" * (len(table.columns) - 1)]
        lines += ["| " + " | ".join(_plain(word(cell)) for cell in row) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Names of queues and people are not markup."""
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|!~" else letter for letter in text)


def _html(title: str, notes: Sequence[str], tables: Sequence[Table]) -> str:
    parts = [
        "<!doctype html>", '<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>", f"<h1>{html.escape(title)}</h1>", *(f"<p>{html.escape(note)}</p>" for note in notes),
    ]  # fmt: skip
    for table in tables:
        head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
        rows = ("<tr>" + "".join(f"<td>{html.escape(word(cell))}</td>" for cell in row) + "</tr>" for row in table.rows)
        parts += [f"<table><caption>{html.escape(table.title)}</caption><thead><tr>{head}</tr></thead><tbody>", *rows, "</tbody></table>"]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _csv(title: str, notes: Sequence[str], tables: Sequence[Table]) -> str:
    """One figure a line: table, row, column, value. A spreadsheet makes of it what it likes."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("table", "row", "column", "value"))
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns[1:], row[1:], strict=True):
                writer.writerow((table.title, guarded(clean(str(row[0]))), column, "" if cell is None else cell if isinstance(cell, int | float) else guarded(clean(cell))))
    return out.getvalue()
