"""Opening the record store of a data folder. The engine that it was made with is remembered in `store/meta.json`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from backends.errors import BadConfig
from backends.store.contract import Store
from backends.store.folder import make_folder, refuse_network, translate
from backends.store.meta import Meta

if TYPE_CHECKING:
    from backends.store.moving import Moved

ENGINES = ("tinydb", "sqlite")
DEFAULT = "tinydb"


def engine_place(folder: Path, engine: str) -> Path:
    """Where an engine keeps its files. BadConfig for an engine there is not."""
    if engine not in ENGINES:
        raise BadConfig(f"there is no store engine {engine!r}; there are: {', '.join(ENGINES)}")
    return folder / "store" / engine


def make_engine(place: Path, engine: str, current: Callable[[], None] = lambda: None) -> Store:
    """An engine on a folder of its own; `current` raises when the store is not the one in use any more."""
    make_folder(place)
    if engine == "sqlite":
        from backends.store.sqlite import SqliteStore

        return SqliteStore(place / "store.sqlite", current)
    from backends.store.tinydb_engine import TinydbStore

    return TinydbStore(place, current)


def open_store(folder: Path, engine: str | None = None) -> Store:
    """The folder's store, made when there is none.

    BadConfig when `engine` is not the one it was made with, the folder can't be used, or it is of a newer format.
    """
    meta = Meta(folder)
    try:
        make_folder(folder / "store")
        refuse_network(folder)
        known = meta.engine()
        if known is None:
            engine_place(folder, engine or DEFAULT)
            known = meta.settle(engine or DEFAULT)
        if engine and known != engine:
            raise BadConfig(
                f"the store in {folder} is a {known} store, the configuration says {engine}",
                hint=f"Run `deskside store move --to {engine}`, or change [store] engine.",
            )
        return make_engine(engine_place(folder, known), known, meta.watcher(known))
    except OSError as error:
        raise translate(error, folder) from None


def move_store(folder: Path, to: str, progress: Callable[[str], None] = lambda text: None) -> Moved:
    """Everything into another engine; see `backends.store.moving`."""
    from backends.store.moving import move

    return move(folder, to, progress)
