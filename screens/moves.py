"""Moving in lists and documents: the handlers behind j k g G, pages, marks, sorts. They act on what has the focus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from widgets.document import Document
from widgets.grid import Grid

Focus = Callable[[], Grid | Document | None]

END = 1 << 40


def move_handlers(focus: Focus) -> Mapping[str, Callable[[], None]]:
    """Action id -> handler, for lists and documents alike."""

    def move(by: int) -> Callable[[], None]:
        def act() -> None:
            target = focus()
            if target is not None:
                target.move(by)

        return act

    def turn(pages: int) -> Callable[[], None]:
        def act() -> None:
            target = focus()
            if target is not None:
                target.turn(pages)

        return act

    def go(index: int) -> Callable[[], None]:
        def act() -> None:
            target = focus()
            if target is not None:
                target.go(index)

        return act

    return {
        "list.down": move(1), "list.up": move(-1), "list.page-down": turn(1), "list.page-up": turn(-1), "list.first": go(0),
        "list.last": go(END),
    }  # fmt: skip


def mark_handlers(grid: Callable[[], Grid | None], shown: Callable[[], None]) -> Mapping[str, Callable[[], None]]:
    """Marks of a list; `shown` draws the head that counts them."""

    def act(deed: Callable[[Grid], None]) -> Callable[[], None]:
        def run() -> None:
            target = grid()
            if target is not None:
                deed(target)
                shown()

        return run

    return {
        "list.mark": act(Grid.toggle_mark),
        "list.mark-all": act(lambda grid: grid.mark([row.key for _, row in grid.window.rows()])),
        "list.unmark": act(Grid.unmark),
        "list.wide": act(lambda grid: grid.set_wide(not grid.wide)),
    }
