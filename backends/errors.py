"""The one family of errors an adapter may raise. No library's exception passes this border.

Every error says three things in plain words: what failed (`title`), what happened (`text`) and what to do next (`hint`).
Texts must never hold a secret; text from outside is cleaned by whoever raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class BackendError(Exception):
    """Base of the family. `exit_code` is what the command line ends with."""

    title = "The backend failed"
    hint = "Try again; `deskside doctor` shows what is wrong."
    exit_code = 1

    def __init__(self, text: str = "", *, hint: str | None = None, title: str | None = None) -> None:
        super().__init__(text)
        self.text = text or self.title
        if hint is not None:
            self.hint = hint
        if title is not None:
            self.title = title

    def sentence(self) -> str:
        """Title, text and next step as one line for the bottom line and for stderr."""
        parts = [self.title] if self.text == self.title else [self.title, self.text]
        return " - ".join([": ".join(parts), self.hint] if self.hint else [": ".join(parts)])


class Unreachable(BackendError):
    """No connection, a time-out, or a server that answers with its own failure. Nothing was changed."""

    title = "Not reachable"
    hint = "Check the network and the address, then press R to try again."
    exit_code = 6


class AuthFailed(BackendError):
    """The credentials were refused."""

    title = "Log-in refused"
    hint = "Check the credential the configuration refers to."
    exit_code = 4


class NotAllowed(BackendError):
    """The credentials are good, the right is missing."""

    title = "Not allowed"
    hint = "Ask an administrator for the right, or use another account."
    exit_code = 4


class NotFound(BackendError):
    """The record, repository or path does not exist."""

    title = "Not found"
    hint = "It may have been removed; refresh the list."
    exit_code = 5


class Conflict(BackendError):
    """Somebody else changed the record since it was read: `mine` and `theirs` hold field -> value."""

    title = "Changed by somebody else"
    hint = "Look at both versions, then apply yours again or drop it."
    exit_code = 7

    def __init__(
        self, text: str = "", *, mine: Mapping[str, Any] | None = None, theirs: Mapping[str, Any] | None = None, hint: str | None = None
    ) -> None:
        super().__init__(text, hint=hint)
        self.mine = dict(mine or {})
        self.theirs = dict(theirs or {})


class Invalid(BackendError):
    """What was asked is not valid: `fields` maps a field to the sentence that says why."""

    title = "Not valid"
    hint = "Correct what is named and try again."
    exit_code = 2

    def __init__(self, text: str = "", *, fields: Mapping[str, str] | None = None, hint: str | None = None) -> None:
        named = "; ".join(f"{name}: {why}" for name, why in (fields or {}).items())
        super().__init__(text or named, hint=hint)
        self.fields = dict(fields or {})


class Refused(BackendError):
    """The system understood and said no, or the console is read-only, or the ledger can't be written."""

    title = "Refused"
    hint = ""
    exit_code = 7


class Unsupported(BackendError):
    """The adapter or this version of the system can't do it. `capability` names what is missing."""

    title = "Not supported here"
    hint = ""
    exit_code = 7

    def __init__(self, capability: str, text: str = "", *, hint: str | None = None) -> None:
        super().__init__(text or capability, hint=hint)
        self.capability = capability


class RateLimited(BackendError):
    """Too many requests; `after` is the number of seconds to wait."""

    title = "Too many requests"
    exit_code = 75

    def __init__(self, after: float, text: str = "") -> None:
        super().__init__(text, hint=f"Wait {after:.0f} s; the console tries again by itself.")
        self.after = after


class Busy(BackendError):
    """A lock is held by somebody else."""

    title = "Busy"
    hint = "Somebody else holds the lock; try again in a moment."
    exit_code = 75


class BadConfig(BackendError):
    """The configuration is wrong. `where` is "file:line" where it is known."""

    title = "Configuration"
    hint = "Correct the file; `deskside where` names it."
    exit_code = 2

    def __init__(self, text: str = "", *, where: str = "", hint: str | None = None) -> None:
        super().__init__(f"{where}: {text}" if where else text, hint=hint)
        self.where = where


class MissingTool(BackendError):
    """A program or library that the adapter needs is not installed; `hint` says how to install it."""

    title = "A program is missing"
    exit_code = 1


class ToolDied(BackendError):
    """A program that worked for us was ended from outside, in the middle."""

    title = "The program was ended"
    hint = "Start it again; look at the locks if it says that it is locked."


class Damaged(BackendError):
    """Stored data can't be read as what it should be."""

    title = "Damaged data"
    hint = "Keep a copy of the file before anything else; `deskside doctor` says more."
    exit_code = 8


class NoSpace(BackendError):
    """The disk is full or can't be written; what was there before is untouched."""

    title = "The disk is full or can't be written"
    hint = "Free some space, then try again; nothing was changed."
    exit_code = 7


class Uncertain(BackendError):
    """It was sent and no answer came: it may or may not have happened. Never repeated by itself."""

    title = "Outcome unknown"
    hint = "Look at the record before you do it again."
    exit_code = 9
