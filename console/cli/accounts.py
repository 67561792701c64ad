"""`deskside accounts search|list|show|groups|group|unlock|enable|disable|expiry|grant|revoke`: people and what they may do.

Never imports textual.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from backends.accounts.model import ACCOUNT_SEVERITY, Account, AccountQuery, AccountRow, AccountState, Group
from backends.contract import Change
from backends.errors import BackendError, Invalid, NotFound, Unsupported
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.desk import Desk

SORTS = ("severity", "login", "name", "last_login", "department")
COLUMNS = (
    ("state", "STATE"), ("login", "LOGIN"), ("name", "NAME"), ("department", "DEPARTMENT"), ("kind", "KIND"), ("last_login", "LAST LOG-IN"),
    ("text", "WHY"), ("backend", "WHERE"),
)  # fmt: skip
GROUP_COLUMNS = (("name", "GROUP"), ("members", "MEMBERS"), ("protected", "PROTECTED"), ("description", "OPENS"), ("backend", "WHERE"))


def add_verbs(verbs: Any) -> None:
    """Reading verbs, then writing ones."""
    for name, text in (("list", "accounts, with filters"), ("search", "accounts by login, name, mail, department")):
        _add_list(verbs.add_parser(name, help=text), search=name == "search")
    show = _reading(verbs.add_parser("show", help="everything known of an account"))
    show.add_argument("login", metavar="LOGIN", help="login or stable id")
    show.set_defaults(run=show_account)
    groups = _reading(verbs.add_parser("groups", help="groups"))
    groups.add_argument("text", nargs="?", default="", metavar="TEXT")
    groups.set_defaults(run=list_groups)
    group = _reading(verbs.add_parser("group", help="a group and its members"))
    group.add_argument("group", metavar="GROUP")
    group.set_defaults(run=show_group)
    _add_writes(verbs)


def _add_list(parser: argparse.ArgumentParser, *, search: bool) -> None:
    _reading(parser)
    if search:
        parser.add_argument("text", nargs="+", metavar="TEXT", help="words that must all be found")
    else:
        parser.set_defaults(text=[])
    parser.add_argument("--state", action="append", default=[], metavar="STATE", help=", ".join(state.lower() for state in AccountState))
    parser.add_argument("--faults", action="store_true", help="only locked, expired and stale ones")
    parser.add_argument("--group", default="", help="only members of this group")
    parser.add_argument("--department", default="", help="only this department")
    parser.add_argument("--system", action="store_true", help="system accounts too")
    parser.add_argument("--sort", choices=SORTS, default="severity" if not search else "login")
    parser.add_argument("--limit", type=int, default=100, metavar="N", help="at most N lines (100); 0 for all")
    parser.set_defaults(run=list_accounts)


def _add_writes(verbs: Any) -> None:
    for name, text in (
        ("unlock", "let somebody in again after bad passwords"), ("enable", "let an account log in again"), ("disable", "stop log-ins"),
        ("expiry", "when an account ends"), ("grant", "add to a group"), ("revoke", "remove from a group"),
    ):  # fmt: skip
        parser = _backend(write_options(verbs.add_parser(name, help=text)))
        parser.add_argument("login", metavar="LOGIN", help="login or stable id")
        if name == "expiry":
            parser.add_argument("expires", metavar="DATE", help="YYYY-MM-DD (ends with that day), a time with zone, or never")
        if name in ("grant", "revoke"):
            parser.add_argument("group", metavar="GROUP")
        parser.set_defaults(run=change_account, verb_name={"grant": "add-member", "revoke": "remove-member"}.get(name, name))


def _reading(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    return _backend(read_options(parser))


def _backend(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--backend", metavar="NAME", help="only this directory")
    return parser


# -- reading ----------------------------------------------------------------------------------------


async def _opened(desk: Desk, name: str | None) -> tuple[list[Any], list[BackendError]]:
    """The directories that open, and the errors of those that don't. An unknown name is NotFound."""
    if name is not None or not desk.backends("accounts"):
        return [await desk.backend("accounts", name)], []
    found, errors = [], list[BackendError]()
    for place in desk.backends("accounts"):
        try:
            found.append(await desk.backend("accounts", place.name))
        except BackendError as error:
            errors.append(error)
    return found, errors


async def _each(desk: Desk, args: argparse.Namespace, out: Output, read: Callable[[Any], Awaitable[None]]) -> int:
    """`read` on each directory; one that fails is said on standard error. 0, 3 where some failed, the error's own code where all did."""
    backends, errors = await _opened(desk, args.backend)
    done = 0
    for backend in backends:
        try:
            await read(backend)
            done += 1
        except BackendError as error:
            errors.append(error)
    for failed in errors:
        out.warn(f"deskside: {failed.sentence()}")
    return 0 if not errors else 3 if done else errors[0].exit_code


def _states(words: list[str]) -> tuple[AccountState, ...]:
    try:
        return tuple(AccountState(word.upper()) for text in words for word in text.split(","))
    except ValueError:
        raise Invalid(fields={"--state": f"one of {', '.join(state.lower() for state in AccountState)}"}) from None


async def list_accounts(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One line an account, the gravest first."""
    query = AccountQuery(
        text=" ".join(args.text), states=_states(args.state), group=args.group, department=args.department, faults=args.faults,
        system=args.system, sort=args.sort, descending=args.sort in ("severity", "last_login"),
    )  # fmt: skip
    rows: list[AccountRow] = []
    notes: list[str] = []
    total = 0

    async def read(backend: Any) -> None:
        nonlocal total
        page = await backend.accounts(query, 0, args.limit or 10_000_000)
        rows.extend(page.items)
        total += page.total if page.total is not None else len(page.items)
        notes.extend([f"{backend.name}: {page.note}"] if page.note else [])

    code = await _each(desk, args, out, read)
    if len(desk.backends("accounts")) > 1 and args.sort == "severity":
        rows.sort(key=lambda row: -ACCOUNT_SEVERITY[row.state])
    shown = rows[: args.limit or None]
    out.rows("accounts", COLUMNS, [row_values(row) for row in shown], total=total, notes=notes)
    for note in notes:
        out.warn(note)
    if total > len(shown):
        out.warn(f"{len(shown)} of {total}; --limit 0 gives all")
    return code


def row_values(row: AccountRow) -> dict[str, Any]:
    """A line's fields, as plain values."""
    return {
        "backend": row.backend, "id": row.id, "login": row.login, "name": row.name, "state": str(row.state), "department": row.department,
        "mail": row.mail, "kind": row.kind, "last_login": row.last_login, "expires": row.expires, "text": row.text, "version": row.version,
    }  # fmt: skip


def account_values(account: Account) -> dict[str, Any]:
    """Everything known, as plain values; None is "not known here"."""
    lock, password = account.lock, account.password
    return {
        **row_values(account.row), "enabled": account.enabled, "locked": lock.locked, "locked_since": lock.since,
        "locked_until": lock.until, "bad_passwords": lock.bad_count,
        "password_changed": password.changed, "password_expires": password.expires,
        "must_change": password.must_change, "password_set": password.set, "groups": list(account.groups), "title": account.title,
        "phone": account.phone, "room": account.room, "manager": account.manager, "created": account.created, "home": account.home,
        "shell": account.shell, "last_from": account.last_from, "more": dict(account.facts),
    }  # fmt: skip


async def find_account(desk: Desk, login: str, name: str | None) -> tuple[Any, Account]:
    """The directory that has the account, and the account. NotFound where none has it; Invalid where several do."""
    backends, errors = await _opened(desk, name)
    found: list[tuple[Any, Account]] = []
    for backend in backends:
        try:
            found.append((backend, await backend.account(login)))
        except NotFound:
            continue
    if len(found) > 1:
        names = ", ".join(backend.name for backend, _ in found)
        raise Invalid(f"{login} is in several directories: {names}", hint="Say which with --backend NAME.")
    if not found:
        raise errors[0] if errors else NotFound(f"no account {login!r}", hint="`deskside accounts search TEXT` looks for it.")
    return found[0]


async def show_account(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """A line a field."""
    _, account = await find_account(desk, args.login, args.backend)
    values = account_values(account)
    out.record("account", values if out.json else _worth_showing(values))
    return 0


def _worth_showing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty; the facts as lines of their own."""
    flat = {**{name: value for name, value in values.items() if name not in ("more", "version")}, **values["more"]}
    return {name.replace("_", " "): value for name, value in flat.items() if value not in (None, "", [])}


def group_values(group: Group) -> dict[str, Any]:
    """A group's fields, as plain values."""
    return {
        "backend": group.backend, "id": group.id, "name": group.name, "description": group.description, "members": list(group.members),
        "owner": group.owner, "protected": group.protected,
    }  # fmt: skip


async def list_groups(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One line a group, with how many are in it; JSON names them."""
    groups: list[Group] = []

    async def read(backend: Any) -> None:
        groups.extend(await backend.groups(args.text))

    code = await _each(desk, args, out, read)
    rows = [group_values(group) for group in groups]
    out.rows("groups", GROUP_COLUMNS, rows if out.json else [{**row, "members": str(len(row["members"]))} for row in rows])
    return code


async def show_group(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """The group and everybody in it."""
    backends, errors = await _opened(desk, args.backend)
    for backend in backends:
        try:
            out.record("group", group_values(await backend.group(args.group)))
            return 0
        except NotFound:
            continue
    raise errors[0] if errors else NotFound(f"no group {args.group!r}", hint="`deskside accounts groups` lists them.")


# -- writing ----------------------------------------------------------------------------------------


async def change_account(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Every writing verb: the account as it is now, and the one way to write."""
    from console.cli.writing import run_change

    backend, account = await find_account(desk, args.login, args.backend)
    if not hasattr(backend, "plan"):
        raise Unsupported(args.verb_name, f"{backend.name} is only read here", hint="Change the account on the system itself.")
    values: dict[str, Any] = {}
    if args.verb_name == "expiry":
        values["expires"] = "" if args.expires.casefold() in ("never", "none", "") else args.expires
    if args.verb_name in ("add-member", "remove-member"):
        values["group"] = args.group
    row = account.row
    change = Change("accounts", backend.name, args.verb_name, row.id, f"{row.login} {row.name}".strip(), values, row.version or None)
    return await run_change(desk, args, out, change)
