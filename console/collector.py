"""The collector: one process a host, elected by a lock, that polls every backend and publishes what it found. Never imports textual.

Any console starts it, at its own start and whenever none is there; it ends itself when nobody looks any more, and begins anew when its
configuration is another. A hung backend only makes its own values old.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backends.errors import BackendError
from console.alerting import DeviceAlerts
from console.config import BackendConfig, Config, load_config
from console.desk import Desk
from console.live import SourceState
from console.people import whoami

IDLE_SECONDS = 90.0
"""Without a touched seat for this long it ends."""
BEAT_EVERY = 5.0
WATCH_EVERY = 20.0
WORST_PAUSE = 300.0


def lock_path(config: Config) -> Path:
    """The lock whose holder is the collector."""
    return config.data / "collector.lock"


def ensure_collector(config: Config) -> None:
    """Start one when none runs. Cheap when one does; two at once settle it by the lock."""
    config.data.mkdir(parents=True, exist_ok=True)
    lock = _take(lock_path(config))
    if lock is None:
        return
    os.close(lock)
    home = str(Path(__file__).parent.parent)
    script = f"import sys; sys.path.insert(0, {home!r}); from console.collector import main; raise SystemExit(main({config.files!r}, {str(config.data)!r}))"
    with open(os.devnull, "ab") as nothing:
        subprocess.Popen([sys.executable, "-I", "-c", script, "deskside-collector"], stdin=subprocess.DEVNULL, stdout=nothing, stderr=nothing,
                         start_new_session=True, close_fds=True, cwd="/")  # fmt: skip


async def watch_collector(config: Config) -> None:
    """For as long as a console runs: one that was killed is started again."""
    from backends.threads import in_thread

    while True:
        await asyncio.sleep(WATCH_EVERY)
        with contextlib.suppress(BackendError, OSError):
            await in_thread(10.0, ensure_collector, config)


def _take(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def main(files: Sequence[str], data: str) -> int:
    """Run it: 0 when it ended by itself, 75 when another one runs."""
    os.umask(0o007)
    return run(load_config([Path(file) for file in files], Path(data)))


def run(config: Config, forever: bool = False) -> int:
    """As `main`, with a configuration at hand."""
    config.data.mkdir(parents=True, exist_ok=True)
    lock = _take(lock_path(config))
    if lock is None:
        return 75
    collector = Collector(config, forever)
    asyncio.run(collector.run())
    if collector.anew:
        os.execv(sys.executable, sys.orig_argv)  # the lock goes with the old program; whoever takes it first collects
    os._exit(0)  # threads of hung servers are not waited for


Print = tuple[tuple[str, int, int], ...]
"""(file, time in ns, size) of each file that was read."""


def print_of(config: Config) -> Print:
    """By what it is seen that a configuration was changed."""
    found = []
    for file in config.sources:
        with contextlib.suppress(OSError):
            about = file.stat()
            found.append((str(file), about.st_mtime_ns, about.st_size))
    return tuple(found)


class Collector:
    """Polls each backend on its own beat; failures slow it down, up to five minutes."""

    def __init__(self, config: Config, forever: bool = False) -> None:
        self._desk = Desk(config, whoami(config.roles))
        self._desk.poll_directly = True
        self._forever = forever
        self._ended = asyncio.Event()
        self._wanted: dict[tuple[str, str], asyncio.Event] = {}
        self._read = print_of(config)
        self.anew = False
        """It ended because its configuration is another."""

    async def run(self) -> None:
        """Until nobody looks, or SIGTERM."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        tasks = [asyncio.create_task(self._follow(item)) for item in self._desk.config.backends]
        tasks.append(asyncio.create_task(self._beat()))
        alerts = DeviceAlerts(self._desk)
        if alerts.wanted():
            tasks.append(asyncio.create_task(alerts.run()))
        await self._ended.wait()
        for task in tasks:
            task.cancel()

    async def _beat(self) -> None:
        live, started = self._desk.live, time.time()
        touched, quiet_since = live.touched(), time.monotonic()
        round_ = 0
        while True:
            live.beat(os.getpid(), os.uname().nodename, started)
            for key in live.take_wanted():
                if key in self._wanted:
                    self._wanted[key].set()
            now_touched = live.touched()
            if now_touched != touched:
                touched, quiet_since = now_touched, time.monotonic()
            await self._carry_off()
            self._look_at_configuration()
            if not self._forever and time.monotonic() - quiet_since > IDLE_SECONDS:
                self._ended.set()
            round_ += 1
            if round_ % 120 == 0:
                live.tidy()
            await asyncio.sleep(BEAT_EVERY if round_ > 1 else 1.0)

    def _look_at_configuration(self) -> None:
        """Begin anew with another one that can be read; with a broken one what is there goes on."""
        now = print_of(self._desk.config)
        if now == self._read:
            return
        self._read = now
        config = self._desk.config
        try:
            load_config(config.sources, config.data)
        except BackendError:
            return
        self.anew = True
        self._ended.set()

    async def _carry_off(self) -> None:
        from backends.threads import in_thread

        try:
            problem = await in_thread(10.0, self._desk.forwarder.run)
        except BackendError as error:
            problem = error.sentence()
        state: Any = "stale" if problem else "ok"
        self._desk.live.note_source(SourceState("ledger", "syslog", state, problem, time.time(), time.time(), BEAT_EVERY, 0.0, 1 if problem else 0))

    async def _follow(self, item: BackendConfig) -> None:
        """One backend, for ever: open, poll, publish, wait."""
        wanted = self._wanted.setdefault((item.domain, item.name), asyncio.Event())
        failures, good = 0, 0.0
        while True:
            started, error, every = time.monotonic(), "", 60.0
            try:
                backend = await self._desk.backend(item.domain, item.name)
                if not hasattr(backend, "poll"):
                    return
                every = float(backend.poll_every)
                await self._poll(item, backend, every)
                failures, good = 0, time.time()
            except BackendError as caught:
                failures, error = failures + 1, f"{caught.title.lower()}: {caught.text}"
            except TimeoutError:
                failures, error = failures + 1, "no answer in time"
            except Exception as caught:  # noqa: BLE001 - one adapter's fault must not stop the others
                failures, error = failures + 1, f"failed inside the adapter ({type(caught).__name__})"
            if error:
                self._desk.live.mark_stale(item.domain, item.name, error)
            took = time.monotonic() - started
            state: Any = "stale" if error else "ok"
            self._desk.live.note_source(SourceState(item.domain, item.name, state, error, good, time.time(), every, took, failures))
            pause = min(WORST_PAUSE, every * 2 ** min(failures, 6)) if failures else every
            wanted.clear()
            try:
                await asyncio.wait_for(wanted.wait(), max(0.5, pause * random.uniform(0.95, 1.05) - took))
            except TimeoutError:
                continue

    async def _poll(self, item: BackendConfig, backend: Any, every: float) -> None:
        deadline = float(getattr(backend, "poll_deadline", min(120.0, max(10.0, 2 * every))))
        polled = await asyncio.wait_for(backend.poll(), deadline)
        live = self._desk.live
        live.publish_poll(item.domain, item.name, polled, source="collector", partial=bool(getattr(backend, "poll_partial", False)))
        at = time.time()
        points = [
            (f"{item.domain}:{item.name}:{one.key}", name, one.at or at, value) for one in polled for name, value in one.metrics.items()
        ]
        if points:
            live.record_many(points)
