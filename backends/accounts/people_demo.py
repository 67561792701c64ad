"""Invented staff of a small county, the same for the same seed: departments, names of many origins, logins, groups, and the states a
help desk sees. Addresses are under example domains, telephone numbers are 555 ones. Never imports an adapter.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from backends.accounts.embedded_docs import stored, with_keys
from backends.accounts.listing import folded
from backends.accounts.people_demo_names import DEPARTMENTS, FUNCTION_GROUPS, GIVEN, HEADS, SURNAMES, Department
from backends.contract import now

PersonDoc = dict[str, Any]
"""An account as it is stored (fields: see `embedded_docs`), with its `id`."""
GroupDoc = dict[str, Any]
"""A group as it is stored, with its `id`."""
MAIL = "junipercounty.example"
PASSWORD_DAYS = 90
IT_FIRST = 4
"""The first people after the administrator work in IT, so that even a county of ten has a help desk."""
SPECIAL = 4


def people(seed: int, count: int, until: datetime | None = None) -> list[PersonDoc]:
    """`count` accounts as of `until` (default now): staff, and from twelve on some service, shared and emergency accounts."""
    chance, at = random.Random(f"people-{seed}"), (until or now()).replace(second=0, microsecond=0)
    specials = SPECIAL if count >= 3 * SPECIAL else 0
    bag = [department for department in DEPARTMENTS for _ in range(department.weight)]
    taken: set[str] = {"root", "admin", "svc-backup", "svc-scan2mail", "frontdesk", "breakglass"}
    heads: dict[str, str] = {}
    out: list[PersonDoc] = []
    for index in range(max(0, count - specials)):
        department = DEPARTMENTS[0] if index == 0 else DEPARTMENTS[1] if index <= IT_FIRST else chance.choice(bag)
        out.append(_person(index, department, heads, taken, chance, at))
    _spread_states(out, chance, at)
    _join_groups(out, chance)
    out += _special(out, at) if specials else []
    return [with_keys(person) for person in out]


def groups(staff: Iterable[PersonDoc]) -> list[GroupDoc]:
    """Every group these people are in, and the department groups, with their owners."""
    heads = {person["department"]: person["login"] for person in staff if person.get("title") in HEADS.values()}
    boss = heads.get("Information Technology", "")
    out = [GroupDoc(id=name, name=name, description=text, protected=protected, owner=boss) for name, text, protected in FUNCTION_GROUPS]
    for department in DEPARTMENTS:
        name = _department_group(department)
        out.append(GroupDoc(id=name, name=name, description=f"Files and mail of {department.name}", protected=False,
                            owner=heads.get(department.name, "")))  # fmt: skip
    return out


def agents(staff: Sequence[PersonDoc]) -> list[str]:
    """Logins of those who work the help desk: enabled people of IT, in order."""
    return [
        person["login"] for person in staff
        if person["department"] == "Information Technology" and person["kind"] == "person" and person["enabled"] and not person["locked_at"]
    ]  # fmt: skip


def _department_group(department: Department) -> str:
    return f"dept-{department.code.lower()}"


def login_for(given: str, surname: str, taken: set[str]) -> str:
    """A free login by the house's rule: initial and surname, then more letters of the given name, then a number; at most 20 characters."""
    first, last = (re.sub("[^a-z]", "", folded(part)) for part in (given, surname))
    for letters in range(1, min(3, len(first)) + 1):
        login = (first[:letters] + last)[:20]
        if login not in taken:
            return login
    stem = (first[:1] + last)[:17]
    return next(login for number in range(2, 1000) if (login := f"{stem}{number}") not in taken)


def _person(index: int, department: Department, heads: dict[str, str], taken: set[str], chance: random.Random, at: datetime) -> PersonDoc:
    given, surname = chance.choice(GIVEN), chance.choice(SURNAMES)
    login = login_for(given, surname, taken)
    taken.add(login)
    is_head = department.code not in heads
    heads.setdefault(department.code, login)
    manager = heads["ADM"] if is_head else heads[department.code]
    changed = at - timedelta(days=chance.randrange(1, 80), minutes=chance.randrange(1440))
    seen = at - timedelta(minutes=int(chance.expovariate(1 / 900)) + 3)
    room = f"{department.building} {chance.randrange(1, 4)}{chance.randrange(1, 40):02}"
    return PersonDoc(
        id=f"a{10001 + index}", login=login, name=f"{given} {surname}", department=department.name,
        title=HEADS[department.code] if is_head else chance.choice(department.titles), mail=f"{login}@{MAIL}",
        phone=f"+1 307 555 {chance.randrange(100, 10000):04}", room=room,
        manager="" if manager == login else manager, employee=f"E{10001 + index}", kind="person", enabled=True, disabled_at=None,
        locked_at=None, locked_until=None, bad_count=0, lock_source="", unlocked=[], expires=None, password_changed=stored(changed),
        password_expires=stored(changed + timedelta(days=PASSWORD_DAYS)), must_change=False, last_login=stored(seen),
        last_from=f"{department.code}-PC{chance.randrange(1, 60):03}", groups=[],
        created=stored(at - timedelta(days=chance.randrange(120, 4000))), protected=False,
    )  # fmt: skip


def _spread_states(staff: list[PersonDoc], chance: random.Random, at: datetime) -> None:
    """What makes a help desk's day, in the same shares for every size; heads and the help desk itself stay well."""
    for place, person in enumerate(staff[1 + IT_FIRST :]):
        if person["title"] in HEADS.values():
            continue
        kind = place % 50
        if kind in (3, 28):
            _lock(person, chance, at, for_good=kind == 28 and place % 100 < 50)
        elif kind in (11, 44):
            gone = at - timedelta(days=chance.randrange(5, 300))
            person.update(enabled=False, disabled_at=stored(gone), last_login=stored(gone - timedelta(days=1)))
        elif kind == 17:
            ended = at - timedelta(days=chance.randrange(1, 20))
            person.update(kind="temporary", title="Seasonal " + person["title"], expires=stored(ended), last_login=stored(ended))
        elif kind in (18, 41):
            person.update(kind="temporary", title="Intern", expires=stored(at + timedelta(days=chance.randrange(4, 90))))
        elif kind == 23:
            person.update(must_change=True, created=stored(at - timedelta(days=2)), last_login=None)
        elif kind == 31:
            changed = at - timedelta(days=PASSWORD_DAYS + chance.randrange(1, 9))
            person.update(password_changed=stored(changed), password_expires=stored(changed + timedelta(days=PASSWORD_DAYS)))
        elif kind in (37, 38):
            person["last_login"] = stored(at - timedelta(days=chance.randrange(95, 500)))
        elif kind == 46:
            person.update(last_login=None, last_from="")


def _lock(person: PersonDoc, chance: random.Random, at: datetime, *, for_good: bool) -> None:
    since = at - timedelta(minutes=chance.randrange(2, 12))
    source = chance.choice(("Outlook on a phone", person["last_from"], "WIFI-RADIUS", "VPN gateway"))
    earlier = [stored(since - timedelta(hours=hours)) for hours in (5, 3)] if for_good else []
    person.update(
        locked_at=stored(since), locked_until=None if for_good else stored(since + timedelta(hours=8)), bad_count=chance.randrange(5, 9),
        lock_source=source, unlocked=earlier,
    )  # fmt: skip


def _join_groups(staff: list[PersonDoc], chance: random.Random) -> None:
    by_name = {department.name: department for department in DEPARTMENTS}
    technicians = 0
    for person in staff:
        code, joined = by_name[person["department"]].code, {"all-staff", _department_group(by_name[person["department"]])}
        joined |= {name for name, share in (("wifi-staff", 0.8), ("vpn-users", 0.3), ("fleet-keys", 0.15)) if chance.random() < share}
        for name, codes, share in (
            ("gis-editors", ("PLN", "ASR", "PWK"), 0.4), ("payroll", ("FIN", "HR"), 0.8), ("cjis-access", ("SHF", "CRT"), 0.6),
            ("election-systems", ("CLK",), 0.4), ("public-web", ("ADM", "LIB", "PRK"), 0.3),
        ):  # fmt: skip
            if code in codes and chance.random() < share:
                joined.add(name)
        if code == "IT":
            technicians += 1
            joined |= {"helpdesk", "vpn-users"} | ({"domain-admins"} if technicians <= 2 else set())
        person["groups"] = sorted(joined)


def _special(staff: Sequence[PersonDoc], at: datetime) -> list[PersonDoc]:
    """Accounts that are nobody's own."""
    boss = next(person["login"] for person in staff if person["department"] == "Information Technology")
    recent, changed = stored(at - timedelta(minutes=11)), at - timedelta(days=400)
    rows: tuple[tuple[str, str, str, str, list[str], str | None], ...] = (
        ("svc-backup", "Backup service", "service", "Information Technology", ["domain-admins"], recent),
        ("svc-scan2mail", "Copiers: scan to mail", "service", "Information Technology", [], recent),
        ("frontdesk", "Front desk (shared)", "shared", "County Clerk", ["all-staff", "dept-clk"], recent),
        ("breakglass", "Emergency administrator", "emergency", "Information Technology", ["domain-admins"], None),
    )  # fmt: skip
    return [
        PersonDoc(
            id=f"a{90001 + index}", login=login, name=name, department=department, title="",
            mail=f"{login}@{MAIL}" if kind == "shared" else "", phone="", room="", manager=boss, employee="", kind=kind,
            enabled=True, disabled_at=None, locked_at=None, locked_until=None,
            bad_count=0, lock_source="", unlocked=[], expires=None, password_changed=stored(changed), password_expires=None,
            must_change=False, last_login=seen, last_from="", groups=joined, created=stored(changed), protected=kind == "emergency",
        )
        for index, (login, name, kind, department, joined, seen) in enumerate(rows)
    ]  # fmt: skip
