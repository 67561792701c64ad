"""`deskside tickets export`: tickets as CSV or as JSON lines, to standard output, into a file, or as a job. Part of the tickets noun."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from console.cli.jobs import follow
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk
from console.export_files import check_place
from console.exporting import FORMATS, Wanted, export, export_to


def add_export(verbs: Any) -> None:
    """One verb."""
    parser = read_options(verbs.add_parser("export", help="as CSV or JSON lines; every ticket unless --query narrows"))
    parser.add_argument("--format", choices=sorted(FORMATS), default="csv", help="csv (RFC 4180), or json: one object a line")
    parser.add_argument("--query", default="", help='as typed behind /: "status:open queue:net created>2026-01-01"')
    parser.add_argument("--backend", help="of this backend only; without it of all")
    parser.add_argument("--with-timeline", action="store_true", help="with every entry of each ticket")
    parser.add_argument("--output", type=Path, metavar="FILE", help="into this file; without it to standard output")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    parser.add_argument("--job", action="store_true", help="as a job that goes on by itself; prints its id")
    parser.add_argument("--follow", action="store_true", help="as a job, and show its lines until it ends")
    parser.set_defaults(run=export_tickets)


class _Quiet:
    """Progress of an export in the foreground: a line on standard error where that is a terminal."""

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text} of {total:,}\x1b[K")


async def export_tickets(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Write them; 7 when the file exists and --force was not given."""
    spec: dict[str, Any] = {"format": args.format, "query": args.query, "backend": args.backend, "timeline": args.with_timeline}
    wanted = Wanted.read(spec)
    path = args.output.expanduser().absolute() if args.output is not None else None
    if path is not None:
        check_place(path, args.force)
    if args.job or args.follow:
        args.job = desk.jobs.start("export", {**spec, "output": str(path) if path else None, "force": args.force}, desk.actor)
        if args.follow:
            return await follow(desk, args, out)
        out.record("job", {"id": args.job})
        return 0
    if path is None:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace", newline="")  # type: ignore[union-attr]
        await export(desk, wanted, sys.stdout, _Quiet())
        return 0
    done = await export_to(desk, wanted, path, args.force, _Quiet())
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    out.record("export", {"file": str(path), "count": done.count, "gone": done.gone}) if out.json else out.say(f"{done.sentence()} in {path}")
    return 0
