"""Work on a desk that is killed before its first write, then before its second, and so on until it comes to its end."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.backends.store.processes import ROOT, command

_SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from datetime import UTC, datetime
from pathlib import Path
from tests.backends.tickets.desk import desk

def counted(store, name, left):
    real = getattr(store, name)
    def call(*args, **more):
        if left[0] == 0:
            os._exit(9)
        left[0] -= 1
        return real(*args, **more)
    setattr(store, name, call)

for step in range(60):
    child = os.fork()
    if child == 0:
        try:
            made, left = desk(Path(sys.argv[2])), [step]
            for name in ("insert", "update", "put", "next_number", "delete"):
                counted(made._store, name, left)
            BODY
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code != 9:
        print(step)
        sys.exit(code)
sys.exit(2)
"""


def killed_at_every_write(folder: Path, body: str) -> int:
    """Run `body` (one line; the adapter is `made`) again and again; the number of times it was killed."""
    done = subprocess.run(command(_SCRIPT.replace("BODY", body), folder), cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])
