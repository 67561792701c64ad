"""`deskside links list|add|remove`: what is linked to a record, from either end."""

from __future__ import annotations

import argparse
from typing import Any

from backends.errors import Refused
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk


def add_verbs(verbs: Any) -> None:
    """References are written domain:backend:id."""
    listing = read_options(verbs.add_parser("list", help="what a record is linked to"))
    listing.add_argument("ref", metavar="REF")
    listing.set_defaults(run=list_links)
    for name, text in (("add", "link two records"), ("remove", "unlink two records")):
        parser = read_options(verbs.add_parser(name, help=text))
        parser.add_argument("ref", metavar="REF")
        parser.add_argument("other", metavar="REF")
        parser.set_defaults(run=change_link, verb_name=name)


async def list_links(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One line a link."""
    out.rows("links", (("ref", "LINKED TO"),), [{"ref": ref} for ref in desk.links.of(args.ref)])
    return 0


async def change_link(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Link or unlink; the ledger notes it."""
    if desk.read_only:
        raise Refused("the console is read-only")
    deed = desk.links.add if args.verb_name == "add" else desk.links.remove
    desk.ledger.append(
        "note", actor=desk.actor.login, action=f"links.{args.verb_name}", target={"id": args.ref, "label": f"{args.ref} - {args.other}"}
    )
    deed(args.ref, args.other, desk.actor.login)
    out.say(f"{'Linked' if args.verb_name == 'add' else 'Unlinked'} {args.ref} and {args.other}.")
    return 0
