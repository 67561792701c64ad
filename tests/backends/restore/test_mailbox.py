"""Messages back into a mailbox: nothing overwritten, nothing twice, flags kept, indexes left out, undone whole."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from backends.restore import mailbox
from backends.restore.mailbox import MailboxRestoring
from backends.restore.model import Destination, RestorePlan
from backends.restore.runs import UndoWork, interrupted, resume
from tests.backends.restore.conftest import House, look


def message(number: int, body: str = "hello") -> str:
    return f"Return-Path: <a@example.org>\nSubject: {number}\nMessage-ID:\n <{number}@example.org>\n\n{body} {number}\n"


@pytest.fixture
def mail(house: House) -> Path:
    """Four messages and one sent in the backup; live: one is still there, one under another name, one new, the rest deleted."""
    box = house.place / "home" / "bob" / "Maildir"
    for folder in ("", ".Sent"):
        for part in ("cur", "new", "tmp"):
            (box / folder / part).mkdir(parents=True)
    (box / "cur" / "1.host:2,S").write_text(message(1))
    (box / "cur" / "2.host:2,FS").write_text(message(2))
    (box / "cur" / "3.host:2,").write_text(message(3))
    (box / "new" / "4.host").write_text(message(4))
    (box / ".Sent" / "cur" / "5.host:2,S").write_text(message(5))
    (box / "dovecot-uidlist").write_text("3 V1 N1\n")
    house.source.backup("one", box)
    os.rename(box / "cur" / "1.host:2,S", box / "cur" / "1.host:2,RS")
    os.rename(box / "cur" / "3.host:2,", box / "cur" / "renamed by a client:2,")
    for gone in ("cur/2.host:2,FS", "new/4.host", ".Sent/cur/5.host:2,S"):
        (box / gone).unlink()
    (box / "cur" / "9.host:2,").write_text(message(9))
    (box / "dovecot-uidlist").write_text("3 V1 N9 live\n")
    if os.geteuid() == 0:
        for path in [box, *box.rglob("*")]:
            os.chown(path, 5001, 5002)
    return box


def test_a_mailbox_is_merged(house: House, mail: Path) -> None:
    """R27: what is missing comes, nothing is overwritten or doubled, flags stay, indexes are left out."""
    before = look(mail)
    plan = house.plan(mail, to=Destination("mailbox", os.fsencode(mail)))
    assert (plan.preview.puts, plan.preview.replaces) == (4, 0) and not plan.preview.refusals, "3 is found by its Message-ID later"
    report = resume(house.setting, house.run(plan), house.source, house.stop)
    assert report.result == "done" and (report.counts["put"], report.counts["same"]) == (3, 2), report
    after = look(mail)
    new = {name: value for name, value in after.items() if ".Restored" in name}
    assert {name: value for name, value in after.items() if name not in new and name != "."} == {name: value for name, value in before.items() if name != "."}
    names = {name.split("/", 1)[1] for name, value in new.items() if isinstance(value[-1], bytes) and "cur/" in name}
    assert names == {"cur/2.host:2,FS", "cur/4.host:2,", "cur/5.host:2,S"}
    folders = {name.split("/")[0] for name in new}
    assert len(folders) == 2 and any(name.endswith(".Sent") for name in folders)
    assert all((mail / name / "maildirfolder").exists() for name in folders)
    assert not any("dovecot" in name for name in new)
    if os.geteuid() == 0:
        assert {(value[1], value[2]) for value in new.values()} == {(5001, 5002)}
    again = house.plan(mail, to=Destination("mailbox", os.fsencode(mail)))
    assert again.preview.puts == 1, "what was merged is in the mailbox now"
    assert UndoWork(house.setting, house.run(plan)).work().result == "undone"
    assert look(mail) == before


class Killed(BaseException):
    """Nothing of ours catches it: what it leaves is what a killed process leaves."""


@pytest.mark.parametrize(("call", "number"), [("rename2", 1), ("rename2", 3), ("_mail_folder", 2), ("print_of", 1)])
def test_killed_while_the_mail_folder_is_put_together(house: House, mail: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """R30, R27: it begins anew, on another day too; killed again while that is taken apart, a third time is whole."""
    before = look(mail)
    plan = house.plan(mail, to=Destination("mailbox", os.fsencode(mail)))
    _struck(house, plan, monkeypatch, call, number)
    _struck(house, plan, monkeypatch, "rename2", 2 if (call, number) in (("rename2", 3), ("print_of", 1)) else 1)
    assert look(mail) == before and [line.can for line in interrupted(house.setting)] == [("resume", "discard")]
    monkeypatch.setattr(MailboxRestoring, "_free_name", staticmethod(lambda live, root: b".Restored 2031-01-01"))
    report = resume(house.setting, house.run(plan), house.source, house.stop)
    assert report.result == "done" and (report.counts["put"], report.counts["same"]) == (3, 2), report
    new = sorted(str(path.relative_to(mail)) for path in mail.rglob("*") if path.is_file() and "Restored" in str(path) and path.name != "maildirfolder")
    assert new == [".Restored 2031-01-01.Sent/cur/5.host:2,S", ".Restored 2031-01-01/cur/2.host:2,FS", ".Restored 2031-01-01/cur/4.host:2,"]
    assert UndoWork(house.setting, house.run(plan)).work().result == "undone" and look(mail) == before and not house.hidden()


def _struck(house: House, plan: RestorePlan, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    real, left = getattr(mailbox, call), [number]

    def strikes(*given: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(mailbox, call, strikes)
        with pytest.raises(Killed):
            resume(house.setting, house.run(plan), house.source, house.stop)
    assert house.run(plan).state() == "audited"


def test_no_mailbox_is_refused(house: House, mail: Path) -> None:
    shutil.rmtree(mail / "cur")
    plan = house.plan(mail, to=Destination("mailbox", os.fsencode(mail)))
    assert "no Maildir" in plan.preview.refusals[0].text
