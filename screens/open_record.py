"""Opening a record by its reference, on the screen of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screens.base import ConsoleScreen


def open_record(screen: ConsoleScreen, reference: str) -> None:
    """Push the view of a ticket, device, account, backup job or snapshot. Screens are imported when they are first used."""
    from backends.contract import Ref

    try:
        ref = Ref.parse(reference)
    except ValueError:
        screen.say(f"{reference!r} is not a reference", "warn")
        return
    if ref.domain == "tickets":
        from screens.ticket import TicketScreen

        screen.app.push_screen(TicketScreen(ref))
    elif ref.domain == "devices":
        from screens.device import DeviceScreen

        screen.app.push_screen(DeviceScreen(ref))
    elif ref.domain == "accounts":
        from screens.account import AccountScreen

        screen.app.push_screen(AccountScreen(ref))
    elif ref.domain == "backups":
        from screens.backup import BackupScreen

        screen.app.push_screen(BackupScreen(ref))
    elif ref.domain == "snapshots":
        from screens.snapshot import SnapshotScreen

        screen.app.push_screen(SnapshotScreen(ref))
    else:
        screen.say(f"Nothing shows a {ref.domain!r}", "warn")
