"""`deskside demo`: a county that does not exist, to look at and to practise on. Never imports textual."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from console.cli.output import Output
from console.demo import SEED, prepare_demo


def add_options(parser: argparse.ArgumentParser) -> None:
    """Sizes, seed and folder."""
    parser.add_argument("--seed", type=int, default=SEED, help=f"the same seed makes the same county ({SEED})")
    parser.add_argument("--tickets", type=int, default=40_000, metavar="N", help="tickets (40000); more than 2000 are kept in SQLite")
    parser.add_argument("--devices", type=int, default=400, metavar="N", help="devices (400)")
    parser.add_argument("--people", type=int, default=200, metavar="N", help="accounts (200)")
    parser.add_argument("--wall", action="store_true", help="the wallboard instead of the desk")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="keep the county here; otherwise it is temporary")
    parser.add_argument("--still", action="store_true", help="nobody works but you")
    parser.add_argument("--prepare", action="store_true", help="make the county, say where it is, and stop; needs --folder")
    parser.set_defaults(before_config=open_demo)


def open_demo(args: argparse.Namespace, out: Output) -> int:
    """Prepare the county, start its colleagues, open the console. The seed is printed, so that a sight can be seen again."""
    from console.cli.main import open_console
    from console.demo_activity import start_activity

    if args.prepare and args.folder is None:
        out.warn("deskside: --prepare needs --folder DIR: a temporary county would be gone at once.")
        return 2
    if not args.prepare and not (sys.stdin.isatty() and sys.stdout.isatty()):
        out.warn("deskside: there is no terminal. `deskside demo --prepare --folder DIR` makes the county for other commands.")
        return 2
    out.say(f"Seed {args.seed}")
    config = prepare_demo(args.seed, args.tickets, args.devices, args.people, args.folder, say=out.warn)
    if args.prepare:
        out.say(f"deskside --config {Path(config.data).parent / 'config.toml'} --data {config.data}")
        return 0
    colleagues = start_activity(config, args.seed, remove=args.folder is None, still=args.still)
    try:
        return open_console(config, args, wall=args.wall, demo=True)
    finally:
        if colleagues.stdin is not None:
            colleagues.stdin.close()
