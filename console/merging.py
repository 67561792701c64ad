"""`Merged`: the lists of several backends as one, in the order asked for, read by windows. Never imports textual.

Each backend is a lane that is read by pages, as far as the window needs it. Where a window begins in each lane is a cut: cuts are
kept, so that scrolling goes on from the last one, the end is reached from the end, and a jump into the middle asks each lane for a few
pages (a selection in sorted lists). Windows between two known cuts hold exactly what lies between them: no row is shown twice or left
out, even where a server sorts words differently. A lane that fails or hangs keeps its last rows, marked stale, and holds up no other.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.lanes import PAGE, Lane, Read

PATIENCE = 0.4
"""Seconds the list waits for a backend before it shows what the others have."""
WALK = 3 * PAGE
"""Rows from a known cut that are walked; what is farther is searched for."""

Cut = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A record of the list and the backend it lives in; `stale`: from the last reading that succeeded."""

    item: Any
    backend: str
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """A window: its lines, how many there are (None: a backend can't count; `least` is what is known), and what is lacking."""

    lines: tuple[Line, ...]
    total: int | None
    least: int
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Merged:
    """One list over named lanes. `key` orders records of all of them; equal ones stand in the order of the lanes."""

    reads: Mapping[str, Read]
    key: Callable[[Any], Any]
    before: Merged | None = None
    """The same list as it was read last: its rows stand in for those of a lane that fails."""
    late: Callable[[], None] = lambda: None
    """Called when a lane answers after the others were shown."""
    patience: float = PATIENCE
    lanes: list[Lane] = field(init=False)
    _cuts: dict[int, Cut] = field(init=False)
    _known: list[int] = field(init=False)
    _lock: asyncio.Lock = field(init=False)
    _begun: bool = False
    _late: list[asyncio.Future[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        old = {lane.name: lane for lane in self.before.lanes} if self.before is not None else {}
        self.lanes = [Lane(name, read, old.get(name)) for name, read in self.reads.items()]
        self._lock = asyncio.Lock()
        self._forget()
        self.before = None

    # -- what is asked ----------------------------------------------------------------------------------

    async def window(self, offset: int, limit: int) -> Slice:
        """The lines from `offset` on. Raises the first lane's error when no lane has anything to show."""
        async with self._lock:
            await self._begin()
            lines: list[Line] = []
            for _ in range(len(self.lanes) + 1):
                standing = self._standing()
                lines = await self._window(offset, limit)
                if not self._moved(standing):
                    break
                self._forget()  # a lane failed or shrank on the way: the list is another one now
            return Slice(tuple(lines), self.total, max(self.least, offset + len(lines) if lines else 0), self._notes())

    async def position(self, name: str, place: int) -> int | None:
        """Where the row at `place` of a lane stands in the whole list."""
        async with self._lock:
            await self._begin()
            rank = next((number for number, lane in enumerate(self.lanes) if lane.name == name), None)
            item = await self.lanes[rank].get(place) if rank is not None else None
            if rank is None or item is None:
                return None
            wanted = (self.key(item), rank)
            others = [await self._rank(number, wanted) for number in range(len(self.lanes)) if number != rank]
            return place + sum(others)

    @property
    def total(self) -> int | None:
        """How many there are; None while a lane can't say."""
        totals = [lane.total for lane in self.lanes]
        return None if None in totals else sum(total for total in totals if total is not None)

    @property
    def least(self) -> int:
        """How many there are at least."""
        return sum(lane.least for lane in self.lanes)

    # -- beginning --------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Ask all lanes at once; go on with those that answered in time, or with the first if there is nothing else to show."""
        if self._begun or not self.lanes:
            return
        tasks = {asyncio.ensure_future(lane.begin()): lane for lane in self.lanes}
        done, waiting = await asyncio.wait(tasks, timeout=self.patience)
        while waiting and not any(lane.answered or lane.rows for lane in self.lanes):
            more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        for task in done:
            tasks[task].join()
        errors = [lane.error for lane in self.lanes if lane.error is not None]
        if len(errors) == len(self.lanes) and not any(lane.rows for lane in self.lanes):
            raise errors[0]
        self._begun = True
        for task in waiting:
            task.add_done_callback(lambda task: self._late.append(asyncio.ensure_future(self._join(tasks[task]))))

    async def _join(self, lane: Lane) -> None:
        """A lane that answered after the others were shown."""
        async with self._lock:
            lane.join()
            self._forget()
        self.late()

    def _forget(self) -> None:
        zero = (0,) * len(self.lanes)
        self._cuts, self._known = {0: zero}, [0]

    def _standing(self) -> list[tuple[bool, int | None]]:
        return [(lane.live, lane.total) for lane in self.lanes]

    def _moved(self, before: list[tuple[bool, int | None]]) -> bool:
        return any(live != now_live or (total is not None and total != now_total) for (live, total), (now_live, now_total) in zip(before, self._standing(), strict=True))

    def _notes(self) -> tuple[str, ...]:
        several = len(self.lanes) > 1
        return tuple(note for note in (lane.note(several) for lane in self.lanes) if note)

    # -- windows ----------------------------------------------------------------------------------------

    async def _window(self, offset: int, limit: int) -> list[Line]:
        start = await self._cut(offset)
        end = self._cuts.get(offset + limit)
        return await (self._forward(offset, start, limit) if end is None else self._between(start, end))

    def _keep(self, offset: int, cut: Cut) -> None:
        if offset not in self._cuts:
            insort(self._known, offset)
        self._cuts[offset] = cut

    async def _forward(self, offset: int, start: Cut, limit: int) -> list[Line]:
        """Take the first of the heads again and again; the place where it ends is kept."""
        places = list(start)
        bounds = self._ceiling(offset)
        await asyncio.gather(*(lane.get(place) for lane, place in zip(self.lanes, places, strict=True)))
        heads = [await self._head(number, places, bounds) for number in range(len(self.lanes))]
        lines: list[Line] = []
        while len(lines) < limit:
            rank = min((number for number, head in enumerate(heads) if head is not None), key=lambda number: heads[number], default=-1)  # type: ignore[arg-type, return-value]
            if rank < 0:
                break
            item = await self.lanes[rank].get(places[rank])
            lines.append(Line(item, self.lanes[rank].name, not self.lanes[rank].live))
            places[rank] += 1
            heads[rank] = await self._head(rank, places, bounds)
        self._keep(offset + len(lines), tuple(places))
        return lines

    def _ceiling(self, offset: int) -> Cut | None:
        """The next known cut: no lane goes beyond it before it is reached."""
        place = bisect_right(self._known, offset)
        return self._cuts[self._known[place]] if place < len(self._known) else None

    async def _head(self, rank: int, places: Sequence[int], bounds: Cut | None) -> tuple[Any, int] | None:
        if bounds is not None and places[rank] >= bounds[rank] and any(at < bound for at, bound in zip(places, bounds, strict=True)):
            return None
        item = await self.lanes[rank].get(places[rank])
        return None if item is None else (self.key(item), rank)

    async def _between(self, start: Cut, end: Cut) -> list[Line]:
        found: list[tuple[tuple[Any, int, int], Line]] = []
        for rank, lane in enumerate(self.lanes):
            for place in range(start[rank], end[rank]):
                item = await lane.get(place)
                if item is not None:
                    found.append(((self.key(item), rank, place), Line(item, lane.name, not lane.live)))
        found.sort(key=lambda pair: pair[0])
        return [line for _, line in found]

    # -- cuts -------------------------------------------------------------------------------------------

    async def _cut(self, offset: int) -> Cut:
        """How many rows of each lane stand before `offset`."""
        if self.total is not None and self.total not in self._cuts:
            self._keep(self.total, tuple(lane.total or 0 for lane in self.lanes))
        if offset in self._cuts:
            return self._cuts[offset]
        place = bisect_left(self._known, offset)
        below = self._known[place - 1]
        above = self._known[place] if place < len(self._known) else None
        if above is None and self.total is not None:
            return self._cuts[below]  # beyond the end
        if above is None or offset - below <= WALK:
            while below < offset:
                taken = await self._forward(below, self._cuts[below], min(PAGE, offset - below))
                if not taken:
                    return self._cuts[below]
                below += len(taken)
        elif above - offset <= WALK:
            self._keep(offset, await self._backward(above, offset, self._cuts[below]))
        else:
            self._keep(offset, await self._search(offset, self._cuts[below], self._cuts[above]))
        return self._cuts[offset]

    async def _backward(self, above: int, offset: int, floor: Cut) -> Cut:
        places = list(self._cuts[above])
        for _ in range(above - offset):
            tails = [await self._tail(rank, places, floor) for rank in range(len(places))]
            rank = max((number for number, tail in enumerate(tails) if tail is not None), key=lambda number: tails[number], default=-1)  # type: ignore[arg-type, return-value]
            if rank < 0:
                break
            places[rank] -= 1
        return tuple(places)

    async def _tail(self, rank: int, places: Sequence[int], floor: Cut) -> tuple[Any, int] | None:
        if places[rank] <= floor[rank]:
            return None
        item = await self.lanes[rank].get(places[rank] - 1)
        return None if item is None else (self.key(item), rank)

    async def _search(self, offset: int, low: Cut, high: Cut) -> Cut:
        """The first `offset` rows of all lanes, found by halving: of the rows a fair share further on in each lane, the smallest is
        surely among the wanted ones, and with it all before it in its lane."""
        places = list(low)
        while (left := offset - sum(places)) > 0:
            active = [rank for rank in range(len(places)) if places[rank] < high[rank]]
            if not active:
                break
            share = max(1, left // len(active))
            ends = {rank: min(places[rank] + share, high[rank]) for rank in active}
            items = await asyncio.gather(*(self.lanes[rank].get(ends[rank] - 1) for rank in active))
            known = [(self.key(item), rank) for item, rank in zip(items, active, strict=True) if item is not None]
            if not known:
                break
            rank = min(known)[1]
            places[rank] = ends[rank]
        return tuple(places)

    async def _rank(self, number: int, wanted: tuple[Any, int]) -> int:
        """How many rows of a lane stand before `wanted`."""
        low, high = 0, self.lanes[number].least
        while low < high:
            middle = (low + high) // 2
            item = await self.lanes[number].get(middle)
            if item is not None and (self.key(item), number) < wanted:
                low = middle + 1
            else:
                high = middle
        return low


class Down:
    """A value that sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: Down) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Down) and bool(other.value == self.value)

    def __hash__(self) -> int:
        return hash(self.value)


def ordering(sort: str, descending: bool, value: Callable[[Any], Any] | None = None, kept: frozenset[str] = frozenset()) -> Callable[[Any], Any]:
    """The key the backends' lists are sorted by: missing values last in either direction. An empty text is missing, except in `kept` fields."""

    def key(item: Any) -> tuple[bool, Any]:
        found = value(item) if value is not None else getattr(item, sort, None)
        if found is None or (found == "" and sort not in kept):
            return True, 0
        comparable = (isinstance(found, str), found)
        return False, Down(comparable) if descending else comparable

    return key



EMPTY_TICKETS = frozenset({"assignee", "queue", "status", "subject"})
"""Sort keys of tickets whose empty text is a value: nobody has it, no queue."""


def ticket_value(sort: str, item: Any) -> Any:
    """What a ticket is sorted by, as the record store sorts: words letter by letter, numbers ("T-1042") as numbers."""
    found = getattr(item, sort, None)
    if sort == "number":
        digits = str(found).rpartition("-")[2].lstrip("#")
        return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else found
    return found
