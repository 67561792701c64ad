"""`deskside backups restore|undo|restores|drill|drills`: restores in plain text, by the same plan and the same question as on the screen."""

from __future__ import annotations

import argparse
import dataclasses
import os
from typing import Any

from backends.restore.codec import plain
from backends.restore.folders import shown
from backends.restore.model import POLICIES, Destination, RestorePlan, Wanted
from console.cli.backup_choice import with_snapshot
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.writing import EXIT as OUTCOMES
from console.cli.writing import Asking, show_performed, show_plan
from console.desk import Desk
from console.perform import check_ticket, perform
from console.restore_places import far_place
from console.restoring import Restores
from console.ticket_number import ticket_number

ENDS = {"done": 0, "undone": 0, "partial": 3, "cancelled": 3, "failed": 1, "interrupted": 1}
_COLUMNS = (("at", "WHEN"), ("run", "RESTORE"), ("state", "STATE"), ("where", "TO"), ("actor", "WHO"), ("number", "TICKET"), ("can", "CAN"), ("text", "WHAT"))


def add_verbs(verbs: Any) -> None:
    """The verbs of restoring, below `backups`."""
    restore_ = write_options(verbs.add_parser("restore", help="bring files back: previewed, staged, audited, swapped in, with undo"))
    restore_.add_argument("snapshot", help="its id, never `latest`")
    restore_.add_argument("paths", nargs="+", metavar="PATH", help="whole paths in the snapshot")
    _where(restore_)
    restore_.add_argument("--policy", choices=sorted(POLICIES), default="differs", help="; ".join(f"{name}: {text}" for name, text in POLICIES.items()))
    restore_.add_argument("--thorough", action="store_true", help="compare the content of files that look the same, too")
    restore_.add_argument("--override", action="append", default=[], metavar="NAME", help="set a refusal aside (admins; needs --reason)")
    restore_.add_argument("--tell-requester", action="store_true", help="a PUBLIC reply on the ticket says how it ended")
    restore_.add_argument("--no-follow", action="store_true", help="start it and come back at once")
    restore_.set_defaults(run=restore)
    undo_ = write_options(verbs.add_parser("undo", help="take a restore back"))
    undo_.add_argument("restore")
    undo_.add_argument("--force", action="store_true", help="also what was changed since; the changed files are kept beside")
    undo_.add_argument("--no-follow", action="store_true")
    undo_.set_defaults(run=undo)
    list_ = write_options(verbs.add_parser("restores", help="restores, the newest first; one of them; resume or give up one that was cut off or stopped"))
    list_.add_argument("restore", nargs="?", default="")
    for name, text in (("resume", "go on where it stood, audited again"), ("discard", "give it up; live files are untouched"), ("cancel", "ask it to stop")):
        list_.add_argument(f"--{name}", action="store_true", help=text)
    list_.add_argument("--no-follow", action="store_true")
    list_.set_defaults(run=restores)
    _drill_verbs(verbs)


def _where(parser: argparse.ArgumentParser) -> None:
    to = parser.add_mutually_exclusive_group(required=True)
    to.add_argument("--to", metavar="FOLDER", help="a new folder")
    to.add_argument("--original", action="store_true", help="where it was")
    to.add_argument("--into", metavar="FOLDER", help="a folder that is there")
    to.add_argument("--mailbox", metavar="MAILDIR", help="merge messages into a mailbox; nothing is overwritten")
    to.add_argument("--database", metavar="NAME", help="load a PostgreSQL dump into a new database")
    to.add_argument("--on", metavar="USER@HOST[:PORT]", help="another host by SSH; --folder says where, else the original place")
    parser.add_argument("--folder", default="", help="with --on: the folder there")
    parser.add_argument("--key", default="", help="with --on: the SSH key's file")
    parser.add_argument("--known-hosts", default="", help="with --on: the file of known host keys")
    parser.add_argument("--server", default="", help="with --database: host or socket folder")
    parser.add_argument("--port", type=int, default=0, help="with --database")
    parser.add_argument("--user", default="", help="with --database")
    parser.add_argument("--password", default="", metavar="REFERENCE", help="with --database: file:..., never the secret itself")


def _drill_verbs(verbs: Any) -> None:
    drill_ = write_options(verbs.add_parser("drill", help="rehearse a restore: a sample to scratch, audited, timed, with evidence"))
    drill_.add_argument("backend")
    drill_.add_argument("job", nargs="?", default="", help="as `backups list` has it; without it the one that is due the longest")
    drill_.add_argument("--seed", type=int, default=None, help="draw the same sample again")
    drill_.add_argument("--full", action="store_true", help="the whole snapshot")
    drill_.add_argument("--no-follow", action="store_true")
    drill_.set_defaults(run=drill)
    drills_ = read_options(verbs.add_parser("drills", help="what is proven, by which drill, and what is overdue"))
    drills_.add_argument("--overdue", action="store_true")
    drills_.set_defaults(run=drills)


def _destination(args: argparse.Namespace) -> Destination:
    if args.to:
        return Destination("new", os.fsencode(os.path.abspath(args.to)))
    if args.into:
        return Destination("into", os.fsencode(os.path.abspath(args.into)))
    if args.mailbox:
        return Destination("mailbox", os.fsencode(os.path.abspath(args.mailbox)))
    if args.database:
        return Destination("postgres", host=args.server, port=args.port, user=args.user, database=args.database, password=args.password)
    if args.on:
        return far_place(args.on, args.folder, args.key, args.known_hosts)
    return Destination("original")


async def restore(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Preview, show, confirm, start the job, follow it."""
    ticket = await check_ticket(desk, args.ticket) if args.ticket else None
    work = Restores(desk)
    work.ticket = ticket or ""
    paths = tuple(os.fsencode(path) for path in args.paths)
    backend = (await with_snapshot(desk, args.snapshot)).name
    wanted = Wanted(backend, args.snapshot, paths, _destination(args), args.policy, tuple(args.override), args.reason if args.override else "", args.thorough)
    plan = await work.preview(wanted)
    if args.dry_run:
        return await _dry(desk, work, plan, args, out)
    done = await perform(desk, work.change(plan, args.tell_requester), confirm=Asking(args, out).confirm, ticket=ticket, reason=args.reason,
                         approver=args.approver, via=work)  # fmt: skip
    return await _follow(work, done, args, out)


async def _dry(desk: Desk, work: Restores, plan: RestorePlan, args: argparse.Namespace, out: Output) -> int:
    work.only_looking = True
    performed = await perform(desk, work.change(plan, args.tell_requester), confirm=Asking(args, out).confirm, dry_run=True, via=work)
    if out.json:
        preview = plan.preview
        items = [{"path": shown(item.path), "path_hex": item.path.hex(), "live": shown(item.live), "status": item.status, "action": item.action, "size": item.size} for item in preview.items]
        refused = [{"name": item.name, "text": item.text} for item in preview.refusals]
        out.record("preview", {"run": plan.run, "hash": plan.hash, "counts": dict(preview.counts), "puts": preview.puts, "replaces": preview.replaces,
                               "removes": preview.removes, "bytes": preview.bytes, "need": preview.need, "free": preview.free, "seconds": preview.seconds,
                               "hazards": list(preview.hazards), "notes": list(preview.notes), "refusals": refused, "danger": performed.plan.danger,
                               "confirm": performed.plan.confirm_word, "items": items})  # fmt: skip
    else:
        show_plan(performed.plan, out)
        for item in plan.preview.items[:20]:
            out.say(f"  {item.status:8} {item.action:8} {shown(item.live)} {item.text}".rstrip())
    return 7 if plan.preview.refusals else 0


async def _follow(work: Restores, done: Any, args: argparse.Namespace, out: Output) -> int:
    if done.outcome is None:
        out.warn("Left; nothing was done.")
        return 1
    if done.note:
        out.warn(done.note)
    if args.no_follow or done.outcome.word != "done":
        show_performed(done, out)
        return OUTCOMES[done.outcome.word]
    run, job = done.outcome.record.run, done.outcome.record.job
    out.say(f"Restore {run}, job {job}: it goes on when you leave.")
    state = await work.wait(job)
    line, _, report = await work.show(run)
    if report is not None:
        out.record("restore", plain(report)) if out.json else out.say(report.private)
    else:
        out.say(f"{state}: {line.text}")
    if state == "failed":
        out.warn(work.said(job))
    return ENDS.get(state, 1)


async def undo(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Plan, confirm, job."""
    ticket = await check_ticket(desk, args.ticket) if args.ticket else None
    work = Restores(desk)
    work.ticket = ticket or ""
    done = await perform(desk, work.undo_change(args.restore, args.force), confirm=Asking(args, out).confirm, ticket=ticket, reason=args.reason,
                         approver=args.approver, dry_run=args.dry_run, via=work)  # fmt: skip
    if args.dry_run:
        show_plan(done.plan, out)
        return 0
    return await _follow(work, done, args, out)


async def restores(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """The list, one of them, or what to do with one."""
    work = Restores(desk)
    if args.restore and args.cancel:
        out.say(await work.cancel(args.restore))
        return 0
    if args.restore and (args.resume or args.discard):
        change = work.resume_change(args.restore) if args.resume else work.discard_change(args.restore)
        done = await perform(desk, change, confirm=Asking(args, out).confirm, reason=args.reason, dry_run=args.dry_run, via=work)
        if args.discard or args.dry_run:
            show_performed(done, out)
            return 0 if done.outcome is None else OUTCOMES[done.outcome.word]
        return await _follow(work, done, args, out)
    if args.restore:
        line, _, report = await work.show(args.restore)
        out.record("restore", plain(report) if out.json and report is not None else dataclasses.asdict(line))
        if report is not None:
            out.say(report.private)
        return 0
    found, wrong = await work.runs()
    for text in wrong:
        out.warn(text)
    numbers = {ticket: await ticket_number(desk, ticket) for ticket in dict.fromkeys(line.ticket for line in found)}
    out.rows("restores", _COLUMNS, [{**dataclasses.asdict(line), "number": numbers[line.ticket]} for line in found])
    return 3 if wrong else 0


async def drill(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Start one and follow it."""
    from console.drills import Drills

    work = Drills(desk)
    done = await perform(desk, await work.change(args.backend, args.job, args.seed, args.full), confirm=Asking(args, out).confirm, reason=args.reason,
                         dry_run=args.dry_run, via=work)  # fmt: skip
    if args.dry_run:
        show_plan(done.plan, out)
    if args.dry_run or done.outcome is None or args.no_follow:
        show_performed(done, out)
        return 0 if args.dry_run or done.outcome is not None else 1
    job = done.outcome.target
    state = await Restores(desk).wait(job)
    out.say(Restores(desk).said(job))
    return ENDS.get(state, 1)


async def drills(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Exit code 3 when one is overdue."""
    from console.drills import Drills

    found = [item for item in await Drills(desk).all() if item.overdue or not args.overdue]
    columns = (("backend", "WHERE"), ("job", "JOB"), ("result", "RESULT"), ("at", "WHEN"), ("due", "DUE"), ("overdue", "OVERDUE"), ("files", "FILES"),
               ("seconds", "S"), ("seed", "SEED"), ("text", "WHAT"))  # fmt: skip
    out.rows("drills", columns, [dataclasses.asdict(item) for item in found])
    return 3 if any(item.overdue for item in found) else 0
