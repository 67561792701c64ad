"""What calling restic and calling borg have in common: a retention and a job's scope as options, the address without its password."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from backends.backups.borg_program import is_note, signal_of
from backends.backups.borg_tool import BorgTool
from backends.backups.borg_work import _keep_words
from backends.backups.model import BackupJob
from backends.backups.program import keep_words, scope_words
from backends.backups.restic_tool import ResticTool
from backends.backups.restic_work import WITHIN
from backends.errors import Invalid, ToolDied


def test_a_retention_as_each_program_takes_it() -> None:
    assert keep_words({"daily": 7, "within": "1y2m"}, WITHIN, "14d") == ["--keep-daily", "7", "--keep-within", "1y2m"]
    assert _keep_words({"hourly": 24, "within": "48h"}) == ["--keep-hourly", "24", "--keep-within", "48H"], "borg's hours are a capital H"


@pytest.mark.parametrize("keep", [{}, {"never": 1}, {"daily": 0}, {"daily": "7; rm"}, {"within": "soon"}, {"daily": "1d"}, {"within": "--help"}])
def test_a_retention_that_would_keep_nothing_is_refused(keep: Mapping[str, str | int]) -> None:
    with pytest.raises(Invalid):
        keep_words(keep, WITHIN, "14d")
    with pytest.raises(Invalid):
        _keep_words(keep)


def test_what_a_job_leaves_out() -> None:
    assert scope_words(BackupJob("a", ("/x",), ("*.tmp", "b"), one_file_system=True)) == ["--exclude", "*.tmp", "--exclude", "b", "--one-file-system"]
    assert scope_words(BackupJob("a", ("/x",), exclude_caches=True)) == ["--exclude-caches"] and scope_words(BackupJob("a")) == []


def test_an_address_is_shown_without_its_password() -> None:
    for tool in (ResticTool({"repository": "rest:https://me:hunter2@host/"}, ""), BorgTool({"repository": "ssh://me:hunter2@host/./r"})):
        assert "hunter2" not in tool.location() and "me:***@host" in tool.location()
        assert not any("hunter2" in str(word) for word in vars(tool).values())


@pytest.mark.parametrize(("code", "last", "number"), [
    (-15, "", 15), (143, "", 15), (1, "borg.helpers.process.SigTerm", 15), (1, "KeyboardInterrupt", 2), (2, "KeyboardInterrupt", 2), (1, "x: permission denied", 0), (2, "", 0), (0, "", 0),
])  # fmt: skip
def test_a_borg_that_was_ended_is_no_borg_that_warns(code: int, last: str, number: int) -> None:
    """Hit while Python loads it, it ends with 1 or 2 and the name of an exception (seen with 1.4.0)."""
    tool, said = BorgTool({"repository": "/r"}), ["Traceback (most recent call last):", last] if last else []
    assert signal_of(code, said) == number
    assert isinstance(tool.failure(code, said), ToolDied) is bool(number)
    assert tool.is_warning(code, said) is (code == 1 and not number)


def test_housekeeping_is_no_complaint_of_the_work() -> None:
    """borg 1.4.5 says this with exit code 0 when it makes its index anew."""
    said = {"type": "log_message", "message": "Replaying segments. Please wait, this can take a while...", "levelname": "WARNING", "name": "borg.repository"}
    assert is_note(said) and not is_note({**said, "name": "borg.archiver"}) and not is_note({**said, "levelname": "ERROR"})
