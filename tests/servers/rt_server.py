"""A real Request Tracker 5 for the tests, started once on a port and in a folder of its own, stopped by its process number."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backends.contract import Site
from backends.options import read_options
from backends.secret import Secret
from backends.tickets.rt import RequestTracker

SCRIPT = Path(__file__).parent / "rt_lab.sh"
SERVER = Path("/usr/share/request-tracker5/libexec/rt-server")
FIELDS = {"vendor": "Vendor", "reference": "Vendor reference", "promised": "Promised", "follow_up": "Follow up", "resolution": "Solved by", "tags": "Labels"}
PASSWORD = "password"


@dataclass(frozen=True, slots=True)
class RtServer:
    """Where it is, and the tokens of its people."""

    url: str
    tokens: dict[str, str]
    client: httpx.Client

    def call(self, method: str, path: str, who: str = "root", **more: Any) -> httpx.Response:
        """A request past the adapter: what an administrator or somebody in the web interface does."""
        headers = {"Authorization": f"token {self.tokens[who]}", **more.pop("headers", {})}
        return self.client.request(method, f"{self.url}/REST/2.0{path}", headers=headers, **more)

    def queue(self, lifecycle: str = "helpdesk") -> str:
        """A queue of a test's own."""
        name = f"Desk {uuid.uuid4().hex[:8]}"
        assert self.call("POST", "/queue", json={"Name": name, "Lifecycle": lifecycle}).status_code == 201
        return name

    def adapter(self, who: str = "tech1", **options: Any) -> RequestTracker:
        """The adapter as this person uses it; not opened."""
        table = {"url": self.url, "token": "env:UNUSED", "fields": FIELDS, "deadline": "30s", **options}
        values = read_options(RequestTracker.OPTIONS, table)
        return RequestTracker("rt", {**values, "token": Secret(self.tokens[who]) if "token" not in options else None}, Site())

    def session(self, who: str = "tech1", password: str = PASSWORD) -> RequestTracker:
        """The adapter with a session instead of a token."""
        values = read_options(RequestTracker.OPTIONS, {"url": self.url, "user": who, "fields": FIELDS, "deadline": "30s"})
        return RequestTracker("rt", {**values, "password": Secret(password)}, Site())


def _missing() -> str:
    if not SERVER.exists():
        return "LEFT OUT: Request Tracker is not installed (request-tracker5, rt5-db-sqlite, rt5-standalone)"
    return "" if shutil.which("curl") else "LEFT OUT: curl is not installed"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def rt_server() -> Iterator[RtServer]:
    """A fresh one: users tech1, tech2, viewer, jdoe; queues General, Helpdesk, Network."""
    missing = _missing()
    if missing:
        (pytest.fail if os.environ.get("DESKSIDE_TEST_ALL") == "1" else pytest.skip)(missing)
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # its database in memory: a commit costs no disk
    place, port = Path(tempfile.mkdtemp(prefix="deskside-rt-", dir=memory)), _free_port()
    environment = {**os.environ, "RT_LAB_DIR": str(place), "RT_LAB_WORKERS": "3"}
    try:
        done = subprocess.run(["bash", str(SCRIPT), "start", str(port)], env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        tokens = dict(line.split() for line in (place / str(port) / "tokens").read_text().splitlines())
        server = RtServer(f"http://127.0.0.1:{port}", tokens, httpx.Client(timeout=30, trust_env=False))
        person = {"Name": "jdoe", "EmailAddress": "jdoe@example.org", "RealName": "Joe Doe", "Privileged": 0}
        assert server.call("POST", "/user", json=person).status_code == 201
        yield server
    finally:
        subprocess.run(["bash", str(SCRIPT), "purge", str(port)], env=environment, capture_output=True, timeout=60, check=False)
        shutil.rmtree(place, ignore_errors=True)
