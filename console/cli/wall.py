"""`deskside wall`: the wallboard, read-only."""

from __future__ import annotations

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """It has none of its own."""
    parser.set_defaults(run=None)
