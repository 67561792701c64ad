"""What a list of 100,000 tickets costs in the console, beside a bare list of 300 rows in memory: `python -m bench tickets`.

Each run is a process of its own, the kinds take turns. `key ms`: a key until its screen has settled, data or not (what blocks the next
key); `stall ms`: the longest time the event loop was held while the data came; `data ms`: until the new rows stand. Ratios are to the
bare list, which filters and sorts Python rows at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS = 3
TICKETS = 100_000
ACTIONS = ("open view", "view all", "type", "type on", "sort", "sort back", "last row", "page up", "cursor")
SPOKEN = {"greater_than_sign": ">", "less_than_sign": "<", "slash": "/", "space": " "}
KINDS = ("bare list", "100 tickets", "100,000 tickets")


class Stall:
    """The longest time between two turns of the event loop that should be a millisecond apart."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            started = time.perf_counter()
            await asyncio.sleep(0.001)
            self.worst = max(self.worst, (time.perf_counter() - started) * 1000 - 1)

    def end(self) -> float:
        """Milliseconds."""
        self._task.cancel()
        return self.worst


async def measured(app: Any, key: str, settled: Callable[[], bool]) -> dict[str, float]:
    """One key: until it was handled and the screen drawn, the longest stall, the data. Milliseconds; 10 s is given up."""
    from textual import events

    stall, started, drawn = Stall(), time.perf_counter(), asyncio.Event()
    await asyncio.sleep(0)
    started = time.perf_counter()
    app.post_message(events.Key(key, key if len(key) == 1 else SPOKEN.get(key)))
    app.call_later(lambda: app.screen.call_after_refresh(drawn.set))
    await asyncio.wait_for(drawn.wait(), 10)
    took = (time.perf_counter() - started) * 1000
    while not settled() and time.perf_counter() - started < 10:
        await asyncio.sleep(0.001)
    return {"key": took, "data": (time.perf_counter() - started) * 1000, "stall": stall.end()}


async def true(condition: Callable[[], bool]) -> None:
    """Wait for it, at most 20 s."""
    until = time.perf_counter() + 20
    while not condition():
        if time.perf_counter() > until:
            raise TimeoutError("it did not come true")
        await asyncio.sleep(0.005)


def memory() -> float:
    """MiB of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


async def bare() -> dict[str, Any]:
    """A grid over rows in memory."""
    from textual.app import App, ComposeResult

    from widgets.columns import Column, Row
    from widgets.grid import Grid
    from widgets.themes import themes
    from widgets.window import CHUNK

    everything = [Row(f"r:{number}", (f"T-{number}", "P3", "2h", f"printer jam {number % 17}", "New", "ann", "bob", "net")) for number in range(300)]

    class Bare(App[None]):
        rows = everything
        filled = 0

        def compose(self) -> ComposeResult:
            self.grid = Grid([Column(str(place), str(place), 9, flex=place == 3) for place in range(8)])
            yield self.grid

        def on_mount(self) -> None:
            for theme in themes():
                self.register_theme(theme)
            self.theme = "dark"
            self.grid.restart()
            self.grid.focus()

        def on_grid_need(self, event: Grid.Need) -> None:
            self.grid.fill(event.number, self.rows[event.number * CHUNK : event.number * CHUNK + CHUNK], len(self.rows), event.generation)
            self.filled = event.generation

        def show(self, rows: list[Row]) -> None:
            self.rows = rows
            self.grid.restart()

        def on_key(self, event: Any) -> None:
            deeds: dict[str, Callable[[], None]] = {
                "v": lambda: self.show(everything), "p": lambda: self.show([row for row in everything if "printer" in row.cells[3]]),
                "s": lambda: self.show(sorted(everything, key=lambda row: row.cells[3])), "G": lambda: self.grid.go(10**9), "u": lambda: self.grid.turn(-1), "j": lambda: self.grid.move(1),
            }  # fmt: skip
            if event.character in deeds:
                deeds[event.character]()

    app, out = Bare(), dict[str, Any]()
    async with app.run_test(size=(120, 40)):
        for action, key in zip(ACTIONS, "vvppssGuj", strict=True):
            out[action] = await measured(app, key, lambda: app.filled == app.grid.generation)
            await asyncio.sleep(0.1)
    return {**out, "memory": memory()}


async def desk(place: Path) -> dict[str, Any]:
    """The console on a county."""
    from console.app import ConsoleApp
    from console.config import load_config
    from console.desk import Desk
    from console.people import whoami

    config = load_config(place / "config.toml", place / "data")
    opened = Desk(config, whoami(config.roles))
    app, out = ConsoleApp(opened), dict[str, Any]()
    keys = ("4", "6", "i", "n", "greater_than_sign", "less_than_sign", "G", "pageup", "k")
    async with app.run_test(size=(120, 40)) as pilot:
        pane, screen = app.desk_screen().pane(), app.desk_screen()

        def settled() -> bool:
            grid = pane.grid
            return grid._filled_generation == grid.generation and (grid.window.row(grid.cursor) is not None or grid.window.total == 0)

        await true(lambda: pane.source.recalled and settled())
        for action, key in zip(ACTIONS, keys, strict=True):
            if action in ("open view", "view all"):
                await pilot.press("v")
                await true(lambda: screen.bottom.asking)
            elif action == "type":
                await pilot.press("slash")
                await true(lambda: screen.bottom.asking)
                await pilot.press(*"pr")
                await asyncio.sleep(0.3)
            elif action == "sort":
                await pilot.press("enter")
                await true(lambda: not screen.bottom.asking)
            await true(settled)
            before, moves = pane.grid.generation, action in ("last row", "page up", "cursor")
            out[action] = await measured(app, key, lambda before=before, moves=moves: settled() and (moves or pane.grid.generation != before))  # type: ignore[misc]
            await asyncio.sleep(0.1)
        out["memory"] = memory()
    await opened.close()
    return out


def child(kind: str, place: str) -> None:
    """One run, printed as JSON."""
    import console.collector

    console.collector.ensure_collector = lambda config: None  # the collector's work is not measured here
    print(json.dumps(asyncio.run(bare() if kind == KINDS[0] else desk(Path(place)))))


def main() -> None:
    """Print the table."""
    from bench.terminal import _county

    with tempfile.TemporaryDirectory(prefix="deskside-bench-") as folder:
        places = {KINDS[1]: Path(folder) / "small", KINDS[2]: Path(folder) / "big"}
        for kind, tickets in ((KINDS[1], 100), (KINDS[2], TICKETS)):
            _county(places[kind], tickets, 50)
        runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for _ in range(ROUNDS):
            for kind in KINDS:
                done = subprocess.run([sys.executable, "-m", "bench.tickets", kind, str(places.get(kind, ""))], capture_output=True, text=True, check=True, timeout=120, cwd=os.getcwd())
                runs[kind].append(json.loads(done.stdout.splitlines()[-1]))
    show(runs)


def show(runs: dict[str, list[dict[str, Any]]]) -> None:
    """Medians, and ratios to the bare list and to the small desk."""
    bare_list, small, big = KINDS
    print(f"{'':12} {'bare':>7} {'100':>7} {'100k':>7} {'to bare':>8} {'to 100':>7} {'stall':>7} {'to bare':>8} {'data':>8} {'to 100':>7}   (key, stall, data: ms, medians of {ROUNDS})")
    for action in ACTIONS:
        key, stall, data = ({kind: statistics.median(run[action][what] for run in runs[kind]) for kind in KINDS} for what in ("key", "stall", "data"))
        print(
            f"{action:12} {key[bare_list]:7.1f} {key[small]:7.1f} {key[big]:7.1f} {key[big] / key[bare_list]:8.2f} {key[big] / key[small]:7.2f} "
            f"{stall[big]:7.1f} {stall[big] / max(0.1, stall[bare_list]):8.2f} {data[big]:8.1f} {data[big] / data[small]:7.2f}"
        )
    size = {kind: statistics.median(run["memory"] for run in runs[kind]) for kind in KINDS}
    print(f"memory MiB   {size[bare_list]:7.0f} {size[small]:7.0f} {size[big]:7.0f} {size[big] / size[bare_list]:8.2f} {size[big] / size[small]:7.2f}")


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2])
