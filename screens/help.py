"""Help: the keys of the view one came from, from the action registry, with those that can't be used now and why."""

from __future__ import annotations

from collections.abc import Sequence

from console.actions import disabled_reason
from screens.base import ConsoleScreen
from screens.paper import PaperScreen
from widgets.toned import Line, fit
from widgets.wrap import heading, prose, wrap

_SCOPES = {
    "global": "Everywhere",
    "list": "Lists and views",
    "tickets": "Tickets",
    "devices": "Devices",
    "backups": "Backups",
    "accounts": "Accounts",
}


class HelpScreen(PaperScreen):
    """The keys of `of`, by scope; grey ones say why."""

    TITLE_LINE = "Keys of this view"

    def __init__(self, of: ConsoleScreen) -> None:
        super().__init__()
        self._of = of

    def build(self, width: int) -> Sequence[Line]:
        """One line an action."""
        out: list[Line] = []
        for scope in self._of.scopes():
            actions = [action for action in self.console.keymap.actions(scope) if action.id in self._of.handlers]
            if actions:
                out += heading(_SCOPES.get(scope, scope.capitalize()), width)
            for action in actions:
                keys = "  ".join(self.console.keymap.keys(action.id)) or "-"
                reason = disabled_reason(action, self.desk, self._of.backend_for(action))
                tone = "dim" if reason else ""
                words = wrap(reason or action.help, max(12, width - 37))
                out.append(((" " + fit(keys, 16), "dim" if reason else "key"), (fit(action.label, 18) + " ", tone), (words[0], "warn" if reason else "dim")))
                out += [((" " * 36 + line, "warn" if reason else "dim"),) for line in words[1:]]
        out += heading("Command line", width, "press :")
        out += prose(
            "call WHO WHAT (a caller on the line), walkin WHO WHAT, tickets, devices, backups, accounts, jobs, ledger, wall, view NAME (or a queue), save NAME and unsave NAME (what the list shows as a view of your own), query (what the list asks for and lacks), open REF, ticket NUMBER, user LOGIN, dev NAME, link REF, "
            "theme NAME, refresh, help, quit. Tab completes, up and down bring back what was typed.", width, "dim", " ",
        )  # fmt: skip
        out += heading("Mouse and clipboard", width)
        out += prose(
            "A click chooses a row, a double click opens it, the wheel moves. Hold shift to select text in your terminal. y copies the id.",
            width,
            "dim",
            " ",
        )
        return out
