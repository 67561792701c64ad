"""`deskside store info|check|move`: the record store of the data folder."""

from __future__ import annotations

import argparse
import uuid
from pathlib import Path
from typing import Any

from backends.errors import BackendError, Refused
from backends.threads import in_thread
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk

CHECK_SECONDS = 300.0
MOVE_SECONDS = 3600.0


def add_verbs(verbs: Any) -> None:
    """The record store."""
    read_options(verbs.add_parser("info", help="engine, size, collections")).set_defaults(run=info)
    read_options(verbs.add_parser("check", help="is it whole, is it outgrown")).set_defaults(run=check)
    move = read_options(verbs.add_parser("move", help="carry everything over to another engine, compare, switch"))
    move.add_argument("--to", required=True, metavar="ENGINE", help="tinydb or sqlite")
    move.set_defaults(run=move_to)


async def info(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """What is stored, and where."""
    counted = await in_thread(CHECK_SECONDS, desk.store.collections)
    place = Path(desk.config.data) / "store" / desk.store.engine
    size = sum(path.stat().st_size for path in place.iterdir() if path.is_file())
    out.record("store", {
        "engine": desk.store.engine, "folder": str(place), "bytes": size, "change_number": desk.store.seq(),
        "documents": sum(counted.values()), "collections": counted,
    })  # fmt: skip
    return 0


async def check(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """0 when there is nothing to say, 1 otherwise."""
    problems = await in_thread(CHECK_SECONDS, desk.store.check)
    if args.json or problems:
        out.rows("store-problems", (("problem", "FOUND"),), [{"problem": problem} for problem in problems])
    else:
        out.say("all is well")
    return 1 if problems else 0


async def move_to(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Move. Nobody can write meanwhile; consoles that are open are told to start again."""
    from backends.store.opening import move_store

    if desk.read_only:
        raise Refused("the console is read-only", hint="Start it without --read-only.")
    entry = {"op": uuid.uuid4().hex, "actor": desk.actor.login, "action": "store.move", "target": {"label": f"to {args.to}"}}
    desk.ledger.append("intent", **entry)
    try:
        moved = await in_thread(MOVE_SECONDS, move_store, desk.config.data, args.to, out.say)
    except BackendError as error:
        desk.ledger.append("result", **entry, outcome="refused", text=error.text)
        raise
    desk.ledger.append("result", **entry, outcome="done")
    if desk.config.store_engine not in (None, moved.engine):
        out.say(f'now change [store] engine to "{moved.engine}" in {desk.config.source}: it still says "{desk.config.store_engine}"')
    out.record("moved", {"engine": moved.engine, "collections": moved.collections, "old_files": str(moved.backup)})
    return 0
