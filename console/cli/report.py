"""`deskside report day|week`: a short status report; `deskside report tickets`: figures on tickets as text, Markdown, HTML or CSV."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from backends.backups.model import BackupQuery
from backends.contract import now
from backends.devices.model import DeviceQuery
from backends.errors import BackendError, Invalid
from backends.tickets.model import OPEN_PHASES, TicketQuery
from console.ages import stamp, zone
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk
from console.export_files import check_place, new_file
from console.report_tables import FACES, render
from console.report_tickets import count, tables


def add_verbs(verbs: Any) -> None:
    """Two spans."""
    for name, days in (("day", 1), ("week", 7)):
        parser = read_options(verbs.add_parser(name, help=f"the last {name}"))
        parser.set_defaults(run=report, days=days)
    parser = read_options(verbs.add_parser("tickets", help="open and overdue by queue, technician, age, building; promises kept by month"))
    parser.add_argument("--months", type=int, default=3, help="this month and the ones before it for which promises are counted (3)")
    parser.add_argument("--query", default="", help="only those that this filter finds")
    parser.add_argument("--backend", help="of this backend only")
    parser.add_argument("--format", choices=FACES, default="text")
    parser.add_argument("--output", type=Path, metavar="FILE", help="into this file; without it to standard output")
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    parser.set_defaults(run=report_tickets)


class _Quiet:
    """Progress on standard error where that is a terminal."""

    def step(self, text: str, done: int = 0, total: int = 0) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{text}\x1b[K")


async def report_tickets(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """3 when a backend could not be read to the end."""
    if not 1 <= args.months <= 120:
        raise Invalid(fields={"months": "from 1 to 120"})
    if args.output is not None:
        check_place(args.output, args.force)
    since = _month_before(now().astimezone(zone(desk.config.timezone)), args.months - 1)
    tally = await count(desk, since, args.query, args.backend, _Quiet())
    found = tables(tally)
    notes = [f"As of {stamp(now(), desk.config.timezone)}; resolutions and promises are of the tickets opened from {since:%Y-%m} on" + (f"; only {args.query}" if args.query else "")]
    notes += [f"Not read to the end: {text}" for text in tally.unread]
    if out.json:
        out.record("ticket-report", {"since": since, "unread": tally.unread, "tables": {
            table.title: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in found}})  # fmt: skip
    else:
        text = render(args.format, f"{desk.config.site_name}: tickets", notes, found)
        if args.output is None:
            sys.stdout.write(text)
        else:
            with new_file(args.output, args.force) as file:
                file.write(text)
            out.say(f"Written to {args.output}")
    for text in tally.unread:
        out.warn(f"Not read to the end: {text}")
    return 3 if tally.unread else 0


def _month_before(at: datetime, months: int) -> datetime:
    """The first moment of the month that was so many months ago."""
    whole = at.year * 12 + at.month - 1 - months
    return at.replace(year=whole // 12, month=whole % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)


async def _lists(desk: Desk, domain: str, method: str, query: Any, failed: list[str]) -> list[Any]:
    found: list[Any] = []
    for place in desk.backends(domain):
        try:
            backend = await desk.backend(domain, place.name)
            found += (await getattr(backend, method)(query, 0, 500)).items
        except BackendError as error:
            failed.append(f"{domain}.{place.name}: {error.title.lower()}")
    return found


async def report(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Markdown, or JSON. Says what could not be read."""
    failed: list[str] = []
    since = now().timestamp() - args.days * 86400
    newest = await _lists(desk, "tickets", "tickets", TicketQuery(sort="created_at"), failed)
    opened = [row for row in newest if row.created_at and row.created_at.timestamp() >= since]
    late = await _lists(desk, "tickets", "tickets", TicketQuery(phases=OPEN_PHASES, overdue=True, sort="due_at", descending=False), failed)
    faults = await _lists(desk, "devices", "devices", DeviceQuery(faults=True), failed)
    backups = await _lists(desk, "backups", "backups", BackupQuery(faults=True), failed)
    if out.json:
        out.record("report", {"days": args.days, "opened": len(opened), "overdue": [dataclasses.asdict(row) for row in late],
                              "devices": [dataclasses.asdict(row) for row in faults], "backups": [dataclasses.asdict(row) for row in backups], "unread": failed})  # fmt: skip
        return 3 if failed else 0
    out.say(f"# {desk.config.site_name}: report of {stamp(now(), desk.config.timezone)}, the last {args.days} day(s)\n")
    out.say(
        f"{len(opened)}{'+' if len(opened) == 500 else ''} tickets opened, {len(late)} overdue, {len(faults)} devices not OK, {len(backups)} backups not OK.\n"
    )
    for title, lines in (
        ("Overdue tickets", [f"{row.number} {row.subject} ({row.assignee or 'nobody'})" for row in late[:30]]),
        ("Devices not OK", [f"{row.state} {row.name}: {row.output}" for row in faults[:30]]),
        ("Backups not OK", [f"{row.protection} {row.name}: {row.text}" for row in backups[:30]]), ("Could not be read", failed),
    ):  # fmt: skip
        if lines:
            out.say(f"## {title}\n")
            for line in lines:
                out.say(f"- {line}")
            out.say("")
    return 3 if failed else 0
