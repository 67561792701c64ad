"""`deskside tickets`: the work on a ticket beyond its words - vendors, time, ties, authority, files, calls. Part of the tickets noun."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Any

from backends.contract import Change
from backends.errors import Invalid
from console.calls import as_typed, call_values, chosen_category, only_one, propose, read_call, who_is
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.writing import run_change
from console.desk import Desk
from console.spent import minutes_spent

Values = Callable[[argparse.Namespace], dict[str, Any]]
Arguments = tuple[tuple[str, dict[str, Any]], ...]

_TEXT = {"help": "the text, or - for standard input"}
_RELATIONS = ("parent", "child", "blocks", "blocked_by", "relates", "duplicates", "duplicated_by")
WORK: Mapping[str, tuple[str, Arguments, Values]] = {
    "steal": ("take it over from whoever has it", (), lambda args: {}),
    "time": ("time spent", (("time", {"help": "45, 1h15m, 1.5h"}), ("--text", {"default": ""})), lambda args: {"minutes": minutes_spent(args.time)[0], "body": args.text}),
    "log-call": (
        "a call with the requester", (("body", _TEXT), ("--minutes", {"default": "5", "metavar": "TIME"})),
        lambda args: {"body": text(args.body), "minutes": minutes_spent(args.minutes)[0]},
    ),
    "refer": (
        "give it to a vendor",
        (("vendor", {}), *((f"--{name}", {"default": ""}) for name in ("contact", "reference", "promised", "follow-up", "text"))),
        lambda args: {"vendor": args.vendor, "contact": args.contact, "reference": args.reference, "promised": args.promised, "follow_up": args.follow_up, "body": args.text},
    ),
    "vendor-return": ("the vendor gave it back", (("body", _TEXT),), lambda args: {"body": text(args.body)}),
    "relate": ("tie it to another ticket", (("kind", {"choices": _RELATIONS}), ("to", {"metavar": "OTHER"})), lambda args: {"kind": args.kind, "to": args.to}),
    "unrelate": ("untie it", (("kind", {"choices": _RELATIONS}), ("to", {"metavar": "OTHER"})), lambda args: {"kind": args.kind, "to": args.to}),
    "merge": ("merge it into another ticket", (("into", {"metavar": "OTHER"}),), lambda args: {"into": args.into}),
    "unmerge": ("take it out again", (), lambda args: {}),
    "split": (
        "a new ticket out of some entries",
        (("subject", {}), ("seqs", {"nargs": "+", "type": int, "metavar": "ENTRY"})),
        lambda args: {"subject": args.subject, "seqs": args.seqs},
    ),
    "watch": (
        "who is told of public replies, who follows it",
        (("--add", {"action": "append", "default": []}), ("--remove", {"action": "append", "default": []})),
        lambda args: {"add": args.add, "remove": args.remove},
    ),
    "approve": ("ask somebody for authority", (("what", {}), ("by", {"metavar": "LOGIN"})), lambda args: {"what": args.what, "by": args.by}),
    "decide": (
        "give or refuse authority",
        (("id", {}), ("decision", {"choices": ("approved", "refused")}), ("--document", {"default": ""})),
        lambda args: {"id": args.id, "decision": args.decision, "document": args.document},
    ),
    "check": ("an item of its checklist", (("item", {}), ("--open", {"action": "store_true"})), lambda args: {"item": args.item, "done": not args.open}),
    "attach": ("attach files", (("files", {"nargs": "+", "metavar": "FILE"}),), lambda args: {"files": [{"path": path} for path in args.files]}),
}


def text(body: str) -> str:
    """What was given, or standard input for "-"."""
    return sys.stdin.read() if body == "-" else body


def add_work(verbs: Any) -> None:
    """The parsers of these verbs."""
    for name, (words, arguments, values) in WORK.items():
        parser = write_options(verbs.add_parser(name, help=words))
        parser.add_argument("number", metavar="NUMBER", help="a ticket, or several: 1042,1043")
        parser.add_argument("--backend", help="of this ticket system")
        for argument, options in arguments:
            parser.add_argument(argument, **options)
        parser.set_defaults(run=work, verb_name=name, values=values)
    parser = write_options(verbs.add_parser("call", help="a call or walk-in as a new ticket: call WHO WHAT"))
    parser.add_argument("who", help="login, name, address or telephone number")
    parser.add_argument("what", nargs="+")
    parser.add_argument("--minutes", default="1", metavar="TIME")
    parser.add_argument("--text", default="", help="notes, or - for standard input")
    parser.add_argument("--category", default="", help="instead of the one that is proposed")
    parser.add_argument("--ref", action="append", default=[], help="what it is about, instead of what is proposed")
    parser.add_argument("--walk-in", action="store_true")
    parser.set_defaults(run=log_call)
    parser = read_options(verbs.add_parser("fetch", help="save an attachment here; nothing is overwritten"))
    parser.add_argument("ticket", metavar="NUMBER")
    parser.add_argument("name", help="its name")
    parser.add_argument("--into", default=".", metavar="FOLDER")
    parser.set_defaults(run=fetch)
    parser = read_options(verbs.add_parser("people", help="who asked before, by a part of the name"))
    parser.add_argument("text")
    parser.set_defaults(run=people)


async def work(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One verb on one ticket, or on several with a result line each."""
    from console.cli.tickets import on_each

    values = {name: value for name, value in args.values(args).items() if value not in ("", None)}
    return await on_each(desk, args, out, await desk.backend("tickets", args.backend), args.verb_name, values)


async def log_call(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A new ticket for whoever called: place, device, category and queue as on the screen. Invalid when the name fits several people."""
    await desk.open()
    found = await who_is(desk, args.who)
    person = only_one(found, args.who)
    if person is None and found:
        raise Invalid(f"{args.who!r} could be {', '.join(f'{one.label()} ({one.login})' for one in found[:5])}", hint="Give the login.")
    person = person or as_typed(args.who)
    backend = await desk.backend("tickets")
    line = read_call("x " + " ".join(args.what))
    categories = (await backend.vocabulary()).categories
    around = await propose(desk, person, line.subject, categories)
    if args.category or line.category:
        around.category, around.queue = chosen_category(args.category or line.category, categories), ""
    refs = args.ref or [ref for ref, _ in around.devices if len(around.devices) == 1]
    origin = "walk-in" if args.walk_in else "phone"
    values = call_values(person, line.subject, around.category, minutes_spent(args.minutes)[0], text(args.text), origin, around, refs, line.priority)
    args.ticket = None
    return await run_change(desk, args, out, Change("tickets", backend.name, "create", values=values))


async def fetch(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One attachment into a folder."""
    from console.saving import save_attachment

    backend = await desk.backend("tickets")
    ticket = await backend.ticket(args.ticket)
    file = next((one for one in ticket.attachments if one.name == args.name), None)
    if file is None:
        raise Invalid(f"{args.name!r} is not attached", hint=f"There are: {', '.join(one.name for one in ticket.attachments) or 'none'}.")
    path = await save_attachment(backend, ticket.row.id, file, args.into)
    out.record("saved", {"path": str(path), "size": file.size, "sha256": file.sha256})
    return 0


async def people(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Login, name, where."""
    await desk.open()
    rows = [
        {name: getattr(person, name) for name in ("login", "name", "email", "phone", "location", "department")} for person in await who_is(desk, args.text)
    ]  # fmt: skip
    out.rows("people", (("login", "LOGIN"), ("name", "NAME"), ("email", "MAIL"), ("phone", "PHONE"), ("location", "WHERE"), ("department", "DEPARTMENT")), rows)
    return 0
