"""Options that many commands share."""

from __future__ import annotations

import argparse


def read_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Of every command that reads."""
    parser.add_argument("--json", action="store_true", help="JSON with schema_version instead of columns")
    return parser


def write_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Of every command that writes."""
    parser.add_argument("--ticket", metavar="NUMBER", help="the ticket this work belongs to; it gets an internal note")
    parser.add_argument("--reason", default="", help="why; goes into the ledger")
    parser.add_argument("--approver", default="", metavar="LOGIN", help="the second person who agreed, where one is needed")
    parser.add_argument("--dry-run", action="store_true", help="show what would happen and stop")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    return read_options(parser)
