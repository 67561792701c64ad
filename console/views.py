"""Saved views: a name and a query for a list. Some come with the console, the others from `[views.NAME]`. Never imports textual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backends.accounts.model import AccountQuery, AccountState
from backends.backups.model import BackupQuery
from backends.devices.model import DeviceQuery
from backends.errors import BackendError
from backends.tickets.model import OPEN_PHASES, Term, TicketQuery
from console.config import Config
from console.query_text import read_query

FIRST: dict[str, Any] = {
    "tickets": TicketQuery(phases=OPEN_PHASES), "devices": DeviceQuery(), "backups": BackupQuery(), "accounts": AccountQuery(sort="severity", descending=True),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class View:
    """A saved view; `text` says in words what is in it."""

    name: str
    query: Any
    text: str = ""


def views(config: Config, domain: str, login: str) -> list[View]:
    """The views of a domain: built-in ones first, then the site's. A broken one of the site says so in its text and shows everything."""
    found = _built_in(domain, login)
    for item in config.views:
        if item.domain == domain:
            try:
                found.append(View(item.name, read_query(domain, item.query, FIRST[domain], login), item.query))
            except BackendError as error:
                found.append(View(item.name, FIRST[domain], f"not understood: {error.text}"))
    return found


def _built_in(domain: str, login: str) -> list[View]:
    if domain == "tickets":
        return [
            View("mine", TicketQuery(phases=OPEN_PHASES, assignees=(login,)), "open and assigned to you"),
            View("unassigned", TicketQuery(phases=OPEN_PHASES, assignees=("",)), "open, nobody has them"),
            View("open", TicketQuery(phases=OPEN_PHASES), "all open ones"),
            View("mentioned", TicketQuery(phases=OPEN_PHASES, terms=(Term("mentioned", "is", (login,)),)), "a colleague named you in a note"),
            View("overdue", TicketQuery(phases=OPEN_PHASES, overdue=True, sort="due_at", descending=False), "past their target"),
            View("urgent", TicketQuery(phases=OPEN_PHASES, priorities=(1, 2), sort="priority", descending=False), "P1 and P2"),
            View("all", TicketQuery(), "closed ones too"),
        ]
    if domain == "devices":
        return [
            View("all", DeviceQuery(), "the gravest first"),
            View("faults", DeviceQuery(faults=True), "not OK"),
            View("by-site", DeviceQuery(sort="site", descending=False), ""),
        ]
    if domain == "backups":
        return [View("all", BackupQuery(), "the least protected first"), View("faults", BackupQuery(faults=True), "late, failed, never")]
    return [
        View("all", AccountQuery(sort="severity", descending=True), "those who need help first"), View("by-login", AccountQuery(), ""),
        View("locked", AccountQuery(states=(AccountState.LOCKED,)), ""), View("faults", AccountQuery(faults=True), "locked, expired, unused"),
    ]  # fmt: skip
