"""An account as lines: its state in one sentence, password, lock, groups, and what else is known."""

from __future__ import annotations

from collections.abc import Sequence

from backends.accounts.model import Account
from console.ages import age, stamp
from screens.account_source import ACCOUNT_TONE
from widgets.toned import Line
from widgets.wrap import fields, heading, prose


def account_lines(account: Account, links: Sequence[str], timezone: str, width: int) -> list[Line]:
    """The whole view for a width."""
    row = account.row
    out: list[Line] = [
        ((f" {row.state} ", ACCOUNT_TONE.get(row.state, "")), (f" {row.login}  ", "title"), (f"{row.name}  {row.department}", "dim")),
        ((" " + row.text, "warn"),) if row.text else (),
        (),
    ]
    out += fields(_facts(account, timezone), width)
    if links:
        out += heading("Linked", width, "J jumps")
        out += [((" " + link, "accent"),) for link in links]
    out += heading("Groups", width, f"{len(account.groups)}")
    out += prose(", ".join(account.groups) or "none", width, "", " ")
    if account.facts:
        out += heading("More", width)
        out += fields([(name, value, "") for name, value in account.facts], width)
    return out


def _word(value: bool | None, yes: str, no: str) -> str:
    return "not known here" if value is None else yes if value else no


def _facts(account: Account, timezone: str) -> list[tuple[str, str, str]]:
    row, lock, password = account.row, account.lock, account.password
    locked = _word(lock.locked, "LOCKED", "no")
    if lock.locked:
        locked += f" since {stamp(lock.since, timezone)}" if lock.since else ""
        locked += f", until {stamp(lock.until, timezone)}" if lock.until else ", until somebody unlocks it"
    return [
        ("Enabled", _word(account.enabled, "yes", "NO"), ""),
        ("Locked", locked, "bad" if lock.locked else ""),
        ("Bad passwords", str(lock.bad_count) if lock.bad_count else "", "warn"),
        ("Last log-in", f"{stamp(row.last_login, timezone)} ({age(row.last_login)})" if row.last_login else "never seen", ""),
        ("From", account.last_from, ""),
        ("Password set", stamp(password.changed, timezone), ""),
        ("Password ends", stamp(password.expires, timezone), ""),
        ("Must change", _word(password.must_change, "yes", ""), "warn"),
        ("Account ends", stamp(row.expires, timezone), ""),
        ("Kind", row.kind, ""),
        ("Title", account.title, ""),
        ("Mail", row.mail, ""),
        ("Phone", account.phone, ""),
        ("Room", account.room, ""),
        ("Manager", account.manager, ""),
        ("Created", stamp(account.created, timezone), ""),
        ("Home", account.home, ""),
        ("Shell", account.shell, ""),
        ("Stable id", row.id, "dim"),
    ]
