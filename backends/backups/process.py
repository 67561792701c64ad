"""Running a backup program, in this one place: a session of its own, secrets by anonymous pipe, both pipes drained, an end that always comes.

argv only, never a shell. Standard input is closed. A secret is written into a pipe that only the child inherits: it is in no argv,
no environment and no file. Everything here blocks: call it in a thread or in a job's process. Never imports an adapter.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from backends.errors import MissingTool, Refused, Unreachable
from backends.secret import Secret
from backends.text import plain

OUTPUT_LIMIT = 256 * 1024 * 1024
LINE_LIMIT = 1 << 20
ERROR_LINES = 200
SHAPES = 40
CHUNK = 1 << 16
LADDER_SECONDS = (5.0, 5.0, 2.0)
"""How long the first signal, SIGTERM and SIGKILL are waited for."""
RETRIES = 2
"""A tool that said so often that it tries again has not reached its repository."""
_KEPT = ("PATH", "HOME", "SSH_AUTH_SOCK", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR")
_VARYING = re.compile(r"[0-9a-f]{8,}|\d+|\"[^\"]*\"|/\S+")


@dataclass(frozen=True, slots=True)
class Command:
    """A program with all it gets. `secrets` maps a variable to a secret; the child finds the name of a pipe in it.

    `by_number` are the variables that want a bare descriptor number (borg) rather than a path (restic). `first_signal` is what
    the tool takes as "stop, and take your lock with you": SIGINT for restic, SIGTERM for borg.
    """

    argv: tuple[str | bytes, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    by_number: frozenset[str] = frozenset()
    cwd: str | bytes = "/"
    first_signal: int = signal.SIGINT
    patient: bool = False
    """True for long work that may ride out a lost connection; otherwise "retrying" is "can't reach"."""

    @property
    def program(self) -> str:
        """Its name, for messages."""
        return plain(os.path.basename(os.fsencode(self.argv[0])))


class Complaints:
    """What came on standard error: the first 200 lines, how many there were, and how often each kind of line came."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0
        self.retries = 0
        self.shapes: Counter[str] = Counter()

    def add(self, raw: bytes) -> None:
        """One line as it came."""
        if not raw.strip():
            return
        self.count += 1
        if b"retrying after" in raw:
            self.retries += 1
        if len(self.lines) < ERROR_LINES:
            self.lines.append(plain(raw, limit=4000))
        shape = _VARYING.sub("*", plain(raw, limit=200))
        if shape in self.shapes or len(self.shapes) < SHAPES:
            self.shapes[shape] += 1


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended: exit code (negative: by that signal), standard output, the first lines of standard error, cleaned."""

    code: int
    out: bytes = b""
    errors: tuple[str, ...] = ()
    error_count: int = 0
    cancelled: bool = False
    killed: bool = False
    """It had to be killed: a lock may be left."""
    cut: bool = False
    """There was more output than is kept."""

    def said(self) -> str:
        """The last line of standard error that says something."""
        return self.errors[-1][:300] if self.errors else f"exit code {self.code}"


def find_program(program: str, package: str = "") -> str:
    """Its path. MissingTool with the way to install it."""
    path = shutil.which(program)
    if path is None:
        raise MissingTool(
            f"{program} is not installed on this machine",
            hint=f'apt-get install {package or program}; or name it with program = "/path".',
        )
    return path


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    return {**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC", **extra}


Stream = Literal["out", "err"]


class Running:
    """One run of a program. Use it as a context manager: leaving it ends the program whatever it is doing."""

    def __init__(self, command: Command, out: int | None = None) -> None:
        """`out`: a descriptor that gets standard output, which then is not read here."""
        self.command = command
        self._out = out
        self.complaints = Complaints()
        self.cancelled = False
        self.killed = False
        self._queue: queue.Queue[tuple[Stream, list[bytes] | None]] = queue.Queue(64)
        self._discard = threading.Event()
        self._rung = -1
        self._rung_at = 0.0
        self._readers: list[threading.Thread] = []
        """Each closes its own pipe: closed by another, its number may be a new pipe's by the time it is read."""
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        extra = dict(self.command.environment)
        reading: list[int] = []
        try:
            for name, secret in self.command.secrets.items():
                descriptor = _secret_pipe(secret)
                reading.append(descriptor)
                extra[name] = str(descriptor) if name in self.command.by_number else f"/dev/fd/{descriptor}"
            return subprocess.Popen(
                list(self.command.argv), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if self._out is None else self._out,
                stderr=subprocess.PIPE, env=_environment(extra), pass_fds=reading, start_new_session=True, cwd=self.command.cwd, bufsize=0,
            )  # fmt: skip
        except OSError as error:
            raise MissingTool(f"{self.command.program} can't be started: {error.strerror}", hint="Check the program option.") from None
        finally:
            for descriptor in reading:
                os.close(descriptor)

    @property
    def pid(self) -> int:
        """Of the program; also its process group and session."""
        return self._process.pid

    @property
    def code(self) -> int:
        """Exit code; negative when a signal ended it. Only after it ended."""
        code = self._process.poll()
        return -int(signal.SIGKILL) if code is None else code

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *why: object) -> None:
        self._discard.set()
        for number, seconds in zip((self.command.first_signal, signal.SIGTERM, signal.SIGKILL), LADDER_SECONDS, strict=True):
            if self._process.poll() is not None:
                break
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        for pipe in () if self._readers else (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: int) -> None:
        self.killed = self.killed or number == signal.SIGKILL
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    # -- reading ----------------------------------------------------------------------------------------

    def parts(
        self, deadline: float | None, stop: threading.Event | None = None, separator: bytes | None = b"\n", beat: Callable[[], None] | None = None
    ) -> Iterator[tuple[Stream, bytes]]:
        """("out" or "err", line without its end) as they come; raw chunks of "out" when `separator` is None.

        Ends when the program has ended. `beat` is called while nothing comes, ten times a second. `stop` walks the ladder and ends the stream, `cancelled` is then True. Unreachable
        when the deadline (seconds; None = no limit) passed or the tool only tries again and again.
        """
        pipes: list[tuple[Stream, bytes | None]] = [("out", separator)] if self._out is None else []
        pipes.append(("err", b"\n"))
        for stream, cut in pipes:
            self._readers.append(threading.Thread(target=self._read, args=(stream, cut), daemon=True, name=f"{self.command.program} {stream}"))
            self._readers[-1].start()
        ends = None if deadline is None else time.monotonic() + deadline
        opened, quiet = len(pipes), 0.0
        while opened:
            self._watch(stop, ends)
            try:
                stream, lines = self._queue.get(timeout=0.1)
            except queue.Empty:
                quiet += 0.1
                if beat is not None:
                    beat()
                if self._process.poll() is not None and quiet > 2.0:  # a grandchild holds the pipe: nobody writes any more
                    break
                continue
            quiet = 0.0
            if lines is None:
                opened -= 1
                continue
            for line in lines:
                if stream == "err":
                    self.complaints.add(line)
                yield stream, line
        self._wait(stop, ends)
        self._give_up(ends)

    def _wait(self, stop: threading.Event | None, ends: float | None) -> None:
        """It closed its pipes: the end of the process itself, under the same deadline."""
        while self._process.poll() is None and self._rung < 3:
            self._watch(stop, ends)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.1)

    def _watch(self, stop: threading.Event | None, ends: float | None) -> None:
        """Start the ladder when there is a reason, climb it when a rung has had its time."""
        moment = time.monotonic()
        if self._rung < 0:
            if stop is not None and stop.is_set():
                self.cancelled = True
            elif not (ends is not None and moment > ends) and not self._only_retrying():
                return
        elif self._rung < 3 and moment - self._rung_at < LADDER_SECONDS[self._rung]:
            return
        self._rung = min(self._rung + 1, 3)
        self._rung_at = moment
        if self._rung < 3:
            self._signal((self.command.first_signal, signal.SIGTERM, signal.SIGKILL)[self._rung])

    def _only_retrying(self) -> bool:
        return not self.command.patient and self.complaints.retries >= RETRIES

    def _give_up(self, ends: float | None) -> None:
        if self.cancelled or self._rung < 0:
            return
        if self._only_retrying():
            why = next((line for line in self.complaints.lines if "retrying after" in line), "")
            raise Unreachable(f"{self.command.program} can't reach its repository: {why[:300]}", hint="Check the way to it; R tries again.")
        left = "; it had to be killed, a lock may be left behind" if self.killed else ""
        raise Unreachable(f"no answer from the repository in time{left}", hint="Check the way to it; R tries again.")

    def _read(self, stream: Stream, separator: bytes | None) -> None:
        pipe = self._process.stdout if stream == "out" else self._process.stderr
        assert pipe is not None
        lines = Lines(separator) if separator is not None else None
        with pipe:
            while True:
                try:
                    chunk = os.read(pipe.fileno(), CHUNK)
                except OSError:
                    chunk = b""
                found = ([chunk] if chunk else []) if lines is None else lines.feed(chunk) if chunk else lines.rest()
                if found and not self._put((stream, found)):
                    continue
                if not chunk:
                    self._put((stream, None))
                    return

    def _put(self, item: tuple[Stream, list[bytes] | None]) -> bool:
        while not self._discard.is_set():
            try:
                self._queue.put(item, timeout=0.2)
                return True
            except queue.Full:
                continue
        return False


class Lines:
    """Chunks in, lines out. A line longer than 1 MB is cut there and the rest of it dropped."""

    def __init__(self, separator: bytes = b"\n") -> None:
        self._separator = separator
        self._kept = b""
        self._dropping = False
        self.cut = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines this chunk completes."""
        *whole, rest = (self._kept + chunk).split(self._separator)
        if whole and self._dropping:
            self._dropping = False
            del whole[0]
        self._kept = b"" if self._dropping else rest
        if len(rest) > LINE_LIMIT:
            whole.append(rest[:LINE_LIMIT])
            self._kept, self._dropping = b"", True
            self.cut += 1
        return [line[:LINE_LIMIT] for line in whole]

    def rest(self) -> list[bytes]:
        """A last line without its end."""
        kept, self._kept = self._kept, b""
        return [kept] if kept and not self._dropping else []


def _secret_pipe(secret: Secret) -> int:
    """The reading end of a pipe that holds the secret and a line end."""
    raw = secret.reveal().encode() + b"\n"
    if len(raw) > 32768:
        raise Refused("the password is longer than 32 KB: that is no password", hint="Check what the password option refers to.")
    reading, writing = os.pipe()
    try:
        os.write(writing, raw)
    finally:
        os.close(writing)
    return reading


def run_program(command: Command, deadline: float | None, stop: threading.Event | None = None, limit: int = OUTPUT_LIMIT) -> Ran:
    """Run it to its end and keep what it printed, up to `limit` bytes. Unreachable when the deadline passed."""
    kept: list[bytes] = []
    size, cut = 0, False
    with Running(command) as running:
        for stream, part in running.parts(deadline, stop, None):
            if stream == "out":
                room = max(0, limit - size)
                cut = cut or len(part) > room
                kept.append(part[:room])
                size += min(len(part), room)
                if cut and limit < OUTPUT_LIMIT:  # enough of a preview: the rest need not be fetched
                    break
        complaints = running.complaints
    return Ran(
        running.code, b"".join(kept), tuple(complaints.lines), complaints.count, running.cancelled, running.killed, cut,
    )  # fmt: skip
