"""What is fetched again into a directory that an extraction was cut off in."""

from __future__ import annotations

import os
from pathlib import Path

from backends.backups.missing import missing
from backends.backups.model import Entry


def entry(path: bytes, kind: str = "file", size: int = 3, **more: object) -> Entry:
    return Entry(path, "", kind, size if kind == "file" else 0, mtime_ns=10**18, **more)  # type: ignore[arg-type]


def test_what_is_whole_is_kept_and_folders_of_which_nothing_is_there_are_asked_for_as_one(tmp_path: Path) -> None:
    into = os.fsencode(tmp_path)
    for path, size, time in (("a/whole", 3, 10**18), ("a/short", 2, 10**18), ("a/cut", 3, 10**18 + 1), ("a/other", 3, 10**18)):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"x" * size)
        os.utime(tmp_path / path, ns=(time, time))
    (tmp_path / "a" / "other").unlink()
    (tmp_path / "a" / "other").mkdir()
    (tmp_path / "a" / "link").symlink_to("whole")
    (tmp_path / "a" / "bad link").symlink_to("elsewhere")
    os.mkfifo(tmp_path / "a" / "fifo")
    told = [
        entry(b"/a", "dir"), entry(b"/a/whole"), entry(b"/a/short"), entry(b"/a/cut"), entry(b"/a/other"), entry(b"/a/link", "link", link=b"whole"),
        entry(b"/a/bad link", "link", link=b"whole"), entry(b"/a/fifo", "other", special="fifo"), entry(b"/a/whole/through"),
        entry(b"/b", "dir"), entry(b"/b/x"), entry(b"/b/sub", "dir"), entry(b"/b/sub/y"), entry(b"/bc"), entry(b"/b/late"),
        entry(b"/\xff" + b"n" * 300), entry(b"/" + b"long/" * 900),
    ]  # fmt: skip
    assert missing(told, into) == [b"/a/short", b"/a/cut", b"/a/other", b"/a/bad link", b"/a/whole/through", b"/b", b"/bc", b"/\xff" + b"n" * 300, b"/" + b"long/" * 900]


def test_nothing_is_there_or_all_of_it(tmp_path: Path) -> None:
    into = os.fsencode(tmp_path)
    assert missing([entry(b"/", "dir"), entry(b"/x", "dir")], into + b"/none") == [b"/"]
    (tmp_path / "x").mkdir()
    assert missing([entry(b"/", "dir"), entry(b"/x", "dir")], into) == []
