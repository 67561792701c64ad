"""The ledger's way to syslog: a real datagram socket, gaps, anchors and sessions."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

from console.config import Config
from console.desk import Desk
from console.forwarding import Forwarder
from console.ledger import Ledger
from console.people import whoami
from console.sessions import Session, left_open


def _listen(place: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    line.bind(str(place))
    line.settimeout(2)
    return line


def _heard(line: socket.socket) -> list[dict[str, object]]:
    out = []
    line.setblocking(False)
    while True:
        try:
            data = line.recv(65_536).decode("ascii")
        except BlockingIOError:
            return out
        assert "\n" not in data and data.startswith("<86>deskside[")
        out.append(json.loads(data.split(": ", 1)[1]))


def test_each_record_is_sent_once_and_the_head_as_an_anchor(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    line = _listen(tmp_path / "log")
    forwarder = Forwarder(ledger, str(tmp_path / "log"))
    for number in range(3):
        ledger.append("intent", op=str(number), reason="a\nforged: line")
    assert forwarder.run() == ""
    first = _heard(line)
    assert [record["seq"] for record in first] == [1, 2, 3, 4]
    assert first[-1]["kind"] == "anchor"
    assert forwarder.run() == "" and _heard(line) == []
    assert ledger.verify(str(first[-1]["head"])).ok


def test_what_could_not_be_sent_is_sent_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    forwarder = Forwarder(ledger, str(tmp_path / "log"))
    ledger.append("intent", op="1")
    assert "syslog" in forwarder.run()
    line = _listen(tmp_path / "log")
    assert forwarder.run() == ""
    assert [record["kind"] for record in _heard(line)] == ["intent", "anchor"]


def test_a_cut_tail_is_found_against_what_syslog_heard(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    line = _listen(tmp_path / "log")
    ledger.append("intent", op="1")
    ledger.append("result", op="1")
    Forwarder(ledger, str(tmp_path / "log")).run()
    newest = _heard(line)[-1]
    path = ledger.folder / "current.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert ledger.verify().ok
    assert not ledger.verify(f"{newest['seq']}:{newest['hash']}").ok


def test_a_session_leaves_its_start_and_its_end(tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    desk = Desk(config, whoami(config.roles))
    session = Session(desk, "console")
    assert session.begin() == ""
    session.end(129)
    records = desk.ledger.read(10)
    assert [(record["kind"], record["outcome"]) for record in records] == [("session", "line dropped"), ("session", "opened")]
    assert records[0]["op"] == records[1]["op"] and records[0]["actor"] == desk.actor.login


def test_an_intent_of_a_living_process_is_not_left_open(tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    desk = Desk(config, whoami(config.roles))
    desk.ledger.append("intent", op="mine")
    assert left_open(desk) == []
    child = os.fork()
    if child == 0:
        desk.ledger.append("intent", op="theirs")
        os._exit(0)
    os.waitpid(child, 0)
    assert [record["op"] for record in left_open(desk)] == ["theirs"]
