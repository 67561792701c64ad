"""`deskside where`: which files and folders are used."""

from __future__ import annotations

import argparse

from console.cli.options import read_options
from console.cli.output import Output
from console.config import config_files
from console.desk import Desk


def add_options(parser: argparse.ArgumentParser) -> None:
    """--json."""
    read_options(parser)
    parser.set_defaults(run=where)


async def where(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Paths, and who acts."""
    config = desk.config
    looked = [str(path) + ("" if path.exists() else " (not there)") for path in config_files()]
    out.record("where", {
        "configuration": [str(path) for path in config.sources] or ["the embedded default"], "looked at": looked,
        "data": str(config.data), "store": str(config.data / "store"), "ledger": str(config.data / "ledger"),
        "jobs": str(config.data / "jobs"), "live state": str(config.data / "live.sqlite"), "crash log": str(config.data / "crash.log"),
        "you": desk.actor.login, "role": desk.actor.role,
        "backends": [f"{item.domain}.{item.name} ({item.adapter})" for item in config.backends],
    })  # fmt: skip
    return 0
