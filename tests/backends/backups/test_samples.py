"""What every version of restic and borg really printed, replayed: versions that are not installed here are read rightly too."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from backends.backups import borg_json, index_build, restic_json
from backends.backups.borg_program import BorgProgram, borg_capabilities, complaint, log_line
from backends.backups.restic_extract import _Said
from backends.backups.restic_program import ResticProgram, go_text, message, quoted, restic_capabilities
from backends.backups.restic_tree import exact_walk, json_stream, unquoted
from backends.backups.restic_work import _group
from backends.errors import AuthFailed, BackendError, Busy, Damaged, NotFound, Unreachable

DATA = Path(__file__).parents[2] / "data"
RESTIC = ("0.14.0", "0.18.0", "0.19.1")
BORG = ("1.2.4", "1.4.5", "1.4.5-modern")


def sample(tool: str, version: str, name: str, end: str = "stdout") -> bytes:
    path = DATA / tool / version / f"{name}.{end}"
    return path.read_bytes() if path.exists() else b""


def code(tool: str, version: str, name: str) -> int:
    return int(sample(tool, version, name, "rc") or b"1")


def errors(tool: str, version: str, name: str) -> list[str]:
    return sample(tool, version, name, "stderr").decode("utf-8", "replace").splitlines()


restic_versions = pytest.mark.parametrize("version", RESTIC)
borg_versions = pytest.mark.parametrize("version", BORG)


@restic_versions
def test_restic_snapshots(version: str) -> None:
    found = restic_json.snapshots(sample("restic", version, "06-snapshots"), "vault")
    assert len(found) == 3 and all(one.time > two.time for one, two in itertools.pairwise(found))
    assert {one.host for one in found} == {"files01", "mail01"} and all(len(one.id) == 64 and one.uid for one in found)
    assert all((one.size is None) == (version == "0.14.0") for one in found)
    lost = restic_json.unreadable(tuple(errors("restic", version, "79-truncated-snapshot-snapshots")), "vault")
    assert len(lost) == 1 and not lost[0].readable and "UNREADABLE" in lost[0].note


@restic_versions
def test_restic_listings(version: str) -> None:
    found = restic_json.directories(sample("restic", version, "11-ls-dir").split(b"\n"), [b"/src/home/anna", b"/src/nope"])
    assert list(found) == [b"/src/home/anna"] and {entry.kind for entry in found[b"/src/home/anna"]} >= {"file", "link"}
    assert any("\ufffd" in entry.name for entry in found[b"/src/home/anna"]) and all(entry.mode <= 0o7777 for entry in found[b"/src/home/anna"])
    assert restic_json.directories(sample("restic", version, "12-ls-dir-nonexist").split(b"\n"), [b"/no/such"]) == {}
    nodes = list(json_stream([sample("restic", version, "14-find")], inside="matches"))
    assert len(nodes) >= 2 and all(node["path"].endswith("report.txt") for node in nodes)
    diff = restic_json.diff(sample("restic", version, "18-diff").split(b"\n"))
    assert diff.items and diff.changed and all(item.path.startswith(b"/") for item in diff.items)


@restic_versions
def test_restic_policies_and_locks(version: str) -> None:
    import json

    groups = [_group(item) for item in json.loads(sample("restic", version, "45-forget-dry-run").split(b"\n")[0])]
    assert len(groups) == 1 and len(groups[0].remove) == 1 and groups[0].keep[0].reasons == ("last snapshot",)
    lock = sample("restic", version, "94-cat-lock")
    if lock:
        found = restic_json.lock("ab" * 32, json.loads(lock), "elsewhere")
        assert found.host == "files01" and found.since is not None and not found.exclusive
        assert (found.stale and "not refreshed" in found.proof) or (not found.stale and "look there" in found.proof)


@restic_versions
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("54-no-repo", NotFound), ("55-wrong-password", AuthFailed), ("58-unreachable-sftp", Unreachable), ("95-locked-prune", Busy),
        ("59-unreachable-rest-SIGINT-after-8s", Unreachable), ("72-corrupt-check-read-data", Damaged),
    ],
)  # fmt: skip
def test_restic_failures(version: str, name: str, error: type[BackendError]) -> None:
    lines = errors("restic", version, name)
    if not lines:
        assert version == "0.14.0"
        return
    program = ResticProgram({"repository": "rest:http://u:secret@h/"}, "")
    found = program.failure(code("restic", version, name), lines)
    assert type(found) is error and found.hint and "secret" not in found.sentence() and "***" in program.location()
    if error is Busy:
        assert "the `unlock`" not in found.sentence() and "already locked by PID" in found.text and "on files01 by root" in found.text, found.text
        assert re.search(r"since 20\d\d-\d\d-\d\d \d\d:\d\d UTC$", found.text) and "with K" in found.hint and "deskside backups unlock" in found.hint


@restic_versions
def test_restic_says_which_file_was_not_restored(version: str) -> None:
    events: list[Any] = []
    said = _Said(events.append)
    for stream, end in (("out", "stdout"), ("err", "stderr")):
        for line in sample("restic", version, "70-corrupt-restore", end).splitlines():
            said.line(stream, line)
    assert said.count == 1 and said.errors[0].path.startswith(b"/src/f") and "ciphertext" in said.errors[0].text
    full = _Said(events.append)
    for line in sample("restic", version, "80-enospc-restore", "stderr").splitlines():
        full.line("err", line)
    assert (full.count > 1 and all("no space" in error.text for error in full.errors)) or version == "0.14.0"


def test_restic_capabilities_grow_with_the_version() -> None:
    had: frozenset[str] = frozenset()
    for version in ((0, 14, 0), (0, 15, 2), (0, 16, 5), (0, 17, 3), (0, 18, 0), (0, 19, 1)):
        found = restic_capabilities(version)
        assert had <= found.has and all("from restic" in words for words in found.missing)
        had = found.has
    assert not restic_capabilities((0, 19, 1)).missing and len(restic_capabilities((0, 14, 0)).missing) == 9


def test_restic_words() -> None:
    assert go_text(b"a\xff\xe2\x82z") == "a\ufffd\ufffd\ufffdz" and quoted(b"a*[b]?\\") == b"a\\*\\[b]\\?\\\\"
    assert unquoted('\\xff\\u2028\\"\\101') == b"\xff" + "\u2028".encode() + b'"A'
    assert message('{"message_type":"error","error":{"message":"lost"},"item":"/a"}') == "/a: lost" and message("{broken") == "{broken"


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_one_long_line_of_json_is_read_in_pieces(cut: int) -> None:
    raw = b'[{"matches":[{"path":"/a","n":"]}"},{"path":"/b"}],"hits":2,"snapshot":"x"},{"matches":[{"path":"/c"}],"hits":1,"snapshot":"y"}]\n'
    pieces = [raw[place : place + cut] for place in range(0, len(raw), cut)]
    assert [item["path"] for item in json_stream(pieces, inside="matches")] == ["/a", "/b", "/c"]
    assert [item["hits"] for item in json_stream(pieces)] == [2, 1]
    assert list(json_stream([b"[]\n"])) == [] == list(json_stream([b"[]"], inside="matches")) == list(json_stream([]))
    for broken in (raw[:-20], b"not json", b"{}", b'[{"matches":[{"path":"/a"'):
        with pytest.raises(Damaged):
            list(json_stream([broken], inside="matches"))


def test_names_that_print_alike_are_told_apart_by_their_order() -> None:
    trees: dict[bytes, list[tuple[bytes, dict[str, Any]]]] = {
        b"/d": [(b"x\xfe", {"type": "dir"}), (b"x\xff", {"type": "dir"})], b"/d/x\xfe": [(b"\x80", {}), (b"\x81", {})],
    }  # fmt: skip
    nodes = [
        {"path": "/d", "type": "dir"}, {"path": "/d/x\ufffd", "type": "dir"}, {"path": "/d/x\ufffd/\ufffd", "type": "file"},
        {"path": "/d/x\ufffd/\ufffd", "type": "file"}, {"path": "/d/x\ufffd", "type": "dir"}, {"path": "/d/x\ufffd/plain", "type": "file"},
        {"path": "/e", "type": "file"},
    ]  # fmt: skip
    found = [entry.path for entry in exact_walk(nodes, lambda path: trees[path])]
    assert found == [b"/d", b"/d/x\xfe", b"/d/x\xfe/\x80", b"/d/x\xfe/\x81", b"/d/x\xff", b"/d/x\xff/plain", b"/e"]
    with pytest.raises(Damaged):
        list(exact_walk([{"path": "/d/y\ufffd", "type": "file"}], lambda path: trees[path]))


@borg_versions
def test_borg_archives(version: str) -> None:
    listed = borg_json.archives(sample("borg", version, "06-list-repo"))
    assert len(listed) >= 3 and {borg_json.series(one.name) for one in listed} >= {"files01", "mail01"}
    items = borg_json.document(sample("borg", version, "14-info-archive"))["archives"]
    found = borg_json.detailed(next(one for one in listed if one.id == items[0]["id"]), items[0])
    assert found.host and found.size and found.files and found.paths == ("/src",) and found.duration is not None


@borg_versions
def test_borg_policies(version: str) -> None:
    messages = [str(log_line(line).get("message", "")) for line in errors("borg", version, "28-prune-dry-run")]
    keep, gone = borg_json.policy(messages)
    assert list(keep.values()) == ["daily #1"] and len(gone) == 1


@borg_versions
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("36-no-repo", NotFound), ("37-no-archive", NotFound), ("38-wrong-passphrase", AuthFailed), ("40-no-passphrase", AuthFailed),
        ("41-unreachable-ssh", Unreachable), ("42-bad-flag", BackendError), ("45-not-a-repo", NotFound),
    ],
)  # fmt: skip
def test_borg_failures(version: str, name: str, error: type[BackendError]) -> None:
    found = BorgProgram({"repository": "/r"}).failure(code("borg", version, name), errors("borg", version, name))
    assert type(found) is error and found.text


@borg_versions
def test_borg_printed_items_and_warnings(version: str) -> None:
    found = list(borg_json.items(index_build.printed([sample("borg", version, "09-list-archive").replace(b"?", b"_")])))
    assert found and found[0].entry.kind == "dir" and any(item.entry.kind == "link" for item in found)
    assert all(item.entry.mode <= 0o7777 for item in found)
    words = [complaint(log_line(line)) for line in errors("borg", version, "05c-create-missing-source")]
    assert any("does-not-exist" in word for word in words)


def test_borg_capabilities_and_names() -> None:
    assert not borg_capabilities((1, 2, 4)).has and borg_capabilities((1, 4, 5)).has == {"exit-codes", "safe-parents"}
    names = {"fs01-2026-03-08": "fs01", "held-fs01-2026-03-08T01:00:00": "fs01", "a-b_20260308": "a-b", "2026-03-08": "2026-03-08", "plain": "plain"}
    assert {name: borg_json.series(name) for name in names} == names
    words = ["borg", "create", "--exclude", "*.o", "-C", "lz4", "::a", "/srv/a", "--comment", "x", "--stats", "rel", "--", "-odd"]
    assert borg_json.source_paths(words) == ("/srv/a", "/rel", "/-odd")
