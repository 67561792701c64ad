"""The meaning of shadow's fields and the arithmetic of its days, against shadow(5), pam_unix and the real chage."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.accounts.shadow import EPOCH, PasswordWord, ShadowEntry, aging, day, parse_own, parse_shadow, password_word, today
from tests.backends.accounts.synthetic_root import HASH

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = 20781


@pytest.mark.parametrize(
    ("field", "word"),
    [
        (HASH, "set"), ("$6$salt$abcdef", "set"), ("!" + HASH, "locked"), ("!!" + HASH, "locked"), ("!", "none"), ("!!", "none"),
        ("*", "none"), ("!*", "none"), ("", "empty"), ("x", "none"), ("ab1234567890.", "set"), ("!ab1234567890.", "locked"),
        ("*LK*", "none"), ("NP", "none"), ("_J9..rasmBYk8r9AiWNc", "set"),
    ],
)  # fmt: skip
def test_password_field(field: str, word: str) -> None:
    """What each form of the field means."""
    assert password_word(field) is PasswordWord(word)


def test_a_hash_never_stays() -> None:
    """Nothing of the hash is in what is kept."""
    kept = repr(parse_shadow(f"ana:{HASH}:20000:0:90:7:::\n"))
    assert HASH not in kept and "$y$" not in kept


def test_fields_and_broken_lines() -> None:
    """Numbers are read by place; NIS marks, comments and second lines of a login are not."""
    text = f"+@staff::::::::\n# no\nana:{HASH}:20000:1:90:7:14:20500:\nana:*:1::::::\nnoline\nbob:!\ncy:*:x:0:99999:7:-1::\n"
    entries = parse_shadow(text)
    assert entries["ana"] == ShadowEntry("ana", PasswordWord.SET, 20000, 90, 14, 20500)
    assert entries["bob"] == ShadowEntry("bob", PasswordWord.NONE)
    assert entries["cy"] == ShadowEntry("cy", PasswordWord.NONE, None, 99999, None, None)
    assert set(entries) == {"ana", "bob", "cy"}


def entry(**fields: int | None) -> ShadowEntry:
    """An entry with a password."""
    return ShadowEntry("ana", PasswordWord.SET, **fields)  # type: ignore[arg-type]


def test_today_is_counted_in_utc() -> None:
    """The day number changes at midnight UTC."""
    assert today(NOON) == TODAY
    assert today(datetime(2026, 11, 24, 23, 59, 59, tzinfo=UTC)) == TODAY
    assert today(datetime(2026, 11, 25, tzinfo=UTC)) == TODAY + 1
    assert day(TODAY) == datetime(2026, 11, 24, tzinfo=UTC)


def test_zero_means_must_change() -> None:
    """`chage -d 0`: the date is not 1970."""
    found = aging(entry(changed=0, maximum=90), NOON)
    assert found.must_change and found.changed is None and found.password_expires is None


def test_empty_change_day_switches_aging_off() -> None:
    """An empty field is not 0."""
    found = aging(entry(changed=None, maximum=1), NOON)
    assert not found.must_change and not found.dormant and found.password_expires is None


@pytest.mark.parametrize(("expire", "expired"), [(TODAY - 1, True), (TODAY, True), (TODAY + 1, False), (0, True), (1, True), (None, False)])
def test_account_end(expire: int | None, expired: bool) -> None:
    """The account is refused from its day on; `usermod -e 1` is long ago."""
    assert aging(entry(changed=TODAY, expire=expire), NOON).expired is expired


@pytest.mark.parametrize(
    ("age", "inactive", "must", "dormant"),
    [
        (90, 7, False, False),
        (91, 7, True, False),
        (97, 7, True, False),
        (98, 7, False, True),
        (500, None, True, False),
        (91, 0, False, True),
    ],
)
def test_password_age(age: int, inactive: int | None, must: bool, dormant: bool) -> None:
    """Good on the last day, must change after it, refused after the inactive days (pam_unix)."""
    found = aging(entry(changed=TODAY - age, maximum=90, inactive=inactive), NOON)
    assert (found.must_change, found.dormant) == (must, dormant)
    assert found.password_expires == day(TODAY - age + 90)


@pytest.mark.parametrize("maximum", [None, 99999, 10000])
def test_never_expires(maximum: int | None) -> None:
    """The usual 99999 is never."""
    found = aging(entry(changed=1, maximum=maximum, inactive=0), NOON)
    assert found.password_expires is None and not found.must_change and not found.dormant


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12), st.integers(0, 10**12))
@settings(max_examples=60, deadline=None)
def test_any_number_is_survived(changed: int, maximum: int, inactive: int, expire: int) -> None:
    """Days beyond the calendar are no crash."""
    aging(entry(changed=changed, maximum=maximum, inactive=inactive, expire=expire), NOON)


def test_own_account_from_chage_and_passwd() -> None:
    """What a person may ask about the own account where shadow is closed."""
    chage = (
        "Last password change\t\t\t\t\t: 2026-09-01\nPassword expires\t\t\t\t\t: 2026-11-30\nPassword inactive\t\t\t\t\t: 2026-12-14\n"
        "Account expires\t\t\t\t\t\t: never\nMinimum number of days between password change\t\t: 0\n"
        "Maximum number of days between password change\t\t: 90\nNumber of days of warning before password expires\t: 7\n"
    )
    found = parse_own("ana", chage, "ana P 2026-09-01 0 90 7 14\n")
    assert found == ShadowEntry("ana", PasswordWord.SET, today(datetime(2026, 9, 1, tzinfo=UTC)), 90, 14, None)
    assert parse_own("ana", chage, "").password is PasswordWord.UNKNOWN
    must = chage.replace("2026-09-01", "password must be changed", 1)
    assert parse_own("ana", must, "").changed == 0


@pytest.mark.server
@pytest.mark.skipif(not shutil.which("chage"), reason="needs chage")
@pytest.mark.parametrize("line", ["20000:0:90:7:14:20500", "0:0:99999:7::", "20000:0:99999:7::", "20600:0:60:7:5:21000", ":::::"])
def test_agrees_with_chage(tmp_path: Path, line: str) -> None:
    """The real chage prints the same days for the same line."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("ana:x:1000:1000:Ana:/home/ana:/bin/bash\n")
    (tmp_path / "etc/shadow").write_text(f"ana:{HASH}:{line}:\n")
    done = subprocess.run(
        ["chage", "--root", str(tmp_path), "-l", "-i", "ana"], capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin"}
    )
    if done.returncode != 0:
        pytest.skip(f"chage may not change its root here: {done.stderr.strip()}")
    mine = aging(parse_shadow((tmp_path / "etc/shadow").read_text())["ana"], datetime.now(UTC))
    printed = dict(re.findall(r"^(.+?)\s*: (.*)$", done.stdout, re.MULTILINE))
    shown = {"never": None, "password must be changed": None}
    expires, ends = printed["Password expires"], printed["Account expires"]
    assert shown.get(expires, expires) == (mine.password_expires and f"{mine.password_expires:%Y-%m-%d}")
    assert shown.get(ends, ends) == (mine.account_expires and f"{mine.account_expires:%Y-%m-%d}")
    assert ("must be changed" in printed["Last password change"]) == (line.startswith("0:"))


def test_epoch() -> None:
    """Day 0."""
    assert day(0) == EPOCH and EPOCH + timedelta(days=TODAY) == datetime(2026, 11, 24, tzinfo=UTC)
