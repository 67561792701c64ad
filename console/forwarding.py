"""The ledger's way out of this machine: each record to syslog, and every hour the head of the chain. Never imports textual.

A chain that lies in one place can be cut at its end or written anew without a trace; what syslog carried off can't. Forwarding never
holds up an action: what could not be sent now is sent later, from where it stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from pathlib import Path

from backends.errors import BackendError
from console.ledger import Ledger

PRIORITY = 10 * 8 + 6
"""authpriv.info, as RFC 5424 counts it."""
ANCHOR_EVERY = 3600.0
AT_ONCE = 500
LONGEST = 7_000
"""Bytes of a datagram; a longer record goes as its number and hash."""


class Forwarder:
    """Sends what a ledger has gained to a syslog socket. `address` "" sends nothing, but anchors are still written."""

    def __init__(self, ledger: Ledger, address: str) -> None:
        self._ledger, self._address = ledger, address
        self._state = ledger.folder / "forwarded.json"
        self._seen: tuple[int, int] = (-1, -1)

    def run(self) -> str:
        """Send what is new, set an anchor when one is due. "" or what stood in the way, in words."""
        try:
            status = os.stat(self._ledger.folder / "current.jsonl")
        except OSError:
            return ""
        try:
            self._anchor()
            if not self._address or self._seen == (status.st_ino, status.st_size):
                return ""
            problem = self._send()
            if not problem:
                self._seen = (status.st_ino, status.st_size)
            return problem
        except BackendError as error:
            return error.sentence()

    def _anchor(self) -> None:
        newest = self._ledger.read(1)
        if not newest or newest[0]["kind"] == "anchor":
            return
        last = next((record for record in self._ledger.read(2_000) if record["kind"] == "anchor"), None)
        since = _age(str(last["ts"])) if last else ANCHOR_EVERY + 1
        if since >= ANCHOR_EVERY:
            self._ledger.append("anchor", head=f"{newest[0]['seq']}:{newest[0]['hash']}", note="hourly")

    def _send(self) -> str:
        with open(self._state, "a+", encoding="ascii") as state:
            try:
                fcntl.flock(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return ""
            state.seek(0)
            sent = _number(state.read())
            records = [record for record in reversed(self._ledger.read(AT_ONCE)) if int(record["seq"]) > sent]
            problem = ""
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as line:
                line.setblocking(False)
                try:
                    line.connect(self._address)
                    for record in records:
                        line.send(_datagram(record))
                        sent = int(record["seq"])
                except OSError as error:
                    problem = f"syslog ({self._address}) takes nothing: {error.strerror}"
            state.truncate(0)
            state.write(json.dumps({"sent": sent}))
            return problem


def _number(text: str) -> int:
    try:
        return int(json.loads(text)["sent"])
    except (ValueError, KeyError, TypeError):
        return 0


def _age(stamp: str) -> float:
    from datetime import datetime

    try:
        return time.time() - datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        return ANCHOR_EVERY + 1


def _datagram(record: dict[str, object]) -> bytes:
    body = json.dumps(record, ensure_ascii=True, separators=(",", ":"))
    if len(body) > LONGEST:
        body = json.dumps({"seq": record["seq"], "hash": record["hash"], "cut": len(body)})
    return f"<{PRIORITY}>deskside[{os.getpid()}]: {body}".encode("ascii")


def usual_socket() -> str:
    """The machine's syslog socket, or "" where there is none."""
    return next((path for path in ("/dev/log", "/run/systemd/journal/syslog") if Path(path).is_socket()), "")
