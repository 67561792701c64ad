"""`deskside backups run|check|forget|prune|unlock|hold|unhold`: what changes a repository. The long ones are jobs that are followed."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from backends.backups.contract import HoldsSnapshots, RunsBackups
from backends.contract import Change
from backends.errors import BackendError, Invalid, NotFound, Refused, Unsupported
from backends.text import clean
from console.backup_jobs import begin, spec_of
from console.cli.backup_choice import backend_of, can, with_snapshot
from console.cli.options import write_options
from console.cli.output import Output
from console.cli.writing import EXIT, Asking, run_change, show_plan
from console.desk import Desk
from console.perform import check_ticket, perform

KEEPS = ("last", "hourly", "daily", "weekly", "monthly", "yearly", "within")
LOOK = 0.2
_STATES = {"failed": 1, "interrupted": 9, "cancelled": 3}


def add_work(verbs: Any) -> None:
    """The writing verbs."""
    run_ = _long(verbs.add_parser("run", help="start a configured backup now"))
    run_.add_argument("job")
    run_.set_defaults(run=run)
    check_ = _long(verbs.add_parser("check", help="ask the tool whether a repository is whole"))
    check_.add_argument("--percent", type=int, default=0, help="how much of the data is read (0 = structure only)")
    check_.set_defaults(run=check)
    forget_ = _long(verbs.add_parser("forget", help="let snapshots go, by id or by a policy; shown first"))
    forget_.add_argument("snapshots", nargs="*")
    for keep in KEEPS:
        forget_.add_argument(f"--keep-{keep}", default="", metavar="N")
    forget_.add_argument("--job", default="", help="only snapshots of this job")
    forget_.add_argument("--many", action="store_true", help="more than a fifth of them on purpose")
    forget_.set_defaults(run=forget)
    prune_ = _long(verbs.add_parser("prune", help="free the space of what was forgotten"))
    prune_.add_argument("--now", action="store_true", help="though something was forgotten less than a day ago")
    prune_.set_defaults(run=prune)
    unlock_ = write_options(verbs.add_parser("unlock", help="take away a lock that is proven stale"))
    unlock_.add_argument("lock")
    unlock_.add_argument("--backend", default="")
    unlock_.set_defaults(run=unlock)
    for name, text, what in (("hold", "no policy may let this snapshot go", hold), ("unhold", "a policy may let it go again", unhold)):
        parser = write_options(verbs.add_parser(name, help=text))
        parser.add_argument("snapshot")
        parser.set_defaults(run=what)


def _long(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--backend", default="", help="which repository, where there are several")
    parser.add_argument("--detach", action="store_true", help="do not wait for it; `deskside jobs follow` does")
    return write_options(parser)


async def run(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """The first repository whose configuration has this job."""
    name = args.backend
    if not name:
        name = await _repository_of(desk, args.job)
    return await start(desk, args, out, Change("backups", name, "run", args.job))


async def _repository_of(desk: Desk, job: str) -> str:
    known: list[str] = []
    for place in desk.backends("backups"):
        try:
            backend = await desk.backend("backups", place.name)
        except BackendError:
            continue
        jobs = await backend.jobs() if can(backend, RunsBackups) else ()
        if any(one.name == job for one in jobs):
            return place.name
        known += [one.name for one in jobs]
    raise NotFound(f"job {clean(job)} is not in the configuration", hint=f"Jobs that can be started: {', '.join(known) or 'none'}.")


async def check(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Structure, and a share of the data."""
    place = backend_of(desk, args.backend)
    return await start(desk, args, out, Change("backups", place, "check", values={"percent": args.percent}))


async def forget(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """By id, or by policy: never both."""
    keep = {name: int(value) if value.isdigit() else value for name in KEEPS if (value := getattr(args, f"keep_{name}"))}
    if bool(keep) == bool(args.snapshots):
        raise Invalid("give ids of snapshots, or --keep-... options, not both")
    by_id = bool(args.snapshots) and not args.backend
    place = (await with_snapshot(desk, args.snapshots[0])).name if by_id else backend_of(desk, args.backend)
    values = {"keep": keep, "job": args.job} if keep else {"snapshots": args.snapshots}
    return await start(desk, args, out, Change("backups", place, "forget", values={**values, "many": args.many}))


async def prune(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Apart from forget, on purpose."""
    return await start(desk, args, out, Change("backups", backend_of(desk, args.backend), "prune", values={"now": args.now}))


async def unlock(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Only by proof."""
    return await run_change(desk, args, out, Change("backups", backend_of(desk, args.backend), "unlock", args.lock))


async def hold(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """The reason is needed: it is what others read."""
    backend = await with_snapshot(desk, args.snapshot)
    if not can(backend, HoldsSnapshots):
        raise Unsupported("hold", f"{backend.name} can't hold snapshots")
    found = await backend.snapshot(args.snapshot)
    return await run_change(desk, args, out, Change("backups", backend.name, "hold", found.id, values={"reason": args.reason}))


async def unhold(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Back to what its policy says."""
    backend = await with_snapshot(desk, args.snapshot)
    found = await backend.snapshot(args.snapshot)
    return await run_change(desk, args, out, Change("backups", backend.name, "unhold", found.id))


async def start(desk: Desk, args: argparse.Namespace, out: Output, change: Change) -> int:
    """Plan, show, confirm; then a job does it, and this follows. ctrl-c leaves the job to itself."""
    ticket = await check_ticket(desk, args.ticket) if args.ticket else None
    asked = Asking(args, out)
    if args.dry_run:
        return await run_change(desk, args, out, change)
    if desk.read_only:
        raise Refused("the console is read-only", hint="Start it without --read-only, or ask for the right.")
    plan = (await perform(desk, change, confirm=asked.confirm, dry_run=True)).plan
    if plan.missing:
        show_plan(plan, out)
        raise Refused("; ".join(plan.missing))
    said = await asked.confirm(plan)
    if said is None:
        out.warn("Left; nothing was done.")
        return 1
    ident = begin(desk, spec_of(change, plan, said, ticket, args.reason, args.approver))
    if args.detach:
        out.record("job", {"id": ident, "summary": plan.summary})
        return 0
    return await _follow(desk, ident, out)


async def _follow(desk: Desk, ident: str, out: Output) -> int:
    seq, live = 0, sys.stderr.isatty() and not out.json
    while True:
        job = desk.jobs.show(ident)
        for line in desk.jobs.follow(ident, seq):
            seq = int(line["seq"])
            if live:
                out.warn(str(line["text"]))
        if job.state not in ("running", "starting"):
            break
        try:
            await asyncio.sleep(LOOK)
        except asyncio.CancelledError:
            out.warn(f"The job goes on; `deskside jobs follow {ident}` shows it, `deskside jobs cancel {ident}` stops it.")
            raise
    outcome = str(job.result.get("outcome", ""))
    if out.json:
        out.record("job", {"id": ident, "state": job.state, "text": job.text, **{k: v for k, v in job.result.items() if k not in ("state", "text")}})
    elif job.state == "done":
        out.say(job.text[:1].upper() + job.text[1:])
    if job.state != "done":
        out.warn(f"deskside: {job.state}: {job.text}")
        return int(job.result.get("code") or _STATES.get(job.state, 1))
    return EXIT.get(outcome, 1)
