"""A county for the terminal tests, prepared once, and consoles on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminal.harness import Terminal

ROOT = Path(__file__).parent.parent.parent
DESKSIDE = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); from console.__main__ import main; raise SystemExit(main())"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """A terminal of today, and a home of its own."""
    return {
        "PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **more,
    }  # fmt: skip


@pytest.fixture(scope="session")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a demo county of 2,000 tickets."""
    place = tmp_path_factory.mktemp("county")
    argv = [*DESKSIDE, "demo", "--prepare", "--folder", str(place / "c"), "--tickets", "2000", "--devices", "300", "--people", "150"]
    subprocess.run(argv, check=True, env=environment(place), capture_output=True, timeout=120)
    return place / "c"


@pytest.fixture
def console(county: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Opens consoles on a copy of the county; all are closed at the end."""
    opened: list[Terminal] = []
    place = tmp_path / "c"
    shutil.copytree(county, place)

    def start(*words: str, columns: int = 120, lines: int = 40, **more: str) -> Terminal:
        argv = [*DESKSIDE, "--config", str(place / "config.toml"), "--data", str(place / "data"), *words]
        terminal = Terminal(argv, environment(tmp_path, **more), columns, lines)
        opened.append(terminal)
        return terminal

    yield start
    for terminal in opened:
        terminal.close()
