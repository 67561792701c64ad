"""What a directory can do, one Protocol a verb. Write verbs are `plan_<verb>` (see `backends.contract.Writes`).

Values of the changes: unlock {}; enable {}; disable {}; expiry {expires: iso or ""}; add-member {group}; remove-member {group}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from backends.accounts.model import Account, AccountCount, AccountQuery, AccountRow, Group
from backends.contract import Actor, Change, Page, Plan


@runtime_checkable
class ListsAccounts(Protocol):
    """People, their state, their groups."""

    async def accounts(self, query: AccountQuery, offset: int = 0, limit: int = 100) -> Page[AccountRow]:
        """A window of the list; `note` says what may not be read here."""

    async def account(self, id: str) -> Account:
        """By stable id or login. NotFound."""

    async def groups(self, text: str = "") -> Sequence[Group]:
        """Groups whose name holds the text."""

    async def group(self, id: str) -> Group:
        """By id or name. NotFound."""

    async def count(self) -> AccountCount:
        """Figures over all accounts."""


@runtime_checkable
class UnlocksAccounts(Protocol):
    """Let somebody in again after too many bad passwords."""

    async def plan_unlock(self, change: Change, actor: Actor) -> Plan:
        """Clears the lock and the counter."""


@runtime_checkable
class EnablesAccounts(Protocol):
    """Switch an account on and off."""

    async def plan_enable(self, change: Change, actor: Actor) -> Plan:
        """It can log in again."""

    async def plan_disable(self, change: Change, actor: Actor) -> Plan:
        """It can't log in any more; nothing is deleted. Danger 2."""


@runtime_checkable
class SetsExpiry(Protocol):
    """When an account ends by itself."""

    async def plan_expiry(self, change: Change, actor: Actor) -> Plan:
        """`expires` is a date or time in ISO form; "" takes the end away."""


@runtime_checkable
class ChangesMembership(Protocol):
    """Groups of an account, one value at a time."""

    async def plan_add_member(self, change: Change, actor: Actor) -> Plan:
        """Into `group`."""

    async def plan_remove_member(self, change: Change, actor: Actor) -> Plan:
        """Out of `group`."""
