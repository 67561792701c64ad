"""`deskside`; also `python -m console`. Sets what must be set before anything else is imported, then runs the command line."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """The entry point of the `deskside` command."""
    gc.disable()  # nothing made while importing is garbage; on again once the first screen stands, or before a command works
    os.umask(0o007)
    if sys.path and sys.path[0] in ("", os.getcwd()) and not os.path.isdir(os.path.join(sys.path[0] or ".", "console", "cli")):
        sys.path.pop(0)  # a file in the working folder must not be imported in place of a library
    from console.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    raise SystemExit(main())
