"""The staff list of a house without a directory: a CSV file that people are taken from into the embedded one. Never imports an adapter.

One line a person, a heading line with at least `login` and `name`; also mail, department, title, phone, room, manager, employee, kind,
expires (YYYY-MM-DD or a stored time) and groups (separated by ";"). New people are added; words about known ones follow the file. Who is
disabled, locked or in which further group is decided in the console and never undone by the file; nobody is removed by leaving a line out.
"""

from __future__ import annotations

import csv
import io
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from backends.accounts.embedded_docs import ACCOUNTS, GROUPS, loaded, stored, with_keys
from backends.contract import now
from backends.errors import BadConfig, Conflict
from backends.store.contract import Store, Test
from backends.text import clean

WORDS = ("name", "mail", "department", "title", "phone", "room", "manager", "employee")
COLUMNS = ("login", *WORDS, "kind", "expires", "groups")
KINDS = ("person", "temporary", "service", "shared", "emergency")
IMPORTS = "staff_files"
BIGGEST = 20_000_000
_IDS = uuid.UUID("6d1f3a52-2f0c-4c39-9f7c-6a2b5b0f7e11")


@dataclass(frozen=True, slots=True)
class Taken:
    """What an import did."""

    added: int = 0
    changed: int = 0


def read_staff(text: str, where: str) -> Iterator[dict[str, str]]:
    """The lines, checked; BadConfig names file and line."""
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    unknown = set(reader.fieldnames or ()) - set(COLUMNS)
    if unknown or not {"login", "name"} <= set(reader.fieldnames or ()):
        raise BadConfig(f"the heading must be of {', '.join(COLUMNS)}, with login and name", where=f"{where}:1")
    seen: set[str] = set()
    for line in reader:
        here = f"{where}:{reader.line_num}"
        if None in line or None in line.values():
            raise BadConfig("this line has not as many fields as the heading", where=here)
        person = {name: clean(value).strip() for name, value in line.items()}
        _check(person, seen, here)
        seen.add(person["login"])
        yield person


def _check(person: Mapping[str, str], seen: set[str], here: str) -> None:
    login = person["login"]
    if not re.fullmatch(r"[a-z0-9_][a-z0-9._-]{0,63}", login):
        raise BadConfig(f"login {login!r}: lower-case letters, digits and . _ - only", where=here)
    if login in seen:
        raise BadConfig(f"login {login!r} is there twice", where=here)
    if (person.get("kind") or "person") not in KINDS:
        raise BadConfig(f"kind {person['kind']!r}: one of {', '.join(KINDS)}", where=here)
    if person.get("expires") and loaded(_end(person["expires"])) is None:
        raise BadConfig(f"expires {person['expires']!r} is not a date such as 2026-12-31", where=here)


def _end(text: str) -> str:
    """A plain date as stored: the end of that day, UTC."""
    return f"{text}T23:59:59Z" if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else text


def take_staff(store: Store, backend: str, path: Path) -> Taken:
    """Bring the directory up to the file, if the file is not the one taken last. BadConfig for a file that can't be read or is wrong."""
    try:
        if path.stat().st_size > BIGGEST:
            raise BadConfig(f"{path} has more than {BIGGEST:,} bytes")
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise BadConfig(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{path} is not UTF-8") from None
    digest, last = sha256(raw).hexdigest(), store.get(IMPORTS, backend)
    if last is not None and last.doc.get("sha256") == digest:
        return Taken()
    people = list(read_staff(text, str(path)))
    _make_groups(store, people)
    done = [_take(store, person) for person in people]
    store.put(IMPORTS, backend, {"sha256": digest, "at": stored(now()), "path": str(path)})
    return Taken(done.count("added"), done.count("changed"))


def _groups(person: Mapping[str, str]) -> list[str]:
    return sorted({name for part in (person.get("groups") or "").split(";") if (name := part.strip())})


def _make_groups(store: Store, people: list[dict[str, str]]) -> None:
    for name in sorted({group for person in people for group in _groups(person)}):
        if store.get(GROUPS, name) is None:
            try:
                store.insert(GROUPS, {"name": name, "description": "", "owner": "", "protected": False}, id=name)
            except Conflict:
                continue  # another console took the same file


def _take(store: Store, person: Mapping[str, str]) -> str:
    words = {name: person.get(name, "") for name in WORDS if name in person}
    known = store.select(ACCOUNTS, Test("login", "eq", person["login"]), limit=1)
    if known:
        changed = {name: value for name, value in words.items() if known[0].doc.get(name, "") != value}
        if changed:
            store.update(ACCOUNTS, known[0].id, with_keys({**known[0].doc, **changed}), rev=known[0].rev)
        return "changed" if changed else ""
    doc: dict[str, Any] = {
        **words, "login": person["login"], "kind": person.get("kind") or "person", "enabled": True, "groups": _groups(person),
        "expires": _end(person["expires"]) if person.get("expires") else None, "created": stored(now()), "bad_count": 0,
    }  # fmt: skip
    try:
        # An id from the login, so that two consoles that take the same file at once make one account; it stays when the login changes.
        store.insert(ACCOUNTS, with_keys(doc), id=uuid.uuid5(_IDS, person["login"]).hex)
    except Conflict:
        return ""
    return "added"
