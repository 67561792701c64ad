"""`deskside tickets import`: from a CSV file or another backend into our own tickets; shown first, then a job. Part of the tickets noun."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

from backends.errors import BadConfig, Invalid, Refused
from console.cli.jobs import follow
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk
from console.import_csv import sha256_of
from console.import_dates import ORDERS
from console.import_report import Report
from console.importing import Import, may_import

SHOWN = 40
"""Lines of each kind that are printed; --json and the file of refused rows have more."""


def add_import(verbs: Any) -> None:
    """One verb."""
    parser = read_options(verbs.add_parser("import", help="from a CSV file or another ticket backend; --dry-run shows what would happen"))
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE", help="a CSV file with a header")
    parser.add_argument("--from", dest="origin", metavar="BACKEND", help="a configured ticket backend instead of a file")
    parser.add_argument("--query", default="", help="only those of the backend that this filter finds")
    parser.add_argument("--to", metavar="BACKEND", help="our own tickets to import into; without it the first backend")
    parser.add_argument("--source", default="", metavar="NAME", help="a name of the system they come from; with its ids it keeps anything from coming twice")
    parser.add_argument("--map", action="append", default=[], metavar="COLUMN=FIELD", help="a column is this field (fields.NAME for one of your own, - for none)")
    parser.add_argument("--words", type=Path, metavar="FILE.toml", help='their words as ours: [status] "Erledigt" = "Resolved"; [queue], [person], [category], [priority], [kind], [team]')
    parser.add_argument("--encoding", default="", help="found, if not said: utf-8, utf-8-sig, utf-16, cp1252")
    parser.add_argument("--delimiter", default="", help="found, if not said")
    parser.add_argument("--dates", choices=ORDERS, default="iso", help="order of day and month in dates such as 03/04/2026")
    parser.add_argument("--timezone", default="", help="zone of dates that name none; without it the site's")
    parser.add_argument("--refused", type=Path, metavar="FILE", help="rows that can't be imported, with why, to be mended; a job keeps them in its folder otherwise")
    parser.add_argument("--reason", default="", help="why; goes into the ledger")
    parser.add_argument("--dry-run", action="store_true", help="show what would happen and stop")
    parser.add_argument("--yes", action="store_true", help="do it without showing and asking")
    parser.add_argument("--follow", action="store_true", help="show the job's lines until it ends; the exit code is 3 when some were refused")
    parser.set_defaults(run=import_tickets)


class _Line:
    """Progress of the dry run: a line on standard error where that is a terminal."""

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done:,} of {total:,}\x1b[K")


async def import_tickets(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Dry run, question, job. 3 when some can't be imported."""
    spec = _spec(args)
    if not args.dry_run:
        may_import(desk)
    if args.dry_run or not args.yes:
        report = await Import(desk, spec, args.refused if args.dry_run else None).run(True, _Line())
        show(report, out, dry=True)
        if args.dry_run:
            return 3 if report.counts["refused"] else 0
        if not sys.stdin.isatty():
            raise Refused("there is no terminal to ask on", hint="Add --yes to do it, or --dry-run to see what would happen.")
        if input("Import them? [y/N] ").strip().lower() not in ("y", "yes"):
            out.warn("Left; nothing was done.")
            return 1
    args.job = desk.jobs.start("import", spec, desk.actor)
    if not args.follow:
        out.record("job", {"id": args.job})
        out.say(f"It goes on by itself; `deskside jobs follow {args.job}` shows it.")
        return 0
    code = await follow(desk, args, out)
    result = desk.jobs.show(args.job).result
    if not out.json and result.get("counts"):
        show(_report(result), out, dry=False, brief=True)
    return int(result.get("exit", code))


def _spec(args: argparse.Namespace) -> dict[str, Any]:
    if (args.file is None) == (args.origin is None):
        raise Invalid("a FILE, or --from with a backend")
    path = args.file.expanduser().absolute() if args.file is not None else None
    mapped = {}
    for pair in args.map:
        column, mark, name = str(pair).rpartition("=")
        if not mark or not column or not name:
            raise Invalid(f"--map {pair}: is not COLUMN=FIELD")
        mapped[column] = name
    return {
        "to": args.to, "source": args.source, "file": str(path) if path else None, "sha256": sha256_of(path) if path else None, "from": args.origin,
        "query": args.query, "map": mapped, "words": _words(args.words), "encoding": args.encoding, "delimiter": args.delimiter, "dates": args.dates,
        "timezone": args.timezone, "refused": str(args.refused.expanduser().absolute()) if args.refused else None, "reason": args.reason,
    }  # fmt: skip


def _words(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(f"{path} can't be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadConfig(str(error), where=str(path)) from None


def _report(result: Any) -> Report:
    report = Report(unknown=dict(result.get("unknown_words") or {}), notes=list(result.get("notes") or []), file=str(result.get("refused_file") or ""))
    report.counts.update(result["counts"])
    for name in ("refused", "kept", "lost"):
        getattr(report, name).extend((str(label), str(text)) for label, text in result.get(name) or [])
    return report


def show(report: Report, out: Output, dry: bool, brief: bool = False) -> None:
    """The counts, then what is worth a word."""
    if out.json:
        out.record("import", {"dry_run": dry, "text": report.sentence(dry), **report.plain()})
        return
    if not brief:
        for note in report.notes:
            out.say(note)
        out.say(report.sentence(dry))
    lists = (("Can't be imported", report.refused), ("Changed here, kept", report.kept), ("Left out", report.lost))
    for title, lines in lists:
        _list(title, [f"{label}: {text}" for label, text in lines], out)
    _list("Words that are not known here (--words FILE.toml says what they mean)", [f"{word} ({count:,} times)" for word, count in report.unknown.items()], out)
    if report.file and report.counts["refused"]:
        out.say(f"Refused rows, to be mended and imported again: {report.file}")


def _list(title: str, lines: list[str], out: Output) -> None:
    if not lines:
        return
    out.say(f"{title}:")
    for line in lines[:SHOWN]:
        out.say(f"  {line}")
    if len(lines) > SHOWN:
        out.say(f"  and {len(lines) - SHOWN:,} more")
