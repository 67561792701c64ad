"""Other processes that use a store: what the tests of many writers, kills and users start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent.parent

PREAMBLE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from backends.errors import BackendError
from backends.store.opening import open_store
folder = Path(sys.argv[2])
"""

INSERTS = PREAMBLE + """
from backends.errors import Busy
store = open_store(folder)
for n in range(int(sys.argv[4])):
    while True:
        try:
            store.insert("t", {"w": sys.argv[3], "n": n}, id=f"{sys.argv[3]}-{n}", op_id=f"op-{sys.argv[3]}-{n}")
            break
        except Busy:  # on a busy machine the others may be before it for five seconds: nothing was stored, and it says so
            pass
    if len(sys.argv) > 5:
        print(n, flush=True)
"""
"""Arguments: name, count, and anything more to say each number once it is stored."""


def command(script: str, folder: Path, *more: str, before: Sequence[str] = ()) -> list[str]:
    """The argv of a script on a folder."""
    return [*before, sys.executable, "-c", script, str(ROOT), str(folder), *more]


def run(script: str, folder: Path, *more: str, before: Sequence[str] = (), **how: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(command(script, folder, *more, before=before), capture_output=True, text=True, timeout=120, **how)


def start(script: str, folder: Path, *more: str, talk: bool = False) -> subprocess.Popen[str]:
    """Start it; with `talk` its standard output can be read."""
    return subprocess.Popen(command(script, folder, *more), stdout=subprocess.PIPE if talk else None, text=True)
