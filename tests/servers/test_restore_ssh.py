"""Restores to another host over a real sshd on loopback: verified keys, staged and audited there, swapped and undone there."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.errors import AuthFailed, Refused, Unreachable, Unsupported
from backends.restore.model import Destination, RestorePlan, RestoreReport, Wanted
from backends.restore.places import Guarded
from backends.restore.planning import Point, Setting
from backends.restore.remote import RemoteUndo, prepare_remote
from backends.restore.run_folder import Run
from backends.restore.runs import resume
from tests.backends.restore.conftest import look
from tests.backends.restore.source import Trees

pytestmark = [pytest.mark.server]
PORT = 8222
TAKEN = datetime(2026, 11, 24, 1, 0, tzinfo=UTC)
SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin")


@dataclass
class Sshd:
    place: Path
    to: Destination


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    if SSHD is None or os.geteuid() != 0:
        if os.environ.get("DESKSIDE_TEST_ALL") == "1":
            pytest.fail("sshd is not installed, or this is not root")
        pytest.skip("LEFT OUT: needs sshd (openssh-server) and root")
    place = tmp_path_factory.mktemp("sshd")
    (place / "home").mkdir()
    for name in ("host", "key", "wrong"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place / name)], check=True)
    shutil.copy(place / "key.pub", place / "authorized")
    os.makedirs("/run/sshd", exist_ok=True)
    (place / "config").write_text(
        f"ListenAddress 127.0.0.1\nPort {PORT}\nHostKey {place}/host\nPidFile {place}/pid\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nAuthorizedKeysFile {place}/authorized\nStrictModes no\nUsePAM no\nSetEnv HOME={place}/home\nLogLevel ERROR\n"
    )
    server = subprocess.Popen([SSHD, "-D", "-f", str(place / "config"), "-E", str(place / "log")])
    end = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", PORT)) == 0:
                break
        assert server.poll() is None and time.monotonic() < end, (place / "log").read_text()
    algorithm, key = (place / "host.pub").read_text().split()[:2]
    (place / "known").write_text(f"[127.0.0.1]:{PORT} {algorithm} {key}\n")
    yield Sshd(place, Destination("host", b"", "127.0.0.1", PORT, "root", str(place / "key"), str(place / "known")))
    server.send_signal(signal.SIGTERM)
    server.wait()


class Bench:
    def __init__(self, place: Path, sshd: Sshd) -> None:
        self.share = place / "far" / "share"
        (self.share / "sub").mkdir(parents=True)
        for number in range(30):
            (self.share / "sub" / f"f{number}").write_text(f"content {number}")
        Path(os.fsdecode(os.fsencode(self.share) + b"/bad-\xff\n")).write_text("hard name")
        (self.share / "big").write_bytes(os.urandom(700_000))
        os.link(self.share / "big", self.share / "big too")
        self.source = Trees(place / "snapshots")
        self.source.backup("one", self.share)
        self.setting = Setting(place / "data" / "restores", Guarded(b"", os.fsencode(place / "data")), 14.0, "console")
        self.place, self.to = place, sshd.to

    def plan(self, to: Destination) -> RestorePlan:
        wanted = Wanted("trees", "one", (os.fsencode(self.share),), to)
        return prepare_remote(self.setting, self.source, wanted, Point("one", TAKEN, "fs07"), threading.Event())

    def run(self, plan: RestorePlan) -> Run:
        return Run.of(self.setting.base, plan.run)

    def do(self, plan: RestorePlan, stop: threading.Event | None = None) -> RestoreReport:
        return resume(self.setting, self.run(plan), self.source, stop or threading.Event())


@pytest.fixture
def bench(tmp_path: Path, sshd: Sshd) -> Bench:
    return Bench(tmp_path, sshd)


def test_back_to_its_place_on_the_other_host_and_undone(bench: Bench) -> None:
    was = look(bench.share)
    (bench.share / "sub" / "f3").write_text("newer than the backup")
    (bench.share / "big").unlink()
    spoiled = look(bench.share)
    plan = bench.plan(bench.to)
    assert (plan.preview.counts["newer"], plan.preview.replaces, plan.preview.puts) == (1, 1, 1)
    report = bench.do(plan)
    assert report.result == "done" and report.audited and look(bench.share) == was, report
    assert "Snapshot one of fs07 to " in report.private and "from the backup of 2026-11-24 01:00 UTC" in report.public
    assert report.undo_until is not None and f"Can be undone until {report.undo_until:%Y-%m-%d %H:%M} UTC" in report.private
    assert RemoteUndo(bench.setting, bench.run(plan)).work().result == "undone"
    assert look(bench.share) == spoiled
    assert not list(bench.place.rglob(".deskside-restore-*")), "nothing is left here or there"


def test_a_new_folder_there_and_what_is_in_the_way(bench: Bench) -> None:
    to = replace(bench.to, root=os.fsencode(bench.place / "far" / "out"))
    report = bench.do(bench.plan(to))
    assert report.result == "done" and look(bench.place / "far" / "out" / "share") == look(bench.share)
    plan = bench.plan(to)
    assert "there already" in plan.preview.refusals[0].text
    with pytest.raises(Refused):
        bench.do(plan)
    assert "operating system" in bench.plan(replace(bench.to, root=b"/etc/never")).preview.refusals[0].text


def test_what_changed_there_since_the_preview_is_left(bench: Bench) -> None:
    (bench.share / "sub" / "f3").write_text("newer")
    (bench.share / "sub" / "f4").unlink()
    plan = bench.plan(bench.to)
    (bench.share / "sub" / "f3").write_text("newer still")
    report = bench.do(plan)
    assert report.result == "partial" and (bench.share / "sub" / "f3").read_text() == "newer still"
    assert (bench.share / "sub" / "f4").exists() and any("since the preview" in item.text for item in report.named)


def test_a_line_that_drops_before_the_swap_leaves_everything_alone(bench: Bench) -> None:
    (bench.share / "sub" / "f3").write_text("live")
    before = look(bench.share)
    plan, stop = bench.plan(bench.to), threading.Event()
    from backends.restore import remote

    class Dropping(remote.RemoteRestoring):
        def _send_tree(self, far: remote.Far) -> None:
            far.wire.send_bytes(b"the beginning of a tar")
            far.close()
            raise Unreachable("the line dropped")

    with pytest.raises(Unreachable):
        Dropping(bench.setting, bench.run(plan), bench.source, stop).work()
    assert look(bench.share) == before and bench.run(plan).state() == "swapping", "nobody knows yet"
    end = time.monotonic() + 20
    while list(bench.share.parent.glob(".deskside-restore-*")):
        assert time.monotonic() < end, "the far end did not clean up"
    assert look(bench.share) == before


def test_host_keys_and_log_ins_are_checked(bench: Bench, sshd: Sshd) -> None:
    (sshd.place / "none").write_text("")
    with pytest.raises(Refused, match="not known"):
        bench.plan(replace(bench.to, known_hosts=str(sshd.place / "none")))
    other = (sshd.place / "wrong.pub").read_text().split()[:2]
    (sshd.place / "changed").write_text(f"[127.0.0.1]:{PORT} {' '.join(other)}\n")
    with pytest.raises(Refused, match="another host key"):
        bench.plan(replace(bench.to, known_hosts=str(sshd.place / "changed")))
    with pytest.raises(AuthFailed):
        bench.plan(replace(bench.to, key=str(sshd.place / "wrong")))
    with pytest.raises(Unreachable):
        bench.plan(replace(bench.to, port=8223))
    assert (sshd.place / "none").read_text() == "", "never added by itself"


def test_what_is_no_ssh_server_is_said_so(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def close_at_once() -> None:
            while True:
                try:
                    listening.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=close_at_once, daemon=True).start()
        with pytest.raises(Unreachable, match="is no SSH server") as caught:
            bench.plan(replace(bench.to, port=listening.getsockname()[1]))
        listening.shutdown(socket.SHUT_RDWR)
    assert "Errno" not in caught.value.text and "port" in caught.value.hint


def test_a_host_without_python_is_a_sentence(bench: Bench, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.restore import remote

    monkeypatch.setattr(remote, "LOADER", "import sys; sys.exit('OLD 3.9.2')")
    with pytest.raises(Unsupported, match=r"3\.11"):
        bench.plan(bench.to)
