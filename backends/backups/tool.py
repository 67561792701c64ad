"""Running a backup program: argv only, password through an anonymous pipe, a clean environment, a deadline, capped output."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.errors import MissingTool, Unreachable
from backends.secret import Secret
from backends.text import plain

OUTPUT_LIMIT = 256 * 1024 * 1024
ERROR_LINES = 200


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: exit code, standard output in bytes, the first lines of standard error, cleaned."""

    code: int
    out: bytes
    errors: tuple[str, ...]

    def said(self) -> str:
        """The last line of standard error."""
        return self.errors[-1][:300] if self.errors else f"exit code {self.code}"


def find_program(program: str) -> str:
    """Its path. MissingTool with the way to install it."""
    path = shutil.which(program)
    if path is None:
        raise MissingTool(
            f"{program} is not installed on this machine", hint=f'apt-get install {program}; or name it with program = "/path".'
        )
    return path


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "SSH_AUTH_SOCK", "TMPDIR", "XDG_CACHE_HOME")}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", **extra}


def run_program(
    argv: Sequence[str | bytes], password: Secret | None, environment: Mapping[str, str], deadline: float, limit: int = OUTPUT_LIMIT
) -> Ran:
    """Run it to its end. Unreachable when the deadline passed: interrupted, then killed. Blocking: call it in a thread."""
    descriptors: list[int] = []
    extra = dict(environment)
    if password is not None:
        reading, writing = os.pipe()
        os.write(writing, password.reveal().encode() + b"\n")
        os.close(writing)
        descriptors.append(reading)
        extra["RESTIC_PASSWORD_FILE"] = f"/dev/fd/{reading}"
    try:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_environment(extra), pass_fds=descriptors,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    except OSError as error:
        raise MissingTool(f"{plain(os.fsencode(argv[0]))} can't be started: {error.strerror}") from None
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    try:
        out, errors = process.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        _end(process)
        raise Unreachable(f"no answer from the repository within {deadline:g} s", hint="Check the way to it; R tries again.") from None
    lines = [plain(line) for line in errors.splitlines()[:ERROR_LINES] if line.strip()]
    return Ran(process.returncode, out[:limit], tuple(lines))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt (it removes its lock), wait, kill."""
    for number, seconds in ((signal.SIGINT, 3.0), (signal.SIGKILL, 2.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.communicate(timeout=seconds)
            return
        except subprocess.TimeoutExpired:
            continue
