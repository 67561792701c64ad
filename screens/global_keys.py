"""Keys that work on every screen."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.app import ConsoleApp
    from screens.base import ConsoleScreen, Handler


def global_handlers(app: ConsoleApp, screen: ConsoleScreen) -> Mapping[str, Handler]:
    """Action id -> handler."""

    def command() -> Awaitable[None]:
        from screens.commands import Commands

        return Commands(screen).ask()

    def back() -> None:
        if len(app.screen_stack) > 1:
            app.pop_screen()

    def pane(number: int) -> Handler:
        return lambda: app.to_desk().show_pane(number)

    def show(name: str) -> Handler:
        return lambda: app.show(name, screen)

    return {
        "global.command": command, "global.help": show("help"), "global.back": back, "global.quit": app.leave,
        "global.palette": app.action_command_palette, "global.jobs": show("jobs"), "global.ledger": show("ledger"),
        "global.wall": show("wall"), **{f"global.pane-{number + 1}": pane(number) for number in range(4)},
    }  # fmt: skip
