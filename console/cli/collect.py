"""`deskside collect`: the collector in the foreground."""

from __future__ import annotations

import argparse

from console.cli.output import Output
from console.config import load_config


def add_options(parser: argparse.ArgumentParser) -> None:
    """--forever, as a service."""
    parser.add_argument("--forever", action="store_true", help="do not end when nobody looks")
    parser.set_defaults(run=None, before_config=collect)


def collect(args: argparse.Namespace, out: Output) -> int:
    """75 when another one runs."""
    from console.collector import run

    code = run(load_config(args.config, args.data), args.forever)
    if code == 75:
        out.warn("deskside: another collector runs already")
    return code
