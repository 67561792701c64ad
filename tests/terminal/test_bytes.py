"""What goes over the wire, on a real pseudo-terminal of 120x40: budgets in bytes, so that a slow line stays usable."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.terminal.harness import Terminal

Console = Callable[..., Terminal]
CURSOR, PAGE_STEP, CHANGED_ROW, CONFIRMATION, TICK, START = 520, 9000, 520, 3000, 2000, 45_000


@pytest.fixture
def desk(console: Console) -> Terminal:
    terminal = console()
    terminal.wait_for("Accounts 150")
    terminal.wait_for("T-")
    terminal.settle(1.2)
    return terminal


def test_the_start_and_then_nothing(desk: Terminal) -> None:
    assert len(desk.raw) <= START
    before = desk.text()
    sent = desk.read(quiet=4.0, longest=4.0)
    assert sent == 0 or before != desk.text(), f"{sent} bytes though nothing changed"


def test_the_cursor_and_leaving_the_page_turns_it_once(desk: Terminal) -> None:
    sizes = []
    for _ in range(10):
        desk.send("j")
        sizes.append(desk.read(quiet=0.15))
    assert 0 < max(sizes) <= CURSOR, sizes
    for _ in range(30):
        desk.send("j")
        sizes.append(desk.read(quiet=0.1))
    turned = [size for size in sizes if size > CURSOR]
    assert len(turned) <= 3 and max(sizes) <= PAGE_STEP, sizes
    assert sum(sizes) / len(sizes) <= 700, "on average a key that scrolls costs no more than 700 bytes"


def test_a_changed_row_and_one_out_of_view(desk: Terminal, tmp_path: Path) -> None:
    place = tmp_path / "c"
    desk.send("<")  # sorted by subject: the change does not move the row
    desk.wait_for("Sorted by subject")
    desk.settle(1.5)
    shown = next(line.split()[0] for line in desk.text().split("\n")[3:] if line.strip().startswith("T-"))
    _deskside(place, "tickets", "edit", shown, "priority", "1", "--yes", allowed=(0, 7))
    assert 0 < desk.read(quiet=2.5, longest=6.0) <= CHANGED_ROW
    _deskside(place, "tickets", "note", "1001", "seen", "--yes")
    assert desk.read(quiet=2.5, longest=3.0) == 0


def _deskside(place: Path, *words: str, allowed: tuple[int, ...] = (0,)) -> None:
    from tests.terminal.conftest import DESKSIDE, environment

    argv = [*DESKSIDE, "--config", str(place / "config.toml"), "--data", str(place / "data"), *words]
    done = subprocess.run(argv, env=environment(place), capture_output=True, text=True, timeout=60)
    assert done.returncode in allowed, done.stderr


def test_a_confirmation(desk: Terminal) -> None:
    desk.send("a")
    desk.wait_for("Assign to (a login")
    desk.send("zoe")
    desk.settle()
    desk.send("\r")
    sent = desk.read(quiet=0.5)
    assert "enter does it" in desk.text()
    assert sent <= CONFIRMATION


def test_a_wallboard_tick(console: Console) -> None:
    terminal = console("wall")
    terminal.wait_for("tickets open")
    terminal.settle(1.5)
    pages, sizes = _pages(terminal), []
    for _ in range(6):
        sent = terminal.read(quiet=0.3, longest=4.0)
        if _pages(terminal) == pages:
            sizes.append(sent)
        pages = _pages(terminal)
    assert len(sizes) >= 3 and max(sizes) <= TICK, sizes


def _pages(terminal: Terminal) -> list[str]:
    """The "1/3" of the lists: where a page turned, it was no tick."""
    return re.findall(r"\b\d+/\d+\b", terminal.text())


def test_both_drivers_show_the_same(console: Console, tmp_path: Path) -> None:
    """Cell by cell; a digit may be another one, since ages move on between the two."""
    screens = []
    config = tmp_path / "c/config.toml"
    text = config.read_text()
    for driver in ("stock", "thin"):
        config.write_text(text + f'\n[console]\ndriver = "{driver}"\n')
        terminal = console()
        terminal.wait_for("Accounts 150")
        terminal.settle(1.2)
        for keys in ("\t", "\t", "jjj", "f", "G", "g"):
            terminal.send(keys)
            terminal.settle(0.4)
        screens.append([[("0" if cell.data.isdigit() else cell.data, cell.fg, cell.bg, cell.bold, cell.reverse) for cell in (line[x] for x in range(120))] for y, line in sorted(terminal.screen.buffer.items()) if y])
    assert len(screens[0]) == len(screens[1])
    different = [(y, x, screens[0][y][x], screens[1][y][x]) for y in range(len(screens[0])) for x in range(120) if screens[0][y][x] != screens[1][y][x]]
    assert not different, different[:5]
