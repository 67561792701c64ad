"""`/etc/shadow` read the way PAM reads it: what the password field means, and the arithmetic of its day numbers.

Sources: shadow(5), chage(1), pam_unix(8). A hash never leaves `password_word`. Never imports an adapter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = 10_000
"""A maximum age of this many days or more is "never", as chage -l prints it (the usual 99999)."""


class PasswordWord(StrEnum):
    """What the password field says."""

    SET = "set"
    LOCKED = "locked"
    """A hash behind "!": `passwd -l` or `usermod -L`; without the "!" it is valid again."""
    NONE = "none"
    """"*", "!", "!!", "!*": no password was ever set, none can match."""
    EMPTY = "empty"
    """Nothing at all: log-in without a password."""
    UNKNOWN = "unknown"


def password_word(field: str) -> PasswordWord:
    """The meaning of the second field of shadow (or of passwd, where it is not "x")."""
    if field == "":
        return PasswordWord.EMPTY
    body = field.lstrip("!")
    # crypt(5): a hash starts with "$" or "_", or is the 13 characters of the traditional DES; anything else can match no password.
    if not (body.startswith("$") or (body.startswith("_") and len(body) == 20) or re.fullmatch(r"[./0-9A-Za-z]{13}", body)):
        return PasswordWord.NONE
    return PasswordWord.SET if body == field else PasswordWord.LOCKED


@dataclass(frozen=True, slots=True)
class ShadowEntry:
    """A line of shadow, days since 1970-01-01 and numbers of days; None where the field is empty."""

    login: str
    password: PasswordWord
    changed: int | None = None
    maximum: int | None = None
    inactive: int | None = None
    expire: int | None = None


@dataclass(frozen=True, slots=True)
class Aging:
    """What the numbers mean on a given day."""

    changed: datetime | None = None
    password_expires: datetime | None = None
    must_change: bool = False
    account_expires: datetime | None = None
    expired: bool = False
    """The account has ended: PAM refuses it, keys or not."""
    dormant: bool = False
    """The password expired so long ago that it can't even be changed at log-in."""


def _number(field: str) -> int | None:
    """A day number; empty, negative and unreadable fields mean "not set"."""
    try:
        value = int(field)
    except ValueError:
        return None
    return value if value >= 0 else None


def parse_shadow(text: str) -> dict[str, ShadowEntry]:
    """All entries by login; lines that are none are skipped, the first of two lines for a login counts as it does for libc."""
    out: dict[str, ShadowEntry] = {}
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) < 2 or not fields[0] or fields[0][0] in "+-#" or fields[0] in out:
            continue
        fields += [""] * (9 - len(fields))
        out[fields[0]] = ShadowEntry(
            fields[0], password_word(fields[1]), _number(fields[2]), _number(fields[4]), _number(fields[6]), _number(fields[7])
        )
    return out


def day(number: int | None) -> datetime | None:
    """Midnight UTC of a day number; None for None and for days beyond the calendar."""
    if number is None:
        return None
    try:
        return EPOCH + timedelta(days=number)
    except OverflowError:
        return None


def today(at: datetime) -> int:
    """The day number of a time; shadow counts days in UTC."""
    return (at - EPOCH).days


def aging(entry: ShadowEntry, at: datetime) -> Aging:
    """The entry on the day of `at`, by the order of pam_unix: account end, must change, expired and inactive, expired."""
    now = today(at)
    expired = entry.expire is not None and now >= entry.expire
    if entry.changed is None or entry.changed == 0:
        must = entry.changed == 0
        return Aging(must_change=must, account_expires=day(entry.expire), expired=expired)
    limited = entry.maximum is not None and entry.maximum < NEVER
    last = entry.changed + (entry.maximum or 0)
    over = limited and now > last
    dormant = over and entry.inactive is not None and now > last + entry.inactive
    return Aging(
        changed=day(entry.changed), password_expires=day(last) if limited else None, must_change=over and not dormant,
        account_expires=day(entry.expire), expired=expired, dormant=dormant,
    )  # fmt: skip


_STATUS = {
    "P": PasswordWord.SET, "PS": PasswordWord.SET, "L": PasswordWord.NONE, "LK": PasswordWord.NONE, "NP": PasswordWord.EMPTY,
}  # fmt: skip


def _iso_day(text: str) -> int | None:
    try:
        return (datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) - EPOCH).days
    except ValueError:
        return None


def parse_own(login: str, chage: str, status: str) -> ShadowEntry:
    """What `chage -l -i LOGIN` and `passwd -S LOGIN` tell the person about the own account, where shadow may not be read."""
    lines = dict(re.findall(r"^([^:\n]+?)\s*:\s*(.*?)\s*$", chage, re.MULTILINE))
    changed_text = lines.get("Last password change", "")
    changed = 0 if "must be changed" in changed_text else _iso_day(changed_text)
    maximum = _number(lines.get("Maximum number of days between password change", ""))
    ends, dead = _iso_day(lines.get("Password expires", "")), _iso_day(lines.get("Password inactive", ""))
    words = status.split()
    word = _STATUS.get(words[1], PasswordWord.UNKNOWN) if len(words) > 1 and words[0] == login else PasswordWord.UNKNOWN
    inactive = dead - ends if dead is not None and ends is not None else None
    return ShadowEntry(login, word, changed, maximum, inactive, _iso_day(lines.get("Account expires", "")))
