"""People and groups of a POSIX system: through the system's own look-up (NSS), or from the files of a given root.

Formats: passwd(5), group(5), login.defs(5). Never imports an adapter.
"""

from __future__ import annotations

import grp
import pwd
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PasswdEntry:
    """A line of passwd."""

    login: str
    password: str
    uid: int
    gid: int
    gecos: str
    home: str
    shell: str


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A line of group."""

    name: str
    gid: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UidRange:
    """The uids of people; those outside belong to the system."""

    low: int = 1000
    high: int = 60000

    def holds(self, uid: int) -> bool:
        """Whether it is a person's uid."""
        return self.low <= uid <= self.high


def parse_passwd(text: str) -> list[PasswdEntry]:
    """Entries of a passwd file; NIS marks, comments and broken lines are skipped."""
    out: list[PasswdEntry] = []
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[0] and fields[0][0] not in "+-#" and fields[2].isdigit() and fields[3].isdigit():
            out.append(PasswdEntry(fields[0], fields[1], int(fields[2]), int(fields[3]), fields[4], fields[5], fields[6]))
    return out


def parse_group(text: str) -> list[GroupEntry]:
    """Entries of a group file."""
    out: list[GroupEntry] = []
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[0] and fields[0][0] not in "+-#" and fields[2].isdigit():
            out.append(GroupEntry(fields[0], int(fields[2]), tuple(name for name in fields[3].split(",") if name)))
    return out


def parse_login_defs(text: str) -> UidRange:
    """UID_MIN and UID_MAX; decimal, octal or hexadecimal as login.defs(5) allows."""
    found: dict[str, int] = {}
    for name, value in re.findall(r"^\s*(UID_M(?:IN|AX))\s+(\S+)", text, re.MULTILINE):
        try:
            found[name] = int(value, 8 if re.fullmatch(r"0[0-7]+", value) else 0)
        except ValueError:
            continue
    return UidRange(found.get("UID_MIN", 1000), found.get("UID_MAX", 60000))


def _passwd(entry: pwd.struct_passwd) -> PasswdEntry:
    return PasswdEntry(
        entry.pw_name, entry.pw_passwd, entry.pw_uid, entry.pw_gid, entry.pw_gecos or "", entry.pw_dir or "", entry.pw_shell or ""
    )


def all_people(root: Path | None) -> list[PasswdEntry]:
    """Everybody the system lists; a directory behind NSS may keep its list to itself (SSSD does by default)."""
    if root is not None:
        return parse_passwd((root / "etc/passwd").read_text("utf-8", "surrogateescape"))
    return [_passwd(entry) for entry in pwd.getpwall()]


def one_person(login: str) -> PasswdEntry | None:
    """A person the system knows but may not list, by exact login or uid."""
    try:
        return _passwd(pwd.getpwuid(int(login)) if login.isdigit() else pwd.getpwnam(login))
    except (KeyError, OverflowError, ValueError):
        return None


def all_groups(root: Path | None) -> list[GroupEntry]:
    """Every group the system lists."""
    if root is not None:
        return parse_group((root / "etc/group").read_text("utf-8", "surrogateescape"))
    return [GroupEntry(entry.gr_name, entry.gr_gid, tuple(entry.gr_mem)) for entry in grp.getgrall()]
