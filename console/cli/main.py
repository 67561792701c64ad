"""The command line: `deskside` opens the console, `deskside NOUN VERB` is the plain-text front end. Never imports textual itself."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.errors import BackendError
from console.config import Config, load_config
from console.desk import Desk
from console.people import whoami

NOUNS = {
    "tickets": "the help desk: list, show, create, take, reply, ...", "devices": "devices: list, show, check, ack, downtime",
    "backups": "backups: list, snapshots, files, find, versions, diff, run, check, forget, prune, hold", "accounts": "accounts: search, show, unlock, enable, disable, groups",
    "jobs": "long work: list, show, follow, start, cancel", "ledger": "who did what: list, verify", "links": "what is linked to a record",
    "store": "the record store: info, check, move", "report": "a short report of the day or the week",
}  # fmt: skip
PLAIN = {
    "wall": "the wallboard", "demo": "a seeded county in a folder of its own", "init": "write a commented configuration",
    "doctor": "check everything and say what to do", "where": "which files and folders are used", "keys": "the keys",
    "completion": "completion for bash, zsh or fish", "collect": "the collector, in the foreground", "run-job": "run a job (used by the console)",
}  # fmt: skip
MODULES = {name: "console.cli." + name.replace("-", "_") for name in {**NOUNS, **PLAIN}}


def version() -> str:
    """The installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("deskside")
    except PackageNotFoundError:
        return "0.1.0 (from a checkout)"


def _top() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deskside", description="A terminal operations console for small IT departments. Without a command it opens the console.",
        epilog="Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 4 not allowed, 5 not found, 6 unreachable, 7 refused, 8 verification failed, 9 unknown, 75 busy.",
    )  # fmt: skip
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this configuration and no other")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep data here")
    parser.add_argument("--read-only", action="store_true", help="lock everything that writes")
    parser.add_argument("--theme", help="dark, light, ansi-dark, ansi-light, high-contrast")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal")
    parser.set_defaults(run=None, json=False)
    return parser


def parser_for(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser with the one noun that is asked for filled in: other nouns' modules are not imported."""
    parser = _top()
    nouns = parser.add_subparsers(dest="noun", metavar="COMMAND")
    wanted = next((word for word in words if word in MODULES), None)
    for name, text in {**NOUNS, **PLAIN}.items():
        sub = nouns.add_parser(name, help=text, description=text[:1].upper() + text[1:])
        if name != wanted:
            continue
        module: Any = importlib.import_module(MODULES[name])
        if name in NOUNS:
            verbs = sub.add_subparsers(dest="verb", metavar="VERB", required=True)
            module.add_verbs(verbs)
        else:
            module.add_options(sub)
    return parser


def run(words: Sequence[str]) -> int:
    """Parse, run, and give the exit code. Errors are sentences; a broken pipe and ctrl-c are quiet."""
    from console.cli.output import Output

    args = parser_for(words).parse_args(words)
    out = Output(bool(getattr(args, "json", False)))
    try:
        return _run(args, out)
    except BackendError as error:
        out.error(error)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace, out: Any) -> int:
    if args.version:
        print(f"deskside {version()}")
        return 0
    if args.run is not None or getattr(args, "before_config", None) is not None:
        gc.enable()
    if getattr(args, "before_config", None) is not None:
        return int(args.before_config(args, out))
    config = load_config(args.config, args.data, read_only=args.read_only)
    if args.run is None:
        return open_console(config, args, wall=args.noun == "wall")
    code = asyncio.run(_plain(config, args, out))
    sys.stdout.flush()
    return code


async def _plain(config: Config, args: argparse.Namespace, out: Any) -> int:
    desk = Desk(config, whoami(config.roles))
    try:
        return int(await args.run(desk, args, out))
    finally:
        await desk.close()


def open_console(config: Config, args: argparse.Namespace, *, wall: bool = False, demo: bool = False) -> int:
    """The console on this terminal; 2 where there is none."""
    import dataclasses

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(
            "deskside: there is no terminal. Use `deskside NOUN VERB`, such as `deskside tickets list --json`; --help lists them.",
            file=sys.stderr,
        )
        return 2
    changes: dict[str, Any] = {}
    if args.theme:
        changes["theme"] = args.theme
    if args.no_mouse:
        changes["mouse"] = False
    config = dataclasses.replace(config, **changes)
    from console.start import start

    return start(config, wall=wall, demo=demo)
