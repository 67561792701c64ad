"""A CSV file as incoming tickets: its encoding and delimiter are found or said, its columns are known by their headers or mapped by hand.

A row that can't be read is a `Fault` with its number as a spreadsheet shows it; the rest goes on. Never imports textual.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.errors import Invalid
from backends.text import clean
from backends.tickets.imports import Fault, Incoming, digest
from console.export_cells import unguarded
from console.import_dates import Dates

DELIMITERS = (",", ";", "\t", "|")
ROW, REASON = "import_row", "import_reason"
"""Columns that a file of refused rows has more: they are passed over when it comes back."""
LONGEST_CELL = 1_000_000
FIELDS = (
    "id", "subject", "body", "status", "queue", "category", "kind", "priority", "impact", "urgency", "assignee", "team", "requester", "login",
    "email", "phone", "location", "department", "origin", "tags", "watchers", "refs", "resolution", "pending_reason", "pending_until",
    "estimate", "time_spent", "author", "created_at", "updated_at", "first_response_at", "resolved_at", "closed_at", "links", "parent", "phase",
)  # fmt: skip
ALIASES: Mapping[str, tuple[str, ...]] = {
    "id": ("ticket", "ticket id", "ticket number", "ticket no", "number", "key", "case", "case number", "issue key", "reference", "#"),
    "subject": ("title", "summary", "short description"), "body": ("description", "details", "text", "content", "message"),
    "status": ("state",), "queue": ("group", "project", "mailbox"), "category": ("topic", "service"), "kind": ("type", "ticket type", "issue type"),
    "priority": ("severity",), "assignee": ("owner", "assigned to", "agent", "technician"), "team": ("assigned group", "support group"),
    "requester": ("requestor", "requester name", "customer", "customer name", "contact", "reporter", "caller", "user", "name", "from"),
    "login": ("requester login", "username", "user name", "user id"), "email": ("requester email", "e mail", "mail", "customer email", "email address"),
    "phone": ("telephone", "phone number"), "location": ("room", "building", "office", "site"), "department": ("dept", "organization", "organisation"),
    "origin": ("source", "channel", "via"), "tags": ("labels",), "watchers": ("cc",), "resolution": ("solution", "close notes"),
    "created_at": ("created", "create date", "date created", "created on", "opened", "open date", "submitted"), "author": ("created by", "opened by", "creator"),
    "updated_at": ("updated", "last updated", "last modified", "modified", "changed"), "first_response_at": ("first response", "responded"),
    "resolved_at": ("resolved", "solved", "resolution date", "date resolved"), "closed_at": ("closed", "close date", "date closed"),
    "time_spent": ("time worked", "minutes", "minutes spent"), "estimate": ("time estimated",), "parent": ("parent id", "parent ticket"),
}  # fmt: skip
_BY_HEADER = {alias: name for name, aliases in ALIASES.items() for alias in aliases} | {name.replace("_", " "): name for name in FIELDS}
_MOMENTS = ("created_at", "updated_at", "first_response_at", "resolved_at", "closed_at", "pending_until")
_LISTS = ("tags", "watchers", "refs")


@dataclass(slots=True)
class Layout:
    """How a file is written, and which column is which field ("" is not used)."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def unused(self) -> list[str]:
        """Headers of columns that no field is read from."""
        return [header for header, column in zip(self.header, self.columns, strict=True) if not column]


def sha256_of(path: Path) -> str:
    """The file's print: a job imports what was shown, or nothing. Invalid."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Invalid(f"{path} can't be read: {error.strerror}") from None


def look_at(path: Path, encoding: str = "", delimiter: str = "", mapped: Mapping[str, str] | None = None) -> Layout:
    """The layout; what is not said is found. Invalid names what can't be."""
    found = Layout(path, encoding or find_encoding(path), "")
    try:
        with path.open(encoding=found.encoding, newline="") as file:
            sample = file.read(65536)
    except (OSError, UnicodeError, LookupError) as error:
        raise Invalid(f"{path} can't be read as {found.encoding}: {error}", hint="Say what it is with --encoding.") from None
    if not sample.strip():
        raise Invalid(f"{path} is empty")
    found.delimiter = delimiter or find_delimiter(sample)
    if len(found.delimiter) != 1:
        raise Invalid(fields={"delimiter": "one character, such as ; or $'\\t'"})
    header = next(csv.reader(sample.splitlines(keepends=True), delimiter=found.delimiter), [])
    found.header = tuple(clean(cell).strip() for cell in header)
    found.columns = _columns(found.header, mapped or {})
    return found


def find_encoding(path: Path) -> str:
    """By its byte order mark, else UTF-8 if every byte of it is, else Windows-1252. Invalid when it is none of them."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            for mark, name in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
                if start.startswith(mark):
                    return name
            for name in ("utf-8", "cp1252"):
                file.seek(0)
                if _decodes(file, name):
                    return name
    except OSError as error:
        raise Invalid(f"{path} can't be read: {error.strerror}") from None
    raise Invalid(f"{path} is neither UTF-8 nor Windows-1252", hint="Say what it is with --encoding.")


def _decodes(file: Any, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        while piece := file.read(1 << 20):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def find_delimiter(sample: str) -> str:
    """The one that cuts the first rows into the most cells, the same number in each."""
    lines = sample.splitlines(keepends=True)[:50]

    def score(delimiter: str) -> tuple[float, int]:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter) if row][:20]
        wide = widths[0] if widths else 0
        return (sum(width == wide for width in widths) / max(1, len(widths)) if wide > 1 else 0.0, wide)

    return max(DELIMITERS, key=score)


def _columns(header: Sequence[str], mapped: Mapping[str, str]) -> tuple[str, ...]:
    wanted = {_plain(column): name for column, name in mapped.items()}
    unknown = [column for column in mapped if _plain(column) not in map(_plain, header)]
    if unknown:
        raise Invalid(f"--map {unknown[0]}=...: there is no such column; there are: {', '.join(header)}")
    for name in wanted.values():
        if name not in FIELDS and name != "-" and not re.fullmatch(r"fields\.[^\s.,\"'\\$\[\]]{1,40}", name):
            raise Invalid(f"--map ...={name}: there is no such field; there are: {', '.join(FIELDS)}, fields.NAME, and - for none")
    taken = [name for name in wanted.values() if name != "-"]
    if twice := next((name for name in taken if taken.count(name) > 1), ""):
        raise Invalid(f"two columns are mapped to {twice}")
    exact = {_plain(cell).replace(" ", "_") for cell in header if _plain(cell) not in wanted} & set(FIELDS)
    out: list[str] = []
    for cell in header:
        plain = _plain(cell)
        name = wanted.get(plain) or _BY_HEADER.get(plain, "")
        by_name = plain in wanted or plain.replace(" ", "_") == name
        usable = name != "-" and name not in out and (plain in wanted or name not in taken) and (by_name or name not in exact)
        out.append(name if usable else "")
    if "subject" not in out:
        raise Invalid(f"no column is the subject; there are: {', '.join(header)}", hint="Say which one with --map COLUMN=subject.")
    return tuple(out)


def _plain(header: str) -> str:
    return " ".join(re.sub(r"[^\w#]+|_", " ", header.casefold()).split())


def read(layout: Layout, dates: Dates) -> Iterator[Incoming | Fault]:
    """The rows, one after the other. The file is read as it goes."""
    csv.field_size_limit(LONGEST_CELL)
    ours = layout.header[:1] == ("schema_version",) or ROW in layout.header
    reader = _Rows(layout, dates, ours)
    with layout.path.open(encoding=layout.encoding, errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=layout.delimiter, strict=True)
        number = 0
        while True:
            number += 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Fault(f"row {number}", f"can't be read as CSV ({error}): is a quote not closed? Rows inside it are lost with it")
                continue
            if number > 1 and any(cell.strip() for cell in cells):
                yield reader.row(number, cells)


class _Rows:
    def __init__(self, layout: Layout, dates: Dates, ours: bool) -> None:
        self._layout, self._dates, self._ours = layout, dates, ours
        self._alike: dict[str, int] = {}

    def row(self, number: int, cells: list[str]) -> Incoming | Fault:
        """One ticket."""
        label = f"row {number}"
        plain = [unguarded(cell) if self._ours else cell for cell in cells]
        raw = tuple(plain)
        if len(cells) > len(self._layout.header) and any(cell.strip() for cell in cells[len(self._layout.header) :]):
            return Fault(label, f"has {len(cells)} cells, the header has {len(self._layout.header)}: is a text with the delimiter in it not quoted?", raw)
        values = {column: cell.strip() for column, cell in zip(self._layout.columns, plain, strict=False) if column}
        moments: dict[str, Any] = {}
        try:
            for name in _MOMENTS:
                moments[name] = self._dates.read(values.pop(name, ""))
        except ValueError as error:
            return Fault(label, f"{name}: {error}", raw, values.get("id", ""))
        if (ident := values.pop("id", "")) == "":
            ident = self._nameless(values)
        return self._incoming(label, raw, ident, values, moments)

    def _nameless(self, values: Mapping[str, str]) -> str:
        """A row without an id is known by what it says; two that say the same are the first and the second."""
        print_ = digest(sorted(values.items()))
        self._alike[print_] = self._alike.get(print_, 0) + 1
        return f"{print_}.{self._alike[print_]}"

    def _incoming(self, label: str, raw: tuple[str, ...], ident: str, values: dict[str, str], moments: Mapping[str, Any]) -> Incoming:
        print_ = digest([sorted(values.items()), moments])
        links = [*_links(values.pop("links", "")), *([("parent", values["parent"])] if values.get("parent") else [])]
        values.pop("parent", None)
        author, phase = values.pop("author", ""), values.pop("phase", "")
        fields: dict[str, Any] = {name: value for name, value in values.items() if not name.startswith("fields.")}
        for name in _LISTS:
            if name in fields:
                fields[name] = [item.strip() for item in re.split(r"[;,]" if name != "refs" else ";", fields[name]) if item.strip()]
        custom = {name.removeprefix("fields."): value for name, value in values.items() if name.startswith("fields.") and value}
        if custom:
            fields["fields"] = custom
        if moments["pending_until"] is not None:
            fields["pending_until"] = moments["pending_until"].strftime("%Y-%m-%dT%H:%M:%SZ")
        dates = {name: moments[name] for name in _MOMENTS if name != "pending_until"}
        return Incoming(ident, label, print_, fields, author=author, phase=phase, links=tuple(links), raw=raw, **dates)


def _links(text: str) -> list[tuple[str, str]]:
    pairs = [part.split(None, 1) for part in text.split(";") if part.strip()]
    return [(pair[0], pair[1].strip()) for pair in pairs if len(pair) == 2]
