"""Sessions in the ledger: who opened a console, from where, and how it ended. Never imports textual.

Writing them never holds up a start or an end: the start's line is written after the first paint, the end's has a third of a second.
"""

from __future__ import annotations

import os
import threading
import uuid
from typing import Any

from backends.errors import BackendError
from console.desk import Desk

END_SECONDS = 0.3
_WORDS = {0: "left", 129: "line dropped", 143: "terminated"}


class Session:
    """One sitting at a console."""

    def __init__(self, desk: Desk, kind: str) -> None:
        self._desk, self._kind = desk, kind
        self._op = uuid.uuid4().hex
        self._begun = False

    def begin(self) -> str:
        """The line of its start; "" or why it could not be written, as a sentence."""
        try:
            self._desk.ledger.append("session", **self._fields("opened"), terminal=os.environ.get("TERM", ""))
        except BackendError as error:
            return f"The ledger can't be written ({error.text}): nothing can be changed until it can."
        self._begun = True
        return ""

    def end(self, code: int) -> None:
        """The line of its end, if there is time for it."""
        if not self._begun:
            return
        thread = threading.Thread(target=self._end, args=(code,), daemon=True)
        thread.start()
        thread.join(END_SECONDS)

    def _end(self, code: int) -> None:
        try:
            self._desk.ledger.append("session", **self._fields(_WORDS.get(code, "ended")), code=code)
        except BackendError:
            return

    def _fields(self, outcome: str) -> dict[str, Any]:
        return {
            "op": self._op, "actor": self._desk.actor.login, "role": self._desk.actor.role, "auth": self._desk.identity.auth(),
            "action": self._kind, "outcome": outcome,
        }  # fmt: skip


def left_open(desk: Desk) -> list[dict[str, Any]]:
    """Intents without a result whose process is gone: what they did is not known, somebody has to look."""
    host = os.uname().nodename
    return [record for record in desk.ledger.unfinished() if record.get("host") != host or not _alive(int(record.get("pid") or 0))]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
