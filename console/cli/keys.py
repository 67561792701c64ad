"""`deskside keys`: the keys, from the action registry."""

from __future__ import annotations

import argparse

from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk
from console.keymap import Keymap, keys_markdown


def add_options(parser: argparse.ArgumentParser) -> None:
    """--markdown writes what docs/keys.md holds."""
    parser.add_argument("--markdown", action="store_true", help="as docs/keys.md")
    read_options(parser)
    parser.set_defaults(run=keys)


async def keys(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One line an action, with the keys as they are bound."""
    if args.markdown:
        out.stream.write(keys_markdown() + "\n")
        return 0
    keymap = Keymap(desk.config.keys)
    rows = [
        {"id": action.id, "keys": " ".join(keymap.keys(action.id)), "label": action.label, "help": action.help} for action in keymap.all()
    ]
    out.rows("keys", (("keys", "KEYS"), ("id", "ACTION"), ("help", "WHAT")), rows)
    return 0
