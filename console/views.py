"""Saved views: a name and a query line for a list. Some come with the console, some are queues, the site's stand in `[views.NAME]`, and a
person's own are kept in the store (`console.personal`). Never imports textual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from backends.accounts.model import AccountQuery
from backends.backups.model import BackupQuery
from backends.devices.model import DeviceQuery
from backends.errors import BackendError
from backends.tickets.model import OPEN_PHASES, TicketQuery
from console.query_text import read_query

if TYPE_CHECKING:
    from console.desk import Desk

FIRST: dict[str, Any] = {
    "tickets": TicketQuery(phases=OPEN_PHASES), "devices": DeviceQuery(), "backups": BackupQuery(), "accounts": AccountQuery(sort="severity", descending=True),
}  # fmt: skip
Origin = Literal["built-in", "queue", "site", "yours"]


@dataclass(frozen=True, slots=True)
class View:
    """A saved view: the query line, its order where it has one of its own, and in words what it is."""

    name: str
    line: str = ""
    words: str = ""
    sort: str = ""
    descending: bool = True
    origin: Origin = "built-in"
    exact: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the query that no line gives."""

    def query(self, domain: str, login: str, zone: str = "UTC") -> Any:
        """Its query now: "due<2d" moves with the clock. A line that is not understood shows everything."""
        base = FIRST[domain]
        if self.sort:
            base = replace(base, sort=self.sort, descending=self.descending)
        try:
            found = read_query(domain, self.line, base, login, zone)
        except BackendError:
            return base
        return replace(found, **self.exact) if self.exact else found

    def wrong(self, domain: str, login: str) -> str:
        """Why its line is not understood, or ""."""
        try:
            read_query(domain, self.line, FIRST[domain], login)
        except BackendError as error:
            return error.text
        return ""


BUILT_IN: Mapping[str, tuple[View, ...]] = {
    "tickets": (
        View("mine", "mine", "open and assigned to you"), View("unassigned", "unassigned", "open, nobody has them"), View("open", "", "all open ones"),
        View("overdue", "overdue", "past their target", "due_at", False), View("urgent", "prio:1,2", "P1 and P2", "priority", False),
        View("all", "status:all", "closed ones too"), View("mentioned", "status:open mentioned:me", "a colleague named you in a note"),
    ),
    "devices": (View("all", "", "the gravest first"), View("faults", "faults", "not OK"), View("by-site", "", "", "site", False)),
    "backups": (View("all", "", "the least protected first"), View("faults", "faults", "late, failed, never")),
    "accounts": (
        View("all", "", "those who need help first"), View("by-login", "", "", "login", False), View("locked", "state:locked"),
        View("faults", "faults", "locked, expired, unused"),
    ),
}  # fmt: skip


def views(desk: Desk, domain: str) -> list[View]:
    """The views of a domain: built-in ones, the site's, then the person's own."""
    found = list(BUILT_IN[domain])
    for item in desk.config.views:
        if item.domain == domain:
            view = View(item.name, item.query, item.query, origin="site")
            wrong = view.wrong(domain, desk.actor.login)
            found.append(replace(view, words=f"not understood: {wrong}") if wrong else view)
    return [*found, *desk.personal.views(domain)]


def queue_view(name: str, figures: Sequence[int] = (), short: bool = False) -> View:
    """The open tickets of one queue; figures: open, new, overdue, `short` as 12/3/1."""
    named = [f"{number} {word}" for number, word in zip(figures, ("open", "new", "overdue"), strict=False) if number or word == "open"]
    return View(name, "", "/".join(map(str, figures)) if short else ", ".join(named), origin="queue", exact={"queues": (name,)})


def find_view(desk: Desk, domain: str, name: str, queues: Sequence[str] = ()) -> View | None:
    """A view by its name, else a queue by its name, letter case aside."""
    folded = name.strip().casefold()
    for view in views(desk, domain):
        if view.name.casefold() == folded:
            return view
    queue = next((queue for queue in queues if queue.casefold() == folded.removeprefix("queue:").strip('"')), None)
    return queue_view(queue) if queue is not None else None
