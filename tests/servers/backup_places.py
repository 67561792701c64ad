"""Real places for backups on loopback: a REST server and an SFTP server by rclone, stopped by their own pid."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


def need(*programs: str) -> None:
    """Skip where one is not installed; fail when nothing may be left out."""
    for program in programs:
        if shutil.which(program) is None:
            if os.environ.get("DESKSIDE_TEST_ALL") == "1":
                pytest.fail(f"{program} is not installed")
            pytest.skip(f"LEFT OUT: {program} is not installed")


def free_port(first: int = 8200, last: int = 8219) -> int:
    """One that nobody listens on."""
    for port in range(first, last + 1):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


@contextlib.contextmanager
def rclone(what: str, folder: Path, port: int, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """`rclone serve restic|sftp` on a folder, listening."""
    need("rclone")
    words = ["rclone", "serve", what, str(folder), "--addr", f"127.0.0.1:{port}", "--config", "/dev/null", *more]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            ends = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None and time.monotonic() < ends, "rclone does not listen"
            yield process
        finally:
            process.terminate()
            process.wait(10)
