"""`deskside tickets ...`: the help desk in plain text."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from backends.contract import Change, now
from backends.errors import Invalid, NotFound
from backends.tickets.model import TicketRow
from console.batch import Deed
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.ticket_batch import add_batches, fairest_of, numbers_of, run_batch
from console.cli.ticket_export import add_export
from console.cli.ticket_import import add_import
from console.cli.ticket_list import list_tickets
from console.cli.ticket_work import add_work, text
from console.cli.writing import run_change
from console.desk import Desk
from console.macros import FAIR
from console.placeholders import plain_values
from console.spent import minutes_spent
from console.templates import ticket_of


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
    add_export(verbs)
    add_import(verbs)
    add_batches(verbs)


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
             ("reply", "a PUBLIC reply"), ("solve", "a PUBLIC reply that solves it"), ("note", "an internal note; @login tells a colleague"),
             ("edit", "change fields"), ("link", "it is about a record"), ("unlink", "it is not about a record"))  # fmt: skip
    for name, words in plain:
        parser = write_options(verbs.add_parser(name, help=words))
        parser.add_argument("number", metavar="NUMBER", help="a ticket, or several: 1042,1043")
        parser.add_argument("--backend", help="of this ticket system")
        _arguments(name, parser)
        parser.set_defaults(run=write, verb_name=name)
    parser = write_options(verbs.add_parser("create", help="a new ticket"))
    parser.add_argument("subject", nargs="?", default="", help="may be left out with --template")
    parser.add_argument("body", nargs="?", default="", help="the text, or - for standard input")
    for name in ("requester", "email", "queue", "category", "kind", "assignee", "team", "template", "dedupe-key", "origin", "backend"):
        parser.add_argument(f"--{name}", default="")
    for name in ("impact", "urgency", "priority"):
        parser.add_argument(f"--{name}", type=int)
    for name, words in (("ref", "what it is about: domain:backend:id"), ("tag", "a tag"), ("item", "an item of its checklist"), ("field", "a field of the template: name=value")):
        parser.add_argument(f"--{name}", action="append", default=[], help=words + " (may be given again)")
    parser.set_defaults(run=create)


_EDITABLE = ("subject", "queue", "category", "kind", "location", "tags", "estimate", "impact", "urgency", "priority")


def _arguments(name: str, parser: argparse.ArgumentParser) -> None:
    if name == "assign":
        parser.add_argument("assignee", help='a login, @team, fair (who has least), @team:fair, or "" for nobody')
    elif name == "status":
        parser.add_argument("status")
        parser.add_argument("--until", default="", help="wakes up then (ISO date and time)")
    elif name in ("reply", "solve", "note"):
        parser.add_argument("body", help="the text, or - for standard input")
        parser.add_argument("--minutes", default="", metavar="TIME", help="time spent: 45, 1h15m")
        parser.add_argument("--file", action="append", default=[], help="goes with it (may be given again)")
        if name != "note":
            parser.add_argument("--cc", action="append", default=[], metavar="ADDRESS", help="reads this and later replies too (may be given again)")
        if name == "reply":
            parser.add_argument("--status", default="", help="moves it along in the same step; --reason says why")
    elif name == "edit":
        parser.add_argument("field", choices=_EDITABLE)
        parser.add_argument("value")
    elif name in ("link", "unlink"):
        parser.add_argument("ref", metavar="REF")


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
             "promises": [f"{one.what} {one.state}: {one.text}" for one in ticket.sla], "tied to": [f"{one.kind} {one.number} ({one.status})" for one in ticket.links], "followed by": ticket.followers, "mentioned": ticket.mentioned,
             "vendors": [f"{one.vendor} {one.reference}" for one in ticket.referrals], "files": [one.name for one in ticket.attachments],
             "authority": [f"{one.id} {one.what}: {one.decision or 'open'} ({one.by})" for one in ticket.approvals],
             "checklist": [f"{'[x]' if done else '[ ]'} {item}" for item, done in ticket.checklist]}.items() if value}  # fmt: skip
    out.record("ticket", facts)
    for event in events:
        spent = f" {event.minutes} min" if event.minutes else ""
        out.say(f"\n{event.seq} {event.at:%Y-%m-%d %H:%M} {'PUBLIC' if event.public else 'internal'} {event.actor} {event.type}{spent}")
        for change in event.changes:
            if isinstance(change.new, list) and change.new and isinstance(change.new[0], dict):
                continue  # ties, referrals, files: said above, their stored form says nothing
            out.say(f"  {change.field}: {change.old or 'nothing'} -> {change.new or 'nothing'}")
        if event.body:
            out.say("  " + event.body.replace("\n", "\n  "))
        if event.quoted:
            out.say("  > " + event.quoted.replace("\n", "\n  > "))
    return 0


async def counts(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Open, new, overdue, unassigned, by assignee."""
    counted = await (await desk.backend("tickets")).counts()
    out.record("ticket-counts", dataclasses.asdict(counted))
    return 0


async def write(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One verb on one ticket, or on several with a result line each."""
    backend = await desk.backend("tickets", args.backend)
    verb, values = await _values(desk, backend, args)
    return await on_each(desk, args, out, backend, verb, values)


async def on_each(desk: Desk, args: argparse.Namespace, out: Output, backend: Any, verb: str, values: dict[str, Any]) -> int:
    """A change on the tickets of NUMBER: one is shown and asked for as ever, several are a batch."""
    rows = [(await backend.ticket(number)).row for number in numbers_of(args.number)]
    changes = [Change("tickets", backend.name, verb, row.id, f"{row.number} {row.subject}", values) for row in rows]
    args.ticket = None
    if len(changes) == 1:
        return await run_change(desk, args, out, changes[0])
    return await run_batch(desk, args, out, verb, [Deed(row.number, change) for row, change in zip(rows, changes, strict=True)])


async def _values(desk: Desk, backend: Any, args: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """(the contract's verb, its values) of what was typed."""
    name = args.verb_name
    if name == "assign":
        return name, await _assignee(desk, backend, args)
    if name == "status":
        return name, {"status": args.status, "reason": args.reason, "until": args.until}
    if name in ("reply", "solve", "note"):
        return ("reply" if name == "solve" else name), await _words(backend, args)
    if name == "edit":
        value: Any = int(args.value) if args.value.isdigit() and args.field in ("impact", "urgency", "priority", "estimate") else args.value
        if args.field == "tags":
            value = args.value.replace(",", " ").split()
        return name, {args.field: value, **({"priority_reason": args.reason} if args.field == "priority" and args.reason else {})}
    return name, {"ref": args.ref} if name in ("link", "unlink") else {}


async def _words(backend: Any, args: argparse.Namespace) -> dict[str, Any]:
    body = text(args.body)
    values: dict[str, Any] = {"body": body, "minutes": minutes_spent(args.minutes)[0] if args.minutes else 0}
    if args.file:
        values["files"] = [{"path": path} for path in args.file]
    if getattr(args, "cc", None):
        values["cc"] = args.cc
    if args.verb_name == "solve":
        statuses = (await backend.vocabulary()).statuses
        values |= {"status": next((word for word, phase in statuses.items() if phase == "resolved"), "Resolved"), "reason": args.reason or body.strip().split("\n")[0][:300]}
    elif getattr(args, "status", ""):
        values |= {"status": args.status, "reason": args.reason}
    return values


async def _assignee(desk: Desk, backend: Any, args: argparse.Namespace) -> dict[str, Any]:
    team, colon, word = args.assignee.removeprefix("@").partition(":") if args.assignee.startswith("@") else ("", "", args.assignee)
    if word != FAIR:
        return {"team": args.assignee[1:]} if args.assignee.startswith("@") and not colon else {"assignee": word, **({"team": team} if team else {})}
    ticket = await backend.ticket(numbers_of(args.number)[0])
    return {"assignee": await fairest_of(desk, backend, ticket, team), **({"team": team} if team else {})}


async def create(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A new ticket, from a template if one is named; its number is printed."""
    backend = await desk.backend("tickets", args.backend or None)
    person = {name: value for name, value in (("login", args.requester), ("email", args.email)) if value}
    values: dict[str, Any] = _from_template(desk, args, hasattr(backend, "plan_check")) if args.template else {}
    given = {
        "subject": args.subject, "body": text(args.body), "requester": person, "queue": args.queue, "category": args.category, "kind": args.kind,
        "assignee": args.assignee, "team": args.team, "refs": args.ref, "tags": args.tag, "checklist": args.item, "dedupe_key": args.dedupe_key, "origin": args.origin,
        **{name: getattr(args, name) for name in ("impact", "urgency", "priority") if getattr(args, name) is not None},
    }  # fmt: skip
    values |= {name: value for name, value in given.items() if value}
    args.ticket = None
    return await run_change(desk, args, out, Change("tickets", backend.name, "create", values=values))


def _from_template(desk: Desk, args: argparse.Namespace, checklists: bool) -> dict[str, Any]:
    """What a template makes of --field name=value. Invalid names the fields that are missing, NotFound the templates there are."""
    found = next((one for one in desk.config.templates if one.name == args.template), None)
    if found is None:
        raise NotFound(f"template {args.template!r}", hint=f"There are: {', '.join(one.name for one in desk.config.templates) or 'none'}.")
    answers = {name.strip(): value.strip() for name, _, value in (item.partition("=") for item in args.field)}
    wanted = [name for name, _ in found.questions()]
    wrong = {name: "is no field of it" for name in answers if name not in wanted} | {name: f"is missing: --field {name}=..." for name in wanted if name not in answers}
    if wrong:
        raise Invalid(fields=wrong)
    known = plain_values(desk.actor, desk.config.site_name, now(), desk.config.timezone)
    requester = {"requester": {"login": found.requester}} if found.requester else {}
    return {**ticket_of(found, answers, {**known, "requester.login": args.requester or found.requester}, checklists)[0], **requester}
