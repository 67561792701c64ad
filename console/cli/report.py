"""`deskside report day|week`: a short status report."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from backends.backups.model import BackupQuery
from backends.contract import now
from backends.devices.model import DeviceQuery
from backends.errors import BackendError
from backends.tickets.model import OPEN_PHASES, TicketQuery
from console.ages import stamp
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk


def add_verbs(verbs: Any) -> None:
    """Two spans."""
    for name, days in (("day", 1), ("week", 7)):
        parser = read_options(verbs.add_parser(name, help=f"the last {name}"))
        parser.set_defaults(run=report, days=days)


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
