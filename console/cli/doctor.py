"""`deskside doctor [--json]`: check everything and say what to do."""

from __future__ import annotations

import argparse

from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk
from console.doctor import examine


def add_options(parser: argparse.ArgumentParser) -> None:
    """--json."""
    read_options(parser)
    parser.set_defaults(run=doctor)


async def doctor(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """0 when nothing failed, 1 otherwise."""
    found = await examine(desk)
    rows = [{"state": item.word.upper(), "what": item.what, "text": item.text, "hint": item.hint} for item in found]
    out.rows("doctor", (("state", "STATE"), ("what", "WHAT"), ("text", "FOUND"), ("hint", "NEXT STEP")), rows)
    return 1 if any(item.word == "fail" for item in found) else 0
