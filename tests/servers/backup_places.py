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


def free_port() -> int:
    """One that nobody listens on: any, so that two test processes do not choose the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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


@contextlib.contextmanager
def sshd(place: Path, port: int) -> Iterator[str]:
    """A real sshd for root by key; the ssh command that reaches it, its host key known. It may come back at the same place and port."""
    server = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if server is None or os.geteuid() != 0:
        if os.environ.get("DESKSIDE_TEST_ALL") == "1":
            pytest.fail("sshd is not installed, or this is not root")
        pytest.skip("LEFT OUT: needs sshd (openssh-server) and root")
    for name in ("host", "key") if not (place / "key").exists() else ():  # one that comes back is known
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    os.makedirs("/run/sshd", exist_ok=True)
    (place / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {place}/host\nPidFile none\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f"AuthorizedKeysFile {place}/key.pub\nStrictModes no\nUsePAM no\nSetEnv HOME={place}\nLogLevel ERROR\nSubsystem sftp internal-sftp\n"
    )
    algorithm, key = (place / "host.pub").read_text().split()[:2]
    (place / "known").write_text(f"[127.0.0.1]:{port} {algorithm} {key}\n")
    with subprocess.Popen([server, "-D", "-f", str(place / "config"), "-E", str(place / "log")]) as process:
        try:
            ends = time.monotonic() + 20
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert process.poll() is None and time.monotonic() < ends, (place / "log").read_text()
            yield f"ssh -F /dev/null -p {port} -i {place}/key -o BatchMode=yes -o UserKnownHostsFile={place}/known -o LogLevel=ERROR"
        finally:
            process.terminate()
            process.wait(10)
