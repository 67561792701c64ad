"""The view of one account."""

from __future__ import annotations

from typing import ClassVar

from backends.accounts.model import Account
from screens.account_lines import account_lines
from screens.record import RecordScreen
from widgets.toned import Line


class AccountScreen(RecordScreen):
    """State, password, lock, groups."""

    TRAIL = "Accounts"
    LEGEND: ClassVar[tuple[str, ...]] = (
        "accounts.unlock", "accounts.disable", "accounts.enable", "accounts.add-member", "accounts.ticket", "list.jump", "global.back",
        "global.help",
    )  # fmt: skip
    record: Account | None = None

    def label(self) -> str:
        """Login and name."""
        return f"{self.record.row.login} {self.record.row.name}" if self.record else self.ref.id

    async def read(self) -> None:
        """The account."""
        self.record = await self.backend().account(self.ref.id)
        self.desk.live.note_seat(self.desk.actor.login, self.record.row.login)

    def build(self, width: int) -> list[Line]:
        """Lines for a width."""
        assert self.record is not None
        return account_lines(self.record, self.links, self.desk.config.timezone, width)
