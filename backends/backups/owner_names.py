"""`OwnerNames`: names of owners where restic's `ls` tells their numbers only. Blocks: asks the system's user database."""

from __future__ import annotations

import grp
import pwd
import socket
from dataclasses import replace

from backends.backups.model import Entry


class OwnerNames:
    """A number has the name it was seen with in other reads of that host's snapshots; on this host the system knows it, too."""

    def __init__(self) -> None:
        self._users: dict[tuple[str, int], str] = {}
        self._groups: dict[tuple[str, int], str] = {}

    def learn(self, host: str, entry: Entry) -> None:
        """From an entry that has names."""
        if entry.uid is not None and entry.user and not entry.user.isdigit():
            self._users[host, entry.uid] = entry.user
        if entry.gid is not None and entry.group and not entry.group.isdigit():
            self._groups[host, entry.gid] = entry.group

    def named(self, host: str, entry: Entry) -> Entry:
        """The entry with the names there are; a number stays where nobody has told its name."""
        user, group = self._user(host, entry), self._group(host, entry)
        return entry if (user, group) == (entry.user, entry.group) else replace(entry, user=user, group=group)

    def _user(self, host: str, entry: Entry) -> str:
        if entry.uid is None or entry.user != str(entry.uid):
            return entry.user
        if (host, entry.uid) not in self._users and host == socket.gethostname():
            try:
                self._users[host, entry.uid] = pwd.getpwuid(entry.uid).pw_name
            except (KeyError, OverflowError):
                self._users[host, entry.uid] = entry.user
        return self._users.get((host, entry.uid), entry.user)

    def _group(self, host: str, entry: Entry) -> str:
        if entry.gid is None or entry.group != str(entry.gid):
            return entry.group
        if (host, entry.gid) not in self._groups and host == socket.gethostname():
            try:
                self._groups[host, entry.gid] = grp.getgrgid(entry.gid).gr_name
            except (KeyError, OverflowError):
                self._groups[host, entry.gid] = entry.group
        return self._groups.get((host, entry.gid), entry.group)
