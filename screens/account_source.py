"""The list of accounts: columns, sorts, and an account as a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.ages import age, due
from screens.sources import Source
from widgets.columns import Column, Row

if TYPE_CHECKING:
    from backends.accounts.model import AccountQuery, AccountRow

ACCOUNT_TONE = {"OK": "ok", "LOCKED": "bad", "DISABLED": "dim", "EXPIRED": "warn", "STALE": "warn", "UNKNOWN": "dim"}


class AccountSource(Source):
    """Accounts of all directories."""

    domain = "accounts"
    title = "Accounts"
    list_method = "accounts"
    sorts = ("severity", "login", "name", "last_login", "department")
    columns = (
        Column("severity", "State", 9),
        Column("login", "Login", 10, flex=1),
        Column("name", "Name", 14, flex=2, drop=1),
        Column("department", "Department", 14, flex=1, drop=4),
        Column("last_login", "Seen", 5, align="right", drop=2),
        Column("text", "Why", 14, flex=2, drop=3),
        Column("expires", "Ends", 5, align="right", drop=5),
        Column("mail", "Mail", 20, flex=1, drop=6, wide=True),
        Column("kind", "Kind", 9, drop=7, wide=True),
        Column("backend", "Where", 9, drop=8, wide=True),
    )

    def first_query(self) -> AccountQuery:
        """Everybody, those who need help first."""
        from backends.accounts.model import AccountQuery

        return AccountQuery(sort="severity", descending=True)

    def severity(self, item: Any) -> int:
        """By state."""
        from backends.accounts.model import ACCOUNT_SEVERITY

        return ACCOUNT_SEVERITY.get(item.state, 0)

    def row(self, item: Any, several: bool) -> Row:
        """A person's line."""
        account: AccountRow = item
        cells = (
            str(account.state), account.login, account.name, account.department, age(account.last_login), account.text,
            due(account.expires), account.mail, account.kind, account.backend,
        )  # fmt: skip
        tones = (ACCOUNT_TONE.get(account.state, ""), "accent", "", "dim", "dim", "dim", "dim", "dim", "dim", "dim")
        return Row(f"accounts:{account.backend}:{account.id}", cells, tones)
