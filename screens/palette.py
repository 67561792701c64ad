"""The palette (ctrl+p): the same actions by their words, as a second way."""

from __future__ import annotations

from collections.abc import Callable

from textual.command import DiscoveryHit, Hit, Hits, Provider

from console.actions import Action
from screens.base import ConsoleScreen


class ActionPalette(Provider):
    """Actions of the screen that can be run now."""

    def _screen(self) -> ConsoleScreen | None:
        screen = self.screen
        return screen if isinstance(screen, ConsoleScreen) else None

    async def discover(self) -> Hits:
        """All of them."""
        screen = self._screen()
        for action in screen.console.keymap.all() if screen else ():
            if screen is not None and action.id in screen.handlers:
                yield DiscoveryHit(action.label, _runner(screen, action), help=action.help)

    async def search(self, query: str) -> Hits:
        """Those whose words fit."""
        screen = self._screen()
        matcher = self.matcher(query)
        for action in screen.console.keymap.all() if screen else ():
            score = matcher.match(f"{action.label} {action.help}")
            if screen is not None and score > 0 and action.id in screen.handlers:
                yield Hit(score, matcher.highlight(action.label), _runner(screen, action), help=action.help)


def _runner(screen: ConsoleScreen, action: Action) -> Callable[[], None]:
    return lambda: screen.run_action_id(action)
