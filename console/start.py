"""Starting the console: signals, driver, collector, app; and leaving it with the right exit code."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from console.config import Config
from console.desk import Desk
from console.exits import Exits, leave_now
from console.people import whoami

_DROPPED = ("TEXTUAL_DRIVER", "TEXTUAL_LOG", "TEXTUAL_SCREENSHOT", "TEXTUAL_PRESS", "BROWSER")


def start(config: Config, *, wall: bool = False, demo: bool = False) -> int:
    """Run the console; does not return: threads of hung servers are not waited for."""
    for name in _DROPPED:
        os.environ.pop(name, None)
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    os.environ.setdefault("ESCDELAY", "25")
    desk = Desk(config, whoami(config.roles))
    if wall:
        desk.read_only = True
    from console.app import ConsoleApp

    app = ConsoleApp(desk, wall=wall, demo=demo or config.demo)
    exits = Exits(lambda code: _ask(app, code))
    exits.install()
    code = app.run(mouse=config.mouse)
    sentence = getattr(app, "crash_sentence", "")
    if sentence:
        print(sentence, file=sys.stderr)
    ended = exits.code if exits.code is not None else 1 if sentence else code if isinstance(code, int) else 0
    app.stand_up()
    if app.session is not None:
        app.session.end(ended)
    leave_now(ended)
    return 0


def _ask(app: Any, code: int) -> None:
    """From the signal handler: the loop ends the app; if it can't, the watchdog does."""
    try:
        loop = app._loop or asyncio.get_event_loop()  # private: Textual keeps its loop there
        loop.call_soon_threadsafe(app.exit, code)
    except (RuntimeError, AttributeError):
        return

