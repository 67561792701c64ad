"""Two restores to one place exclude each other (R16): a lock a target, held by the process, found by whoever overlaps it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from backends.errors import Busy
from backends.restore.folders import shown
from backends.restore.places import inside


@contextlib.contextmanager
def exclusive(base: Path, targets: Sequence[bytes], host: str, run: str) -> Iterator[None]:
    """Hold all `targets` on `host`. Busy when another restore holds one of them, a folder above, or something in it."""
    folder = base / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o770)
    held: list[int] = []
    gate = os.open(folder / "gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        _refuse_overlap(folder, targets, host)
        for target in targets:
            held.append(_hold(folder, target, host, run))
    finally:
        os.close(gate)
        if len(held) < len(targets):
            _release(held)
    try:
        yield
    finally:
        _release(held)


def _hold(folder: Path, target: bytes, host: str, run: str) -> int:
    name = hashlib.sha256(host.encode() + b"\0" + target).hexdigest()[:32]
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"\0".join((host.encode(), target, run.encode())), 0)
    return descriptor


def _refuse_overlap(folder: Path, targets: Sequence[bytes], host: str) -> None:
    for path in folder.glob("*.lock"):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)  # nobody holds it: its process is gone
        except BlockingIOError:
            there, other, run = (os.pread(descriptor, 1 << 16, 0).split(b"\0") + [b"", b"", b""])[:3]
            if there == host.encode() and any(inside(target, other) or inside(other, target) for target in targets):
                raise Busy(f"restore {run.decode()} is writing to {shown(other)}", hint="Wait for it, or cancel it.") from None
        finally:
            os.close(descriptor)


def _release(held: list[int]) -> None:
    while held:
        with contextlib.suppress(OSError):
            os.close(held.pop())
