"""`python -m bench [store|terminal|tickets]`: all of it, or one."""

from __future__ import annotations

import sys

from bench import store, terminal, tickets

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["store", "terminal", "tickets"]
    if "store" in wanted:
        store.main([])
    if "terminal" in wanted:
        terminal.main()
    if "tickets" in wanted:
        tickets.main()
