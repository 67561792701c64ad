"""Help: the keys of the view one came from, from the action registry, with those that can't be used now and why."""

from __future__ import annotations

from collections.abc import Sequence

from console.actions import ACTIONS, Action, only_half
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
    "files": "Files of a snapshot",
    "accounts": "Accounts",
    "results": "Together",
    "compose": "Writing",
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
                out += self._action(action, width)
        out += self._halves(width)
        out += heading("Command line", width, "press :")
        out += prose(
            "call WHO WHAT (a caller on the line; #printing gives a category, !2 a priority), walkin WHO WHAT, assign WHO, macro NAME, template NAME, undo, drafts, schedules, tickets, devices, backups, accounts, jobs, ledger, wall, view NAME (or a queue), save NAME and unsave NAME (what the list shows as a view of your own), query (what the list asks for and lacks), open REF, ticket NUMBER, user LOGIN, dev NAME, link REF, "
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

    def _action(self, action: Action, width: int) -> list[Line]:
        """A key, its word, what it does; why not, or what of it is only half so here."""
        opened = self._of.backend_for(action)
        keys = "  ".join(self.console.keymap.keys(action.id)) or "-"
        reason = self._of.why_not(action)
        half = only_half(action.verb, opened.backend) if opened is not None and action.verb else ""
        tone, told = ("dim", "warn") if reason else ("", "dim")
        words = wrap(reason or action.help, max(12, width - 37))
        out: list[Line] = [((" " + fit(keys, 16), "dim" if reason else "key"), (fit(action.label, 18) + " ", tone), (words[0], told))]
        out += [((" " * 36 + line, told),) for line in words[1:]]
        if half and not reason:
            out += [((" " * 36 + line, "warn"),) for line in wrap(f"{opened.name}: {half}", max(12, width - 37))]
        return out

    def _halves(self, width: int) -> list[Line]:
        """What the systems behind the view can do only half, beyond single keys."""
        verbs = {action.verb for action in ACTIONS if action.verb}
        out: list[Line] = []
        for opened in self.desk.backends(self._of.scopes()[0]):
            told = {name: text for name, text in getattr(opened.backend, "HALF", {}).items() if name not in verbs}
            if told:
                out += heading(f"Only half so in {opened.name}", width, opened.adapter)
                for name, text in told.items():
                    out += prose(f"{name}: {text}", width, "dim", " ")
        return out
