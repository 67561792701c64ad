"""Carrying a store over to another engine, and proving that nothing is missing or changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from backends.errors import Damaged


def carry_over(old: Any, new: Any, progress: Callable[[str], None]) -> None:
    """Every record with its rev and seq, tombstones, counters, operations."""
    total = sum(old.collections().values())
    count = 0

    def counted() -> Iterator[list[Any]]:
        nonlocal count
        for entry in old.everything():
            count += 1
            if count % 5000 == 0:
                progress(f"{count:,} of about {total:,}")
            yield entry

    new.restore(counted(), old.seq())
    progress(f"{count:,} entries carried over")


def _prints(store: Any) -> dict[str, str]:
    """Name of an entry -> hash of all of it."""
    found: dict[str, str] = {}
    for entry in store.everything():
        name = "|".join(str(part) for part in (entry[:2] if entry[0] in "no" else entry[:3]))
        found[name] = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
    return found


def compare(old: Any, new: Any, progress: Callable[[str], None]) -> None:
    """Damaged, naming the first difference, unless both hold the same."""
    progress("comparing")
    before, after = _prints(old), _prints(new)
    if before != after:
        names = sorted(set(before.items()) ^ set(after.items()))
        raise Damaged(
            f"the copy differs in {len(names)} entries, the first is {names[0][0]}",
            hint="The old store stays in use; nothing was switched.",
        )
    if old.seq() != new.seq():
        raise Damaged("the copy has another change number", hint="The old store stays in use; nothing was switched.")
    progress(f"{len(before):,} entries are the same in both")
