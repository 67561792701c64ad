"""The rules that are pure: how well a job is protected, what may be forgotten, when a lock is stale."""

from __future__ import annotations

import os
import socket
import subprocess
from datetime import UTC, datetime, timedelta

from backends.backups.forgetting import most_at_once, refusals
from backends.backups.model import Entry, Protection, Snapshot
from backends.backups.owner_names import OwnerNames
from backends.backups.protection import protection
from backends.backups.restic_json import moment, nanoseconds
from backends.backups.selecting import batches, checked_selection
from backends.backups.stale import staleness

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
GB = 10**9


def word(hours: float, sizes: tuple[int, ...] = (), files: tuple[int, ...] = (), added: tuple[int, ...] = (), **more: str) -> Protection:
    count = max(1, len(sizes), len(files), len(added))
    times = [NOON - timedelta(hours=hours + 24 * night) for night in range(count)]
    return protection(times, sizes or (None,) * count, 86400.0, NOON, files, added, **more)[0]


def test_states_by_the_policy() -> None:
    """R22 too: a snapshot that lies in the future is CLOCK, never OK."""
    assert [word(hours) for hours in (24, 24.1, 36, 36.1, -0.1, -1)] == [
        Protection.OK, Protection.DUE, Protection.DUE, Protection.LATE, Protection.OK, Protection.CLOCK,
    ]  # fmt: skip
    assert word(1, (71, 100, 101, 99)) is Protection.OK and word(1, (69, 100, 101, 99)) is Protection.SUSPICIOUS
    assert word(1, (69, 100, 101)) is Protection.OK, "two nights do not say what is usual"
    assert word(1, (), (60, 100, 100, 100)) is Protection.SUSPICIOUS
    assert word(1, (), (), (11 * GB, GB, GB, GB, 900 * GB)) is Protection.SUSPICIOUS and word(1, (), (), (9 * GB, GB, GB, GB, 900 * GB)) is Protection.OK
    assert "has 99 % fewer bytes" in protection([NOON] * 4, [6, GB, GB, GB], None, NOON)[1], "six bytes are not nothing"
    assert word(1, partial="12 files") is Protection.PARTIAL and word(40, partial="12 files") is Protection.LATE
    assert word(1, failed="disk full") is Protection.FAILED
    assert protection([], [], 60.0, NOON)[0] is Protection.NEVER and protection([], [], 60.0, NOON, failed="x") == (Protection.FAILED, "x")


def test_what_may_be_forgotten() -> None:
    listed = [Snapshot("", f"{n:064d}", f"{n:08d}", NOON, "a" if n < 30 else "b", hold="court" if n == 3 else "", readable=n != 5) for n in range(31)]

    def against(*numbers: int, many: bool = False) -> str:
        return "; ".join(refusals(listed, [listed[n].id for n in numbers], lambda one: one.host, many))

    assert against(0, 1, 2) == "" and "held: court" in against(3) and "b would be left" in against(30) and "can't be read" in against(5)
    assert most_at_once(31) == 6 and most_at_once(10) == 5
    assert "7 of 31" in against(*range(10, 17)) and against(*range(10, 17), many=True) == "" and against(*range(10, 16)) == ""


def test_a_lock_is_stale_by_proof_only() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    old, new = NOON - timedelta(hours=2), NOON - timedelta(minutes=4)
    assert staleness("here", "here", os.getpid(), old, NOON) == (False, f"process {os.getpid()} on this machine runs")
    assert staleness("here", "here", process.pid, new, NOON)[0]
    assert staleness("far", "here", 1, old, NOON)[0] and not staleness("far", "here", 1, new, NOON)[0]
    assert not staleness("far", "here", 1, old, NOON, refreshed=False)[0] and not staleness("far", "here", 1, None, NOON)[0]


def test_times_of_any_zone() -> None:
    """R22: the hour that comes twice in autumn is two different hours."""
    first, second = moment("2026-11-01T01:30:00-05:00"), moment("2026-11-01T01:30:00.123456789-06:00")
    assert first is not None and second is not None and second - first == timedelta(hours=1, microseconds=123456)
    assert nanoseconds("1901-12-13T20:45:52.000000001Z") == -2147483648 * 10**9 + 1 and nanoseconds("2300-01-01T00:00:00Z") == 10413792000 * 10**9
    assert moment("yesterday") is None and nanoseconds(None) is None


def test_selections() -> None:
    assert checked_selection([b"/a/b", b"a", b"/a/", b"/ab"]) == [b"/a", b"/ab"] and checked_selection([b"/", b"/x"]) == [b"/"]
    assert [len(group) for group in batches([b"/%08d" % n for n in range(4500)])] == [2000, 2000, 500]
    assert [len(group) for group in batches([b"/" + b"x" * 60_000] * 3)] == [1, 1, 1]


def test_an_owner_has_the_name_it_was_seen_with_on_its_own_host() -> None:
    """restic's `ls` tells numbers: another host's number never gets this host's name."""
    names = OwnerNames()
    listed = Entry(b"/srv/a", "a", "file", user="0", group="0", uid=0, gid=0)
    assert names.named("elsewhere", listed) is listed
    here = names.named(socket.gethostname(), listed)
    assert (here.user, here.group) == ("root", "root")
    names.learn("elsewhere", Entry(b"/srv/b", "b", "file", user="toor", group="wheel", uid=0, gid=0))
    there = names.named("elsewhere", listed)
    assert (there.user, there.group, names.named("third", listed).user) == ("toor", "wheel", "0")
    unknown = Entry(b"/srv/c", "c", "file", user="3999999", group="", uid=3999999)
    assert names.named(socket.gethostname(), unknown) is unknown
