"""Secrets: a whole restore through a REST server with a password of its own, and everything it leaves behind or shows is searched for both of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.backup_places import free_port, need, rclone
from tests.servers.backup_programs import make_restic
from tests.terminal.conftest import DESKSIDE, environment
from tests.terminal.harness import Terminal

pytestmark = [pytest.mark.server]
KEY, DOOR = "correct-horse-battery", "s3cret-at-the-door"
"""The repository's password, and the REST server's, which stands in the address."""


class Watch(threading.Thread):
    """Reads the command line of every process there is, a hundred times a second, and its environment when that is new; `server` may know the door's password."""

    def __init__(self, server: int) -> None:
        super().__init__(daemon=True)
        self._server, self._over = server, threading.Event()
        self.seen: dict[str, int] = {}
        self.found: set[bytes] = set()
        self._known: dict[str, bytes] = {}

    def run(self) -> None:
        while not self._over.wait(0.01):
            for place in Path("/proc").iterdir():
                if place.name.isdigit() and int(place.name) != self._server:
                    with contextlib.suppress(OSError):
                        self._look(place)

    def _look(self, place: Path) -> None:
        words = (place / "cmdline").read_bytes()
        told = words if self._known.get(place.name) == words else words + (place / "environ").read_bytes()
        self._known[place.name] = words
        name = "restic" if words.split(b"\0")[0].endswith(b"restic") else "runner" if b"console.runner" in words else "other"
        self.seen[name] = self.seen.get(name, 0) + 1
        if KEY.encode() in told or DOOR.encode() in told:
            self.found.add(words)

    def end(self) -> None:
        self._over.set()
        self.join(10)


@contextlib.contextmanager
def watching(server: int) -> Iterator[Watch]:
    """A watch for a while."""
    watch = Watch(server)
    watch.start()
    try:
        yield watch
    finally:
        watch.end()


class Site:
    """A share, its repository behind the server, and a configuration."""

    def __init__(self, place: Path, port: int) -> None:
        self.place, self.share, self.said = place, place / "srv" / "share", b""
        self.share.mkdir(parents=True)
        (self.share / "letter.txt").write_text("as it was")
        (self.share / "big").write_bytes(os.urandom(3_000_000))
        self.home = place / "home"
        self.home.mkdir()
        make_restic(place / "served", KEY)
        own = {"PATH": os.environ["PATH"], "RESTIC_REPOSITORY": str(place / "served"), "RESTIC_PASSWORD": KEY, "RESTIC_CACHE_DIR": str(place / "own-cache")}
        subprocess.run(["restic", "-q", "backup", str(self.share), "--host", "fs01"], env=own, check=True, capture_output=True, timeout=60)
        (self.share / "letter.txt").write_text("spoiled")
        self.secret = place / "secret"
        self.secret.write_text(KEY)
        self.secret.chmod(0o600)
        self.config = place / "c.toml"
        self.config.write_text(
            f'[roles]\ndefault = "admin"\n[tickets.desk]\nadapter = "embedded"\n[backups.vault]\nadapter = "restic"\nrepository = "rest:http://backup:{DOOR}@127.0.0.1:{port}/"\n'
            f'password = "file:{self.secret}"\ndeadline = "5s"\n'
        )
        self.argv = [*DESKSIDE, "--config", str(self.config), "--data", str(place / "data")]

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run([*self.argv, *words], env=environment(self.home), capture_output=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        self.said += done.stdout + done.stderr
        return done.stdout.decode()

    def left(self) -> list[Path]:
        """Every file there is but the server's, the secret's and the configuration's own."""
        own = {self.secret, self.config}
        return [path for path in self.place.rglob("*") if path.is_file() and not path.is_symlink() and path not in own and self.place / "served" not in path.parents]


def screens(site: Site, run: str) -> bytes:
    """What the console sends to the terminal: desk, backups, the restore and its report."""
    terminal = Terminal(site.argv, environment(site.home), 120, 40)
    try:
        terminal.wait_for("Backups 1", 30)
        terminal.send("3\r")
        terminal.wait_for("Snapshots")
        terminal.send("\x1b:restores\r")
        terminal.wait_for(run[:10])
        terminal.send("\r")
        terminal.wait_for("Restores ›")
        terminal.settle(0.3)
        terminal.send("q")
        terminal.settle(0.3)
        return bytes(terminal.raw)
    finally:
        terminal.close()


def test_no_secret_is_seen_or_left_behind(tmp_path: Path) -> None:
    """R32: not in an argument, an environment, a log, the journal, the run's folder, the report, the ledger, an error or on a screen."""
    need("restic", "rclone")
    port = free_port()
    site = Site(tmp_path, port)
    with rclone("restic", tmp_path / "served", port, "--user", "backup", "--pass", DOOR) as server, watching(server.pid) as watch:
        site.run("tickets", "create", "lost letter", "--yes")
        ticket = "1001"
        listed = site.run("backups", "snapshots").split("\n")[1].split()
        snapshot = next(word for word in listed if len(word) in (8, 12, 64) and all(sign in "0123456789abcdef" for sign in word))
        site.run("backups", "restore", snapshot, str(site.share), "--original", "--yes", "--ticket", ticket, "--reason", "asked")
        assert (site.share / "letter.txt").read_text() == "as it was"
        run = next(word for word in site.run("backups", "restores").split() if word.startswith("r20"))
        site.run("backups", "restores", run)
        site.run("backups", "repositories", "--json")
        site.run("tickets", "show", ticket)
        site.run("ledger", "list")
        shown = screens(site, run)
        site.run("backups", "undo", run, "--yes")
        site.run("backups", "drill", "vault", "--seed", "7", "--yes")
        site.secret.write_text("another")
        site.run("backups", "cat", snapshot, str(site.share / "letter.txt"), code=4)
        site.secret.write_text(KEY)
    site.run("backups", "cat", snapshot, str(site.share / "letter.txt"), code=6)
    assert watch.seen.get("restic", 0) > 5 and watch.seen.get("runner", 0) > 5, f"nobody was seen at work: {watch.seen}"
    assert not watch.found, watch.found
    for secret in (KEY.encode(), DOOR.encode()):
        assert secret not in site.said and secret not in shown
        assert [path for path in site.left() if secret in path.read_bytes()] == []
    kinds = {path.relative_to(tmp_path).parts[1] for path in site.left() if path.is_relative_to(tmp_path / "data")}
    assert {"jobs", "ledger", "restores", "store"} <= kinds, kinds


def test_the_watch_sees_what_a_process_shows(tmp_path: Path) -> None:
    """R32: the search itself would find one."""
    with subprocess.Popen([sys.executable, "-c", "input()", DOOR], stdin=subprocess.PIPE) as process, watching(0) as watch:
        try:
            until = threading.Event()
            for _ in range(200):
                if watch.found or until.wait(0.02):
                    break
        finally:
            process.communicate(b"\n", 10)
    assert watch.found
