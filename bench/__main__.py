"""`python -m bench [store|terminal|tickets|restore|restore_keys]`: all of it, or one."""

from __future__ import annotations

import sys

from bench import restore, restore_keys, store, terminal, tickets

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["store", "terminal", "tickets", "restore", "restore_keys"]
    if "store" in wanted:
        store.main([])
    if "terminal" in wanted:
        terminal.main()
    if "tickets" in wanted:
        tickets.main()
    if "restore" in wanted:
        restore.main([])
    if "restore_keys" in wanted:
        restore_keys.main([])
