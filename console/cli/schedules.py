"""`deskside schedules list|show|add|edit|pause|resume|skip|run|remove`: tickets that come again and again."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from backends.contract import Change
from backends.errors import Unsupported
from backends.options import seconds
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.ticket_work import text
from console.cli.writing import run_change
from console.desk import Desk

_COLUMNS = (("number", "NUMBER"), ("state", "STATE"), ("next_at", "NEXT"), ("words", "RULE"), ("last_number", "LAST"), ("subject", "SUBJECT"))
_OCCURRENCES = (("at", "WHEN"), ("state", "STATE"), ("number", "TICKET"), ("status", "STATUS"), ("by", "BY"), ("reason", "WHY"))
_TEXTS = ("subject", "queue", "category", "kind", "assignee", "team", "start", "zone")


def add_verbs(verbs: Any) -> None:
    """Reading and writing."""
    read_options(verbs.add_parser("list", help="the next due first")).set_defaults(run=list_all)
    parser = _named(read_options(verbs.add_parser("show", help="one schedule, what comes and what was")))
    parser.set_defaults(run=show)
    for name, words in (("add", "a new one"), ("edit", "other values of one")):
        parser = write_options(verbs.add_parser(name, help=words, epilog='Rules: "weekdays 08:00", "every 2 weeks mon 07:30", "monthly last fri 16:00", "quarterly 1 08:00", or RFC 5545 text.'))
        if name == "edit":
            _named(parser)
        _values(parser)
        parser.set_defaults(run=save)
    for name, words, verb in (
        ("pause", "nothing is made until it is resumed", "schedule-pause"), ("resume", "go on from now", "schedule-resume"),
        ("skip", "leave one occurrence out", "schedule-skip"), ("run", "a ticket now", "schedule-run"), ("remove", "for good; its tickets stay", "schedule-remove"),
    ):  # fmt: skip
        parser = _named(write_options(verbs.add_parser(name, help=words)))
        if name == "skip":
            parser.add_argument("--at", default="", metavar="MOMENT", help="which one (as `show` lists it); without it the next")
        parser.set_defaults(run=change, verb_name=verb)


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("schedule", metavar="NUMBER", help="S-3 or its id")
    return parser


def _values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rule", help="how often")
    for name in _TEXTS:
        parser.add_argument(f"--{name}")
    parser.add_argument("--body", help="the text of each ticket, or - for standard input")
    for name in ("priority", "impact", "urgency"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--about", action="append", metavar="REF", help="what it is about, such as devices:here:ups-1; again for more")
    parser.add_argument("--check", action="append", metavar="ITEM", help="an item of the checklist; again for more")
    parser.add_argument("--lead", help="how long before its date the ticket is made, such as 3d")
    parser.add_argument("--within", help="how long after its date it may stay open before it is overdue, such as 2d")


async def _backend(desk: Desk) -> Any:
    """The first ticket system that has schedules."""
    for place in desk.backends("tickets"):
        backend = await desk.backend("tickets", place.name)
        if hasattr(backend, "plan_schedule"):
            return backend
    raise Unsupported("schedules", "no ticket system here has recurring tickets", hint="Our own store has: [tickets.desk] adapter = \"embedded\".")


async def list_all(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One line a schedule."""
    backend = await _backend(desk)
    out.rows("schedules", _COLUMNS, [dataclasses.asdict(one) for one in await backend.schedules()])
    return 0


async def show(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Everything known, with its occurrences."""
    backend = await _backend(desk)
    found = await backend.schedule(args.schedule)
    past = [dataclasses.asdict(one) for one in await backend.occurrences(found.id)]
    record = dataclasses.asdict(found)
    if out.json:
        out.record("schedule", {**record, "occurrences": past})
        return 0
    out.record("schedule", {name: value for name, value in record.items() if name not in ("id", "version", "values") and value not in ("", None, 0)} | {
        name: value for name, value in found.values.items() if name != "subject"
    })  # fmt: skip
    out.say("")
    out.rows("occurrences", _OCCURRENCES, past)
    return 0


async def save(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Only what is given changes."""
    values: dict[str, Any] = {name: getattr(args, name) for name in ("rule", "priority", "impact", "urgency", *_TEXTS) if getattr(args, name) is not None}
    if args.body is not None:
        values["body"] = text(args.body)
    for name, given in (("refs", args.about), ("checklist", args.check)):
        if given is not None:
            values[name] = given
    for name in ("lead", "within"):
        if getattr(args, name) is not None:
            values[name] = _seconds(name, getattr(args, name))
    backend = await _backend(desk)
    return await run_change(desk, args, out, Change("tickets", backend.name, "schedule", getattr(args, "schedule", ""), values=values))


def _seconds(name: str, value: str) -> int:
    from backends.errors import Invalid

    try:
        return int(seconds(int(value) if value.isdigit() else value))
    except ValueError as error:
        raise Invalid(fields={name: str(error)}) from None


async def change(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Pause, resume, skip, run, remove."""
    backend = await _backend(desk)
    values = {"reason": args.reason} if args.reason else {}
    if getattr(args, "at", ""):
        values["at"] = args.at
    return await run_change(desk, args, out, Change("tickets", backend.name, args.verb_name, args.schedule, values=values))
