"""`deskside links list|add|remove`: what is linked to a record, from either end."""

from __future__ import annotations

import argparse
from typing import Any

from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.writing import Asking
from console.desk import Desk
from console.linking import link, linked


def add_verbs(verbs: Any) -> None:
    """References are written domain:backend:id; a ticket may be named by its number."""
    listing = read_options(verbs.add_parser("list", help="what a record is linked to"))
    listing.add_argument("ref", metavar="REF")
    listing.set_defaults(run=list_links)
    for name, text in (("add", "link two records"), ("remove", "unlink two records")):
        parser = write_options(verbs.add_parser(name, help=text))
        parser.add_argument("ref", metavar="REF")
        parser.add_argument("other", metavar="REF")
        parser.set_defaults(run=change_link, verb_name=name)


async def list_links(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One line a link."""
    out.rows("links", (("ref", "LINKED TO"),), [{"ref": ref} for ref in await linked(desk, args.ref)])
    return 0


async def change_link(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Link or unlink, the one way."""
    remove = args.verb_name == "remove"
    said = await link(desk, args.ref, args.other, remove=remove, confirm=Asking(args, out).confirm, dry_run=args.dry_run)
    if not said:
        out.warn("Left; nothing was done.")
        return 1
    if out.json:
        out.record("link", {"text": said, "dry_run": args.dry_run})
    else:
        out.say(said)
    return 0
