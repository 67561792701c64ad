"""The check card names the programs that hold open what would be replaced: real processes, real files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends.restore import holders
from backends.restore.model import Destination
from tests.backends.restore.conftest import House

HOLD = "import os,sys\nfound=[os.open(path, os.O_RDONLY) for path in sys.argv[2:]]\nos.chdir(sys.argv[1])\nprint('held', flush=True)\nsys.stdin.read()\n"


@contextmanager
def holding(folder: Path, *paths: Path, uid: int | None = None) -> Iterator[int]:
    """A process that has files open and works in a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder, *paths], stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=uid)
    try:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        yield process.pid
    finally:
        process.communicate(b"")


def test_who_holds_files_open_is_named(house: House) -> None:
    """A file that is replaced, a folder that is taken away with somebody in it; not a file that stays."""
    (house.share / "letter.txt").write_text("live")
    (house.share / "later").mkdir()
    assert not any("open" in text for text in house.plan(policy="exact").preview.hazards)
    with holding(house.share / "later", house.share / "letter.txt") as one, holding(house.place, house.share / "sub" / "plan.ods") as other:
        hazards = house.plan(policy="exact").preview.hazards
        said = [text for text in hazards if f"(pid {one})" in text]
        assert len(said) == 1 and "holds 3 open" in said[0] and "letter.txt" in said[0] and "second name" in said[0] and "/later" in said[0], hazards
        assert said[0].startswith("python") and not any(f"(pid {other})" in text for text in hazards)
        assert not house.plan(policy="missing").preview.hazards, "nothing would be replaced"
        into = house.plan(to=Destination("new", os.fsencode(house.place / "out")))
        assert not any("open" in text for text in into.preview.hazards)


def test_a_mailbox_that_is_open_is_said(house: House) -> None:
    box = house.place / "Maildir"
    (box / "cur").mkdir(parents=True)
    (box / "cur" / "1:2,").write_text("Message-ID: <1@x>\n\nx\n")
    (box / "dovecot.index").write_text("index")
    house.source.backup("one", box)
    (box / "cur" / "1:2,").unlink()
    with holding(box / "cur", box / "dovecot.index") as one:
        hazards = house.plan(box, to=Destination("mailbox", os.fsencode(box))).preview.hazards
        assert any(f"(pid {one}) holds 2 open of this mailbox" in text and "dovecot.index" in text for text in hazards), hazards


def test_what_was_not_looked_at_is_said(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """No root: others' processes are not seen; too many: after the time it says how many were."""
    path = house.share / "letter.txt"
    path.write_text("live")
    if os.geteuid() == 0:
        script = "import os;from backends.restore import holders;os.setuid(65534);print(*holders.of_mailbox(b'/'), sep='\\n')"
        said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True).stdout
        assert "only this user's processes were looked at" in said
    began = time.monotonic()
    monkeypatch.setattr(holders, "SECONDS", 0.0)
    held = holders.look({path.stat().st_dev}, seconds=0.0)
    assert not held.ended and held.seen <= 1 and time.monotonic() - began < 2
    assert any("it took too long" in text for text in holders._said({}, "", held))

    def hung(*_: object) -> None:
        time.sleep(5)

    monkeypatch.setattr(holders.Held, "look", hung)  # a stat that never answers
    began = time.monotonic()
    assert not holders.look(set(), seconds=0.1).ended and time.monotonic() - began < 2
