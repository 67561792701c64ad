"""`deskside jobs list|show|follow|start|cancel`."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from typing import Any

from backends.errors import Refused
from console.cli.options import read_options
from console.cli.output import Output
from console.desk import Desk
from console.jobs import KINDS

_COLUMNS = (("id", "JOB"), ("kind", "KIND"), ("actor", "WHO"), ("started", "STARTED"), ("state", "STATE"), ("text", "LAST"))
EXIT = {"done": 0, "failed": 1, "interrupted": 1, "partial": 3, "cancelled": 3}


def add_verbs(verbs: Any) -> None:
    """Jobs of all people of this data folder."""
    read_options(verbs.add_parser("list", help="the newest first")).set_defaults(run=list_jobs)
    for name, text, run in (("show", "one job", show), ("follow", "its lines until it ends", follow), ("cancel", "ask it to stop", cancel)):
        parser = read_options(verbs.add_parser(name, help=text))
        parser.add_argument("job")
        parser.set_defaults(run=run)
    start_ = read_options(verbs.add_parser("start", help="start one"))
    start_.add_argument("kind", choices=sorted(KINDS))
    start_.add_argument("--follow", action="store_true")
    start_.set_defaults(run=start)


async def list_jobs(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One line a job."""
    out.rows("jobs", _COLUMNS, [dataclasses.asdict(job) for job in desk.jobs.list()])
    return 0


async def show(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Everything known."""
    out.record("job", dataclasses.asdict(desk.jobs.show(args.job)))
    return 0


async def follow(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Lines as they come; the exit code is the job's."""
    seq = 0
    while True:
        job = desk.jobs.show(args.job)
        for line in desk.jobs.follow(args.job, seq):
            seq = int(line["seq"])
            count = f" {line['done']}/{line['total']}" if line.get("total") else ""
            out.say(f"{line['text']}{count}")
        if job.state not in ("running", "starting"):
            out.record("job", dataclasses.asdict(job)) if out.json else out.say(f"{job.state}: {job.text}")
            return int(job.result.get("code") or EXIT.get(job.state, 1))
        await asyncio.sleep(0.2)


async def start(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Its id; with --follow its lines too."""
    if desk.read_only:
        raise Refused("the console is read-only")
    args.job = desk.jobs.start(args.kind, {}, desk.actor)
    if args.follow:
        return await follow(desk, args, out)
    out.record("job", {"id": args.job})
    return 0


async def cancel(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """It says itself when it has stopped."""
    if desk.read_only:
        raise Refused("the console is read-only")
    desk.jobs.cancel(args.job, desk.actor)
    out.say("Asked it to stop.")
    return 0
