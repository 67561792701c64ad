"""`Window`: the part of a long list that is held in memory, in chunks. Plain values, no drawing, no fetching."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from widgets.columns import Row

CHUNK = 100
KEPT = 12
"""Chunks held: 1,200 rows are a dozen screens; the rest is fetched again when it is looked at."""


class Window:
    """Rows of a list of `total`, by index; what is not held is None."""

    def __init__(self) -> None:
        self.total = 0
        self._chunks: OrderedDict[int, tuple[Row, ...]] = OrderedDict()

    def row(self, index: int) -> Row | None:
        """The row at `index`, if held."""
        chunk = self._chunks.get(index // CHUNK)
        place = index % CHUNK
        return chunk[place] if chunk is not None and place < len(chunk) else None

    def missing(self, first: int, last: int) -> list[int]:
        """Numbers of the chunks between two indexes (inclusive) that are not held."""
        last = min(last, self.total - 1)
        return [number for number in range(max(0, first) // CHUNK, last // CHUNK + 1) if number not in self._chunks] if last >= 0 else []

    def put(self, number: int, rows: Sequence[Row], total: int) -> list[int]:
        """Hold a chunk; returns the indexes whose row is not what it was."""
        old = self._chunks.get(number, ())
        new = tuple(rows[:CHUNK])
        self._chunks[number] = new
        self._chunks.move_to_end(number)
        while len(self._chunks) > KEPT:
            self._chunks.popitem(last=False)
        self.total = total
        base = number * CHUNK
        longest = max(len(old), len(new))
        return [base + i for i in range(longest) if (old[i] if i < len(old) else None) != (new[i] if i < len(new) else None)]

    def clear(self, keep: Sequence[int] = ()) -> None:
        """Forget all chunks but those named."""
        for number in [number for number in self._chunks if number not in keep]:
            del self._chunks[number]

    def index(self, key: str) -> int | None:
        """Where a key stands, among what is held."""
        for index, row in self.rows():
            if row.key == key:
                return index
        return None

    def rows(self) -> Iterator[tuple[int, Row]]:
        """All that is held, with its index."""
        for number, chunk in self._chunks.items():
            for place, row in enumerate(chunk):
                yield number * CHUNK + place, row

    def held(self) -> tuple[int, ...]:
        """Numbers of the chunks held."""
        return tuple(self._chunks)
