"""Stuck mail is said where a person looks: in the header with its age, in the health of the ticket system, by the command line's exit code."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from backends.contract import Actor, now
from backends.tickets.events import iso
from backends.tickets.mail_fetch import STATE
from console.app import ConsoleApp
from console.config import BackendConfig, Config
from console.desk import Desk
from console.mail_watch import mail_warning
from console.people import Identity
from tests.screens.test_flows import shown, until

MAIL = {"mail_address": "desk@example.org", "imap_server": "mail.invalid", "imap_password": "env:NOT_SET_HERE"}


async def test_the_header_says_since_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.collector.ensure_collector", lambda config: None)
    monkeypatch.setattr("console.app.MAIL_EVERY", 0.5)
    desk = Desk(Config(data=tmp_path, driver="stock", backends=(BackendConfig("tickets", "desk", "embedded", MAIL),)), Identity(Actor("ana", "Ana", "admin"), 0))
    backend = await desk.backend("tickets")
    assert await mail_warning(desk) == ""
    desk.store.put(STATE, "imap-desk", {"error": "Not reachable: mail.invalid:993", "since": iso(now() - timedelta(hours=3))})
    assert await mail_warning(desk) == "MAIL STUCK 3h"
    health = await backend.health()
    assert health.word == "warn" and health.text.startswith("mail stuck 3h: no mail comes in for 3h: Not reachable")
    app = ConsoleApp(desk)
    app._mail_next = 0.0
    async with app.run_test(size=(160, 30)) as pilot:
        await until(pilot, lambda: "MAIL STUCK 3h" in shown(app))
        desk.store.put(STATE, "imap-desk", {"error": "", "since": "", "ok_at": iso(now())})
        await until(pilot, lambda: "MAIL STUCK" not in shown(app))
    await desk.close()
