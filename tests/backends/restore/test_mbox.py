"""R27: messages of an mbox file back into a live one - nothing overwritten, nothing twice, nothing divided, undone while nothing came after."""

from __future__ import annotations

import fcntl
import mailbox
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backends.errors import Busy, Damaged, NoSpace, Refused
from backends.restore import mail_lock, mbox_merge
from backends.restore.model import Destination, RestorePlan, RestoreReport
from backends.restore.runs import resume, take_back
from tests.backends.restore.conftest import House

FROM = b"From bob@example.org Tue Nov 24 08:00:%02d 2026\n"


def mail(number: int, body: bytes = b"hello\n", ident: bool = True, more: bytes = b"") -> bytes:
    return FROM % number + (b"Message-ID: <%d@x>\n" % number if ident else b"") + b"Subject: %d\n" % number + more + b"\n" + body + b"\n"


def one(house: House, then: bytes, now: bytes) -> Path:
    """An mbox that was backed up as `then` and is `now`."""
    box = house.place / "var" / "mail" / "bob"
    box.parent.mkdir(parents=True, exist_ok=True)
    box.write_bytes(then)
    house.source.backup("one", box)
    box.write_bytes(now)
    return box


def plan_of(house: House, box: Path) -> RestorePlan:
    return house.plan(box, to=Destination("mailbox", os.fsencode(box)))


def merge(house: House, plan: RestorePlan) -> RestoreReport:
    return resume(house.setting, house.run(plan), house.source, house.stop)


def subjects(box: Path) -> list[str]:
    return [str(message["subject"]) for message in mailbox.mbox(str(box), create=False)]


def test_what_is_missing_is_added_at_the_end_and_taken_back(house: House) -> None:
    """R27: by Message-ID, folded or not, and read since; the rest stays byte for byte; undo cuts it off again."""
    now = mail(2, more=b"Status: RO\nX-UID: 7\n") + mail(9)
    box = one(house, mail(1, more=b"X-UID: 1\nStatus: O\n") + mail(2).replace(b"ID: <", b"ID:\n <") + mail(3) + mail(3), now)
    inode, plan = box.stat().st_ino, plan_of(house, box)
    assert not plan.preview.refusals and plan.preview.puts == 1 and box.read_bytes() == now
    report = merge(house, plan)
    assert report.result == "done" and (report.counts["put"], report.counts["same"]) == (2, 2), report.private
    assert box.read_bytes() == now + mail(1, more=b"Status: O\n") + mail(3) and box.stat().st_ino == inode
    assert sorted(os.listdir(box.parent)) == sorted(["bob", *(path.name for path in house.hidden() if path.parent == box.parent)])
    again = plan_of(house, box)
    assert merge(house, again).counts == {"same": 4} and take_back(house.setting, house.run(plan), False).result == "undone"
    assert box.read_bytes() == now and not house.hidden()


def test_hostile_mails(house: House) -> None:
    """R27: no Message-ID, an empty one, `From ` lines in bodies, CRLF, no final newline, the server's own note, other header letters."""
    then = (
        FROM % 0 + b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nnote\n\n"
        + mail(1, ident=False) + mail(2, ident=False, more=b"Message-ID:\n") + mail(3, b"\nFrom here on it is well\nFrom Monday\n")
        + mail(4, b"quoted\n\n>From bob@example.org Tue Nov 24 08:00:00 2026\nend\n") + mail(5, b"\n\n\nblank\n\n\n").replace(b"\n", b"\r\n")
        + mail(6, b"x" * 200_000 + b"\n", more=b"Content-Length: 200001\n") + mail(7).replace(b"Message-ID", b"MESSAGE-id") + mail(8, b"cut off").rstrip(b"\n")
    )  # fmt: skip
    live = mail(1, ident=False, more=b"X-Status: A\n") + mail(7) + mail(10, b"no end").rstrip(b"\n")
    box = one(house, then, live)
    report = merge(house, plan_of(house, box))
    assert report.result == "done" and (report.counts["put"], report.counts["same"]) == (6, 2), report.private
    content = box.read_bytes()
    assert content.startswith(live + b"\n\nFrom ") and subjects(box) == ["1", "7", "10", "2", "3", "4", "5", "6", "8"]
    assert b"\n>From here on" in content and b"\n>From Monday" in content and b"\n>From bob" in content and b">>From" not in content
    assert b"FOLDER INTERNAL" not in content and b"Content-Length" not in content and content.endswith(b"cut off\n\n")
    assert merge(house, plan_of(house, box)).counts == {"same": 8} and box.read_bytes() == content, "and again: nothing twice"


@pytest.mark.parametrize(("then", "now", "put"), [(b"", mail(1), 0), (mail(1), b"", 1), (b"", b"", 0), (mail(1), mail(1)[:-1], 0)])
def test_empty_ones(house: House, then: bytes, now: bytes, put: int) -> None:
    """R27: 0 bytes there, here, in both."""
    box = one(house, then, now)
    report = merge(house, plan_of(house, box))
    assert report.result == "done" and report.counts.get("put", 0) == put and box.read_bytes() == now + (mail(1) if put else b"")


def test_what_is_no_mbox_is_refused_or_named(house: House) -> None:
    """R27: a text file as target, a text file in the snapshot, a folder, a Maildir's message into an mbox's place."""
    box = one(house, mail(1), b"no mail at all\n")
    assert "first line" in plan_of(house, box).preview.refusals[0].text
    box = one(house, b"no mail at all\n", mail(1))
    with pytest.raises(Refused, match="is no mbox file"):
        merge(house, plan_of(house, box))
    assert box.read_bytes() == mail(1) and not house.hidden()
    assert "choose mbox files" in house.plan(house.share, to=Destination("mailbox", os.fsencode(box))).preview.refusals[0].text
    link = box.with_name("link")
    link.symlink_to(box)
    assert house.plan(box, to=Destination("mailbox", os.fsencode(link))).preview.refusals


def test_undo_only_while_nothing_came_after(house: House) -> None:
    """R27, R25: mail that came after the restore, and a mail program that wrote its flags, stop the undo; nothing is lost."""
    box = one(house, mail(1), mail(9))
    for spoil in (lambda data: data + mail(11), lambda data: data.replace(b"Subject: 9", b"Status: RO\nSubject: 9")):
        box.write_bytes(mail(9))
        plan = plan_of(house, box)
        merge(house, plan)
        box.write_bytes(spoil(box.read_bytes()))
        after = box.read_bytes()
        report = take_back(house.setting, house.run(plan), False)
        assert report.result == "partial" and "left as it is" in report.private and box.read_bytes() == after


def test_it_waits_for_whoever_delivers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """R27: a lock file, and a lock of another process on the file: Busy, nothing written; both let go of: done."""
    box = one(house, mail(1), mail(9))
    monkeypatch.setattr(mail_lock, "PATIENCE", 0.3)
    lock = box.with_name("bob.lock")
    lock.write_text("1\n")
    with pytest.raises(Busy, match="is there"):
        merge(house, plan_of(house, box))
    lock.unlink()
    script = "import fcntl,sys;f=open(sys.argv[1],'r+b');fcntl.lockf(f,fcntl.LOCK_EX);print('locked',flush=True);sys.stdin.read()"
    other = subprocess.Popen([sys.executable, "-c", script, box], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None and other.stdout.readline() == b"locked\n"
    with pytest.raises(Busy, match="is locked"):
        merge(house, plan_of(house, box))
    other.communicate(b"")
    assert box.read_bytes() == mail(9) and not lock.exists() and not house.hidden()
    write = mbox_merge._write_all

    def locked_now(descriptor: int, data: bytes, place: int) -> None:
        code = "import fcntl,sys\ntry: fcntl.lockf(open(sys.argv[1],'r+b'),fcntl.LOCK_EX|fcntl.LOCK_NB)\nexcept OSError: print('held')"
        assert lock.read_text() == f"{os.getpid()}\n" and subprocess.check_output([sys.executable, "-c", code, box]) == b"held\n"
        write(descriptor, data, place)

    monkeypatch.setattr(mbox_merge, "_write_all", locked_now)
    assert merge(house, plan_of(house, box)).result == "done" and not lock.exists()


@pytest.mark.parametrize("cut", [0, 1, 40, 137])
def test_cut_off_in_the_middle(house: House, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    """R27: killed while it appends: resume goes on where it stopped, undo cuts it off, what came after is never overwritten."""
    now = mail(9).rstrip(b"\n")
    box = one(house, mail(1) + mail(2) + mail(3), now)

    class Killed(BaseException):
        pass

    def torn(descriptor: int, data: bytes, place: int) -> None:
        size = os.fstat(descriptor).st_size
        os.pwrite(descriptor, data[: max(0, len(now) + cut - size)], place)
        if place + len(data) >= len(now) + cut:
            raise Killed

    plans = []
    for _ in range(3):
        box.write_bytes(now)
        plan = plan_of(house, box)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(mbox_merge, "_write_all", torn)
            merge(house, plan)
        assert len(box.read_bytes()) == len(now) + cut and house.run(plan).state() == "swapping"
        if not plans:
            assert merge(house, plan).result == "done" and box.read_bytes() == now + b"\n\n" + mail(1) + mail(2) + mail(3)
        elif len(plans) == 1:
            assert take_back(house.setting, house.run(plan), False).result == "undone" and box.read_bytes() == now
        else:
            box.write_bytes(box.read_bytes() + mail(4))
            after = box.read_bytes()
            with pytest.raises(Damaged, match="changed since"):
                merge(house, plan)
            assert box.read_bytes() == after
        plans.append(plan)


def test_a_full_disk_leaves_the_mailbox_as_it_was(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """R27, R11: what was written of it is cut off again."""
    box = one(house, mail(1), mail(9))
    told = box.stat()

    def full(descriptor: int, data: bytes, place: int) -> None:
        os.pwrite(descriptor, data[:5], place)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mbox_merge, "_write_all", full)
    with pytest.raises(NoSpace, match="No space left"):
        merge(house, plan_of(house, box))
    assert box.read_bytes() == mail(9) and box.stat().st_mtime_ns == told.st_mtime_ns and not house.hidden()
    assert fcntl.lockf(box.open("r+b"), fcntl.LOCK_EX | fcntl.LOCK_NB) is None
