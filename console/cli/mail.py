"""`deskside mail status|fetch|outbox|aside|retry|drop`: the mail of our own tickets."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from backends.contract import Change
from backends.errors import Refused, Unsupported
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.writing import run_change
from console.desk import Desk

_OUTBOX = (("id", "MAIL"), ("state", "STATE"), ("number", "TICKET"), ("to", "TO"), ("queued_at", "QUEUED"), ("attempts", "TRIES"), ("text", "LAST"))
_ASIDE = (("id", "MAIL"), ("state", "STATE"), ("at", "CAME"), ("sender", "FROM"), ("subject", "SUBJECT"), ("why", "WHY"))


def add_verbs(verbs: Any) -> None:
    """Reading, fetching, and what a person decides."""
    read_options(verbs.add_parser("status", help="what came, what waits, what is stuck and since when; 1 when something is")).set_defaults(run=status)
    read_options(verbs.add_parser("fetch", help="fetch and send now, beside the collector")).set_defaults(run=fetch)
    parser = read_options(verbs.add_parser("outbox", help="mails to send and sent, the newest first"))
    parser.add_argument("--state", default="", choices=("", "queued", "sending", "sent", "uncertain", "failed", "dropped"))
    parser.set_defaults(run=outbox)
    read_options(verbs.add_parser("aside", help="mails that became no ticket, with the reason")).set_defaults(run=aside)
    for name, words in (("retry", "send again what is uncertain or failed; take in what was put aside"), ("drop", "leave it; it is kept")):
        parser = write_options(verbs.add_parser(name, help=words))
        parser.add_argument("mail", help="its id, or the beginning of it")
        parser.set_defaults(run=change, verb_name=f"mail-{name}")


async def _backend(desk: Desk) -> Any:
    """The first ticket system with mail."""
    for place in desk.backends("tickets"):
        backend = await desk.backend("tickets", place.name)
        if hasattr(backend, "mail_status") and await backend.mail_status() is not None:
            return backend
    raise Unsupported("mail", "no mail is configured", hint="mail_address, imap_server and smtp_server in the ticket table; docs/mail.md has them.")


async def status(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One record."""
    found = await (await _backend(desk)).mail_status()
    record = dataclasses.asdict(found)
    record["state"] = "stuck" if found.stuck else "ok"
    if not out.json:
        record = {name: value for name, value in record.items() if value not in ("", None, (), []) and name != "outbox"} | dict(found.outbox)
    out.record("mail", record)
    return 1 if found.stuck else 0


async def fetch(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A round now."""
    if desk.read_only:
        raise Refused("the console is read-only")
    backend = await _backend(desk)
    fetched = await backend.mail_fetch()
    rows = [{**taken._asdict(), "number": (await backend.ticket(taken.ticket)).row.number if taken.ticket else ""} for taken in fetched.taken]
    if out.json:
        out.record("fetched", {"taken": rows, "more": fetched.more})
        return 0
    for row in rows:
        out.say(" - ".join(row[name] for name in ("what", "number", "why") if row[name]))
    out.say(f"{len(fetched.taken)} mails" + ("; there are more" if fetched.more else ""))
    return 0


async def outbox(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A line a mail and recipient."""
    out.rows("outbox", _OUTBOX, await (await _backend(desk)).mail_outbox(args.state))
    return 0


async def aside(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A line a mail."""
    out.rows("aside", _ASIDE, await (await _backend(desk)).mail_aside())
    return 0


async def change(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """The one way to write."""
    backend = await _backend(desk)
    return await run_change(desk, args, out, Change("tickets", backend.name, args.verb_name, args.mail))
