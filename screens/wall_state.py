"""What the wallboard shows, gathered from the backends: each part on its own, a hung one says so and stops nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from backends.accounts.contract import ListsAccounts
from backends.accounts.model import AccountCount
from backends.backups.contract import ListsBackups
from backends.backups.model import BackupQuery, BackupRow
from backends.contract import now
from backends.devices.contract import ListsDevices
from backends.devices.model import DeviceCount, DeviceQuery, DeviceRow, State
from backends.errors import BackendError
from backends.tickets.contract import ListsTickets
from backends.tickets.model import OPEN_PHASES, QueueCount, TicketQuery, TicketRow
from console.ages import age, due
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


def _backends(desk: Desk, domain: str, kind: type) -> list[Any]:
    return [opened.backend for opened in desk.backends(domain) if isinstance(opened.backend, kind)]


async def gather_wall(desk: Desk) -> Wall:
    """One look at everything."""
    tickets, devices, backups, accounts = await asyncio.gather(_tickets(desk), _devices(desk), _backups(desk), _accounts(desk))
    ticket_tiles, overdue, load = tickets
    device_tile, faults = devices
    backup_tile, late = backups
    return Wall((*ticket_tiles, device_tile, backup_tile, accounts), (faults, overdue, late, _work(desk, load)))


async def _tickets(desk: Desk) -> tuple[tuple[Tile, ...], Block, dict[str, int]]:
    open_, new, overdue, nobody, failed = 0, 0, 0, 0, ""
    rows: list[TicketRow] = []
    people: dict[str, int] = {}
    for backend in _backends(desk, "tickets", ListsTickets):
        count = await _part(backend.counts())
        page = await _part(backend.tickets(TicketQuery(phases=OPEN_PHASES, overdue=True, sort="due_at", descending=False), 0, LISTED))
        if isinstance(count, QueueCount):
            open_, new, overdue, nobody = open_ + count.open, new + count.new, overdue + count.overdue, nobody + count.unassigned
            for login, number in count.by_assignee.items():
                people[login] = people.get(login, 0) + number
        else:
            failed = count.title.lower()
        rows += () if isinstance(page, BackendError) else page.items
    known = not failed
    tiles = (
        Tile("tickets open", open_ if known else None, "title", failed), Tile("overdue", overdue if known else None, "bad" if overdue else "ok"),
        Tile("new", new if known else None, "accent"), Tile("unassigned", nobody if known else None, "warn" if nobody else "ok"),
    )  # fmt: skip
    return tiles, Block("Overdue tickets", tuple(_ticket_line(row) for row in rows), "none is overdue", failed), people


def _ticket_line(row: TicketRow) -> Line:
    return (
        (" " + fit(row.number, 8), "accent"), (fit(f"P{row.priority}", 3), "bad" if row.priority == 1 else "dim"),
        (fit(due(row.due_at, now()), 5, "right") + "  ", "bad"), (fit(row.assignee or "nobody", 10) + " ", "" if row.assignee else "warn"), (row.subject, ""),
    )  # fmt: skip


async def _devices(desk: Desk) -> tuple[Tile, Block]:
    down, failed = 0, ""
    rows: list[DeviceRow] = []
    for backend in _backends(desk, "devices", ListsDevices):
        count = await _part(backend.count())
        page = await _part(backend.devices(DeviceQuery(faults=True), 0, LISTED))
        if isinstance(count, DeviceCount):
            down += sum(number for state, number in count.by_state.items() if state not in (State.OK, State.PENDING))
        else:
            failed = count.title.lower()
        rows += () if isinstance(page, BackendError) else page.items
    tile = Tile("devices not OK", None if failed else down, "bad" if down else "ok", failed)
    return tile, Block("Devices not OK", tuple(_device_line(row) for row in rows), "all are OK", failed)


def _device_line(row: DeviceRow) -> Line:
    return (
        (" " + fit(str(row.state), 12), "dim" if row.handled else STATE_TONE.get(row.state, "")), (fit(age(row.since), 5), "dim"),
        (fit(row.name, 20) + " ", ""), (fit(row.site, 18) + " ", "dim"), (row.handled or row.output, "dim"),
    )  # fmt: skip


async def _backups(desk: Desk) -> tuple[Tile, Block]:
    rows: list[BackupRow] = []
    total, failed = 0, ""
    for backend in _backends(desk, "backups", ListsBackups):
        page = await _part(backend.backups(BackupQuery(faults=True), 0, LISTED))
        if isinstance(page, BackendError):
            failed = page.title.lower()
        else:
            rows += page.items
            total += page.total if page.total is not None else len(page.items)
    tile = Tile("backups not OK", None if failed else total, "bad" if total else "ok", failed)
    return tile, Block("Backups late or failed", tuple(_backup_line(row) for row in rows), "all are in time", failed)


def _backup_line(row: BackupRow) -> Line:
    return (
        (" " + fit(str(row.protection), 11), PROTECTION_TONE.get(row.protection, "")),
        (fit(age(row.last_success) or "never", 6), "dim"), (fit(row.name, 26) + " ", ""), (row.stale or row.text, "dim"),
    )  # fmt: skip


async def _accounts(desk: Desk) -> Tile:
    locked, failed = 0, ""
    for backend in _backends(desk, "accounts", ListsAccounts):
        count = await _part(backend.count())
        if isinstance(count, AccountCount):
            locked += count.locked
        else:
            failed = count.title.lower()
    return Tile("accounts locked", None if failed else locked, "warn" if locked else "ok", failed)


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
