"""Extended attributes and ACLs are audited against the snapshot: equal, set right where they were not, and what was not looked at is counted."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest

from backends.backups.attributes import ACCESS, DEFAULT, acl_bytes, of_borg, of_pax, same_value
from backends.restore import attributes
from backends.restore.lines import spooled
from backends.restore.model import Destination
from tests.servers.backup_programs import ends, newest
from tests.servers.test_restore_tools import Bench

pytestmark = [pytest.mark.server]
NOBODY = 0xFFFFFFFF


def acl(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


FOR_BOB = acl((1, 6, NOBODY), (2, 4, 5001), (4, 4, NOBODY), (16, 4, NOBODY), (32, 0, NOBODY))
INHERITED = acl((1, 7, NOBODY), (2, 5, 0), (2, 7, 5001), (4, 5, NOBODY), (16, 7, NOBODY), (32, 0, NOBODY))


def every(tree: Path) -> dict[str, dict[str, bytes]]:
    """All attributes of a tree."""
    return {str(path.relative_to(tree)): {name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)} for path in [tree, *tree.rglob("*")]}


@pytest.fixture(params=[*ends("restic"), *newest("borg")])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, request.param)


@pytest.fixture
def share(bench: Bench) -> Path:
    """Attributes on files, on folders, on the top one; with zero bytes and no text; two ACLs."""
    share = bench.place / "srv" / "share"
    (share / "sub").mkdir(parents=True)
    for name in ("plain", "noted", "acl", "sub/deep"):
        (share / name).write_text(name)
    try:
        os.setxattr(share / "noted", "user.note", b"a\0\xff\n=b")
        os.setxattr(share / "noted", "user.empty", b"")
        os.setxattr(share / "sub" / "deep", "user.del", b"\x7f41")
        os.setxattr(share, "user.top", b"top")
        os.setxattr(share / "acl", ACCESS, FOR_BOB)
        os.setxattr(share / "sub", DEFAULT, INHERITED)
    except OSError as error:
        pytest.skip(f"LEFT OUT: this filesystem has no extended attributes or ACLs ({error.strerror})")
    if os.geteuid() == 0:
        os.setxattr(share / "noted", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    return share


async def test_attributes_come_back_and_are_compared(bench: Bench, share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into a folder whose default ACL is inherited by all, by a tool that forgets and adds attributes: equal to the live tree's afterwards."""
    was = every(share)
    bench.back_up(share)
    await bench.open()
    (bench.place / "out").mkdir()
    os.setxattr(bench.place, DEFAULT, INHERITED)
    monkeypatch.setattr(attributes, "LEAST", 60.0)
    extract = type(bench.backend).extract

    def forgetful(self: Any, snapshot: str, selection: Any, into: bytes, tell: Any, stop: Any) -> Any:
        found = extract(self, snapshot, selection, into, tell, stop)
        place = os.fsdecode(into) + str(share)
        os.removexattr(f"{place}/noted", "user.note")
        os.removexattr(f"{place}/acl", os.fsdecode(ACCESS))
        os.setxattr(f"{place}/plain", "user.foreign", b"x")
        os.setxattr(f"{place}/sub/deep", "user.del", b"A")
        return found

    monkeypatch.setattr(type(bench.backend), "extract", forgetful)
    plan = bench.plan(share, to=Destination("into", os.fsencode(bench.place / "out")))
    report = bench.do(plan)
    assert report.result == "done" and not [item for item in report.named if item.word == "lost"], report.private
    told = [line.xattrs for line in spooled(bench.run(plan))]
    assert all(item is not None for item in told) if bench.tool == "borg" else told == [None] * len(told)
    compared = "2 of 3" if bench.tool == "restic" and not bench.backend.can_tell_attributes() else "3 of 3"
    assert f"extended attributes compared in {compared} folders" in report.private and ("was not checked" in report.private) is (compared == "2 of 3")
    got = every(bench.place / "out" / "share")
    if compared == "2 of 3":  # the chosen folder's own are not told by this version, and not claimed
        got["."], was["."] = {}, {}
    assert got == was


def test_acls_are_read_from_every_form() -> None:
    """The text of borg (with the number), of a tar record and of star; three entries are the mode again, what can't be read is not guessed."""
    assert acl_bytes(b"user::rw-\nuser:bob:r--:5001\ngroup::r--\nmask::r--\nother::---") == FOR_BOB
    assert of_pax({"SCHILY.acl.access": "user::rw-,user:5001:r--,group::r--,mask::r--,other::---", "path": "x"}) == ((ACCESS, FOR_BOB),)
    assert acl_bytes(b"user::rw-\ngroup::r--\nother::---") == b"" and acl_bytes(b"user:bob:r--\n") is None and acl_bytes(b"nonsense") is None
    found = of_borg({b"acl_default": b"user::rwx\ngroup::r-x\nother::---", b"xattrs": {b"user.a": b"\0\xff", b"user.\xff": None}})
    assert found == ((DEFAULT, acl((1, 7, NOBODY), (4, 5, NOBODY), (32, 0, NOBODY))), (b"user.a", b"\0\xff"), (b"user.\xff", b""))
    swapped = FOR_BOB[:4] + FOR_BOB[12:20] + FOR_BOB[4:12] + FOR_BOB[20:]
    assert same_value(ACCESS, FOR_BOB, swapped) and not same_value(b"user.x", FOR_BOB, swapped)
