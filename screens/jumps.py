"""Jumps: from a ticket to its device, account and backup, and back. What is written down, and what the names say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.accounts.model import Account, AccountQuery
from backends.backups.model import BackupQuery, BackupRow, Snapshot
from backends.contract import Ref
from backends.devices.model import Device, DeviceQuery
from backends.errors import BackendError
from backends.threads import in_thread
from backends.tickets.model import OPEN_PHASES, Ticket, TicketQuery
from console.desk import Desk

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

_KIND = {"tickets": "ticket", "devices": "device", "accounts": "account", "backups": "backup", "snapshots": "snapshot"}
MOST = 20


@dataclass(frozen=True, slots=True)
class Jump:
    """A place to go to, and its words ("device  sw-library-1  DOWN")."""

    ref: str
    label: str


async def jumps(desk: Desk, ref: Ref, record: Any) -> list[Jump]:
    """Where one can go from a record: its own references, stored links in both directions, then what its names suggest."""
    refs: dict[str, None] = {}
    for found in _own_refs(record):
        refs[found] = None
    for linked in await in_thread(5.0, lambda: desk.links.of(str(ref))):
        refs[str(linked)] = None
    suggested = await _suggested(desk, ref, record)
    for reference in suggested:
        refs.setdefault(reference, None)
    refs.pop(str(ref), None)
    return [Jump(reference, await _label(desk, reference)) for reference in list(refs)[:MOST]]


def _own_refs(record: Any) -> Iterable[str]:
    return record.refs if isinstance(record, Ticket) else ()


async def _suggested(desk: Desk, ref: Ref, record: Any) -> list[str]:
    if isinstance(record, Ticket):
        who = record.requester.login or record.requester.email
        return [*(await _accounts(desk, who) if who else []), *await _backups_of_devices(desk, record)]
    if isinstance(record, Device):
        return [*await _tickets(desk, str(ref), ""), *await _backups(desk, record.row.name)]
    if isinstance(record, Account):
        return await _tickets(desk, str(ref), record.row.login)
    if isinstance(record, BackupRow | Snapshot) and record.host:
        return await _devices(desk, record.host)
    return []


async def record_of(desk: Desk, ref: Ref) -> Any:
    """The record behind a reference, as its view reads it. NotFound."""
    backend = await desk.backend("backups" if ref.domain == "snapshots" else ref.domain, ref.backend)
    if ref.domain == "backups":
        page = await backend.backups(BackupQuery(), 0, 1000)
        return next((row for row in page.items if row.id == ref.id), None)
    return await getattr(backend, _KIND[ref.domain])(ref.id)


async def _first(desk: Desk, domain: str, method: str, query: Any, limit: int = 5) -> list[Any]:
    found: list[Any] = []
    for opened in desk.backends(domain):
        if opened.backend is not None and hasattr(opened.backend, method):
            try:
                page = await getattr(opened.backend, method)(query, 0, limit)
            except BackendError:
                continue
            found += page.items
    return found


async def _accounts(desk: Desk, text: str) -> list[str]:
    word = text.casefold()
    rows = await _first(desk, "accounts", "accounts", AccountQuery(text=text))
    return [f"accounts:{row.backend}:{row.id}" for row in rows if word in (row.login.casefold(), row.mail.casefold())]


async def _devices(desk: Desk, name: str) -> list[str]:
    rows = await _first(desk, "devices", "devices", DeviceQuery(text=name))
    return [f"devices:{row.backend}:{row.id}" for row in rows if row.name.split(".")[0] == name.split(".")[0]]


async def _backups(desk: Desk, host: str) -> list[str]:
    rows = await _first(desk, "backups", "backups", BackupQuery(text=host))
    return [f"backups:{row.backend}:{row.id}" for row in rows if row.host.split(".")[0] == host.split(".")[0]]


async def _backups_of_devices(desk: Desk, ticket: Ticket) -> list[str]:
    """Jobs of the hosts a ticket is about: a restore is one jump away."""
    found: list[str] = []
    for reference in ticket.refs:
        if reference.startswith("devices:"):
            try:
                device = await record_of(desk, Ref.parse(reference))
            except BackendError:
                continue
            found += await _backups(desk, device.row.name)
    return found


async def _tickets(desk: Desk, ref: str, login: str) -> list[str]:
    rows = []
    for phases in (OPEN_PHASES, ()):  # what is open comes first
        rows += await _first(desk, "tickets", "tickets", TicketQuery(ref=ref, phases=phases), 8)
        if login:
            rows += await _first(desk, "tickets", "tickets", TicketQuery(requester=login, phases=phases), 8)
    return list(dict.fromkeys(f"tickets:{row.backend}:{row.id}" for row in rows))


async def _label(desk: Desk, reference: str) -> str:
    ref = Ref.parse(reference)
    kind = _KIND.get(ref.domain, ref.domain)
    backend = next((item.backend for item in desk.backends(ref.domain) if item.name == ref.backend), None)
    try:
        if ref.domain == "tickets" and backend is not None:
            row = (await backend.ticket(ref.id)).row
            return f"{kind:9}{row.number}  {row.subject}  ({row.status})"
        if ref.domain == "devices" and backend is not None:
            device = (await backend.device(ref.id)).row
            return f"{kind:9}{device.name}  {device.state}"
        if ref.domain == "accounts" and backend is not None:
            account = (await backend.account(ref.id)).row
            return f"{kind:9}{account.login}  {account.name}  {account.state}"
    except BackendError as error:
        return f"{kind:9}{ref.id}  ({error.title.lower()})"
    return f"{kind:9}{ref.id}"


async def jump_from(screen: ConsoleScreen, ref: Ref, record: Any) -> None:
    """Go to what is linked: at once when there is one, by a choice when there are more."""
    from screens.open_record import open_record

    found = await jumps(screen.desk, ref, record)
    if not found:
        screen.say("Nothing is linked to it. A ticket made from it is linked by itself; `:link T-1042` links by hand.", "dim")
        return
    if len(found) == 1:
        open_record(screen, found[0].ref)
        return
    keys = "123456789abcdefghijk"
    answer = await screen.bottom.choose("Jump to", [(keys[place], jump.ref, jump.label) for place, jump in enumerate(found)])
    if answer is not None:
        open_record(screen, answer)
