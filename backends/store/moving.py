"""Carrying a store over to another engine, proving that nothing is missing or changed, and switching.

The copy is made under another name while nobody can write, compared entry by entry, and only then becomes the store by
replacing `meta.json`. Broken off at any moment, the old store is still the one in use, or the new one is complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.errors import BadConfig, Damaged
from backends.store.folder import sync_folder, translate
from backends.store.meta import Meta
from backends.store.values import dump

Progress = Callable[[str], None]
_EACH = 5_000
_STAYS = "The old store stays in use; nothing was switched."


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move carried over, and where the old files are."""

    engine: str
    collections: dict[str, int]
    backup: Path


def move(folder: Path, to: str, progress: Progress) -> Moved:
    """Everything into the engine `to`. BadConfig, Busy, NoSpace, Damaged (the copy differs); then nothing was switched."""
    from backends.store.opening import DEFAULT, engine_place, open_store

    meta = Meta(folder)
    target, known = engine_place(folder, to), meta.engine() or DEFAULT
    if known == to:
        raise BadConfig(f"the store is a {to} store already", hint="")
    try:
        old: Any = open_store(folder)
        try:
            with old.frozen():
                if meta.engine() != known:
                    raise BadConfig("somebody else is moving the store", hint="")
                counted = _copied(old, target, to, progress)
                meta.switch(to)
        finally:
            old.close()
        backup = _set_aside(engine_place(folder, known))
    except OSError as error:
        raise translate(error, folder) from None
    progress(f"switched; the old files are in {backup}")
    return Moved(to, counted, backup)


def _copied(old: Any, target: Path, to: str, progress: Progress) -> dict[str, int]:
    """A compared copy in its final place; what stands there from an earlier move keeps a name of its own."""
    from backends.store.opening import make_engine

    building = target.with_name(f"{to}.moving")
    shutil.rmtree(building, ignore_errors=True)  # of a move that was broken off: never in use
    new: Any = make_engine(building, to)
    try:
        _carry_over(old, new, progress)
        new.close()
        new = make_engine(building, to)  # what is compared is what was read back from the files
        _compare(old, new, progress)
        counted: dict[str, int] = new.collections()
        new.close()
        if target.exists():
            _set_aside(target)
        building.rename(target)
        sync_folder(target.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            new.close()
        shutil.rmtree(building, ignore_errors=True)
        raise
    return counted


def _set_aside(place: Path) -> Path:
    """Keep an engine's folder under a backup name that nothing has; the name."""
    number, backup = 1, place.with_name(f"{place.name}.before-move")
    while backup.exists():
        number += 1
        backup = place.with_name(f"{place.name}.before-move-{number}")
    place.rename(backup)
    sync_folder(backup.parent)
    return backup


def _carry_over(old: Any, new: Any, progress: Progress) -> None:
    total = sum(old.collections().values())
    count = 0

    def counted() -> Iterator[list[Any]]:
        nonlocal count
        for entry in old.everything():
            count += 1
            if count % _EACH == 0:
                progress(f"{count:,} of about {total:,}")
            yield entry

    new.restore(counted(), old.seq())
    progress(f"{count:,} entries carried over")


def _prints(store: Any) -> dict[tuple[str, ...], bytes]:
    """Name of an entry -> a fingerprint of all of it."""
    found: dict[tuple[str, ...], bytes] = {}
    for entry in store.everything():
        name = entry[:2] if entry[0] in "no" else entry[:3]
        found[tuple(str(part) for part in name)] = hashlib.sha256(dump(entry).encode()).digest()
    return found


def _compare(old: Any, new: Any, progress: Progress) -> None:
    """Damaged, naming the first difference, unless both hold the same."""
    progress("comparing")
    before, after = _prints(old), _prints(new)
    differing = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if differing:
        raise Damaged(f"the copy differs in {len(differing):,} entries, the first is {'/'.join(differing[0][1:])}", hint=_STAYS)
    if old.seq() != new.seq() or old.changes(0, limit=2**62) != new.changes(0, limit=2**62):
        raise Damaged("the copy has another change feed", hint=_STAYS)
    progress(f"{len(before):,} entries are the same in both")
