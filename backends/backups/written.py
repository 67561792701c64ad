"""`Written`: how far a program is, by the kernel's count of what it wrote. It costs the program nothing. Never imports an adapter.

restic before 0.16 says nothing while it restores, and borg takes 15 % longer to say how far it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

EVERY = 0.25


class Written:
    """Looks at a running program (proc(5): wchar, the bytes it gave to write calls; holes and its own small files are told apart by nobody)."""

    def __init__(self, pid: int, tell: Callable[[int], None]) -> None:
        self._pid, self._tell = pid, tell
        self._last = time.monotonic()

    def look(self) -> None:
        """Tell the bytes so far, at most four times a second; nothing where the kernel does not say."""
        if time.monotonic() - self._last < EVERY:
            return
        self._last = time.monotonic()
        try:
            with open(f"/proc/{self._pid}/io", "rb") as file:
                found = re.search(rb"wchar: (\d+)", file.read())
        except OSError:
            return
        if found:
            self._tell(int(found[1]))
