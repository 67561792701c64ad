"""What each verb of the embedded directory will do: the plan, and the changed document. Pure; never imports an adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from backends.accounts.embedded_docs import View, loaded, locked_now, stored
from backends.contract import Actor, Change, Danger, Plan, Step
from backends.errors import Conflict, Invalid
from backends.store.contract import Doc, Record

MANY_UNLOCKS = 3
LOOK_FOR = "look for an old password on a phone, a mapped drive, a scheduled task, the Wi-Fi"
PROTECTED_KINDS = ("service", "emergency")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a plan is made on: the account, who asks, when, which groups are protected, and the group named in the change."""

    record: Record
    change: Change
    actor: Actor
    view: View
    protected: frozenset[str] = frozenset()
    group: str = ""

    @property
    def doc(self) -> Doc:
        """The account as stored."""
        return self.record.doc

    @property
    def login(self) -> str:
        """Its login."""
        return str(self.doc.get("login", ""))

    @property
    def who(self) -> str:
        """Login and name."""
        return f"{self.login} {self.doc.get('name', '')}".strip()


def check_version(record: Record, change: Change) -> None:
    """Conflict when the account is no longer the one that the person looked at."""
    if change.version not in (None, "", str(record.rev)):
        raise conflict(record, change)


def conflict(record: Record, change: Change) -> Conflict:
    """The two sides: what was asked, and what the account is now."""
    shown = ("enabled", "locked_at", "expires", "groups")
    return Conflict(
        f"{record.doc.get('login', record.id)} is at version {record.rev}, you saw {change.version}",
        mine={"verb": change.verb, **change.values}, theirs={name: record.doc.get(name) for name in shown},
    )  # fmt: skip


def why_protected(ground: Ground) -> str:
    """Why a second person must agree, or ""."""
    if ground.doc.get("protected"):
        return "the account is protected"
    if ground.doc.get("kind") in PROTECTED_KINDS:
        return f"it is a {ground.doc['kind']} account"
    if ground.login == ground.actor.login:
        return "it is your own account"
    if ground.group in ground.protected:
        return f"the group {ground.group} is protected"
    inside = sorted(ground.protected.intersection(ground.doc.get("groups") or ()))
    return f"member of the protected group {inside[0]}" if inside else ""


def _plan(
    ground: Ground, summary: str, step: Step, expected: Mapping[str, Any], *, danger: Danger = 1, side: tuple[str, ...] = (),
    missing: str = "", inverse: Change | None = None,
) -> Plan:  # fmt: skip
    protected = why_protected(ground)
    level: Danger = 3 if protected else danger
    effects = (*side, f"a second person must agree: {protected}") if protected else side
    return Plan(
        replace(ground.change, target=ground.record.id, label=ground.change.label or ground.who), summary, (step,), effects, level,
        (missing,) if missing else (), inverse, str(ground.record.rev), expected, ground.login if level >= 2 else "",
    )  # fmt: skip


def _opposite(ground: Ground, verb: str, **values: Any) -> Change:
    change = ground.change
    return Change(change.domain, change.backend, verb, ground.record.id, change.label or ground.who, values)


def _still_out(ground: Ground, *, lock: bool = True) -> tuple[str, ...]:
    """What else keeps the person out, so that nobody says "it works now" too early."""
    doc, at = ground.doc, ground.view.at
    expires = loaded(doc.get("expires"))
    out: list[str] = []
    if not lock and doc.get("enabled") is False:
        out.append("the account stays disabled: no log-in until it is enabled")
    if lock and locked_now(doc, at):
        out.append("the account stays locked after bad passwords: unlock it too")
    if expires is not None and expires <= at:
        out.append(f"the account ended {expires:%Y-%m-%d}: no log-in until the end is moved")
    if doc.get("must_change"):
        out.append("the password must be changed at the next log-in")
    return tuple(out)


def plan_unlock(ground: Ground) -> Plan:
    """Clear the lock and the counter of bad passwords."""
    doc, at = ground.doc, ground.view.at
    locked, bad = locked_now(doc, at), int(doc.get("bad_count") or 0)
    recent = [text for text in doc.get("unlocked") or () if (when := loaded(text)) and at - when < timedelta(days=1)]
    side = _still_out(ground, lock=False)
    if len(recent) + 1 >= MANY_UNLOCKS:
        side = (*side, f"unlock number {len(recent) + 1} in 24 h: {LOOK_FOR}")
    before = f"{'locked' if locked else 'not locked'}, {bad} bad passwords"
    return _plan(
        ground, f"Unlock {ground.who}", Step("lock", before, "not locked, 0 bad passwords"),
        {"locked": False, "bad_count": 0}, side=side, missing="" if locked or bad else f"{ground.login} is not locked",
    )  # fmt: skip


def plan_enable(ground: Ground) -> Plan:
    """Let the account log in again."""
    return _plan(
        ground, f"Enable {ground.who}", Step("enabled", "no", "yes"), {"enabled": True}, side=_still_out(ground),
        missing=f"{ground.login} is enabled already" if ground.doc.get("enabled", True) else "", inverse=_opposite(ground, "disable"),
    )  # fmt: skip


def plan_disable(ground: Ground) -> Plan:
    """Stop log-ins; nothing is deleted."""
    groups = len(ground.doc.get("groups") or ())
    side = (f"mail, files and {groups} group memberships stay as they are", "sessions that are open stay open until they end")
    return _plan(
        ground, f"Disable {ground.who}", Step("enabled", "yes", "no"), {"enabled": False}, danger=2, side=side,
        missing="" if ground.doc.get("enabled", True) else f"{ground.login} is disabled already", inverse=_opposite(ground, "enable"),
    )  # fmt: skip


def wanted_expiry(values: Mapping[str, Any], zone: tzinfo) -> str | None:
    """The end as stored; a plain date ends with that day in the site's zone. Invalid for anything else."""
    text = str(values.get("expires") or "").strip()
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(fields={"expires": f"{text!r} is not a date such as 2026-12-31"}) from None
    if len(text) == len("2026-12-31"):
        at += timedelta(days=1)
    try:
        return stored(at.replace(tzinfo=zone) if at.tzinfo is None else at)
    except (OverflowError, ValueError):
        raise Invalid(fields={"expires": f"{text!r} is out of range"}) from None


def plan_expiry(ground: Ground) -> Plan:
    """Set, move or take away the end of the account."""
    wanted, before = wanted_expiry(ground.change.values, ground.view.zone), ground.doc.get("expires")
    side = ("that is past: the person can't log in from now on",) if wanted and wanted <= (stored(ground.view.at) or "") else ()
    return _plan(
        ground, f"End of {ground.who}: {wanted or 'none'}", Step("account ends", before or "never", wanted or "never"), {"expires": wanted},
        side=side, danger=2 if side else 1, missing=f"{ground.login} ends then already" if wanted == before else "",
        inverse=_opposite(ground, "expiry", expires=before or ""),
    )  # fmt: skip


def _plan_member(ground: Ground, *, add: bool) -> Plan:
    inside = ground.group in (ground.doc.get("groups") or ())
    missing = "" if inside is not add else f"{ground.login} is {'already' if add else 'not'} in {ground.group}"
    words = ("not a member", "member") if add else ("member", "not a member")
    summary = f"Add {ground.who} to {ground.group}" if add else f"Remove {ground.who} from {ground.group}"
    return _plan(
        ground, summary, Step(f"group {ground.group}", *words), {f"member of {ground.group}": add}, missing=missing,
        side=() if not add else ("it opens what the group opens, from the next log-in on",),
        inverse=_opposite(ground, "remove-member" if add else "add-member", group=ground.group),
    )  # fmt: skip


def plan_add_member(ground: Ground) -> Plan:
    """Into the group."""
    return _plan_member(ground, add=True)


def plan_remove_member(ground: Ground) -> Plan:
    """Out of the group."""
    return _plan_member(ground, add=False)


PLANS: Mapping[str, Callable[[Ground], Plan]] = {
    "unlock": plan_unlock, "enable": plan_enable, "disable": plan_disable, "expiry": plan_expiry, "add-member": plan_add_member,
    "remove-member": plan_remove_member,
}  # fmt: skip


def patched(doc: Doc, change: Change, group: str, expected: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The document after the change; only what the plan shows, and its own trace."""
    verb, stamp, out = change.verb, stored(at), dict(doc)
    groups = [name for name in doc.get("groups") or () if name != group]
    if verb == "unlock":
        out |= {"locked_at": None, "locked_until": None, "bad_count": 0, "lock_source": ""}
        out["unlocked"] = [*(doc.get("unlocked") or ()), stamp][-10:]
    elif verb == "enable":
        out |= {"enabled": True, "disabled_at": None}
    elif verb == "disable":
        out |= {"enabled": False, "disabled_at": stamp}
    elif verb == "expiry":
        out["expires"] = expected["expires"]
    elif verb == "add-member":
        out["groups"] = sorted([*groups, group])
    elif verb == "remove-member":
        out["groups"] = groups
    return out


def fields_now(doc: Doc, expected: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The fields of `expected` as they are in the document."""
    known: dict[str, Any] = {
        "locked": locked_now(doc, at), "bad_count": int(doc.get("bad_count") or 0), "enabled": bool(doc.get("enabled", True)),
        "expires": doc.get("expires"),
    }  # fmt: skip
    for name in expected:
        if name.startswith("member of "):
            known[name] = name.removeprefix("member of ") in (doc.get("groups") or ())
    return {name: known[name] for name in expected}
