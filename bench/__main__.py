"""`python -m bench [store|terminal|tickets|restore|restore_keys|browse]`: all of it, or one."""

from __future__ import annotations

import sys

from bench import browse, restore, restore_keys, store, terminal, tickets

if __name__ == "__main__":
    wanted = sys.argv[1:] or ["store", "terminal", "tickets", "restore", "restore_keys", "browse"]
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
    if "browse" in wanted:
        browse.main([])
