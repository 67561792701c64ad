"""`deskside ledger list|verify|unfinished`."""

from __future__ import annotations

import argparse
from typing import Any

from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk


def add_verbs(verbs: Any) -> None:
    """Reading verbs only: the ledger is written by what people do."""
    listing = read_options(verbs.add_parser("list", help="the newest records"))
    listing.add_argument("--limit", type=int, default=50)
    listing.set_defaults(run=list_records)
    verify = read_options(verbs.add_parser("verify", help="walk the whole chain"))
    verify.add_argument("--anchor", metavar="SEQ:HASH", help="must be in the chain; note the head that verify prints somewhere else")
    verify.set_defaults(run=verify_chain)
    read_options(verbs.add_parser("unfinished", help="intents whose result is not known")).set_defaults(run=unfinished)


_COLUMNS = (
    ("seq", "SEQ"),
    ("ts", "WHEN"),
    ("kind", "KIND"),
    ("actor", "WHO"),
    ("action", "WHAT"),
    ("label", "ON"),
    ("outcome", "OUTCOME"),
    ("reason", "REASON"),
)


def _row(record: dict[str, Any]) -> dict[str, Any]:
    target = record.get("target")
    return {**record, "ts": str(record.get("ts", ""))[:19], "label": target.get("label", "") if isinstance(target, dict) else target}


async def list_records(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Newest first."""
    out.rows("ledger", _COLUMNS, [_row(record) for record in desk.ledger.read(args.limit)])
    return 0


async def verify_chain(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """0 when the chain holds, 8 when it does not."""
    verdict = desk.ledger.verify(args.anchor)
    out.record(
        "ledger-verdict",
        {"ok": verdict.ok, "records": verdict.records, "repaired": verdict.repaired, "head": verdict.head, "problems": verdict.problems},
    )
    return 0 if verdict.ok else 8


async def unfinished(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """What was begun and never ended."""
    out.rows("ledger", _COLUMNS, [_row(record) for record in desk.ledger.unfinished()])
    return 0
