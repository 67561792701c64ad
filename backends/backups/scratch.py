"""Private folders of this session for what has file names in it. Those that a killed console left are taken away by the next one."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

LASTING = "/var/tmp"
MOUNTS = "/proc/self/mounts"


def private_folder(kind: str, place: Path) -> Path:
    """A new one."""
    for left in place.glob(f"deskside-{kind}-*-*"):
        pid = left.name.split("-")[2]
        with contextlib.suppress(OSError):
            if pid.isdigit() and left.lstat().st_uid == os.getuid() and not os.path.exists(f"/proc/{pid}"):
                shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"deskside-{kind}-{os.getpid()}-", dir=place))


@contextlib.contextmanager
def passing_folder(kind: str) -> Iterator[str]:
    """One on a disk, which goes when it is left."""
    folder = private_folder(kind, on_disk())
    try:
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_memory() -> Path:
    """The user's run-time folder, where there is one."""
    base = os.environ.get("XDG_RUNTIME_DIR") or ""
    return Path(base if base and os.access(base, os.W_OK) else tempfile.gettempdir())


def on_disk() -> Path:
    """The folder for temporary files; where that is memory and nobody chose it, the one that outlasts a start."""
    usual = Path(tempfile.gettempdir())
    chosen = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    return Path(LASTING) if not chosen and _is_memory(usual) and os.access(LASTING, os.W_OK | os.X_OK) else usual


def _is_memory(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        device = folder.stat().st_dev
        for line in Path(MOUNTS).read_text("utf-8", "surrogateescape").splitlines():
            _, place, kind, *_ = line.split(" ")
            with contextlib.suppress(OSError):
                if kind in ("tmpfs", "ramfs") and os.stat(place).st_dev == device:
                    return True
    return False
