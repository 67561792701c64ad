"""`python -m bench [store|terminal]`: all of it, or one."""

from __future__ import annotations

import sys

from bench import store, terminal

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["store", "terminal"]
    if "store" in wanted:
        store.main([])
    if "terminal" in wanted:
        terminal.main()
