"""`ResticProgram`: restic's argv, versions and errors. Never imports an adapter."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from backends.backups.process import Command, find_program, run_program
from backends.backups.program import BackupProgram
from backends.backups.tools import Capabilities
from backends.errors import AuthFailed, BackendError, Busy, Damaged, Invalid, NoSpace, NotFound, ToolDied, Unreachable, Unsupported
from backends.text import clean

OLDEST = (0, 14)
SINCE: tuple[tuple[tuple[int, int], str, str], ...] = (
    ((0, 15), "diff-json", "differences with bytes"),
    ((0, 16), "subfolder", "restoring a folder without touching its parents' metadata"),
    ((0, 16), "restore-json", "progress of a restore"),
    ((0, 16), "inodes", "hard links told apart in listings"),
    ((0, 17), "restore-dry", "comparing files with a snapshot without fetching them"),
    ((0, 17), "summary", "sizes and file counts of snapshots"),
    ((0, 17), "exit-codes", "exit codes that say what failed"),
    ((0, 17), "tree-path", "reading exact names in one call"),
    ((0, 18), "check-json", "results of a check in a stable form"),
)
"""First version, capability, what is missing below it."""


def restic_capabilities(version: tuple[int, ...]) -> Capabilities:
    """By version alone; nothing is probed by failing."""
    has = frozenset(name for first, name, _ in SINCE if version[:2] >= first)
    missing = tuple(f"{words} (from restic {first[0]}.{first[1]} on)" for first, name, words in SINCE if name not in has)
    return Capabilities(version, has, missing)


def quoted(path: bytes) -> bytes:
    """A path as a pattern that matches only itself."""
    return re.sub(rb"([\\*?\[])", rb"\\\1", path)


def go_text(raw: bytes) -> str:
    """Bytes as Go prints them in JSON: each byte that is no UTF-8 becomes one U+FFFD."""
    return re.sub("[\udc80-\udcff]", "\ufffd", raw.decode("utf-8", "surrogateescape"))


def is_retry(text: str) -> bool:
    """Whether a line only says that something is tried again, or went well when it was."""
    return "retrying after" in text or ("successful after" in text and "retries" in text)


def message(line: str) -> str:
    """The words of a line of standard error: of its JSON where it is JSON."""
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return line
        if isinstance(found, dict):
            inner = found.get("error")
            text = str(found.get("message") or (inner.get("message") if isinstance(inner, dict) else inner) or line)
            item = str(found.get("item") or "")
            return clean(f"{item}: {text}" if item and item not in text else text).strip()
    return line


class ResticProgram(BackupProgram):
    """One repository and how restic is called for it."""

    name: ClassVar[str] = "restic"
    package: ClassVar[str] = "restic"
    forgets_in_groups: ClassVar[str] = "host and paths"
    forgotten_words: ClassVar[str] = "the data stays until a prune; until then `restic recover` can bring it back"

    def __init__(self, options: Mapping[str, Any], cache: str) -> None:
        super().__init__(options)
        self._cache = cache
        self._extra = [word for option in options.get("options") or () for word in ("-o", str(option))]

    @property
    def local(self) -> bool:
        """Whether the repository lies in a folder of this machine: it can't be unreachable."""
        return re.match(r"(sftp|rest|s3|b2|azure|gs|swift|rclone):", self._address.reveal()) is None

    def open(self) -> None:
        """Find the program and its version."""
        self._path = find_program(self.program, self.package)
        ran = run_program(Command((self._path, "version")), 10.0)
        found = re.match(rb"restic (\d+)\.(\d+)(?:\.(\d+))?", ran.out)
        if not found:
            raise BackendError(
                f"{self.program} does not say its version", title="Not restic", hint='Name the program with program = "/path/to/restic".'
            )
        self.capabilities = restic_capabilities(tuple(int(part or 0) for part in found.groups()))
        if self.capabilities.version[:2] < OLDEST:
            raise Unsupported("version", f"restic {self.capabilities.words} is too old, 0.14 is needed", hint="Install a newer restic.")

    def close(self) -> None:
        """Nothing is kept for the session."""

    def command(self, *words: str | bytes, patient: bool = False, frames: int = 1) -> Command:
        """restic with these words. The address may hold a password, so it goes through a pipe as the password does."""
        secrets = {"RESTIC_REPOSITORY_FILE": self._address}
        if self._password is not None:
            secrets["RESTIC_PASSWORD_FILE"] = self._password
        environment = {"RESTIC_PROGRESS_FPS": str(frames), **({"RESTIC_CACHE_DIR": self._cache} if self._cache else {})}
        path = self._path or find_program(self.program, self.package)
        return Command((path, *self._extra, *words), environment, secrets, patient=patient, first_signal=signal.SIGINT)

    def is_warning(self, code: int, errors: Sequence[str]) -> bool:
        """Done, but not everything could be read."""
        return code == 3

    def failure(self, code: int, errors: Sequence[str]) -> BackendError:
        """What an exit code and standard error mean. Unknown ones are failures with their text kept."""
        words = [message(line) for line in errors]
        said = " ".join(words)
        last = _held(said) or (words[-1][:300] if words else f"exit code {code}")
        where = self.location()
        for test, make in _FAILURES if 0 <= code != 130 else ():
            if test(code, said):
                made: BackendError = make(where, last)
                return made
        if code < 0 or code == 130:
            return ToolDied(f"restic was ended by {_signal_name(-code) if code < 0 else 'a signal'}", title="restic died", hint="Look at the locks, then try again.")
        return BackendError(f"{where}: {last}", title="restic failed", hint="Run the same by hand to see more.")


def _held(said: str) -> str:
    """Who holds the repository since when, in restic's words, without its advice to unlock it by hand."""
    held = re.search(r"already locked.*? by PID \d+ on .*?(?: \(UID \d+, GID \d+\)|(?= lock was| storage)|$)", said)
    since = re.search(r"lock was created at (\d{4}-\d\d-\d\d \d\d:\d\d)", said)
    return held.group(0) + (f", since {since.group(1)} UTC" if since else "") if held else ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _any(*parts: str) -> Any:
    return lambda code, said: any(part in said for part in parts)


_FAILURES: tuple[tuple[Any, Any], ...] = (
    (
        lambda code, said: code == 12 or "wrong password" in said,
        lambda where, last: AuthFailed(f"the password does not open {where}", hint="Check what the password option refers to."),
    ),
    (
        lambda code, said: code == 11 or "already locked" in said,
        lambda where, last: Busy(f"{where}: {last}", hint="The view of the repository, and `deskside backups locks`, say who holds it; a lock that is proven stale goes with K, or `deskside backups unlock`."),
    ),
    (
        _any("connection refused", "connection lost", "no such host", "timed out", "unexpected EOF", "ssh:", "dial ", "i/o timeout", "subprocess ssh", "sftp session"),
        lambda where, last: Unreachable(f"{where}: {last}"),
    ),
    (  # before "retrying": a file of the repository that is missing is tried again too
        _any("repository contains errors", "not found in repository"),
        lambda where, last: Damaged(f"{where}: {last}", hint="Run `deskside backups check` before anything else."),
    ),
    (_any("retrying after"), lambda where, last: Unreachable(f"{where}: {last}")),
    (_any("no space left", "disk quota"), lambda where, last: NoSpace(f"{where}: {last}")),
    (_any("unknown flag", "unknown command"), lambda where, last: Unsupported("version", last, hint="This restic is too old or too new for it.")),
    (_any("ambiguous", "multiple IDs"), lambda where, last: Invalid(last)),
    (_any("no matching ID found", "cannot find file", "path not found"), lambda where, last: NotFound(last)),
    (
        lambda code, said: re.search(r"failed to find snapshot.*(no such file|does not exist|not found|404)|^path [^:]+: not (found|a directory)", said) is not None,
        lambda where, last: NotFound(f"{where}: {last}", hint="Choose the snapshot again: it was forgotten, or the path is not in it."),
    ),
    (
        lambda code, said: code == 10
        or any(part in said for part in ("Is there a repository at", "repository does not exist", "unable to open config file")),
        lambda where, last: NotFound(f"there is no restic repository at {where}", hint="Check the address; `restic init` makes a new one."),
    ),
    (
        _any("ciphertext verification failed", "invalid data returned", "damaged", "corrupt", "does not match", "load"),
        lambda where, last: Damaged(f"{where}: {last}", hint="Run `deskside backups check` before anything else."),
    ),
)
"""In this order: the first that fits says what it was."""
