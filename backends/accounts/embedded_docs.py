"""How an account and a group are stored, and how a stored one is read: documents, conditions, and the state at a given time.

Times are ISO text in UTC of one width ("2026-11-24T11:46:11Z") or None, so that the store can compare them. An account holds login,
name, department, title, mail, phone, room, manager (a login), employee, kind, enabled, disabled_at, locked_at, locked_until, bad_count,
lock_source, unlocked (times), expires, password_changed, password_expires, must_change, last_login, last_from, created, groups (ids),
protected, and what `with_keys` adds. A group holds name, description, owner (a login), protected; its members are the accounts that
name it. Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from backends.accounts.listing import FAULTS, folded, search_words, searchable
from backends.accounts.model import ACCOUNT_SEVERITY, Account, AccountQuery, AccountRow, AccountState, Lock, Password
from backends.store.contract import All, AnyOf, Doc, Not, Order, Test, Where

ACCOUNTS = "accounts"
GROUPS = "groups"
ROW_FIELDS = (
    "login", "name", "department", "mail", "kind", "enabled", "locked_at", "locked_until", "bad_count", "expires", "last_login", "created",
    "must_change", "password_expires", "disabled_at",
)  # fmt: skip
INDEXES = ("login", "department", "name_key", "last_login", "locked_at", "enabled", "expires")


@dataclass(frozen=True, slots=True)
class View:
    """From where and when documents are looked at."""

    backend: str
    at: datetime
    stale_after: timedelta
    zone: ZoneInfo


def stored(at: datetime | None) -> str | None:
    """A time as it is stored."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def loaded(text: Any) -> datetime | None:
    """A stored time; None for anything else."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if isinstance(text, str) else None
    except ValueError:
        return None


def with_keys(doc: Mapping[str, Any]) -> dict[str, Any]:
    """The document with the fields that lists sort and search by."""
    parts = [str(doc.get(name) or "") for name in ("login", "name", "mail", "department", "title", "room", "phone", "employee", "kind")]
    return {**doc, "name_key": folded(str(doc.get("name", ""))), "search": searchable(*parts)}


def state_conditions(view: View) -> dict[AccountState, Where]:
    """State -> condition; they exclude each other, the gravest that applies wins (the order of `AccountState`)."""
    at, cutoff = stored(view.at), stored(view.at - view.stale_after)
    locked = All((Test("locked_at", "ne", None), AnyOf((Test("locked_until", "eq", None), Test("locked_until", "gt", at)))))
    disabled = Test("enabled", "eq", False)
    expired = Test("expires", "le", at)
    never = All((Test("last_login", "eq", None), Test("created", "lt", cutoff)))
    stale = All((Test("kind", "eq", "person"), AnyOf((Test("last_login", "lt", cutoff), never))))
    out: dict[AccountState, Where] = {}
    before: tuple[Where, ...] = ()
    for state, condition in (
        (AccountState.LOCKED, locked), (AccountState.DISABLED, disabled), (AccountState.EXPIRED, expired), (AccountState.STALE, stale),
    ):  # fmt: skip
        out[state] = All((condition, *before))
        before = (*before, Not(condition))
    out[AccountState.OK] = All(before)
    return out


def query_parts(query: AccountQuery, view: View) -> list[tuple[Where, tuple[Order, ...]]]:
    """The list as windows one after another: by state where it is sorted by severity (a state depends on the time, so it can't be
    stored and sorted by), else one."""
    base = _base(query)
    conditions = state_conditions(view)
    wanted = [state for state in conditions if (not query.states or state in query.states) and (not query.faults or state in FAULTS)]
    if query.sort == "severity":
        wanted.sort(key=lambda state: ACCOUNT_SEVERITY[state], reverse=query.descending)
        return [(All((*base, conditions[state])), (Order("login"),)) for state in wanted]
    field = {"name": "name_key"}.get(query.sort, query.sort)
    chosen: tuple[Where, ...] = () if len(wanted) == len(conditions) else (AnyOf(tuple(conditions[state] for state in wanted)),)
    return [(All((*base, *chosen)), (Order(field, query.descending), Order("login")))]


def _base(query: AccountQuery) -> list[Where]:
    base: list[Where] = []
    if query.group:
        base.append(Test("groups", "member", query.group))
    if query.department:
        base.append(Test("department", "eq", query.department))
    if words := search_words(query.text):
        text = All(tuple(Test("search", "has", word) for word in words))
        base.append(Not(text) if query.inverse else text)
    return base


def locked_now(doc: Doc, at: datetime) -> bool:
    """Locked, and the lock has not run out."""
    until = loaded(doc.get("locked_until"))
    return doc.get("locked_at") is not None and (until is None or until > at)


def state_of(doc: Doc, view: View) -> AccountState:
    """The state word; agrees with `state_conditions`."""
    expires, last, created = loaded(doc.get("expires")), loaded(doc.get("last_login")), loaded(doc.get("created"))
    used = last or created
    if locked_now(doc, view.at):
        return AccountState.LOCKED
    if doc.get("enabled") is False:
        return AccountState.DISABLED
    if expires is not None and expires <= view.at:
        return AccountState.EXPIRED
    if doc.get("kind") == "person" and used is not None and used < view.at - view.stale_after:
        return AccountState.STALE
    return AccountState.OK


def _why(doc: Doc, state: AccountState, view: View) -> str:
    def clock(field: str, form: str = "%Y-%m-%d") -> str:
        at = loaded(doc.get(field))
        return at.astimezone(view.zone).strftime(form) if at else ""

    if state is AccountState.LOCKED:
        until = f"unlocks {clock('locked_until', '%H:%M')}" if doc.get("locked_until") else "until somebody unlocks it"
        return f"{doc.get('bad_count') or 0} bad passwords since {clock('locked_at', '%H:%M')}, {until}"
    if state is AccountState.DISABLED:
        return f"disabled {clock('disabled_at')}".strip()
    if state is AccountState.EXPIRED:
        return f"account ended {clock('expires')}"
    if state is AccountState.STALE:
        return f"last used {clock('last_login')}" if doc.get("last_login") else f"never used since {clock('created')}"
    password = loaded(doc.get("password_expires"))
    if doc.get("must_change"):
        return "password must be changed"
    return f"password expired {clock('password_expires')}" if password and password <= view.at else ""


def row_of(ident: str, rev: int, doc: Doc, view: View) -> AccountRow:
    """The line of the list."""
    state = state_of(doc, view)
    return AccountRow(
        view.backend, ident, str(doc.get("login", "")), str(doc.get("name", "")), state, str(doc.get("department", "")),
        str(doc.get("mail", "")), str(doc.get("kind", "person")), loaded(doc.get("last_login")), loaded(doc.get("expires")),
        _why(doc, state, view), str(rev),
    )  # fmt: skip


def account_of(ident: str, rev: int, doc: Doc, view: View) -> Account:
    """The whole account."""
    locked = locked_now(doc, view.at)
    lock = Lock(
        locked, loaded(doc.get("locked_at")) if locked else None, loaded(doc.get("locked_until")) if locked else None,
        int(doc.get("bad_count") or 0), str(doc.get("lock_source") or ""),
    )  # fmt: skip
    expires, changed = loaded(doc.get("password_expires")), loaded(doc.get("password_changed"))
    facts: Sequence[tuple[str, str]] = (
        ("Employee", str(doc.get("employee") or "")), ("Bad passwords from", lock.source),
        ("Protected", "yes: a second person must agree to changes" if doc.get("protected") else ""),
    )  # fmt: skip
    return Account(
        row_of(ident, rev, doc, view), bool(doc.get("enabled", True)), lock,
        Password(changed, expires, bool(doc.get("must_change")), changed is not None), tuple(sorted(doc.get("groups") or ())),
        str(doc.get("title", "")), str(doc.get("phone", "")), str(doc.get("room", "")), str(doc.get("manager", "")),
        loaded(doc.get("created")), last_from=str(doc.get("last_from") or ""), facts=tuple(fact for fact in facts if fact[1]),
    )  # fmt: skip
