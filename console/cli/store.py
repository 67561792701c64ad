"""`deskside store info|check|move`."""

from __future__ import annotations

import argparse
from typing import Any

from backends.errors import Refused
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk


def add_verbs(verbs: Any) -> None:
    """The record store."""
    read_options(verbs.add_parser("info", help="engine, size, collections")).set_defaults(run=info)
    read_options(verbs.add_parser("check", help="is it whole, is it outgrown")).set_defaults(run=check)
    move = read_options(verbs.add_parser("move", help="carry everything over to another engine and compare"))
    move.add_argument("--to", required=True, choices=("tinydb", "sqlite"))
    move.set_defaults(run=move_to)


async def info(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """What is stored."""
    counted = desk.store.collections()
    out.record(
        "store",
        {"engine": desk.store.engine, "change number": desk.store.seq(), "documents": sum(counted.values()), "collections": counted},
    )
    return 0


async def check(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """0 when there is nothing to say."""
    problems = desk.store.check()
    out.rows("store-problems", (("problem", "FOUND"),), [{"problem": problem} for problem in problems] or [{"problem": "all is well"}])
    return 1 if problems else 0


async def move_to(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Move; other consoles should be closed meanwhile: what they write to the old engine is not carried over."""
    from backends.store.opening import move_store

    if desk.read_only:
        raise Refused("the console is read-only")
    desk.ledger.append("intent", op="store-move", actor=desk.actor.login, action="store.move", target={"label": f"to {args.to}"})
    moved = move_store(desk.config.data, args.to, out.say)
    desk.ledger.append(
        "result", op="store-move", actor=desk.actor.login, action="store.move", outcome="done", target={"label": f"to {args.to}"}
    )
    out.record("moved", {"engine": moved.engine, "collections": moved.collections, "old files": str(moved.backup)})
    return 0
