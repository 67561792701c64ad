"""Where a restore may go, from what people type: a host, a database server, a dump's new name; and where an account's mail or home lies. Never imports textual."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from backends.accounts.model import Account
from backends.backups.contract import ReadsFiles
from backends.contract import Ref
from backends.errors import BackendError, Invalid
from backends.restore.model import Destination

if TYPE_CHECKING:
    from console.desk import Desk

DUMPS = (".sql", ".sql.gz", ".dump", ".pgdump", ".pg_dump", ".backup", ".pgc", ".custom")
_HEADS = (b"PGDMP", b"-- PostgreSQL database dump", b"\x1f\x8b")
MAIL_FIELDS = ("login", "user", "domain", "mail")


def far_place(text: str, folder: str = "", key: str = "", known_hosts: str = "") -> Destination:
    """"user@host", "user@host:2222" or "user@[2001:db8::7]:22", and the folder there ("" = the original place). Invalid."""
    user, _, host = text.strip().rpartition("@")
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@]+)(?::(\d{1,5}))?", host)
    if not user or re.search(r"\s", user) or found is None or int(found.group(2) or 22) > 65535:
        raise Invalid(fields={"on": "give USER@HOST or USER@HOST:PORT"})
    if folder and not folder.startswith("/"):
        raise Invalid(fields={"folder": "give a whole path from / on"})
    return Destination("host", os.fsencode(folder), found.group(1).strip("[]"), int(found.group(2) or 22), user, key, known_hosts)


def server_place(text: str, database: str, password: str = "") -> Destination:
    """"" (this host), "/run/postgresql", "db1", "db1:5433" or "user@db1:5433", and the new database's name. Invalid."""
    user, _, host = text.strip().rpartition("@")
    found = re.fullmatch(r"(|/\S*?|\[[0-9A-Fa-f:.]+\]|[^\s:/@]+)(?::(\d{1,5}))?", host)
    if found is None or int(found.group(2) or 0) > 65535:
        raise Invalid(fields={"server": "give a host, a socket folder, USER@HOST or HOST:PORT; nothing means this host"})
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", database):
        raise Invalid(fields={"database": "a name has small letters, digits and _, at most 63"})
    if password and not re.match(r"(file|env|cred|command):", password):
        raise Invalid(fields={"password": "give a reference such as file:/etc/deskside/pg.pass, never the password itself"})
    return Destination("postgres", host=found.group(1).strip("[]"), port=int(found.group(2) or 0), user=user, database=database, password=password)


def database_name(path: bytes) -> str:
    """A name for a new database, from the dump's file."""
    stem = path.rsplit(b"/", 1)[-1].decode("utf-8", "replace").lower()
    for end in sorted(DUMPS, key=len, reverse=True):
        stem = stem.removesuffix(end)
    name = re.sub(r"[^a-z0-9_]+", "_", stem).strip("_") or "dump"
    return ("_" + name if name[0].isdigit() else name)[:54] + "_restored"


async def looks_like_dump(desk: Desk, backend: str, snapshot: str, path: bytes) -> bool:
    """Whether a file is named like a dump of PostgreSQL and begins like one, as far as its beginning can be read."""
    if not path.lower().endswith(tuple(end.encode() for end in DUMPS)):
        return False
    try:
        found = await desk.backend("backups", backend)
        head = (await found.read(snapshot, path, 4096)).data if isinstance(found, ReadsFiles) else b"PGDMP"
    except BackendError:  # a folder, or it can't be read: said where it is restored
        return False
    return any(sign in head[:200] if sign.startswith(b"--") else head.startswith(sign) for sign in _HEADS)


def check_mailboxes(pattern: str) -> str:
    """The pattern of `mailboxes` in [restore], if its fields are known. Invalid."""
    wrong = [name for name in re.findall(r"\{([^{}]*)\}", pattern) if name not in MAIL_FIELDS]
    if wrong or (pattern and not pattern.startswith("/")):
        said = f"{{{wrong[0]}}} is not known" if wrong else "give a whole path from / on"
        raise Invalid(fields={"restore.mailboxes": f"{said}; fields are {', '.join('{' + name + '}' for name in MAIL_FIELDS)}"})
    return pattern


def mailbox_of(desk: Desk, account: Account) -> str:
    """Where the account's mailbox lies by `mailboxes` in [restore]; "" when that is not set or a field is empty. Invalid for a wrong pattern."""
    pattern = check_mailboxes(str(desk.config.restore.get("mailboxes", "")))
    user, _, domain = account.row.mail.casefold().rpartition("@")
    values = {"login": account.row.login, "user": user, "domain": domain, "mail": account.row.mail.casefold()}
    used = re.findall(r"\{([^{}]*)\}", pattern)
    if not pattern or any(not values[name] or "/" in values[name] or values[name].startswith(".") for name in used):
        return ""
    return re.sub(r"\{([^{}]*)\}", lambda found: values[found.group(1)], pattern)


def place_of(desk: Desk, account: Account) -> tuple[str, str]:
    """(what it is, where): the mailbox, else the home folder of an account of this machine; ("", "") where neither is known."""
    mailbox = mailbox_of(desk, account)
    if mailbox:
        return "mailbox", mailbox
    return ("home folder", account.home) if account.home.startswith("/") and account.home != "/" else ("", "")


async def account_behind(desk: Desk, ref: Ref) -> Account | None:
    """The account itself, or the one of a ticket's requester; None where there is none."""
    from backends.accounts.model import AccountQuery

    try:
        if ref.domain == "accounts":
            found: Account = await (await desk.backend("accounts", ref.backend)).account(ref.id)
            return found
        if ref.domain != "tickets":
            return None
        requester = (await (await desk.backend("tickets", ref.backend)).ticket(ref.id)).requester
    except BackendError:
        return None
    word = (requester.login or requester.email).casefold()
    for place in desk.backends("accounts") if word else ():
        try:
            backend = await desk.backend("accounts", place.name)
            rows = (await backend.accounts(AccountQuery(text=word), 0, 5)).items
            row = next((row for row in rows if word in (row.login.casefold(), row.mail.casefold())), None)
            if row is not None:
                account: Account = await backend.account(row.id)
                return account
        except BackendError:
            continue
    return None
