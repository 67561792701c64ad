"""`deskside tickets ...`: the help desk in plain text."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from backends.contract import Change
from backends.tickets.model import TicketRow
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.ticket_list import list_tickets
from console.cli.ticket_work import add_work, text
from console.cli.writing import run_change
from console.desk import Desk


def add_verbs(verbs: Any) -> None:
    """Reading and writing verbs."""
    for name, words in (("list", "a list, open ones by default"), ("search", "find a text in all tickets")):
        parser = read_options(verbs.add_parser(name, help=words))
        if name == "search":
            parser.add_argument("text")
        _filters(parser, name == "list")
        parser.set_defaults(run=list_tickets, searching=name == "search")
    for name, words, run in (("show", "one ticket with its timeline", show), ("counts", "figures over all open tickets", counts)):
        parser = read_options(verbs.add_parser(name, help=words))
        if name == "show":
            parser.add_argument("ticket", metavar="NUMBER")
        parser.set_defaults(run=run)
    _writing(verbs)
    add_work(verbs)


def _filters(parser: argparse.ArgumentParser, with_text: bool) -> None:
    parser.add_argument("--backend", help="of this backend only")
    parser.add_argument("--filter", default="", help='as typed behind /: words, "status:open owner:me queue:net prio:1 due<2d !tag:spam"')
    if with_text:
        parser.add_argument("--text", default="", help="subject, requester or number holds this")
    for name in ("queue", "status", "assignee"):
        parser.add_argument(f"--{name}", action="append", default=[], help=f"of this {name} (may be given again)")
    parser.add_argument("--requester", default="")
    parser.add_argument("--mine", action="store_true", help="assigned to you")
    parser.add_argument("--overdue", action="store_true")
    parser.add_argument("--all", action="store_true", dest="closed_too", help="resolved and closed ones too")
    parser.add_argument(
        "--sort",
        default="updated_at",
        choices=("number", "subject", "status", "priority", "queue", "requester", "assignee", "created_at", "updated_at", "due_at"),
    )
    parser.add_argument("--ascending", action="store_true")
    parser.add_argument("--limit", type=int, default=50)
    parser.add_argument("--offset", type=int, default=0)


def _writing(verbs: Any) -> None:
    plain = (("take", "become its assignee"), ("release", "give it back to the queue"), ("assign", "give it to somebody"), ("status", "move it along"),
             ("reply", "a PUBLIC reply"), ("note", "an internal note"), ("edit", "change fields"), ("link", "it is about a record"), ("unlink", "it is not about a record"))  # fmt: skip
    for name, words in plain:
        parser = write_options(verbs.add_parser(name, help=words))
        parser.add_argument("number", metavar="NUMBER")
        if name == "assign":
            parser.add_argument("assignee", help='a login, @team, or "" for nobody')
        elif name == "status":
            parser.add_argument("status")
            parser.add_argument("--until", default="", help="wakes up then (ISO date and time)")
        elif name in ("reply", "note"):
            parser.add_argument("body", help="the text, or - for standard input")
            parser.add_argument("--minutes", type=int, default=0)
            if name == "reply":
                parser.add_argument("--status", default="")
        elif name == "edit":
            parser.add_argument("field", choices=("subject", "queue", "category", "kind", "location", "estimate", "impact", "urgency", "priority"))
            parser.add_argument("value")
        elif name in ("link", "unlink"):
            parser.add_argument("ref", metavar="REF")
        parser.set_defaults(run=write, verb_name=name)
    parser = write_options(verbs.add_parser("create", help="a new ticket"))
    parser.add_argument("subject")
    parser.add_argument("body", nargs="?", default="", help="the text, or - for standard input")
    for name in ("requester", "email", "queue", "category"):
        parser.add_argument(f"--{name}", default="")
    for name in ("impact", "urgency", "priority"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--ref", action="append", default=[])
    parser.set_defaults(run=create)


def _item(row: TicketRow) -> dict[str, Any]:
    return {**dataclasses.asdict(row), "phase": str(row.phase)}


async def show(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Facts, then the timeline."""
    backend = await desk.backend("tickets")
    ticket = await backend.ticket(args.ticket)
    events = await backend.timeline(ticket.row.id)
    if out.json:
        out.record("ticket", {**dataclasses.asdict(ticket), "events": [dataclasses.asdict(event) for event in events]})
        return 0
    facts = {name: value for name, value in {**_item(ticket.row), "kind": ticket.kind, "requester": ticket.requester.label(), "email": ticket.requester.email,
             "category": ticket.category, "waiting for": ticket.pending_reason, "resolution": ticket.resolution, "may go to": ticket.offered, "about": ticket.refs,
             "promises": [f"{one.what} {one.state}: {one.text}" for one in ticket.sla], "tied to": [f"{one.kind} {one.number}" for one in ticket.links],
             "vendors": [f"{one.vendor} {one.reference}" for one in ticket.referrals], "files": [one.name for one in ticket.attachments],
             "authority": [f"{one.id} {one.what}: {one.decision or 'open'} ({one.by})" for one in ticket.approvals],
             "checklist": [f"{'[x]' if done else '[ ]'} {item}" for item, done in ticket.checklist]}.items() if value}  # fmt: skip
    out.record("ticket", facts)
    for event in events:
        out.say(f"\n{event.at:%Y-%m-%d %H:%M} {'PUBLIC' if event.public else 'internal'} {event.actor} {event.type}")
        for change in event.changes:
            if isinstance(change.new, list) and change.new and isinstance(change.new[0], dict):
                continue  # ties, referrals, files: said above, their stored form says nothing
            out.say(f"  {change.field}: {change.old or 'nothing'} -> {change.new or 'nothing'}")
        if event.body:
            out.say("  " + event.body.replace("\n", "\n  "))
    return 0


async def counts(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Open, new, overdue, unassigned, by assignee."""
    counted = await (await desk.backend("tickets")).counts()
    out.record("ticket-counts", dataclasses.asdict(counted))
    return 0


async def write(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One verb on one ticket."""
    backend = await desk.backend("tickets")
    row = (await backend.ticket(args.number)).row
    values: dict[str, Any] = {}
    if args.verb_name == "assign":
        values = {"team": args.assignee[1:]} if args.assignee.startswith("@") else {"assignee": args.assignee}
    elif args.verb_name == "status":
        values = {"status": args.status, "reason": args.reason, "until": args.until}
    elif args.verb_name in ("reply", "note"):
        values = {"body": text(args.body), "minutes": args.minutes, "status": getattr(args, "status", "")}
    elif args.verb_name == "edit":
        values[args.field] = int(args.value) if args.value.isdigit() and args.field in ("impact", "urgency", "priority", "estimate") else args.value
    elif args.verb_name in ("link", "unlink"):
        values["ref"] = args.ref
    args.ticket = None
    return await run_change(desk, args, out, Change("tickets", backend.name, args.verb_name, row.id, f"{row.number} {row.subject}", values))


async def create(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A new ticket; its number is printed."""
    backend = await desk.backend("tickets")
    person = {name: value for name, value in (("login", args.requester), ("email", args.email)) if value}
    levels = {name: getattr(args, name) for name in ("impact", "urgency", "priority") if getattr(args, name) is not None}
    values = {
        "subject": args.subject,
        "body": text(args.body),
        "requester": person,
        "queue": args.queue,
        "category": args.category,
        "refs": args.ref,
        **levels,
    }
    args.ticket = None
    return await run_change(desk, args, out, Change("tickets", backend.name, "create", values=values))
