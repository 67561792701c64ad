"""What the wallboard shows, gathered from the backends: each part on its own, a hung one says so and stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from backends.accounts.contract import ListsAccounts
from backends.backups.contract import ListsBackups
from backends.backups.model import BackupQuery, BackupRow
from backends.contract import Page, now
from backends.devices.contract import ListsDevices
from backends.devices.model import DeviceCount, DeviceQuery, DeviceRow, State
from backends.errors import BackendError
from backends.restore.model import Drill
from backends.tickets.contract import ListsTickets
from backends.tickets.model import OPEN_PHASES, QueueCount, TicketQuery, TicketRow
from console.ages import age, due, last
from console.desk import Desk
from screens.backup_source import PROTECTION_TONE
from screens.device_source import STATE_TONE
from screens.wall_lines import Block, Tile, Wall
from widgets.toned import Line, fit

T = TypeVar("T")
LISTED = 60
DEADLINE = 4.0


async def _part(call: Awaitable[T]) -> T | BackendError:
    try:
        return await asyncio.wait_for(call, DEADLINE)
    except BackendError as error:
        return error
    except TimeoutError:
        return BackendError("no answer", title="timed out")


async def _asked(desk: Desk, domain: str, kind: type, ask: Callable[[Any], Sequence[Awaitable[Any]]]) -> tuple[list[list[Any]], str, bool]:
    """(the answers of each backend that answered, who did not and why, whether any figure can be given).

    What was not heard of is not none: without an answer a figure is unknown, with some of them it says who is missing.
    """
    answers: list[list[Any]] = []
    silent: list[str] = []
    places = desk.backends(domain)
    for opened in places:
        name = f"{opened.name} " if len(places) > 1 else ""
        if opened.backend is None:
            silent.append(name + (opened.error.title.lower() if opened.error is not None else "opening"))
        elif isinstance(opened.backend, kind):
            heard = [await _part(call) for call in ask(opened.backend)]
            failed = next((one for one in heard if isinstance(one, BackendError)), None)
            if failed is None:
                answers.append(heard)
            else:
                silent.append(name + failed.title.lower())
    return answers, ", ".join(silent), bool(answers) or not silent


async def gather_wall(desk: Desk) -> Wall:
    """One look at everything."""
    tickets, devices, backups, accounts = await asyncio.gather(_tickets(desk), _devices(desk), _backups(desk), _accounts(desk))
    ticket_tiles, overdue, load = tickets
    device_tile, faults = devices
    backup_tile, late = backups
    return Wall((*ticket_tiles, device_tile, backup_tile, accounts), (faults, overdue, late, _work(desk, load)))


async def _tickets(desk: Desk) -> tuple[tuple[Tile, ...], Block, dict[str, int]]:
    late = TicketQuery(phases=OPEN_PHASES, overdue=True, sort="due_at", descending=False)
    heard, silent, known = await _asked(desk, "tickets", ListsTickets, lambda backend: (backend.counts(), backend.tickets(late, 0, LISTED)))
    counts: list[QueueCount] = [answers[0] for answers in heard]
    rows: list[TicketRow] = [row for answers in heard for row in answers[1].items]
    people: dict[str, int] = {}
    for count in counts:
        for login, number in count.by_assignee.items():
            people[login] = people.get(login, 0) + number

    def tile(name: str, numbers: Iterable[int], some: str, none: str, note: str = "") -> Tile:
        total = sum(numbers)
        return Tile(name, total if known else None, some if total else none, note)

    tiles = (
        tile("tickets open", (count.open for count in counts), "title", "title", silent), tile("overdue", (count.overdue for count in counts), "bad", "ok"),
        tile("new", (count.new for count in counts), "accent", "accent"), tile("unassigned", (count.unassigned for count in counts), "warn", "ok"),
    )  # fmt: skip
    return tiles, Block("Overdue tickets", tuple(_ticket_line(row) for row in rows), _none("none is overdue", silent), silent), people


def _none(text: str, silent: str) -> str:
    """What an empty list says: nothing of the kind, or that nobody could tell."""
    return "not known yet" if silent else text


def _ticket_line(row: TicketRow) -> Line:
    return (
        (" " + fit(row.number, 8), "accent"), (fit(f"P{row.priority}", 3), "bad" if row.priority == 1 else "dim"),
        (fit(due(row.due_at, now()), 5, "right") + "  ", "bad"), (fit(row.assignee or "nobody", 10) + " ", "" if row.assignee else "warn"), (row.subject, ""),
    )  # fmt: skip


async def _devices(desk: Desk) -> tuple[Tile, Block]:
    faulty = DeviceQuery(faults=True)
    heard, silent, known = await _asked(desk, "devices", ListsDevices, lambda backend: (backend.count(), backend.devices(faulty, 0, LISTED)))
    counts: list[DeviceCount] = [answers[0] for answers in heard]
    rows: list[DeviceRow] = [row for answers in heard for row in answers[1].items]
    down = sum(number for count in counts for state, number in count.by_state.items() if state not in (State.OK, State.PENDING))
    tile = Tile("devices not OK", down if known else None, "bad" if down else "ok", silent)
    return tile, Block("Devices not OK", tuple(_device_line(row) for row in rows), _none("all are OK", silent), silent)


def _device_line(row: DeviceRow) -> Line:
    return (
        (" " + fit(str(row.state), 12), "dim" if row.handled else STATE_TONE.get(row.state, "")), (fit(age(row.since), 5), "dim"),
        (fit(row.name, 20) + " ", ""), (fit(row.site, 18) + " ", "dim"), (row.handled or row.output, "dim"),
    )  # fmt: skip


async def _backups(desk: Desk) -> tuple[Tile, Block]:
    faulty = BackupQuery(faults=True)
    heard, silent, known = await _asked(desk, "backups", ListsBackups, lambda backend: (backend.backups(faulty, 0, LISTED),))
    listed: list[Page[BackupRow]] = [answers[0] for answers in heard]
    total = sum(page.total if page.total is not None else len(page.items) for page in listed)
    tile = Tile("backups not OK", total if known else None, "bad" if total else "ok", silent)
    lines = tuple(_backup_line(row) for page in listed for row in page.items)
    return tile, Block("Backups late or failed, drills due", (*lines, *await _drills(desk)), _none("all are in time", silent), silent)


async def _drills(desk: Desk) -> tuple[Line, ...]:
    """Jobs whose restore is not proven, or not lately; only where files can be given out at all."""
    from console.drills import Drills

    able = {opened.name for opened in desk.backends("backups") if hasattr(opened.backend, "extract")}
    if not able:
        return ()
    found = await _part(Drills(desk).overdue())
    if isinstance(found, BackendError):
        return (((f" drills not known: {found.title.lower()}", "warn"),),)
    return tuple(_drill_line(drill) for drill in found if drill.backend in able)[:LISTED]


def _drill_line(drill: Drill) -> Line:
    word = "NOT PROVEN" if drill.at is None else "DRILL DUE"
    return (
        (" " + fit(word, 11), "warn"), (fit(age(drill.at) or "never", 6), "dim"), (fit(drill.job, 26) + " ", ""), (drill.text, "dim"),
    )  # fmt: skip


def _backup_line(row: BackupRow) -> Line:
    return (
        (" " + fit(str(row.protection), 11), PROTECTION_TONE.get(row.protection, "")),
        (fit(last(row.last_success) or "never", 6), "dim"), (fit(row.name, 26) + " ", ""), (row.stale or row.text, "dim"),
    )  # fmt: skip


async def _accounts(desk: Desk) -> Tile:
    heard, silent, known = await _asked(desk, "accounts", ListsAccounts, lambda backend: (backend.count(),))
    locked = sum(answers[0].locked for answers in heard)
    return Tile("accounts locked", locked if known else None, "warn" if locked else "ok", silent)


def _work(desk: Desk, load: dict[str, int]) -> Block:
    """Who has how many open tickets, and what they look at now."""
    seats = {seat.login: seat for seat in desk.live.seats()} if desk.live is not None else {}
    lines: list[Line] = []
    for login in sorted(set(load) | set(seats), key=lambda login: (-load.get(login, 0), login)):
        if login:
            seat = seats.get(login)
            doing = f"{seat.what}" if seat else ""
            lines.append(((" " + fit(login, 14), ""), (fit(f"{load.get(login, 0)} open", 10), "dim"), (doing, "accent")))
    return Block("Who works on what", tuple(lines), "nobody is logged in")
