"""A reading of a POSIX system as accounts and groups: the state word, why it is so, and everything worth showing.

Pure: no I/O. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from backends.accounts.model import Account, AccountRow, AccountState, Group, Lock, Password
from backends.accounts.posix_files import GroupEntry, PasswdEntry
from backends.accounts.posix_reading import Reading
from backends.accounts.shadow import Aging, PasswordWord, ShadowEntry, aging, password_word
from backends.text import clean

NO_LOGIN = ("nologin", "false", "sync", "shutdown", "halt")


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says about accounts."""

    backend: str
    stale_after: timedelta
    services: Collection[str] = ()
    shared: Collection[str] = ()
    protected: Collection[str] = ()
    zone: tzinfo = UTC

    def clock(self, at: datetime) -> str:
        """A time as people at the site read it."""
        return at.astimezone(self.zone).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one person before it is put in words."""

    entry: PasswdEntry
    shadow: ShadowEntry | None
    age: Aging
    lock: Lock
    kind: str
    last: datetime | None

    @property
    def password(self) -> PasswordWord:
        """The password field; passwd's own field counts where it is not the "x" that points to shadow."""
        if self.entry.password not in ("x", "*"):
            return password_word(self.entry.password)
        return self.shadow.password if self.shadow else PasswordWord.UNKNOWN

    @property
    def shell_refuses(self) -> bool:
        """The log-in shell ends at once."""
        return self.entry.shell.rsplit("/", 1)[-1] in NO_LOGIN

    @property
    def enabled(self) -> bool | None:
        """None where neither the shell nor shadow tells."""
        if self.shell_refuses or self.password is PasswordWord.LOCKED:
            return False
        return None if self.password is PasswordWord.UNKNOWN else True


def account_ids(reading: Reading) -> dict[str, str]:
    """Login -> stable id: the uid; a second login of the same uid gets "uid/login"."""
    taken: dict[int, str] = {}
    out: dict[str, str] = {}
    for entry in reading.people:
        if entry.login not in out:
            first = taken.setdefault(entry.uid, entry.login)
            out[entry.login] = str(entry.uid) if first == entry.login else f"{entry.uid}/{entry.login}"
    return out


def _kind(entry: PasswdEntry, reading: Reading, rules: Rules) -> str:
    if entry.login in rules.services:
        return "service"
    if entry.login in rules.shared:
        return "shared"
    return "person" if reading.range.holds(entry.uid) else "system"


def facts_of(entry: PasswdEntry, reading: Reading, rules: Rules) -> Facts:
    """Everything known of one person."""
    shadow = (reading.shadow or reading.own).get(entry.login)
    seen = reading.seen.get(entry.login)
    lock = reading.locks.get(entry.login, Lock(locked=None if reading.locks else False))
    return Facts(
        entry, shadow, aging(shadow, reading.at) if shadow else Aging(), lock, _kind(entry, reading, rules), seen.at if seen else None
    )


def _days(before: datetime, after: datetime) -> str:
    days = (after - before).days
    return "1 day" if days == 1 else f"{days} days"


def state_of(facts: Facts, reading: Reading, rules: Rules) -> tuple[AccountState, str]:
    """The word and why, the gravest that applies. What can't be read is UNKNOWN, never OK."""
    age, lock = facts.age, facts.lock
    if lock.locked:
        since = f" since {rules.clock(lock.since)}" if lock.since else ""
        until = f"unlocks {rules.clock(lock.until)[-5:]}" if lock.until else "until somebody unlocks it"
        return AccountState.LOCKED, f"{lock.bad_count} bad passwords{since}, {until}"
    if facts.password is PasswordWord.LOCKED:
        return AccountState.DISABLED, "password locked and account ended" if age.expired else "password locked; SSH keys may still work"
    if facts.shell_refuses:
        return AccountState.DISABLED, f"shell {clean(facts.entry.shell)}"
    if age.expired and age.account_expires:
        return AccountState.EXPIRED, f"account ended {age.account_expires:%Y-%m-%d}"
    if age.dormant and age.password_expires:
        return AccountState.EXPIRED, f"password expired {age.password_expires:%Y-%m-%d} and was never renewed"
    if facts.shadow is None:
        where = "shadow may not be read" if reading.shadow is None else "kept by the directory behind NSS"
        return AccountState.UNKNOWN, f"lock and expiry unknown: {where}"
    if facts.password is PasswordWord.UNKNOWN:
        return AccountState.UNKNOWN, "password state unknown"
    return _usable(facts, reading, rules)


def _usable(facts: Facts, reading: Reading, rules: Rules) -> tuple[AccountState, str]:
    if facts.kind == "person" and (idle := idle_since(facts, reading)) and reading.at - idle > rules.stale_after:
        word = f"not used for {_days(idle, reading.at)}" if facts.last else f"never used, password set {_days(idle, reading.at)} ago"
        return AccountState.STALE, word
    if facts.password is PasswordWord.EMPTY:
        return AccountState.OK, "NO PASSWORD: anybody can log in"
    if facts.age.must_change:
        expired = facts.age.password_expires
        return AccountState.OK, f"password expired {expired:%Y-%m-%d}, must be changed" if expired else "password must be changed"
    if facts.password is PasswordWord.NONE:
        return AccountState.OK, "no password set: only keys or another way of log-in"
    return AccountState.OK, "lock state unknown" if facts.lock.locked is None else ""


def idle_since(facts: Facts, reading: Reading) -> datetime | None:
    """Since when nobody used it: the last log-in, or for one never used the day its password was set. None = can't be told."""
    if facts.last is not None:
        return facts.last
    return facts.age.changed if reading.seen_known else None


def row_of(facts: Facts, reading: Reading, rules: Rules, ident: str) -> AccountRow:
    """The line of the list."""
    state, text = state_of(facts, reading, rules)
    entry = facts.entry
    return AccountRow(
        rules.backend, ident, clean(entry.login), person_name(entry), state, kind=facts.kind, last_login=facts.last,
        expires=facts.age.account_expires, text=text,
    )  # fmt: skip


def _gecos(entry: PasswdEntry, index: int) -> str:
    fields = entry.gecos.split(",")
    return clean(fields[index]).strip() if index < len(fields) else ""


def person_name(entry: PasswdEntry) -> str:
    """The full name from GECOS; "&" stands for the login, capitalised (passwd(5))."""
    return _gecos(entry, 0).replace("&", clean(entry.login).capitalize())


def account_of(facts: Facts, row: AccountRow, reading: Reading, rules: Rules) -> Account:
    """The whole account. The home phone of GECOS is left out: nobody needs it at a desk."""
    entry, age = facts.entry, facts.age
    seen = reading.seen.get(entry.login)
    return Account(
        row, facts.enabled, facts.lock,
        Password(age.changed, age.password_expires, age.must_change if facts.shadow else None, _password_set(facts.password)),
        tuple(clean(name) for name in reading.groups_of(entry)), phone=_gecos(entry, 2), room=_gecos(entry, 1), home=clean(entry.home),
        shell=clean(entry.shell), last_from=clean(seen.host or seen.line) if seen else "", facts=tuple(_more(facts, reading, rules)),
    )  # fmt: skip


def _password_set(word: PasswordWord) -> bool | None:
    return None if word is PasswordWord.UNKNOWN else word in (PasswordWord.SET, PasswordWord.LOCKED)


def _more(facts: Facts, reading: Reading, rules: Rules) -> list[tuple[str, str]]:
    entry = facts.entry
    now_in = [
        f"{clean(seen.line) or '?'} since {rules.clock(seen.at)}" + (f" from {clean(seen.host)}" if seen.host else "")
        for login, seen in reading.now_in if login == entry.login
    ]  # fmt: skip
    out = [("Uid", str(entry.uid)), ("Gid", str(entry.gid)), ("Password", str(facts.password))]
    out.append(("Logged in now", "; ".join(now_in) or "no"))
    if facts.shadow and facts.shadow.inactive is not None:
        out.append(("Inactive", f"{facts.shadow.inactive} days after the password expired"))
    if facts.lock.source:
        out.append(("Last bad password from", clean(facts.lock.source)))
    sharing = [other.login for other in reading.people if other.uid == entry.uid and other.login != entry.login]
    if sharing:
        out.append(("Same uid as", clean(", ".join(sharing))))
    return out


def group_of(entry: GroupEntry, reading: Reading, rules: Rules) -> Group:
    """A group with all its members, those whose primary group it is too."""
    primary = [person.login for person in reading.people if person.gid == entry.gid]
    members = dict.fromkeys([*primary, *entry.members])
    return Group(
        rules.backend, str(entry.gid), clean(entry.name), members=tuple(clean(name) for name in members),
        protected=entry.name in rules.protected,
    )  # fmt: skip
