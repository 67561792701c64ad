"""The accounts of this machine (or of a system whose files lie under `root`), reading only.

Writing would need a wrapper run with sudo on the machine; without it nothing here can change an account. Never imports textual,
console, screens or widgets.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from backends.accounts import posix_files
from backends.accounts.listing import counted, matches, ordered, zone_of
from backends.accounts.model import Account, AccountCount, AccountQuery, AccountRow, Group
from backends.accounts.posix_accounts import Facts, Rules, account_ids, account_of, facts_of, group_of, row_of
from backends.accounts.posix_reading import Reading, read_all
from backends.accounts.shadow import PasswordWord
from backends.contract import Health, Page, Site, now
from backends.errors import BackendError, NotFound, Unreachable
from backends.options import Option
from backends.polling import Polled
from backends.threads import in_thread

FRESH = 5.0
"""Seconds a reading serves a scrolling list."""
DEADLINE = 10.0
"""A hung NSS directory must not hold a key longer than this."""


class PosixAccounts:
    """People and groups as the machine's own look-up knows them."""

    domain: ClassVar[str] = "accounts"
    adapter: ClassVar[str] = "posix"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("root", "path", "read the files under this folder instead of this machine (a container, a mounted disk)", ""),
        Option("stale_after", "duration", "a person's account not used for this long is STALE", "90d"),
        Option("system", "bool", "show system accounts too", False),
        Option("services", "list", "logins that are services, not people", ()),
        Option("shared", "list", "logins several people use", ()),
        Option(
            "protected_groups", "list", "groups that open everything",
            ("root", "sudo", "wheel", "admin", "adm", "shadow", "disk", "docker", "lxd"),
        ),
        Option("faillock_dir", "path", "where pam_faillock keeps its tallies, if not where faillock.conf says", ""),
    )  # fmt: skip
    poll_every: float = 60.0

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self._root = Path(options["root"]) if options.get("root") else None
        self._system = bool(options.get("system"))
        self._faillock_dir = str(options.get("faillock_dir") or "")
        self._rules = Rules(
            name, timedelta(seconds=float(options.get("stale_after") or 90 * 86400)), frozenset(options.get("services") or ()),
            frozenset(options.get("shared") or ()), frozenset(options.get("protected_groups") or ()), zone_of(site.timezone),
        )  # fmt: skip
        self._last: tuple[float, Reading] | None = None

    async def open(self) -> None:
        """Read once, so that a folder that is not there is told at once."""
        await self._read(fresh=0)

    async def health(self) -> Health:
        """ok, or warn with what may not be read."""
        try:
            reading = await self._read()
        except BackendError as error:
            return Health("down", error.sentence())
        return Health("warn" if reading.notes else "ok", "; ".join(reading.notes))

    async def close(self) -> None:
        """Nothing is held open."""
        self._last = None

    async def accounts(self, query: AccountQuery, offset: int = 0, limit: int = 100) -> Page[AccountRow]:
        """A window of the list; system accounts only where asked for."""
        reading = await self._read()
        rows = ordered(self._matching(reading, query), query)
        return Page(tuple(rows[offset : offset + limit]), offset, len(rows), "; ".join(reading.notes))

    async def position(self, query: AccountQuery, id: str) -> int | None:
        """Where an account stands in that list."""
        rows = ordered(self._matching(await self._read(), query), query)
        return next((place for place, row in enumerate(rows) if row.id == id), None)

    async def account(self, id: str) -> Account:
        """By uid or login; one that the system knows but does not list is looked up by name."""
        reading = await self._read()
        facts = self._find(reading, id) or await self._look_up(reading, id)
        if facts is None:
            raise NotFound(f"no account {id!r} on this system")
        ident = account_ids(reading).get(facts.entry.login, str(facts.entry.uid))
        return account_of(facts, row_of(facts, reading, self._rules, ident), reading, self._rules)

    async def groups(self, text: str = "") -> Sequence[Group]:
        """Groups whose name holds the text, by name."""
        reading = await self._read()
        wanted = text.casefold()
        found = [group_of(entry, reading, self._rules) for entry in reading.groups if wanted in entry.name.casefold()]
        return sorted(found, key=lambda group: group.name)

    async def group(self, id: str) -> Group:
        """By gid or name."""
        reading = await self._read()
        for entry in reading.groups:
            if id in (entry.name, str(entry.gid)):
                return group_of(entry, reading, self._rules)
        raise NotFound(f"no group {id!r} on this system")

    async def count(self) -> AccountCount:
        """Figures over the accounts that are shown."""
        reading = await self._read()
        return counted(row.state for row in self._matching(reading, AccountQuery()))

    async def poll(self) -> Sequence[Polled]:
        """The shown accounts, without anything that ages by itself: a list is drawn again only when somebody's state moved."""
        reading = await self._read(fresh=0)
        rows = self._matching(reading, AccountQuery())
        figures = counted(row.state for row in rows)
        out = [Polled(row.id, {"login": row.login, "state": str(row.state), "last_login": str(row.last_login or "")}) for row in rows]
        metrics = {"total": figures.total, "locked": figures.locked, "expired": figures.expired, "stale": figures.stale}
        return [*out, Polled("#count", metrics, {name: float(value) for name, value in metrics.items()})]

    async def _read(self, fresh: float = FRESH) -> Reading:
        if self._last is not None and time.monotonic() - self._last[0] < fresh:
            return self._last[1]
        reading = await in_thread(DEADLINE, self._read_now)
        self._last = (time.monotonic(), reading)
        return reading

    def _read_now(self) -> Reading:
        try:
            return read_all(self._root, now(), self._faillock_dir)
        except OSError as error:
            where = error.filename or self._root or "passwd"
            raise Unreachable(f"the accounts can't be read: {error.strerror or error}: {where}") from None

    def _matching(self, reading: Reading, query: AccountQuery) -> list[AccountRow]:
        idents = account_ids(reading)
        out: list[AccountRow] = []
        done: set[str] = set()
        for entry in reading.people:
            if entry.login in done:
                continue
            done.add(entry.login)
            facts = facts_of(entry, reading, self._rules)
            if self._hidden(facts, query):
                continue
            row = row_of(facts, reading, self._rules, idents[entry.login])
            if matches(row, query, reading.groups_of(entry) if query.group else ()):
                out.append(row)
        return out

    def _hidden(self, facts: Facts, query: AccountQuery) -> bool:
        """System accounts stay out of the way, except root, those with a password, and one named exactly or asked for by its group."""
        if facts.kind != "system" or self._system or query.system or query.group:
            return False
        return facts.entry.uid != 0 and facts.password is not PasswordWord.SET and query.text != facts.entry.login

    def _find(self, reading: Reading, id: str) -> Facts | None:
        idents = account_ids(reading)
        for entry in reading.people:
            if idents.get(entry.login) == id:
                return facts_of(entry, reading, self._rules)
        entry_by_login = next((entry for entry in reading.people if entry.login == id), None)
        return facts_of(entry_by_login, reading, self._rules) if entry_by_login else None

    async def _look_up(self, reading: Reading, id: str) -> Facts | None:
        if self._root is not None or not id:
            return None
        entry = await in_thread(DEADLINE, posix_files.one_person, id)
        return facts_of(entry, reading, self._rules) if entry else None
