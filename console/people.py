"""Who acts: the own account, or the person behind sudo, told by two witnesses. Never imports textual."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from backends.domains import Actor
from backends.errors import NotAllowed
from console.config import Roles

_UNSET = 4294967295


@dataclass(frozen=True, slots=True)
class Identity:
    """The acting person and what says so."""

    actor: Actor
    uid: int
    sudo_user: str = ""
    loginuid: int | None = None
    tty: str = ""
    client: str = ""

    def auth(self) -> dict[str, str | int | None]:
        """The witnesses, for the ledger."""
        return {
            "uid": self.uid,
            "sudo": self.sudo_user or None,
            "loginuid": self.loginuid,
            "tty": self.tty or None,
            "from": self.client or None,
        }


def _loginuid(path: str = "/proc/self/loginuid") -> int | None:
    try:
        value = int(Path(path).read_text())
    except (OSError, ValueError):
        return None
    return None if value == _UNSET else value


def _tty() -> str:
    for descriptor in (0, 1, 2):
        try:
            return os.ttyname(descriptor).removeprefix("/dev/")
        except OSError:
            continue
    return ""


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def role_of(login: str, roles: Roles) -> str:
    """The highest role a login has, by name or by "@group"."""
    try:
        entry = pwd.getpwnam(login)
        groups = {grp.getgrgid(gid).gr_name for gid in os.getgrouplist(login, entry.pw_gid) if _known(gid)}
    except KeyError:
        groups = set()
    for role, members in (("admin", roles.admins), ("supervisor", roles.supervisors), ("technician", roles.technicians)):
        if login in members or any(f"@{group}" in members for group in groups):
            return role
    return roles.default


def _known(gid: int) -> bool:
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True


def whoami(roles: Roles) -> Identity:
    """The acting person. NotAllowed when sudo and the kernel's log-in uid name different people and neither is root."""
    uid = os.geteuid()
    loginuid = _loginuid()
    sudo = os.environ.get("SUDO_USER", "") if "SUDO_UID" in os.environ else ""
    login = sudo if sudo and sudo != "root" else _name(uid)
    if sudo and loginuid not in (None, 0):
        witness = _name(loginuid)  # type: ignore[arg-type]
        if witness != sudo and sudo != "root":
            raise NotAllowed(
                f"sudo says {sudo}, the log-in says {witness}", hint="Log in with your own account and start deskside from there."
            )
    client = os.environ.get("SSH_CONNECTION", "").split(" ")[0]
    try:
        display = pwd.getpwnam(login).pw_gecos.split(",")[0] or login
    except KeyError:
        display = login
    return Identity(Actor(login, display, role_of(login, roles)), uid, sudo, loginuid, _tty(), client)
