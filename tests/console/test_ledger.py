"""The ledger: durable, chained, torn tails made good, changes found."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.errors import Busy, NoSpace
from console import ledger as ledger_module
from console.ledger import CURRENT, Ledger
from tests.warm import Warm

ROOT = Path(__file__).parent.parent.parent
WRITER = "import sys; sys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\nfrom console.ledger import Ledger\nledger = Ledger(Path(sys.argv[2]))\nfor n in range(int(sys.argv[4])):\n    ledger.append('note', actor=sys.argv[3], n=n)\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


@pytest.fixture(scope="module")
def writer() -> Iterator[Warm]:
    imports = "import sys\nfrom pathlib import Path\nfrom console.ledger import Ledger\n"
    with Warm(imports, "ledger = Ledger(Path(sys.argv[1]))\nfor n in range(2):\n    ledger.append('note', n=n)\n") as made:
        yield made


def lines(ledger: Ledger) -> list[bytes]:
    return (ledger.folder / CURRENT).read_bytes().splitlines(keepends=True)


def test_records_are_numbered_and_chained(ledger: Ledger) -> None:
    assert [ledger.append("intent", op="a"), ledger.append("result", op="a", outcome="done")] == [1, 2]
    assert [record["kind"] for record in ledger.read()] == ["result", "intent"]
    verdict = ledger.verify()
    assert verdict.ok and verdict.records == 2
    assert ledger.verify(verdict.head).ok


@pytest.mark.parametrize("deed", ["edit", "delete", "swap"])
def test_what_was_changed_is_found(ledger: Ledger, deed: str) -> None:
    for number in range(5):
        ledger.append("note", n=number)
    found = lines(ledger)
    if deed == "edit":
        found[2] = found[2].replace(b'"n":2', b'"n":9')
    elif deed == "delete":
        del found[2]
    else:
        found[1], found[2] = found[2], found[1]
    (ledger.folder / CURRENT).write_bytes(b"".join(found))
    assert not ledger.verify().ok


def test_a_cut_tail_is_only_found_with_an_anchor(ledger: Ledger) -> None:
    for number in range(3):
        ledger.append("note", n=number)
    head = ledger.verify().head
    (ledger.folder / CURRENT).write_bytes(b"".join(lines(ledger)[:2]))
    assert ledger.verify().ok
    assert not ledger.verify(head).ok


def test_a_tail_torn_at_every_byte_is_made_good(ledger: Ledger) -> None:
    ledger.append("note", n=0)
    whole = (ledger.folder / CURRENT).read_bytes()
    ledger.append("note", n=1, text="Müller")
    both = (ledger.folder / CURRENT).read_bytes()
    for cut in range(len(whole), len(both)):
        (ledger.folder / CURRENT).write_bytes(both[:cut])
        ledger.append("note", n=2)
        verdict = ledger.verify()
        assert verdict.ok, (cut, verdict.problems)
        assert (ledger.folder / CURRENT).read_bytes().startswith(both[:cut]), "a torn tail is never cut off"


def test_eight_writers(ledger: Ledger) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(ROOT), str(ledger.folder), f"w{n}", "60"]) for n in range(8)]
    assert [writer.wait(60) for writer in writers] == [0] * 8
    verdict = ledger.verify()
    assert verdict.ok and verdict.records == 480


@pytest.mark.server
@pytest.mark.skipif(shutil.which("strace") is None, reason="LEFT OUT: strace is not installed")
@pytest.mark.parametrize("call", ["openat", "flock", "pread64", "write", "fsync", "close"])
def test_a_kill_at_each_system_call(ledger: Ledger, writer: Warm, call: str) -> None:
    ledger.append("note", n=0)
    target, killed = str(ledger.folder / CURRENT), 0
    for number in range(1, 6):
        done = writer.run(str(ledger.folder), strace=["-P", target, "-e", f"inject={call}:signal=SIGKILL:when={number}"])
        killed += done.returncode == -signal.SIGKILL
        ledger.append("note", n="after")
        verdict = ledger.verify()
        assert verdict.ok, (call, number, verdict.problems)
    assert killed, f"nothing was killed at {call}"


def test_a_full_disk_refuses(ledger: Ledger) -> None:
    ledger.append("note", n=0)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    size = (ledger.folder / CURRENT).stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
        with pytest.raises(NoSpace):
            ledger.append("note", n=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    ledger.append("note", n=2)
    assert ledger.verify().ok


def test_a_held_lock_is_a_sentence(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    ledger.append("note")
    monkeypatch.setattr(ledger_module, "LOCK_SECONDS", 0.2)
    handle = os.open(ledger.folder / CURRENT, os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(Busy):
        ledger.append("note")
    os.close(handle)


def test_a_new_file_goes_on_from_the_old_one(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "ROTATE_BYTES", 1500)
    for number in range(20):
        ledger.append("note", n=number)
    assert len(list(ledger.folder.glob("ledger-*.jsonl"))) >= 2
    verdict = ledger.verify()
    assert verdict.ok and [record.get("n") for record in ledger.read(30) if record["kind"] == "note"] == list(range(19, -1, -1))
    oldest = sorted(ledger.folder.glob("ledger-*.jsonl"))[0]
    oldest.unlink()
    assert not ledger.verify().ok


def test_intents_without_a_result_are_named(ledger: Ledger) -> None:
    ledger.append("intent", op="a")
    ledger.append("intent", op="b")
    ledger.append("result", op="a", outcome="done")
    assert [record["op"] for record in ledger.unfinished()] == ["b"]
