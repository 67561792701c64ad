"""Hostile text through lists, views, messages and plain output: nothing of it reaches the terminal, nothing ends the console."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from backends.contract import Actor, Change, Site
from backends.options import read_options
from backends.store.opening import open_store
from backends.tickets.embedded import EmbeddedTickets
from tests.data.hostile import P
from tests.servers.backup_programs import make_restic
from tests.terminal.conftest import DESKSIDE, environment
from tests.terminal.harness import Terminal

STEERING = {name: needle for name, (_, needle) in P.items() if not name.startswith("mk_") and name not in ("nl", "tab", "cr")}


@pytest.fixture
async def poisoned(tmp_path: Path) -> Path:
    """A store in which every text field holds something hostile; written past all checks."""
    store = open_store(tmp_path / "d", "sqlite")
    backend = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(store=store))
    await backend.open()
    actor = Actor("root")
    for name, (text, _) in P.items():
        text = text.encode("utf-8", "replace").decode()
        values = {"subject": f"{name} {text}", "body": text, "requester": {"name": text, "email": text, "location": text}}
        plan = await backend.plan(Change("tickets", "desk", "create", values=values), actor)
        done = await backend.apply(plan, actor, f"op-{name}")
        note = await backend.plan(Change("tickets", "desk", "note", done.target, values={"body": f"{text}\n{text}"}), actor)
        await backend.apply(note, actor, f"note-{name}")
    store.close()
    return tmp_path


def _check(raw: bytes, where: str) -> None:
    reached = [name for name, needle in STEERING.items() if needle in raw]
    assert not reached, f"{reached} reached the terminal in {where}"


async def test_lists_views_filters_and_messages(poisoned: Path) -> None:
    config = poisoned / "c.toml"
    config.write_text('[tickets.desk]\nadapter = "embedded"\n')
    terminal = Terminal([*DESKSIDE, "--config", str(config), "--data", str(poisoned / "d")], environment(poisoned), 120, 40)
    try:
        terminal.wait_for(f"Tickets {len(P)}")
        terminal.send("f")
        terminal.settle()
        for _ in range(len(P)):
            terminal.send("\r")
            terminal.wait_for("Timeline")
            terminal.send("\x1b")
            terminal.wait_gone("Timeline")
            terminal.send("j")
            terminal.read(0.03)
        terminal.send("/")
        terminal.wait_for("/")
        terminal.send(b"\xff\xfe\xc3(\x1b[200~A\x9b31m\x1b]0;PASTED\x07\x1b[201~\r")
        terminal.settle()
        terminal.send("\x1b")
        terminal.settle()
        assert b"\x1b]0;PASTED" not in terminal.raw
        _check(bytes(terminal.raw), "the console")
        terminal.send("q")
        assert terminal.exit_code() == 0, terminal.text()
    finally:
        terminal.close()


@pytest.mark.parametrize("words", [["tickets", "list", "--limit", "99"], ["tickets", "show", "1001"], ["tickets", "show", "1012"], ["ledger", "list"], ["tickets", "list", "--json"]])
async def test_plain_output(poisoned: Path, words: list[str]) -> None:
    done = subprocess.run([*DESKSIDE, "--data", str(poisoned / "d"), *words], env=environment(poisoned), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    _check(done.stdout + done.stderr, " ".join(words))


def test_errors_quote_nothing_raw(tmp_path: Path) -> None:
    done = subprocess.run([*DESKSIDE, "--data", str(tmp_path / "d"), "tickets", "show", "A\x1b]0;PWNED\x07B\x9b31m"], env=environment(tmp_path), capture_output=True, timeout=60)
    assert done.returncode == 5
    _check(done.stdout + done.stderr, "an error")


def test_a_resize_storm_and_odd_sizes_are_survived(tmp_path: Path) -> None:
    terminal = Terminal([*DESKSIDE, "--data", str(tmp_path / "d")], environment(tmp_path))
    try:
        terminal.wait_for("Devices 1")
        for number in range(120):
            terminal.resize((1, 500, 2, 80, 200)[number % 5], (1, 2, 500, 24, 50)[number % 5])
            terminal.read(0.005, 0.02)
        terminal.resize(80, 24)
        terminal.wait_for("1 Tickets")
        terminal.send("q")
        assert terminal.exit_code() == 0
    finally:
        terminal.close()


def test_a_paste_bomb_does_nothing(tmp_path: Path) -> None:
    terminal = Terminal([*DESKSIDE, "--data", str(tmp_path / "d")], environment(tmp_path))
    try:
        terminal.wait_for("Devices 1")
        terminal.send(":")
        terminal.settle()
        bomb = b"\x1b[200~" + b"x y\n" * 50_000 + b"\x1b[201~"
        for start in range(0, len(bomb), 4096):
            terminal.send(bomb[start : start + 4096])
            terminal.read(0.0, 0.02)
        terminal.settle()
        terminal.send("\x1b")
        terminal.settle()
        terminal.send("q")
        assert terminal.exit_code(10) == 0
    finally:
        terminal.close()


def _texts() -> list[str]:
    return [text.encode("utf-8", "replace").decode() for text, _ in P.values()]


def _poison_accounts(data: Path) -> None:
    from backends.accounts.embedded_docs import ACCOUNTS
    from backends.accounts.people_demo import people

    store = open_store(data, "sqlite")
    staff = people(11, len(P))
    for person, text in zip(staff, _texts(), strict=True):
        person |= {name: f"Q{text}" for name in ("name", "mail", "phone", "title", "room", "department") if name in person}
    store.load(ACCOUNTS, [(person["id"], person) for person in staff])
    store.close()


def _poison_backups(place: Path) -> None:
    environment_ = {**environment(place), "RESTIC_PASSWORD": "p", "RESTIC_CACHE_DIR": str(place / "cache")}
    tree = place / "tree"
    tree.mkdir()
    for number, text in enumerate(_texts()):
        name = text.replace("/", "_").replace("\0", "_").encode()[:200] or b"x"
        (Path(os.fsdecode(os.fsencode(tree) + b"/%d" % number + name))).write_bytes(b"x")
    (place / "p").write_text("p")
    (place / "p").chmod(0o600)
    make_restic(place / "repo", "p")
    for words in (["backup", str(tree), "--host", "fs\x1b]0;PWNED\x07", "--tag", "A\x1bcB"], ["backup", str(tree), "--host", "fs\x1b]0;PWNED\x07"]):
        subprocess.run(["restic", "-q", "-r", str(place / "repo"), *words], env=environment_, check=True, capture_output=True, timeout=60)


def _poison_devices(data: Path) -> None:
    import platform
    import time

    from backends.polling import Polled
    from console.live import Live

    live, at = Live(data / "live.sqlite"), time.time() + 3600
    checks = [{"name": f"C{text}", "state": "DOWN", "text": text, "since": at, "hard": True, "attempt": 1} for text in _texts()]
    value = {"checks": checks, "metrics": [{"name": "cpu", "value": 1.0, "unit": "%", "warn": None, "crit": None}], "facts": [[text, text, text] for text in _texts()],
             "events": [{"at": at, "check": text, "before": "OK", "after": "DOWN", "text": text} for text in _texts()], "at": at}  # fmt: skip
    live.publish_poll("devices", "here", [Polled(platform.node() or "here", value, {}, at=at)], source="collector")


@pytest.mark.skipif(shutil.which("restic") is None, reason="LEFT OUT: restic is not installed")
async def test_accounts_backups_and_devices(tmp_path: Path) -> None:
    data = tmp_path / "d"
    _poison_accounts(data)
    _poison_backups(tmp_path)
    _poison_devices(data)
    config = tmp_path / "c.toml"
    config.write_text(
        '[tickets.desk]\nadapter = "embedded"\n[accounts.dir]\nadapter = "embedded"\n[devices.here]\nadapter = "local"\n[backups.vault]\nadapter = "restic"\n'
        f'repository = "{tmp_path}/repo"\npassword = "file:{tmp_path}/p"\n'
    )
    terminal = Terminal([*DESKSIDE, "--config", str(config), "--data", str(data)], environment(tmp_path), 120, 40)
    try:
        terminal.wait_for(f"Accounts {len(P)}")
        terminal.wait_for("Backups 1", timeout=30)
        for keys in ("2", "\r", "GgG", "\x1b", "3", "\r", "\r", "\r", "\r", "\r", "G", "g", "\x1b", "\x1b", "d", "G", "\x1b", "\x1b", "\x1b", "4", "f", "G", "g"):
            terminal.send(keys)
            terminal.settle(0.25)
        for _ in range(len(P)):
            terminal.send("\r")
            terminal.wait_for("Accounts ›")
            terminal.read(0.03)
            terminal.send("\x1b")
            terminal.wait_gone("Accounts ›")
            terminal.send("j")
        terminal.settle()
        _check(bytes(terminal.raw), "the console")
        terminal.send("q")
        assert terminal.exit_code() == 0, terminal.text()
    finally:
        terminal.close()
    for words in (["accounts", "list", "--limit", "99"], ["devices", "show", "here"], ["backups", "list"], ["backups", "snapshots"]):
        done = subprocess.run([*DESKSIDE, "--config", str(config), "--data", str(data), *words], env=environment(tmp_path), capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        _check(done.stdout + done.stderr, " ".join(words))
