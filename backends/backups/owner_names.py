"""`OwnerNames`: names of owners where restic's `ls` tells their numbers only. Blocks: asks the system's user database."""

from __future__ import annotations

import grp
import pwd
import socket
from collections.abc import Callable
from dataclasses import replace

from backends.backups.model import Entry

Names = dict[tuple[str, int], str]
"""(host, number) -> name."""


class OwnerNames:
    """A number has the name it was seen with in other reads of that host's snapshots; on this host the system knows it, too."""

    def __init__(self) -> None:
        self._users: Names = {}
        self._groups: Names = {}

    def learn(self, host: str, entry: Entry) -> None:
        """From an entry that has names."""
        for known, number, name in ((self._users, entry.uid, entry.user), (self._groups, entry.gid, entry.group)):
            if number is not None and name and not name.isdigit():
                known[host, number] = name

    def named(self, host: str, entry: Entry) -> Entry:
        """The entry with the names there are; a number stays where nobody has told its name."""
        user = _name(self._users, host, entry.uid, entry.user, lambda number: pwd.getpwuid(number).pw_name)
        group = _name(self._groups, host, entry.gid, entry.group, lambda number: grp.getgrgid(number).gr_name)
        return entry if (user, group) == (entry.user, entry.group) else replace(entry, user=user, group=group)


def _name(known: Names, host: str, number: int | None, shown: str, ask: Callable[[int], str]) -> str:
    if number is None or shown != str(number):
        return shown
    if (host, number) not in known and host == socket.gethostname():
        try:
            known[host, number] = ask(number)
        except (KeyError, OverflowError):
            known[host, number] = shown
    return known.get((host, number), shown)
