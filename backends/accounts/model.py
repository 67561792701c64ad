"""Accounts and groups: frozen records, aware UTC times. None always means "not known here". Never imports an adapter."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AccountState(StrEnum):
    """The word on the screen, the gravest first that applies."""

    LOCKED = "LOCKED"
    DISABLED = "DISABLED"
    EXPIRED = "EXPIRED"
    STALE = "STALE"
    """Enabled, and not used for long."""
    OK = "OK"
    UNKNOWN = "UNKNOWN"


ACCOUNT_SEVERITY = {
    AccountState.LOCKED: 4, AccountState.EXPIRED: 3, AccountState.STALE: 2, AccountState.UNKNOWN: 1, AccountState.DISABLED: 1,
    AccountState.OK: 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A line of the list."""

    backend: str
    id: str
    """Stable id (uid number, entryUUID, objectGUID), never the login."""
    login: str
    name: str
    state: AccountState
    department: str = ""
    mail: str = ""
    kind: str = "person"
    """person, temporary, service, shared, emergency, system."""
    last_login: datetime | None = None
    expires: datetime | None = None
    text: str = ""
    """Why it is so ("5 bad passwords since 14:32, unlocks 14:47")."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Password:
    """What is known of a password, never the password."""

    changed: datetime | None = None
    expires: datetime | None = None
    must_change: bool | None = None
    set: bool | None = None


@dataclass(frozen=True, slots=True)
class Lock:
    """`until` None while `locked` = until somebody unlocks it."""

    locked: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    bad_count: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A group and what it opens."""

    backend: str
    id: str
    name: str
    description: str = ""
    members: tuple[str, ...] = ()
    """Logins."""
    owner: str = ""
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """The whole account."""

    row: AccountRow
    enabled: bool | None = None
    lock: Lock = field(default_factory=Lock)
    password: Password = field(default_factory=Password)
    groups: tuple[str, ...] = ()
    title: str = ""
    phone: str = ""
    room: str = ""
    manager: str = ""
    created: datetime | None = None
    home: str = ""
    shell: str = ""
    last_from: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    """Everything else worth showing: (name, value)."""


@dataclass(frozen=True, slots=True)
class AccountQuery:
    """Which accounts. `faults` = locked, expired or stale. Sort: severity, login, name, last_login, department."""

    text: str = ""
    inverse: bool = False
    states: tuple[AccountState, ...] = ()
    group: str = ""
    department: str = ""
    faults: bool = False
    system: bool = False
    """System accounts too (daemons), where the directory knows them apart."""
    sort: str = "login"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class AccountCount:
    """Figures for the wall."""

    total: int = 0
    locked: int = 0
    disabled: int = 0
    expired: int = 0
    stale: int = 0
