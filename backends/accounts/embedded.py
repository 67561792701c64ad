"""A directory of our own in the record store: the accounts of a house without one, and of the demo.

It keeps no passwords. Never imports textual, console, screens or widgets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from backends.accounts.embedded_docs import (
    ACCOUNTS,
    GROUPS,
    INDEXES,
    ROW_FIELDS,
    View,
    account_of,
    query_parts,
    row_of,
    state_conditions,
)  # fmt: skip
from backends.accounts.embedded_plans import PLANS, Ground, check_version, conflict, fields_now, patched
from backends.accounts.embedded_staff import take_staff
from backends.accounts.listing import folded, zone_of
from backends.accounts.model import Account, AccountCount, AccountQuery, AccountRow, AccountState, Group
from backends.contract import Actor, Change, Health, Outcome, Page, Plan, Site, now, plan_by_verb
from backends.errors import BackendError, Conflict, Invalid, NotFound, Refused, Uncertain, Unreachable
from backends.options import Option
from backends.polling import Polled
from backends.store.contract import All, Doc, Order, Record, Store, Test
from backends.threads import in_thread

DEADLINE = 20.0


class EmbeddedAccounts:
    """Accounts and groups in the record store."""

    domain: ClassVar[str] = "accounts"
    adapter: ClassVar[str] = "embedded"
    OPTIONS: ClassVar[tuple[Option, ...]] = (
        Option("stale_after", "duration", "a person's account not used for this long is STALE", "90d"),
        Option("staff", "path", "a CSV file of people (login,name,mail,department,...) taken in at opening when it has changed"),
    )
    poll_every: float = 60.0

    def __init__(self, name: str, options: Mapping[str, Any], site: Site) -> None:
        self.name = name
        self._stale_after = timedelta(seconds=float(options.get("stale_after") or 90 * 86400))
        self._staff = Path(options["staff"]) if options.get("staff") else None
        self._site = site
        self._zone = zone_of(site.timezone)
        self._members: tuple[int, dict[str, tuple[str, ...]]] | None = None

    @property
    def _store(self) -> Store:
        store: Store | None = self._site.store
        if store is None:
            raise Unreachable("the record store is not open")
        return store

    def _view(self, at: datetime | None = None) -> View:
        return View(self.name, at or now(), self._stale_after, self._zone)

    async def open(self) -> None:
        """Declare what lists sort and filter by, and take in the staff file."""
        await in_thread(DEADLINE, self._store.index, ACCOUNTS, *INDEXES)
        if self._staff is not None:
            await in_thread(DEADLINE, take_staff, self._store, self.name, self._staff)

    async def health(self) -> Health:
        """ok while the store answers."""
        try:
            await in_thread(DEADLINE, self._store.seq)
        except BackendError as error:
            return Health("down", error.sentence())
        return Health("ok")

    async def close(self) -> None:
        """The store belongs to the desk."""
        self._members = None

    # -- reading ----------------------------------------------------------------------------------------

    async def accounts(self, query: AccountQuery, offset: int = 0, limit: int = 100) -> Page[AccountRow]:
        """A window of the list."""
        return await in_thread(DEADLINE, self._page, query, offset, limit)

    def _page(self, query: AccountQuery, offset: int, limit: int) -> Page[AccountRow]:
        view, rows, total = self._view(), list[AccountRow](), 0
        for where, order in query_parts(query, view):
            here = self._store.count(ACCOUNTS, where)
            first, room = max(0, offset - total), limit - len(rows)
            if first < here and room > 0:
                found = self._store.select(ACCOUNTS, where, order, offset=first, limit=room, fields=ROW_FIELDS)
                rows += [row_of(record.id, record.rev, record.doc, view) for record in found]
            total += here
        return Page(tuple(rows), offset, total)

    async def position(self, query: AccountQuery, id: str) -> int | None:
        """Where an account stands in that list."""
        return await in_thread(DEADLINE, self._position, query, id)

    def _position(self, query: AccountQuery, id: str) -> int | None:
        before = 0
        for where, order in query_parts(query, self._view()):
            place = self._store.position(ACCOUNTS, id, where, order)
            if place is not None:
                return before + place
            before += self._store.count(ACCOUNTS, where)
        return None

    async def account(self, id: str) -> Account:
        """By id or login."""
        record = await in_thread(DEADLINE, self._record, id)
        return account_of(record.id, record.rev, record.doc, self._view())

    def _record(self, id: str) -> Record:
        found = self._store.get(ACCOUNTS, id)
        if found is None:
            found = next(iter(self._store.select(ACCOUNTS, Test("login", "eq", id.casefold()), limit=1)), None)
        if found is None:
            raise NotFound(f"no account {id!r} in {self.name}")
        return found

    async def groups(self, text: str = "") -> Sequence[Group]:
        """Groups whose name or description holds the text."""
        return await in_thread(DEADLINE, self._groups, text)

    def _groups(self, text: str) -> list[Group]:
        wanted, members = folded(text), self._membership()
        found = [self._group(record.id, record.doc, members) for record in self._store.select(GROUPS, order=(Order("name"),))]
        return [group for group in found if wanted in folded(f"{group.name} {group.description}")]

    async def group(self, id: str) -> Group:
        """By id or name."""
        return await in_thread(DEADLINE, self._one_group, id)

    def _one_group(self, id: str) -> Group:
        record = self._group_record(id)
        return self._group(record.id, record.doc, self._membership())

    def _group_record(self, id: str) -> Record:
        found = self._store.get(GROUPS, id) or next(iter(self._store.select(GROUPS, Test("name", "eq", id), limit=1)), None)
        if found is None:
            raise NotFound(f"no group {id!r} in {self.name}")
        return found

    def _group(self, ident: str, doc: Doc, members: Mapping[str, tuple[str, ...]]) -> Group:
        return Group(
            self.name, ident, str(doc.get("name", ident)), str(doc.get("description", "")), members.get(ident, ()),
            str(doc.get("owner", "")), bool(doc.get("protected")),
        )  # fmt: skip

    def _membership(self) -> dict[str, tuple[str, ...]]:
        """Group -> logins, in one pass over the accounts; kept until the store moves on."""
        seq = self._store.seq()
        if self._members is None or self._members[0] != seq:
            found: dict[str, list[str]] = {}
            for record in self._store.select(ACCOUNTS, order=(Order("login"),), fields=("login", "groups")):
                for group in record.doc.get("groups") or ():
                    found.setdefault(group, []).append(str(record.doc["login"]))
            self._members = (seq, {group: tuple(logins) for group, logins in found.items()})
        return self._members[1]

    async def count(self) -> AccountCount:
        """Figures over all accounts, counted by the store."""
        return await in_thread(DEADLINE, self._count)

    def _count(self) -> AccountCount:
        conditions = state_conditions(self._view())
        figures = {
            state: self._store.count(ACCOUNTS, where) for state, where in conditions.items() if state is not AccountState.OK
        }  # fmt: skip
        return AccountCount(
            self._store.count(ACCOUNTS, All()), figures[AccountState.LOCKED], figures[AccountState.DISABLED],
            figures[AccountState.EXPIRED], figures[AccountState.STALE],
        )  # fmt: skip

    async def changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        """(newest cursor, ids changed after `since`); -1 gives the cursor alone."""
        return await in_thread(DEADLINE, self._changes, since)

    def _changes(self, since: int) -> tuple[int, tuple[str, ...]]:
        newest = self._store.seq()
        if since < 0 or newest <= since:
            return newest, ()
        feed = self._store.changes(since, collection=ACCOUNTS)
        return newest, tuple(dict.fromkeys(entry.id for entry in feed))

    async def poll(self) -> Sequence[Polled]:
        """The figures; what a person changes is told by the change feed."""
        figures = await self.count()
        value = {name: getattr(figures, name) for name in ("total", "locked", "disabled", "expired", "stale")}
        return [Polled("#count", value, {name: float(number) for name, number in value.items()})]

    # -- writing ----------------------------------------------------------------------------------------

    async def plan(self, change: Change, actor: Actor) -> Plan:
        """What would happen. Writes nothing."""
        return await plan_by_verb(self, change, actor)

    async def _planned(self, change: Change, actor: Actor) -> Plan:
        return await in_thread(DEADLINE, self._make_plan, change, actor)

    def _make_plan(self, change: Change, actor: Actor) -> Plan:
        record = self._record(change.target)
        check_version(record, change)
        group = self._group_record(_group_name(change)).id if "member" in change.verb else ""
        protected = frozenset(found.id for found in self._store.select(GROUPS, Test("protected", "eq", True), fields=("name",)))
        return PLANS[change.verb](Ground(record, change, actor, self._view(), protected, group))

    async def plan_unlock(self, change: Change, actor: Actor) -> Plan:
        """Clear the lock and the counter of bad passwords."""
        return await self._planned(change, actor)

    async def plan_enable(self, change: Change, actor: Actor) -> Plan:
        """Let it log in again."""
        return await self._planned(change, actor)

    async def plan_disable(self, change: Change, actor: Actor) -> Plan:
        """Stop log-ins; nothing is deleted."""
        return await self._planned(change, actor)

    async def plan_expiry(self, change: Change, actor: Actor) -> Plan:
        """Set, move or take away its end."""
        return await self._planned(change, actor)

    async def plan_add_member(self, change: Change, actor: Actor) -> Plan:
        """Into a group."""
        return await self._planned(change, actor)

    async def plan_remove_member(self, change: Change, actor: Actor) -> Plan:
        """Out of a group."""
        return await self._planned(change, actor)

    async def apply(self, plan: Plan, actor: Actor, op_id: str) -> Outcome:
        """Only what was planned, against the version it was planned on; a replay of `op_id` changes nothing."""
        if plan.missing:
            raise Refused("; ".join(plan.missing))
        try:
            return await in_thread(DEADLINE, self._apply, plan, op_id)
        except Unreachable as error:
            raise Uncertain(error.text) from None

    def _apply(self, plan: Plan, op_id: str) -> Outcome:
        record = self._record(plan.change.target)
        group = self._group_record(_group_name(plan.change)).id if "member" in plan.change.verb else ""
        doc = patched(record.doc, plan.change, group, plan.expected, now())
        try:
            done = self._store.update(ACCOUNTS, record.id, doc, rev=int(plan.version or 0), op_id=op_id)
        except Conflict:
            raise conflict(self._record(record.id), plan.change) from None
        return Outcome("done", plan.summary, record.id, dict(plan.expected), record=account_of(done.id, done.rev, done.doc, self._view()))

    async def read_back(self, plan: Plan, outcome: Outcome) -> tuple[Mapping[str, Any], Any]:
        """The planned fields as they are now, and the account."""
        record = await in_thread(DEADLINE, self._record, plan.change.target)
        view = self._view()
        return fields_now(record.doc, plan.expected, view.at), account_of(record.id, record.rev, record.doc, view)


def _group_name(change: Change) -> str:
    name = str(change.values.get("group") or "").strip()
    if not name:
        raise Invalid(fields={"group": "which group?"})
    return name
