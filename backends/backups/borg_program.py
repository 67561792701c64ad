"""`BorgProgram`: borg's argv, versions, exit codes and messages. Never imports an adapter."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from backends.backups.process import Command, find_program, run_program
from backends.backups.program import BackupProgram
from backends.backups.tools import Capabilities
from backends.errors import AuthFailed, BackendError, Busy, Damaged, NoSpace, NotFound, Refused, ToolDied, Unreachable, Unsupported
from backends.secret import Secret
from backends.text import clean

OLDEST = (1, 2)
TOO_NEW = (2, 0)
WARNINGS = range(100, 128)
"""Modern exit codes of warnings (1.4 on). Legacy: 1."""


RAISED = re.compile(r"(?:[a-z_]+\.)*[A-Z]\w*(?:Error|Exception|NotFound|DoesNotExist)\b")
"""The line of a traceback that says what it was."""


def borg_capabilities(version: tuple[int, ...]) -> Capabilities:
    """By version alone."""
    has = {"exit-codes"} if version[:2] >= (1, 4) else set()
    has |= {"safe-parents"} if version[:3] >= (1, 4, 5) else set()
    missing = [*([] if "exit-codes" in has else ["exit codes that say what failed (from borg 1.4 on)"])]
    missing += [*([] if "safe-parents" in has else ["refusing symbolic links among the parents of what is extracted (from borg 1.4.5 on)"])]
    missing += ["one folder of an archive without reading all of its metadata", "checking a share of the data"]
    return Capabilities(version, frozenset(has), tuple(missing))


def log_line(line: bytes | str) -> dict[str, Any]:
    """A line of --log-json, or what came in plain text as a message of its own."""
    text = line if isinstance(line, str) else line.decode("utf-8", "replace")
    prompt, found_at, rest = text.partition('{"type": "log_message"')
    text = found_at + rest if found_at and not prompt.startswith("{") else text  # a question has no line end
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
    return {"type": "plain", "message": text.rstrip(), "levelname": "ERROR"}


def complaint(item: Mapping[str, Any]) -> str:
    """The words of a warning or error, "" for anything else. One line: a traceback is cut to its last."""
    if item.get("type") not in ("log_message", "plain") or item.get("levelname") not in ("WARNING", "ERROR", "CRITICAL"):
        return ""
    words = [line.strip() for line in str(item.get("message", "")).split("\n") if line.strip()]
    raised = [line for line in words if RAISED.match(line)]
    if raised and "Traceback (most recent call last):" in words:
        return clean(raised[-1])[:500]
    return clean(words[0] if len(words) == 1 or not words else f"{words[0]} {words[-1]}")[:500] if words else ""


def is_note(item: Mapping[str, Any]) -> bool:
    """borg warns of its own housekeeping (1.4.5: "Replaying segments"): nothing is wrong with what was asked for."""
    return item.get("levelname") == "WARNING" and item.get("name") in ("borg.repository", "borg.cache")


class BorgProgram(BackupProgram):
    """One repository and how borg is called for it."""

    name: ClassVar[str] = "borg"
    package: ClassVar[str] = "borgbackup"
    forgets_in_groups: ClassVar[str] = "archive name without its date"
    forgotten_words: ClassVar[str] = "an archive that was deleted can't be brought back"

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._rsh = str(options.get("rsh") or "")
        self._remote = str(options.get("remote_path") or "")

    def use_password(self, password: Secret | None) -> None:
        """One that was found only now."""
        self._password = password

    @property
    def local(self) -> str:
        """The repository's folder, "" when it is on another machine."""
        plain = self._address.reveal().removeprefix("file://")
        return plain if plain.startswith("/") and "::" not in plain else ""

    def open(self) -> None:
        """Find the program and its version."""
        self._path = find_program(self.program, self.package)
        ran = run_program(Command((self._path, "--version"), first_signal=signal.SIGTERM), 15.0)
        found = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", ran.out)
        if not found or ran.code != 0:
            raise BackendError(
                f"{self.program} does not say its version", title="Not borg", hint='Name the program with program = "/path/to/borg".'
            )
        version = tuple(int(part or 0) for part in found.groups())
        if version[:2] < OLDEST or version >= TOO_NEW:
            words = ".".join(map(str, version))
            raise Unsupported("version", f"borg {words} can't be used, 1.2 or 1.4 is needed", hint="Install borg 1.4.")
        self.capabilities = borg_capabilities(version)

    def command(self, *words: str | bytes, cwd: str | bytes = "/", patient: bool = False) -> Command:
        """borg with these words; the repository is in BORG_REPO, "::" stands for it."""
        environment = {"BORG_REPO": self._address.reveal(), "BORG_EXIT_CODES": "modern", "BORG_DISPLAY_PASSPHRASE": "no"}
        secrets = {}
        if self._password is not None:
            secrets["BORG_PASSPHRASE_FD"] = self._password
        else:
            environment["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] = "yes"
        if self._rsh:
            environment["BORG_RSH"] = self._rsh
        if self._remote:
            environment["BORG_REMOTE_PATH"] = self._remote
        path = self._path or find_program(self.program, self.package)
        return Command(
            (path, "--log-json", *words), environment, secrets, frozenset(("BORG_PASSPHRASE_FD",)), cwd, signal.SIGTERM, patient,
        )  # fmt: skip

    def is_warning(self, code: int, errors: Sequence[str]) -> bool:
        """Done, but not everything."""
        return (code == 1 or code in WARNINGS) and not signal_of(code, errors)

    def failure(self, code: int, errors: Sequence[str]) -> BackendError:
        """By msgid first, then by exit code, then by words. Unknown ones are failures with their text kept."""
        items = [log_line(line) for line in errors]
        idents = [str(item.get("msgid", "")) for item in items if item.get("type") in ("log_message", "question_prompt")]
        words = [text for text in map(complaint, items) if text]
        said = " ".join(words)
        last = words[-1][:300] if words else f"exit code {code}"
        if "FileNotFoundError" in said and self.local and f"{self.local.rstrip('/')}/data/" in said:
            idents.append("IntegrityError")  # a segment is gone: borg has no word of its own for it
        for prefixes, codes, parts, make in _FAILURES:
            if code in codes or any(ident.startswith(prefixes) for ident in idents if ident) or any(part in said for part in parts):
                made: BackendError = make(self.location(), last)
                return made
        if ended := signal_of(code, errors):
            return ToolDied(f"borg was ended by signal {ended}", title="borg died", hint="Look at the locks, then try again.")
        return BackendError(f"{self.location()}: {last}", title="borg failed", hint="Run the same by hand to see more.")


_ENDED = {
    "KeyboardInterrupt": signal.SIGINT, "borg.helpers.process.SigInt": signal.SIGINT, "borg.helpers.process.SigTerm": signal.SIGTERM,
    "borg.helpers.process.SigHup": signal.SIGHUP,
}  # fmt: skip


def signal_of(code: int, errors: Sequence[str]) -> int:
    """The signal it was ended by, 0 when by none: while it is being loaded or leaves, it dies of an exception, with the exit code 1 or 2 of others."""
    if code < 0 or code > 128:
        return -code if code < 0 else code - 128
    last = errors[-1] if errors and code in (1, 2) else ""
    return next((int(number) for name, number in _ENDED.items() if last.startswith(name)), 0)


_FAILURES: tuple[tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...], Any], ...] = (
    (
        ("Passphrase", "Passcommand", "NoPassphrase"), (50, 51, 52), ("passphrase supplied",),
        lambda where, last: AuthFailed(f"the password does not open {where}", hint="Check what the password option refers to."),
    ),
    (
        ("Lock",), (70, 71, 72, 73, 74, 75), ("Failed to create/acquire the lock",),
        lambda where, last: Busy(f"{where}: {last}", hint="`deskside backups locks` says who holds it and whether it is stale."),
    ),
    (
        ("Archive.DoesNotExist",), (31,), (), lambda where, last: NotFound(last),
    ),
    (
        ("Repository.DoesNotExist", "Repository.InvalidRepository", "Repository.ParentPathDoesNotExist"), (13, 15, 18), ("is not a valid repository",),
        lambda where, last: NotFound(f"there is no borg repository at {where}", hint="Check the address; `borg init` makes a new one."),
    ),
    (
        ("ConnectionClosed", "Connection"), (80, 81, 82, 83), ("Connection closed by remote host", "Connection refused", "ssh: connect"),
        lambda where, last: Unreachable(f"{where}: {last}"),
    ),
    (
        ("Cache.RepositoryAccessAborted", "Cache.RepositoryIDNotUnique", "Cache.EncryptionMethodMismatch", "BORG_"), (60, 61, 62, 63, 64), (),
        lambda where, last: Refused(f"{where}: {last}", hint="Open it once with borg by hand and answer its question."),
    ),
    (("NoSpace",), (), ("No space left on device", "Disk quota exceeded"), lambda where, last: NoSpace(f"{where}: {last}")),
    (
        ("IntegrityError", "Repository.CheckNeeded", "Repository.ObjectNotFound", "DecompressionError", "Manifest"), (12, 17, 90, 91, 92, 96, 97), ("IntegrityError",),
        lambda where, last: Damaged(f"{where}: {last}", hint="Run `deskside backups check` before anything else."),
    ),
    (("ExtensionModuleError",), (), (), lambda where, last: Unsupported("version", last, hint="This borg is not whole: install it again.")),
)  # fmt: skip
"""(msgid prefixes, modern exit codes, words, error): the first that fits."""
