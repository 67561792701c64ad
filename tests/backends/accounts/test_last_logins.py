"""lastlog, utmp, wtmp, lastlog2 and faillock: records written byte for byte, and read by the real tools too."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.accounts.last_logins import Seen, read_lastlog, read_lastlog2, read_sessions, read_utmp, read_wtmp
from backends.accounts.posix_locks import LockRules, parse_rules, read_tally, read_tally2
from tests.backends.accounts.synthetic_root import lastlog, lastlog2, on_x86, tally, utmp, write_bytes, write_text

T = 1_795_000_000
AT = datetime.fromtimestamp(T, UTC)


@on_x86
def test_lastlog_is_indexed_by_uid(tmp_path: Path) -> None:
    """Only those asked for, never one beyond the end."""
    path = write_bytes(tmp_path, "lastlog", lastlog({1000: (T, "pts/3", "10.0.0.7"), 1002: (0, "", "")}))
    assert read_lastlog(path, [1000, 1001, 1002, 4_000_000_000]) == {1000: Seen(AT, "pts/3", "10.0.0.7")}


@on_x86
def test_wtmp_newest_login_counts(tmp_path: Path) -> None:
    """Only log-ins of people count: not boots, not log-outs; a half-written record at the end is left out."""
    data = utmp(2, "reboot", "~", "", T - 900) + utmp(7, "ana", "pts/0", "10.0.0.7", T - 500) + utmp(7, "ana", "pts/1", "", T)
    data += utmp(8, "", "pts/1", "", T + 50) + utmp(7, "bob", "tty1", "", T - 800) + utmp(7, "eve", "tty1", "", T)[:200]
    found = read_wtmp(write_bytes(tmp_path, "wtmp", data))
    assert found["ana"] == Seen(AT, "pts/1", "") and set(found) == {"ana", "bob"}


@on_x86
@pytest.mark.server
@pytest.mark.skipif(not shutil.which("last"), reason="needs last")
def test_last_reads_the_same_file(tmp_path: Path) -> None:
    """The real `last` agrees about who and where: the record is the real layout."""
    path = write_bytes(tmp_path, "wtmp", utmp(7, "ana", "pts/0", "10.0.0.7", T - 500) + utmp(7, "bob", "tty1", "console", T))
    argv = ["last", "-f", str(path), "--time-format", "iso"]
    done = subprocess.run(argv, capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin"})
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip() and not line.startswith("wtmp")}
    for login, seen in read_wtmp(path).items():
        assert lines[login][1:3] == [seen.line, seen.host]
        assert lines[login][3].startswith(seen.at.strftime("%Y-%m-%dT%H:%M"))


@on_x86
@pytest.mark.server
@pytest.mark.skipif(not shutil.which("lastlog"), reason="needs lastlog")
def test_lastlog_tool_reads_the_same_file(tmp_path: Path) -> None:
    """The real `lastlog` under another root agrees."""
    write_text(tmp_path, "etc/passwd", "ana:x:1000:1000:Ana:/home/ana:/bin/bash\n")
    path = write_bytes(tmp_path, "var/log/lastlog", lastlog({1000: (T, "pts/3", "10.0.0.7")}))
    done = subprocess.run(
        ["lastlog", "-R", str(tmp_path), "-u", "ana"], capture_output=True, text=True, env={"TZ": "UTC", "LC_ALL": "C", "PATH": "/usr/bin"}
    )
    if done.returncode != 0:
        pytest.skip(done.stderr)
    seen = read_lastlog(path, [1000])[1000]
    assert f"{seen.line}" in done.stdout and seen.host in done.stdout and f"{seen.at:%H:%M:%S}" in done.stdout


@on_x86
def test_utmp_leaves_out_the_dead(tmp_path: Path) -> None:
    """A record whose process is gone is nobody."""
    (tmp_path / "proc" / str(os.getpid())).mkdir(parents=True)
    data = utmp(7, "ana", "pts/0", "h", T, os.getpid()) + utmp(7, "bob", "pts/1", "h", T, 999_999_99)
    assert [login for login, _ in read_utmp(write_bytes(tmp_path, "utmp", data), tmp_path / "proc")] == ["ana"]


def test_sessions_of_logind(tmp_path: Path) -> None:
    """People's sessions; greeters, closing ones and pipes are left out."""
    ana = f"# This is private data.\nUSER=ana\nCLASS=user\nTTY=pts/2\nREMOTE_HOST=10.0.0.9\nSTATE=active\nREALTIME={T}000000\n"
    write_text(tmp_path, "3", ana)
    write_text(tmp_path, "c1", f"USER=gdm\nCLASS=greeter\nREALTIME={T}000000\n")
    write_text(tmp_path, "4", f"USER=bob\nCLASS=user\nSTATE=closing\nREALTIME={T}000000\n")
    os.mkfifo(tmp_path / "3.ref")
    assert read_sessions(tmp_path) == [("ana", Seen(AT, "pts/2", "10.0.0.9"))]


def test_lastlog2(tmp_path: Path) -> None:
    """The database; a damaged one is an OSError, not a library's."""
    lastlog2(tmp_path / "lastlog2.db", [("ana", T, "pts/1", "10.0.0.1"), ("bob", 0, "", "")])
    assert read_lastlog2(tmp_path / "lastlog2.db") == {"ana": Seen(AT, "pts/1", "10.0.0.1")}
    broken = write_bytes(tmp_path, "broken.db", b"not a database" * 100)
    with pytest.raises(OSError):
        read_lastlog2(broken)


RULES = LockRules(deny=3, fail_interval=900, unlock_time=600)


@pytest.mark.parametrize(
    ("ages", "locked", "count"),
    [
        ([], False, 0),
        ([10, 20], False, 2),
        ([10, 20, 30], True, 3),
        ([10, 20, 5000], False, 2),
        ([601, 610, 620], False, 3),
        ([600, 610, 620], True, 3),
    ],
)
def test_faillock_rule(tmp_path: Path, ages: list[int], locked: bool, count: int) -> None:
    """deny within fail_interval of the latest, until unlock_time is over (pam_faillock)."""
    path = write_bytes(tmp_path, "ana", tally([(T - age, "10.0.0.5") for age in ages]))
    found = read_tally(path, RULES, AT)
    assert (found.locked, found.bad_count) == (locked, count)
    if locked:
        assert found.until is not None and (found.until - AT).total_seconds() == 600 - min(ages) and found.source == "10.0.0.5"


def test_faillock_of_root_never_and_reset(tmp_path: Path) -> None:
    """Root is left alone unless told; unlock_time "never" has no end; records marked as reset don't count; no file = nobody failed."""
    path = write_bytes(tmp_path, "root", tally([(T, "tty1")] * 5))
    assert read_tally(path, RULES, AT, root=True).locked is False
    strict = parse_rules("deny = 4 # four\nunlock_time=never\neven_deny_root\nfail_interval = 60\n#dir = /no\ndir = /var/lib/faillock\n")
    assert (strict.deny, strict.unlock_time, strict.fail_interval, strict.folder) == (4, 0, 60, "/var/lib/faillock")
    found = read_tally(path, strict, AT, root=True)
    assert found.locked and found.until is None
    assert read_tally(write_bytes(tmp_path, "ana", tally([(T, "x")] * 5, status=0)), RULES, AT).locked is False
    assert read_tally(tmp_path / "nobody", RULES, AT).bad_count == 0


@pytest.mark.server
@pytest.mark.skipif(not shutil.which("faillock"), reason="needs faillock")
def test_faillock_tool_reads_the_same_file(tmp_path: Path) -> None:
    """The real faillock shows as many valid failures as we count."""
    login = "root"
    write_bytes(tmp_path, login, tally([(T - 20, "10.0.0.5"), (T - 10, "10.0.0.5"), (T, "10.0.0.6")]))
    argv = ["faillock", "--dir", str(tmp_path), "--user", login]
    done = subprocess.run(argv, capture_output=True, text=True, env={"PATH": "/usr/sbin", "TZ": "UTC"})
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if "10.0.0." in line]
    assert len(lines) == read_tally(tmp_path / login, RULES, AT).bad_count == 3
    assert all(line.rstrip().endswith("V") for line in lines)


def test_pam_tally2_knows_no_threshold(tmp_path: Path) -> None:
    """A count, and "unknown" whether it locks."""
    data = bytes(64 * 1000) + tally([(T, "pts/1")], status=7)
    path = write_bytes(tmp_path, "tallylog", data)
    assert read_tally2(path, 1000).bad_count == 7 and read_tally2(path, 1000).locked is None
    assert read_tally2(path, 1001).locked is False
