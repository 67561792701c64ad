"""Opening a store in a data folder, and moving everything to another engine. The engine is remembered in `store/meta.json`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.errors import BadConfig, Damaged, NoSpace
from backends.store.contract import Store

ENGINES = ("tinydb", "sqlite")
FORMAT = 1


def _meta(folder: Path) -> dict[str, Any]:
    path = folder / "store" / "meta.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise BadConfig(
            f"{path} can't be read: {error.strerror}", hint="Become a member of its group, or give another --data folder."
        ) from None
    except ValueError:
        raise Damaged(f"{path} is not what it should be") from None
    if int(found.get("format", 0)) > FORMAT:
        raise BadConfig(
            f"the store in {folder} was written by a newer deskside (format {found['format']}, this one knows {FORMAT})",
            hint="Update deskside on this machine.",
        )
    return found


def _note(folder: Path, engine: str) -> None:
    path = folder / "store" / "meta.json"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o660)
        json.dump({"format": FORMAT, "engine": engine}, file)
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)
    handle = os.open(path.parent, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def make_engine(place: Path, engine: str) -> Store:
    """An engine on a folder of its own."""
    if engine == "sqlite":
        from backends.store.sqlite import SqliteStore

        return SqliteStore(place / "store.sqlite")
    if engine == "tinydb":
        from backends.store.tinydb_engine import TinydbStore

        return TinydbStore(place)
    raise BadConfig(f"there is no store engine {engine!r}; there are: {', '.join(ENGINES)}")


def _place(folder: Path, engine: str) -> Path:
    return folder / "store" / engine


def open_store(folder: Path, engine: str | None = None) -> Store:
    """The folder's store. What it was made with wins over `engine`; BadConfig when they differ, the folder can't be used, or it is newer."""
    try:
        (folder / "store").mkdir(parents=True, exist_ok=True)
        known = _meta(folder).get("engine")
        if known and engine and known != engine:
            raise BadConfig(
                f"the store in {folder} is a {known} store, the configuration says {engine}",
                hint=f"Run `deskside store move --to {engine}`, or change [store] engine.",
            )
        chosen = known or engine or "tinydb"
        _place(folder, chosen).mkdir(exist_ok=True)
        store = make_engine(_place(folder, chosen), chosen)
        if not known:
            _note(folder, chosen)
    except PermissionError as error:
        raise BadConfig(
            f"{error.filename or folder} can't be used: {error.strerror}",
            hint="Become a member of its group, or give another folder with --data.",
        ) from None
    except OSError as error:
        raise NoSpace(f"{folder}: {error.strerror}") from None
    return store


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move carried over."""

    engine: str
    collections: dict[str, int]
    backup: Path


def move_store(folder: Path, to: str, progress: Callable[[str], None] = lambda text: None) -> Moved:
    """Everything into another engine, compared record by record, then switched. The old files stay under a backup name."""
    from backends.store.moving import carry_over, compare

    known = _meta(folder).get("engine", "tinydb")
    if to not in ENGINES:
        raise BadConfig(f"there is no store engine {to!r}; there are: {', '.join(ENGINES)}")
    if known == to:
        raise BadConfig(f"the store is a {to} store already", hint="")
    target = _place(folder, to)
    if target.exists() and any(target.iterdir()):
        raise BadConfig(f"{target} is not empty", hint="An earlier move was broken off: look at it and remove the folder.")
    target.mkdir(exist_ok=True)
    old, new = open_store(folder), make_engine(target, to)
    try:
        carry_over(old, new, progress)
        compare(old, new, progress)
    finally:
        new.close()
        old.close()
    counted = make_engine(target, to).collections()
    _note(folder, to)
    backup = folder / "store" / f"{known}.before-move"
    number = 1
    while backup.exists():
        number += 1
        backup = folder / "store" / f"{known}.before-move-{number}"
    _place(folder, known).rename(backup)
    return Moved(to, counted, backup)
