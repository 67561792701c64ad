"""`deskside run-job FOLDER`: run a job that was prepared, in the foreground."""

from __future__ import annotations

import argparse

from console.cli.output import Output


def add_options(parser: argparse.ArgumentParser) -> None:
    """The job's folder."""
    parser.add_argument("folder")
    parser.set_defaults(run=None, before_config=run_job)


def run_job(args: argparse.Namespace, out: Output) -> int:
    """As the console starts it, but here."""
    from console.runner import main

    return main(args.folder)
