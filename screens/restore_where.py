"""Where a restore goes, asked on the bottom line: a folder here, another host, a mailbox, a new database. What is typed wrong is asked again."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backends.backups.model import Snapshot
from backends.contract import Ref
from backends.errors import BackendError
from backends.restore.model import Destination
from backends.threads import in_thread
from console.ages import zone
from console.restore_places import account_behind, database_name, far_place, looks_like_dump, mailbox_of, server_place
from console.restore_rights import RIGHTS, lacking

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

_RIGHT = {"host": "host", "mailbox": "mailbox", "database": "database"}


def in_view(screen: ConsoleScreen, *domains: str) -> Ref | None:
    """The nearest record of these domains below this screen: what one came from."""
    for below in reversed(screen.app.screen_stack):
        ref = getattr(below, "ref", None)
        if isinstance(ref, Ref) and ref.domain in domains:
            return ref
    return None


def folder_name(snapshot: Snapshot, timezone: str) -> str:
    """A folder's name by what it will hold."""
    return f"restored-{snapshot.host or 'backup'}-{snapshot.time.astimezone(zone(timezone)):%Y%m%d-%H%M}"


def new_folder(snapshot: Snapshot, timezone: str) -> str:
    """One in the home folder that is not there yet."""
    base = Path.home() / folder_name(snapshot, timezone)
    tried, number = base, 2
    while os.path.lexists(tried):
        tried, number = Path(f"{base}-{number}"), number + 1
    return str(tried)


async def destination(screen: ConsoleScreen, backend: str, snapshot: Snapshot, selection: Sequence[bytes], title: str) -> Destination | None:
    """The place; None when it was left."""
    fresh = await in_thread(5.0, new_folder, snapshot, screen.desk.config.timezone)
    known = await _known_mailbox(screen)
    dump = len(selection) == 1 and await looks_like_dump(screen.desk, backend, snapshot.id, selection[0])
    kind = await screen.bottom.choose(title, _items(screen, snapshot, fresh, known, dump))
    if kind == "original":
        return Destination("original")
    ways: dict[str, Callable[[], Awaitable[Destination | None]]] = {
        "new": lambda: _folder(screen, "new", "Into the new folder:", fresh), "into": lambda: _folder(screen, "into", "Into the folder:", ""),
        "mailbox": lambda: _folder(screen, "mailbox", "Into the mailbox (the folder that has cur, new and tmp):", known),
        "host": lambda: _host(screen, snapshot), "database": lambda: _database(screen, selection[0]),
    }  # fmt: skip
    return await ways[kind]() if kind in ways else None


def _items(screen: ConsoleScreen, snapshot: Snapshot, fresh: str, known: str, dump: bool) -> list[tuple[str, str, str]]:
    host = os.uname().nodename
    foreign = f"   (the backup is of {snapshot.host}, this is {host})" if snapshot.host and snapshot.host.split(".")[0] != host.split(".")[0] else ""
    mailbox = ("m", "mailbox", "a mailbox: messages that are missing" + (f"   {known}" if known else ""))
    items = [
        ("n", "new", f"a new folder   {fresh}"), ("o", "original", f"the original place on this host{foreign}"), ("i", "into", "into a folder that is there"),
        ("h", "host", "another host by SSH"), *([] if known else [mailbox]), *([("d", "database", "a new PostgreSQL database out of this dump")] if dump else []),
    ]  # fmt: skip
    items = [mailbox, *items] if known else items
    return [(key, kind, words + _needs(screen, kind)) for key, kind, words in items]


def _needs(screen: ConsoleScreen, kind: str) -> str:
    name = _RIGHT.get(kind)
    return f"   (needs the role {RIGHTS[name][0]})" if name and lacking(screen.desk, screen.desk.actor, [name]) else ""


async def _known_mailbox(screen: ConsoleScreen) -> str:
    """Of the account one came from, or of the ticket's requester."""
    ref = in_view(screen, "accounts", "tickets")
    account = await account_behind(screen.desk, ref) if ref is not None else None
    return mailbox_of(screen.desk, account) if account is not None else ""


async def _folder(screen: ConsoleScreen, kind: str, label: str, usual: str) -> Destination | None:
    folder = await screen.bottom.ask(label, usual)
    if not folder or not folder.strip():
        return None
    root = os.fsencode(os.path.abspath(os.path.expanduser(folder.strip())))
    return Destination("into" if kind == "into" else "mailbox" if kind == "mailbox" else "new", root)


async def _checked(screen: ConsoleScreen, label: str, text: str, make: Callable[[str], Destination]) -> tuple[str, Destination] | None:
    """What was typed, once `make` takes it."""
    wrong = ""
    while True:
        typed = await screen.bottom.ask(label, text, above=[((" " + wrong, "warn"),)] if wrong else ())
        if typed is None:
            return None
        text = typed.strip()
        try:
            return text, make(text)
        except BackendError as error:
            wrong = error.sentence()


async def _host(screen: ConsoleScreen, snapshot: Snapshot) -> Destination | None:
    same = f"root@{snapshot.host}" if snapshot.host and snapshot.host.split(".")[0] != os.uname().nodename.split(".")[0] else ""
    there = await _checked(screen, "To which host (user@host or user@host:port)?", same, far_place)
    if there is None:
        return None
    place = there[1]
    items = [("n", "new", f"a new folder on {place.host}"), ("o", "original", f"the original place on {place.host}")]
    kind = await screen.bottom.choose(f"On {place.host}:", items)
    if kind != "new":
        return place if kind == "original" else None
    home = "/root" if place.user == "root" else f"/home/{place.user}"
    usual = f"{home}/{folder_name(snapshot, screen.desk.config.timezone)}"
    found = await _checked(screen, f"Into the new folder on {place.host}:", usual, lambda folder: far_place(there[0], folder or "?"))
    return found[1] if found is not None else None


async def _database(screen: ConsoleScreen, path: bytes) -> Destination | None:
    server = await _checked(screen, "On which server (host, socket folder, user@host:port; empty: this host)?", "", lambda text: server_place(text, "x"))
    if server is None:
        return None
    name = await _checked(screen, "Name of the new database:", database_name(path), lambda text: server_place(server[0], text))
    if name is None:
        return None
    word = await _checked(screen, "Where the password is kept (file:..., env:...; empty: none is needed)?", "", lambda text: server_place(server[0], name[0], text))
    return word[1] if word is not None else None
