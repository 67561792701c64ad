"""The adapter over a synthetic system: states, kinds, names, groups, what is not known; and this machine as it really is."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.accounts.model import AccountQuery, AccountState
from backends.accounts.posix import PosixAccounts
from backends.contract import Site
from backends.errors import NotFound, Unreachable
from backends.options import read_options
from backends.polling import Polls
from tests.backends.accounts.synthetic_root import HASH, day, lastlog, lastlog2, on_x86, tally, utmp, write_bytes, write_text

NOW = datetime.now(UTC)
TODAY = day(NOW)
T = int(NOW.timestamp())
PASSWD = """root:x:0:0:root:/root:/bin/bash
toor:x:0:0:second root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
olddb:x:120:120:Database with a password:/var/db:/bin/bash
ana:x:1000:1000:Ana Muñoz,Room 12,555-0100,555-9999,:/home/ana:/bin/bash
bob:x:1001:1001:&:/home/bob:/bin/bash
cy:x:1002:1002:Cy Left:/home/cy:/bin/bash
dee:x:1003:1003:Dee Ended:/home/dee:/bin/bash
eve:x:1004:1004:Eve Idle:/home/eve:/bin/bash
fay:x:1005:1005:Fay New:/home/fay:/bin/bash
gus:x:1006:1006:Gus Keys:/home/gus:/bin/bash
hal::1007:1007:Hal Open:/home/hal:/bin/bash
ida:x:1008:1008:Ida Late:/home/ida:/bin/bash
jon:x:1009:1009:Jon Shell:/home/jon:/usr/sbin/nologin
kit:x:1010:1010:Kit Elsewhere:/home/kit:/bin/bash
lou:x:1011:1011:Lou Never:/home/lou:/bin/bash
evil:x:1012:1012:\x1b[2JEvil \u202ename:/home/evil:/bin/bash
backup-svc:x:1013:1013:Nightly:/srv:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
FRESH = f"{HASH}:{TODAY - 10}:0:90:7::"
SHADOW = f"""root:*:{TODAY - 100}:0:99999:7:::
toor:!:{TODAY - 100}::::::
daemon:*:{TODAY - 100}:0:99999:7:::
olddb:{HASH}:{TODAY - 100}:0:99999:7:::
ana:{FRESH}:
bob:{FRESH}:
cy:!{HASH}:{TODAY - 10}:0:90:7::1:
dee:{HASH}:{TODAY - 10}:0:90:7::{TODAY - 3}:
eve:{HASH}:{TODAY - 10}:0:90:7:::
fay:{HASH}:0:0:90:7:::
gus:!:{TODAY - 10}:0:99999:7:::
hal:x:{TODAY - 10}:0:99999:7:::
ida:{HASH}:{TODAY - 120}:0:90:7:14::
jon:{FRESH}:
lou:{HASH}:{TODAY - 400}:0:99999:7:::
evil:{FRESH}:
backup-svc:{HASH}:{TODAY - 400}:0:99999:7:::
nobody:*:{TODAY - 100}:0:99999:7:::
"""
GROUP = "root:x:0:\nsudo:x:27:ana,bob\nana:x:1000:\nbob:x:1001:ana\nstaff:x:50:ana,ghost\n"


def build(root: Path) -> Path:
    """The system's files."""
    write_text(root, "etc/passwd", PASSWD)
    write_text(root, "etc/shadow", SHADOW)
    write_text(root, "etc/group", GROUP)
    write_text(root, "etc/login.defs", "# comment\nUID_MIN\t\t 1000\nUID_MAX 60000\n")
    write_text(root, "etc/pam.d/common-auth", "auth required pam_faillock.so preauth\n")
    write_text(root, "etc/security/faillock.conf", "deny = 5\nunlock_time = 900\n")
    for login in ("ana", "eve"):
        write_bytes(root, f"var/run/faillock/{login}", tally([]))
    write_bytes(root, "var/run/faillock/bob", tally([(T - 30 - n, "10.0.0.5") for n in range(5)]))
    write_bytes(root, "var/log/lastlog", lastlog({1000: (T - 3600, "pts/0", "10.0.0.7"), 1004: (T - 200 * 86400, "tty1", "")}))
    write_bytes(root, "var/log/wtmp", utmp(7, "ana", "pts/5", "newer", T - 60) + utmp(7, "eve", "tty1", "", T - 300 * 86400))
    (root / "proc" / "4242").mkdir(parents=True)
    write_bytes(root, "run/utmp", utmp(7, "ana", "pts/5", "newer", T - 60))
    return root


def adapter(root: Path | None, **options: Any) -> PosixAccounts:
    """The adapter with checked options."""
    table = {**({"root": str(root)} if root else {}), **options}
    return PosixAccounts("here", read_options(PosixAccounts.OPTIONS, table), Site())


pytestmark = on_x86


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A system."""
    return build(tmp_path)


@pytest.mark.parametrize(
    ("login", "state", "words"),
    [
        ("ana", "OK", ""), ("bob", "LOCKED", "5 bad passwords"), ("cy", "DISABLED", "account ended"), ("dee", "EXPIRED", "account ended"),
        ("eve", "STALE", "not used for 200 days"), ("fay", "OK", "must be changed"), ("gus", "OK", "no password set"),
        ("hal", "OK", "NO PASSWORD"), ("ida", "EXPIRED", "never renewed"), ("jon", "DISABLED", "nologin"),
        ("kit", "UNKNOWN", "directory behind NSS"), ("lou", "STALE", "never used"), ("nobody", "DISABLED", "nologin"),
    ],
)  # fmt: skip
async def test_states(root: Path, login: str, state: str, words: str) -> None:
    """The word and the reason for each kind of account."""
    row = (await adapter(root).account(login)).row
    assert row.state is AccountState(state), row.text
    assert words in row.text


async def test_the_card(root: Path) -> None:
    """GECOS in its parts, the newest log-in of all sources, groups; never the home phone, never a hash."""
    account = await adapter(root).account("ana")
    assert (account.row.name, account.room, account.phone, account.row.id) == ("Ana Muñoz", "Room 12", "555-0100", "1000")
    assert account.last_from == "newer" and account.row.last_login == datetime.fromtimestamp(T - 60, UTC)
    assert account.groups == ("ana", "bob", "staff", "sudo")
    assert dict(account.facts)["Logged in now"].startswith("pts/5 since")
    assert account.password.set and account.password.expires and account.enabled
    assert "555-9999" not in repr(account) and HASH not in repr(account) and "$y$" not in repr(account)
    assert (await adapter(root).account("bob")).row.name == "Bob"


async def test_lock_is_dated(root: Path) -> None:
    """When the lock ends by itself, and where the bad passwords came from."""
    lock = (await adapter(root).account("bob")).lock
    assert lock.locked and lock.since and lock.until and (lock.until - lock.since) == timedelta(seconds=900)
    assert lock.source == "10.0.0.5" and lock.bad_count == 5


async def test_system_accounts_are_hidden_until_asked_for(root: Path) -> None:
    """Daemons stay away; root and those with a password don't; a range from login.defs decides."""
    shown = {row.login for row in (await adapter(root).accounts(AccountQuery())).items}
    assert {"root", "olddb", "ana"} <= shown and not {"daemon", "nobody"} & shown
    everything = {row.login for row in (await adapter(root).accounts(AccountQuery(system=True))).items}
    assert {"daemon", "nobody", "toor"} <= everything
    assert everything == {row.login for row in (await adapter(root, system=True).accounts(AccountQuery())).items}
    named = (await adapter(root).accounts(AccountQuery(text="daemon"))).items
    assert [(row.login, row.kind) for row in named] == [("daemon", "system")]
    write_text(root, "etc/login.defs", "UID_MIN 0x3ea\nUID_MAX 60000\n")
    assert (await adapter(root).account("ana")).row.kind == "system"


async def test_second_login_of_a_uid_is_its_own_account(root: Path) -> None:
    """Ids stay unique, and the card says who shares it."""
    toor = await adapter(root).account("toor")
    assert toor.row.id == "0/toor" and dict(toor.facts)["Same uid as"] == "root"
    assert (await adapter(root).account("0/toor")).row.login == "toor" and (await adapter(root).account("0")).row.login == "root"


async def test_kinds_named_in_the_configuration(root: Path) -> None:
    """A service is never stale."""
    assert (await adapter(root).account("backup-svc")).row.state is AccountState.STALE
    row = (await adapter(root, services=["backup-svc"], shared=["gus"]).account("backup-svc")).row
    assert row.kind == "service" and row.state is AccountState.OK


async def test_hostile_names_are_cleaned(root: Path) -> None:
    """Nothing that steers a terminal leaves the adapter."""
    name = (await adapter(root).account("evil")).row.name
    assert "\x1b" not in name and "\u202e" not in name and "Evil" in name


async def test_groups(root: Path) -> None:
    """Primary members count; a group that opens everything is protected."""
    groups = {group.name: group for group in await adapter(root).groups()}
    assert groups["bob"].members == ("bob", "ana") and groups["staff"].members == ("ana", "ghost")
    assert groups["sudo"].protected and not groups["staff"].protected
    assert [row.login for row in (await adapter(root).accounts(AccountQuery(group="sudo"))).items] == ["ana", "bob"]
    assert (await adapter(root).group("27")).name == "sudo"
    with pytest.raises(NotFound):
        await adapter(root).group("no-such")


async def test_without_shadow_nothing_is_ok(root: Path) -> None:
    """Fail closed: what can't be read is UNKNOWN, and the note says how to run."""
    (root / "etc/shadow").unlink()
    backend = adapter(root)
    page = await backend.accounts(AccountQuery())
    assert "shadow may not be read: lock and expiry unknown; run" in page.note
    states = {row.login: row.state for row in page.items}
    assert states["ana"] is AccountState.UNKNOWN and states["bob"] is AccountState.LOCKED and states["jon"] is AccountState.DISABLED
    assert not {state for login, state in states.items() if login != "hal"} & {AccountState.OK, AccountState.STALE}
    assert (await backend.account("ana")).enabled is None and (await backend.account("ana")).password.set is None
    assert (await backend.health()).word == "warn"


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become somebody else")
def test_shadow_that_may_not_be_read() -> None:
    """The same as another user, with the file there and closed."""
    script = (
        "import asyncio, os, sys\n"
        "from backends.accounts.posix import PosixAccounts\nfrom backends.contract import Site\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "b = PosixAccounts('here', {'root': sys.argv[1]}, Site())\n"
        "print(asyncio.run(b.health()).text); print(asyncio.run(b.account('ana')).row.state)\n"
    )
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        root = build(Path(folder))
        os.chmod(root, 0o755)
        os.chmod(root / "etc/shadow", 0o640)
        done = subprocess.run([sys.executable, "-c", script, str(root)], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert "shadow may not be read" in done.stdout and done.stdout.splitlines()[-1] == "UNKNOWN"


async def test_never_used_needs_a_source_that_would_know(root: Path) -> None:
    """With nothing but a rotated wtmp, "never seen" proves nothing."""
    (root / "var/log/lastlog").unlink()
    assert (await adapter(root).account("lou")).row.state is AccountState.OK
    lastlog2(root / "var/lib/lastlog/lastlog2.db", [("ana", T - 5, "pts/9", "via2")])
    assert (await adapter(root).account("lou")).row.state is AccountState.STALE
    assert (await adapter(root).account("ana")).last_from == "via2"


async def test_stale_limit_is_an_option(root: Path) -> None:
    """A year here."""
    assert (await adapter(root, stale_after="365d").account("eve")).row.state is AccountState.OK


async def test_poll_is_quiet_until_something_moves(root: Path) -> None:
    """Two polls of an unchanged system are equal; a lock changes one value."""
    backend = adapter(root)
    assert isinstance(backend, Polls) and backend.poll_every == 60
    first = {item.key: item.value for item in await backend.poll()}
    assert {item.key: item.value for item in await backend.poll()} == first
    (root / "var/run/faillock/bob").unlink()
    second = {item.key: item.value for item in await backend.poll()}
    assert {key for key in first if first[key] != second[key]} == {"1001", "#count"}


async def test_gone_files_are_an_error_of_ours(tmp_path: Path) -> None:
    """Not an OSError."""
    with pytest.raises(Unreachable, match="passwd"):
        await adapter(tmp_path / "nothing").open()
    assert (await adapter(tmp_path / "nothing").health()).word == "down"


@pytest.mark.server
async def test_this_machine() -> None:
    """Everybody that NSS lists is there once, and we ourselves are."""
    backend = adapter(None, system=True)
    await backend.open()
    page = await backend.accounts(AccountQuery(), limit=100_000)
    assert {row.login for row in page.items} == {entry.pw_name for entry in pwd.getpwall()}
    assert len({row.id for row in page.items}) == len(page.items) == page.total
    me = await backend.account(str(os.getuid()))
    assert me.row.login == pwd.getpwuid(os.getuid()).pw_name and me.home == pwd.getpwuid(os.getuid()).pw_dir
    getent = subprocess.run(["getent", "group"], capture_output=True, text=True).stdout.splitlines()
    assert {group.name for group in await backend.groups()} == {line.split(":")[0] for line in getent}
    with pytest.raises(NotFound):
        await backend.account("no-such-login-here")
