"""The clipboard of the terminal by OSC 52, through tmux and screen. Plain values: the caller writes the sequence."""

from __future__ import annotations

import base64
from collections.abc import Mapping

LONGEST = 74_994
"""Bytes of base64 that terminals take."""


def copy_sequence(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """(what to write to the terminal, a sentence about what was tried)."""
    body = base64.b64encode(text.encode()).decode()
    if len(body) > LONGEST:
        return "", f"Too long for the terminal's clipboard ({len(text):,} characters)."
    sequence = f"\x1b]52;c;{body}\x07"
    if environment.get("TMUX"):
        sequence = "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
        return sequence, f"Copied {text!r} through tmux (needs `set -g allow-passthrough on`)."
    if environment.get("TERM", "").startswith("screen"):
        sequence = "\x1bP" + sequence + "\x1b\\"
    return sequence, f"Copied {text!r}, if your terminal allows it (OSC 52)."
