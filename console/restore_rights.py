"""Who may restore what: one table for screens and commands. A refusal names the role and who has it, and is in the ledger. Never imports textual."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from backends.contract import Actor
from backends.errors import BadConfig, NotAllowed
from backends.restore.model import RestorePlan, Wanted
from console.actions import ROLES
from console.config import Roles
from console.desk import Desk

RIGHTS = {
    "new": ("technician", "a new folder on this host"),
    "missing": ("technician", "what is missing, where nothing live is replaced"),
    "replace": ("supervisor", "replacing live files"),
    "mailbox": ("supervisor", "another person's mailbox"),
    "database": ("supervisor", "a new database"),
    "host": ("admin", "another host"),
    "remove": ("admin", "taking away what came after the backup"),
    "override": ("admin", "setting a refusal aside"),
}
"""What -> (the role it needs, its words). `roles` in [restore] gives another role, but for `override`."""


def own(root: bytes) -> bool:
    """Whether a mailbox is the acting account's own."""
    import os

    try:
        return os.lstat(root).st_uid == os.geteuid() != 0
    except OSError:
        return False


def deeds(plan: RestorePlan) -> list[str]:
    """What a restore does, as keys of the table."""
    preview, to = plan.preview, plan.wanted.destination
    found = {"new": ["new"], "host": ["host"], "postgres": ["database"], "mailbox": [] if own(to.root) else ["mailbox"]}.get(to.kind, [])
    found += ["replace"] if preview.replaces else []
    found += ["remove"] if preview.removes else []
    found += ["override"] if plan.wanted.overrides else []
    return found or ["missing"]


def needed(desk: Desk, what: Iterable[str]) -> tuple[str, str]:
    """(the highest role that any of it needs, the words of what needs it). BadConfig."""
    given = {**{name: role for name, (role, _) in RIGHTS.items()}, **_given(desk)}
    name = max(what, key=lambda one: ROLES.index(given[one]))
    return given[name], RIGHTS[name][1]


def _given(desk: Desk) -> dict[str, str]:
    found = dict(desk.config.restore.get("roles", {}))
    wrong = [name for name, role in found.items() if name not in RIGHTS or name == "override" or role not in ROLES]
    if wrong:
        names = ", ".join(name for name in RIGHTS if name != "override")
        raise BadConfig(f"restore.roles: {wrong[0]} = {found[wrong[0]]!r}", hint=f"There are {names}, each with one of {', '.join(ROLES)}.")
    return found


def who_may(roles: Roles, role: str) -> str:
    """The people of a role and of those above it, in words."""
    people = {"admin": roles.admins, "supervisor": roles.supervisors, "technician": roles.technicians}
    named = [f"{login} ({name})" for name in reversed(ROLES[ROLES.index(role) :]) for login in people[name]]
    return ", ".join(named) or "nobody is named for it in [roles]"


def lacking(desk: Desk, actor: Actor, what: Iterable[str]) -> str:
    """Why the acting person may not do any of it, with who may; "" when they may."""
    role, words = needed(desk, what)
    if ROLES.index(actor.role) >= ROLES.index(role):
        return ""
    return f"{words} needs the role {role}, you are {actor.role}; who may: {who_may(desk.config.roles, role)}"


def refuse(desk: Desk, actor: Actor, verb: str, wanted: Wanted, run: str, why: str) -> NotAllowed:
    """The error to raise; that it was tried stands in the ledger."""
    desk.ledger.append(
        "refused", op=uuid.uuid4().hex, actor=actor.login, role=actor.role, action=f"backups.{verb}", outcome="refused", error=why,
        target={"type": "backups", "backend": wanted.backend, "id": run or wanted.snapshot, "label": f"{verb} of {wanted.snapshot[:10]}"},
    )  # fmt: skip
    return NotAllowed(why, hint="Ask one of them, or restore into a new folder.")
