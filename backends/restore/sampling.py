"""The sample of a drill: canaries, the newest, oldest, largest and hardest-named files, and a random part of every folder tree, by a seed.

Chance is a hash of the seed and the path: anyone with the seed draws the same files from the same snapshot, in whatever order they come.
Streaming: a million entries in little memory.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

from backends.backups.model import Entry
from backends.text import amount

CANARY = b".deskside-canary"
EACH = 3
"""Newest, oldest, largest, hardest names: so many of each."""
LARGEST = 2_000_000_000
"""Bytes: a larger file is left to the full drill."""


@dataclass(slots=True)
class Sample:
    """What was drawn: path -> why. `seen` files of the snapshot, `size` bytes of the sample."""

    chosen: dict[bytes, str] = field(default_factory=dict)
    seen: int = 0
    size: int = 0
    canaries: int = 0

    def method(self, seed: int) -> str:
        """How it was drawn, so that anyone can draw it again."""
        kinds = sorted(set(self.chosen.values()))
        return f"{len(self.chosen)} of {amount(self.seen, 'file')} by seed {seed}: {', '.join(f'{list(self.chosen.values()).count(kind)} {kind}' for kind in kinds)}"


def hardness(path: bytes) -> int:
    """How hard a name is to get right: not UTF-8, control characters, blanks at an end, pattern characters, length."""
    name = path.rpartition(b"/")[2]
    try:
        text = name.decode("utf-8")
        score = 0 if text.isascii() else 20
    except UnicodeDecodeError:
        score = 100
    score += 50 * any(byte < 32 or byte == 127 for byte in name)
    score += 20 * (name != name.strip()) + 10 * sum(name.count(mark) for mark in (b"*", b"?", b"[", b"\\", b"$", b'"', b"'"))
    return score + len(name) // 20 + path.count(b"/")


def draw(entries: Iterable[Entry], seed: int, count: int) -> Sample:
    """`count` random files, spread over the folders below the chosen roots, beside those that tell the most."""
    best: dict[str, list[tuple[float, bytes, int]]] = {"newest": [], "oldest": [], "largest": [], "hard name": []}
    strata: dict[bytes, list[tuple[int, bytes, int]]] = {}
    sample = Sample()
    sizes: dict[bytes, int] = {}
    for entry in entries:
        if entry.kind != "file" or entry.size > LARGEST:
            continue
        sample.seen += 1
        if entry.path.rpartition(b"/")[2].startswith(CANARY):
            sample.chosen[entry.path], sizes[entry.path] = "canary", entry.size
            sample.canaries += 1
        time = entry.mtime_ns or 0
        for kind, rank in (("newest", time), ("oldest", -time), ("largest", entry.size), ("hard name", hardness(entry.path))):
            _keep(best[kind], (rank, entry.path, entry.size), EACH)
        luck = int.from_bytes(hashlib.sha256(b"%d\0" % seed + entry.path).digest()[:8], "big")
        _keep(strata.setdefault(_stratum(entry.path), []), (luck, entry.path, entry.size), count)  # type: ignore[arg-type]
    for kind, found in best.items():
        for _, path, size in sorted(found, reverse=True):
            sample.chosen.setdefault(path, kind)
            sizes[path] = size
    for path, size in _spread(strata, count):
        sample.chosen.setdefault(path, "random")
        sizes[path] = size
    sample.size = sum(sizes[path] for path in sample.chosen)
    return sample


def _keep(heap: list[tuple[float, bytes, int]], item: tuple[float, bytes, int], count: int) -> None:
    if len(heap) < count:
        heapq.heappush(heap, item)
    elif item > heap[0]:
        heapq.heapreplace(heap, item)


def _stratum(path: bytes) -> bytes:
    """The first three folders of the path."""
    return b"/".join(path.split(b"/")[:-1][:4])


def _spread(strata: dict[bytes, list[tuple[int, bytes, int]]], count: int) -> list[tuple[bytes, int]]:
    """One of each folder tree in turn until there are enough."""
    waiting = [sorted(found, reverse=True) for _, found in sorted(strata.items())]
    chosen: list[tuple[bytes, int]] = []
    while waiting and len(chosen) < count:
        for found in waiting:
            if found and len(chosen) < count:
                _, path, size = found.pop(0)
                chosen.append((path, size))
        waiting = [found for found in waiting if found]
    return chosen
