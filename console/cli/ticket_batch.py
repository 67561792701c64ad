"""`deskside tickets` on several tickets at once, and macros: everything shown, one yes, a result line for each. Part of the tickets noun."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from backends.contract import Change, now
from backends.errors import Invalid, NotFound, Refused
from backends.tickets.model import Ticket
from console.batch import Batch, Deed
from console.canned import Canned
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.desk import Desk
from console.fair import ranked
from console.macros import FAIR, deeds
from console.placeholders import fill, ticket_values

_COLUMNS = (("ticket", "TICKET"), ("outcome", "OUTCOME"), ("what", "WHAT"), ("text", "WHY"))


def add_batches(verbs: Any) -> None:
    """The parsers of macros, canned text, drafts and loads."""
    parser = write_options(verbs.add_parser("macro", help="the steps of a macro on one or more tickets"))
    parser.add_argument("number", metavar="NUMBER", help="a ticket, or several: 1042,1043")
    parser.add_argument("name", help="the macro's name; `tickets macros` lists them")
    parser.add_argument("--backend", help="of this ticket system")
    parser.set_defaults(run=macro)
    plain = (("macros", "the site's macros", macros), ("templates", "the site's templates of new tickets", templates),
             ("drafts", "what you began to write and have not sent", drafts), ("fair", "who has how many open tickets, the least first", fair))  # fmt: skip
    for name, words, run in plain:
        parser = read_options(verbs.add_parser(name, help=words))
        if name == "fair":
            parser.add_argument("--team", default="", help="only the people of this team")
        parser.set_defaults(run=run)
    parser = read_options(verbs.add_parser("canned", help="the site's canned texts; with a ticket their fields are filled in"))
    parser.add_argument("name", nargs="?", default="")
    parser.add_argument("ticket", nargs="?", default="", metavar="NUMBER")
    parser.set_defaults(run=canned)


def numbers_of(text: str) -> list[str]:
    """The tickets of "1042,1043"; Invalid for none."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise Invalid("which ticket? Give a number, or several with commas")
    return list(dict.fromkeys(found))


async def run_batch(desk: Desk, args: argparse.Namespace, out: Output, title: str, planned: Sequence[Deed]) -> int:
    """Plan, show, one yes, do, a line each; the exit code says how it ended."""
    batch = Batch(desk, title, planned)
    await batch.plan()
    if args.dry_run or not args.yes:
        _show_plans(batch, out)
    if args.dry_run:
        _results(batch, out)
        return 0 if batch.possible() == len(batch.deeds) else 7
    if not batch.possible():
        _results(batch, out)
        return 7
    if not args.yes:
        if not sys.stdin.isatty():
            raise Refused("there is no terminal to ask on", hint="Add --yes to do it, or --dry-run to see what would happen.")
        word = str(batch.possible())
        asked = f"Type {word} to do it: " if batch.danger() >= 2 else "Do it? [y/N] "
        if input(asked).strip().lower() not in ((word,) if batch.danger() >= 2 else ("y", "yes")):
            out.warn("Left; nothing was done.")
            return 1
    await batch.run(args.reason)
    _results(batch, out)
    return batch.exit_code()


def _show_plans(batch: Batch, out: Output) -> None:
    for deed in batch.deeds:
        out.say(f"{deed.summary()}" if deed.word != "refused" else f"not possible: {deed.label}: {deed.text}")
        for step in deed.plan.steps if deed.plan is not None else ():
            out.say(f"  {step.what}: {step.before or 'nothing'} -> {step.after or 'nothing'}")
        for line in (*(deed.plan.side_effects if deed.plan is not None else ()), *((deed.note,) if deed.note else ())):
            out.say(f"  also: {line}")
        if deed.plan is not None and deed.plan.public:
            out.say(f"  {deed.plan.public}")


def _results(batch: Batch, out: Output) -> None:
    rows = [
        {"ticket": deed.label, "outcome": ("planned" if deed.word in ("waiting", "later") else deed.word), "what": deed.change.verb, "text": deed.text,
         "steps": [{"what": step.what, "before": step.before, "after": step.after} for step in (deed.plan.steps if deed.plan else ())]}
        for deed in batch.deeds
    ]  # fmt: skip
    out.rows("results", _COLUMNS, rows, summary=batch.sentence())
    out.say(batch.sentence())


async def macro(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Each step on each ticket; the steps of a ticket stop at the first that fails."""
    found = next((one for one in desk.config.macros if one.name == args.name), None)
    if found is None:
        raise NotFound(f"macro {args.name!r}", hint=f"There are: {', '.join(one.name for one in desk.config.macros) or 'none'}.")
    backend = await desk.backend("tickets", args.backend)
    planned: list[Deed] = []
    for number in numbers_of(args.number):
        ticket = await backend.ticket(number)
        fairest = await fairest_of(desk, backend, ticket) if any(step.deed == "assign" and step.value == FAIR for step in found.steps) else ""
        for one in deeds(found, ticket, _values(desk, ticket), desk.actor.login, fairest):
            note = f"nothing is known for {', '.join(one.empty)}: left empty" if one.empty else ""
            planned.append(Deed(ticket.row.number, Change("tickets", backend.name, one.verb, ticket.row.id, ticket.row.number, one.values), ticket.row.id, note))
    return await run_batch(desk, args, out, f"Macro {found.name}", planned)


async def fairest_of(desk: Desk, backend: Any, ticket: Ticket, team: str = "") -> str:
    """Who has the least, of the team of the ticket or of that team; Refused when nobody is here."""
    found = await ranked(desk, backend, team or ticket.row.team)
    if not found:
        raise Refused("nobody is known who is here", hint="Name people as `agents` of the ticket system, and teams under [desk] teams.")
    return found[0].login


def _values(desk: Desk, ticket: Ticket) -> dict[str, str]:
    return ticket_values(ticket, desk.actor, desk.config.site_name, now(), desk.config.timezone)


async def macros(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Name and what it does."""
    rows = [{"name": one.name, "text": one.words(), "steps": [{one_step.deed: one_step.value, **one_step.more} for one_step in one.steps]} for one in desk.config.macros]
    out.rows("macros", (("name", "MACRO"), ("text", "WHAT")), rows)
    return 0


async def templates(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Name, subject, and what is asked."""
    rows = [{"name": one.name, "text": one.text, "subject": one.subject, "fields": [name for name, _ in one.questions()]} for one in desk.config.templates]
    out.rows("templates", (("name", "TEMPLATE"), ("subject", "SUBJECT"), ("fields", "FIELDS"), ("text", "WHAT")), rows)
    return 0


async def canned(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """All of them; one of them; one of them for a ticket."""
    texts = desk.config.canned
    if not args.name:
        out.rows("canned", (("name", "TEXT"), ("use", "USE"), ("head", "BEGINS")), [{"name": one.name, "use": one.use, "head": one.head(), "text": one.text} for one in texts])
        return 0
    found: Canned | None = next((one for one in texts if one.name == args.name), None)
    if found is None:
        raise NotFound(f"canned text {args.name!r}", hint=f"There are: {', '.join(one.name for one in texts) or 'none'}.")
    text: str = found.text
    empty: tuple[str, ...] = ()
    if args.ticket:
        text, empty = fill(text, _values(desk, await (await desk.backend("tickets")).ticket(args.ticket)))
    if out.json:
        out.record("canned", {"name": found.name, "text": text, "empty": list(empty)})
    else:
        out.say(text)
    if empty:
        out.warn(f"nothing is known for {', '.join(empty)}: left empty")
    return 0


async def drafts(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Key and how it begins."""
    from pathlib import Path

    from backends.tickets.drafts import Drafts

    kept = Drafts(Path(desk.config.data) / "drafts", desk.actor.login).list()
    rows = [{"key": key, "begins": " ".join(text.split())[:80], "text": text} for key, text in kept.items()]
    out.rows("drafts", (("key", "DRAFT"), ("begins", "BEGINS")), rows)
    return 0


async def fair(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Login and open tickets; absent people are left out."""
    found = await ranked(desk, await desk.backend("tickets"), args.team)
    out.rows("loads", (("login", "LOGIN"), ("open", "OPEN")), [{"login": load.login, "open": load.open} for load in found])
    return 0
